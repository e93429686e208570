//! The death tally of a service, `supervise/death_tally`: the last deaths of `run`, oldest first, 14 bytes each: stamp
//! (12), exit code (1; 128 + signal for a death by signal), signal (1; 0 for an exit). s6-svdt prints it,
//! s6-permafailon counts in it.
//!
//! The file is replaced, never changed in place. One whose size is no multiple of 14 counts as empty.

use super::status::End;
use crate::limits::DEATH_TALLY;
use crate::sys::{Errno, Fd, Result, entry, file};
use crate::text::tai::Stamp;
use core::ffi::CStr;
use rustix::fs::OFlags;

const NAME: &CStr = c"supervise/death_tally";
const SCRATCH: &CStr = c"supervise/death_tally.new";

/// Records that are in memory at one time: a full tally would be too much for PID 1's stack.
const CHUNK: usize = 36;

/// Among so many last deaths one is looked for that may have been recorded already.
const AMONG: u32 = 4;

/// One death.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// When.
    pub stamp: Stamp,
    /// Exit code, or 128 + signal.
    pub code: u8,
    /// Signal, or 0.
    pub signal: u8,
}

impl Record {
    /// Size on disk.
    pub const SIZE: usize = 14;

    /// The death with wait(2) status `wstat`.
    pub fn new(stamp: Stamp, wstat: u16) -> Record {
        match End::of(wstat) {
            End::Exited(code) => Record { stamp, code, signal: 0 },
            End::Killed(signal) => Record { stamp, code: 128 + signal, signal },
        }
    }

    /// The record's bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..12].copy_from_slice(&self.stamp.to_bytes());
        out[12] = self.code;
        out[13] = self.signal;
        out
    }

    /// From bytes.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Record {
        let [a, b, c, d, e, f, g, h, i, j, k, l, code, signal] = *bytes;
        Record { stamp: Stamp::from_bytes(&[a, b, c, d, e, f, g, h, i, j, k, l]), code, signal }
    }
}

/// Empties the tally of the service directory `dir`, creating it if it is missing: what a supervisor does first.
pub fn clear(dir: Fd) -> Result<()> {
    file::truncate(dir, NAME)
}

/// As [`clear`], by another file in the place of the old one: what a client does. It does not take the supervisor's name
/// for that.
pub fn reset(dir: Fd) -> Result<()> {
    file::replace(dir, NAME, c"supervise/death_tally.clear", b"")
}

/// Whether the tally of the service directory `dir` is there and well-formed.
pub fn is_sound(dir: Fd) -> Result<bool> {
    let mut fd = open(dir)?;
    if !fd.is_some() {
        return Ok(false);
    }
    let size = file::size(fd);
    fd.close();
    size.map(|size| size % Record::SIZE as u64 == 0)
}

/// Adds a record to the tally of the service directory `dir`, dropping the oldest ones if there are `limit` (at most
/// 4096) already. `limit` 0: nothing is recorded. One that is among the last already is not added: whoever was interrupted
/// does not know whether he has added it, and no two deaths have the same stamp.
pub fn append(dir: Fd, record: &Record, limit: u32) -> Result<()> {
    let Some(others) = limit.min(DEATH_TALLY as u32).checked_sub(1) else { return Ok(()) };
    let mut old = open(dir)?;
    let mut known = false;
    let recorded = record.encode();
    let looked = each_chunk(old, AMONG, &mut |records| {
        known |= records.chunks_exact(Record::SIZE).any(|known| known == recorded);
        Ok(())
    });
    if known && looked.is_ok() {
        old.close();
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    let done = file::open(dir, SCRATCH, flags, 0o666).and_then(|mut new| {
        let done = each_chunk(old, others, &mut |records| file::write_all(new, records))
            .and_then(|()| file::write_all(new, &recorded));
        new.close();
        done
    });
    old.close();
    done.and_then(|()| entry::rename(dir, SCRATCH, NAME))
}

/// Shows the last `count` records of the tally of the service directory `dir`, oldest first. A tally that is missing or
/// malformed has none.
pub fn visit(dir: Fd, count: u32, see: &mut dyn FnMut(&Record)) -> Result<()> {
    let mut fd = open(dir)?;
    let done = each_chunk(fd, count.min(DEATH_TALLY as u32), &mut |records| {
        for bytes in records.chunks_exact(Record::SIZE) {
            if let Some(bytes) = bytes.first_chunk() {
                see(&Record::decode(bytes));
            }
        }
        Ok(())
    });
    fd.close();
    done
}

/// How many records the tally of the service directory `dir` has.
pub fn count(dir: Fd) -> Result<u64> {
    let mut fd = open(dir)?;
    let size = if fd.is_some() { file::size(fd) } else { Ok(0) };
    fd.close();
    let record = Record::SIZE as u64;
    size.map(|size| if size % record == 0 { size / record } else { 0 })
}

fn open(dir: Fd) -> Result<Fd> {
    match file::open(dir, NAME, OFlags::RDONLY | OFlags::NONBLOCK, 0) {
        Err(Errno::NOENT) => Ok(Fd::NONE),
        other => other,
    }
}

/// Calls `take` with the bytes of the last `count` records, some at a time.
fn each_chunk(fd: Fd, count: u32, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if !fd.is_some() {
        return Ok(());
    }
    let size = file::size(fd)?;
    if size % Record::SIZE as u64 != 0 {
        return Ok(());
    }
    let mut at = size.saturating_sub(u64::from(count) * Record::SIZE as u64);
    let mut buf = [0; CHUNK * Record::SIZE];
    // The size is that of the beginning: a file that grows meanwhile does not keep us here.
    while at < size {
        let room = buf.len().min((size - at) as usize);
        let n = file::read_at(fd, buf.get_mut(..room).unwrap_or_default(), at)?;
        let whole = n - n % Record::SIZE;
        if whole == 0 {
            break;
        }
        take(buf.get(..whole).unwrap_or_default())?;
        at += whole as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use proptest::prelude::*;

    fn scratch() -> Scratch {
        let scratch = Scratch::new();
        scratch.mkdir("supervise");
        scratch
    }

    fn death(second: u64) -> Record {
        Record::new(Stamp { sec: second, nano: 5 }, 0)
    }

    fn seconds(scratch: &Scratch, count: u32) -> Vec<u64> {
        let mut seen = Vec::new();
        visit(scratch.fd, count, &mut |record| seen.push(record.stamp.sec)).unwrap();
        seen
    }

    #[test]
    fn a_record_of_s6_is_written_byte_for_byte() {
        let record = Record::new(Stamp { sec: 0x4000_0000_6b02_b52d, nano: 0x332d_61db }, 15);
        let bytes = [0x40, 0, 0, 0, 0x6b, 2, 0xb5, 0x2d, 0x33, 0x2d, 0x61, 0xdb, 0x8f, 0x0f];
        assert_eq!(record.encode(), bytes);
        assert_eq!(Record::decode(&bytes), record);
    }

    #[test]
    fn a_core_dump_is_recorded_as_its_signal() {
        let record = Record::new(Stamp::default(), 0x8b);
        assert_eq!((record.code, record.signal), (0x8b, 0x0b));
        let record = Record::new(Stamp::default(), 3 << 8);
        assert_eq!((record.code, record.signal), (3, 0));
    }

    #[test]
    fn records_stand_in_the_order_of_the_deaths() {
        let scratch = scratch();
        for second in 1..=100 {
            append(scratch.fd, &death(second), 100).unwrap();
        }
        assert_eq!(seconds(&scratch, 4096), (1..=100).collect::<Vec<_>>());
        assert_eq!(seconds(&scratch, 2), [99, 100]);
        assert_eq!(count(scratch.fd), Ok(100));
        assert_eq!(seconds(&scratch, 0), [] as [u64; 0]);
        assert_eq!(scratch.names("supervise"), ["death_tally"]);
    }

    #[test]
    fn the_same_death_is_recorded_once() {
        let scratch = scratch();
        for second in [1, 2, 2, 3, 2, 3] {
            append(scratch.fd, &death(second), 100).unwrap();
        }
        assert_eq!(seconds(&scratch, 4096), [1, 2, 3]);
        append(scratch.fd, &Record { code: 1, ..death(3) }, 100).unwrap();
        assert_eq!(seconds(&scratch, 4096), [1, 2, 3, 3]);
    }

    #[test]
    fn at_the_limit_the_oldest_are_dropped() {
        let scratch = scratch();
        for second in 1..=10 {
            append(scratch.fd, &death(second), 4).unwrap();
        }
        assert_eq!(seconds(&scratch, 4096), [7, 8, 9, 10]);
        append(scratch.fd, &death(11), 1).unwrap();
        assert_eq!(seconds(&scratch, 4096), [11]);
    }

    #[test]
    fn no_limit_is_beyond_4096() {
        let scratch = scratch();
        let full: Vec<u8> = (1..=5000).flat_map(|second| death(second).encode()).collect();
        scratch.write("supervise/death_tally", full);
        append(scratch.fd, &death(5001), u32::MAX).unwrap();
        assert_eq!(seconds(&scratch, u32::MAX), (906..=5001).collect::<Vec<_>>());
    }

    #[test]
    fn a_limit_of_zero_records_nothing() {
        let scratch = scratch();
        append(scratch.fd, &death(1), 0).unwrap();
        assert_eq!(scratch.names("supervise"), [] as [&str; 0]);
    }

    #[test]
    fn a_malformed_tally_counts_as_empty_and_is_started_anew() {
        let scratch = scratch();
        scratch.write("supervise/death_tally", [7; 13]);
        assert_eq!(seconds(&scratch, 9), [] as [u64; 0]);
        assert_eq!(count(scratch.fd), Ok(0));
        append(scratch.fd, &death(1), 9).unwrap();
        assert_eq!(seconds(&scratch, 9), [1]);
    }

    #[test]
    fn clearing_makes_an_empty_file() {
        let scratch = scratch();
        clear(scratch.fd).unwrap();
        append(scratch.fd, &death(1), 9).unwrap();
        clear(scratch.fd).unwrap();
        assert_eq!(std::fs::read(scratch.path.join("supervise/death_tally")).unwrap(), b"");
    }

    #[test]
    fn a_client_resets_it_without_the_supervisors_scratch_file() {
        let scratch = scratch();
        assert_eq!(is_sound(scratch.fd), Ok(false));
        reset(scratch.fd).unwrap();
        assert_eq!(is_sound(scratch.fd), Ok(true));
        scratch.write("supervise/death_tally", [7; 13]);
        assert_eq!(is_sound(scratch.fd), Ok(false));
        scratch.write("supervise/death_tally.new", "the supervisor's");
        reset(scratch.fd).unwrap();
        assert_eq!(is_sound(scratch.fd), Ok(true));
        assert_eq!(scratch.names("supervise"), ["death_tally", "death_tally.new"]);
    }

    proptest! {
        #[test]
        fn a_record_reads_back(bytes: [u8; 14]) {
            prop_assert_eq!(Record::decode(&bytes).encode(), bytes);
        }
    }
}
