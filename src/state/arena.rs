//! How the arena comes to be: fresh, in a memfd. (It is laid out so that a binary that is entered again can map and
//! check the one it is given.)

use super::layout::{MAGIC, State, Tables};
use crate::log::Ring;
use crate::sys::args::Env;
use crate::sys::{self, Fd, memory, time};
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

/// The arena that the environment names, or else a fresh one. ENOSYS, ENOMEM, EMFILE: see memfd_create(2), mmap(2).
pub fn open(_env: Env) -> sys::Result<(Arena, Why)> {
    Ok((fresh()?, Why::Fresh))
}

pub(super) fn fresh() -> sys::Result<Arena> {
    let fd = memory::create(c"linchpin", SIZE)?;
    let arena = map(fd)?;
    let header = &mut arena.tables.header;
    header.magic = MAGIC;
    header.layout = State::LAYOUT;
    header.boot_id = random();
    header.started = time::boot();
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
    fn the_memfd_cannot_be_shrunk_under_us() {
        let arena = fresh().unwrap();
        let fd = Fd(arena.tables.header.arena_fd);
        assert_eq!(rustix::fs::ftruncate(fd, 0), Err(sys::Errno::PERM));
        assert!(memory::map(fd, SIZE + 4096).is_err());
    }
}
