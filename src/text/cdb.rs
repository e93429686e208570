//! Constant databases, as cdb(5) describes them: a file of keys and values, made once and only read after that.
//!
//! A file begins with 256 tables, each a place and a number of slots; a slot is a hash and the place of a record, and a
//! record is two lengths, a key and a value. All numbers have 32 bits, the lowest byte first. Pure: what is read is a
//! slice, and nothing in it can lead out of it or make a search longer than the table that it is in.

/// The file is no constant database, or a damaged one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged;

/// A constant database.
#[derive(Clone, Copy)]
pub struct Cdb<'a>(&'a [u8]);

pub(super) const TABLES: usize = 256;
/// A place and a number of slots, or a hash and a place.
pub(super) const PAIR: usize = 8;

impl<'a> Cdb<'a> {
    /// The database whose file holds `bytes`. Its tables must lie inside of it; what they lead to is looked at when it
    /// is searched.
    pub fn new(bytes: &'a [u8]) -> Result<Cdb<'a>, Damaged> {
        let cdb = Cdb(bytes);
        for table in 0..TABLES {
            let (start, slots) = cdb.pair(table * PAIR)?;
            let end = slots.checked_mul(PAIR).and_then(|size| start.checked_add(size)).ok_or(Damaged)?;
            if end > bytes.len() {
                return Err(Damaged);
            }
        }
        Ok(cdb)
    }

    /// The value of `key`; of several the one that was put in first.
    pub fn find(&self, key: &[u8]) -> Result<Option<&'a [u8]>, Damaged> {
        let hash = hash(key);
        let (start, slots) = self.pair(hash as usize % TABLES * PAIR)?;
        if slots == 0 {
            return Ok(None);
        }
        let first = (hash >> 8) as usize % slots;
        for slot in (first..slots).chain(0..first) {
            let (its_hash, record) = self.pair(start.saturating_add(slot.saturating_mul(PAIR)))?;
            if record == 0 {
                break;
            }
            if record < TABLES * PAIR || record >= self.0.len() {
                return Err(Damaged);
            }
            if its_hash == hash as usize {
                let (its_key, value) = self.record(record)?;
                if its_key == key {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    /// All records, keys and values, in the order in which they were put in; ends with an error if something else is found
    /// among them.
    pub fn records(&self) -> impl Iterator<Item = Result<(&'a [u8], &'a [u8]), Damaged>> {
        let (cdb, mut at) = (*self, TABLES * PAIR);
        // The slots come after the records.
        let starts = (0..TABLES).filter_map(move |table| cdb.pair(table * PAIR).ok());
        let end = starts.map(|(start, _)| start).filter(|start| *start >= at).min().unwrap_or(at);
        core::iter::from_fn(move || {
            let left = end.checked_sub(at).filter(|left| *left > 0)?;
            let found = cdb.record(at).and_then(|(key, value)| {
                let size = PAIR + key.len() + value.len();
                if size > left { Err(Damaged) } else { Ok((key, value, size)) }
            });
            at = found.map_or(end, |(.., size)| at + size);
            Some(found.map(|(key, value, _)| (key, value)))
        })
    }

    fn record(&self, at: usize) -> Result<(&'a [u8], &'a [u8]), Damaged> {
        let (key_len, value_len) = self.pair(at)?;
        let rest = self.0.get(at.saturating_add(PAIR)..).ok_or(Damaged)?;
        let (key, rest) = rest.split_at_checked(key_len).ok_or(Damaged)?;
        Ok((key, rest.get(..value_len).ok_or(Damaged)?))
    }

    fn pair(&self, at: usize) -> Result<(usize, usize), Damaged> {
        let (pair, _) = self.0.get(at..).and_then(|rest| rest.split_first_chunk::<PAIR>()).ok_or(Damaged)?;
        let [a, b, c, d, e, f, g, h] = *pair;
        Ok((u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize))
    }
}

/// The hash of a key: which table (its lowest byte), and where in it a search begins.
pub(super) fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33) ^ u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Makes a database.
    fn make(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut file = vec![0; TABLES * PAIR];
        let mut tables = vec![Vec::new(); TABLES];
        let word = |n: usize| (n as u32).to_le_bytes();
        for (key, value) in entries {
            let hash = hash(key);
            tables[hash as usize % TABLES].push((hash, file.len()));
            file.extend([word(key.len()), word(value.len())].concat());
            file.extend(key.iter().chain(value));
        }
        for (number, records) in tables.iter().enumerate() {
            let slots = 2 * records.len();
            let (start, mut table) = (file.len(), vec![(0, 0); slots]);
            for (hash, place) in records {
                let mut slot = (hash >> 8) as usize % slots;
                while table[slot] != (0, 0) {
                    slot = (slot + 1) % slots;
                }
                table[slot] = (*hash, *place);
            }
            file.extend(table.iter().flat_map(|(hash, place)| [word(*hash as usize), word(*place)].concat()));
            file[number * PAIR..(number + 1) * PAIR].copy_from_slice(&[word(start), word(slots)].concat());
        }
        file
    }

    #[test]
    fn a_file_that_is_too_short_for_its_tables_is_none() {
        for junk in [&b""[..], b"junk", &[0; 2047], &[b'x'; 5000]] {
            assert_eq!(Cdb::new(junk).map(drop), Err(Damaged));
        }
        assert_eq!(Cdb::new(&[0; 2048]).unwrap().find(b"key"), Ok(None));
    }

    #[test]
    fn of_two_values_of_a_key_the_first_counts() {
        let file = make(&[(b"k".to_vec(), b"1".to_vec()), (b"k".to_vec(), b"2".to_vec())]);
        assert_eq!(Cdb::new(&file).unwrap().find(b"k"), Ok(Some(&b"1"[..])));
    }

    #[test]
    fn a_record_that_leads_out_of_the_file_is_noticed() {
        let mut file = make(&[(b"key".to_vec(), b"value".to_vec())]);
        file[2048 + 4..2048 + 8].fill(0xff);
        assert_eq!(Cdb::new(&file).unwrap().find(b"key"), Err(Damaged));
        assert_eq!(Cdb::new(&file).unwrap().find(b"other"), Ok(None));
    }

    fn words(most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..most)
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_found_and_nothing_else(
            entries in prop::collection::vec((words(4), words(20)), 0..40),
            others in prop::collection::vec(words(4), 0..10),
        ) {
            let file = make(&entries);
            let cdb = Cdb::new(&file).unwrap();
            let mut first = HashMap::new();
            for (key, value) in &entries {
                first.entry(key.clone()).or_insert(value.as_slice());
            }
            for key in entries.iter().map(|(key, _)| key).chain(&others) {
                prop_assert_eq!(cdb.find(key), Ok(first.get(key).copied()));
            }
        }

        #[test]
        fn a_damaged_file_is_searched_without_harm(
            entries in prop::collection::vec((words(4), words(20)), 1..10),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut file = make(&entries);
            for (at, byte) in damage {
                let at = at.index(file.len());
                file[at] = byte;
            }
            for file in [&file[..], &file[..cut.index(file.len())]] {
                if let Ok(cdb) = Cdb::new(file) {
                    for (key, _) in &entries {
                        let _ = cdb.find(key);
                    }
                }
            }
        }
    }
}
