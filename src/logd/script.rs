//! What a logger's command line says after the options: one directive a word. No system call but for memory.
//!
//! s6-log reads a script twice. The first time it looks at letters only: whatever is wrong then is told before anything
//! has been touched. The second time it reads numbers, compiles expressions and opens logdirs, in the order of the
//! words: what is wrong then is told when the logdirs in front of it are open. [`Problem::is_late`] says which it was.

mod directive;
mod select;
#[cfg(test)]
mod tests;

use super::dir::Settings;
use crate::limits::{LOG_DIRECTIVES, LOG_DIRS};
use crate::sys::Errno;
use crate::sys::time::Nanos;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt;
use directive::{Directive, Kind, Mistake};
use heapless::Vec;
use select::Expressions;

/// One thing to do with each line, in the order of the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// `+RE`: selects a line that is not selected and matches the expression of this number.
    Select(u16),
    /// `-RE`: deselects a line that is selected and matches.
    Deselect(u16),
    /// `f`: selects a line for which no action has run, deselects others.
    Rest,
    /// Runs the action of this number if the line is selected.
    Act(u16),
}

/// What is put in front of a line by an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// `t`: a TAI64N stamp and a space.
    pub tai: bool,
    /// `T`: local time and two spaces.
    pub local: bool,
    /// `pTEXT`: that and a space; empty: nothing.
    pub prefix: &'static [u8],
}

/// Where an action puts a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// `1`: standard output.
    Stdout,
    /// `2`: standard error, as an alert of at most so many bytes (0: any number).
    Alert(u32),
    /// `=FILE`: a status file of so many bytes (0: as many as the line has).
    Status(&'static CStr, u32),
    /// The logdir or ring of this number.
    Dir(u16),
}

/// An action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action {
    /// In front of each line.
    pub head: Head,
    /// Where it goes.
    pub target: Target,
}

/// A script: see [`Script::parse`]. Too large for the stack: it lives in a static, where only what is used costs memory.
pub struct Script {
    /// What is done with each line.
    pub steps: Vec<Step, LOG_DIRECTIVES>,
    /// Actions, by number.
    pub actions: Vec<Action, LOG_DIRECTIVES>,
    /// Logdirs and rings, by number: in the order of the command line; the same path twice is there twice.
    pub dirs: Vec<Settings, LOG_DIRS>,
    expressions: Expressions,
}

/// What is to be told about a script that is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    /// Lines are selected behind the last action, for nothing: a warning, [`EXTRANEOUS`].
    pub extraneous: bool,
}

/// The warning that [`Notes::extraneous`] asks for.
pub const EXTRANEOUS: &str = "ignoring extraneous non-action directives";

/// Why a script cannot be run. Its display is what follows `s6-log: fatal: `.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The directive; empty if it is about the whole.
    directive: &'static CStr,
    why: Why,
    late: bool,
}

/// See [`Problem`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    Unrecognized,
    Syntax,
    Range(&'static str),
    /// `lN`, and `sM` in front of it.
    Conflict,
    NoAction,
    /// An expression is.
    TooLarge,
    /// Of these there are more than so many.
    TooMany(&'static str, usize),
    /// There is no memory for an expression.
    NoMemory(Errno),
}

const FULL: Why = Why::TooMany("selections and actions", LOG_DIRECTIVES);

impl Problem {
    /// What the logger is to end with: 111 if there is no memory for an expression, otherwise 100.
    pub fn code(&self) -> i32 {
        if matches!(self.why, Why::NoMemory(_)) { 111 } else { 100 }
    }

    /// Whether s6-log would notice it only when it has opened the logdirs in front of it, which are in [`Script::dirs`].
    pub fn is_late(&self) -> bool {
        self.late
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directive = Word(self.directive.to_bytes());
        match self.why {
            Why::Unrecognized => write!(f, "unrecognized directive: {directive}"),
            Why::Syntax => write!(f, "syntax error at directive: {directive}"),
            Why::Range(what) => write!(f, "directive {directive} is out of range: {what}"),
            Why::Conflict => write!(f, "directive {directive} conflicts with previous s directive"),
            Why::NoAction => f.write_str("no action directive specified"),
            Why::TooLarge => write!(
                f,
                "the expression of directive {directive} is too large: use several directives, or smaller repetitions"
            ),
            Why::TooMany(what, most) => write!(f, "more than {most} {what} at directive {directive}"),
            Why::NoMemory(e) => write!(f, "unable to reserve memory for directive {directive}: {}", Reason(e)),
        }
    }
}

/// A word as it was written, if a terminal stands it: expressions are full of backslashes.
struct Word<'a>(&'a [u8]);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok(text) if !text.contains(char::is_control) => f.write_str(text),
            _ => write!(f, "{}", Printable(self.0)),
        }
    }
}

impl From<Mistake> for Why {
    fn from(mistake: Mistake) -> Why {
        match mistake {
            Mistake::Unrecognized => Why::Unrecognized,
            Mistake::Syntax => Why::Syntax,
            Mistake::Range(what) => Why::Range(what),
        }
    }
}

/// How long lines wait for others when only their bytes are counted: no machine runs that long, and a time can be added.
pub const ANY_TIME: Nanos = 1 << 62;

/// What the control directives so far say about the next action.
struct Control {
    settings: Settings,
    head: Head,
    alert: u32,
    status: u32,
}

impl Control {
    fn new() -> Control {
        Control { settings: Settings::DEFAULT, head: Head::default(), alert: 200, status: 1001 }
    }

    fn set(&mut self, directive: Directive<'static>) -> Result<(), Why> {
        let settings = &mut self.settings;
        match directive {
            Directive::Archives(count) => settings.archives = count,
            Directive::Size(size) => settings.size = size,
            Directive::Total(total) => settings.total = total,
            Directive::Tolerance(tolerance) if tolerance > settings.size / 2 => return Err(Why::Conflict),
            Directive::Tolerance(tolerance) => settings.tolerance = tolerance,
            Directive::Retry(time) => settings.retry = time,
            Directive::Age(time) => settings.age = time,
            Directive::Processor(processor) => settings.processor = processor,
            Directive::GatherTime(time) => settings.gather_time = time,
            Directive::GatherSize(size) => {
                settings.gather_size = size;
                if settings.gather_time == 0 {
                    settings.gather_time = ANY_TIME;
                }
            }
            Directive::GatherNothing => (settings.gather_time, settings.gather_size) = (0, 0),
            Directive::Ram(size) => settings.ring = size,
            Directive::Alert(most) => self.alert = most,
            Directive::Status(size) => self.status = size,
            Directive::Prefix(prefix) => self.head.prefix = prefix,
            Directive::Tai => self.head.tai = true,
            Directive::Local => self.head.local = true,
            // Selections and actions are none of it.
            _ => {}
        }
        Ok(())
    }

    /// What is put in front of a line by the action that is here. Stamps are for one action.
    fn take_head(&mut self) -> Head {
        let head = self.head;
        (self.head.tai, self.head.local) = (false, false);
        head
    }
}

impl Script {
    /// An empty script.
    pub const fn new() -> Script {
        Script { steps: Vec::new(), actions: Vec::new(), dirs: Vec::new(), expressions: Expressions::new() }
    }

    /// Makes it the script that `words` are. If there is a problem, [`Script::dirs`] holds the logdirs in front of it.
    pub fn parse(&mut self, words: impl Iterator<Item = &'static CStr> + Clone) -> Result<Notes, Problem> {
        self.steps.clear();
        self.actions.clear();
        self.dirs.clear();
        self.expressions.clear();
        let notes = survey(words.clone())?;
        let mut control = Control::new();
        for word in words {
            self.add(word, &mut control).map_err(|why| Problem { directive: word, why, late: true })?;
        }
        // Selections that lead to no action need not be made.
        while self.steps.last().is_some_and(|step| !matches!(step, Step::Act(_))) {
            self.steps.pop();
        }
        Ok(notes)
    }

    fn add(&mut self, word: &'static CStr, control: &mut Control) -> Result<(), Why> {
        let step = match Directive::read(word)? {
            Directive::Select(pattern) => Step::Select(self.expressions.add(pattern)?),
            Directive::Deselect(pattern) => Step::Deselect(self.expressions.add(pattern)?),
            Directive::Rest => Step::Rest,
            Directive::Stdout => self.act(control, Target::Stdout)?,
            Directive::Stderr => self.act(control, Target::Alert(control.alert))?,
            Directive::File(path) => self.act(control, Target::Status(path, control.status))?,
            Directive::Dir(path) => {
                let dir = Settings { path, ..control.settings };
                self.dirs.push(dir).map_err(|_| Why::TooMany("logdirs", LOG_DIRS))?;
                self.act(control, Target::Dir(self.dirs.len() as u16 - 1))?
            }
            directive => return control.set(directive),
        };
        self.steps.push(step).map_err(|_| FULL)
    }

    fn act(&mut self, control: &mut Control, target: Target) -> Result<Step, Why> {
        self.actions.push(Action { head: control.take_head(), target }).map_err(|_| FULL)?;
        Ok(Step::Act(self.actions.len() as u16 - 1))
    }

    /// Whether nothing is selected: all actions run for every line.
    pub fn is_plain(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Act(_)))
    }

    /// Calls `run` with the number of each action that runs for `line` (without its newline), in their order.
    pub fn each_action(&mut self, line: &[u8], mut run: impl FnMut(u16)) {
        let (mut selected, mut acted) = (true, false);
        for step in &self.steps {
            match *step {
                Step::Select(number) => selected = selected || self.expressions.matches(number, line),
                Step::Deselect(number) => selected = selected && !self.expressions.matches(number, line),
                Step::Rest => selected = !acted,
                Step::Act(number) if selected => {
                    acted = true;
                    run(number);
                }
                Step::Act(_) => {}
            }
        }
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

/// The first time: letters only.
fn survey(words: impl Iterator<Item = &'static CStr>) -> Result<Notes, Problem> {
    let (mut acts, mut notes) = (false, Notes::default());
    for word in words {
        let problem = |mistake: Mistake| Problem { directive: word, why: mistake.into(), late: false };
        match Kind::of(word.to_bytes()).map_err(problem)? {
            Kind::Selection => notes.extraneous = true,
            Kind::Control => {}
            Kind::Action => (acts, notes.extraneous) = (true, false),
        }
    }
    if acts { Ok(notes) } else { Err(Problem { directive: c"", why: Why::NoAction, late: false }) }
}
