//! The expressions of a script, each compiled once, however often it is used.

use super::Why;
use crate::limits::LOG_EXPRESSIONS;
use crate::text::regex::{self, Regex};
use heapless::Vec;

/// The number of the expression that every line matches.
const EVERY_LINE: u16 = u16::MAX;

/// See above.
pub struct Expressions {
    patterns: Vec<&'static [u8], LOG_EXPRESSIONS>,
    compiled: Vec<Regex, LOG_EXPRESSIONS>,
}

impl Expressions {
    /// None.
    pub const fn new() -> Expressions {
        Expressions { patterns: Vec::new(), compiled: Vec::new() }
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.patterns.clear();
        self.compiled.clear();
    }

    /// The number of this expression.
    pub fn add(&mut self, pattern: &'static [u8]) -> Result<u16, Why> {
        if pattern.is_empty() {
            return Ok(EVERY_LINE);
        }
        if let Some(known) = self.patterns.iter().position(|known| *known == pattern) {
            return Ok(known as u16);
        }
        let regex = Regex::new(pattern).map_err(|e| match e {
            regex::Error::Bad => Why::Unrecognized,
            regex::Error::TooLarge => Why::TooLarge,
        })?;
        let number = self.patterns.len() as u16;
        let full = |_| Why::TooMany("different expressions", LOG_EXPRESSIONS);
        self.patterns.push(pattern).map_err(full)?;
        self.compiled.push(regex).map_err(|_| full(pattern))?;
        Ok(number)
    }

    /// Whether a line matches the expression of this number.
    pub fn matches(&mut self, number: u16, line: &[u8]) -> bool {
        number == EVERY_LINE || self.compiled.get_mut(usize::from(number)).is_some_and(|regex| regex.is_match(line))
    }
}
