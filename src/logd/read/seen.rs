//! Lines that have been shown, of services whose lines are in two places. Pure.
//!
//! A line may come as often as it is in the place that has it most often: lines of one moment that say the same are several
//! all the same.

use crate::limits::LOG_SEEN;
use crate::text::tai::Stamp;

/// Lines whose numbers collide; the one that was seen first goes.
const WAYS: usize = 8;

/// Places of one service that are told apart.
const PLACES: usize = 4;

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    /// When it was last looked at.
    turn: u32,
    /// How often it has been shown.
    shown: u16,
    /// How often it has come from each place.
    from: [u16; PLACES],
}

/// See above.
pub struct Seen {
    turn: u32,
    entries: [Entry; LOG_SEEN],
}

impl Seen {
    /// Nothing; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Seen {
        Seen { turn: 0, entries: [Entry { hash: 0, turn: 0, shown: 0, from: [0; PLACES] }; LOG_SEEN] }
    }

    /// A line of a service has come from one of its places: whether it has not from the others.
    pub fn is_new(&mut self, service: u16, place: u16, time: Stamp, text: &[u8]) -> bool {
        let hash = hash(service, time, text);
        self.turn = self.turn.wrapping_add(1);
        let first = (hash as usize % (LOG_SEEN / WAYS)) * WAYS;
        let Some(set) = self.entries.get_mut(first..first + WAYS) else { return true };
        let known = set.iter().position(|entry| entry.hash == hash && entry.turn != 0);
        let turn = self.turn;
        let oldest = || set.iter().enumerate().max_by_key(|(_, entry)| turn.wrapping_sub(entry.turn));
        let Some(at) = known.or_else(|| oldest().map(|(at, _)| at)) else { return true };
        let Some(entry) = set.get_mut(at) else { return true };
        if known.is_none() {
            *entry = Entry { hash, turn, shown: 0, from: [0; PLACES] };
        }
        entry.turn = turn;
        let Some(count) = entry.from.get_mut(usize::from(place)) else { return true };
        *count = count.saturating_add(1);
        let is_new = *count > entry.shown || *count == u16::MAX;
        entry.shown = entry.shown.saturating_add(u16::from(is_new));
        is_new
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        if self.turn > 0 {
            self.entries.iter_mut().for_each(|entry| *entry = Entry { hash: 0, turn: 0, shown: 0, from: [0; PLACES] });
            self.turn = 0;
        }
    }
}

fn hash(service: u16, time: Stamp, text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let hash = (hash ^ word).wrapping_mul(FACTOR);
        hash ^ hash >> 29
    };
    let mut hash = mix(mix(mix(text.len() as u64, service.into()), time.sec), time.nano.into());
    for chunk in text.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp { sec: 1 << 62, nano: 5 };

    #[test]
    fn a_line_is_shown_as_often_as_the_place_has_it_that_has_it_most_often() {
        let mut seen = Box::new(Seen::new());
        let mut shown = |place, text: &str| seen.is_new(3, place, NOW, text.as_bytes());
        assert_eq!(
            [0, 0, 1, 1, 1, 0, 0].map(|place| shown(place, "same")),
            [true, true, false, false, true, false, true]
        );
        assert!(shown(1, "other") && !shown(0, "other"));
        assert!(shown(9, "place") && shown(9, "place"), "a place too many is not compared");
    }

    #[test]
    fn lines_of_other_services_and_other_moments_are_others() {
        let mut seen = Box::new(Seen::new());
        assert!(seen.is_new(1, 0, NOW, b"x") && seen.is_new(2, 1, NOW, b"x"));
        assert!(seen.is_new(1, 1, Stamp { nano: 6, ..NOW }, b"x"));
        assert!(!seen.is_new(1, 1, NOW, b"x"));
        seen.clear();
        assert!(seen.is_new(1, 1, NOW, b"x"));
    }

    #[test]
    fn the_last_thousands_are_remembered() {
        let mut seen = Box::new(Seen::new());
        for i in 0..3 * LOG_SEEN as u32 {
            assert!(seen.is_new(0, 0, NOW, &i.to_le_bytes()));
        }
        let known = |seen: &mut Seen, i: u32| !seen.is_new(0, 1, NOW, &i.to_le_bytes());
        let last = 3 * LOG_SEEN as u32;
        assert!((last - LOG_SEEN as u32 / 8..last).all(|i| known(&mut seen, i)));
    }
}
