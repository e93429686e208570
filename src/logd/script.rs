//! What a logger's command line says after the options: one directive a word. Pure.

use super::dir::Settings;
use crate::limits::{LOG_DIRECTIVES, LOG_DIRS};
use core::ffi::CStr;
use heapless::Vec;

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

/// A script: see [`Script::parse`].
pub struct Script {
    /// What is done with each line.
    pub steps: Vec<Step, LOG_DIRECTIVES>,
    /// Actions, by number.
    pub actions: Vec<Action, LOG_DIRECTIVES>,
    /// Logdirs and rings, by number: in the order of the command line; the same path twice is there twice.
    pub dirs: Vec<Settings, LOG_DIRS>,
}
