//! Damage that is described by bytes, for a fuzzer.

use crate::image::Image;
use linchpin::state::layout::State;
use linchpin::state::{Allow, Client, Epitaph, Held, Inbox, Job, Notify, Pending, Redo, Service, Tables, Transfer};
use std::mem::{offset_of, size_of};

/// The tables: where each begins, the size of its records.
const TABLES: [(usize, usize); 12] = [
    (0, offset_of!(Tables, epitaph)),
    (offset_of!(Tables, epitaph), size_of::<Epitaph>()),
    (offset_of!(Tables, redo), size_of::<Redo>()),
    (offset_of!(Tables, inbox), size_of::<Inbox>()),
    (offset_of!(Tables, transfer), size_of::<Transfer>()),
    (offset_of!(Tables, jobs), size_of::<Job>()),
    (offset_of!(Tables, services), size_of::<Service>()),
    (offset_of!(Tables, held), size_of::<Held>()),
    (offset_of!(Tables, notifies), size_of::<Notify>()),
    (offset_of!(Tables, allows), size_of::<Allow>()),
    (offset_of!(Tables, pending), size_of::<Pending>()),
    (offset_of!(Tables, clients), size_of::<Client>()),
];

/// Damages an arena, eight bytes of `data` for each store: which table, which of its first records, where in it, how, what.
/// It is mended then, and nothing is wrong with it; where nothing was wrong before, nothing is said.
pub fn stands(image: &mut Image, data: &[u8]) {
    image.restore();
    for store in data.chunks_exact(8) {
        let (start, size) = TABLES[usize::from(store[0]) % TABLES.len()];
        // The first records are in use.
        let slot =
            if size < 1 << 16 && !(1..=4).contains(&(store[0] as usize % TABLES.len())) { store[1] % 8 } else { 0 };
        let slot = if start == 0 { 0 } else { usize::from(slot) };
        let record = offset_of!(State, tables) + start + slot * size;
        let at = record + usize::from(u16::from_le_bytes([store[2], store[3]])) % size;
        let bytes = image.bytes();
        match store[4] % 4 {
            0 => bytes[at] = store[5],
            1 => bytes[at & !3..][..4].copy_from_slice(&i32::from(store[5] as i8).to_ne_bytes()),
            2 => bytes[at & !7..][..8].copy_from_slice(&i64::from(store[5] as i8).to_ne_bytes()),
            _ => bytes[at..][..1 + usize::from(store[6]) % 64].fill(store[5]),
        }
    }
    let before = image.violation();
    let said = image.mend();
    assert_eq!(image.violation(), None, "{before:?}: {said:#?}");
    assert!(before.is_some() || said.is_empty(), "{said:#?}");
}
