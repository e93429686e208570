//! A logdir: s6-log's files, byte for byte. Opening it recovers what an earlier logger has left; lines are pushed into
//! memory and flushed to `current`, which is rotated when it is full.
//!
//! Names in it are looked up in the directory as it was opened: one that has been moved is still written to.

mod archive;
mod names;
mod pending;
mod place;
mod processor;
mod recover;
mod rotate;
mod trim;

use crate::applets::cli::Cli;
use crate::limits::{LOG_CHUNK, LOG_PENDING};
use crate::sys::time::{MILLI, Nanos, boot};
use crate::sys::{Fd, append, file};
use crate::{fault_errno, fault_point};
use archive::Archiver;
use core::ffi::CStr;
use core::fmt::Display;
use place::{Doing, Failed, Place};
use processor::Ended;
use rotate::Step;

pub use pending::Pending;

/// What runs a processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interpreter {
    /// `!CMD`: `execlineb -Pc CMD`; /bin/sh where there is no execlineb.
    Execline,
    /// `?CMD`: `/bin/sh -c CMD`.
    Shell,
}

/// What the control directives in front of it say about a logdir.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Its path.
    pub path: &'static CStr,
    /// `nN`: archives that are kept.
    pub archives: u32,
    /// `SN`: bytes that all archives together may have; 0: any number.
    pub total: u64,
    /// `sN`: bytes at which `current` is rotated.
    pub size: u32,
    /// `lN`: bytes before that at which it may be.
    pub tolerance: u32,
    /// `rN`, in nanoseconds: how long after an error it is tried again.
    pub retry: Nanos,
    /// `RN`, in nanoseconds: how old `current` may become; 0: any age.
    pub age: Nanos,
    /// `!CMD`, `?CMD`: what processes an archive.
    pub processor: Option<(Interpreter, &'static CStr)>,
    /// `cTIME`, in nanoseconds: how long a line may wait in memory for others, to be written together; 0: for no
    /// time, or any if `gather_size` is not 0.
    pub gather_time: Nanos,
    /// `cSIZE`: how many bytes may wait so; 0: as many as [`LOG_CHUNK`]. With this alone they wait until there are so many.
    pub gather_size: u32,
    /// `ram:SIZE`: it is no logdir, but a ring of so many bytes; 0: it is a logdir.
    pub ring: u32,
}

impl Settings {
    /// What they are before any directive.
    pub const DEFAULT: Settings = Settings {
        path: c"",
        archives: 10,
        total: 0,
        size: 99_999,
        tolerance: 2000,
        retry: 2_000_000_000,
        age: 0,
        processor: None,
        gather_time: 0,
        gather_size: 0,
        ring: 0,
    };

    /// Whether lines are gathered, written together, and put on the disk.
    pub fn gathers(&self) -> bool {
        self.gather_time > 0 || self.gather_size > 0
    }

    /// How many bytes are gathered at most: never more than half of the memory that there is for them.
    fn gathered(&self) -> usize {
        let size = if self.gather_size > 0 { self.gather_size as usize } else { LOG_CHUNK };
        size.min(LOG_PENDING / 2)
    }
}

/// Says what goes wrong, as the command, unless it was told to be silent.
pub struct Report<'a> {
    /// The command.
    pub cli: &'a Cli,
    /// `-q`, `-v`: 0 is silence, 1 warnings.
    pub verbosity: u32,
}

impl Report<'_> {
    /// `s6-log: warning: TEXT`.
    pub fn warn(&self, text: impl Display) {
        if self.verbosity > 0 {
            self.cli.warn(text);
        }
    }
}

/// An open logdir. When it is dropped without [`Logdir::finish`] it is as if the logger had died; its descriptors stay open.
pub struct Logdir {
    settings: Settings,
    place: Place,
    archiver: Archiver,
    pending: Pending,
    /// `current`.
    current: Fd,
    /// Its size.
    size: u64,
    /// A write was short: it ends in the middle of a line.
    middle: bool,
    /// Something has been written to it that may not be on the disk, and is to be.
    unsynced: bool,
    /// The next step of the rotation that is under way.
    step: Option<Step>,
    /// The step failed, and is not tried again before.
    step_retry: Nanos,
    /// The processor that runs, or 0.
    processor: i32,
    /// A write failed, and is not tried again before; 0: none did.
    write_retry: Nanos,
    /// When the oldest line that waits was pushed.
    oldest: Nanos,
    /// From when on the age of `current` counts.
    since: Nanos,
    /// It is to be rotated as soon as all is written.
    asked: bool,
    /// Nothing is gathered any more.
    hurried: bool,
    /// `current` is marked as complete.
    finished: bool,
}

impl Logdir {
    /// Makes the directory if it is not there, locks it and recovers what is in it. The error is an exit code; why has
    /// been said: 111, with EBUSY if another logger has it.
    pub fn open(settings: Settings, report: &Report<'_>) -> Result<Logdir, i32> {
        let pending = Pending::new().map_err(|e| report.cli.unable("reserve memory", e))?;
        let mut archiver = Archiver::new();
        let recover::Start { place, current, size } = recover::start(&settings, &mut archiver, report)?;
        Ok(Logdir {
            settings,
            place,
            archiver,
            pending,
            current,
            size,
            middle: false,
            unsynced: false,
            step: None,
            step_retry: 0,
            processor: 0,
            write_retry: 0,
            oldest: 0,
            since: boot(),
            asked: false,
            hurried: false,
            finished: false,
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Bytes that can still be pushed.
    pub fn room(&self) -> usize {
        self.pending.room()
    }

    /// Bytes that have been pushed and are not written yet.
    pub fn waiting(&self) -> usize {
        self.pending.waiting().len()
    }

    /// Adds whole lines (the pieces together; the last one ends with a newline) to what is to be written. There must be
    /// [`Logdir::room`] for them: if there is not, nothing is added.
    pub fn push(&mut self, pieces: &[&[u8]], now: Nanos) {
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        if bytes == 0 || bytes > self.room() {
            return;
        }
        if self.waiting() == 0 {
            self.oldest = now;
            // As if a timer had found an empty log each time, and had begun again.
            if self.size == 0 && self.settings.age > 0 {
                let age = now.saturating_sub(self.since);
                self.since += age / self.settings.age * self.settings.age;
            }
        }
        for piece in pieces {
            self.pending.push(piece);
        }
    }

    /// Whether `current` would be full if all that waits were written: the engine asks at the end of each chunk of input,
    /// and flushes if so.
    pub fn fills(&self) -> bool {
        self.is_full_with(self.waiting())
    }

    fn is_full_with(&self, more: usize) -> bool {
        self.size + more as u64 + u64::from(self.settings.tolerance) >= u64::from(self.settings.size)
    }

    /// Does what there is to do: writes, rotates, goes on with a rotation, tries again after an error. Never waits. Says
    /// what goes wrong, and does not try it again before the time that `retry` allows.
    pub fn flush(&mut self, now: Nanos, report: &Report<'_>) {
        if !self.finished {
            while self.advance(now, report) || self.write(now, report) {}
        }
    }

    /// Does one thing that there is to do with `current`, unless a rotation has it. Answers whether it did.
    fn write(&mut self, now: Nanos, report: &Report<'_>) -> bool {
        if !self.may_write() || now < self.write_retry {
            return false;
        }
        match self.try_write(now) {
            Ok(done) => {
                self.write_retry = 0;
                done
            }
            Err(failed) => {
                report.warn(self.place.unable(&failed));
                self.write_retry = now.saturating_add(self.pause());
                false
            }
        }
    }

    fn try_write(&mut self, now: Nanos) -> Result<bool, Failed> {
        if self.unsynced {
            let done = fault_errno!("log.sync").and_then(|()| append::sync_data(self.current));
            done.doing(&["fsync", "/current"])?;
            self.unsynced = false;
            fault_point!("log.synced");
            return Ok(true);
        }
        self.asked |= self.aged_at().is_some_and(|at| now >= at);
        if self.step.is_none() && !self.middle && self.size > 0 {
            // What was too large at the start is rotated before the first line, and not while there is none.
            let is_wanted = if self.waiting() == 0 { self.asked } else { self.size >= self.settings.size.into() };
            if is_wanted {
                self.begin();
                return Ok(true);
            }
        }
        if self.waiting() == 0 || self.due_at().is_none_or(|at| now < at) {
            return Ok(false);
        }
        let waiting = self.pending.waiting();
        let done = fault_errno!("log.write").and_then(|()| append::write(self.current, waiting));
        let count = done.doing(&["write to", "/current"])?;
        fault_point!("log.written");
        self.middle = waiting.get(..count).and_then(<[u8]>::last) != Some(&b'\n');
        self.pending.written(count);
        self.size += count as u64;
        self.unsynced = self.settings.gathers();
        if self.step.is_none() && !self.middle && self.is_full_with(0) {
            self.begin();
        }
        Ok(true)
    }

    /// A rotation begins.
    fn begin(&mut self) {
        self.step = Some(Step::Sync);
        self.asked = false;
    }

    /// Whether lines can be written now. While a processor runs they wait, as in s6; but those that must not wait for long
    /// do not, as long as there is room in the new `current`.
    fn may_write(&self) -> bool {
        let beside = |step: Step| step.has_new_current() && self.settings.gathers() && !self.is_full_with(0);
        self.step.is_none_or(beside)
    }

    /// From when on what waits is to be written; `None`: that depends on what comes.
    fn due_at(&self) -> Option<Nanos> {
        let gathers = self.settings.gathers() && !(self.hurried || self.asked || self.middle || self.fills());
        if !gathers || self.waiting() >= self.settings.gathered() {
            return Some(0);
        }
        let time = Some(self.settings.gather_time).filter(|time| *time > 0);
        time.and_then(|time| self.oldest.checked_add(time))
    }

    /// When `current` is so old that it is rotated, if there is anything in it.
    fn aged_at(&self) -> Option<Nanos> {
        let ages = self.settings.age > 0 && self.step.is_none() && self.size + self.waiting() as u64 > 0;
        ages.then(|| self.since.saturating_add(self.settings.age))
    }

    /// How long after an error something is tried again; never at once, for ever.
    fn pause(&self) -> Nanos {
        self.settings.retry.max(MILLI)
    }

    /// When [`Logdir::flush`] is to be called again, if nothing is pushed; a time that has passed: at once. `None`: there is
    /// nothing to do, or a processor is waited for.
    pub fn deadline(&self) -> Option<Nanos> {
        if self.finished {
            return None;
        }
        let step = self.step.filter(|step| *step != Step::Wait).map(|_| self.step_retry);
        let due = if self.unsynced || self.asked {
            Some(0)
        } else {
            let due = if self.waiting() > 0 { self.due_at() } else { None };
            due.into_iter().chain(self.aged_at()).min()
        };
        let due = due.filter(|_| self.may_write()).map(|due| due.max(self.write_retry));
        step.into_iter().chain(due).min()
    }

    /// Whether everything is written, and no rotation is unfinished.
    pub fn is_idle(&self) -> bool {
        self.step.is_none() && self.waiting() == 0 && !self.unsynced
    }

    /// Whether something should have been done already, and could not: a rotation is unfinished, or lines wait that are
    /// not being gathered.
    pub fn lags(&self, now: Nanos) -> bool {
        let late = self.waiting() > 0 && self.due_at().is_some_and(|at| now >= at);
        self.step.is_some() || self.write_retry > 0 || late
    }

    /// Whatever waits for company is to be written at the next [`Logdir::flush`]: the logger is about to end.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// SIGALRM: rotates, if no rotation is under way and `current` is not empty (or will not be, when what has been gathered
    /// is written).
    pub fn rotate(&mut self, now: Nanos, report: &Report<'_>) {
        if self.step.is_none() && (self.size > 0 || self.settings.gathers() && self.waiting() > 0) {
            self.asked = true;
            self.flush(now, report);
        }
    }

    /// A child has ended: true if it was this one's processor. Flush it afterwards.
    pub fn child_ended(&mut self, pid: i32, wstat: u32, now: Nanos, report: &Report<'_>) -> bool {
        let is_ours = self.processor == pid && self.step == Some(Step::Wait);
        if is_ours {
            self.processed(Ended::of(wstat), now, report);
        }
        is_ours
    }

    /// Marks `current` as cleanly closed, when it is idle. False: that failed (it was said); try again later.
    pub fn finish(&mut self, report: &Report<'_>) -> bool {
        if self.finished || !self.is_idle() {
            return self.finished;
        }
        let synced = fault_errno!("log.finish").and_then(|()| file::sync(self.current));
        let done = synced
            .doing(&["fsync", "/current"])
            .and_then(|()| append::set_mode(self.current, self.place.complete()).doing(&["chmod", "/current"]));
        fault_point!("log.finished");
        match done {
            Ok(()) => self.finished = true,
            Err(failed) => report.warn(self.place.unable(&failed)),
        }
        self.finished
    }
}
