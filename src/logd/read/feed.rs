//! Where the bytes of a source come from: the files of a logdir, or a ring.

use super::files::{Files, Start};
use super::round::Round;
use crate::applets::cli::Cli;
use crate::sys::Result;
use crate::text::tai::Stamp;
use core::cell::Cell;
use core::ffi::CStr;

/// What all of them need to know.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The command, which says what is wrong.
    pub cli: &'a Cli,
    /// The directory's path.
    pub path: &'a CStr,
    /// More may come at any time.
    pub follow: bool,
    /// Nothing older is wanted.
    pub since: Option<Stamp>,
    /// Set when something could not be read.
    pub trouble: &'a Cell<bool>,
}

/// What there is next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// So many bytes, which follow those before.
    Bytes(usize),
    /// A file, which begins with its next bytes.
    File,
    /// A file has ended: what was read of a line that has no end is one.
    Boundary,
    /// The end, where reading was to stop: a line that has begun may go on behind it.
    Limit,
    /// So many lines are missing here, one that has begun among them.
    Lost(u64),
    /// Nothing yet.
    Idle,
    /// Nothing ever.
    End,
}

/// One of the two.
#[allow(clippy::large_enum_variant)] // there is no heap to put one into
pub enum Feed {
    /// Of a logdir.
    Files(Files),
    /// Of a ring.
    Round(Round),
}

/// Where reading begins: see [`Files::backwards`].
#[derive(Clone, Copy)]
pub enum Begin {
    /// With all there is.
    Oldest,
    /// There.
    At(Start),
}

impl Feed {
    /// The end is what is there now.
    pub fn stop_here(&mut self) -> Result<()> {
        match self {
            Feed::Files(files) => files.stop_here(),
            Feed::Round(round) => {
                round.stop_here();
                Ok(())
            }
        }
    }

    /// There is no end.
    pub fn go_on(&mut self) {
        match self {
            Feed::Files(files) => files.go_on(),
            Feed::Round(round) => round.go_on(),
        }
    }

    /// Begins, or begins again.
    pub fn begin(&mut self, context: &Context<'_>, begin: Begin) -> Result<()> {
        match (self, begin) {
            (Feed::Files(files), Begin::Oldest) => files.begin(context, None),
            (Feed::Files(files), Begin::At(start)) => files.begin(context, Some(start)),
            (Feed::Round(round), _) => {
                round.begin();
                Ok(())
            }
        }
    }

    /// Reads on.
    pub fn fill(&mut self, context: &Context<'_>, buf: &mut [u8]) -> Fill {
        match self {
            Feed::Files(files) => files.fill(context, buf),
            Feed::Round(round) => round.fill(context, buf),
        }
    }

    /// After [`Fill::Limit`]: what is behind it.
    pub fn fill_beyond(&mut self, buf: &mut [u8]) -> usize {
        match self {
            Feed::Files(files) => files.fill_beyond(buf),
            Feed::Round(_) => 0,
        }
    }

    /// The time of lines that have none, nor one before them.
    pub fn base(&self) -> Stamp {
        match self {
            Feed::Files(files) => files.base(),
            Feed::Round(round) => round.base(),
        }
    }
}
