//! What is in a ring's file, and how lines get into it. Pure: works on any memory.
//!
//! The file is a page of header and the data behind it. Positions count bytes since the ring was made, so they never come
//! again; byte `p` is at `p` modulo the capacity. The header has two slots for the state. A new one goes where the older
//! is, with a sum over it: so one of them is whole at any moment, and a reader who meets a slot that is being written takes
//! the other one. A push first says in the state that the lines that are in its way are gone, then stores its bytes, then
//! says in the state that they are there. Whoever dies in between has lost the line that it was pushing, and nothing else.

use crate::sys::ring::order;
use crate::text::find;

/// Bytes in front of the data.
pub const HEADER: usize = 4096;
/// Bytes of the header that mean something.
pub const USED: usize = 256;

const MAGIC: u64 = u64::from_be_bytes(*b"linchpin");
/// The ring's layout; another one has another number.
const VERSION: u64 = 0x7269_6e67_0000_0001;
/// Where the slots are: each in a cache line of its own.
const SLOTS: [usize; 2] = [64, 128];
const WORDS: usize = 7;

/// No ring has ever had so many bytes.
const MANY: u64 = 1 << 62;

/// What ends a line that is longer than the ring.
pub const MARK: &[u8] = b"...\n";

/// How far a ring is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// Where the oldest line that is there begins: so many bytes had to go.
    pub start: u64,
    /// Lines that had to go: the oldest that is there has this number, from 0.
    pub gone: u64,
    /// Where the next line will begin: so many bytes have been stored.
    pub end: u64,
    /// Lines that have been stored.
    pub lines: u64,
    /// Bytes that have never been stored, because their line was longer than the ring.
    pub cut: u64,
}

/// Why bytes are no ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It does not begin as one.
    Foreign,
    /// It has the layout of another version.
    Version,
    /// Its size is not what its header says.
    Size,
    /// Its header contradicts itself, or what is behind it.
    State,
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Fault::Foreign => "it is no ring",
            Fault::Version => "it is the ring of another version",
            Fault::Size => "it has not the size that it says",
            Fault::State => "it is damaged",
        })
    }
}

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes of data that the ring has room for.
    pub capacity: usize,
    /// A number of its own: a ring that was made anew has another one.
    pub id: u64,
    /// How often the state has changed.
    pub changes: u64,
    /// How far it is.
    pub state: State,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<8>()) {
        *place = value.to_le_bytes();
    }
}

/// Of all words of a slot but the last.
fn sum(words: &[u64]) -> u64 {
    words
        .iter()
        .fold(0x6c69_6e65_732e_2e2e, |sum: u64, word| (sum.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// How often the state had changed, and the state, if the slot is whole.
fn slot(header: &[u8], at: usize) -> Option<(u64, State)> {
    let words: [u64; WORDS] = core::array::from_fn(|i| word(header, at + 8 * i));
    let (said, words) = words.split_last()?;
    let &[changes, start, gone, end, lines, cut] = words else { return None };
    (*said == sum(words)).then_some((changes, State { start, gone, end, lines, cut }))
}

impl Header {
    /// Reads the first bytes of a file of `size` bytes. What is behind the header is not looked at. `State` may also be
    /// because both slots were being written while these bytes were read: then others say more.
    pub fn read(bytes: &[u8], size: u64) -> Result<Header, Fault> {
        if word(bytes, 0) != MAGIC {
            return Err(Fault::Foreign);
        }
        if word(bytes, 8) != VERSION {
            return Err(Fault::Version);
        }
        let capacity = word(bytes, 16);
        if capacity <= MARK.len() as u64 || size.checked_sub(HEADER as u64).is_none_or(|data| data < capacity) {
            return Err(Fault::Size);
        }
        let slots = SLOTS.iter().filter_map(|at| slot(bytes, *at));
        let (changes, state) = slots.max_by_key(|(changes, _)| *changes).ok_or(Fault::State)?;
        let State { start, gone, end, lines, cut } = state;
        let (Some(bytes_there), Some(lines_there)) = (end.checked_sub(start), lines.checked_sub(gone)) else {
            return Err(Fault::State);
        };
        let is_possible = (end | cut) < MANY && lines <= end && gone <= start;
        let fits = bytes_there <= capacity && lines_there <= bytes_there;
        if !is_possible || !fits || (lines_there == 0) != (bytes_there == 0) {
            return Err(Fault::State);
        }
        let capacity = usize::try_from(capacity).map_err(|_| Fault::Size)?;
        Ok(Header { capacity, id: word(bytes, 24), changes, state })
    }
}

/// The bytes from one position to another, which are at most a capacity apart: in two pieces where they go round.
pub fn pieces(data: &[u8], from: u64, to: u64) -> [&[u8]; 2] {
    let len = to.saturating_sub(from).min(data.len() as u64) as usize;
    let at = from.checked_rem(data.len() as u64).unwrap_or(0) as usize;
    let first = len.min(data.len() - at);
    [data.get(at..at + first).unwrap_or_default(), data.get(..len - first).unwrap_or_default()]
}

/// What writes to a ring.
pub struct Writer<'a> {
    header: &'a mut [u8],
    data: &'a mut [u8],
    changes: u64,
    state: State,
}

impl<'a> Writer<'a> {
    /// Makes a ring of all of `memory`, empty at `state`: nothing is said to be there that is not yet.
    pub fn make(memory: &'a mut [u8], id: u64, state: State) -> Option<Writer<'a>> {
        let (header, data) = memory.split_at_mut_checked(HEADER)?;
        if data.len() <= MARK.len() {
            return None;
        }
        let state = State { start: state.end, gone: state.lines, ..state };
        for (at, value) in [(0, MAGIC), (8, VERSION), (16, data.len() as u64), (24, id)] {
            put(header, at, value);
        }
        let mut writer = Writer { header, data, changes: 0, state };
        writer.become_(state);
        Some(writer)
    }

    /// Goes on with the ring in `memory`, if that is one, as large as `memory` says.
    pub fn go_on(memory: &'a mut [u8]) -> Result<Writer<'a>, Fault> {
        let size = memory.len() as u64;
        let Header { capacity, changes, state, .. } = Header::read(memory, size)?;
        let (header, data) = memory.split_at_mut_checked(HEADER).ok_or(Fault::Size)?;
        if data.len() != capacity {
            return Err(Fault::Size);
        }
        let there = pieces(data, state.start, state.end);
        let last = there.iter().rev().find_map(|piece| piece.last());
        let newlines = there.iter().map(|piece| find::count(piece, b'\n') as u64).sum::<u64>();
        if newlines != state.lines - state.gone || last.is_some_and(|byte| *byte != b'\n') {
            return Err(Fault::State);
        }
        Ok(Writer { header, data, changes, state })
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Adds what the pieces together are: a line with its newline at the end. What is oldest goes, line by line. Of a line
    /// that is longer than the ring, the beginning is kept, and [`MARK`].
    pub fn push(&mut self, line: &[&[u8]]) {
        let (mut keep, mut cut) = (line.iter().map(|piece| piece.len()).sum::<usize>(), 0);
        let mark = if keep > self.data.len() {
            let kept = self.data.len() - MARK.len();
            cut = (keep - 1 - kept) as u64;
            keep = kept;
            MARK
        } else {
            b""
        };
        self.make_room(keep + mark.len());
        let mut state = State { cut: self.state.cut + cut, ..self.state };
        for piece in line {
            let piece = piece.get(..piece.len().min(keep)).unwrap_or_default();
            keep -= piece.len();
            self.add(&mut state, piece);
        }
        self.add(&mut state, mark);
        self.become_(state);
    }

    /// Lets go of everything: it is as far as `state`, and empty.
    pub fn forget(&mut self, state: State) {
        self.become_(State { start: state.end, gone: state.lines, ..state });
    }

    /// Gives it another number of its own.
    pub fn set_id(&mut self, id: u64) {
        put(self.header, 24, id);
    }

    fn add(&mut self, state: &mut State, bytes: &[u8]) {
        self.store(state.end, bytes);
        state.end += bytes.len() as u64;
        state.lines += find::count(bytes, b'\n') as u64;
    }

    /// Stores bytes at a position; there is room for them.
    fn store(&mut self, position: u64, bytes: &[u8]) {
        let at = position.checked_rem(self.data.len() as u64).unwrap_or(0) as usize;
        let (first, rest) = bytes.split_at(bytes.len().min(self.data.len() - at));
        if let Some(room) = self.data.get_mut(at..at + first.len()) {
            room.copy_from_slice(first);
        }
        if let Some(room) = self.data.get_mut(..rest.len()) {
            room.copy_from_slice(rest);
        }
    }

    /// Lets go of whole lines until there is room for `len` bytes.
    fn make_room(&mut self, len: usize) {
        let State { start, gone, end, .. } = self.state;
        let Some(excess) = (end - start + len as u64).checked_sub(self.data.len() as u64).filter(|n| *n > 0) else {
            return;
        };
        // The line that this byte belongs to is the last that goes.
        let least = end.min(start + excess) - 1;
        let before: usize = pieces(self.data, start, least).iter().map(|piece| find::count(piece, b'\n')).sum();
        let [first, second] = pieces(self.data, least, end);
        let last = find::first(first, b'\n').or_else(|| find::first(second, b'\n').map(|at| first.len() + at));
        let state = match last {
            Some(at) => State { start: least + at as u64 + 1, gone: gone + before as u64 + 1, ..self.state },
            None => State { start: end, gone: self.state.lines, ..self.state },
        };
        self.become_(state);
    }

    /// Says that this is how far it is.
    fn become_(&mut self, state: State) {
        self.changes += 1;
        order(self.data);
        order(self.header);
        write_state(self.header, self.changes, state);
        order(self.header);
        order(self.data);
        self.state = state;
    }
}

/// Puts a state into the slot whose turn it is.
pub fn write_state(header: &mut [u8], changes: u64, state: State) {
    let State { start, gone, end, lines, cut } = state;
    let words = [changes, start, gone, end, lines, cut];
    let at = SLOTS[changes as usize % 2];
    for (i, value) in words.iter().chain([&sum(&words)]).enumerate() {
        put(header, at + 8 * i, *value);
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
