//! Making a [constant database](super::cdb) in memory: records are put in one after the other, then the tables.
//!
//! With the same records in the same order the bytes are those that cdbmake(1) and s6's programs make. Pure.

use super::cdb::{PAIR, TABLES, hash};
use super::order;

/// There is no room for this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// The database would have more bytes than the room.
    Bytes,
    /// There are as many records as the maker has room for.
    Records,
}

/// Hashes and places of up to `N` records.
pub type Places<const N: usize> = heapless::Vec<(u32, u32), N>;

/// A database being made.
pub struct Maker<'a, const N: usize> {
    room: &'a mut [u8],
    used: usize,
    places: &'a mut Places<N>,
}

impl<'a, const N: usize> Maker<'a, N> {
    /// An empty one. `room` holds the finished database: 2 KiB, and 24 bytes and its key and value for each record.
    pub fn new(room: &'a mut [u8], places: &'a mut Places<N>) -> Result<Self, Full> {
        places.clear();
        room.get_mut(..TABLES * PAIR).ok_or(Full::Bytes)?.fill(0);
        Ok(Maker { room, used: TABLES * PAIR, places })
    }

    /// Puts in a record, whose value is `value`, piece after piece. After an error the database is of no use.
    pub fn add(&mut self, key: &[u8], value: &[&[u8]]) -> Result<(), Full> {
        let place = self.used;
        let length = value.iter().map(|piece| piece.len()).sum();
        self.pair(key.len(), length)?;
        self.put(key)?;
        value.iter().try_for_each(|piece| self.put(piece))?;
        self.places.push((hash(key), word(place)?)).map_err(|_| Full::Records)
    }

    /// Puts in the tables; answers the bytes of the database.
    pub fn finish(mut self) -> Result<&'a [u8], Full> {
        // Records of a table stay in their order: of two with one key the first is to be found.
        let key = |(hash, place): &(u32, u32)| (*hash as usize % TABLES, *place);
        order::sort(self.places, &mut |a, b| key(a) < key(b));
        let mut from = 0;
        for table in 0..TABLES {
            let rest = self.places.get(from..).unwrap_or_default();
            let count = rest.iter().take_while(|(hash, _)| *hash as usize % TABLES == table).count();
            let (start, slots) = (self.used, 2 * count);
            self.zeros(slots * PAIR)?;
            for at in from..from + count {
                let (hash, place) = self.places.get(at).copied().unwrap_or_default();
                let first = (hash >> 8) as usize % slots;
                let free = (first..slots).chain(0..first).map(|slot| start + slot * PAIR).find(|at| self.is_free(*at));
                // Half of the slots are free.
                self.write(free.unwrap_or(start), (hash, place));
            }
            self.write(table * PAIR, (word(start)?, word(slots)?));
            from += count;
        }
        Ok(self.room.get(..self.used).unwrap_or_default())
    }

    fn is_free(&self, at: usize) -> bool {
        self.room.get(at..at + PAIR).is_some_and(|slot| slot.iter().all(|byte| *byte == 0))
    }

    fn pair(&mut self, a: usize, b: usize) -> Result<(), Full> {
        self.put(&word(a)?.to_le_bytes())?;
        self.put(&word(b)?.to_le_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.next(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn zeros(&mut self, length: usize) -> Result<(), Full> {
        self.next(length)?.fill(0);
        Ok(())
    }

    fn next(&mut self, length: usize) -> Result<&mut [u8], Full> {
        let end = self.used.checked_add(length).ok_or(Full::Bytes)?;
        let place = self.room.get_mut(self.used..end).ok_or(Full::Bytes)?;
        self.used = end;
        Ok(place)
    }

    fn write(&mut self, at: usize, (a, b): (u32, u32)) {
        for (place, word) in [(at, a), (at + 4, b)] {
            if let Some(bytes) = self.room.get_mut(place..place + 4) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
}

fn word(number: usize) -> Result<u32, Full> {
    u32::try_from(number).map_err(|_| Full::Bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::cdb::Cdb;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn make(entries: &[(Vec<u8>, Vec<u8>)], size: usize) -> Result<Vec<u8>, Full> {
        let (mut room, mut places) = (vec![0xaa; size], Places::<40>::new());
        let mut maker = Maker::new(&mut room, &mut places)?;
        for (key, value) in entries {
            let (head, tail) = value.split_at(value.len() / 2);
            maker.add(key, &[head, tail])?;
        }
        maker.finish().map(<[u8]>::to_vec)
    }

    fn numbered(count: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        (0..count).map(|n| (vec![n], vec![n, n])).collect()
    }

    #[test]
    fn a_database_that_fills_its_room_is_finished_and_one_byte_less_is_too_little() {
        for count in [0, 1, 40] {
            let size = 2048 + usize::from(count) * 27;
            assert_eq!(make(&numbered(count), size).map(|made| made.len()), Ok(size));
            assert_eq!(make(&numbered(count), size - 1), Err(Full::Bytes));
        }
    }

    #[test]
    fn more_records_than_there_is_room_for_are_refused() {
        assert_eq!(make(&numbered(41), 10_000), Err(Full::Records));
    }

    /// What cdbmake(1) makes of one record, by hand.
    #[test]
    fn the_bytes_are_those_of_cdbmake() {
        let made = make(&[(b"uid/0".to_vec(), b"D".to_vec())], 4096).unwrap();
        let (hash, end) = (0x0afc_0c82_u32, 2048 + 14);
        let mut expected = Vec::new();
        for table in 0..256u32 {
            let start = if table > 0x82 { end + 16 } else { end };
            expected.extend([start, if table == 0x82 { 2 } else { 0 }].map(u32::to_le_bytes).concat());
        }
        expected.extend(b"\x05\0\0\0\x01\0\0\0uid/0D");
        expected.extend([hash, 2048, 0, 0].map(u32::to_le_bytes).concat());
        assert_eq!(made, expected);
    }

    fn words(most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..most)
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found_and_listed(entries in prop::collection::vec((words(3), words(20)), 0..40)) {
            let file = make(&entries, 100_000).unwrap();
            let cdb = Cdb::new(&file).unwrap();
            let mut first = HashMap::new();
            for (key, value) in &entries {
                first.entry(key.clone()).or_insert(value.as_slice());
            }
            for (key, value) in &first {
                prop_assert_eq!(cdb.find(key), Ok(Some(*value)));
            }
            prop_assert_eq!(cdb.find(b"none of them"), Ok(None));
            let listed: Vec<_> = cdb.records().map(|record| record.unwrap()).collect();
            prop_assert!(listed.iter().copied().eq(entries.iter().map(|(key, value)| (&key[..], &value[..]))));
        }

        #[test]
        fn the_records_of_a_damaged_file_are_listed_without_harm(
            entries in prop::collection::vec((words(4), words(20)), 1..10),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut file = make(&entries, 100_000).unwrap();
            for (at, byte) in damage {
                let at = at.index(file.len());
                file[at] = byte;
            }
            if let Ok(cdb) = Cdb::new(&file) {
                let listed: Vec<_> = cdb.records().collect();
                prop_assert!(listed.len() <= file.len() / PAIR);
                prop_assert!(listed.iter().rev().skip(1).all(Result::is_ok), "nothing comes after an error");
            }
        }
    }
}
