//! `linchpin klog [-n] [-k] [-d] [-s statefile] [-f file]`: prints the kernel's log as lines,
//! `facility.priority: [   12.345678] text`, and goes on as there are more. `-n`: prints what there is, and ends.
//!
//! Process 1 writes its own lines there too, and others may; `-k` leaves out what is not the kernel's. `-d` shows
//! which device a line is about (` SUBSYSTEM=pci`), each in a line of its own with the same beginning. A text of several
//! lines becomes as many.
//!
//! The kernel keeps the last lines, and overwrites older ones whether they were read or not. It is asked for no more than
//! can be written, so while nobody reads our lines they wait in its memory; how many records were overwritten is told in
//! their place. With `-s` it remembers in statefile how far it has come, and since which boot: the next one goes on there. That
//! is written after the lines were, when they have come to rest or have not for a second, and at a SIGTERM. One that is
//! killed may make the next one repeat the lines of that second; none is missing.

use super::whole::Whole;
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::KMSG_RECORD;
use crate::sys::cell::TakeCell;
use crate::sys::poll::{self, PollFd, PollFlags};
use crate::sys::signal::{SignalSet, number as sig, open_signalfd};
use crate::sys::time::{self, Nanos, SECOND};
use crate::sys::{Errno, Fd, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::kmsg::{BOOT, FRONT, PLACE, Piece, Place, Record, decode};
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use crate::text::syslog::{KERN, Origin};
use core::ffi::CStr;
use rustix::fs::{OFlags, SeekFrom};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -n ] [ -k ] [ -d ] [ -s statefile ] [ -f file ]";

/// How often the place is written while lines come without end.
const REST: Nanos = SECOND;

/// A record, and what is left of another that did not come whole, as from a file.
static INPUT: TakeCell<[u8; 2 * KMSG_RECORD]> = TakeCell::new([0; 2 * KMSG_RECORD]);
static OUTPUT: TakeCell<Whole> = TakeCell::new(Whole::new());

/// Why it ends before there is nothing more: the exit code; what is wrong has been said.
type Done<T = ()> = Result<T, i32>;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut once, mut kernel_only, mut details) = (false, false, false);
        let (mut state, mut path) = (None, c"/dev/kmsg");
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'n') => once = true,
                Opt::Short(b'k') => kernel_only = true,
                Opt::Short(b'd') => details = true,
                Opt::Short(b's') => state = Some(options.text()?),
                Opt::Short(b'f') => path = options.text()?,
                _ => return Err(WrongUsage),
            }
        }
        options.operands(0)?;
        let (Some(input), Some(output)) = (INPUT.take(), OUTPUT.take()) else {
            return Ok(cli.unable("run twice", Errno::BUSY));
        };
        let shown = Printable(path.to_bytes());
        let source = match file::open(Fd::CWD, path, OFlags::RDONLY | OFlags::NONBLOCK, 0) {
            Ok(fd) => fd,
            Err(e) => return Ok(cli.unable(format_args!("open {shown}"), e)),
        };
        let mut signals = Fd::NONE;
        if !once {
            let told = SignalSet::of(&[sig::TERM]);
            SignalSet::blocked().union(told).union(SignalSet::of(&[sig::PIPE])).block();
            signals = match open_signalfd(told) {
                Ok(fd) => fd,
                Err(e) => return Ok(cli.unable("trap signals", e)),
            };
        }
        let (memory, known) = Memory::open(cli, state);
        let printer = Printer { cli, signals, output, wrote: false, kernel_only, details, front: None };
        let mut reader = Reader { cli, source, path, printer, memory, next: known, resuming: known > 0, skipped: None };
        let done = reader.run(input);
        reader.memory.save();
        Ok(done.map_or_else(|code| code, |()| 0))
    })
}

struct Reader<'c> {
    cli: &'c Cli,
    source: Fd,
    path: &'static CStr,
    printer: Printer<'c>,
    memory: Memory<'c>,
    /// The number of the record that is to come.
    next: u64,
    /// Records before that one were printed earlier.
    resuming: bool,
    /// The last of those that has come.
    skipped: Option<u64>,
}

impl Reader<'_> {
    fn run(&mut self, input: &mut [u8; 2 * KMSG_RECORD]) -> Done {
        let mut length = 0;
        loop {
            match rustix::io::read(self.source, input.get_mut(length..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(n) => {
                    length += n;
                    let left = self.take(input.get(..length).unwrap_or_default())?;
                    input.copy_within(length - left..length, 0);
                    length = left;
                    if self.memory.is_due() {
                        self.rest()?;
                    }
                }
                // What we would have read next was overwritten: the numbers tell how much.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if self.doubt() {
                        continue;
                    }
                    if self.printer.signals == Fd::NONE {
                        break;
                    }
                    self.printer.flush()?;
                    if !self.wait()? {
                        return Ok(());
                    }
                }
                Err(e) => return Err(self.cli.unable(format_args!("read {}", Printable(self.path.to_bytes())), e)),
            }
        }
        if self.doubt() {
            return self.run(input);
        }
        // A last line without a newline: no kernel's.
        if length > 0 {
            self.line(input.get(..length).unwrap_or_default())?;
        }
        self.rest()
    }

    /// Prints the lines that are whole; answers how many bytes of another one there are. One for which there is no room is
    /// cut: no kernel's.
    fn take(&mut self, bytes: &[u8]) -> Done<usize> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line(rest.get(..end).unwrap_or_default())?;
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        if rest.len() > KMSG_RECORD {
            self.line(rest)?;
            return Ok(0);
        }
        Ok(rest.len())
    }

    fn line(&mut self, line: &[u8]) -> Done {
        let Some(record) = Record::parse(line) else {
            let done = self.printer.more(line);
            self.printer.wrote = false;
            return done;
        };
        if self.resuming && record.sequence < self.next {
            self.skipped = Some(record.sequence);
            return self.printer.skip();
        }
        self.resuming = false;
        let done = self.printer.lost(record.sequence.saturating_sub(self.next));
        let done = done.and_then(|()| self.printer.record(&record));
        if core::mem::take(&mut self.printer.wrote) {
            // All lines before this record's, which were whole.
            self.memory.written = self.memory.seen;
        }
        done?;
        self.next = record.sequence.wrapping_add(1);
        self.memory.seen = Some(record.sequence);
        Ok(())
    }

    /// Whether all there was is older than what we remember: that is not of this log, and all is read again.
    fn doubt(&mut self) -> bool {
        let behind = self.skipped.is_some_and(|last| last.wrapping_add(1) < self.next);
        if !(self.resuming && behind) {
            return false;
        }
        (self.resuming, self.next) = (false, 0);
        let again = rustix::fs::seek(self.source, SeekFrom::Start(0)).is_ok();
        self.cli.warn("the state file tells of records that do not exist: all are printed again");
        again
    }

    /// All that was taken is written, and that is remembered.
    fn rest(&mut self) -> Done {
        self.printer.flush()?;
        self.memory.written = self.memory.seen;
        if self.memory.is_due() {
            self.memory.save();
        }
        Ok(())
    }

    /// Waits for more, all being written. False: we are to end.
    fn wait(&mut self) -> Done<bool> {
        self.rest()?;
        loop {
            let mut asked =
                [PollFd::new(&self.source, PollFlags::IN), PollFd::new(&self.printer.signals, PollFlags::IN)];
            let waited = poll::any(&mut asked, self.memory.due());
            let [_, told] = asked.map(|fd| !fd.revents().is_empty());
            if told {
                return Ok(false);
            }
            match waited {
                Err(Errno::TIMEDOUT) => self.memory.save(),
                Err(e) => return Err(self.cli.unable("poll", e)),
                Ok(()) => return Ok(true),
            }
        }
    }
}

struct Printer<'c> {
    cli: &'c Cli,
    /// A signalfd for SIGTERM; `NONE`: a signal just ends us.
    signals: Fd,
    output: &'static mut Whole,
    /// Something was written: all lines that were whole then.
    wrote: bool,
    kernel_only: bool,
    details: bool,
    /// How the lines of the record begin whose first line came last; `None`: it is not printed.
    front: Option<heapless::Vec<u8, FRONT>>,
}

impl Printer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Done {
        let Printer { cli, signals, output, wrote, .. } = self;
        output.put(bytes, &mut |piece| {
            write(cli, *signals, piece)?;
            *wrote = true;
            Ok(())
        })
    }

    fn flush(&mut self) -> Done {
        let Printer { cli, signals, .. } = *self;
        self.output.flush(&mut |piece| write(cli, signals, piece))
    }

    fn record(&mut self, record: &Record<'_>) -> Done {
        self.front = (!self.kernel_only || record.origin.facility() == KERN).then(|| record.front());
        if self.front.is_some() { self.text(b"", record.text) } else { Ok(()) }
    }

    /// The record is not printed.
    fn skip(&mut self) -> Done {
        self.front = None;
        Ok(())
    }

    /// A line that is not the first of its record. One that belongs to none is printed as it is.
    fn more(&mut self, line: &[u8]) -> Done {
        match line.strip_prefix(b" ") {
            Some(_) if self.front.is_none() || !self.details => Ok(()),
            Some(detail) => self.text(b" ", detail),
            None => {
                self.front = Some(heapless::Vec::new());
                self.text(b"", line)
            }
        }
    }

    /// Prints a text with what its lines begin with.
    fn text(&mut self, before: &[u8], text: &[u8]) -> Done {
        let front = self.front.clone().unwrap_or_default();
        self.put(&front)?;
        self.put(before)?;
        let mut done = Ok(());
        decode(text, &mut |piece| {
            if done.is_ok() {
                done = match piece {
                    Piece::Text(bytes) => self.put(bytes),
                    Piece::Break => self.put(b"\n").and_then(|()| self.put(&front)),
                };
            }
        });
        done?;
        self.put(b"\n")
    }

    /// So many records were not to be had.
    fn lost(&mut self, count: u64) -> Done {
        if count == 0 {
            return Ok(());
        }
        let origin = Origin::SYSLOG_WARNING;
        for piece in [
            origin.facility_name().as_bytes(),
            b".",
            origin.priority_name().as_bytes(),
            b": klog: here ",
            Decimal::new(count).as_bytes(),
            if count == 1 { b" record is" } else { b" records are" },
            b" missing, which the kernel had overwritten before it was asked for them\n",
        ] {
            self.put(piece)?;
        }
        Ok(())
    }
}

/// Writes a piece when it can be written without waiting. When we are told to end before that, it is not: the next one
/// reads it again.
fn write(cli: &Cli, signals: Fd, mut piece: &[u8]) -> Done {
    while !piece.is_empty() {
        if signals.is_some() {
            let stdout = Fd::STDOUT;
            let mut asked = [PollFd::new(&stdout, PollFlags::OUT), PollFd::new(&signals, PollFlags::IN)];
            poll::any(&mut asked, None).map_err(|e| cli.unable("poll", e))?;
            let [output, told] = asked.map(|fd| !fd.revents().is_empty());
            if told && !output {
                return Err(0);
            }
        }
        match rustix::io::write(Fd::STDOUT, piece) {
            Ok(written) => piece = piece.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => poll::writable(Fd::STDOUT, None).map_err(|e| cli.unable("poll", e))?,
            Err(e) => return Err(cli.unable("write to stdout", e)),
        }
    }
    Ok(())
}

/// The state file.
struct Memory<'c> {
    cli: &'c Cli,
    /// Its path, and that of the file that takes its place; `None`: there is none.
    paths: Option<[&'static CStr; 2]>,
    boot: [u8; BOOT],
    /// The last record that was taken, and the last one before which all lines are written.
    seen: Option<u64>,
    written: Option<u64>,
    /// What the file says.
    saved: Option<u64>,
    saved_at: Nanos,
    /// It was said that it cannot be written.
    complained: bool,
}

static SCRATCH: TakeCell<CPath<4096>> = TakeCell::new(CPath::new());

impl<'c> Memory<'c> {
    /// Reads what is remembered; the number of the first record that was not printed.
    fn open(cli: &'c Cli, path: Option<&'static CStr>) -> (Memory<'c>, u64) {
        let mut memory = Memory {
            cli,
            paths: None,
            boot: [0; BOOT],
            seen: None,
            written: None,
            saved: None,
            saved_at: 0,
            complained: false,
        };
        let Some(path) = path else { return (memory, 0) };
        let shown = Printable(path.to_bytes());
        let boot = file::read(Fd::CWD, c"/proc/sys/kernel/random/boot_id", &mut memory.boot);
        if let Err(e) = boot.and_then(|id| if id.len() == BOOT { Ok(()) } else { Err(Errno::INVAL) }) {
            cli.warn(format_args!("unable to find out which boot this is: {}: {shown} is not used", Reason(e)));
            return (memory, 0);
        }
        let scratch = SCRATCH.take().and_then(|scratch| {
            scratch.push(path.to_bytes());
            scratch.push(b".new");
            scratch.get()
        });
        match scratch {
            Some(scratch) => memory.paths = Some([path, scratch]),
            None => cli.warn(format_args!("{shown} is not used: {}", Reason(Errno::NAMETOOLONG))),
        }
        let mut text = [0; PLACE + 1];
        match file::read(Fd::CWD, path, &mut text).map(Place::parse) {
            Ok(Some(place)) if place.boot == memory.boot => {
                memory.saved = Some(place.sequence);
                return (memory, place.sequence.saturating_add(1));
            }
            Ok(Some(_)) | Err(Errno::NOENT) => {}
            Ok(None) => cli.warn(format_args!("{shown} is damaged: all records are printed")),
            Err(e) => cli.warn(format_args!("unable to read {shown}: {}: all records are printed", Reason(e))),
        }
        (memory, 0)
    }

    /// There is something to be saved, and it was not for a while.
    fn is_due(&self) -> bool {
        self.paths.is_some() && self.seen != self.saved && time::boot() >= self.saved_at.saturating_add(REST)
    }

    /// When what is written has to be saved; `None`: it is.
    fn due(&self) -> Option<Nanos> {
        (self.paths.is_some() && self.written != self.saved).then(|| self.saved_at.saturating_add(REST))
    }

    fn save(&mut self) {
        let (Some([path, scratch]), Some(sequence)) = (self.paths, self.written) else { return };
        if self.written == self.saved {
            return;
        }
        // Whether that works or not, it is not tried again at once.
        (self.saved, self.saved_at) = (self.written, time::boot());
        match file::replace(Fd::CWD, path, scratch, &Place { boot: self.boot, sequence }.to_text()) {
            Ok(()) => self.complained = false,
            Err(e) if !self.complained => {
                self.complained = true;
                let shown = Printable(path.to_bytes());
                self.cli.warn(format_args!("unable to write {shown}: {}", Reason(e)));
            }
            Err(_) => {}
        }
    }
}
