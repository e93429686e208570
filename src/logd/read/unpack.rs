//! Compressed archives: a processor has made them so. They are recognised by their first bytes, and read through the
//! program that made them.

use crate::applets::cli::{Cli, in_path};
use crate::sys::args::Argv;
use crate::sys::{Errno, Fd, Result, file, process};
use core::ffi::CStr;
use rustix::fs::SeekFrom;

/// What compressed files begin with, and what unpacks them with `-dc`.
const KNOWN: [(&[u8], &CStr); 6] = [
    (b"\x1f\x8b", c"gzip"),
    (b"\xfd7zXZ\0", c"xz"),
    (b"\x28\xb5\x2f\xfd", c"zstd"),
    (b"\x04\x22\x4d\x18", c"lz4"),
    (b"BZh", c"bzip2"),
    (b"LZIP", c"lzip"),
];

/// The program that unpacks an open file. `None`: it is not compressed.
pub fn program(fd: Fd) -> Option<&'static CStr> {
    let mut first = [0; 6];
    let n = file::read_at(fd, &mut first, 0).unwrap_or(0);
    let first = first.get(..n).unwrap_or_default();
    KNOWN.iter().find(|(magic, _)| first.starts_with(magic)).map(|(_, program)| *program)
}

/// A running one.
pub struct Unpacker {
    pipe: Fd,
    pid: i32,
}

impl Unpacker {
    /// Starts it. Its messages go where ours go. ENOENT: the program is not there.
    pub fn start(cli: &Cli, program: &CStr, packed: Fd) -> Result<Unpacker> {
        // The offset is that of whoever read the file last.
        rustix::fs::seek(packed, SeekFrom::Start(0))?;
        let (mut read, mut write) = Fd::pipe()?;
        let argv = Argv::<3>::new(&[program, c"-dc"]);
        let started = process::spawn_with(&mut || {
            let placed = packed.place(0).and_then(|()| write.place(1));
            match placed {
                Ok(()) => in_path(program, cli.env(), &mut |path| process::exec_argv(path, &argv, cli.env())),
                Err(e) => e,
            }
        });
        write.close();
        match started {
            Ok(pid) => Ok(Unpacker { pipe: read, pid }),
            Err(e) => {
                read.close();
                Err(e)
            }
        }
    }

    /// What it has unpacked; 0 is the end.
    pub fn read(&self, buf: &mut [u8]) -> Result<usize> {
        file::read_some(self.pipe, buf)
    }

    /// Ends it. The error of one that has not unpacked everything is EIO; it has said why.
    pub fn finish(mut self, is_over: bool) -> Result<()> {
        self.pipe.close();
        let death = process::wait_for(self.pid)?;
        let went_well = death.wstat == 0;
        if went_well || !is_over { Ok(()) } else { Err(Errno::IO) }
    }
}
