//! Handing all that must survive to another binary, whose arena may be laid out in another way: a [`stream`] in a sealed
//! memfd.

use super::stream::{self, Problem, Summary};
use super::{Arena, Tables, arena};
use crate::log;
use crate::sys::{Errno, Fd, Result, sealed};
use crate::text::errno::Reason;
use core::fmt::{self, Arguments, Display};

/// Why a hand-over cannot be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is no sealed memfd, or cannot be read.
    File(Errno),
    /// What is in it is none.
    Stream(Problem),
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::File(e) => write!(f, "it is no sealed memfd: {}", Reason(*e)),
            Refused::Stream(problem) => problem.fmt(f),
        }
    }
}

/// A hand-over of what is in the tables; `exe` is the binary of those who take it.
pub fn make(tables: &Tables, exe: Fd) -> Result<Fd> {
    sealed::create(c"linchpin-handover", |sink| stream::write(tables, log::ring(), exe, sink))
}

/// A hand-over of a process that has nothing.
pub fn make_empty() -> Result<Fd> {
    let arena = arena::fresh()?;
    let handover = make(arena.tables, Fd::NONE);
    Fd(arena.tables.header.arena_fd).close();
    handover
}

/// Takes what is handed over into an arena that is fresh. What is left out is told to `say`.
pub fn take(fd: Fd, arena: &mut Arena, say: &mut dyn FnMut(Arguments<'_>)) -> core::result::Result<Summary, Refused> {
    sealed::with_bytes(fd, |bytes| stream::read(bytes, arena.tables, arena.ring, say))
        .map_err(Refused::File)?
        .map_err(Refused::Stream)
}

/// Takes it on trial, into an arena of which nothing is left then.
pub fn try_out(fd: Fd, say: &mut dyn FnMut(Arguments<'_>)) -> core::result::Result<Summary, Refused> {
    let mut arena = arena::fresh().map_err(Refused::File)?;
    let mut own = Fd(arena.tables.header.arena_fd);
    let taken = take(fd, &mut arena, say);
    own.close();
    taken
}
