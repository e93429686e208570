//! Whether a file is a program that this machine can run in the place of ours: its ELF header, and its interpreter.

use super::{Errno, Fd, Result, file};
use crate::text::CPath;
use crate::text::quote::Printable;
use core::fmt::{self, Display};
use rustix::fs::FileType;

/// The path of an interpreter. Longer ones are none that we know.
pub type Path = heapless::Vec<u8, 80>;

type Judged<T> = core::result::Result<T, Unfit>;

/// Why a file is no such program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It is a directory, a device, a FIFO.
    NoFile,
    /// Nobody may execute it.
    NotExecutable,
    /// It cannot be read.
    Unreadable(Errno),
    /// It is no ELF file: a script, perhaps.
    NotElf,
    /// It is for machines with another word size, or byte order.
    OtherClass,
    /// It is for another machine, of this number (`e_machine`).
    OtherMachine(u16),
    /// An object file, a library, a core dump.
    NoProgram,
    /// Its headers lead nowhere: it was cut off.
    Damaged,
    /// Its interpreter is not there.
    NoInterpreter(Path),
}

impl Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NoFile => f.write_str("it is no regular file"),
            Unfit::NotExecutable => f.write_str("it has no execute permission"),
            Unfit::Unreadable(e) => write!(f, "it cannot be read: {}", crate::text::errno::Reason(*e)),
            Unfit::NotElf => f.write_str("it is no ELF binary"),
            Unfit::OtherClass => f.write_str("it is for machines of another word size or byte order"),
            Unfit::OtherMachine(machine) => {
                write!(f, "it is for another machine (ELF machine {machine}, this one is {MACHINE})")
            }
            Unfit::NoProgram => f.write_str("it is no executable program"),
            Unfit::Damaged => f.write_str("it is damaged: its headers lead nowhere"),
            Unfit::NoInterpreter(path) => write!(f, "its interpreter {} is not there", Printable(path)),
        }
    }
}

/// `e_machine` of this machine.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else {
    40
};
const CLASS: u8 = if cfg!(target_pointer_width = "64") { 2 } else { 1 };
const DATA: u8 = if cfg!(target_endian = "little") { 1 } else { 2 };

/// Bytes of the ELF header, and of a program header.
const HEADER: usize = if CLASS == 2 { 64 } else { 52 };
const PROGRAM_HEADER: usize = if CLASS == 2 { 56 } else { 32 };

/// Where the program headers are, and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Headers {
    at: u64,
    count: u16,
}

/// What is in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Segment {
    /// Something that is loaded: where, how much.
    Load(u64, u64),
    /// The path of the interpreter: where, how long with its NUL.
    Interpreter(u64, u64),
    /// Something else.
    Other,
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A number as large as an address.
fn address(bytes: &[u8], at: usize) -> Option<u64> {
    if CLASS == 2 {
        word(bytes, at).map(u64::from_ne_bytes)
    } else {
        word(bytes, at).map(|w| u32::from_ne_bytes(w).into())
    }
}

/// Reads the ELF header.
fn header(bytes: &[u8]) -> Judged<Headers> {
    if bytes.get(..4) != Some(b"\x7fELF") {
        return Err(Unfit::NotElf);
    }
    if bytes.get(4..6) != Some(&[CLASS, DATA]) {
        return Err(Unfit::OtherClass);
    }
    let read = || {
        let kind = u16::from_ne_bytes(word(bytes, 16)?);
        let machine = u16::from_ne_bytes(word(bytes, 18)?);
        let (offset, size, count) = if CLASS == 2 { (32, 54, 56) } else { (28, 42, 44) };
        let size = u16::from_ne_bytes(word(bytes, size)?);
        Some((
            kind,
            machine,
            usize::from(size),
            Headers { at: address(bytes, offset)?, count: u16::from_ne_bytes(word(bytes, count)?) },
        ))
    };
    match read() {
        Some((_, machine, _, _)) if machine != MACHINE => Err(Unfit::OtherMachine(machine)),
        Some((2 | 3, _, PROGRAM_HEADER, headers)) if (1..=64).contains(&headers.count) => Ok(headers),
        Some((2 | 3, _, _, _)) | None => Err(Unfit::Damaged),
        Some(_) => Err(Unfit::NoProgram),
    }
}

/// Reads a program header.
fn segment(bytes: &[u8]) -> Option<Segment> {
    let (offset, size) = if CLASS == 2 { (8, 32) } else { (4, 16) };
    let (at, length) = (address(bytes, offset)?, address(bytes, size)?);
    Some(match u32::from_ne_bytes(word(bytes, 0)?) {
        1 => Segment::Load(at, length),
        3 => Segment::Interpreter(at, length),
        _ => Segment::Other,
    })
}

/// Whether an open file is a program of this machine, static or with an interpreter that is there.
pub fn examine(fd: Fd) -> Judged<()> {
    let stat = rustix::fs::fstat(fd).map_err(Unfit::Unreadable)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Unfit::NoFile);
    }
    if stat.st_mode & 0o111 == 0 {
        return Err(Unfit::NotExecutable);
    }
    let read = |buf: &mut [u8], at: u64| -> Judged<()> {
        match file::read_at(fd, buf, at) {
            Ok(n) if n == buf.len() => Ok(()),
            Ok(_) => Err(Unfit::Damaged),
            Err(e) => Err(Unfit::Unreadable(e)),
        }
    };
    let mut bytes = [0; HEADER];
    let there = file::read_at(fd, &mut bytes, 0).map_err(Unfit::Unreadable)?;
    let headers = header(bytes.get(..there).unwrap_or_default())?;
    let size = stat.st_size as u64;
    let mut loads = 0;
    for i in 0..u64::from(headers.count) {
        let mut bytes = [0; PROGRAM_HEADER];
        let at = headers.at.checked_add(i * PROGRAM_HEADER as u64).ok_or(Unfit::Damaged)?;
        read(&mut bytes, at)?;
        match segment(&bytes).ok_or(Unfit::Damaged)? {
            Segment::Load(at, length) => {
                if at.checked_add(length).is_none_or(|end| end > size) {
                    return Err(Unfit::Damaged);
                }
                loads += 1;
            }
            Segment::Interpreter(at, length) => interpreter(at, length, &read)?,
            Segment::Other => {}
        }
    }
    if loads == 0 { Err(Unfit::Damaged) } else { Ok(()) }
}

/// Reads from a place in the file, all of it or nothing.
type Reader<'a> = dyn Fn(&mut [u8], u64) -> Judged<()> + 'a;

fn interpreter(at: u64, length: u64, read: &Reader<'_>) -> Judged<()> {
    let mut path = Path::new();
    let length = usize::try_from(length).ok().filter(|length| (2..80).contains(length)).ok_or(Unfit::Damaged)?;
    path.resize(length, 0).map_err(|()| Unfit::Damaged)?;
    read(&mut path, at)?;
    if path.pop() != Some(0) {
        return Err(Unfit::Damaged);
    }
    let there = CPath::<128>::of(&[&path]).path().and_then(|path| file::exists(Fd::CWD, path));
    if there == Ok(true) { Ok(()) } else { Err(Unfit::NoInterpreter(path)) }
}

/// Opens a file to be examined, and to be executed then: for reading, never waiting.
pub fn open(path: &core::ffi::CStr) -> Result<Fd> {
    file::open(Fd::CWD, path, rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::fs::PermissionsExt;

    fn judge(path: &std::path::Path) -> Judged<()> {
        let mut fd = open(&CString::new(path.to_str().unwrap()).unwrap()).unwrap();
        let judged = examine(fd);
        fd.close();
        judged
    }

    /// A copy of this test's binary, changed.
    fn changed(name: &str, mode: u32, change: impl FnOnce(&mut Vec<u8>)) -> Judged<()> {
        let path = std::env::temp_dir().join(format!("linchpin-elf-{name}-{}", std::process::id()));
        let mut bytes = std::fs::read("/proc/self/exe").unwrap();
        bytes.truncate(1 << 20);
        change(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let judged = judge(&path);
        std::fs::remove_file(&path).unwrap();
        judged
    }

    #[test]
    fn a_program_of_this_machine_is_fit() {
        assert_eq!(judge(std::path::Path::new("/proc/self/exe")), Ok(()), "with an interpreter");
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        assert_eq!(judge(std::path::Path::new("/")), Err(Unfit::NoFile));
        assert_eq!(judge(std::path::Path::new("/dev/null")), Err(Unfit::NoFile));
        assert_eq!(changed("mode", 0o644, |_| {}), Err(Unfit::NotExecutable));
        assert_eq!(changed("empty", 0o755, Vec::clear), Err(Unfit::NotElf));
        assert_eq!(changed("script", 0o755, |bytes| *bytes = b"#!/bin/sh\n".to_vec()), Err(Unfit::NotElf));
        assert_eq!(changed("class", 0o755, |bytes| bytes[4] ^= 3), Err(Unfit::OtherClass));
        assert_eq!(changed("machine", 0o755, |bytes| bytes[18..20].fill(0)), Err(Unfit::OtherMachine(0)));
        assert_eq!(changed("object", 0o755, |bytes| bytes[16] = 1), Err(Unfit::NoProgram));
        assert_eq!(changed("cut", 0o755, |bytes| bytes.truncate(30)), Err(Unfit::Damaged));
        assert_eq!(changed("half", 0o755, |bytes| bytes.truncate(4096)), Err(Unfit::Damaged));
    }

    #[test]
    fn an_interpreter_that_is_not_there_is_named() {
        let judged = changed("interpreter", 0o755, |bytes| {
            let at = bytes.windows(4).position(|word| word == b"/lib").unwrap();
            bytes[at + 1] = b'X';
            // What is loaded need not be there for this.
            let headers = header(bytes).unwrap();
            for i in 0..usize::from(headers.count) {
                let place = headers.at as usize + i * PROGRAM_HEADER;
                if let Some(Segment::Load(..)) = segment(&bytes[place..]) {
                    let size = if CLASS == 2 { place + 32 } else { place + 16 };
                    bytes[size..size + CLASS as usize * 4].fill(0);
                }
            }
        });
        let Err(Unfit::NoInterpreter(path)) = judged else { panic!("{judged:?}") };
        assert!(path.starts_with(b"/Xib"));
    }
}
