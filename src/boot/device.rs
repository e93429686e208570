//! Block devices by what people call them, and waiting until they are there.

use crate::board::Source;
use crate::disk::filesystem::filesystem;
use crate::disk::partition::partition;
use crate::notice;
use crate::sys::signal::{self, SignalSet, number as sig};
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, dir, file, poll};
use crate::text::CPath;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;

/// A device's node is looked for so often.
const PAUSE: Nanos = 10 * MILLI;
/// What is on the disks is looked at when there are others than before, and so often.
const LOOK: Nanos = SECOND;
/// Where the kernel lists its block devices.
const ALL: &CStr = c"/sys/class/block";

/// How long to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Until then.
    Then(Nanos),
    /// For ever.
    Ever,
}

impl Until {
    /// So long from now.
    pub fn from_now(wait: Nanos) -> Until {
        Until::Then(time::boot().saturating_add(wait))
    }

    fn is_over(self) -> bool {
        matches!(self, Until::Then(then) if then <= time::boot())
    }
}

/// Why waiting has ended without what was waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The time is over.
    TimeOut,
    /// Somebody wants the machine to go down: that waits in a signal which the engine reads.
    Asked,
}

/// Waits for devices. What somebody asks of process 1 meanwhile ends it.
pub struct Waiting<'w> {
    what: &'w [u8],
    began: Nanos,
    /// When to say next that we wait.
    say: Nanos,
    signals: Fd,
    disks: u64,
    look: Nanos,
}

impl<'w> Waiting<'w> {
    /// Begins to wait for `what`. To be ended by [`Waiting::end`].
    pub fn begin(what: &'w [u8]) -> Waiting<'w> {
        let asking = SignalSet::of(&[sig::INT, sig::TERM, sig::USR1, sig::USR2, sig::PWR]);
        let signals = signal::open_signalfd(asking).unwrap_or(Fd::NONE);
        let began = time::boot();
        Waiting { what, began, say: began + SECOND, signals, disks: 0, look: 0 }
    }

    /// See [`Waiting::begin`].
    pub fn end(&mut self) {
        self.signals.close();
    }

    /// Until `source` is there: the path of its node.
    pub fn device(&mut self, source: &Source<'_>, until: Until) -> core::result::Result<CPath<256>, Ended> {
        loop {
            if let Some(found) = self.look_for(source) {
                return Ok(found);
            }
            self.pause(until)?;
        }
    }

    /// A moment, if there is still one.
    pub fn pause(&mut self, until: Until) -> core::result::Result<(), Ended> {
        if until.is_over() {
            return Err(Ended::TimeOut);
        }
        let now = time::boot();
        if self.say <= now {
            let (what, passed) = (Printable(self.what), (now - self.began) / SECOND);
            match until {
                Until::Then(then) => {
                    notice!("waiting for {what} ({passed} s), {} s more at most", (then - now).div_ceil(SECOND));
                }
                Until::Ever => notice!("waiting for {what} ({passed} s), for ever"),
            }
            // After 1, 2, 4… seconds, and then every minute.
            self.say = now + (now - self.began).clamp(SECOND, 60 * SECOND);
        }
        let limit = match until {
            Until::Then(then) => then.min(now + PAUSE),
            Until::Ever => now + PAUSE,
        };
        if self.signals.is_some() {
            if poll::readable(self.signals, Some(limit)).is_ok() {
                return Err(Ended::Asked);
            }
        } else {
            poll::until(limit);
        }
        Ok(())
    }

    /// Whether somebody wants the machine to go down.
    pub fn is_asked(&self) -> bool {
        self.signals.is_some() && poll::readable(self.signals, Some(0)).is_ok()
    }

    fn look_for(&mut self, source: &Source<'_>) -> Option<CPath<256>> {
        match source {
            Source::Path(path) | Source::Other(path) => {
                if let Some(numbers) = device_numbers(path) {
                    return by_numbers(numbers);
                }
                let found = CPath::of(&[path]);
                let is_there = found.get().is_some_and(|path| file::exists(Fd::CWD, path) == Ok(true));
                (is_there || matches!(source, Source::Other(_))).then_some(found)
            }
            _ => {
                let (disks, now) = (fingerprint(), time::boot());
                if disks == self.disks && now < self.look {
                    return None;
                }
                (self.disks, self.look) = (disks, now + LOOK);
                by_content(source)
            }
        }
    }
}

/// `8:1`, as the kernel numbers its devices.
fn device_numbers(word: &[u8]) -> Option<&[u8]> {
    let mut numbers = word.split(|byte| *byte == b':');
    let both = (numbers.next().and_then(parse_u32), numbers.next().and_then(parse_u32), numbers.next());
    matches!(both, (Some(_), Some(_), None)).then_some(word)
}

fn by_numbers(numbers: &[u8]) -> Option<CPath<256>> {
    let mut room = [0; 512];
    let path = CPath::<64>::of(&[b"/sys/dev/block/", numbers, b"/uevent"]);
    let text = file::read(Fd::CWD, path.get()?, &mut room).ok()?;
    let name = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"DEVNAME="))?;
    Some(CPath::of(&[b"/dev/", name]))
}

/// Something that changes with the block devices that there are.
fn fingerprint() -> u64 {
    let mut sum = 0u64;
    let _ = dir::visit(Fd::CWD, ALL, |name, _| {
        let hash = name
            .to_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        sum = sum.wrapping_add(hash | 1);
        ControlFlow::Continue(())
    });
    sum
}

fn by_content(source: &Source<'_>) -> Option<CPath<256>> {
    let mut found = None;
    let _ = dir::visit(Fd::CWD, ALL, |name, _| {
        if is_it(name.to_bytes(), source) == Some(true) {
            found = Some(node(name.to_bytes()));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found
}

/// A device's node; the kernel's names have a `!` where that has a slash.
fn node(name: &[u8]) -> CPath<256> {
    let mut path = CPath::of(&[b"/dev/"]);
    name.iter().for_each(|byte| path.push(&[if *byte == b'!' { b'/' } else { *byte }]));
    path
}

/// Whether the block device of this name is the one that is looked for. `None`: it cannot be told.
fn is_it(name: &[u8], source: &Source<'_>) -> Option<bool> {
    // A floppy drive takes its time to find out that it is empty; memory has nothing on it yet.
    if [&b"fd"[..], b"ram", b"zram"].iter().any(|kind| name.strip_prefix(*kind).is_some_and(is_digits)) {
        return Some(false);
    }
    match *source {
        Source::PartUuid(_) | Source::PartLabel(_) => {
            let number = number(name, b"/partition")? as u32;
            let disk = disk_of(name)?;
            let (sectors, block) = (number_of(&disk, b"/size"), number_of(&disk, b"/queue/logical_block_size"));
            let bytes = sectors?.checked_mul(512)?;
            let block = block.unwrap_or(512).clamp(512, 65536);
            let found = with_disk(disk.as_bytes(), |read| partition(read, bytes, block, number))??;
            Some(match *source {
                Source::PartUuid(wanted) => found.uuid.eq_ignore_ascii_case(wanted),
                Source::PartLabel(wanted) => found.name == *wanted,
                _ => false,
            })
        }
        Source::Uuid(_) | Source::Label(_) => {
            let found = with_disk(name, |read| filesystem(read))??;
            Some(match *source {
                Source::Uuid(wanted) => found.uuid.eq_ignore_ascii_case(wanted),
                Source::Label(wanted) => found.label == *wanted,
                _ => false,
            })
        }
        Source::Path(_) | Source::Other(_) => Some(false),
    }
}

fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// The disk that a partition is on: the directory above its own, where the kernel's link leads to.
fn disk_of(name: &[u8]) -> Option<CPath<64>> {
    let link = CPath::<128>::of(&[ALL.to_bytes(), b"/", name]);
    let mut room = [core::mem::MaybeUninit::<u8>::uninit(); 512];
    let (target, _) = rustix::fs::readlinkat_raw(Fd::CWD, link.get()?, &mut room[..]).ok()?;
    let disk = target.rsplit(|byte| *byte == b'/').nth(1)?;
    Some(CPath::of(&[disk]))
}

fn number_of(disk: &CPath<64>, what: &[u8]) -> Option<u64> {
    number(disk.as_bytes(), what)
}

/// A number that the kernel tells about a block device.
fn number(name: &[u8], what: &[u8]) -> Option<u64> {
    let path = CPath::<192>::of(&[ALL.to_bytes(), b"/", name, what]);
    let mut room = [0; 32];
    let digits = file::read(Fd::CWD, path.get()?, &mut room).ok()?.trim_ascii_end();
    let mut sum = 0u64;
    for digit in digits {
        sum = sum.checked_mul(10)?.checked_add(char::from(*digit).to_digit(10)?.into())?;
    }
    (!digits.is_empty()).then_some(sum)
}

/// Reads from a disk, as far as it can be read.
fn with_disk<T>(name: &[u8], look: impl FnOnce(&mut crate::disk::Read<'_>) -> T) -> Option<T> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let mut fd = node(name).path().and_then(|path| file::open(Fd::CWD, path, flags, 0)).ok()?;
    let answer = look(&mut |offset, room| file::read_at(fd, room, offset) == Ok(room.len()));
    fd.close();
    Some(answer)
}

/// Whether an error of mount(2) says that a device is not quite there yet.
pub fn is_not_ready(why: Errno) -> bool {
    matches!(why, Errno::NXIO | Errno::NOMEDIUM | Errno::NOENT | Errno::BUSY)
}

/// The node of a device, as it is now: for a `[[mount]]`. ENOENT: there is none.
pub fn find(source: &Source<'_>) -> Result<CPath<256>> {
    let mut waiting = Waiting { what: b"", began: 0, say: 0, signals: Fd::NONE, disks: 0, look: 0 };
    waiting.look_for(source).ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_be_named_by_its_numbers() {
        assert!(device_numbers(b"8:1").is_some());
        for other in [&b"ubi0:rootfs"[..], b"8:", b"8:1:2", b"/dev/sda", b"8"] {
            assert!(device_numbers(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn nodes_in_directories_are_named_with_an_exclamation_mark() {
        assert_eq!(node(b"vda2").get(), Some(c"/dev/vda2"));
        assert_eq!(node(b"cciss!c0d0").get(), Some(c"/dev/cciss/c0d0"));
    }

    #[test]
    fn what_never_comes_is_waited_for_no_longer_than_said() {
        let mut waiting = Waiting::begin(b"it");
        let ended = waiting.device(&Source::Path(b"/nonexistent"), Until::from_now(20 * MILLI));
        assert_eq!(ended.err(), Some(Ended::TimeOut));
        let there = waiting.device(&Source::Path(b"/dev/null"), Until::from_now(0));
        assert_eq!(there.unwrap().get(), Some(c"/dev/null"));
        waiting.end();
    }

    #[test]
    fn what_no_disk_has_is_not_found() {
        for source in
            [Source::PartUuid(b"no"), Source::PartLabel(b"no such"), Source::Uuid(b"no"), Source::Label(b"no")]
        {
            assert_eq!(find(&source).err(), Some(Errno::NOENT));
        }
    }
}
