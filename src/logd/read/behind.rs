//! Files that were read as `current` or `previous`, until they are archives: those are not to be read again.
//!
//! An archive is the same file, or another one that a processor has made of it. The first is recognised; of the second, the
//! beginning is compared.

use super::line;
use super::unpack::{self, Unpacker};
use crate::applets::cli::Cli;
use crate::sys::{Fd, file};
use crate::text::newline;
use crate::text::tai::Stamp;
use heapless::Vec;

/// How much of a file's beginning and end is looked at for its first and last line.
const GLANCE: usize = 4096;

/// st_dev and st_ino.
pub type Identity = (u64, u64);

/// See above; the oldest first. A logger has no more than two of them.
pub struct Behind {
    files: Vec<Raw, 3>,
}

/// One of them. It is kept open, so that no other file gets its number.
struct Raw {
    fd: Fd,
    identity: Identity,
    first: First,
    /// The stamp of its last line.
    last: Option<Stamp>,
}

/// How a file begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct First {
    hash: u64,
    stamp: Option<Stamp>,
}

impl First {
    fn of(bytes: &[u8]) -> First {
        let line = bytes.get(..newline::find(bytes).unwrap_or(bytes.len())).unwrap_or_default();
        let hash = line.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        First { hash: if line.is_empty() { 0 } else { hash }, stamp: line::label(line) }
    }

    fn of_file(cli: &Cli, fd: Fd) -> First {
        let mut bytes = [0; GLANCE];
        let n = match unpack::program(fd) {
            None => file::read_at(fd, &mut bytes, 0).unwrap_or(0),
            Some(program) => Unpacker::start(cli, program, fd).map_or(0, |by| {
                let n = by.read(&mut bytes).unwrap_or(0);
                let _ = by.finish(false);
                n
            }),
        };
        First::of(bytes.get(..n).unwrap_or_default())
    }
}

impl Raw {
    fn of(fd: Fd) -> Option<Raw> {
        let mut bytes = [0; GLANCE];
        let size = file::size(fd).ok()?;
        let n = file::read_at(fd, &mut bytes, size.saturating_sub(GLANCE as u64)).ok()?;
        let text = bytes.get(..n).unwrap_or_default();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let last = text.get(newline::find_last(text).map_or(0, |at| at + 1)..).and_then(line::label);
        let n = file::read_at(fd, &mut bytes, 0).ok()?;
        let first = First::of(bytes.get(..n).unwrap_or_default());
        Some(Raw { fd, identity: file::identity(fd).ok()?, first, last })
    }
}

impl Behind {
    /// None.
    pub fn new() -> Behind {
        Behind { files: Vec::new() }
    }

    /// An open file has been read. Takes it over.
    pub fn push(&mut self, mut fd: Fd) {
        let Some(raw) = Raw::of(fd) else { return fd.close() };
        if self.files.is_full() {
            self.settle(1);
        }
        let _ = self.files.push(raw);
    }

    /// Whether this is one of them.
    pub fn is_among(&self, identity: Identity) -> bool {
        self.files.iter().any(|raw| raw.identity == identity)
    }

    /// All of them are archives, or gone.
    pub fn clear(&mut self) {
        self.settle(self.files.len());
    }

    /// Whether the oldest archive that has not been looked at yet was read before it was one. `has_older`: no archive has
    /// gone since.
    pub fn has(&mut self, cli: &Cli, archive: Fd, has_older: bool) -> bool {
        if self.files.is_empty() {
            return false;
        }
        let Ok(identity) = file::identity(archive) else { return false };
        if let Some(at) = self.files.iter().position(|raw| raw.identity == identity) {
            self.settle(at + 1);
            return true;
        }
        // Another file: a processor has made it of one of them; or it is newer, and theirs have been trimmed already.
        let first = First::of_file(cli, archive);
        while let Some(raw) = self.files.first() {
            let is_same = match (first.stamp, raw.last) {
                // An empty one may have become none at all.
                _ if raw.first == First::default() => false,
                _ if raw.first.hash == first.hash => true,
                (Some(first), Some(last)) if first != last => first < last,
                // Archives are trimmed in their order: if an older one is there, so is this.
                _ => has_older,
            };
            self.settle(1);
            if is_same {
                return true;
            }
        }
        false
    }

    /// The first so many are archives, or gone.
    fn settle(&mut self, count: usize) {
        for _ in 0..count.min(self.files.len()) {
            self.files.remove(0).fd.close();
        }
    }
}
