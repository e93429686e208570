//! How the arena comes to be: fresh, in a memfd; or it is the one that an earlier incarnation of the process has left, and
//! the environment names. What is in that one is checked elsewhere (`svscan::mend`): here, that it is an arena of ours.

use super::layout::{Header, MAGIC, State, Tables};
use super::{handover, leave};
use crate::error;
use crate::log::Ring;
use crate::sys::args::Env;
use crate::sys::{self, Fd, memory, time};
use crate::text::number::parse_u32;
use core::ffi::CStr;
use zerocopy::FromBytes;

/// The arena, split into the part that the engine owns and the ring that the logger writes.
pub struct Arena {
    /// All records.
    pub tables: &'static mut Tables,
    /// The log ring.
    pub ring: &'static Ring,
}

/// How this incarnation came to be, as [`Header::entered_why`](super::Header::entered_why) holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Why {
    /// The arena is a new one.
    Fresh = 0,
    /// The process had failed.
    Fault = 1,
    /// Somebody asked for it: another binary, or the same one again.
    Asked = 2,
}

/// Bytes of the arena, in whole pages. Nearly all of them are never touched.
pub const SIZE: usize = size_of::<State>().next_multiple_of(4096);

/// The variable that names the descriptor of the arena to a process that is entered again.
pub const STATE: &[u8] = b"LINCHPIN_STATE";

/// Whether the environment says that this process is entered again.
pub fn is_given(env: Env) -> bool {
    [STATE, handover::VARIABLE.as_bytes()].iter().any(|name| env.get(name).is_some())
}

/// The arena that the environment names, or else a fresh one. The variables are removed: they are no child's business.
/// ENOSYS, ENOMEM, EMFILE: see memfd_create(2), mmap(2).
pub fn open(env: Env) -> sys::Result<(Arena, Why)> {
    let given = env.get(STATE).map(CStr::to_bytes);
    env.remove(STATE);
    let (arena, why) = match (handover::given(env), given) {
        (Some(Ok(arena)), _) => {
            enter(&mut arena.tables.header, Why::Asked);
            (arena, Why::Asked)
        }
        (Some(Err(_)), _) => {
            error!("what was handed over is lost: everything begins anew");
            (fresh()?, Why::Fresh)
        }
        (None, Some(given)) => match left(given) {
            Ok(arena) => (arena, Why::Fault),
            Err(what) => {
                error!("what LINCHPIN_STATE names is no state to go on with: {what}: everything begins anew");
                (fresh()?, Why::Fresh)
            }
        },
        (None, None) => (fresh()?, Why::Fresh),
    };
    Ok((leave::give(arena, why), why))
}

/// The arena that was left, by what the environment says of it.
fn left(given: &[u8]) -> Result<Arena, &'static str> {
    let refused = given.ends_with(handover::REFUSED);
    let number = parse_u32(given.strip_suffix(handover::REFUSED).unwrap_or(given));
    let number = number.and_then(|number| i32::try_from(number).ok()).unwrap_or(-1);
    let arena = again(Fd(number), Why::Fault)?;
    if refused {
        arena.tables.header.asker = handover::NOBODY_GOES_ON;
    }
    Ok(arena)
}

/// The arena of an earlier incarnation.
fn again(fd: Fd, why: Why) -> Result<Arena, &'static str> {
    if fd.0 < 3 || !fd.is_open() {
        return Err("it is not open");
    }
    if !memory::is_sealed(fd) {
        return Err("it is no sealed memfd");
    }
    let arena = map(fd).map_err(|_| "it has another size")?;
    let header = &mut arena.tables.header;
    if header.magic != MAGIC {
        return Err("it does not begin as one");
    }
    if header.layout != State::LAYOUT {
        return Err("it is that of another version");
    }
    header.arena_fd = fd.0;
    enter(header, why);
    let _ = fd.set_cloexec(true);
    Ok(arena)
}

/// A new incarnation begins.
fn enter(header: &mut Header, why: Why) {
    header.incarnation = header.incarnation.wrapping_add(1).max(1);
    header.entered = time::boot();
    header.entered_why = why as u32;
}

pub(super) fn fresh() -> sys::Result<Arena> {
    let fd = memory::create(c"linchpin", SIZE)?;
    let arena = map(fd)?;
    let header = &mut arena.tables.header;
    header.magic = MAGIC;
    header.layout = State::LAYOUT;
    header.boot_id = random();
    header.started = time::boot();
    header.entered = header.started;
    header.arena_fd = fd.0;
    header.next_generation = 1;
    for number in [
        &mut header.exe_fd,
        &mut header.scandir_fd,
        &mut header.control_fd,
        &mut header.lock_fd,
        &mut header.fdholder_fd,
        &mut header.console_fd,
        &mut header.null_fd,
    ] {
        *number = -1;
    }
    Ok(arena)
}

fn map(fd: Fd) -> sys::Result<Arena> {
    let bytes = memory::map(fd, SIZE)?;
    let Ok((State { tables, ring, .. }, _)) = State::mut_from_prefix(bytes) else {
        return Err(sys::Errno::INVAL); // a mapping is page-aligned and SIZE long: it cannot be
    };
    Ok(Arena { tables, ring })
}

fn random() -> u64 {
    let mut bytes = [0u8; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(8) => u64::from_ne_bytes(bytes),
        _ => time::boot(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_arena_is_zero_but_for_its_header_and_costs_a_few_pages() {
        let arena = fresh().unwrap();
        assert_eq!(arena.tables.header.magic, MAGIC);
        assert!(arena.tables.services.iter().step_by(97).all(|s| s.used == 0 && s.pid == 0));
        let stat = rustix::fs::fstat(Fd(arena.tables.header.arena_fd)).unwrap();
        assert_eq!(stat.st_size as usize, SIZE);
    }

    #[test]
    fn what_an_arena_holds_is_there_when_it_is_entered_again() {
        let first = fresh().unwrap();
        let fd = Fd(first.tables.header.arena_fd);
        first.tables.services[7].pid = 77;
        let second = again(fd, Why::Fault).map(|arena| arena.tables).unwrap_or_else(|what| panic!("{what}"));
        assert_eq!((second.services[7].pid, second.header.incarnation, second.header.entered_why), (77, 1, 1));
    }

    #[test]
    fn what_is_no_arena_of_ours_is_not_entered() {
        assert_eq!(again(Fd(1), Why::Fault).err(), Some("it is not open"));
        assert_eq!(again(Fd(i32::MAX), Why::Fault).err(), Some("it is not open"));
        let (read, _write) = Fd::pipe().unwrap();
        assert_eq!(again(read, Why::Fault).err(), Some("it is no sealed memfd"));
        let small = memory::create(c"small", 4096).unwrap();
        assert_eq!(again(small, Why::Fault).err(), Some("it has another size"));
        let blank = memory::create(c"blank", SIZE).unwrap();
        assert_eq!(again(blank, Why::Fault).err(), Some("it does not begin as one"));
        let other = fresh().unwrap();
        other.tables.header.layout ^= 1;
        assert_eq!(again(Fd(other.tables.header.arena_fd), Why::Fault).err(), Some("it is that of another version"));
    }

    #[test]
    fn the_memfd_cannot_be_shrunk_under_us() {
        let arena = fresh().unwrap();
        let fd = Fd(arena.tables.header.arena_fd);
        assert_eq!(rustix::fs::ftruncate(fd, 0), Err(sys::Errno::PERM));
        assert!(memory::map(fd, SIZE + 4096).is_err());
    }
}
