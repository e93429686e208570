//! The machine of a pattern with a memory: each set of places that it has been at is a state, and where a byte has led
//! from a state is looked up the next time. States are made when they are needed, in memory of a fixed size. When that
//! is full all are forgotten; and if they do not last long enough to be worth making, the machine goes on without.
//!
//! Bytes that no instruction distinguishes are of one class; a state has a number for each class: its row.

use super::Error;
use super::parse::{self, Room};
use super::program::{LONGEST, Op, Program, SET, contains, copy, insert};
use super::skip::Skip;
use crate::limits::REGEX_SETS;
use heapless::Vec;
use zerocopy::IntoBytes;

/// Lists of states that are told apart by what their places add up to.
const LISTS: usize = 64;

/// In a row: this has not been asked yet.
const UNKNOWN: u16 = 0;
/// In a row: no match, whatever follows.
const DEAD: u16 = 1;
/// In a row: a match, whatever follows.
const FOUND: u16 = 2;
/// Rows begin behind what could be taken for one of those.
const FIRST: usize = 3;

/// Numbers that the class of each byte takes.
const CLASSES: usize = 128;

/// So far in front of a row are the next state of its list, and whether a text may end in it; in front of those its places.
const LINK: usize = 2;
const ENDS: usize = 1;

/// States that must have room.
const LEAST: usize = 8;

/// So many bytes are worth the making of a state.
const WORTH: u64 = 10;

/// So often in a text there may be little to skip until it is not tried any more.
const PATIENCE: u32 = 4;

/// A compiled pattern, with the memory that it was given.
pub struct Automaton<'m> {
    /// Program, sets, classes, lists, four sets of places, the machine's stack: [`Parts`]. Then states.
    memory: &'m mut [u16],
    /// How much of it the parts take.
    parts: usize,
    /// Instructions.
    code: usize,
    /// Sets.
    sets: usize,
    /// Classes of bytes.
    classes: usize,
    /// The row of the state in which a text begins; [`DEAD`] and [`FOUND`] are possible.
    start: u16,
    /// The row of the state in which nothing of a match has been seen, behind the beginning.
    idle: u16,
    /// Whether an empty text matches.
    empty: bool,
    /// What leads out of the idle state.
    skip: Skip,
    made: Made,
}

/// What has become of the memory for states.
struct Made {
    /// Numbers that are used.
    used: usize,
    /// States that have been made since all were forgotten.
    states: u64,
    /// Bytes that have been looked at since then.
    bytes: u64,
}

impl Made {
    const NOTHING: Made = Made { used: FIRST, states: 0, bytes: 0 };
}

/// What the memory in front of the states is; and the states.
struct Parts<'p> {
    program: Program<'p>,
    classes: &'p [u8],
    lists: &'p mut [u16],
    /// Where the machine is when nothing of a match has been seen, with all that it passes.
    idle: &'p mut [u16],
    /// Places that tell states apart: at which a byte, or the end, is waited for.
    waiting: &'p mut [u16],
    /// Where the machine was. Others may have it meanwhile.
    from: &'p mut [u16],
    /// Where the machine is.
    to: &'p mut [u16],
    stack: &'p mut [u16],
    states: &'p mut [u16],
    /// Numbers in a row.
    row: usize,
    made: &'p mut Made,
}

/// How a walk along known rows ends.
enum Walk {
    /// With the text, in this state.
    Ended(u16),
    /// It is known whether there is a match.
    Known(bool),
    /// In this state, at this place: where the byte there leads is unknown.
    Unknown(u16, usize),
}

impl<'m> Automaton<'m> {
    /// Most memory that is used, in numbers.
    pub const MOST: usize = 1 << 16;

    /// Compiles a pattern. `memory` may hold anything; a simple pattern uses its first few hundred numbers. If there is
    /// too little of it that is [`Error::TooLarge`], as is a program of more than [`LONGEST`] instructions.
    pub fn new(pattern: &[u8], memory: &'m mut [u16]) -> Result<Automaton<'m>, Error> {
        let most = memory.len().min(Self::MOST);
        let memory = memory.get_mut(..most).unwrap_or_default();
        let mut sets = [[0; SET]; REGEX_SETS];
        let room = memory.get_mut(..most.min(LONGEST)).unwrap_or_default();
        let (code, count) = parse::compile(pattern, Room { code: room, sets: &mut sets })?;
        let width = code.div_ceil(16);
        let parts = code + count * SET + CLASSES + LISTS + 4 * width + code;
        memory.get_mut(code..parts).ok_or(Error::TooLarge)?.fill(0);
        let sets = sets.get(..count).unwrap_or_default().as_flattened();
        copy(sets, memory.get_mut(code..).unwrap_or_default());
        let mut automaton = Automaton {
            memory,
            parts,
            code,
            sets: count,
            classes: 1,
            start: DEAD,
            idle: DEAD,
            empty: false,
            skip: Skip::Nothing,
            made: Made::NOTHING,
        };
        automaton.classify();
        if most < parts + FIRST + LEAST * (width + LINK + automaton.classes) {
            return Err(Error::TooLarge);
        }
        automaton.prepare();
        automaton.start_again(false);
        automaton.skip = automaton.learn_to_skip().unwrap_or(Skip::Nothing);
        Ok(automaton)
    }

    /// Its memory.
    pub fn into_memory(self) -> &'m mut [u16] {
        self.memory
    }

    /// Numbers of its memory that it uses.
    pub fn used(&self) -> usize {
        self.parts + self.made.used
    }

    /// Whether there is a match in `text`.
    pub fn is_match(&mut self, text: &[u8]) -> bool {
        if text.is_empty() {
            return self.empty;
        }
        let (mut row, mut at) = (self.start, 0);
        while row > FOUND {
            match self.walk(row, text, at) {
                Walk::Known(found) => return found,
                Walk::Ended(row) => {
                    self.made.bytes += (text.len() - at) as u64;
                    return self.ends(row);
                }
                Walk::Unknown(from, place) => {
                    self.made.bytes += (place + 1 - at) as u64;
                    at = place + 1;
                    row = match self.step(from, text.get(place).copied().unwrap_or(0)) {
                        Some(next) => next,
                        None if self.made.bytes >= WORTH * self.made.states => self.start_again(true),
                        None => return self.go_on_without_memory(text.get(at..).unwrap_or_default()),
                    };
                }
            }
        }
        row == FOUND
    }

    /// Follows known rows, from `row` and the byte at `at` on.
    fn walk(&self, mut row: u16, text: &[u8], mut at: usize) -> Walk {
        let (parts, states) = self.memory.split_at_checked(self.parts).unwrap_or_default();
        let classes = parts.get(self.code + self.sets * SET..).unwrap_or_default().as_bytes();
        let Some(classes) = classes.first_chunk::<256>() else { return Walk::Known(false) };
        let mut skips_at = if self.skip == Skip::Nothing { UNKNOWN } else { self.idle };
        let mut patience = PATIENCE;
        while let Some(byte) = text.get(at) {
            let mut byte = *byte;
            if row == skips_at {
                let Some(next) = self.skip.find(text, at) else { return Walk::Ended(row) };
                if next < at + 8 {
                    patience -= 1;
                    skips_at = if patience == 0 { UNKNOWN } else { skips_at };
                }
                at = next;
                byte = text.get(at).copied().unwrap_or(0);
            }
            let class = classes.get(usize::from(byte)).copied().unwrap_or(0);
            let next = states.get(usize::from(row) + usize::from(class)).copied().unwrap_or(DEAD);
            if next <= FOUND {
                return if next == UNKNOWN { Walk::Unknown(row, at) } else { Walk::Known(next == FOUND) };
            }
            row = next;
            at += 1;
        }
        Walk::Ended(row)
    }

    /// Whether a text may end in the state of a row.
    fn ends(&self, row: u16) -> bool {
        self.memory.get(self.parts + usize::from(row) - ENDS) == Some(&1)
    }

    fn parts(&mut self) -> Parts<'_> {
        let width = self.code.div_ceil(16);
        let mut left = &mut *self.memory;
        let mut take = |count: usize| {
            let (taken, rest) = core::mem::take(&mut left).split_at_mut_checked(count).unwrap_or_default();
            left = rest;
            taken
        };
        let (code, sets, classes, lists) = (take(self.code), take(self.sets * SET), take(CLASSES), take(LISTS));
        let (idle, waiting, from, to, stack) = (take(width), take(width), take(width), take(width), take(self.code));
        Parts {
            program: Program { code, sets },
            classes: classes.as_bytes(),
            lists,
            idle,
            waiting,
            from,
            to,
            stack,
            states: left,
            row: self.classes,
            made: &mut self.made,
        }
    }

    /// Finds out which bytes the program distinguishes.
    fn classify(&mut self) {
        let (program, rest) = self.memory.split_at_mut_checked(self.code + self.sets * SET).unwrap_or_default();
        let (code, sets) = program.split_at_checked(self.code).unwrap_or_default();
        let (program, classes) = (Program { code, sets }, rest.as_mut_bytes());
        let Some(classes) = classes.first_chunk_mut::<256>() else { return };
        let mut alone = [0; SET];
        for at in 0..code.len() {
            match program.op(at) {
                Some(Op::Byte(byte)) if insert(&mut alone, byte.into()) => {
                    self.classes = divide(classes, |other| other == byte);
                }
                _ => {}
            }
        }
        for number in 0..self.sets {
            self.classes = divide(classes, |byte| contains(program.set(number as u8), byte));
        }
    }

    /// What is the same for all texts.
    fn prepare(&mut self) {
        let p = self.parts();
        for at in 0..p.program.code.len() {
            if matches!(p.program.op(at), Some(Op::Byte(_) | Op::Any | Op::Set(_) | Op::End)) {
                insert(p.waiting, at);
            }
        }
        p.program.reach(p.idle, p.stack, 0, false, false);
        let found = p.program.reach(p.to, p.stack, 0, true, false);
        self.empty = found || p.program.ends(p.to, p.from, p.stack, true);
    }

    /// Forgets all states but those that a text begins with. `here`: and but the one in which the machine is, whose row is
    /// the answer.
    fn start_again(&mut self, here: bool) -> u16 {
        self.made = Made::NOTHING;
        let mut p = self.parts();
        p.lists.fill(0);
        let row = if here { p.state() } else { None };
        p.to.fill(0);
        let found = p.program.reach(p.to, p.stack, 0, true, false);
        let start = if found { Some(FOUND) } else { p.state() };
        copy(p.idle, p.to);
        // There is room for these: at least LEAST.
        let idle = p.state().unwrap_or(DEAD);
        (self.start, self.idle) = (start.unwrap_or(DEAD), idle);
        row.unwrap_or(DEAD)
    }

    /// Where `byte` leads from the state of `row`. `None`: there is no room for another state; the machine is there.
    fn step(&mut self, row: u16, byte: u8) -> Option<u16> {
        let mut p = self.parts();
        let at = usize::from(row);
        let places = at.checked_sub(LINK + p.from.len())?;
        copy(p.states.get(places..)?, p.from);
        copy(p.idle, p.to);
        let found = p.program.step(p.from, byte, p.to, p.stack);
        let next = if found { FOUND } else { p.state()? };
        let class = p.classes.get(usize::from(byte)).copied()?;
        *p.states.get_mut(at + usize::from(class))? = next;
        Some(next)
    }

    /// The rest of a text, from where the machine is.
    fn go_on_without_memory(&mut self, text: &[u8]) -> bool {
        self.made.bytes += text.len() as u64;
        let p = self.parts();
        for byte in text {
            copy(p.to, p.from);
            copy(p.idle, p.to);
            if p.program.step(p.from, *byte, p.to, p.stack) {
                return true;
            }
        }
        p.program.ends(p.to, p.from, p.stack, false)
    }

    /// Finds out what leads out of the idle state. `None`: there is no room for all states that this takes.
    fn learn_to_skip(&mut self) -> Option<Skip> {
        let idle = self.idle;
        if self.start == FOUND || idle == DEAD {
            return None;
        }
        let first = self.few(|it, byte| Some(it.next(idle, byte)? != idle))?;
        let a = match first.as_slice() {
            [a] => *a,
            [a, b] => return Some(Skip::Byte([*a, *b, *b])),
            [a, b, c] => return Some(Skip::Byte([*a, *b, *c])),
            _ => return None,
        };
        let alone = Some(Skip::Byte([a; 3]));
        // If one byte behind `a` leads elsewhere than it would without the `a`, then a match begins with these two.
        let behind = self.next(idle, a)?;
        if behind <= FOUND || self.ends(behind) != self.ends(idle) {
            return alone;
        }
        let second = self.few(|it, byte| Some(it.next(behind, byte)? != it.next(idle, byte)?));
        match second.as_deref() {
            Some([b]) => Some(Skip::Pair(a, *b)),
            _ => alone,
        }
    }

    fn next(&mut self, row: u16, byte: u8) -> Option<u16> {
        match self.walk(row, &[byte], 0) {
            Walk::Ended(next) => Some(next),
            Walk::Known(found) => Some(if found { FOUND } else { DEAD }),
            Walk::Unknown(..) => self.step(row, byte),
        }
    }

    /// The bytes that a test holds for, if they are at most three.
    fn few(&mut self, mut test: impl FnMut(&mut Self, u8) -> Option<bool>) -> Option<Vec<u8, 3>> {
        let mut few = Vec::new();
        for byte in 0..=255 {
            if test(self, byte)? {
                few.push(byte).ok()?;
            }
        }
        Some(few)
    }
}

impl Parts<'_> {
    /// The row of the state in which the machine is. `None`: there is no room for it.
    fn state(&mut self) -> Option<u16> {
        self.to.iter_mut().zip(&*self.waiting).for_each(|(to, waiting)| *to &= waiting);
        if self.to.iter().all(|word| *word == 0) {
            return Some(DEAD);
        }
        let sum = self.to.iter().fold(0u32, |sum, word| sum.wrapping_mul(31).wrapping_add(u32::from(*word)));
        let list = self.lists.get_mut((sum ^ sum >> 8) as usize % LISTS)?;
        let (width, mut row) = (self.to.len(), *list);
        while row != 0 {
            let places = usize::from(row).checked_sub(LINK + width)?;
            if self.states.get(places..places + width) == Some(&*self.to) {
                return Some(row);
            }
            row = *self.states.get(places + width)?;
        }
        let state = self.states.get_mut(self.made.used..)?.get_mut(..width + LINK + self.row)?;
        let row = u16::try_from(self.made.used + width + LINK).ok()?;
        copy(self.to, state);
        let ends = self.program.ends(self.to, self.from, self.stack, false);
        let rest = state.get_mut(width..)?;
        rest.fill(UNKNOWN);
        copy(&[*list, ends.into()], rest);
        *list = row;
        self.made.used += width + LINK + self.row;
        self.made.states += 1;
        Some(row)
    }
}

/// Divides classes into those in `set` and those outside; says how many there are then.
fn divide(classes: &mut [u8; 256], set: impl Fn(u8) -> bool) -> usize {
    let (mut numbers, mut count) = ([None; 512], 0);
    for (byte, class) in (0..=255).zip(classes) {
        let old = 2 * usize::from(*class) + usize::from(set(byte));
        if let Some(number) = numbers.get_mut(old) {
            *class = *number.get_or_insert_with(|| {
                count += 1;
                (count - 1) as u8
            });
        }
    }
    count
}
