//! The bytes of a ring.

use super::feed::{Context, Fill};
use crate::logd::ring::{Fault, Got, NAME, View, look};
use crate::sys::{Errno, Fd, file};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use rustix::fs::OFlags;

/// Bytes that are read at once: what a writer at full speed does not catch up with.
const AT_ONCE: usize = 16 * 1024;

/// See above.
pub struct Round {
    dir: Fd,
    file: Fd,
    view: Option<View>,
    /// The position at which to stop, of the ring with this number.
    stop: Option<(u64, u64)>,
    /// It was said what is wrong with it.
    said: bool,
}

impl Round {
    /// That of the directory `dir`.
    pub fn new(dir: Fd) -> Round {
        Round { dir, file: Fd::NONE, view: None, stop: None, said: false }
    }

    /// See [`super::feed::Feed::stop_here`].
    pub fn stop_here(&mut self) {
        self.find();
        let header = look(&self.file);
        self.stop = Some(header.map_or((0, 0), |header| (header.id, header.state.end)));
    }

    /// See [`super::feed::Feed::go_on`].
    pub fn go_on(&mut self) {
        self.stop = None;
    }

    /// Begins with the oldest line.
    pub fn begin(&mut self) {
        self.file.close();
        self.view = None;
    }

    /// Lines that are there, up to the end.
    pub fn count(&mut self) -> u64 {
        self.find();
        look(&self.file).map_or(0, |header| header.state.lines - header.state.gone)
    }

    /// Bytes and lines that have gone before what there is.
    pub fn dropped(&mut self) -> (u64, u64) {
        self.find();
        look(&self.file).map_or((0, 0), |header| (header.state.start + header.state.cut, header.state.gone))
    }

    /// Opens it, if it is there and is not open.
    fn find(&mut self) -> bool {
        if !self.file.is_some() {
            let opened = file::open(self.dir, NAME, OFlags::RDONLY | OFlags::NONBLOCK, 0);
            self.file = opened.unwrap_or(Fd::NONE);
        }
        self.file.is_some()
    }

    /// Reads on.
    pub fn fill(&mut self, context: &Context<'_>, buf: &mut [u8]) -> Fill {
        match self.fill_from(buf) {
            Ok(fill @ (Fill::Bytes(_) | Fill::Lost(_) | Fill::File | Fill::Limit)) => fill,
            other => {
                if let Err(why) = other {
                    if !self.said && why != Trouble::System(Errno::NOENT) {
                        let path = Printable(context.path.to_bytes());
                        context.cli.warn(format_args!("unable to read {path}/ring: {why}"));
                        context.trouble.set(true);
                    }
                    self.said |= why != Trouble::System(Errno::NOENT);
                    self.begin();
                }
                if context.follow && self.stop.is_none() { Fill::Idle } else { Fill::End }
            }
        }
    }

    fn fill_from(&mut self, buf: &mut [u8]) -> Result<Fill, Trouble> {
        if !self.file.is_some() {
            let opened = file::open(self.dir, NAME, OFlags::RDONLY | OFlags::NONBLOCK, 0);
            self.file = opened.map_err(Trouble::System)?;
        }
        let Some(mut view) = self.view else {
            self.view = Some(View::new(&self.file).map_err(Trouble::Fault)?);
            return Ok(Fill::File);
        };
        let limit = self.stop.filter(|(id, _)| *id == view.id).map_or(u64::MAX, |(_, end)| end);
        let room = buf.len().min(AT_ONCE);
        let got = view.read(&self.file, buf.get_mut(..room).unwrap_or_default(), limit).map_err(Trouble::Fault)?;
        self.view = Some(view);
        match got {
            Got::Bytes(0) if self.stop.is_some() => Ok(Fill::Limit),
            Got::Bytes(0) => self.follow(view),
            Got::Bytes(n) => Ok(Fill::Bytes(n)),
            Got::Lost(lines) => Ok(Fill::Lost(lines)),
        }
    }

    /// There is nothing new in the file: another one may have its name.
    fn follow(&mut self, view: View) -> Result<Fill, Trouble> {
        let mut there = match file::open(self.dir, NAME, OFlags::RDONLY | OFlags::NONBLOCK, 0) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Fill::Idle),
            Err(e) => return Err(Trouble::System(e)),
        };
        if file::identity(there) == file::identity(self.file) {
            there.close();
            return Ok(Fill::Idle);
        }
        // What is in the old file is all that ever was.
        self.file.close();
        self.file = there;
        let moved = view.moved(&self.file).or_else(|_| View::new(&self.file));
        self.view = Some(moved.map_err(Trouble::Fault)?);
        Ok(Fill::File)
    }

    /// Of lines without a time: now.
    pub fn base(&self) -> Stamp {
        Stamp::now()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Fault(Fault),
    System(Errno),
}

impl core::fmt::Display for Trouble {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Trouble::Fault(fault) => fault.fmt(f),
            Trouble::System(e) => Reason(*e).fmt(f),
        }
    }
}
