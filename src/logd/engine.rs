//! The logger's loop.
//!
//! A turn waits for a signal, for lines, for standard output or until something is to be tried again, in one call. What has
//! come on standard input, up to [`LOG_INPUT`](crate::limits::LOG_INPUT) bytes, is a batch: its lines have one time, and
//! are written together; after each [`LOG_CHUNK`] bytes it is decided which logdirs are full, as s6-log does, so that the
//! same input makes the same archives. Only when a batch is written is it taken off standard input, if that is a pipe.

use super::dir::Report;
use super::input::{Came, Input};
use super::lines::{Lines, Piece};
use super::output::{Outputs, Places, Walk};
use super::script::{EXTRANEOUS, Script};
use crate::applets::cli::Cli;
use crate::limits::{LOG_CHUNK, LOG_INPUT};
use crate::sys::args::Args;
use crate::sys::cell::TakeCell;
use crate::sys::poll::{self, PollFd, PollFlags};
use crate::sys::signal::{self, SignalSet, number as sig};
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, process};
use crate::text::errno::Reason;
use rustix::fs::OFlags;

static SCRIPT: TakeCell<Script> = TakeCell::new(Script::new());

/// How long after a logdir could not be closed that is tried again.
const RETRY: Nanos = 2 * SECOND;

/// What the options say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Who is told that everything is open.
    pub notification: Fd,
    /// 0: nothing but alerts and what ends it; 1: warnings too.
    pub verbosity: u32,
    /// Nothing is read while anything waits to be written.
    pub waits: bool,
    /// SIGTERM does nothing.
    pub is_protected: bool,
    /// Lines of more bytes are split.
    pub limit: usize,
    /// How long it waits for the rest of a line when it is told to end; 0: for ever.
    pub patience: Nanos,
}

impl Settings {
    /// Those that s6-log has without options.
    pub const DEFAULT: Settings = Settings {
        notification: Fd::NONE,
        verbosity: 1,
        waits: false,
        is_protected: false,
        limit: 8192,
        patience: 2000 * MILLI,
    };
}

/// Runs the script that `words` are; answers the exit code.
pub fn run(cli: &Cli, settings: Settings, words: Args) -> i32 {
    let report = Report { cli, verbosity: settings.verbosity };
    prepare(&report, settings, words).map_or_else(|code| code, |mut engine| engine.run())
}

/// Opens everything. The error is an exit code; why has been said.
fn prepare<'a>(report: &'a Report<'a>, settings: Settings, words: Args) -> core::result::Result<Engine<'a>, i32> {
    let cli = report.cli;
    ensure_standard().map_err(|e| cli.unable("open /dev/null", e))?;
    if settings.notification.is_some() {
        let _ = settings.notification.set_cloexec(true);
    }
    let script = SCRIPT.take().ok_or_else(|| cli.fail("called twice"))?;
    let notes = match script.parse(words.words()) {
        Ok(notes) => notes,
        Err(problem) => {
            if problem.is_late() {
                Places::open(&script.dirs, report)?;
            }
            let _ = cli.refuse(problem);
            return Err(problem.code());
        }
    };
    if notes.extraneous {
        report.warn(EXTRANEOUS);
    }
    let places = Places::open(&script.dirs, report)?;
    let outputs = Outputs::new(report, script, places)?;
    let input = Input::new().map_err(|e| cli.unable("reserve memory", e))?;
    // Somebody who ignores it has no children to wait for.
    signal::reset_action(sig::CHLD);
    let handled = SignalSet::of(&[sig::TERM, sig::HUP, sig::ALRM, sig::CHLD]);
    SignalSet::blocked().union(handled).union(SignalSet::of(&[sig::PIPE])).block();
    let signals = signal::open_signalfd(handled).map_err(|e| cli.unable("trap signals", e))?;
    let mut notification = settings.notification;
    if notification.is_some() {
        // If nobody reads it, nobody waits for it.
        let _ = file::write_all(notification, b"\n");
        notification.close();
    }
    Ok(Engine { report, settings, signals, input, outputs, phase: Phase::Reading, needs: 0 })
}

/// Makes sure that standard error, output and input are open, so that nothing else gets their numbers.
fn ensure_standard() -> Result<()> {
    for (fd, flags) in [(Fd::STDIN, OFlags::RDONLY), (Fd::STDOUT, OFlags::WRONLY), (Fd::STDERR, OFlags::WRONLY)] {
        if !fd.is_open() {
            let mut null = file::open(Fd::CWD, c"/dev/null", flags, 0)?;
            null.place(fd.0)?;
            if null != fd {
                null.close();
            }
        }
    }
    Ok(())
}

/// How far it has come with ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It goes on.
    Reading,
    /// It was told to end, in the middle of a line: of that it reads the rest, until then.
    LastLine(Option<Nanos>),
    /// Nothing is read any more; what has been is written.
    Ending,
}

struct Engine<'a> {
    report: &'a Report<'a>,
    settings: Settings,
    signals: Fd,
    input: Input,
    outputs: Outputs<'a>,
    phase: Phase,
    /// Bytes for which there must be room before anything is read; 0: there is room.
    needs: usize,
}

impl Engine<'_> {
    /// Runs until all is done; answers the exit code.
    fn run(&mut self) -> i32 {
        loop {
            if self.needs > 0 && self.outputs.room() >= self.needs {
                self.needs = 0;
                if self.phase != Phase::Ending {
                    self.outputs.stamp();
                    self.digest();
                }
            }
            if self.phase == Phase::Ending && self.end() {
                return 0;
            }
            let seen = match self.wait() {
                Ok(seen) => seen,
                Err(e) => return self.report.cli.unable("poll", e),
            };
            if seen.signal {
                self.take_signals();
            }
            if seen.stdout {
                self.outputs.flush_stdout();
            }
            self.pass_time();
            // A signal may have ended that.
            if seen.stdin && self.wants_input() {
                self.read();
            }
        }
    }

    fn wants_input(&self) -> bool {
        let may = self.input.is_open() && self.needs == 0 && self.phase != Phase::Ending;
        may && !(self.settings.waits && self.outputs.lags())
    }

    fn wait(&self) -> Result<Seen> {
        let signals = self.signals;
        let mut asked = heapless::Vec::<PollFd<'_>, 3>::new();
        let mut ask = |fd, flags| {
            let _ = asked.push(PollFd::new(fd, flags)); // there are three
        };
        ask(&signals, PollFlags::IN);
        let reads = self.wants_input();
        if reads {
            ask(self.input.wanted(), PollFlags::IN);
        }
        let writes = self.outputs.wanted();
        if let Some((fd, flags)) = writes {
            ask(fd, flags);
        }
        let last_line = match self.phase {
            Phase::LastLine(deadline) => deadline,
            _ => None,
        };
        let look = if reads { self.input.deadline() } else { None };
        let deadline = [self.outputs.deadline(), last_line, look].into_iter().flatten().min();
        match poll::any(&mut asked, deadline) {
            Ok(()) | Err(Errno::TIMEDOUT) => {}
            Err(e) => return Err(e),
        }
        let mut happened = asked.iter().map(|fd| !fd.revents().is_empty());
        let mut next = |was_asked: bool| was_asked && happened.next().unwrap_or(false);
        let (signal, came, stdout) = (next(true), next(reads), next(writes.is_some()));
        Ok(Seen { signal, stdin: came || look.is_some_and(|look| look <= time::boot()), stdout })
    }

    fn take_signals(&mut self) {
        while let Ok(Some(received)) = signal::read_signalfd(self.signals) {
            match received.signal {
                sig::TERM if self.settings.is_protected => {}
                sig::TERM | sig::HUP => self.begin_end(),
                sig::ALRM => self.outputs.rotate(),
                _ => {
                    while let Ok(Some(death)) = process::reap_any() {
                        self.outputs.child_ended(death);
                    }
                }
            }
        }
    }

    /// What has its time.
    fn pass_time(&mut self) {
        let now = time::boot();
        self.outputs.go_on(now);
        if let Phase::LastLine(Some(deadline)) = self.phase {
            if deadline <= now {
                self.stop_reading();
            }
        }
    }

    /// Reads what there is, and deals with it.
    fn read(&mut self) {
        let most = match self.phase {
            // As little as s6-log takes into memory before it waits.
            Phase::Reading if self.settings.waits => LOG_CHUNK,
            // Half of a pipe: whoever writes to it fills the other half meanwhile, and neither waits for the other.
            Phase::Reading if self.input.leaves() => LOG_INPUT / 2,
            Phase::Reading => LOG_INPUT,
            // Of what cannot be looked at, nothing is read beyond the last line.
            _ if !self.input.leaves() => 1,
            _ => LOG_CHUNK,
        };
        match self.input.look(most) {
            Ok(Came::Nothing) => {}
            Ok(Came::Bytes) => {
                self.outputs.stamp();
                self.digest();
            }
            Ok(Came::End) => self.stop_reading(),
            Err(e) => self.fail_reading(e),
        }
    }

    fn fail_reading(&mut self, e: Errno) {
        self.report.warn(format_args!("unable to read from stdin: {}", Reason(e)));
        self.stop_reading();
    }

    /// Deals with what is in memory, as far as there is room, and takes it off standard input.
    fn digest(&mut self) {
        let one = self.phase != Phase::Reading && self.input.leaves();
        let (mut upto, scanned) = (self.input.fresh(), self.input.scanned());
        let bytes = self.input.bytes();
        let mut lines = Lines::new(scanned, self.settings.limit);
        let walk = loop {
            upto = (upto + LOG_CHUNK).min(bytes.len());
            let walk = self.outputs.walk(bytes, &mut lines, upto, one);
            if walk != Walk::Done || upto == bytes.len() {
                break walk;
            }
            self.outputs.end_chunk();
        };
        self.outputs.end_batch(bytes);
        if let Walk::Full(need) = walk {
            self.needs = need;
        }
        if let Err(e) = self.input.take(lines.start(), walk != Walk::Done) {
            return self.fail_reading(e);
        }
        if let Phase::LastLine(_) = self.phase {
            match walk {
                Walk::One(piece) => {
                    if !piece.ended {
                        self.cut_last_line();
                    }
                    self.stop_reading();
                }
                Walk::Done if !self.input.holds() => self.stop_reading(),
                Walk::Done if !self.input.leaves() && self.input.bytes().len() >= self.settings.limit => {
                    self.cut_last_line();
                    self.stop_reading();
                }
                _ => {}
            }
        }
    }

    fn cut_last_line(&self) {
        self.report.warn("input line too long, stopping before the end");
    }

    /// SIGTERM, SIGHUP: a line that has begun is waited for; nothing else is read.
    fn begin_end(&mut self) {
        if self.phase != Phase::Reading {
            return;
        }
        if let Err(e) = self.input.hold_seen() {
            return self.fail_reading(e);
        }
        if !self.input.holds() {
            return self.stop_reading();
        }
        let patience = self.settings.patience;
        self.phase = Phase::LastLine((patience > 0).then(|| time::boot() + patience));
    }

    /// Nothing is read any more.
    fn stop_reading(&mut self) {
        if self.phase != Phase::Ending {
            self.phase = Phase::Ending;
            self.input.close();
            self.outputs.stamp();
            self.digest_rest();
            self.outputs.hurry();
        }
    }

    /// Deals with all that is in memory: lines for which there was no room, and one that nothing will end.
    fn digest_rest(&mut self) {
        if self.needs > 0 || !self.input.holds() {
            return;
        }
        let scanned = self.input.scanned();
        let bytes = self.input.bytes();
        let mut lines = Lines::new(scanned, self.settings.limit);
        let to = bytes.len();
        let mut walk = self.outputs.walk(bytes, &mut lines, to, false);
        let (mut done, rest) = (lines.start(), to - lines.start());
        if walk == Walk::Done && rest > 0 {
            walk = self.outputs.last(bytes, Piece { from: done, to, ended: false });
            done = if walk == Walk::Done { to } else { done };
        }
        self.outputs.end_batch(bytes);
        if let Walk::Full(need) = walk {
            self.needs = need;
        }
        let _ = self.input.take(done, walk != Walk::Done);
    }

    /// Goes on with ending. Answers whether all is done.
    fn end(&mut self) -> bool {
        if self.input.holds() && self.needs == 0 {
            self.outputs.stamp();
            self.digest_rest();
            self.outputs.hurry();
        }
        if self.input.holds() || !self.outputs.is_idle() {
            return false;
        }
        while !self.outputs.finish() {
            poll::until(time::boot() + RETRY);
        }
        true
    }
}

/// What a turn has waited for, and has happened.
struct Seen {
    signal: bool,
    stdin: bool,
    stdout: bool,
}
