//! Commands that turn into a line of other commands of ours, as s6's do. Such a command is the one that PATH has under its
//! s6 name; where it has none, this very binary, which then must be found by its path.

use crate::applets::cli::Cli;
use crate::applets::install;
use crate::limits::LINE_WORDS;
use crate::sys::Errno;
use crate::sys::args::Argv;
use crate::sys::cell::TakeCell;
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// Words to be executed, kept where they cost nothing unless there are many.
pub type Words = Argv<'static, { LINE_WORDS + 1 }>;

static WORDS: TakeCell<Words> = TakeCell::new(Argv::empty());
static OWN: TakeCell<[u8; 4096]> = TakeCell::new([0; 4096]);

/// The one place for words in a process. `None`: it was given away.
pub fn words() -> Option<&'static mut Words> {
    WORDS.take()
}

/// A command line being put together.
pub struct Line<'c> {
    cli: &'c Cli,
    words: &'static mut Words,
    /// Where this binary is, if that is known.
    own: Option<&'static CStr>,
    /// What to execute.
    program: &'static CStr,
    too_long: bool,
}

impl<'c> Line<'c> {
    /// It begins with the command `s6-NAME`.
    pub fn new(cli: &'c Cli, s6_name: &'static CStr) -> Option<Line<'c>> {
        let mut line = Line { cli, words: words()?, own: own(), program: s6_name, too_long: false };
        line.program = line.command(s6_name);
        Some(line)
    }

    /// Appends the command `s6-NAME`; returns what has to be executed for it.
    pub fn command(&mut self, s6_name: &'static CStr) -> &'static CStr {
        match (self.own, short(s6_name)) {
            (Some(own), Some(name)) if !self.cli.is_in_path(s6_name) => {
                self.word(own);
                self.word(name);
                own
            }
            _ => {
                self.word(s6_name);
                s6_name
            }
        }
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
        self.cli.fail(format_args!("unable to exec {}: {}", Printable(self.program.to_bytes()), Reason(why)));
        if why == Errno::NOENT { 127 } else { 126 }
    }
}

/// The path of this binary, kept for as long as the process. `None`: it is not to be found, or was asked for already.
fn own() -> Option<&'static CStr> {
    let mut path = CPath::<4096>::new();
    install::own_path(&mut path).ok()?;
    let bytes = path.get()?.to_bytes_with_nul();
    let room = OWN.take()?.get_mut(..bytes.len())?;
    room.copy_from_slice(bytes);
    CStr::from_bytes_with_nul(room).ok()
}

/// The name of a command without `s6-`.
fn short(s6_name: &'static CStr) -> Option<&'static CStr> {
    let bytes = s6_name.to_bytes_with_nul().strip_prefix(b"s6-")?;
    CStr::from_bytes_with_nul(bytes).ok()
}
