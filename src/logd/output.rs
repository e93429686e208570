//! Where lines go: logdirs and rings, standard output, status files, standard error.

use super::dir::{Logdir, Report, Settings};
use super::lines::{Lines, Piece};
use super::ring::Ring;
use super::script::{Action, Head, Script, Target};
use super::stamp::Stamps;
use super::status::{self, Statuses};
use super::stdout::Stdout;
use crate::limits::{LOG_DIRECTIVES, LOG_DIRS};
use crate::log::Line;
use crate::sys::cell::TakeCell;
use crate::sys::poll::{self, PollFlags};
use crate::sys::time::{self, Nanos};
use crate::sys::{Errno, Fd, process};
use core::fmt::Write;
use heapless::Vec;
use rustix::io::IoSlice;

/// A logdir or a ring.
enum Place {
    Dir(Logdir),
    Ring(Ring),
}

/// All of them, in the order of the script.
pub struct Places {
    open: Vec<Place, LOG_DIRS>,
    /// Bit n: that one is closed for good.
    finished: u32,
}

const _: () = assert!(LOG_DIRS <= 32);

static PLACES: TakeCell<Places> = TakeCell::new(Places { open: Vec::new(), finished: 0 });

impl Places {
    /// Opens them. The error is an exit code; why has been said.
    pub fn open(dirs: &[Settings], report: &Report<'_>) -> Result<&'static mut Places, i32> {
        let places = PLACES.take().ok_or_else(|| report.cli.fail("called twice"))?;
        for settings in dirs {
            let place = match settings.ring {
                0 => Place::Dir(Logdir::open(*settings, report)?),
                _ => Place::Ring(Ring::open(settings, report)?),
            };
            let _ = places.open.push(place); // a script has no more
        }
        Ok(places)
    }

    fn dirs(&mut self) -> impl Iterator<Item = &mut Logdir> {
        self.open.iter_mut().filter_map(|place| match place {
            Place::Dir(dir) => Some(dir),
            Place::Ring(_) => None,
        })
    }

    fn all_dirs(&self) -> impl Iterator<Item = &Logdir> {
        self.open.iter().filter_map(|place| match place {
            Place::Dir(dir) => Some(dir),
            Place::Ring(_) => None,
        })
    }

    fn push(&mut self, number: u16, pieces: &[&[u8]], now: Nanos) {
        match self.open.get_mut(usize::from(number)) {
            Some(Place::Dir(dir)) => dir.push(pieces, now),
            Some(Place::Ring(ring)) => ring.push(pieces),
            None => {}
        }
    }
}

/// How far a walk over lines has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// There is no other whole line.
    Done,
    /// It was to stop after one line, which has ended, or was too long.
    One(Piece),
    /// There is no room for the next line: so many bytes are needed.
    Full(usize),
}

/// Everything that lines go to.
pub struct Outputs<'a> {
    report: &'a Report<'a>,
    script: &'static mut Script,
    places: &'static mut Places,
    stdout: Stdout,
    statuses: Statuses,
    stamps: Stamps,
    is_stamped: bool,
    /// Bytes of the longest head that an action puts in front of a line.
    head: usize,
    is_plain: bool,
    /// Each line goes as it is, and to each place once: many can go together.
    in_runs: bool,
    /// The time of the batch.
    now: Nanos,
}

impl<'a> Outputs<'a> {
    /// Those of a script. The error is an exit code.
    pub fn new(
        report: &'a Report<'a>,
        script: &'static mut Script,
        places: &'static mut Places,
    ) -> Result<Outputs<'a>, i32> {
        let heads = || script.actions.iter().map(|action| action.head);
        let to_stdout = script.actions.iter().filter(|action| action.target == Target::Stdout).count();
        let stdout = if to_stdout > 0 { Stdout::new() } else { Ok(Stdout::none()) };
        let stdout = stdout.map_err(|e| report.cli.unable("use standard output", e))?;
        let stamps = if heads().any(|head| head.local) { Stamps::new() } else { Stamps::utc() };
        if let Some(trouble) = stamps.trouble() {
            report.warn(trouble);
        }
        let is_plain = script.is_plain();
        let is_whole = |action: &Action| match action.target {
            Target::Dir(number) => matches!(places.open.get(usize::from(number)), Some(Place::Dir(_))),
            Target::Stdout => to_stdout == 1,
            Target::Alert(_) | Target::Status(..) => false,
        };
        let in_runs =
            is_plain && script.actions.iter().all(|action| action.head == Head::default() && is_whole(action));
        Ok(Outputs {
            report,
            stdout,
            statuses: Statuses::new(),
            stamps,
            is_stamped: heads().any(|head| head.tai || head.local),
            head: heads().map(longest).max().unwrap_or(0),
            is_plain,
            in_runs,
            now: time::boot(),
            script,
            places,
        })
    }

    /// All lines from here on have come now.
    pub fn stamp(&mut self) {
        self.now = time::boot();
        if self.is_stamped {
            let (sec, nano) = time::wall();
            self.stamps.set(sec, nano);
        }
    }

    /// Bytes that every place has room for.
    pub fn room(&self) -> usize {
        self.places.all_dirs().map(Logdir::room).min().unwrap_or(usize::MAX).min(self.stdout.room())
    }

    /// Passes on the lines of `bytes` that are whole, or too long, within the first `upto`: one of them, or all.
    pub fn walk(&mut self, bytes: &mut [u8], lines: &mut Lines, upto: usize, one: bool) -> Walk {
        let mut room = self.room();
        // Of a run, so far.
        let (mut from, mut to) = (lines.start(), lines.start());
        loop {
            let before = *lines;
            let Some(piece) = lines.next(bytes, upto) else { break };
            let need = self.head + (piece.to - piece.from) + 1;
            if need > room {
                self.run(bytes, from, to);
                (from, to) = (piece.from, piece.from);
                self.flush();
                room = self.room();
            }
            if need > room {
                *lines = before;
                return Walk::Full(need);
            }
            room -= need;
            if self.in_runs && piece.ended {
                to = piece.to + 1;
            } else {
                self.run(bytes, from, to);
                (from, to) = (lines.start(), lines.start());
                self.line(bytes, piece);
            }
            if one {
                self.run(bytes, from, to);
                return Walk::One(piece);
            }
        }
        self.run(bytes, from, to);
        Walk::Done
    }

    /// Passes on a line that nothing has ended.
    pub fn last(&mut self, bytes: &[u8], piece: Piece) -> Walk {
        let need = self.head + (piece.to - piece.from) + 1;
        if need > self.room() {
            self.flush();
        }
        if need > self.room() {
            return Walk::Full(need);
        }
        self.line(bytes, piece);
        Walk::Done
    }

    /// Passes on whole lines, as they are.
    fn run(&mut self, bytes: &[u8], from: usize, to: usize) {
        let run = bytes.get(from..to).unwrap_or_default();
        if run.is_empty() {
            return;
        }
        for action in &self.script.actions {
            match action.target {
                Target::Dir(number) => self.places.push(number, &[run], self.now),
                _ => self.stdout.push(&[run]),
            }
        }
    }

    /// Does with a line what the script says.
    fn line(&mut self, bytes: &[u8], piece: Piece) {
        if self.is_plain {
            for number in 0..self.script.actions.len() as u16 {
                self.act(number, bytes, piece);
            }
            return;
        }
        let line = bytes.get(piece.from..piece.to).unwrap_or_default();
        let mut selected = Vec::<u16, LOG_DIRECTIVES>::new();
        self.script.each_action(line, |number| {
            let _ = selected.push(number); // there is room for every action
        });
        for number in selected {
            self.act(number, bytes, piece);
        }
    }

    fn act(&mut self, number: u16, bytes: &[u8], piece: Piece) {
        let Some(action) = self.script.actions.get(usize::from(number)) else { return };
        let head = action.head;
        match action.target {
            Target::Dir(number) => {
                if piece.ended && !head.local && head.prefix.is_empty() {
                    // What most logs are, and fast.
                    let line = bytes.get(piece.from..=piece.to).unwrap_or_default();
                    let stamp = if head.tai { self.stamps.tai() } else { b"" };
                    self.places.push(number, &[stamp, line], self.now);
                } else {
                    self.places.push(number, &pieces(&self.stamps, &head, bytes, piece), self.now);
                }
            }
            Target::Stdout => self.stdout.push(&pieces(&self.stamps, &head, bytes, piece)),
            Target::Alert(most) => alert(self.report, &self.stamps, &head, bytes, piece, most as usize),
            Target::Status(path, _) => {
                let actions = &self.script.actions;
                let target = |number: u16| actions.get(usize::from(number)).map(|action| action.target);
                let is_same = |other| matches!(target(other), Some(Target::Status(file, _)) if file == path);
                self.statuses.set(number, piece.from, piece.to, is_same);
            }
        }
    }

    /// A chunk of input is done: what is full is written, as it would be if no more had come yet.
    pub fn end_chunk(&mut self) {
        for dir in self.places.dirs() {
            if dir.fills() {
                dir.flush(self.now, self.report);
            }
        }
    }

    /// All that has come is done: everything is written that can be.
    pub fn end_batch(&mut self, bytes: &[u8]) {
        for (number, from, to) in self.statuses.take() {
            let Some(action) = self.script.actions.get(usize::from(number)) else { continue };
            if let Target::Status(path, size) = action.target {
                let piece = Piece { from, to, ended: false };
                status::write(path, size, &pieces(&self.stamps, &action.head, bytes, piece), self.report);
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        for dir in self.places.dirs() {
            dir.flush(self.now, self.report);
        }
        self.stdout.flush(self.report);
    }

    /// Goes on with what had to wait, as far as its time has come.
    pub fn go_on(&mut self, now: Nanos) {
        for dir in self.places.dirs() {
            if dir.deadline().is_some_and(|deadline| deadline <= now) {
                dir.flush(now, self.report);
            }
        }
    }

    /// When [`Outputs::go_on`] has something to do.
    pub fn deadline(&self) -> Option<Nanos> {
        self.places.all_dirs().filter_map(Logdir::deadline).min()
    }

    /// What else to wait for.
    pub fn wanted(&self) -> Option<(&Fd, PollFlags)> {
        self.stdout.wanted()
    }

    /// Standard output may take more.
    pub fn flush_stdout(&mut self) {
        self.stdout.flush(self.report);
    }

    /// Whether everything is written, and no rotation is unfinished.
    pub fn is_idle(&self) -> bool {
        self.stdout.is_idle() && self.places.all_dirs().all(Logdir::is_idle)
    }

    /// Whether something should have been written already, or a rotation is unfinished.
    pub fn lags(&self) -> bool {
        let now = time::boot();
        !self.stdout.is_idle() || self.places.all_dirs().any(|dir| dir.lags(now))
    }

    /// Nothing waits for company any more.
    pub fn hurry(&mut self) {
        for dir in self.places.dirs() {
            dir.hurry();
            dir.flush(self.now, self.report);
        }
    }

    /// SIGALRM.
    pub fn rotate(&mut self) {
        self.now = time::boot();
        for dir in self.places.dirs() {
            dir.rotate(self.now, self.report);
        }
    }

    /// A child has ended.
    pub fn child_ended(&mut self, death: process::Death) {
        self.now = time::boot();
        for dir in self.places.dirs() {
            if dir.child_ended(death.pid, death.wstat, self.now, self.report) {
                dir.flush(self.now, self.report);
            }
        }
    }

    /// Closes all logdirs, which are idle. False: for some that has failed, and is to be tried again.
    pub fn finish(&mut self) -> bool {
        self.stdout.end();
        let Places { open, finished } = &mut *self.places;
        let mut all = true;
        for (number, place) in open.iter_mut().enumerate() {
            let Place::Dir(dir) = place else { continue };
            if *finished >> number & 1 == 0 {
                if dir.finish(self.report) {
                    *finished |= 1 << number;
                } else {
                    all = false;
                }
            }
        }
        all
    }
}

/// Bytes of what this puts in front of a line, at most.
fn longest(head: Head) -> usize {
    let prefix = if head.prefix.is_empty() { 0 } else { head.prefix.len() + 1 };
    64 * usize::from(head.tai) + 64 * usize::from(head.local) + prefix
}

/// A line with what is put in front of it, and its newline.
fn pieces<'b>(stamps: &'b Stamps, head: &Head, bytes: &'b [u8], piece: Piece) -> Vec<&'b [u8], 6> {
    let mut pieces = Vec::new();
    let mut add = |bytes: &'b [u8]| {
        let _ = pieces.push(bytes); // there are at most six
    };
    if head.tai {
        add(stamps.tai());
    }
    if head.local {
        add(stamps.local());
    }
    if !head.prefix.is_empty() {
        add(head.prefix);
        add(b" ");
    }
    if piece.ended {
        add(bytes.get(piece.from..=piece.to).unwrap_or_default());
    } else {
        add(bytes.get(piece.from..piece.to).unwrap_or_default());
        add(b"\n");
    }
    pieces
}

/// Writes an alert, and waits until it is written; in one piece, if standard error takes it so. Nobody can be told if
/// it does not.
fn alert(report: &Report<'_>, stamps: &Stamps, head: &Head, bytes: &[u8], piece: Piece, most: usize) {
    /// What stands for the rest of a line that is cut, which is never longer than what it stands for.
    const DOTS: &[u8] = b"...";
    let mut speaker = Line::<256>::new();
    let _ = write!(speaker, "{}: alert", report.cli.speaker());
    let cut = most > 0 && piece.to - piece.from > most + DOTS.len();
    let piece = Piece { to: if cut { piece.from + most } else { piece.to }, ended: false, ..piece };
    let mut all = Vec::<&[u8], 9>::new();
    let _ = all.extend_from_slice(&[speaker.finish(": ").as_bytes()]);
    let _ = all.extend_from_slice(&pieces(stamps, head, bytes, piece));
    if cut {
        let _ = all.pop();
        let _ = all.extend_from_slice(&[DOTS, b"\n"]);
    }
    write_waiting(Fd::STDERR, &all);
}

/// Writes all the pieces, waiting if it must; up to an error.
fn write_waiting(fd: Fd, pieces: &[&[u8]]) {
    let mut done = 0;
    loop {
        let mut skip = done;
        let mut left = Vec::<IoSlice<'_>, 9>::new();
        for piece in pieces {
            let rest = piece.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(piece.len());
            if !rest.is_empty() {
                let _ = left.push(IoSlice::new(rest)); // there are at most nine
            }
        }
        if left.is_empty() {
            return;
        }
        match rustix::io::writev(fd, &left) {
            Ok(count) if count > 0 => done += count,
            Err(Errno::INTR) => {}
            // Somebody who shares it does not want to wait.
            Err(Errno::AGAIN) if poll::writable(fd, None).is_ok() => {}
            _ => return,
        }
    }
}
