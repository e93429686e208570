//! `status`: a scanner and all services of its scan directory, and what each waits for.

mod head;
mod names;
pub(super) mod row;

use crate::applets::cli::{Cli, Opt, SYSTEM, WrongUsage};
use crate::applets::help;
use crate::applets::machine::columns::{Left, width_of};
use crate::service::{notify, waiting};
use crate::sys::args::Args;
use crate::sys::cell::TakeCell;
use crate::sys::entry::{self, FileType};
use crate::sys::{Errno, Fd, Result, dir, file, time};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ops::ControlFlow;
use names::Names;
use row::{Notes, Sight};
use rustix::fs::OFlags;

/// Usage line.
pub const USAGE: &str = "[scandir] [name...]";

/// What `--help` says besides.
const MORE: &str = "
A scandir begins with / or a dot, names do not. Without one it is the machine's, /run/service or /service.
Exit code: 0 all that are wanted up are up; 1 some are not; 111 some cannot be read
";

/// Some that are wanted up are not.
const MISSED: i32 = 1;
/// Where a scan directory is looked for.
pub const USUAL: [&CStr; 2] = [c"/run/service", c"/service"];
/// The name column is no wider: who has a longer name moves its own line only.
pub const WIDEST: usize = 40;

pub(super) static NAMES: TakeCell<Names> = TakeCell::new(Names::new());

/// `status [scandir] [name...]`. Without names, first what the scanner says of itself. A first word that begins with `/`
/// or `.` is the scan directory, unless it is a service directory; without it, the machine's is looked at. Names: only
/// these services (`NAME`, `NAME/log`, or, beginning with `/` or `.`, any service directory). Exit code: 0; 1 some that
/// are wanted up are not; 100; 111 some cannot be read.
pub fn status(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        match options.option()? {
            None => {}
            Some(Opt::Long(b"help") | Opt::Short(b'h')) => return Ok(help::usage_and(cli.applet(), MORE)),
            Some(_) => return Err(WrongUsage),
        }
        let words = options.operands(0)?;
        let first = words.get(0).filter(|word| is_path(word.to_bytes()) && !is_service(word));
        let (named, rest) = match first {
            Some(path) => (Some(path), words.skip(1)),
            None => (None, words),
        };
        let needed = rest.is_empty() || rest.iter().any(|name| !is_path(name));
        let found = if needed { scan_directory(cli, named) } else { Ok(Fd::NONE) };
        let mut scandir = match found {
            Ok(fd) => fd,
            Err(code) => return Ok(code),
        };
        let mut table = Table::new(cli, scandir);
        let code = if rest.is_empty() { table.all() } else { table.these(rest) };
        scandir.close();
        Ok(code)
    })
}

/// Whether a word is a path, not the name of a service: those do not begin with a dot.
fn is_path(word: &[u8]) -> bool {
    matches!(word.first(), Some(b'/' | b'.'))
}

/// Whether this is where the scanner keeps its own fd-holder's socket; one with `run` is a service.
fn is_holder(scandir: Fd, name: &CStr) -> bool {
    name == c"fdholder" && file::exists(scandir, c"fdholder/run") == Ok(false)
}

/// Whether a path is a service directory: supervised once, or ready to be.
fn is_service(path: &CStr) -> bool {
    open(Fd::CWD, path).is_ok_and(|mut dir| {
        let signs = [c"supervise", c"run"];
        let found = signs.iter().any(|sign| file::exists(dir, sign) == Ok(true));
        dir.close();
        found
    })
}

/// The scan directory that is named, or else the machine's. If there is none that is said, and it is the exit code.
pub(super) fn scan_directory(cli: &Cli, named: Option<&CStr>) -> core::result::Result<Fd, i32> {
    match named {
        Some(path) => {
            open(Fd::CWD, path).map_err(|e| cli.unable(format_args!("open {}", Printable(path.to_bytes())), e))
        }
        None => USUAL
            .iter()
            .find_map(|path| open(Fd::CWD, path).ok())
            .ok_or_else(|| cli.refuse("neither /run/service nor /service is there: name a scan directory")),
    }
}

pub(super) fn open(dir: Fd, path: &CStr) -> Result<Fd> {
    file::open(dir, path, OFlags::PATH | OFlags::DIRECTORY, 0)
}

/// The services of a scan directory, in the order of their names; answers how many had no room.
pub(super) fn gather(scandir: Fd, names: &mut Names) -> Result<usize> {
    let mut left_out = 0;
    dir::visit(scandir, c".", |name, kind| {
        let is_dir = match kind {
            FileType::Directory => true,
            FileType::Symlink | FileType::Unknown => entry::kind(scandir, name) == Ok(FileType::Directory),
            _ => false,
        };
        if is_dir && !name.to_bytes().starts_with(b".") && !is_holder(scandir, name) && !names.push(name.to_bytes()) {
            left_out += 1;
        }
        ControlFlow::Continue(())
    })?;
    names.sort();
    Ok(left_out)
}

/// Whether a service of a scan directory has a logger.
pub(super) fn is_logged(scandir: Fd, name: &[u8]) -> bool {
    let path = CPath::<{ PATH }>::of(&[name, b"/log"]);
    path.path().and_then(|path| entry::kind(scandir, path)) == Ok(FileType::Directory)
}

/// The table being printed.
struct Table<'a> {
    cli: &'a Cli,
    scandir: Fd,
    width: usize,
    now: Stamp,
    out: Out,
    missed: bool,
    unreadable: Option<Errno>,
    unsupervised: usize,
}

impl<'a> Table<'a> {
    fn new(cli: &'a Cli, scandir: Fd) -> Table<'a> {
        let out = Out::new();
        Table { cli, scandir, width: 4, now: Stamp::now(), out, missed: false, unreadable: None, unsupervised: 0 }
    }

    /// Every service of the scan directory and its logger, in the order of their names.
    fn all(&mut self) -> i32 {
        let Some(names) = NAMES.take() else { return SYSTEM };
        let left_out = match gather(self.scandir, names) {
            Ok(left_out) => left_out,
            Err(e) => return self.cli.unable("read the scan directory", e),
        };
        self.head();
        for name in names.iter() {
            let logger = is_logged(self.scandir, name);
            self.widen(&[name, if logger { b"/log" } else { b"" }]);
        }
        if names.iter().next().is_some() {
            let _ = row::heading(&mut self.out, self.width);
        }
        for name in names.iter() {
            self.show(&CPath::of(&[name]));
            if is_logged(self.scandir, name) {
                self.show(&CPath::of(&[name, b"/log"]));
            }
        }
        let code = self.end();
        if names.iter().next().is_none() {
            self.cli.warn("there is no service in the scan directory");
        }
        if left_out > 0 {
            self.cli.warn(format_args!("{left_out} services more are not shown: name them to see them"));
        }
        self.warn_of_scanner();
        code
    }

    /// What the scanner says of itself, if somebody scans.
    fn head(&mut self) {
        if self.is_scanned() == Ok(true) {
            match head::show(&mut self.out, self.scandir) {
                // Its files are for its user, usually root; services may be readable all the same.
                Ok(false) | Err(Errno::ACCESS | Errno::PERM) => {}
                Ok(true) => {
                    let _ = self.out.write_char('\n');
                }
                Err(e) => self.cli.warn(format_args!("unable to read .s6-svscan/state: {}", Reason(e))),
            }
        }
    }

    /// That everything is being stopped.
    fn warn_of_stop(&self) {
        let mut buf = [0; 64];
        match waiting::read_stopping(self.scandir, &mut buf) {
            None => {}
            Some((plan, 0)) => self.cli.warn(format_args!("{plan}: everything is being stopped")),
            Some((plan, at)) => {
                let left = Left(at.saturating_sub(time::boot()));
                self.cli.warn(format_args!("{plan}: everything is being stopped; who is left is killed {left}"));
            }
        }
    }

    fn is_scanned(&self) -> Result<bool> {
        let mut lock = file::open(self.scandir, c".s6-svscan/lock", OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
        let locked = file::is_locked(lock);
        lock.close();
        locked
    }

    /// What keeps services without a supervisor.
    fn warn_of_scanner(&self) {
        match self.is_scanned() {
            Ok(true) if waiting::read_stopping(self.scandir, &mut [0; 64]).is_some() => self.warn_of_stop(),
            Ok(true) if self.unsupervised > 0 => {
                self.cli.warn("some are not supervised: svscanctl -a makes the scanner look for new services");
            }
            Ok(true) => {}
            Ok(false) | Err(Errno::NOENT) => self.cli.warn("nobody scans this directory: svscan does"),
            Err(e) => self.cli.warn(format_args!("unable to tell whether it is scanned: {}", Reason(e))),
        }
    }

    /// The services that are named.
    fn these(&mut self, names: Args) -> i32 {
        for name in names.iter() {
            match self.open(name) {
                Ok(mut fd) => fd.close(),
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    let name = Printable(name);
                    return self.cli.refuse(format_args!("there is no service {name}: without names, all are listed"));
                }
                Err(e) => return self.cli.unable(format_args!("open {}", Printable(name)), e),
            }
            self.widen(&[name]);
        }
        let _ = row::heading(&mut self.out, self.width);
        for name in names.iter() {
            self.show(&CPath::of(&[name]));
        }
        self.end()
    }

    fn widen(&mut self, name: &[&[u8]]) {
        let width = name.iter().map(|part| width_of(&Printable(part))).sum();
        self.width = self.width.max(width).min(WIDEST);
    }

    fn open(&self, name: &[u8]) -> Result<Fd> {
        let path = CPath::<{ PATH }>::of(&[name]);
        open(if is_path(name) { Fd::CWD } else { self.scandir }, path.path()?)
    }

    fn show(&mut self, name: &CPath<{ PATH }>) {
        let mut fd = match self.open(name.as_bytes()) {
            Err(Errno::NOENT) => return, // it has just gone
            other => other.unwrap_or(Fd::NONE),
        };
        let sight = Sight::look(fd);
        match sight {
            Sight::Unreadable(e) => self.unreadable = Some(e),
            Sight::Unsupervised { .. } => self.unsupervised += 1,
            Sight::Supervised { .. } => {}
        }
        self.missed |= sight.is_missed();
        let _ = row::begin(&mut self.out, name.as_bytes(), self.width, &sight, self.now);
        let mut notes = Notes::new(&mut self.out, time::boot());
        let _ = notes.about(&sight);
        if matches!(sight, Sight::Supervised { .. }) {
            // Whoever reads the status may read this; s6 does not write it.
            let _ = waiting::visit(fd, &mut |cause| {
                let _ = notes.cause(cause);
            });
            let mut buf = [0; notify::SHOWN_MOST];
            let _ = notes.said(&notify::shown(fd, &mut buf).unwrap_or_default());
        }
        let _ = self.out.write_char('\n');
        fd.close();
    }

    /// Prints what is left; answers with the exit code.
    fn end(&mut self) -> i32 {
        if let Err(e) = self.out.finish() {
            return self.cli.unable("write to standard output", e);
        }
        match self.unreadable {
            Some(Errno::ACCESS | Errno::PERM) => {
                self.cli.warn("some cannot be read: their supervisors' user, usually root, may");
                SYSTEM
            }
            Some(_) => SYSTEM,
            None if self.missed => MISSED,
            None => 0,
        }
    }
}

/// Longest path of a service that can be named.
pub(super) const PATH: usize = 1024;

/// Standard output, a few lines at a time.
pub(super) struct Out {
    buf: heapless::Vec<u8, 2048>,
    failed: Option<Errno>,
}

impl Out {
    /// Nothing written yet.
    pub(super) fn new() -> Out {
        Out { buf: heapless::Vec::new(), failed: None }
    }

    /// Writes what is left. Error: what could not be written, now or before.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.flush();
        self.failed.map_or(Ok(()), Err)
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = file::write_all(Fd::STDOUT, &self.buf).err();
        }
        self.buf.clear();
    }
}

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.buf.is_full() {
                self.flush();
            }
            let _ = self.buf.push(byte);
        }
        Ok(())
    }
}
