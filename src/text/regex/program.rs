//! The program that a pattern is compiled to, and the machine that runs it: it is in many places at once, so that no
//! byte of a text is looked at twice. Where it keeps its places is the caller's business: all is in slices of numbers.

/// An instruction. Places are relative, so that a piece of a program can be moved and copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Takes this byte.
    Byte(u8),
    /// Takes any byte.
    Any,
    /// Takes a byte of the set of this number.
    Set(u8),
    /// Goes on behind it and there.
    Split(i16),
    /// Goes on there.
    Jump(i16),
    /// Goes on if nothing is in front.
    Begin,
    /// Goes on if nothing follows.
    End,
    /// The pattern has matched.
    Match,
}

/// Longest program: instructions have two bytes, of which 14 bits are for a distance.
pub const LONGEST: usize = 4096;

/// Numbers that a set takes: 256 bits.
pub const SET: usize = 16;

/// 256 bits.
pub type Set = [u16; SET];

impl Op {
    /// As a number.
    pub fn encode(self) -> u16 {
        let far = |distance: i16| distance as u16 & 0x3fff;
        match self {
            Op::Byte(byte) => u16::from(byte),
            Op::Set(number) => 0x100 | u16::from(number),
            Op::Any => 0x200,
            Op::Begin => 0x300,
            Op::End => 0x400,
            Op::Match => 0x500,
            Op::Split(distance) => 0x8000 | far(distance),
            Op::Jump(distance) => 0xc000 | far(distance),
        }
    }

    /// What [`Op::encode`] has made.
    pub fn decode(code: u16) -> Op {
        let far = (code << 2) as i16 >> 2;
        match code >> 14 {
            2 => return Op::Split(far),
            3 => return Op::Jump(far),
            _ => {}
        }
        match code >> 8 {
            0 => Op::Byte(code as u8),
            1 => Op::Set(code as u8),
            2 => Op::Any,
            3 => Op::Begin,
            4 => Op::End,
            _ => Op::Match,
        }
    }
}

/// Whether `byte` is in a set.
pub fn contains(set: &[u16], byte: u8) -> bool {
    set.get(usize::from(byte / 16)).is_some_and(|bits| bits & 1 << (byte % 16) != 0)
}

/// Puts a number into a set of bits; false if it was in already.
pub fn insert(set: &mut [u16], number: usize) -> bool {
    let Some(word) = set.get_mut(number / 16) else { return false };
    let before = *word;
    *word |= 1 << (number % 16);
    *word != before
}

/// The numbers in a set of bits, from the smallest on.
pub fn members(set: &[u16]) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().flat_map(|(i, word)| {
        let mut left = *word;
        core::iter::from_fn(move || {
            let bit = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (bit < 16).then_some(16 * i + bit)
        })
    })
}

/// A compiled pattern: instructions, and sets of [`SET`] numbers each.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    pub code: &'a [u16],
    pub sets: &'a [u16],
}

impl<'a> Program<'a> {
    /// The instruction at a place.
    pub fn op(&self, at: usize) -> Option<Op> {
        self.code.get(at).map(|code| Op::decode(*code))
    }

    /// The set of this number.
    pub fn set(&self, number: u8) -> &'a [u16] {
        self.sets.get(usize::from(number) * SET..).and_then(|sets| sets.get(..SET)).unwrap_or_default()
    }

    fn takes(&self, at: usize, byte: u8) -> bool {
        match self.op(at) {
            Some(Op::Byte(wanted)) => wanted == byte,
            Some(Op::Any) => true,
            Some(Op::Set(number)) => contains(self.set(number), byte),
            _ => false,
        }
    }

    /// Adds `from` to `places`, and wherever the machine gets from there without a byte; says whether that is a match.
    /// `stack` has as many places as the program.
    pub fn reach(&self, places: &mut [u16], stack: &mut [u16], from: usize, begin: bool, end: bool) -> bool {
        let (mut found, mut depth) = (false, 0);
        // A place is put on the stack once, when it is inserted.
        let mut visit = |stack: &mut [u16], depth: &mut usize, at: Option<usize>| {
            if let Some(at) = at.filter(|at| insert(places, *at)) {
                if let Some(top) = stack.get_mut(*depth) {
                    *top = at as u16;
                    *depth += 1;
                }
            }
        };
        visit(stack, &mut depth, Some(from));
        while let Some(at) = depth.checked_sub(1).and_then(|top| stack.get(top)) {
            let at = usize::from(*at);
            depth -= 1;
            count();
            match self.op(at) {
                Some(Op::Split(there)) => {
                    visit(stack, &mut depth, Some(at + 1));
                    visit(stack, &mut depth, at.checked_add_signed(there.into()));
                }
                Some(Op::Jump(there)) => visit(stack, &mut depth, at.checked_add_signed(there.into())),
                Some(Op::Begin) if begin => visit(stack, &mut depth, Some(at + 1)),
                Some(Op::End) if end => visit(stack, &mut depth, Some(at + 1)),
                Some(Op::Match) => found = true,
                _ => {}
            }
        }
        found
    }

    /// Adds to `to` where `byte` leads from `from`; says whether that is a match.
    pub fn step(&self, from: &[u16], byte: u8, to: &mut [u16], stack: &mut [u16]) -> bool {
        let mut found = false;
        for at in members(from) {
            count();
            if self.takes(at, byte) {
                found |= self.reach(to, stack, at + 1, false, false);
            }
        }
        found
    }

    /// Whether the end of the text makes it a match, if the machine is at `places` then. `fresh`: the text is empty.
    pub fn ends(&self, places: &[u16], scratch: &mut [u16], stack: &mut [u16], fresh: bool) -> bool {
        copy(places, scratch);
        let waiting = members(places).filter(|at| self.op(*at) == Some(Op::End));
        waiting.fold(false, |found, at| found | self.reach(scratch, stack, at + 1, fresh, true))
    }
}

/// Makes one set what another of its size is.
pub fn copy(from: &[u16], to: &mut [u16]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// A step of the machine: tests count them.
#[inline(always)]
fn count() {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

#[cfg(test)]
std::thread_local! {
    /// How many steps machines have made in this thread.
    pub static STEPS: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
}
