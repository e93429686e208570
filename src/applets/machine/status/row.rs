//! A line of the table: what is known of one service, in words. Pure but for [`Sight::look`].

use crate::applets::machine::columns::{Left, Span, cell};
use crate::service::notify::{self, Shown};
use crate::service::status::{End, Status};
use crate::service::waiting::{Cause, Reason};
use crate::service::{client, files, status, tally};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, file, signal};
use crate::text::errno;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::fmt::{self, Write};

/// Width of the states: that of the longest, `not supervised`.
const STATE: usize = 14;
/// Width of ways to end: that of the longest, `SIGSTKFLT`.
const END: usize = 9;

/// What can be seen of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// Its files cannot be read.
    Unreadable(Errno),
    /// It has no supervisor.
    Unsupervised {
        /// It would be up if it had one: there is no `down` file.
        normally_up: bool,
    },
    /// It has one, which says this.
    Supervised {
        /// Its status.
        status: Status,
        /// It says when it is ready: there is a `notification-fd` file, or a `notify-socket`.
        notifies: bool,
        /// Deaths on record.
        deaths: u64,
    },
}

impl Sight {
    /// Looks at the service directory `dir`.
    pub fn look(dir: Fd) -> Sight {
        let sight = client::is_supervised(dir).and_then(|supervised| {
            if !supervised {
                return Ok(Sight::Unsupervised { normally_up: !file::exists(dir, c"down")? });
            }
            Ok(Sight::Supervised {
                status: status::read(dir)?,
                notifies: files::notification_fd(dir).value.is_some() || notify::says_when_ready(dir),
                deaths: tally::count(dir)?,
            })
        });
        sight.unwrap_or_else(Sight::Unreadable)
    }

    /// Whether it is not up although it is to be.
    pub fn is_missed(&self) -> bool {
        match self {
            Sight::Unreadable(_) => false,
            Sight::Unsupervised { normally_up } => *normally_up,
            Sight::Supervised { status, .. } => status.want_up && !status.is_up(),
        }
    }

    /// Whether it has never run.
    pub fn never_started(&self) -> bool {
        let Sight::Supervised { status, deaths, .. } = self else { return false };
        // The s6 of Debian does not tell; but its first status has one stamp twice, and later ones have not.
        let first = status.pid == 0 && status.wstat == 0 && status.stamp == status.ready_stamp && *deaths == 0;
        status.never_started() || first
    }

    fn state(&self) -> &'static str {
        match self {
            Sight::Unreadable(_) => "unreadable",
            Sight::Unsupervised { .. } => "not supervised",
            Sight::Supervised { status, .. } if status.finishing => "finishing",
            Sight::Supervised { status, notifies, .. } if status.is_up() => match (status.paused, status.ready) {
                (true, _) => "up, paused",
                (_, true) => "up, ready",
                _ if *notifies => "up, not ready",
                _ => "up",
            },
            Sight::Supervised { .. } if self.never_started() => "never started",
            Sight::Supervised { .. } => "down",
        }
    }
}

/// The line above the others; `width` is that of the longest name.
pub fn heading(out: &mut dyn Write, width: usize) -> fmt::Result {
    cell(out, width, &"NAME")?;
    writeln!(
        out,
        "  {:<STATE$}  {:>7}  {:>7}  {:<END$}  {:>6}  WAITS FOR",
        "STATE", "PID", "SINCE", "LAST END", "DEATHS"
    )
}

/// The beginning of a line, up to the number of deaths; what is not known or of no meaning is `-`.
pub fn begin(out: &mut dyn Write, name: &[u8], width: usize, sight: &Sight, now: Stamp) -> fmt::Result {
    cell(out, width, &Printable(name))?;
    write!(out, "  {:<STATE$}", sight.state())?;
    let Sight::Supervised { status, deaths, .. } = sight else {
        return write!(out, "  {:>7}  {:>7}  {:<END$}  {:>6}", "-", "-", "-", "-");
    };
    let mut words = Small::new();
    match status.pid {
        0 => words.push_str("-").unwrap_or_default(),
        pid => write!(words, "{pid}")?,
    }
    write!(out, "  {words:>7}")?;
    words.clear();
    write!(words, "{}", Span(now.seconds_since(status.stamp)))?;
    write!(out, "  {words:>7}  ")?;
    words.clear();
    match status.end() {
        _ if status.is_up() || sight.never_started() => write!(words, "-")?,
        End::Exited(code) => write!(words, "exit {code}")?,
        End::Killed(number) => match signal::name(number.into()) {
            "???" => write!(words, "signal {number}")?,
            name => write!(words, "SIG{name}")?,
        },
    }
    write!(out, "{words:<END$}  {deaths:>6}")
}

/// What fits a column.
type Small = heapless::String<24>;

/// The end of a line: what else there is to say of a service.
pub struct Notes<'a> {
    out: &'a mut dyn Write,
    now: Nanos,
    first: bool,
}

impl<'a> Notes<'a> {
    /// Nothing said yet; `now` is boot time.
    pub fn new(out: &'a mut dyn Write, now: Nanos) -> Notes<'a> {
        Notes { out, now, first: true }
    }

    /// That it is wanted otherwise than it is, or why it cannot be read.
    pub fn about(&mut self, sight: &Sight) -> fmt::Result {
        match sight {
            Sight::Unreadable(e) => self.say(format_args!("{}", errno::Reason(*e))),
            Sight::Supervised { status, .. } if status.is_up() && !status.want_up => {
                self.say(format_args!("wanted down"))
            }
            Sight::Supervised { .. } if sight.is_missed() => self.say(format_args!("wanted up")),
            _ => Ok(()),
        }
    }

    /// Something that it waits for.
    pub fn cause(&mut self, cause: &Cause<'_>) -> fmt::Result {
        let now = self.now;
        let left = |at: Nanos| Left(at.saturating_sub(now));
        match *cause {
            Cause::Restart(at) => self.say(format_args!("restart {}", left(at))),
            Cause::Kill(at) => self.say(format_args!("killed {}", left(at))),
            Cause::KillFinish(at) => self.say(format_args!("finish killed {}", left(at))),
            Cause::Stop(at) => self.say(format_args!("stop given up {}", left(at))),
            Cause::Dependency { name, reason } => {
                let reason = match reason {
                    Reason::Down => "down",
                    Reason::NotReady => "not ready",
                    Reason::Missing => "there is none",
                    Reason::Cycle => "it waits for this one (a cycle)",
                };
                self.say(format_args!("waits for {}: {reason}", Printable(name)))
            }
            Cause::After(name) => self.say(format_args!("stops after {}", Printable(name))),
            Cause::Descriptor(id) => self.say(format_args!("waits for {}: it is not held", Printable(id))),
            Cause::Order => self.say(format_args!("given up: its finish exited with 125")),
        }
    }

    /// What it said of itself.
    pub fn said(&mut self, shown: &Shown<'_>) -> fmt::Result {
        if shown.reloading {
            self.say(format_args!("reloading"))?;
        }
        if shown.stopping {
            self.say(format_args!("stopping"))?;
        }
        if let Ok(number @ 1..) = i32::try_from(shown.errno) {
            self.say(format_args!("fails: {}", errno::Reason(Errno::from_raw_os_error(number))))?;
        }
        if !shown.status.is_empty() {
            self.say(format_args!("\"{}\"", Printable(shown.status)))?;
        }
        Ok(())
    }

    fn say(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        self.out.write_str(if self.first { "  " } else { "; " })?;
        self.first = false;
        self.out.write_fmt(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::time::SECOND;

    const NOW: Stamp = Stamp { sec: 1_000_000, nano: 5 };

    fn since(seconds: u64) -> Stamp {
        Stamp { sec: NOW.sec - seconds, nano: 0 }
    }

    fn up() -> Status {
        Status { stamp: since(9), ready_stamp: since(4), pid: 77, want_up: true, wstat: 15, ..Status::default() }
    }

    fn down() -> Status {
        Status { pid: 0, ready: true, want_up: false, ..up() }
    }

    fn line(status: Status) -> String {
        told(&Sight::Supervised { status, notifies: false, deaths: 3 }, &[])
    }

    fn told(sight: &Sight, causes: &[Cause<'_>]) -> String {
        let mut out = String::new();
        begin(&mut out, b"db", 4, sight, NOW).unwrap();
        let mut notes = Notes::new(&mut out, 20 * SECOND);
        notes.about(sight).unwrap();
        causes.iter().for_each(|cause| notes.cause(cause).unwrap());
        out
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let mut out = String::new();
        heading(&mut out, 4).unwrap();
        assert_eq!(out, "NAME  STATE               PID    SINCE  LAST END   DEATHS  WAITS FOR\n");
        assert_eq!(line(up()), "db    up                   77      9 s  -               3");
        assert_eq!(line(down()), "db    down                  -      9 s  SIGTERM         3");
        let longest = Status { pid: 4_194_304, stamp: since(600_000), wstat: 16, finishing: true, ..up() };
        assert_eq!(line(longest), "db    finishing       4194304      6 d  SIGSTKFLT       3  wanted up");
    }

    #[test]
    fn each_state_has_its_words() {
        let state = |status: Status, notifies| Sight::Supervised { status, notifies, deaths: 3 }.state();
        assert_eq!(state(up(), false), "up");
        assert_eq!(state(up(), true), "up, not ready");
        assert_eq!(state(Status { ready: true, ..up() }, true), "up, ready");
        assert_eq!(state(Status { paused: true, ready: true, ..up() }, true), "up, paused");
        assert_eq!(state(Status { finishing: true, ..up() }, true), "finishing");
        assert_eq!(state(down(), true), "down");
        assert_eq!(state(Status { paused: true, ..down() }, true), "never started");
        assert_eq!(Sight::Unsupervised { normally_up: true }.state(), "not supervised");
        assert_eq!(Sight::Unreadable(Errno::ACCESS).state(), "unreadable");
    }

    #[test]
    fn one_of_debians_s6_that_was_never_started_is_recognised() {
        let first = Status { stamp: since(4), wstat: 0, ..down() };
        let sight = |status, deaths| Sight::Supervised { status, notifies: false, deaths };
        assert_eq!(sight(first, 0).state(), "never started");
        assert!(told(&sight(first, 0), &[]).contains("4 s  -"));
        assert_eq!(sight(first, 1).state(), "down");
        assert_eq!(sight(Status { stamp: since(5), ..first }, 0).state(), "down");
    }

    #[test]
    fn an_end_is_told_of_what_has_ended_only() {
        assert!(line(Status { wstat: 3 << 8, ..down() }).contains("  exit 3  "));
        assert!(line(Status { wstat: 40, ..down() }).contains("  signal 40  "));
        assert!(!line(up()).contains("SIGTERM"));
    }

    #[test]
    fn what_is_wanted_is_told_where_it_differs() {
        assert!(line(Status { want_up: true, ..down() }).ends_with("3  wanted up"));
        assert!(line(Status { want_up: false, ..up() }).ends_with("3  wanted down"));
        assert!(line(up()).ends_with('3') && line(down()).ends_with('3'));
    }

    #[test]
    fn the_edge_and_the_deadline_that_it_waits_for_end_the_line() {
        let sight = Sight::Supervised { status: Status { want_up: true, ..down() }, notifies: false, deaths: 0 };
        let causes = [
            Cause::Restart(23_200_000_000),
            Cause::Kill(21_500_000_000),
            Cause::KillFinish(20 * SECOND),
            Cause::Stop(24 * SECOND),
            Cause::Dependency { name: b"my\ndb", reason: Reason::NotReady },
            Cause::After(b"web"),
            Cause::Descriptor(b"unix:/run/web"),
        ];
        let line = told(&sight, &causes);
        let expected = "  wanted up; restart in 3.2 s; killed in 1.5 s; finish killed now; stop given up in 4 s; \
                        waits for my\\ndb: not ready; stops after web; \
                        waits for unix:/run/web: it is not held";
        assert!(line.ends_with(expected), "{line}");
    }

    #[test]
    fn what_a_service_said_of_itself_ends_the_line() {
        let said = |shown: &Shown<'_>| {
            let mut out = String::new();
            Notes::new(&mut out, 0).said(shown).unwrap();
            out
        };
        assert_eq!(said(&Shown::default()), "");
        let all = Shown { reloading: true, stopping: true, errno: 2, status: b"6 of 7\x1b[2J" };
        assert_eq!(said(&all), "  reloading; stopping; fails: No such file or directory; \"6 of 7\\x1b[2J\"");
        assert_eq!(said(&Shown { errno: u32::MAX, ..Shown::default() }), "");
    }

    #[test]
    fn who_cannot_be_read_says_why() {
        let line = told(&Sight::Unreadable(Errno::ACCESS), &[]);
        assert_eq!(line, "db    unreadable            -        -  -               -  Permission denied");
    }

    #[test]
    fn missed_is_who_is_wanted_up_and_is_not() {
        let missed = |status| Sight::Supervised { status, notifies: true, deaths: 0 }.is_missed();
        assert!(missed(Status { want_up: true, ..down() }));
        assert!(missed(Status { finishing: true, ..up() }));
        assert!(!missed(up()) && !missed(down()));
        assert!(Sight::Unsupervised { normally_up: true }.is_missed());
        assert!(!Sight::Unsupervised { normally_up: false }.is_missed());
    }
}
