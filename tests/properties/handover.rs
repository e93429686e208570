//! What a hand-over from anywhere comes to: it is refused, or the records that come of it are within their tables.

use linchpin::state::layout::{MAGIC, State};
use linchpin::state::stream;
use zerocopy::{FromBytes, IntoBytes};

/// Reads `data`, with and without the beginning of a stream in front of it.
pub fn handover(data: &[u8]) {
    let whole = [&stream::MAGIC[..], &stream::FORMAT.to_le_bytes(), data].concat();
    for bytes in [data, &whole] {
        // Of this only what is touched takes memory.
        let mut place = vec![0u64; size_of::<State>() / 8];
        let state = State::mut_from_bytes(place.as_mut_bytes()).unwrap();
        (state.tables.header.magic, state.tables.header.layout) = (MAGIC, State::LAYOUT);
        let read = stream::read(bytes, &mut state.tables, &state.ring, &mut |_| {});
        let header = &state.tables.header;
        assert_eq!((header.magic, header.layout), (MAGIC, State::LAYOUT));
        if let Ok(summary) = read {
            assert!(header.services_top as usize <= state.tables.services.len());
            assert!(header.held_top as usize <= state.tables.held.len());
            assert!(header.clients_top as usize <= state.tables.clients.len());
            let used = state.tables.services.iter().filter(|service| service.used != 0).count();
            assert!(used <= summary.services as usize);
        }
    }
}
