//! The expressions of a script, each compiled once, however often it is used.

use super::Why;
use crate::limits::{LOG_EXPRESSION, LOG_EXPRESSIONS};
use crate::sys::{self, Errno, pages};
use crate::text::regex::{self, Automaton};
use heapless::Vec;
use zerocopy::FromBytes;

/// The number of the expression that every line matches.
const EVERY_LINE: u16 = u16::MAX;

/// See above.
pub struct Expressions {
    patterns: Vec<&'static [u8], LOG_EXPRESSIONS>,
    compiled: Vec<Automaton<'static>, LOG_EXPRESSIONS>,
    /// Memory of those that have been forgotten.
    spare: Vec<&'static mut [u16], LOG_EXPRESSIONS>,
}

impl Expressions {
    /// None.
    pub const fn new() -> Expressions {
        Expressions { patterns: Vec::new(), compiled: Vec::new(), spare: Vec::new() }
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.patterns.clear();
        while let Some(compiled) = self.compiled.pop() {
            let _ = self.spare.push(compiled.into_memory());
        }
    }

    /// The number of this expression.
    pub fn add(&mut self, pattern: &'static [u8]) -> Result<u16, Why> {
        if pattern.is_empty() {
            return Ok(EVERY_LINE);
        }
        if let Some(known) = self.patterns.iter().position(|known| *known == pattern) {
            return Ok(known as u16);
        }
        let number = self.patterns.len() as u16;
        self.patterns.push(pattern).map_err(|_| Why::TooMany("different expressions", LOG_EXPRESSIONS))?;
        let memory = self.spare.pop().map_or_else(memory, Ok).map_err(Why::NoMemory)?;
        let compiled = Automaton::new(pattern, memory).map_err(|e| match e {
            regex::Error::Bad => Why::Unrecognized,
            regex::Error::TooLarge => Why::TooLarge,
        })?;
        // There are never more than patterns.
        let _ = self.compiled.push(compiled);
        Ok(number)
    }

    /// Whether a line matches the expression of this number.
    pub fn matches(&mut self, number: u16, line: &[u8]) -> bool {
        number == EVERY_LINE || self.compiled.get_mut(usize::from(number)).is_some_and(|it| it.is_match(line))
    }
}

/// Address space for one expression; what it does not use is no memory.
fn memory() -> sys::Result<&'static mut [u16]> {
    <[u16]>::mut_from_bytes(pages::reserve(LOG_EXPRESSION)?).map_err(|_| Errno::NOMEM)
}
