//! A binary that is to take the place of a running one: what `reexec` and `check --binary` ask of it before.
//!
//! It must be a program of this machine, and it is run once, on trial, as a process of its own: `PATH check --hand-over` reads
//! a hand-over from descriptor 0, says in one line what it understood, and exits 0; 1 if it would lose something. Nothing
//! else happens in it, and it has a limited time.

use crate::applets::cli::{Cli, SYSTEM, USAGE};
use crate::state::handover;
use crate::state::stream::Summary;
use crate::sys::args::Argv;
use crate::sys::process::{self, Death};
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, elf, fd, file, poll};
use crate::text::CPath;
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::Write;

/// How the line begins that a candidate says. What follows is for people.
const HEADING: &[u8] = b"hand-over: ";

/// How long a candidate may take: it has a few milliseconds' work.
pub const PATIENCE: Nanos = 10 * SECOND;

/// It understands everything but would lose some of it.
pub const LOSES: i32 = 1;

/// What a candidate says of itself: version, layout, what it understood.
pub type Said = heapless::Vec<u8, 256>;

/// Opens the candidate and looks at it. The error is an exit code; why it is refused has been said.
pub fn open(cli: &Cli, path: &CStr) -> core::result::Result<Fd, i32> {
    let name = Printable(path.to_bytes());
    let mut fd = elf::open(path).map_err(|e| cli.unable(format_args!("open {name}"), e))?;
    match elf::examine(fd) {
        Ok(()) => Ok(fd),
        Err(unfit) => {
            fd.close();
            Err(cli.refuse(format_args!("{name} cannot take over: {unfit}")))
        }
    }
}

/// Runs an opened candidate on trial, for so many nanoseconds at most. `Ok(true)`: it understood everything; `false`: it would lose something. The error is an
/// exit code; why it is refused has been said.
pub fn try_out(
    cli: &Cli,
    path: &CStr,
    binary: Fd,
    handover: Fd,
    limit: Nanos,
    said: &mut Said,
) -> core::result::Result<bool, i32> {
    let name = Printable(path.to_bytes());
    let refuse = |why: core::fmt::Arguments<'_>| Err(cli.refuse(format_args!("{name} cannot take over: {why}")));
    let tried = run(cli, binary, handover, limit, said).map_err(|e| cli.unable(format_args!("run {name}"), e))?;
    let text = said.strip_prefix(HEADING).and_then(|line| line.strip_suffix(b"\n"));
    let text = text.and_then(|text| Said::from_slice(text).ok());
    match (tried, text) {
        (None, _) => refuse(format_args!("it has not read the hand-over within {} ms, on trial", limit / MILLI)),
        (Some(Death { wstat, .. }), _) if wstat & 0x7f != 0 => {
            refuse(format_args!("signal {} has ended it, on trial", wstat & 0x7f))
        }
        (Some(death), Some(text)) if matches!(death.exit_code(), 0 | LOSES) => {
            *said = text;
            Ok(death.exit_code() == 0)
        }
        (Some(death), _) if death.exit_code() == SYSTEM => refuse(format_args!("it cannot read the hand-over")),
        (Some(death), _) => {
            refuse(format_args!("it is no linchpin that knows hand-overs: it exits {}, on trial", death.exit_code()))
        }
    }
}

/// How it ended; `None`: it did not in time. Nothing is left of it.
fn run(cli: &Cli, binary: Fd, handover: Fd, limit: Nanos, said: &mut Said) -> Result<Option<Death>> {
    let (mut read, mut write) = fd::pipe()?;
    let numbered = CPath::<32>::of(&[b"/proc/self/fd/", Decimal::new(binary.0.unsigned_abs().into()).as_bytes()]);
    let argv = Argv::<4>::new(&[c"linchpin", c"check", c"--hand-over"]);
    let started = numbered.path().and_then(|path| {
        process::spawn_with(&mut || {
            let placed = handover.duplicate(3).and_then(|aside| {
                write.place(1)?;
                aside.place(0)
            });
            match placed {
                Ok(()) => process::exec_argv(path, &argv, cli.env()),
                Err(e) => e,
            }
        })
    });
    write.close();
    let deadline = time::boot().saturating_add(limit);
    let ended = match started {
        Ok(pid) => Ok(finish(pid, read, deadline, said)),
        Err(e) => Err(e),
    };
    read.close();
    ended
}

/// Reads what a child says, and waits until it has ended.
fn finish(pid: i32, from: Fd, deadline: Nanos, said: &mut Said) -> Option<Death> {
    said.clear();
    let mut chunk = [0; 256];
    while poll::readable(from, Some(deadline)).is_ok() {
        match file::read_some(from, &mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(n) => {
                // What is too long is no answer.
                let _ = said.extend_from_slice(chunk.get(..n).unwrap_or_default());
            }
        }
    }
    while time::boot() < deadline {
        match process::reap_ended(pid) {
            Ok(None) => {
                let pause = rustix::thread::Timespec { tv_sec: 0, tv_nsec: (MILLI / 2) as _ };
                let _ = rustix::thread::nanosleep(&pause);
            }
            Ok(death) => return death,
            Err(_) => break,
        }
    }
    let _ = process::kill(pid, 9);
    let _ = process::wait_for(pid);
    None
}

/// `check --hand-over`: this is the candidate.
pub fn answer(cli: &Cli) -> i32 {
    let taken = handover::try_out(Fd::STDIN, &mut |what| cli.warn(what));
    match taken {
        Ok(summary) => {
            let mut line = crate::log::Line::<256>::new();
            let _ = write!(line, "hand-over: {}", Understood(&summary));
            match file::write_all(Fd::STDOUT, line.finish("\n").as_bytes()) {
                Ok(()) if summary.is_whole() => 0,
                Ok(()) => LOSES,
                Err(e) => cli.unable("write to standard output", e),
            }
        }
        Err(handover::Refused::File(Errno::INVAL)) => cli.refuse("descriptor 0 is no hand-over"),
        Err(refused) => cli.fail(format_args!("the hand-over cannot be read: {refused}")),
    }
}

/// What was understood, in words.
struct Understood<'a>(&'a Summary);

impl core::fmt::Display for Understood<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Summary { services, held, clients, dropped, lost, .. } = self.0;
        let (version, layout) = (crate::VERSION, crate::state::layout::State::LAYOUT);
        write!(f, "version {version}, layout {layout:016x}, understands")?;
        write!(f, " {services} services, {held} held descriptors, {clients} clients")?;
        if self.0.is_whole() { Ok(()) } else { write!(f, "; loses {dropped} records, {lost} values") }
    }
}

const _: () = assert!(LOSES != USAGE);
