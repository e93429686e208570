//! All that a store holds, by identifier: one table of the largest size, in `.bss`.

use super::look::Sight;
use super::row::{Facts, Row};
use crate::limits::{BOARD_SOCKETS, HELD, HELD_NAME};
use crate::text::order;
use crate::text::tai::Stamp;

/// Most descriptors: what is held, and what the board config still waits for.
const ROWS: usize = HELD + BOARD_SOCKETS;
/// Bytes of all identifiers, and of addresses and paths of some length.
const BYTES: usize = ROWS * (HELD_NAME + 200);

/// The table.
pub struct List {
    used: usize,
    rows: heapless::Vec<Stored, ROWS>,
    bytes: [u8; BYTES],
}

/// A row, whose texts lie in `bytes`.
struct Stored {
    id: Span,
    address: Span,
    peer: Span,
    limit: Option<Stamp>,
    facts: Option<Facts>,
    sight: Option<Sight>,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    const EMPTY: Span = Span { start: 0, len: 0 };

    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.len as usize).unwrap_or_default()
    }
}

impl List {
    /// Nothing yet; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> List {
        List { used: 0, rows: heapless::Vec::new(), bytes: [0; BYTES] }
    }

    fn keep(&mut self, text: &[u8]) -> Option<Span> {
        let end = self.used + text.len();
        self.bytes.get_mut(self.used..end)?.copy_from_slice(text);
        let span = Span { start: self.used as u32, len: text.len() as u32 };
        self.used = end;
        Some(span)
    }

    /// Adds a row. False: there is no room.
    pub fn push(&mut self, id: &[u8], limit: Option<Stamp>, facts: Option<Facts>) -> bool {
        if self.rows.is_full() {
            return false;
        }
        let Some(id) = self.keep(id) else { return false };
        let row = Stored { id, address: Span::EMPTY, peer: Span::EMPTY, limit, facts, sight: None };
        self.rows.push(row).is_ok()
    }

    /// Puts the rows into the order of their identifiers. What was told twice, because it moved meanwhile, stands once.
    pub fn sort(&mut self) {
        let bytes = &self.bytes;
        let rows = &mut self.rows;
        order::sort(rows, &mut |a, b| a.id.of(bytes) < b.id.of(bytes));
        let mut kept = 0;
        for at in 0..rows.len() {
            let id = |at: usize| rows.get(at).map(|row| row.id.of(bytes));
            if kept == 0 || id(at) != id(kept - 1) {
                rows.swap(kept, at);
                kept += 1;
            }
        }
        rows.truncate(kept);
    }

    /// Where `id` stands, if the rows are in order.
    pub fn find(&self, id: &[u8]) -> Option<usize> {
        self.rows.binary_search_by(|row| row.id.of(&self.bytes).cmp(id)).ok()
    }

    /// Notes what was seen of a row. What there is no room for is left out of the address.
    pub fn see(&mut self, at: usize, sight: Sight, address: &[u8], peer: &[u8]) {
        let left = self.bytes.len() - self.used;
        let address = self.keep(address.get(..left).unwrap_or(address)).unwrap_or(Span::EMPTY);
        let left = self.bytes.len() - self.used;
        let peer = self.keep(peer.get(..left).unwrap_or(peer)).unwrap_or(Span::EMPTY);
        if let Some(row) = self.rows.get_mut(at) {
            (row.sight, row.address, row.peer) = (Some(sight), address, peer);
        }
    }

    /// Notes until when a row is held.
    pub fn limit(&mut self, at: usize, limit: Stamp) {
        if let Some(row) = self.rows.get_mut(at) {
            row.limit = Some(limit);
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row at a place.
    pub fn get(&self, at: usize) -> Option<Row<'_>> {
        let row = self.rows.get(at)?;
        let bytes = &self.bytes;
        let (id, address, peer) = (row.id.of(bytes), row.address.of(bytes), row.peer.of(bytes));
        Some(Row { id, address, peer, limit: row.limit, facts: row.facts, sight: row.sight.as_ref() })
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows.len()).filter_map(|at| self.get(at))
    }
}
