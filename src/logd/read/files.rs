//! The bytes of a logdir, in the order in which they were written: archives by name, `previous`, `current`; and on, over
//! rotations, without missing a file or reading one twice.
//!
//! What was read as `current` is an archive later: see [`super::behind`].

use super::archive::{self, Archive};
use super::behind::{Behind, Identity};
use super::feed::{Context, Fill};
use super::unpack::{self, Unpacker};
use crate::sys::{Errno, Fd, Result, file};
use crate::text::errno::Reason;
use crate::text::find;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::ffi::CStr;
use rustix::fs::OFlags;

/// Files that may be skipped or vanish in a row, before it is looked again later: a directory's are fewer, or somebody makes
/// them faster than they are looked at.
const TRIES: usize = 100_000;

/// What a file is in its directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    Archive(Archive),
    Previous,
    Current,
}

/// Where bytes come from.
enum Stream {
    Nothing,
    Plain { fd: Fd, at: u64 },
    Unpacked { fd: Fd, by: Unpacker },
}

/// Where reading begins, again and again.
#[derive(Clone, Copy)]
pub struct Start {
    /// Behind this archive...
    after: Option<Archive>,
    /// ...with this file, if there is one.
    file: Option<(Fd, Which)>,
    /// What was `previous` then, and is older.
    passed: Option<Fd>,
}

/// See above.
pub struct Files {
    dir: Fd,
    /// All archives up to this one have been read.
    after: Option<Archive>,
    which: Option<Which>,
    stream: Stream,
    identity: Identity,
    /// `current` has another name now, and nobody writes to it.
    rotated: bool,
    /// The end: so much of this file, which is kept open here, so that no other gets its number.
    stop: Option<(Identity, u64)>,
    stop_file: Fd,
    /// Read, not seen as an archive yet.
    behind: Behind,
    /// The archive that was read or passed over last: it may have another name still. It is kept open too.
    last: Option<(Identity, Fd)>,
    /// Reading ends with the file that is open.
    only: bool,
    /// It cannot be gone on with.
    failed: bool,
    /// It was said that something cannot be read.
    said: bool,
}

fn open(dir: Fd, name: &CStr) -> Result<Fd> {
    let mut fd = file::open(dir, name, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    // A FIFO would keep us waiting.
    let is_file = rustix::fs::fstat(fd)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile);
    if is_file {
        Ok(fd)
    } else {
        fd.close();
        Err(Errno::NOENT)
    }
}

/// As [`open`]; a file that is not there is `NONE`.
fn open_if_there(dir: Fd, name: &CStr) -> Result<Fd> {
    match open(dir, name) {
        Err(Errno::NOENT) => Ok(Fd::NONE),
        other => other,
    }
}

impl Files {
    /// The logdir `dir`, all of it.
    pub fn new(dir: Fd) -> Files {
        Files {
            dir,
            after: None,
            which: None,
            stream: Stream::Nothing,
            identity: (0, 0),
            rotated: false,
            stop: None,
            stop_file: Fd::NONE,
            behind: Behind::new(),
            last: None,
            only: false,
            failed: false,
            said: false,
        }
    }

    /// The end is where `current` ends now; [`Files::go_on`] takes that back.
    pub fn stop_here(&mut self) -> Result<()> {
        self.go_on();
        let fd = open_if_there(self.dir, c"current")?;
        self.stop_file = fd;
        self.stop = if fd.is_some() { Some((file::identity(fd)?, file::size(fd)?)) } else { Some(((0, 0), 0)) };
        Ok(())
    }

    /// There is no end.
    pub fn go_on(&mut self) {
        self.stop = None;
        self.stop_file.close();
    }

    /// What there is, the newest first, with an answer for each whether to go on with what is older. What was looked at last
    /// is where reading is to begin; `None`: with everything.
    pub fn backwards(
        &mut self,
        context: &Context<'_>,
        mut look: impl FnMut(&mut Files) -> bool,
    ) -> Result<Option<Start>> {
        let (mut current, mut previous, newest) = self.snapshot()?;
        let mut start = None;
        let mut passed = Fd::NONE;
        for (fd, which) in [(current, Which::Current), (previous, Which::Previous)] {
            if fd.is_some() && start.is_none() {
                if !self.look_at(context, fd, which, &mut look)? {
                    start = Some(Start { after: newest, file: Some((fd, which)), passed: None });
                }
                if start.is_some() && which == Which::Current && previous.is_some() {
                    passed = previous;
                }
            }
        }
        let mut first = newest;
        while let (None, Some(archive)) = (start, first) {
            if let Ok(fd) = open(self.dir, archive.name()) {
                if self.is_too_old(context, fd, archive) {
                    let mut fd = fd;
                    fd.close();
                    start = Some(Start { after: Some(archive), file: None, passed: None });
                    break;
                }
                if !self.look_at(context, fd, Which::Archive(archive), &mut look)? {
                    start =
                        Some(Start { after: Some(archive), file: Some((fd, Which::Archive(archive))), passed: None });
                    break;
                }
                let mut fd = fd;
                fd.close();
            }
            first = archive::before(self.dir, Some(archive))?;
        }
        let kept = start.and_then(|start| start.file).map(|(fd, _)| fd);
        if passed.is_some() {
            start = start.map(|start| Start { passed: Some(passed), ..start });
        }
        for fd in [&mut current, &mut previous] {
            if Some(*fd) != kept && *fd != passed {
                fd.close();
            }
        }
        Ok(start)
    }

    /// `current`, `previous` and the newest archive at one moment. A file that has two names is an archive.
    fn snapshot(&self) -> Result<(Fd, Fd, Option<Archive>)> {
        for _ in 0..TRIES {
            let mut current = open_if_there(self.dir, c"current")?;
            let mut previous = open_if_there(self.dir, c"previous")?;
            let newest = archive::before(self.dir, None)?;
            let of = |fd: Fd| if fd.is_some() { file::identity(fd).ok() } else { None };
            let now = |name: &CStr| {
                let mut fd = open_if_there(self.dir, name).unwrap_or(Fd::NONE);
                let identity = of(fd);
                fd.close();
                identity
            };
            if now(c"current") == of(current) && now(c"previous") == of(previous) {
                if previous.is_some() && newest.is_some_and(|newest| now(newest.name()) == of(previous)) {
                    previous.close();
                }
                return Ok((current, previous, newest));
            }
            current.close();
            previous.close();
        }
        Err(Errno::AGAIN)
    }

    fn look_at(
        &mut self,
        context: &Context<'_>,
        fd: Fd,
        which: Which,
        look: &mut impl FnMut(&mut Files) -> bool,
    ) -> Result<bool> {
        let copy = fd.duplicate(0)?;
        self.begin_with(context, copy, which);
        self.only = true;
        let goes_on = look(self);
        self.only = false;
        self.close();
        Ok(goes_on)
    }

    /// Begins there.
    pub fn begin(&mut self, context: &Context<'_>, start: Option<Start>) -> Result<()> {
        self.close();
        self.behind.clear();
        if let Some((_, mut fd)) = self.last.take() {
            fd.close();
        }
        self.after = start.and_then(|start| start.after);
        self.which = None;
        let Some(start) = start else { return Ok(()) };
        if let Some(passed) = start.passed {
            let copy = passed.duplicate(0)?;
            self.behind.push(copy);
        }
        if let Some((fd, which)) = start.file {
            let copy = fd.duplicate(0)?;
            self.begin_with(context, copy, which);
        }
        Ok(())
    }

    fn begin_with(&mut self, context: &Context<'_>, fd: Fd, which: Which) {
        self.which = Some(which);
        self.rotated = false;
        self.identity = file::identity(fd).unwrap_or_default();
        if let Which::Archive(archive) = which {
            self.after = Some(archive);
        }
        self.stream = Stream::Plain { fd, at: 0 };
        let Some(program) = unpack::program(fd).filter(|_| which != Which::Current) else { return };
        match Unpacker::start(context.cli, program, fd) {
            Ok(by) => self.stream = Stream::Unpacked { fd, by },
            Err(e) => {
                let (path, name) = (Printable(context.path.to_bytes()), Printable(self.name().to_bytes()));
                let program = Printable(program.to_bytes());
                context.cli.warn(format_args!(
                    "{path}/{name} is left out: it is compressed, and {program} cannot be executed: {}",
                    Reason(e)
                ));
                context.trouble.set(true);
                self.close();
            }
        }
    }

    fn name(&self) -> &CStr {
        match &self.which {
            Some(Which::Archive(archive)) => archive.name(),
            Some(Which::Previous) => c"previous",
            _ => c"current",
        }
    }

    /// When the lines of the open file were written that do not say it themselves.
    pub fn base(&self) -> Stamp {
        if let Some(Which::Archive(archive)) = self.which {
            return archive.stamp().unwrap_or_default();
        }
        let fd = match &self.stream {
            Stream::Plain { fd, .. } | Stream::Unpacked { fd, .. } => *fd,
            Stream::Nothing => Fd::NONE,
        };
        mtime(fd).unwrap_or_default()
    }

    /// Whether all of an archive is too old to be shown. Its name is by a clock that may have been put right since; its time
    /// of change is by that of the moment.
    fn is_too_old(&self, context: &Context<'_>, fd: Fd, archive: Archive) -> bool {
        let Some(since) = context.since else { return false };
        archive.stamp().is_some_and(|stamp| stamp < since) && mtime(fd).is_some_and(|mtime| mtime < since)
    }

    fn close(&mut self) {
        match core::mem::replace(&mut self.stream, Stream::Nothing) {
            Stream::Nothing => {}
            Stream::Plain { mut fd, .. } => fd.close(),
            Stream::Unpacked { mut fd, by } => {
                let _ = by.finish(false);
                fd.close();
            }
        }
    }

    /// How many lines the open file has, which is plain; up to the end.
    pub fn count(&mut self, buf: &mut [u8]) -> Option<u64> {
        let Stream::Plain { fd, .. } = self.stream else { return None };
        let limit = self.stop.filter(|(identity, _)| *identity == self.identity).map_or(u64::MAX, |(_, size)| size);
        let (mut at, mut lines, mut last) = (0, 0, b'\n');
        loop {
            let room = buf.len().min(usize::try_from(limit - at).unwrap_or(usize::MAX));
            let n = file::read_at(fd, buf.get_mut(..room)?, at).ok()?;
            let Some(bytes) = buf.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
            lines += find::count(bytes, b'\n') as u64;
            last = *bytes.last()?;
            at += n as u64;
        }
        Some(lines + u64::from(last != b'\n'))
    }

    /// Reads on.
    pub fn fill(&mut self, context: &Context<'_>, buf: &mut [u8]) -> Fill {
        loop {
            let more = if self.failed { Ok(Some(self.nothing(context))) } else { self.fill_from(context, buf) };
            match more {
                Ok(Some(fill)) => return fill,
                Ok(None) => {}
                Err(e) => {
                    self.complain(context, e);
                    let is_of_file = !matches!(self.stream, Stream::Nothing) && self.which != Some(Which::Current);
                    self.failed = !is_of_file;
                    self.close();
                    return Fill::Boundary;
                }
            }
        }
    }

    /// What is said when there is nothing.
    fn nothing(&self, context: &Context<'_>) -> Fill {
        if context.follow && self.stop.is_none() && !self.only { Fill::Idle } else { Fill::End }
    }

    fn complain(&mut self, context: &Context<'_>, e: Errno) {
        if !self.said {
            let (path, name) = (Printable(context.path.to_bytes()), Printable(self.name().to_bytes()));
            context.cli.warn(format_args!("unable to read {path}/{name}: {}", Reason(e)));
        }
        self.said = true;
        context.trouble.set(true);
    }

    /// `None`: there is more to be found out.
    fn fill_from(&mut self, context: &Context<'_>, buf: &mut [u8]) -> Result<Option<Fill>> {
        match &mut self.stream {
            Stream::Nothing if self.only => Ok(Some(Fill::End)),
            Stream::Nothing => Ok(Some(if self.open_next(context)? { Fill::File } else { self.nothing(context) })),
            Stream::Unpacked { by, .. } => {
                let n = by.read(buf)?;
                if n > 0 {
                    return Ok(Some(Fill::Bytes(n)));
                }
                if let Stream::Unpacked { fd, by } = core::mem::replace(&mut self.stream, Stream::Nothing) {
                    let done = by.finish(true);
                    self.set_last(fd);
                    if done.is_err() {
                        let (path, name) = (Printable(context.path.to_bytes()), Printable(self.name().to_bytes()));
                        context.cli.warn(format_args!("{path}/{name} is damaged: not all of it could be unpacked"));
                        context.trouble.set(true);
                    }
                }
                Ok(Some(Fill::Boundary))
            }
            Stream::Plain { fd, at } => {
                let fd = *fd;
                let limit = match self.stop {
                    Some((identity, size)) if identity == self.identity => size.saturating_sub(*at),
                    _ => u64::MAX,
                };
                if limit == 0 && self.only {
                    self.close();
                    return Ok(Some(Fill::Boundary));
                }
                if limit == 0 {
                    return Ok(Some(Fill::Limit));
                }
                let room = buf.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
                let n = file::read_at(fd, buf.get_mut(..room).unwrap_or_default(), *at)?;
                *at += n as u64;
                if n > 0 {
                    return Ok(Some(Fill::Bytes(n)));
                }
                let at = *at;
                self.at_end(context, fd, at)
            }
        }
    }

    /// A line that begins before the end may end behind it.
    pub fn fill_beyond(&mut self, buf: &mut [u8]) -> usize {
        let Stream::Plain { fd, at } = &mut self.stream else { return 0 };
        let n = file::read_at(*fd, buf, *at).unwrap_or(0);
        *at += n as u64;
        n
    }

    /// There is no more in this file: for now, or for ever.
    fn at_end(&mut self, context: &Context<'_>, fd: Fd, at: u64) -> Result<Option<Fill>> {
        if self.only {
            self.close();
            return Ok(Some(Fill::Boundary));
        }
        match self.which {
            Some(Which::Current) if !self.rotated => {
                // In this order: what is an archive now is older than a file that is still `current` after that.
                let newest = archive::before(self.dir, None)?;
                let mut there = open_if_there(self.dir, c"current")?;
                let is_same = there.is_some() && file::identity(there) == Ok(self.identity);
                there.close();
                if !is_same {
                    // What was written before it got its other name may not have been read.
                    self.rotated = true;
                    return Ok(None);
                }
                if newest > self.after {
                    self.after = newest;
                    self.behind.clear();
                }
                if file::size(fd)? < at {
                    // Somebody has emptied it.
                    self.stream = Stream::Plain { fd, at: 0 };
                    return Ok(Some(Fill::Boundary));
                }
                Ok(Some(self.nothing(context)))
            }
            Some(Which::Archive(_)) | None => {
                self.stream = Stream::Nothing;
                self.set_last(fd);
                Ok(Some(Fill::Boundary))
            }
            _ => {
                self.stream = Stream::Nothing;
                self.behind.push(fd);
                Ok(Some(Fill::Boundary))
            }
        }
    }

    /// Opens what follows. False: nothing does, yet.
    fn open_next(&mut self, context: &Context<'_>) -> Result<bool> {
        for _ in 0..TRIES {
            if let Some(next) = archive::after(self.dir, self.after)? {
                let fd = match open(self.dir, next.name()) {
                    Ok(fd) => fd,
                    Err(e) => {
                        self.after = Some(next);
                        self.which = Some(Which::Archive(next));
                        if e != Errno::NOENT {
                            self.complain(context, e);
                        }
                        continue;
                    }
                };
                if self.behind.has(context.cli, fd, self.has_older()) || self.is_too_old(context, fd, next) {
                    self.after = Some(next);
                    self.set_last(fd);
                    continue;
                }
                self.begin_with(context, fd, Which::Archive(next));
                if matches!(self.stream, Stream::Nothing) {
                    continue; // it was said why
                }
                return Ok(true);
            }
            let current = open_if_there(self.dir, c"current");
            let mut current = current.inspect_err(|_| self.which = Some(Which::Current))?;
            let mut previous = open_if_there(self.dir, c"previous").unwrap_or(Fd::NONE);
            if archive::after(self.dir, self.after)?.is_some() {
                // They may be newer than that.
                current.close();
                previous.close();
                continue;
            }
            let is_current =
                current.is_some() && file::identity(previous).is_ok_and(|it| file::identity(current) == Ok(it));
            if previous.is_some() && !is_current && self.is_new(previous) {
                current.close();
                self.begin_with(context, previous, Which::Previous);
                return Ok(true);
            }
            previous.close();
            if current.is_some() && self.is_new(current) {
                self.begin_with(context, current, Which::Current);
                return Ok(true);
            }
            current.close();
            return Ok(false);
        }
        Ok(false)
    }

    /// Whether this is neither what was read last nor one of those before it that have no archive yet.
    fn is_new(&self, fd: Fd) -> bool {
        let Ok(identity) = file::identity(fd) else { return false };
        self.last.is_none_or(|(last, _)| last != identity) && !self.behind.is_among(identity)
    }

    /// Whether no archive has gone since the last one was looked at: they are trimmed in their order.
    fn has_older(&self) -> bool {
        self.after.is_none_or(|after| file::exists(self.dir, after.name()) == Ok(true))
    }

    /// An archive was read, or passed over.
    fn set_last(&mut self, fd: Fd) {
        if let Some((_, mut fd)) = self.last.take() {
            fd.close();
        }
        self.last = file::identity(fd).ok().map(|identity| (identity, fd));
    }
}

fn mtime(fd: Fd) -> Option<Stamp> {
    let stat = rustix::fs::fstat(fd).ok()?;
    let sec = u64::try_from(stat.st_mtime).unwrap_or(0);
    Some(Stamp::from_unix(sec, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)))
}
