//! POSIX extended regular expressions, regex(7), over bytes: whether a text has a match in it.
//!
//! A pattern is compiled to a program for a machine that is in many places at once (Thompson's construction): the time
//! for a byte is bounded by the length of the program, whatever the pattern. Classes are those of the C locale. As in
//! the C library `{,n}` counts from 0 and empty alternatives match nothing, an unmatched `)` stands for itself, and
//! `\w`, `\W`, `\s`, `\S` are classes. Back references and GNU's anchors (`\<`, `\b`...) are refused.
//!
//! * [`Regex`] runs the program as it is, on a text that may grow: for `ftrig-wait` and its relatives, which ask again
//!   each time that something has come, and for whoever asks seldom.
//! * [`Automaton`] remembers where each byte has led, in memory that it is given: for the logger, which asks for each
//!   line.

mod automaton;
mod parse;
mod program;
mod skip;

use crate::limits::{REGEX_CODE, REGEX_SETS};
use program::{Program, SET};

pub use automaton::Automaton;

/// Why a pattern cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is no extended regular expression, or has something in it that is not supported.
    Bad,
    /// It needs more than [`REGEX_CODE`], [`REGEX_SETS`] or [`REGEX_DEPTH`](crate::limits::REGEX_DEPTH).
    TooLarge,
}

/// A compiled pattern.
pub struct Regex {
    code: [u16; REGEX_CODE],
    len: usize,
    sets: [program::Set; REGEX_SETS],
}

/// Places in the program.
type Places = [u16; REGEX_CODE / 16];

/// Where the machine keeps what it has still to look at.
type Stack = [u16; REGEX_CODE];

/// How far the search through one text is.
pub struct Search {
    places: Places,
    /// No byte has been looked at.
    fresh: bool,
    /// There is a match, whatever follows.
    found: bool,
}

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Regex, Error> {
        let mut regex = Regex { code: [0; REGEX_CODE], len: 0, sets: [[0; SET]; REGEX_SETS] };
        let room = parse::Room { code: &mut regex.code, sets: &mut regex.sets };
        regex.len = parse::compile(pattern, room)?.0;
        Ok(regex)
    }

    fn program(&self) -> Program<'_> {
        Program { code: self.code.get(..self.len).unwrap_or_default(), sets: self.sets.as_flattened() }
    }

    /// Whether there is a match in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.go_on(&mut self.search(), text)
    }

    /// A search through a text that is empty yet.
    pub fn search(&self) -> Search {
        let mut search = Search { places: [0; REGEX_CODE / 16], fresh: true, found: false };
        let stack: &mut Stack = &mut [0; REGEX_CODE];
        search.found = self.program().reach(&mut search.places, stack, 0, true, false);
        search
    }

    /// Looks at what the text has grown by; says whether there is a match in it as it is now.
    pub fn go_on(&self, search: &mut Search, grown: &[u8]) -> bool {
        let (program, stack): (_, &mut Stack) = (self.program(), &mut [0; REGEX_CODE]);
        // The places that there are.
        let width = self.len.div_ceil(16);
        let (places, next): (_, &mut Places) = (&mut search.places, &mut [0; REGEX_CODE / 16]);
        let (Some(places), Some(next)) = (places.get_mut(..width), next.get_mut(..width)) else { return false };
        for byte in grown {
            if search.found {
                break;
            }
            search.fresh = false;
            next.fill(0);
            search.found |= program.step(places, *byte, next, stack);
            // A match may begin behind this byte.
            search.found |= program.reach(next, stack, 0, false, false);
            program::copy(next, places);
        }
        search.found || program.ends(places, next, stack, search.fresh)
    }
}

#[cfg(test)]
mod tests;
