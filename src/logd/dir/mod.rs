//! A logdir: s6-log's files, byte for byte. Opening it recovers what an earlier logger has left; lines are pushed into
//! memory and flushed to `current`, which is rotated when it is full.

mod pending;

use crate::applets::cli::Cli;
use crate::sys::time::Nanos;
use core::ffi::CStr;
use core::fmt::Display;

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
    /// `cTIME`, in nanoseconds: how long a line may wait in memory for others, to be written together; 0: not at all.
    pub gather_time: Nanos,
    /// `cSIZE`: how many bytes may wait so; 0: as many as [`LOG_CHUNK`](crate::limits::LOG_CHUNK).
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

/// An open logdir.
pub struct Logdir {
    settings: Settings,
    pending: Pending,
}

impl Logdir {
    /// Makes the directory if it is not there, locks it and recovers what is in it. The error is an exit code; why has
    /// been said.
    pub fn open(_settings: Settings, _report: &Report<'_>) -> Result<Logdir, i32> {
        todo!()
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
        todo!()
    }

    /// Adds whole lines (the pieces together; the last one ends with a newline) to what is to be written. There must be
    /// [`Logdir::room`] for them.
    pub fn push(&mut self, _pieces: &[&[u8]], _now: Nanos) {
        todo!()
    }

    /// Whether `current` would be full if all that waits were written: the engine asks at the end of each chunk of input,
    /// and flushes if so.
    pub fn fills(&self) -> bool {
        todo!()
    }

    /// Does what there is to do: writes, rotates, goes on with a rotation, tries again after an error. Never waits. Says
    /// what goes wrong, and does not try it again before the time that `retry` allows.
    pub fn flush(&mut self, _now: Nanos, _report: &Report<'_>) {
        todo!()
    }

    /// When [`Logdir::flush`] is to be called again, if nothing is pushed. `None`: there is nothing to do, or a processor is
    /// waited for.
    pub fn deadline(&self) -> Option<Nanos> {
        todo!()
    }

    /// Whether everything is written, and no rotation is unfinished.
    pub fn is_idle(&self) -> bool {
        todo!()
    }

    /// Whatever waits for company is to be written at the next [`Logdir::flush`]: the logger is about to end.
    pub fn hurry(&mut self) {
        todo!()
    }

    /// SIGALRM: rotates, if it is idle and `current` is not empty.
    pub fn rotate(&mut self, _now: Nanos, _report: &Report<'_>) {
        todo!()
    }

    /// A child has ended: true if it was this one's processor. Flush it afterwards.
    pub fn child_ended(&mut self, _pid: i32, _wstat: u32, _now: Nanos, _report: &Report<'_>) -> bool {
        todo!()
    }

    /// Marks `current` as cleanly closed, when it is idle. False: that failed (it was said); try again later.
    pub fn finish(&mut self, _report: &Report<'_>) -> bool {
        todo!()
    }
}
