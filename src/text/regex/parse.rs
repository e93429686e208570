//! From a pattern to its program.

use super::Error;
use super::program::{Op, SET, Set, insert};
use crate::limits::REGEX_DEPTH;

/// The bytes that a test holds for.
fn set_of(test: impl Fn(u8) -> bool) -> Set {
    let mut set = [0; SET];
    (0..=255).filter(|byte| test(*byte)).for_each(|byte| put(&mut set, byte));
    set
}

fn put(set: &mut Set, byte: u8) {
    insert(set, byte.into());
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

/// Where a program is written.
pub struct Room<'r> {
    /// Instructions: at most [`LONGEST`](super::program::LONGEST).
    pub code: &'r mut [u16],
    /// Sets.
    pub sets: &'r mut [Set],
}

/// Compiles a pattern; says how many instructions and sets it takes.
pub fn compile(pattern: &[u8], room: Room<'_>) -> Result<(usize, usize), Error> {
    let mut parser = Parser { left: pattern, depth: 0, room, len: 0, sets: 0, started: false };
    parser.alternatives()?;
    parser.push(Op::Match)?;
    Ok((parser.len, parser.sets))
}

struct Parser<'a, 'r> {
    left: &'a [u8],
    depth: usize,
    room: Room<'r>,
    /// Instructions so far.
    len: usize,
    /// Sets so far.
    sets: usize,
    /// In a bracket expression: not its first element.
    started: bool,
}

impl Parser<'_, '_> {
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

    fn op(&self, at: usize) -> Option<Op> {
        self.room.code.get(at).map(|code| Op::decode(*code))
    }

    fn push(&mut self, op: Op) -> Result<(), Error> {
        self.insert(self.len, op)
    }

    fn insert(&mut self, at: usize, op: Op) -> Result<(), Error> {
        let code = self.room.code.get_mut(at..=self.len).ok_or(Error::TooLarge)?;
        code.rotate_right(1);
        if let Some(place) = code.first_mut() {
            *place = op.encode();
        }
        self.len += 1;
        Ok(())
    }

    fn set(&mut self, at: usize, op: Op) {
        if let Some(place) = self.room.code.get_mut(at) {
            *place = op.encode();
        }
    }

    fn push_set(&mut self, set: Set) -> Result<(), Error> {
        let known = self.room.sets.iter().take(self.sets).position(|known| *known == set);
        if known.is_none() {
            *self.room.sets.get_mut(self.sets).ok_or(Error::TooLarge)? = set;
            self.sets += 1;
        }
        self.push(Op::Set(known.unwrap_or(self.sets - 1) as u8))
    }

    /// `branch|branch|...`, up to the end or a `)` that is somebody's.
    fn alternatives(&mut self) -> Result<(), Error> {
        // The jump behind each branch leads to the one before it until all their common end is known.
        let mut last_jump = None;
        loop {
            let start = self.len;
            self.branch()?;
            if !self.takes(b'|') {
                break;
            }
            let jump = self.len + 1;
            self.insert(start, Op::Split(distance(start, jump + 1)?))?;
            self.push(Op::Jump(last_jump.map_or(Ok(0), |before| distance(jump, before))?))?;
            last_jump = Some(jump);
        }
        let end = self.len;
        while let Some(jump) = last_jump {
            let Some(Op::Jump(before)) = self.op(jump) else { break };
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
            let start = self.len;
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
        let len = self.len - start;
        if max == Some(0) {
            self.len = start;
            return Ok(());
        }
        // So often it may be missing; each time it is behind a split that leads to the end.
        let optional = max.map_or(0, |max| max - min);
        let most = self.room.code.len();
        if min.saturating_mul(len) > most || optional.saturating_mul(len + 1) > most {
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
            self.push(self.op(at).ok_or(Error::TooLarge)?)?;
        }
        Ok(())
    }

    /// What follows a `[`.
    fn brackets(&mut self) -> Result<(), Error> {
        let negated = self.takes(b'^');
        let mut set = [0; SET];
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
                (from..=to).for_each(|byte| put(&mut set, byte));
                continue;
            }
            match element {
                Element::One(byte) => put(&mut set, byte),
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
