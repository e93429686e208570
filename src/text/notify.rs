//! What a service says through its notification socket: one message of sd_notify(3), `VARIABLE=VALUE` lines, read.
//! Pure. What is not known is passed over; of a variable that comes twice the first counts, as systemd has it.

use super::number::parse_u64;

/// Longest message that is read: systemd's limit.
pub const MESSAGE: usize = 4096;

/// Longest name of a stored descriptor.
pub const FD_NAME: usize = 255;

/// The name of a stored descriptor that was given none.
pub const UNNAMED: &[u8] = b"stored";

/// Why a message is not taken at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// There is a NUL in it.
    Nul,
    /// `BARRIER=1` and something else besides.
    MixedBarrier,
}

/// What the service says of its watchdog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watchdog {
    /// `WATCHDOG=1`: it is alive.
    Alive,
    /// `WATCHDOG=trigger`: something is wrong with it, treat it as if the time were over.
    Trigger,
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Message<'a> {
    /// `READY=1`: started, or done with a reload.
    pub ready: bool,
    /// `RELOADING=1`: it reads its configuration again.
    pub reloading: bool,
    /// `STOPPING=1`: it is about to end.
    pub stopping: bool,
    /// `BARRIER=1`, alone: what was said before has been heard when the descriptor that came with this is closed.
    pub barrier: bool,
    /// `STATUS=`: a line for people, perhaps empty.
    pub status: Option<&'a [u8]>,
    /// `ERRNO=`: why it fails.
    pub errno: Option<u32>,
    /// `MAINPID=`: a process id.
    pub main_pid: Option<u64>,
    /// `MONOTONIC_USEC=`: when this was said, on the monotonic clock.
    pub monotonic_usec: Option<u64>,
    /// `WATCHDOG=`.
    pub watchdog: Option<Watchdog>,
    /// `WATCHDOG_USEC=`: the watchdog's time from now on.
    pub watchdog_usec: Option<u64>,
    /// `EXTEND_TIMEOUT_USEC=`: it needs so much longer, from now on, for what it is doing.
    pub extend_usec: Option<u64>,
    /// `FDSTORE=1`: the descriptors that came with this are to be kept.
    pub store: bool,
    /// `FDSTOREREMOVE=1`: those that are called `name` are to be let go of.
    pub remove: bool,
    /// `FDNAME=`, if it is valid: 1 to [`FD_NAME`] printable ASCII characters, no colon.
    pub name: Option<&'a [u8]>,
    /// `FDPOLL=0`: those that are kept stay, whatever becomes of their other side.
    pub unwatched: bool,
}

impl<'a> Message<'a> {
    /// Reads a message; a NUL at its end does no harm.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Problem> {
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        if bytes.contains(&0) {
            return Err(Problem::Nul);
        }
        let mut message = Message::default();
        let mut seen = 0u32;
        let mut lines = 0u32;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines = lines.saturating_add(1);
            let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
            let (Some(variable), Some(value)) = (line.get(..at), line.get(at + 1..)) else { continue };
            let Some(number) = VARIABLES.iter().position(|known| *known == variable) else { continue };
            if seen & 1 << number == 0 {
                seen |= 1 << number;
                message.set(variable, value);
            }
        }
        if message.barrier && lines > 1 { Err(Problem::MixedBarrier) } else { Ok(message) }
    }

    fn set(&mut self, variable: &[u8], value: &'a [u8]) {
        let is_one = value == b"1";
        match variable {
            b"READY" => self.ready = is_one,
            b"RELOADING" => self.reloading = is_one,
            b"STOPPING" => self.stopping = is_one,
            b"BARRIER" => self.barrier = is_one,
            b"STATUS" => self.status = Some(value),
            b"ERRNO" => self.errno = parse_u64(value).and_then(|number| u32::try_from(number).ok()),
            b"MAINPID" => self.main_pid = parse_u64(value),
            b"MONOTONIC_USEC" => self.monotonic_usec = parse_u64(value),
            b"WATCHDOG" if is_one => self.watchdog = Some(Watchdog::Alive),
            b"WATCHDOG" if value == b"trigger" => self.watchdog = Some(Watchdog::Trigger),
            b"WATCHDOG_USEC" => self.watchdog_usec = parse_u64(value),
            b"EXTEND_TIMEOUT_USEC" => self.extend_usec = parse_u64(value),
            b"FDSTORE" => self.store = is_one,
            b"FDSTOREREMOVE" => self.remove = is_one,
            b"FDNAME" => self.name = is_fd_name(value).then_some(value),
            b"FDPOLL" => self.unwatched = value == b"0",
            _ => {}
        }
    }
}

/// Those that mean something.
const VARIABLES: [&[u8]; 15] = [
    b"READY",
    b"RELOADING",
    b"STOPPING",
    b"BARRIER",
    b"STATUS",
    b"ERRNO",
    b"MAINPID",
    b"MONOTONIC_USEC",
    b"WATCHDOG",
    b"WATCHDOG_USEC",
    b"EXTEND_TIMEOUT_USEC",
    b"FDSTORE",
    b"FDSTOREREMOVE",
    b"FDNAME",
    b"FDPOLL",
];

/// Whether a stored descriptor may be called so.
pub fn is_fd_name(name: &[u8]) -> bool {
    (1..=FD_NAME).contains(&name.len()) && name.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> Message<'_> {
        Message::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn one_line_says_one_thing() {
        let said = Message::default();
        assert_eq!(message("READY=1"), Message { ready: true, ..said });
        assert_eq!(message("READY=1\n"), Message { ready: true, ..said });
        assert_eq!(message("READY=1\0"), Message { ready: true, ..said });
        assert_eq!(message("RELOADING=1"), Message { reloading: true, ..said });
        assert_eq!(message("STOPPING=1"), Message { stopping: true, ..said });
        assert_eq!(message("STATUS=half = done"), Message { status: Some(b"half = done"), ..said });
        assert_eq!(message("STATUS="), Message { status: Some(b""), ..said });
        assert_eq!(message("ERRNO=2"), Message { errno: Some(2), ..said });
        assert_eq!(message("MAINPID=4711"), Message { main_pid: Some(4711), ..said });
        assert_eq!(message("MONOTONIC_USEC=99"), Message { monotonic_usec: Some(99), ..said });
        assert_eq!(message("WATCHDOG=1"), Message { watchdog: Some(Watchdog::Alive), ..said });
        assert_eq!(message("WATCHDOG=trigger"), Message { watchdog: Some(Watchdog::Trigger), ..said });
        assert_eq!(message("WATCHDOG_USEC=20000000"), Message { watchdog_usec: Some(20_000_000), ..said });
        assert_eq!(message("EXTEND_TIMEOUT_USEC=5"), Message { extend_usec: Some(5), ..said });
        assert_eq!(message("BARRIER=1"), Message { barrier: true, ..said });
        assert_eq!(message("FDSTOREREMOVE=1\nFDNAME=a"), Message { remove: true, name: Some(b"a"), ..said });
    }

    #[test]
    fn several_lines_say_several_things_in_any_order() {
        let expected = Message {
            store: true,
            name: Some(b"conn"),
            unwatched: true,
            ready: true,
            status: Some(b"x"),
            ..Message::default()
        };
        assert_eq!(message("FDSTORE=1\nFDNAME=conn\nFDPOLL=0\nREADY=1\nSTATUS=x"), expected);
        assert_eq!(message("\n\nSTATUS=x\nREADY=1\nFDPOLL=0\n\nFDNAME=conn\nFDSTORE=1\n"), expected);
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let text = "X_OWN=1\nREADY\n=1\nready=1\n READY=1\nREADY=0\nWATCHDOG=yes\nBUSERROR=a.b\nERRNO=-1\nMAINPID=x";
        assert_eq!(message(text), Message::default());
        assert_eq!(message(""), Message::default());
    }

    #[test]
    fn the_first_of_two_counts() {
        assert_eq!(message("STATUS=a\nSTATUS=b").status, Some(&b"a"[..]));
        assert!(!message("READY=0\nREADY=1").ready);
    }

    #[test]
    fn a_name_that_is_not_valid_is_none() {
        for good in ["a", "a b", "a#2", "~", &"n".repeat(255)] {
            assert_eq!(message(&format!("FDNAME={good}")).name, Some(good.as_bytes()));
        }
        for bad in ["", "a:b", "a\tb", "\u{e9}", "a\x7f", &"n".repeat(256)] {
            assert_eq!(message(&format!("FDNAME={bad}")).name, None, "{bad:?}");
        }
    }

    #[test]
    fn a_barrier_with_something_else_and_a_nul_inside_make_a_message_void() {
        assert_eq!(Message::parse(b"BARRIER=1\nREADY=1"), Err(Problem::MixedBarrier));
        assert_eq!(Message::parse(b"X=1\nBARRIER=1"), Err(Problem::MixedBarrier));
        assert_eq!(Message::parse(b"READY=1\0STATUS=x"), Err(Problem::Nul));
        assert!(message("BARRIER=0\nREADY=1").ready);
    }

    proptest! {
        #[test]
        fn lines_mean_the_same_whatever_stands_between_them(
            status in "[ -~]{0,60}", usec: u64, junk in prop::collection::vec("[A-Z_]{1,8}X=[ -~]{0,20}", 3),
        ) {
            let plain = format!("READY=1\nSTATUS={status}\nWATCHDOG_USEC={usec}");
            let among = format!(
                "{}\nREADY=1\n{}\nSTATUS={status}\n\n{}\nWATCHDOG_USEC={usec}\n", junk[0], junk[1], junk[2],
            );
            prop_assert_eq!(message(&among), message(&plain));
            prop_assert_eq!(message(&plain).status, Some(status.as_bytes()));
            prop_assert_eq!(message(&plain).watchdog_usec, Some(usec));
        }
    }
}
