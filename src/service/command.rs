//! The bytes of the two control FIFOs: what `supervise/control` and `.s6-svscan/control` understand. A byte is the
//! option letter of s6-svc or s6-svscanctl. Pure.

use crate::sys::signal::number as n;

/// Declares an enum of bytes with its list and its way back from a byte.
macro_rules! bytes {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $byte:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant = $byte,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The byte on the wire, which is the option letter.
            pub const fn byte(self) -> u8 {
                self as u8
            }

            /// What a byte means; `None`: nothing, it is to be ignored.
            pub fn from_byte(byte: u8) -> Option<$name> {
                Self::ALL.iter().copied().find(|command| command.byte() == byte)
            }
        }
    };
}

bytes! {
    /// A command to the supervisor of a service. Those that deliver a signal ([`Command::delivery`]) are ignored unless
    /// `run` runs.
    pub enum Command {
        /// SIGALRM.
        Alarm = b'a',
        /// SIGABRT.
        Abort = b'b',
        /// SIGQUIT.
        Quit = b'q',
        /// SIGHUP.
        Hangup = b'h',
        /// SIGKILL.
        Kill = b'k',
        /// SIGTERM.
        Terminate = b't',
        /// SIGINT.
        Interrupt = b'i',
        /// SIGUSR1.
        User1 = b'1',
        /// SIGUSR2.
        User2 = b'2',
        /// SIGWINCH.
        Window = b'y',
        /// SIGSTOP; the status says "paused".
        Pause = b'p',
        /// SIGCONT; the status does not say "paused" any more.
        Continue = b'c',
        /// SIGSTOP to the process group; the status says "paused".
        PauseGroup = b'P',
        /// SIGCONT to the process group; the status does not say "paused" any more.
        ContinueGroup = b'C',
        /// SIGKILL to the process group.
        KillGroup = b'K',
        /// The down signal and nothing else: a service that is wanted up restarts.
        Restart = b'r',
        /// The reload signal.
        Reload = b'l',
        /// Wanted up: start it now if it is down.
        Up = b'u',
        /// As `u`, and remove the `down` file.
        UpForGood = b'U',
        /// Wanted down: the down signal, SIGCONT, and SIGKILL after `timeout-kill`.
        Down = b'd',
        /// As `d`, and create the `down` file.
        DownForGood = b'D',
        /// Start it now if it is down; do not start it again.
        Once = b'o',
        /// Do not start it again.
        AtMostOnce = b'O',
        /// As `O`, and create the `down` file.
        AtMostOnceForGood = b'Q',
        /// The supervisor exits once the service is down.
        Exit = b'x',
    }
}

/// What is delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// This signal.
    Number(i32),
    /// What `down-signal` says.
    Down,
    /// What `reload-signal` says.
    Reload,
}

/// A signal to a service, and to whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// What.
    pub signal: Signal,
    /// Whether it goes to the process group of `run` and not to its pid alone.
    pub group: bool,
}

impl Command {
    /// The signal that the command is about; `None` for those that change what is wanted.
    pub fn delivery(self) -> Option<Delivery> {
        let number = match self {
            Command::Alarm => n::ALRM,
            Command::Abort => n::ABRT,
            Command::Quit => n::QUIT,
            Command::Hangup => n::HUP,
            Command::Kill | Command::KillGroup => n::KILL,
            Command::Terminate => n::TERM,
            Command::Interrupt => n::INT,
            Command::User1 => n::USR1,
            Command::User2 => n::USR2,
            Command::Window => n::WINCH,
            Command::Pause | Command::PauseGroup => n::STOP,
            Command::Continue | Command::ContinueGroup => n::CONT,
            Command::Restart => return Some(Delivery { signal: Signal::Down, group: false }),
            Command::Reload => return Some(Delivery { signal: Signal::Reload, group: false }),
            Command::Up
            | Command::UpForGood
            | Command::Down
            | Command::DownForGood
            | Command::Once
            | Command::AtMostOnce
            | Command::AtMostOnceForGood
            | Command::Exit => return None,
        };
        let group = matches!(self, Command::PauseGroup | Command::ContinueGroup | Command::KillGroup);
        Some(Delivery { signal: Signal::Number(number), group })
    }

    /// What it makes of the `down` file: `Some(true)` creates it, `Some(false)` removes it.
    pub fn down_file(self) -> Option<bool> {
        match self {
            Command::UpForGood => Some(false),
            Command::DownForGood | Command::AtMostOnceForGood => Some(true),
            _ => None,
        }
    }

    /// The command that sends `signal` to the pid, if there is one.
    pub fn of_signal(signal: i32) -> Option<Command> {
        let wanted = Delivery { signal: Signal::Number(signal), group: false };
        Self::ALL.iter().copied().find(|command| command.delivery() == Some(wanted))
    }
}

bytes! {
    /// A command to the scanner of a scan directory.
    pub enum ScanCommand {
        /// Take the deaths that have not been seen.
        Reap = b'z',
        /// Scan now.
        Scan = b'a',
        /// Leave, without waiting for the supervisors and without ending them.
        Abandon = b'b',
        /// Scan, and end the supervisors of services that are gone.
        Rescan = b'h',
        /// Leave: end the services, let the loggers end by themselves; wait for all.
        Terminate = b't',
        /// As `t`.
        Interrupt = b'i',
        /// Leave: end services and loggers alike; wait for all.
        Quit = b'q',
        /// End the supervisors of services that were gone at the last scan; their loggers end by themselves.
        Nuke = b'n',
        /// As `n`, and end their loggers too.
        NukeAll = b'N',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn supervisors_understand_every_letter_of_s6_svc() {
        for letter in "abqhkti12pcyrlPCKoduDUxOQ".bytes() {
            assert_eq!(Command::from_byte(letter).map(Command::byte), Some(letter));
        }
        assert_eq!(Command::ALL.len(), 25);
    }

    #[test]
    fn scanners_understand_every_letter_of_s6_svscanctl() {
        for letter in "zabhtiqnN".bytes() {
            assert_eq!(ScanCommand::from_byte(letter).map(ScanCommand::byte), Some(letter));
        }
        assert_eq!(ScanCommand::ALL.len(), 9);
        for historical in "prs0678".bytes() {
            assert_eq!(ScanCommand::from_byte(historical), None);
        }
    }

    #[test]
    fn each_signal_letter_sends_its_signal() {
        let letters = [
            (b'a', 14),
            (b'b', 6),
            (b'q', 3),
            (b'h', 1),
            (b'k', 9),
            (b't', 15),
            (b'i', 2),
            (b'1', 10),
            (b'2', 12),
            (b'p', 19),
            (b'c', 18),
            (b'y', 28),
        ];
        for (letter, signal) in letters {
            let command = Command::from_byte(letter).unwrap();
            assert_eq!(command.delivery(), Some(Delivery { signal: Signal::Number(signal), group: false }));
            assert_eq!(Command::of_signal(signal), Some(command));
        }
    }

    #[test]
    fn capital_signal_letters_go_to_the_group() {
        for (letter, signal) in [(b'P', 19), (b'C', 18), (b'K', 9)] {
            let delivery = Command::from_byte(letter).unwrap().delivery();
            assert_eq!(delivery, Some(Delivery { signal: Signal::Number(signal), group: true }));
        }
    }

    #[test]
    fn only_what_is_for_good_touches_the_down_file() {
        for command in Command::ALL {
            let expected = match command.byte() {
                b'U' => Some(false),
                b'D' | b'Q' => Some(true),
                _ => None,
            };
            assert_eq!(command.down_file(), expected);
        }
    }

    #[test]
    fn signals_without_a_letter_have_no_command() {
        for signal in [0, 5, 11, 17, 30, 34, 64] {
            assert_eq!(Command::of_signal(signal), None);
        }
    }

    proptest! {
        #[test]
        fn a_byte_is_what_it_means_or_nothing(byte: u8) {
            prop_assert!(Command::from_byte(byte).is_none_or(|command| command.byte() == byte));
            prop_assert!(ScanCommand::from_byte(byte).is_none_or(|command| command.byte() == byte));
        }
    }
}
