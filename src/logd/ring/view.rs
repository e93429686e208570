//! Reading a ring that is being written to: without a lock, and without being in anybody's way. What was overwritten
//! meanwhile is noticed, and counted.

use super::layout::{Fault, HEADER, Header, State, USED};
use crate::sys::{Fd, file};
use crate::text::find;
use core::sync::atomic::{Ordering, fence};

/// How often a header is read that is being written at that moment: with a writer at full speed every second time.
const TRIES: usize = 1000;

/// Bytes of a file, from an offset on; how many there were. Fewer than fit: the file is not as long, or cannot be read.
pub trait Source {
    /// See above.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> usize;
    /// Its size.
    fn size(&self) -> u64;
}

impl Source for Fd {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        file::read_at(*self, buf, offset).unwrap_or(0)
    }

    fn size(&self) -> u64 {
        file::size(*self).unwrap_or(0)
    }
}

/// What [`View::read`] got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Got {
    /// So many bytes that follow those before. 0: there are no more yet.
    Bytes(usize),
    /// So many lines are missing here, the one of which a part was got included. Goes on with a whole line.
    Lost(u64),
}

/// How far a reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View {
    /// Which ring it is.
    pub id: u64,
    /// Of the next byte.
    position: u64,
    /// Lines that ended before that.
    line: u64,
    capacity: usize,
}

/// The header, as it is now.
pub fn look(source: &impl Source) -> Result<Header, Fault> {
    let mut said = Err(Fault::State);
    for _ in 0..TRIES {
        let mut bytes = [0; USED];
        let read = source.read_at(&mut bytes, 0);
        said = Header::read(bytes.get(..read).unwrap_or_default(), source.size());
        if said != Err(Fault::State) {
            break;
        }
    }
    said
}

impl View {
    /// Begins with the oldest line that is there.
    pub fn new(source: &impl Source) -> Result<View, Fault> {
        let Header { capacity, id, state, .. } = look(source)?;
        Ok(View { id, position: state.start, line: state.gone, capacity })
    }

    /// Goes on in another file of the same ring: what it was carried over to. The error of one that is another ring is
    /// `Foreign`.
    pub fn moved(self, source: &impl Source) -> Result<View, Fault> {
        let Header { capacity, id, state, .. } = look(source)?;
        // Lines that were cut when they were carried over have made positions smaller.
        let goes_on = id == self.id && self.position <= state.end && self.line <= state.lines;
        if goes_on { Ok(View { capacity, ..self }) } else { Err(Fault::Foreign) }
    }

    /// Bytes that are there and have not been read, as far as is known without looking at more than the header.
    pub fn left(&self, source: &impl Source) -> Result<u64, Fault> {
        look(source).map(|header| header.state.end.saturating_sub(self.position))
    }

    /// Reads on. Not beyond the position `limit`.
    pub fn read(&mut self, source: &impl Source, buf: &mut [u8], limit: u64) -> Result<Got, Fault> {
        let state = self.state(source)?;
        if state.start > self.position {
            return Ok(self.skip(state));
        }
        let left = state.end.min(limit).saturating_sub(self.position).min(self.capacity as u64) as usize;
        let wanted = left.min(buf.len());
        let at = self.position.checked_rem(self.capacity as u64).unwrap_or(0) as usize;
        let first = wanted.min(self.capacity.saturating_sub(at));
        let mut got = 0;
        for (range, offset) in [(0..first, at), (first..wanted, 0)] {
            let Some(room) = buf.get_mut(range).filter(|room| !room.is_empty()) else { continue };
            got += source.read_at(room, (HEADER + offset) as u64);
        }
        if got < wanted {
            return Err(Fault::Size);
        }
        // What was read is worth something if it is still there.
        fence(Ordering::SeqCst);
        let state = self.state(source)?;
        if state.start > self.position {
            return Ok(self.skip(state));
        }
        self.position += wanted as u64;
        self.line += find::count(buf.get(..wanted).unwrap_or_default(), b'\n') as u64;
        Ok(Got::Bytes(wanted))
    }

    fn skip(&mut self, state: State) -> Got {
        let lost = state.gone.saturating_sub(self.line);
        (self.position, self.line) = (state.start, state.gone);
        Got::Lost(lost)
    }

    /// The state of the ring that this is about. It has not been made anew in its place, as nobody does.
    fn state(&self, source: &impl Source) -> Result<State, Fault> {
        let header = look(source)?;
        if header.id != self.id || header.capacity != self.capacity { Err(Fault::Foreign) } else { Ok(header.state) }
    }
}
