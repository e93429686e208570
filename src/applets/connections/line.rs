//! Commands that turn into a line of other commands, as s6's do.

use crate::applets::cli::{Cli, unable_to_exec_named};
use crate::limits::LINE_WORDS;
use crate::sys::args::Argv;
use crate::sys::cell::TakeCell;
use core::ffi::CStr;

/// Words to be executed, kept where they cost nothing unless there are many.
pub type Words = Argv<'static, { LINE_WORDS + 1 }>;

static WORDS: TakeCell<Words> = TakeCell::new(Argv::empty());

/// The one place for words in a process. `None`: it was given away.
pub fn words() -> Option<&'static mut Words> {
    WORDS.take()
}

/// A command line being put together.
pub struct Line<'c> {
    cli: &'c Cli,
    words: &'static mut Words,
    program: &'static CStr,
    too_long: bool,
}

impl<'c> Line<'c> {
    /// It begins with the command `program`.
    pub fn new(cli: &'c Cli, program: &'static CStr) -> Option<Line<'c>> {
        let mut line = Line { cli, words: words()?, program, too_long: false };
        line.word(program);
        Some(line)
    }

    /// Appends a word.
    pub fn word(&mut self, word: &'static CStr) {
        self.too_long |= !self.words.push(word);
    }

    /// Appends an option and its value, if it has one.
    pub fn option(&mut self, letter: &'static CStr, value: Option<&'static CStr>) {
        if let Some(value) = value {
            self.word(letter);
            self.word(value);
        }
    }

    /// Goes on as that line. Returns only if that fails, as [`Cli::exec`] does.
    pub fn exec(self) -> i32 {
        if self.too_long {
            return self.cli.refuse(format_args!("too many words: {LINE_WORDS} is the most"));
        }
        let why = self.cli.try_exec(self.words, self.program);
        unable_to_exec_named(self.cli, self.program, why)
    }
}
