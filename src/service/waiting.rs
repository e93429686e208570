//! What a service waits for, `supervise/waiting`: beside the files of s6, which does not know it. Text, a line for each
//! cause; no file: it waits for nothing. Written by the supervisor, shown by `status`.
//!
//! | line | what happens at DEADLINE, or what has not happened yet |
//! | --- | --- |
//! | `restart DEADLINE` | `run` is started |
//! | `kill DEADLINE` | `run`, which was told to go down, is killed |
//! | `kill-finish DEADLINE` | `finish` is killed |
//! | `stop DEADLINE` | the whole stop is given up |
//! | `dependency NAME REASON` | the service NAME is `down`, `not-ready`, `missing`, or waits for this one: `cycle` |
//! | `after NAME` | everything stops, but the service NAME, which depends on this one, has not ended yet |
//! | `descriptor IDENTIFIER` | the fd-holder holds nothing that this, from the service's `sockets`, would mean |
//! | `order` | it is down because its `finish` said that it has failed for good; an order starts it |
//!
//! While a whole scan directory is being stopped, its `.s6-svscan/stopping` holds a line `PLAN DEADLINE`: what follows,
//! and when those that are left are killed (0: never).
//!
//! DEADLINE: nanoseconds on the boot-time clock, decimal. A line feed in NAME stands as `/`, which no name can have;
//! one in IDENTIFIER as `\n`, and a `\` as `\\`.
//! Readers skip lines that they do not know.

use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, entry, file, lines};
use crate::text::number::{Decimal, parse_u64};
use core::ffi::CStr;
use core::ops::ControlFlow;
use heapless::Vec;
use rustix::fs::OFlags;

const FILE: &CStr = c"supervise/waiting";
const SCRATCH: &CStr = c"supervise/waiting.new";
const STOPPING: &CStr = c".s6-svscan/stopping";
const STOPPING_SCRATCH: &CStr = c".s6-svscan/stopping.new";

/// Longest name: a file name's limit.
pub const NAME: usize = 255;

/// Longest line, line feed included: an identifier of which every byte takes two.
const LINE: usize = 11 + 2 * NAME + 1;

/// Why a dependency holds a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It is down.
    Down,
    /// It is up, but not ready yet.
    NotReady,
    /// There is no such service.
    Missing,
    /// It waits, directly or through others, for the service itself.
    Cycle,
}

const REASONS: [(Reason, &[u8]); 4] = [
    (Reason::Down, b"down"),
    (Reason::NotReady, b"not-ready"),
    (Reason::Missing, b"missing"),
    (Reason::Cycle, b"cycle"),
];

/// Something that a service waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause<'a> {
    /// `run` is started at this time.
    Restart(Nanos),
    /// `run` is killed at this time unless it has ended.
    Kill(Nanos),
    /// `finish` is killed at this time unless it has ended.
    KillFinish(Nanos),
    /// The whole stop is given up at this time.
    Stop(Nanos),
    /// Another service must come up first.
    Dependency {
        /// Its name: a file name, at most [`NAME`] bytes.
        name: &'a [u8],
        /// What it lacks.
        reason: Reason,
    },
    /// In a stop, the service with this name must end first.
    After(&'a [u8]),
    /// Nothing is held with this identifier, or that this glob matches: at most [`NAME`] bytes, none of them 0.
    Descriptor(&'a [u8]),
    /// Its `finish` has exited with 125: only an order starts it again.
    Order,
}

impl<'a> Cause<'a> {
    /// Appends the line, with its line feed. `false`: it does not fit, or the name is none; `out` is as it was.
    pub fn encode<const N: usize>(&self, out: &mut Vec<u8, N>) -> bool {
        let before = out.len();
        let done = match *self {
            Cause::Restart(at) => put(out, b"restart ") && put(out, Decimal::new(at).as_bytes()),
            Cause::Kill(at) => put(out, b"kill ") && put(out, Decimal::new(at).as_bytes()),
            Cause::KillFinish(at) => put(out, b"kill-finish ") && put(out, Decimal::new(at).as_bytes()),
            Cause::Stop(at) => put(out, b"stop ") && put(out, Decimal::new(at).as_bytes()),
            Cause::Dependency { name, reason } => {
                let word = REASONS.iter().find(|row| row.0 == reason).map_or(&b""[..], |row| row.1);
                put(out, b"dependency ") && put_name(out, name) && put(out, b" ") && put(out, word)
            }
            Cause::After(name) => put(out, b"after ") && put_name(out, name),
            Cause::Descriptor(id) => put(out, b"descriptor ") && put_identifier(out, id),
            Cause::Order => put(out, b"order"),
        };
        let done = done && out.push(b'\n').is_ok();
        if !done {
            out.truncate(before);
        }
        done
    }

    /// What a line, without its line feed, says; `room` is for the name. `None`: nothing that is known.
    pub fn decode(line: &[u8], room: &'a mut Vec<u8, NAME>) -> Option<Cause<'a>> {
        if line == b"order" {
            return Some(Cause::Order);
        }
        let (word, rest) = split(line, line.iter().position(|byte| *byte == b' ')?)?;
        match word {
            b"restart" => parse_u64(rest).map(Cause::Restart),
            b"kill" => parse_u64(rest).map(Cause::Kill),
            b"kill-finish" => parse_u64(rest).map(Cause::KillFinish),
            b"stop" => parse_u64(rest).map(Cause::Stop),
            b"dependency" => {
                // Names may have blanks, reasons have none.
                let (name, last) = split(rest, rest.iter().rposition(|byte| *byte == b' ')?)?;
                let reason = REASONS.iter().find(|row| row.1 == last)?.0;
                read_name(name, room).map(|name| Cause::Dependency { name, reason })
            }
            b"after" => read_name(rest, room).map(Cause::After),
            b"descriptor" => read_identifier(rest, room).map(Cause::Descriptor),
            _ => None,
        }
    }
}

fn put<const N: usize>(out: &mut Vec<u8, N>, text: &[u8]) -> bool {
    out.extend_from_slice(text).is_ok()
}

fn put_name<const N: usize>(out: &mut Vec<u8, N>, name: &[u8]) -> bool {
    is_name(name) && name.iter().all(|byte| out.push(if *byte == b'\n' { b'/' } else { *byte }).is_ok())
}

fn read_name<'a>(text: &[u8], room: &'a mut Vec<u8, NAME>) -> Option<&'a [u8]> {
    room.clear();
    for byte in text {
        room.push(if *byte == b'/' { b'\n' } else { *byte }).ok()?;
    }
    is_name(room).then_some(room)
}

fn put_identifier<const N: usize>(out: &mut Vec<u8, N>, id: &[u8]) -> bool {
    is_identifier(id)
        && id.iter().all(|byte| match byte {
            b'\n' => put(out, b"\\n"),
            b'\\' => put(out, b"\\\\"),
            _ => out.push(*byte).is_ok(),
        })
}

fn read_identifier<'a>(text: &[u8], room: &'a mut Vec<u8, NAME>) -> Option<&'a [u8]> {
    room.clear();
    let mut rest = text;
    loop {
        let (byte, after) = match rest {
            [] => break,
            [b'\\', b'n', after @ ..] => (b'\n', after),
            [b'\\', b'\\', after @ ..] => (b'\\', after),
            [b'\\', ..] => return None,
            [byte, after @ ..] => (*byte, after),
        };
        room.push(byte).ok()?;
        rest = after;
    }
    is_identifier(room).then_some(room)
}

fn is_identifier(id: &[u8]) -> bool {
    (1..=NAME).contains(&id.len()) && !id.contains(&0)
}

/// What stands before and after the blank at `at`.
fn split(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn is_name(name: &[u8]) -> bool {
    (1..=NAME).contains(&name.len()) && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

/// Replaces what the service directory `dir` says that its service waits for: readers see the old lines or the new
/// ones. No cause: [`remove`].
pub fn write<'a>(dir: Fd, causes: impl IntoIterator<Item = Cause<'a>>) -> Result<()> {
    let mut causes = causes.into_iter().peekable();
    if causes.peek().is_none() {
        remove(dir);
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    let mut fd = file::open(dir, SCRATCH, flags, 0o666)?;
    let done = write_lines(fd, &mut causes);
    fd.close();
    done.and_then(|()| entry::rename(dir, SCRATCH, FILE))
}

fn write_lines(fd: Fd, causes: &mut dyn Iterator<Item = Cause<'_>>) -> Result<()> {
    let mut text = Vec::<u8, { 4 * LINE }>::new();
    for cause in causes {
        if text.len() + LINE > text.capacity() {
            file::write_all(fd, &text)?;
            text.clear();
        }
        if !cause.encode(&mut text) {
            return Err(Errno::INVAL);
        }
    }
    file::write_all(fd, &text)
}

/// The service of the service directory `dir` waits for nothing (any more). It may have been so already.
pub fn remove(dir: Fd) {
    let _ = entry::remove(dir, FILE);
}

/// Shows what the service of the service directory `dir` waits for, in the order of the file.
pub fn visit(dir: Fd, see: &mut dyn FnMut(&Cause<'_>)) -> Result<()> {
    let mut fd = match file::open(dir, FILE, OFlags::RDONLY | OFlags::NONBLOCK, 0) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let (mut buf, mut room) = ([0; 2 * LINE], Vec::new());
    let done = lines::visit_fd(fd, &mut buf, &mut |line| {
        if let Some(cause) = Cause::decode(line, &mut room) {
            see(&cause);
        }
        ControlFlow::Continue(())
    });
    fd.close();
    done.map(|_| ())
}

/// The scan directory `scandir` is being stopped, for `plan` (a word), and kills who is left at `deadline`.
pub fn write_stopping(scandir: Fd, plan: &str, deadline: Nanos) -> Result<()> {
    let mut text = Vec::<u8, 64>::new();
    if !(put(&mut text, plan.as_bytes()) && put(&mut text, b" ") && put(&mut text, Decimal::new(deadline).as_bytes())) {
        return Err(Errno::NAMETOOLONG);
    }
    let _ = text.push(b'\n');
    file::replace(scandir, STOPPING, STOPPING_SCRATCH, &text)
}

/// The scan directory `scandir` is not being stopped (any more).
pub fn remove_stopping(scandir: Fd) {
    let _ = entry::remove(scandir, STOPPING);
}

/// For what the scan directory `scandir` is being stopped, and when it kills who is left (0: never). `None`: it is not.
pub fn read_stopping(scandir: Fd, buf: &mut [u8; 64]) -> Option<(&str, Nanos)> {
    let line = file::read(scandir, STOPPING, buf).ok()?.strip_suffix(b"\n")?;
    let (plan, at) = split(line, line.iter().position(|byte| *byte == b' ')?)?;
    let is_word = !plan.is_empty() && plan.iter().all(u8::is_ascii_lowercase);
    Some((core::str::from_utf8(plan).ok().filter(|_| is_word)?, parse_u64(at)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use proptest::prelude::*;

    fn line(cause: Cause<'_>) -> String {
        let mut out = Vec::<u8, LINE>::new();
        assert!(cause.encode(&mut out));
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn lines_in(scratch: &Scratch) -> std::vec::Vec<String> {
        let mut seen = std::vec::Vec::new();
        visit(scratch.fd, &mut |cause| seen.push(line(*cause))).unwrap();
        seen
    }

    fn supervised() -> Scratch {
        let scratch = Scratch::new();
        scratch.mkdir("supervise");
        scratch
    }

    #[test]
    fn each_cause_is_a_line() {
        assert_eq!(line(Cause::Restart(1_500_000_000)), "restart 1500000000\n");
        assert_eq!(line(Cause::Kill(0)), "kill 0\n");
        assert_eq!(line(Cause::KillFinish(7)), "kill-finish 7\n");
        assert_eq!(line(Cause::Stop(u64::MAX)), "stop 18446744073709551615\n");
        for (reason, word) in [
            (Reason::Down, "down"),
            (Reason::NotReady, "not-ready"),
            (Reason::Missing, "missing"),
            (Reason::Cycle, "cycle"),
        ] {
            assert_eq!(line(Cause::Dependency { name: b"db", reason }), format!("dependency db {word}\n"));
        }
        assert_eq!(line(Cause::After(b"web")), "after web\n");
        assert_eq!(line(Cause::Order), "order\n");
        assert_eq!(Cause::decode(b"order", &mut Vec::new()), Some(Cause::Order));
        assert_eq!(line(Cause::Descriptor(b"unix:/run/a b")), "descriptor unix:/run/a b\n");
        assert_eq!(line(Cause::Descriptor(b"a\\b\nc")), "descriptor a\\\\b\\nc\n");
    }

    #[test]
    fn lines_that_are_not_known_are_none() {
        let unknown = [
            "",
            "restart",
            "restart ",
            "restart x",
            "restart 1 2",
            "restart 18446744073709551616",
            "start 1",
            "order ",
        ];
        let unknown = unknown.into_iter().chain(["descriptor ", "descriptor a\\", "descriptor \\t"]);
        for text in unknown.chain(["dependency db", "dependency  down", "dependency db up", "kill -1"]) {
            assert_eq!(Cause::decode(text.as_bytes(), &mut Vec::new()), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_file_name_is_not_written() {
        for name in [&b""[..], b"a/b", b"a\0b", &[b'x'; 256]] {
            let mut out = Vec::<u8, 1024>::from_slice(b"before\n").unwrap();
            assert!(!Cause::Dependency { name, reason: Reason::Down }.encode(&mut out));
            assert!(!Cause::After(name).encode(&mut out));
            assert_eq!(out, b"before\n");
        }
        for id in [&b""[..], b"a\0b", &[b'x'; 256]] {
            assert!(!Cause::Descriptor(id).encode(&mut Vec::<u8, 1024>::new()));
        }
    }

    #[test]
    fn the_longest_line_fits() {
        let long = [b'x'; NAME];
        assert!(line(Cause::Dependency { name: &long, reason: Reason::NotReady }).len() <= LINE);
        assert_eq!(line(Cause::Descriptor(&[b'\n'; NAME])).len(), LINE);
    }

    #[test]
    fn the_file_is_replaced_as_a_whole_and_goes_when_there_is_no_cause() {
        let scratch = supervised();
        assert_eq!(lines_in(&scratch), [""; 0]);
        write(scratch.fd, [Cause::Stop(2), Cause::Kill(1)]).unwrap();
        assert_eq!(lines_in(&scratch), ["stop 2\n", "kill 1\n"]);
        write(scratch.fd, [Cause::Dependency { name: b"a b\nc", reason: Reason::Missing }]).unwrap();
        assert_eq!(lines_in(&scratch), ["dependency a b/c missing\n"]);
        assert_eq!(scratch.names("supervise"), ["waiting"]);
        write(scratch.fd, []).unwrap();
        assert_eq!(scratch.names("supervise"), [""; 0]);
        remove(scratch.fd);
    }

    #[test]
    fn a_stop_is_told_with_its_deadline() {
        let scratch = Scratch::new();
        scratch.mkdir(".s6-svscan");
        let mut buf = [0; 64];
        assert_eq!(read_stopping(scratch.fd, &mut buf), None);
        write_stopping(scratch.fd, "poweroff", u64::MAX).unwrap();
        assert_eq!(read_stopping(scratch.fd, &mut buf), Some(("poweroff", u64::MAX)));
        assert_eq!(scratch.names(".s6-svscan"), ["stopping"]);
        for bad in ["", "stop", "stop 1", "stop x\n", " 1\n", "\x1b 1\n"] {
            scratch.write(".s6-svscan/stopping", bad);
            assert_eq!(read_stopping(scratch.fd, &mut buf), None, "{bad:?}");
        }
        remove_stopping(scratch.fd);
        assert_eq!(read_stopping(scratch.fd, &mut buf), None);
    }

    #[test]
    fn any_number_of_causes_is_written_and_read() {
        let scratch = supervised();
        let names: std::vec::Vec<String> = (0..300).map(|i| format!("{i}-{}", "n".repeat(i % 250))).collect();
        write(scratch.fd, names.iter().map(|name| Cause::Dependency { name: name.as_bytes(), reason: Reason::Down }))
            .unwrap();
        let expected: std::vec::Vec<String> = names.iter().map(|name| format!("dependency {name} down\n")).collect();
        assert_eq!(lines_in(&scratch), expected);
    }

    #[test]
    fn a_reader_skips_what_it_does_not_know() {
        let scratch = supervised();
        scratch.write("supervise/waiting", "moon full\nkill 5\nkill\n\nrestart 6");
        assert_eq!(lines_in(&scratch), ["kill 5\n", "restart 6\n"]);
    }

    fn any_cause() -> impl Strategy<Value = (u8, u64, std::vec::Vec<u8>, usize)> {
        let byte = any::<u8>().prop_filter("not in a file name", |byte| !matches!(byte, 0 | b'/'));
        (0..7u8, any::<u64>(), proptest::collection::vec(byte, 1..=NAME), 0..REASONS.len())
    }

    proptest! {
        #[test]
        fn a_line_reads_back((which, at, name, reason) in any_cause()) {
            let cause = match which {
                0 => Cause::Restart(at),
                1 => Cause::Kill(at),
                2 => Cause::KillFinish(at),
                3 => Cause::Stop(at),
                4 => Cause::After(&name),
                5 => Cause::Descriptor(&name),
                _ => Cause::Dependency { name: &name, reason: REASONS[reason].0 },
            };
            let mut out = Vec::<u8, LINE>::new();
            prop_assert!(cause.encode(&mut out));
            let text = out.strip_suffix(b"\n").unwrap();
            prop_assert!(!text.contains(&b'\n'));
            let mut room = Vec::new();
            prop_assert_eq!(Cause::decode(text, &mut room), Some(cause));
        }

        #[test]
        fn any_line_is_read_without_harm(line in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut room = Vec::new();
            if let Some(cause) = Cause::decode(&line, &mut room) {
                prop_assert!(cause.encode(&mut Vec::<u8, LINE>::new()));
            }
        }

        #[test]
        fn any_words_are_read_without_harm(word in "(restart|kill|stop|dependency|after|descriptor) [ -~]{0,30}( (down|cycle))?") {
            let mut room = Vec::new();
            if let Some(cause) = Cause::decode(word.as_bytes(), &mut room) {
                prop_assert!(cause.encode(&mut Vec::<u8, LINE>::new()));
            }
        }
    }
}
