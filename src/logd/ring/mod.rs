//! A ring: a file of fixed size in memory that keeps the last lines, and counts those that had to go. `DIR/ring`, guarded by
//! `DIR/lock` as a logdir is. To store a line takes no system call, and what was stored outlives the logger.

mod layout;
mod view;

use super::dir::{Report, Settings};
use crate::sys::ring::{allocate, map, with_map};
use crate::sys::{Errno, Fd, entry, file, random};
use crate::text::errno::Reason;
use crate::text::find;
use crate::text::quote::Printable;
use core::ffi::CStr;
use rustix::fs::{FileType, OFlags};

pub use layout::{Fault, HEADER, Header, MARK, State, Writer, pieces, write_state};
pub use view::{Got, Source, View, look};

/// The ring's name in its directory.
pub const NAME: &CStr = c"ring";
/// What is to become it.
const SCRATCH: &CStr = c"ring.new";
const PAGE: u32 = 4096;

/// An open ring, to be written to.
pub struct Ring {
    writer: Writer<'static>,
    /// It stays open: whoever looks for the logs of a service finds it in /proc.
    _file: Fd,
    /// So does this: it is the lock.
    _lock: Fd,
}

impl Ring {
    /// Makes it if it is not there, locks it, and goes on behind what it holds. Its size is that of `settings`, in whole
    /// pages. What a ring of another size holds is carried over, the last lines, as far as they fit. The error is an exit
    /// code; why has been said.
    pub fn open(settings: &Settings, report: &Report<'_>) -> Result<Ring, i32> {
        let (cli, path) = (report.cli, Printable(settings.path.to_bytes()));
        file::make_dir(Fd::CWD, settings.path, 0o2700).map_err(|e| cli.unable(format_args!("mkdir {path}"), e))?;
        let mut dir = file::open_dir(Fd::CWD, settings.path).map_err(|e| cli.unable(format_args!("open {path}"), e))?;
        let size = settings.ring.max(PAGE).next_multiple_of(PAGE) as usize;
        let ring = Opening { dir, path: settings.path, size, report }.open();
        dir.close();
        ring
    }

    /// Adds a line: the pieces together; the last one ends with a newline. What is oldest goes. Of one that is longer than
    /// the ring the beginning is kept, with a mark at its end.
    pub fn push(&mut self, pieces: &[&[u8]]) {
        self.writer.push(pieces);
    }

    /// How much it holds, and what had to go.
    pub fn state(&self) -> State {
        self.writer.state()
    }
}

/// A ring being opened.
struct Opening<'a> {
    dir: Fd,
    path: &'a CStr,
    size: usize,
    report: &'a Report<'a>,
}

impl Opening<'_> {
    fn open(&self) -> Result<Ring, i32> {
        let (cli, path) = (self.report.cli, Printable(self.path.to_bytes()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK;
        let mut lock =
            file::open(self.dir, c"lock", flags, 0o666).map_err(|e| cli.unable(format_args!("open {path}/lock"), e))?;
        let locked = file::lock_open(lock).map_err(|e| {
            let e = if e == Errno::AGAIN { Errno::BUSY } else { e };
            cli.unable(format_args!("lock {path}/lock"), e)
        });
        let opened = locked.and_then(|()| self.go_on_or_make());
        match opened {
            Ok((writer, file)) => Ok(Ring { writer, _file: file, _lock: lock }),
            Err(code) => {
                lock.close();
                Err(code)
            }
        }
    }

    fn go_on_or_make(&self) -> Result<(Writer<'static>, Fd), i32> {
        let (cli, path) = (self.report.cli, Printable(self.path.to_bytes()));
        let _ = entry::remove(self.dir, SCRATCH);
        let mut old = match file::open(self.dir, NAME, OFlags::RDWR | OFlags::NONBLOCK, 0) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return self.make_new(),
            Err(e) => return Err(cli.unable(format_args!("open {path}/ring"), e)),
        };
        let known = self.look(old);
        let header = match known {
            Ok(header) if header.capacity == self.size => match self.go_on(old)? {
                Ok(writer) => return Ok((writer, old)),
                Err(fault) => Err(fault),
            },
            other => other,
        };
        let made = match header {
            Ok(header) => self.make(&mut old, header.id, header.state),
            Err(fault) => {
                self.report.warn(format_args!("{path}/ring cannot be gone on with ({fault}): what it held is dropped"));
                self.make_new()
            }
        };
        old.close();
        made
    }

    /// Makes a ring that begins with nothing.
    fn make_new(&self) -> Result<(Writer<'static>, Fd), i32> {
        let mut nothing = Fd::NONE;
        self.make(&mut nothing, random_id(), State::default())
    }

    /// What an open file says of itself.
    fn look(&self, fd: Fd) -> Result<Header, Fault> {
        let mut bytes = [0; layout::USED];
        let read = file::read_at(fd, &mut bytes, 0).unwrap_or(0);
        let is_file =
            rustix::fs::fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        let size = if is_file { file::size(fd).unwrap_or(0) } else { 0 };
        Header::read(bytes.get(..read).unwrap_or_default(), size)
    }

    /// Goes on with a file of the right size. The inner error is what is wrong with it.
    fn go_on(&self, fd: Fd) -> Result<Result<Writer<'static>, Fault>, i32> {
        let memory = self.memory(fd)?;
        Ok(Writer::go_on(memory))
    }

    fn memory(&self, fd: Fd) -> Result<&'static mut [u8], i32> {
        let size = HEADER + self.size;
        allocate(fd, size as u64).and_then(|()| map(fd, size)).map_err(|e| self.no_memory(e))
    }

    fn no_memory(&self, e: Errno) -> i32 {
        let (cli, path, size) = (self.report.cli, Printable(self.path.to_bytes()), HEADER + self.size);
        match e {
            Errno::NOSPC | Errno::DQUOT => cli.fail(format_args!(
                "no room for the {size} bytes of {path}/ring: {}: make the ring smaller (ram:) or its file system larger",
                Reason(e)
            )),
            _ => cli.unable(format_args!("map {path}/ring"), e),
        }
    }

    /// Makes a ring, under another name until it is whole. It begins with what `old` holds, if that is something.
    fn make(&self, old: &mut Fd, id: u64, state: State) -> Result<(Writer<'static>, Fd), i32> {
        let (cli, path) = (self.report.cli, Printable(self.path.to_bytes()));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let mut file = file::open(self.dir, SCRATCH, flags, 0o666)
            .map_err(|e| cli.unable(format_args!("create {path}/ring.new"), e))?;
        let made = match allocate(file, (HEADER + self.size) as u64) {
            Err(Errno::NOSPC | Errno::DQUOT) if old.is_some() => {
                // The two do not fit together, so the new one begins empty. It knows what is gone.
                let (bytes, lines) = (state.end - state.start, state.lines - state.gone);
                let dropped = entry::remove(self.dir, NAME);
                // Its room is free when nobody has it open any more.
                old.close();
                self.report.warn(format_args!(
                    "no room for a new {path}/ring beside the old one: its {lines} lines ({bytes} bytes) are dropped"
                ));
                dropped.map_err(|e| cli.unable(format_args!("remove {path}/ring"), e))?;
                self.fill(file, Fd::NONE, id, state)
            }
            Err(e) => Err(self.no_memory(e)),
            Ok(()) => self.fill(file, *old, id, state),
        };
        let made = made.and_then(|writer| {
            let renamed = entry::rename(self.dir, SCRATCH, NAME);
            renamed.map_err(|e| cli.unable(format_args!("rename {path}/ring.new to {path}/ring"), e)).map(|()| writer)
        });
        match made {
            Ok(writer) => Ok((writer, file)),
            Err(code) => {
                let _ = entry::remove(self.dir, SCRATCH);
                file.close();
                Err(code)
            }
        }
    }

    fn fill(&self, file: Fd, old: Fd, id: u64, state: State) -> Result<Writer<'static>, i32> {
        let memory = self.memory(file)?;
        // The oldest line keeps the position and the number that it has.
        let begin = State { end: state.start, lines: state.gone, ..state };
        let begin = if old.is_some() { begin } else { state };
        let mut writer = Writer::make(memory, id, begin).ok_or_else(|| self.no_memory(Errno::INVAL))?;
        if old.is_some() {
            let path = Printable(self.path.to_bytes());
            let carried = carry(old, state, &mut writer);
            if carried.is_err() {
                writer.forget(state);
            }
            if writer.state().end != state.end {
                // A line has been cut, so that readers who know the old one would go on at a wrong place.
                writer.set_id(random_id());
            }
            let lines = writer.state().gone - state.gone;
            match carried {
                Ok(()) if lines == 0 => {}
                Ok(()) => self.report.warn(format_args!("{path}/ring has become smaller: {lines} lines are dropped")),
                Err(why) => self.report.warn(format_args!("{path}/ring: {why}: {lines} lines are dropped")),
            }
        }
        Ok(writer)
    }
}

/// Why a ring cannot be carried over.
enum Trouble {
    Fault(Fault),
    System(Errno),
}

impl core::fmt::Display for Trouble {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Trouble::Fault(fault) => fault.fmt(f),
            Trouble::System(e) => write!(f, "unable to map it: {}", Reason(*e)),
        }
    }
}

/// Pushes every line of one ring, which is as far as `state`, into another one.
fn carry(old: Fd, state: State, writer: &mut Writer<'_>) -> Result<(), Trouble> {
    let header = look(&old).map_err(Trouble::Fault)?;
    let size = HEADER + header.capacity;
    let carried = allocate(old, size as u64).and_then(|()| {
        with_map(old, size, |memory| {
            Writer::go_on(memory)?;
            let data = memory.get(HEADER..).unwrap_or_default();
            let mut at = state.start;
            while at < state.end {
                let [first, second] = pieces(data, at, state.end);
                let len = match find::first(first, b'\n') {
                    Some(end) => end + 1,
                    None => first.len() + find::first(second, b'\n').map_or(second.len(), |end| end + 1),
                };
                let end = at + len as u64;
                writer.push(&pieces(data, at, end));
                at = end;
            }
            Ok(())
        })
    });
    carried.map_err(Trouble::System)?.map_err(Trouble::Fault)
}

fn random_id() -> u64 {
    let mut id = [0; 8];
    random::fill(&mut id);
    u64::from_le_bytes(id)
}
