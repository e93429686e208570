//! Time zones: files as tzfile(5) and RFC 9636 describe them, and the rules that the TZ variable may hold instead. Pure.
//!
//! A [`Zone`] looks into the bytes of its file; it copies nothing, and checks all of it first. The newer 64-bit data are
//! read where the file has them, and the rule after them holds for all times after its table.

mod rule;

pub use rule::Rule;

use super::date::Civil;
use super::tai::Stamp;

/// What local time is in some place, at any time.
#[derive(Clone, Copy, Debug)]
pub struct Zone<'a> {
    table: Table<'a>,
    /// For what the table does not say.
    rule: Option<Rule>,
}

/// What a file says: see tzfile(5). Numbers are big-endian.
#[derive(Clone, Copy, Debug)]
struct Table<'a> {
    /// Bytes of a time: 4 in the oldest files, 8.
    width: usize,
    /// When local time changes, ascending.
    times: &'a [u8],
    /// What it changes to: for each time the number of a type, all of which are there.
    indices: &'a [u8],
    /// Types of [`TYPE`] bytes, at least one if this is of a file: seconds east of UTC come first.
    types: &'a [u8],
    /// Inserted seconds: a time, and how many there are from then on, in four bytes. Ascending.
    leaps: &'a [u8],
}

/// Bytes of a type.
const TYPE: usize = 6;

/// Bytes of the header.
const HEADER: usize = 44;

/// What a local time can be away from UTC: RFC 9636 has it that it is never more.
const OFFSETS: core::ops::RangeInclusive<i32> = -89_999..=93_599;

impl Zone<'static> {
    /// UTC.
    pub const UTC: Zone<'static> =
        Zone { table: Table { width: 8, times: &[], indices: &[], types: &[], leaps: &[] }, rule: None };

    /// The zone that a rule describes, as the TZ variable may hold it: `CET-1CEST,M3.5.0,M10.5.0/3`, `<+0330>-3:30`.
    /// `None`: that is none.
    pub fn of_rule(text: &[u8]) -> Option<Zone<'static>> {
        Some(Zone { rule: Some(Rule::parse(text)?), ..Zone::UTC })
    }
}

impl<'a> Zone<'a> {
    /// The zone that a file describes, all bytes of which these are. `None`: it is no such file, or damaged.
    pub fn of_file(bytes: &'a [u8]) -> Option<Zone<'a>> {
        let (version, table, rest) = Table::of(bytes, 4)?;
        if version == 0 {
            return Some(Zone { table, rule: None });
        }
        let (_, table, rest) = Table::of(rest, 8)?;
        let footer = rest.strip_prefix(b"\n")?;
        let footer = &footer[..footer.iter().position(|byte| *byte == b'\n')?];
        let rule = match footer {
            b"" => None,
            text => Some(Rule::parse(text)?),
        };
        Some(Zone { table, rule })
    }

    /// Whether its times count leap seconds, as the clocks do that its file is made for: it is one of `right/`.
    pub fn is_right(&self) -> bool {
        !self.table.leaps.is_empty()
    }

    /// Local time at a stamp: an inserted second is shown as :60. `None`: that is before 1970 UTC, or there are no numbers for
    /// its year.
    pub fn at(&self, stamp: Stamp) -> Option<Civil> {
        let civil = if self.is_right() {
            let since = i64::try_from(stamp.since_1970()?).ok().filter(|since| *since < 1 << 62)?;
            self.local(since)
        } else {
            let (unix, is_leap) = stamp.to_unix()?;
            let civil = self.local(i64::try_from(unix).ok()?);
            Civil { second: civil.second + u8::from(is_leap), ..civil }
        };
        Some(civil).filter(|civil| civil.year <= i32::MAX.into())
    }

    /// Local time at a time of a clock that counts as the zone's file does: seconds since 1970, without leap seconds unless
    /// it [is right](Zone::is_right).
    pub fn local(&self, time: i64) -> Civil {
        let (leaps, is_leap) = self.table.leaps_before(time);
        let utc = time.saturating_sub(leaps.into());
        let civil = Civil::of(utc.saturating_add(self.offset(time).into()));
        // The one that is being inserted is counted already: this is the second before.
        Civil { second: civil.second + u8::from(is_leap), ..civil }
    }

    /// Seconds by which local time is ahead of UTC at such a time.
    pub fn offset(&self, time: i64) -> i32 {
        let passed = self.table.changes_before(time);
        match self.rule {
            Some(rule) if passed == self.table.indices.len() => {
                rule.offset(time.saturating_sub(self.table.leaps_before(time).0.into()))
            }
            _ => self.table.offset_after(passed),
        }
    }
}

impl<'a> Table<'a> {
    /// The version of the file, its next table of times that have `width` bytes, and what follows that.
    fn of(bytes: &'a [u8], width: usize) -> Option<(u8, Table<'a>, &'a [u8])> {
        let (header, mut rest) = bytes.split_at_checked(HEADER)?;
        let version = *header.strip_prefix(b"TZif")?.first()?;
        let mut counts = header[20..].chunks_exact(4).map(|count| big_endian(count) as u32);
        let [ut_marks, standard_marks, leaps, times, types, names] =
            core::array::from_fn(|_| counts.next().unwrap_or(0));
        let mut take = |count: u32, size: usize| {
            let length = usize::try_from(u64::from(count) * size as u64).ok()?;
            let (taken, left) = rest.split_at_checked(length)?;
            rest = left;
            Some(taken)
        };
        let times_part = take(times, width)?;
        let indices = take(times, 1)?;
        let types = take(types, TYPE)?;
        take(names, 1)?;
        let leaps = take(leaps, width + 4)?;
        take(standard_marks, 1)?;
        take(ut_marks, 1)?;
        let table = Table { width, times: times_part, indices, types, leaps };
        // A newer file has this first table for old programs only, and it may be empty.
        let is_read = version == 0 || width == 8;
        (!is_read || table.is_sound()).then_some((version, table, rest))
    }

    /// Whether all numbers are what they may be.
    fn is_sound(&self) -> bool {
        let count = self.types.len() / TYPE;
        let are_types = self.indices.iter().all(|index| usize::from(*index) < count);
        let are_offsets = self.types.chunks_exact(TYPE).all(|kind| OFFSETS.contains(&offset_of(kind)));
        let ascend = |numbers: &[u8], size: usize| {
            let times = numbers.chunks_exact(size).map(|entry| big_endian(&entry[..self.width]));
            times.clone().zip(times.skip(1)).all(|(before, after)| before < after)
        };
        count > 0 && are_types && are_offsets && ascend(self.times, self.width) && ascend(self.leaps, self.width + 4)
    }

    /// How many changes have come at `time`.
    fn changes_before(&self, time: i64) -> usize {
        reached(self.times, self.width, self.width, time)
    }

    /// Seconds east of UTC after so many changes. Before the first it is the first type, RFC 9636 says.
    fn offset_after(&self, changes: usize) -> i32 {
        let index =
            changes.checked_sub(1).and_then(|last| self.indices.get(last)).map_or(0, |index| usize::from(*index));
        self.types.chunks_exact(TYPE).nth(index).map_or(0, offset_of)
    }

    /// How many leap seconds there are to be taken off `time`, and whether it is the last of them itself.
    fn leaps_before(&self, time: i64) -> (i32, bool) {
        let size = self.width + 4;
        let passed = reached(self.leaps, size, self.width, time);
        let entry = |number: usize| self.leaps.get(number * size..(number + 1) * size);
        let count = |entry: &[u8]| big_endian(&entry[self.width..]) as i32;
        let Some(last) = passed.checked_sub(1).and_then(entry) else { return (0, false) };
        let before = passed.checked_sub(2).and_then(entry).map_or(0, count);
        let is_itself = big_endian(&last[..self.width]) == time && count(last).checked_sub(1) == Some(before);
        (count(last), is_itself)
    }
}

/// How many of the ascending entries of `size` bytes, which begin with a time of `width` bytes, are not later than `time`.
fn reached(entries: &[u8], size: usize, width: usize, time: i64) -> usize {
    let (mut low, mut high) = (0, entries.len() / size);
    while low < high {
        let middle = low + (high - low) / 2;
        if big_endian(&entries[middle * size..][..width]) <= time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Seconds east of UTC of a type.
fn offset_of(kind: &[u8]) -> i32 {
    big_endian(&kind[..4]) as i32
}

/// A signed number of at most eight bytes.
fn big_endian(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}
