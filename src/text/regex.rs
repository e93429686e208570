//! POSIX extended regular expressions, regex(7), over bytes: whether a text has a match in it. For `ftrig-wait` and its
//! relatives, which ask again each time the text has grown: so the search goes on where it stopped.
//!
//! A pattern is compiled to a program for a machine that is in many places at once (Thompson's construction): the time
//! for a byte is bounded by the length of the program, whatever the pattern. Classes are those of the C locale. As in
//! the C library `{,n}` counts from 0 and empty alternatives match nothing, an unmatched `)` stands for itself, and
//! `\w`, `\W`, `\s`, `\S` are classes. Back references and GNU's anchors (`\<`, `\b`...) are refused.

use crate::limits::{REGEX_CODE, REGEX_DEPTH, REGEX_SETS};
use heapless::Vec;

/// Why a pattern cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is no extended regular expression, or has something in it that is not supported.
    Bad,
    /// It needs more than [`REGEX_CODE`], [`REGEX_SETS`] or [`REGEX_DEPTH`].
    TooLarge,
}

/// Places in the program are relative, so that a piece of it can be moved and copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Byte(u8),
    Any,
    Set(u8),
    /// Goes on behind it and there.
    Split(i16),
    Jump(i16),
    Begin,
    End,
    Match,
}

/// 256 bits.
type Set = [u8; 32];

/// A compiled pattern.
pub struct Regex {
    code: Vec<Op, REGEX_CODE>,
    sets: Vec<Set, REGEX_SETS>,
}

/// Places in the program.
#[derive(Clone, Copy)]
struct Places([u32; REGEX_CODE / 32]);

impl Places {
    const NONE: Places = Places([0; REGEX_CODE / 32]);

    /// Puts `at` in; false if it was in already.
    fn insert(&mut self, at: usize) -> bool {
        let Some(word) = self.0.get_mut(at / 32) else { return false };
        let before = *word;
        *word |= 1 << (at % 32);
        *word != before
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(i, word)| {
            let mut left = *word;
            core::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < 32).then_some(32 * i + bit)
            })
        })
    }
}

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
        let mut parser =
            Parser { left: pattern, depth: 0, regex: Regex { code: Vec::new(), sets: Vec::new() }, started: false };
        parser.alternatives()?;
        parser.push(Op::Match)?;
        Ok(parser.regex)
    }

    /// Whether there is a match in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.go_on(&mut self.search(), text)
    }

    /// A search through a text that is empty yet.
    pub fn search(&self) -> Search {
        let mut search = Search { places: Places::NONE, fresh: true, found: false };
        search.found = self.reach(&mut search.places, 0, true, false);
        search
    }

    /// Looks at what the text has grown by; says whether there is a match in it as it is now.
    pub fn go_on(&self, search: &mut Search, grown: &[u8]) -> bool {
        for byte in grown {
            if search.found {
                break;
            }
            search.fresh = false;
            let mut next = Places::NONE;
            for at in search.places.iter() {
                let fits = match self.code.get(at) {
                    Some(Op::Byte(wanted)) => wanted == byte,
                    Some(Op::Any) => true,
                    Some(Op::Set(set)) => self.sets.get(usize::from(*set)).is_some_and(|set| contains(set, *byte)),
                    _ => false,
                };
                if fits {
                    search.found |= self.reach(&mut next, at + 1, false, false);
                }
            }
            // A match may begin behind this byte.
            search.found |= self.reach(&mut next, 0, false, false);
            search.places = next;
        }
        search.found || self.ends(search)
    }

    /// Whether the end of the text, here, makes it a match.
    fn ends(&self, search: &Search) -> bool {
        let mut places = search.places;
        let waiting = search.places.iter().filter(|at| self.code.get(*at) == Some(&Op::End));
        waiting.fold(false, |found, at| found | self.reach(&mut places, at + 1, search.fresh, true))
    }

    /// Adds `from` to `places`, and wherever the machine gets from there without a byte; says whether that is a match.
    fn reach(&self, places: &mut Places, from: usize, begin: bool, end: bool) -> bool {
        let mut found = false;
        // A place is put on the stack once, when it is inserted.
        let mut stack = Vec::<u16, REGEX_CODE>::new();
        let mut visit = |stack: &mut Vec<u16, REGEX_CODE>, at: Option<usize>| {
            if let Some(at) = at.filter(|at| places.insert(*at)) {
                let _ = stack.push(at as u16);
            }
        };
        visit(&mut stack, Some(from));
        while let Some(at) = stack.pop() {
            let at = usize::from(at);
            match self.code.get(at) {
                Some(Op::Split(there)) => {
                    visit(&mut stack, Some(at + 1));
                    visit(&mut stack, at.checked_add_signed((*there).into()));
                }
                Some(Op::Jump(there)) => visit(&mut stack, at.checked_add_signed((*there).into())),
                Some(Op::Begin) if begin => visit(&mut stack, Some(at + 1)),
                Some(Op::End) if end => visit(&mut stack, Some(at + 1)),
                Some(Op::Match) => found = true,
                _ => {}
            }
        }
        found
    }
}

fn contains(set: &Set, byte: u8) -> bool {
    set.get(usize::from(byte / 8)).is_some_and(|bits| bits & 1 << (byte % 8) != 0)
}

fn insert(set: &mut Set, byte: u8) {
    if let Some(bits) = set.get_mut(usize::from(byte / 8)) {
        *bits |= 1 << (byte % 8);
    }
}

/// The bytes that a test holds for.
fn set_of(test: impl Fn(u8) -> bool) -> Set {
    let mut set = [0; 32];
    (0..=255).filter(|byte| test(*byte)).for_each(|byte| insert(&mut set, byte));
    set
}

fn class(name: &[u8]) -> Option<Set> {
    Some(match name {
        b"alpha" => set_of(|byte| byte.is_ascii_alphabetic()),
        b"digit" => set_of(|byte| byte.is_ascii_digit()),
        b"alnum" => set_of(|byte| byte.is_ascii_alphanumeric()),
        b"upper" => set_of(|byte| byte.is_ascii_uppercase()),
        b"lower" => set_of(|byte| byte.is_ascii_lowercase()),
        b"space" => set_of(|byte| matches!(byte, b' ' | 9..=13)),
        b"blank" => set_of(|byte| matches!(byte, b' ' | b'\t')),
        b"punct" => set_of(|byte| byte.is_ascii_punctuation()),
        b"print" => set_of(|byte| matches!(byte, b' '..=b'~')),
        b"graph" => set_of(|byte| byte.is_ascii_graphic()),
        b"cntrl" => set_of(|byte| byte.is_ascii_control()),
        b"xdigit" => set_of(|byte| byte.is_ascii_hexdigit()),
        _ => return None,
    })
}

/// What a bracket expression is made of.
enum Element {
    One(u8),
    Many(Set),
}

struct Parser<'a> {
    left: &'a [u8],
    depth: usize,
    regex: Regex,
    /// In a bracket expression: not its first element.
    started: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.left.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.next();
        }
        there
    }

    fn len(&self) -> usize {
        self.regex.code.len()
    }

    fn push(&mut self, op: Op) -> Result<(), Error> {
        self.regex.code.push(op).map_err(|_| Error::TooLarge)
    }

    fn insert(&mut self, at: usize, op: Op) -> Result<(), Error> {
        self.regex.code.insert(at, op).map_err(|_| Error::TooLarge)
    }

    fn set(&mut self, at: usize, op: Op) {
        if let Some(place) = self.regex.code.get_mut(at) {
            *place = op;
        }
    }

    fn push_set(&mut self, set: Set) -> Result<(), Error> {
        let known = self.regex.sets.iter().position(|known| *known == set);
        if known.is_none() {
            self.regex.sets.push(set).map_err(|_| Error::TooLarge)?;
        }
        self.push(Op::Set(known.unwrap_or(self.regex.sets.len() - 1) as u8))
    }

    /// `branch|branch|...`, up to the end or a `)` that is somebody's.
    fn alternatives(&mut self) -> Result<(), Error> {
        // The jump behind each branch leads to the one before it until all their common end is known.
        let mut last_jump = None;
        loop {
            let start = self.len();
            self.branch()?;
            if !self.takes(b'|') {
                break;
            }
            let jump = self.len() + 1;
            self.insert(start, Op::Split(distance(start, jump + 1)?))?;
            self.push(Op::Jump(last_jump.map_or(Ok(0), |before| distance(jump, before))?))?;
            last_jump = Some(jump);
        }
        let end = self.len();
        while let Some(jump) = last_jump {
            let Some(Op::Jump(before)) = self.regex.code.get(jump).copied() else { break };
            self.set(jump, Op::Jump(distance(jump, end)?));
            last_jump = if before == 0 { None } else { jump.checked_add_signed(before.into()) };
        }
        Ok(())
    }

    fn branch(&mut self) -> Result<(), Error> {
        while let Some(byte) = self.peek() {
            if byte == b'|' || byte == b')' && self.depth > 0 {
                break;
            }
            self.next();
            let start = self.len();
            match byte {
                // Nothing can be repeated here: in front of it is an anchor, or nothing.
                b'*' | b'+' | b'?' | b'{' => return Err(Error::Bad),
                b'^' => self.push(Op::Begin)?,
                b'$' => self.push(Op::End)?,
                _ => {
                    self.atom(byte)?;
                    self.repetitions(start)?;
                }
            }
        }
        Ok(())
    }

    fn atom(&mut self, byte: u8) -> Result<(), Error> {
        match byte {
            b'.' => self.push(Op::Any),
            b'[' => self.brackets(),
            b'(' => {
                if self.depth == REGEX_DEPTH {
                    return Err(Error::TooLarge);
                }
                self.depth += 1;
                self.alternatives()?;
                self.depth -= 1;
                if self.takes(b')') { Ok(()) } else { Err(Error::Bad) }
            }
            b'\\' => {
                let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                let space = |byte: u8| matches!(byte, b' ' | 9..=13);
                match self.next().ok_or(Error::Bad)? {
                    b'w' => self.push_set(set_of(word)),
                    b'W' => self.push_set(set_of(|byte| !word(byte))),
                    b's' => self.push_set(set_of(space)),
                    b'S' => self.push_set(set_of(|byte| !space(byte))),
                    b'1'..=b'9' | b'<' | b'>' | b'b' | b'B' | b'`' | b'\'' => Err(Error::Bad),
                    other => self.push(Op::Byte(other)),
                }
            }
            other => self.push(Op::Byte(other)),
        }
    }

    /// What follows an atom, whose code begins at `start`.
    fn repetitions(&mut self, start: usize) -> Result<(), Error> {
        loop {
            let (min, max) = match self.peek() {
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'?') => (0, Some(1)),
                Some(b'{') => {
                    self.next();
                    let bounds = self.interval()?;
                    self.repeat(start, bounds.0, bounds.1)?;
                    continue;
                }
                _ => return Ok(()),
            };
            self.next();
            self.repeat(start, min, max)?;
        }
    }

    /// `m}`, `m,}`, `,n}` or `m,n}`.
    fn interval(&mut self) -> Result<(usize, Option<usize>), Error> {
        let min = self.number()?;
        let (min, max) = if self.takes(b',') {
            (min.unwrap_or(0), self.number()?)
        } else {
            let min = min.ok_or(Error::Bad)?;
            (min, Some(min))
        };
        if !self.takes(b'}') || max.is_some_and(|max| max < min) {
            return Err(Error::Bad);
        }
        Ok((min, max))
    }

    /// At most 32767, RE_DUP_MAX.
    fn number(&mut self) -> Result<Option<usize>, Error> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.next();
            let n = number.unwrap_or(0) * 10 + usize::from(digit - b'0');
            if n > 32767 {
                return Err(Error::Bad);
            }
            number = Some(n);
        }
        Ok(number)
    }

    /// Makes the code from `start` on happen `min` to `max` times.
    fn repeat(&mut self, start: usize, min: usize, max: Option<usize>) -> Result<(), Error> {
        let len = self.len() - start;
        if max == Some(0) {
            self.regex.code.truncate(start);
            return Ok(());
        }
        // So often it may be missing; each time it is behind a split that leads to the end.
        let optional = max.map_or(0, |max| max - min);
        if min.saturating_mul(len) > REGEX_CODE || optional.saturating_mul(len + 1) > REGEX_CODE {
            return Err(Error::TooLarge);
        }
        let skip = |left: usize| distance(0, left * (len + 1)).map(Op::Split);
        let original = if min == 0 {
            // An endless one ends with a jump back to its split.
            let split = if max.is_none() { Op::Split(distance(0, len + 2)?) } else { skip(optional)? };
            self.insert(start, split)?;
            start + 1
        } else {
            start
        };
        for _ in 1..min {
            self.copy(original, len)?;
        }
        match max {
            None if min == 0 => self.push(Op::Jump(distance(len + 1, 0)?)),
            None => self.push(Op::Split(distance(len, 0)?)),
            Some(_) => {
                let rest = if min == 0 { optional - 1 } else { optional };
                for left in (1..=rest).rev() {
                    self.push(skip(left)?)?;
                    self.copy(original, len)?;
                }
                Ok(())
            }
        }
    }

    fn copy(&mut self, from: usize, len: usize) -> Result<(), Error> {
        for at in from..from + len {
            let op = self.regex.code.get(at).copied().ok_or(Error::TooLarge)?;
            self.push(op)?;
        }
        Ok(())
    }

    /// What follows a `[`.
    fn brackets(&mut self) -> Result<(), Error> {
        let negated = self.takes(b'^');
        let mut set = [0; 32];
        self.started = false;
        while !(self.started && self.takes(b']')) {
            let element = self.element(!self.started)?;
            self.started = true;
            // A `-` in front of the `]` stands for itself.
            if self.left.starts_with(b"-") && !self.left.starts_with(b"-]") {
                self.next();
                let (Element::One(from), Element::One(to)) = (element, self.element(true)?) else {
                    return Err(Error::Bad);
                };
                if from > to {
                    return Err(Error::Bad);
                }
                (from..=to).for_each(|byte| insert(&mut set, byte));
                continue;
            }
            match element {
                Element::One(byte) => insert(&mut set, byte),
                Element::Many(many) => set.iter_mut().zip(many).for_each(|(bits, more)| *bits |= more),
            }
        }
        if negated {
            set.iter_mut().for_each(|bits| *bits = !*bits);
        }
        self.push_set(set)
    }

    /// One element; a `-` that could be taken for a range is one only where it may stand.
    fn element(&mut self, hyphen: bool) -> Result<Element, Error> {
        let byte = self.next().ok_or(Error::Bad)?;
        match (byte, self.peek()) {
            (b'[', Some(kind @ (b':' | b'.' | b'='))) => {
                self.next();
                let end = self.left.windows(2).position(|pair| pair == [kind, b']']).ok_or(Error::Bad)?;
                let (name, rest) = self.left.split_at(end);
                self.left = rest.get(2..).unwrap_or_default();
                match (kind, name) {
                    (b':', name) => class(name).map(Element::Many).ok_or(Error::Bad),
                    (b'.', [one]) => Ok(Element::One(*one)),
                    (b'=', [one]) => Ok(Element::Many(set_of(|byte| byte == *one))),
                    _ => Err(Error::Bad),
                }
            }
            (b'-', after) if !hyphen && after != Some(b']') => Err(Error::Bad),
            _ => Ok(Element::One(byte)),
        }
    }
}

/// From one place to another.
fn distance(from: usize, to: usize) -> Result<i16, Error> {
    let far = |place: usize| i16::try_from(place).map_err(|_| Error::TooLarge);
    far(to)?.checked_sub(far(from)?).ok_or(Error::TooLarge)
}

#[cfg(test)]
#[path = "regex_tests.rs"]
mod tests;
