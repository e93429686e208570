//! Random damage to the arena of an engine at work: whatever it is, mending comes to an end, and leaves nothing that is
//! wrong. `LINCHPIN_MUTATIONS` says how many, `LINCHPIN_SEED` which.

use crate::image::Image;
use crate::small::small;
use crate::snapshots::{busy_engine, snapshot};
use linchpin::state::layout::State;
use linchpin::state::{Client, Held, Notify, Service, Tables};
use std::mem::{offset_of, size_of};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n.max(1)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A table: where it begins, the size of its records, how many are of interest.
fn tables(image: &mut Image) -> [(usize, usize, usize); 6] {
    let header = &image.tables().header;
    let (services, held) = (header.services_top as usize, header.held_top as usize);
    let clients = header.clients_top as usize;
    let at = |offset: usize| offset_of!(State, tables) + offset;
    [
        (at(0), offset_of!(Tables, services), 1),
        (at(offset_of!(Tables, services)), size_of::<Service>(), services),
        (at(offset_of!(Tables, services)), size_of::<Service>(), services),
        (at(offset_of!(Tables, held)), size_of::<Held>(), held),
        (at(offset_of!(Tables, notifies)), size_of::<Notify>(), services),
        (at(offset_of!(Tables, clients)), size_of::<Client>(), clients),
    ]
}

/// Damages something, in one of many ways.
fn damage(image: &mut Image, tables: &[(usize, usize, usize)], random: &mut Random) {
    let (start, size, count) = loop {
        let table = random.of(tables);
        if table.2 > 0 {
            break table;
        }
    };
    let slot = random.below(count);
    let record = start + slot * size;
    // Of large records, mostly the beginning: what follows is what clients have sent.
    let at = record + if random.below(4) > 0 { random.below(size.min(600)) } else { random.below(size) };
    let bytes = image.bytes();
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => {
            let wild = random.next() as u32;
            let word = random.of(&[0, 1, 3, 5, 0xff, 0xffff, 0x7fff_ffff, u32::MAX, wild]);
            bytes[at & !3..][..4].copy_from_slice(&word.to_ne_bytes());
        }
        3 => {
            let wild = random.next();
            let word = random.of(&[0, 1, u64::MAX, u64::MAX / 2, wild]);
            bytes[at & !7..][..8].copy_from_slice(&word.to_ne_bytes());
        }
        4 => {
            let len = 1 + random.below(64);
            let byte = random.of(&[0, 0xff, 0xa5]);
            bytes[at..][..len].fill(byte);
        }
        5 => {
            let other = start + random.below(count) * size;
            for i in 0..size.min(1 << 15) {
                bytes.swap(record + i, other + i);
            }
        }
        _ => {
            let other = start + random.below(count) * size;
            bytes.copy_within(other..other + size.min(1 << 15), record);
        }
    }
}

fn stands_all(image: &mut Image, how_many: u64) {
    let seed = number("LINCHPIN_SEED", u64::from(std::process::id()) << 20 | 1);
    println!("LINCHPIN_SEED={seed}");
    let mut random = Random(seed);
    let mut quiet = 0;
    let tables = tables(image);
    for nth in 0..how_many {
        image.restore();
        for _ in 0..random.of(&[1, 1, 1, 2, 5, 20]) {
            damage(image, &tables, &mut random);
        }
        let before = image.violation();
        let said = image.mend();
        let what = || format!("LINCHPIN_SEED={seed}, {nth}: {before:?}: {said:#?}");
        assert_eq!(image.violation(), None, "{}", what());
        assert!(before.is_some() || said.is_empty(), "{}", what());
        quiet += u64::from(before.is_none());
    }
    println!("of {how_many} mutations {quiet} were noticed by nobody");
}

#[test]
fn whatever_a_fuzzer_writes_mending_leaves_nothing_wrong() {
    let mut image = small();
    let mut random = Random(number("LINCHPIN_SEED", 1));
    for _ in 0..500 {
        let data: Vec<u8> = (0..8 * (1 + random.below(6))).map(|_| random.next() as u8).collect();
        crate::bytes::stands(&mut image, &data);
    }
}

#[test]
fn whatever_is_damaged_in_a_small_arena_mending_leaves_nothing_wrong() {
    stands_all(&mut small(), number("LINCHPIN_MUTATIONS", 3000));
}

#[test]
fn whatever_is_damaged_in_the_arena_of_an_engine_mending_leaves_nothing_wrong() {
    let (svscan, _clients) = busy_engine(6);
    let mut image = snapshot(&svscan);
    drop(svscan);
    stands_all(&mut image, number("LINCHPIN_MUTATIONS", 1000));
}
