//! All sources in the order of time.

use super::feed::Context;
use super::places::{Path, contents, name_of};
use super::print::{Label, Printer};
use super::seen::Seen;
use super::source::{Filter, Head, Source, Taste, What};
use super::{MANY, advice};
use crate::applets::cli::{Cli, SYSTEM};
use crate::limits::LOG_NAME;
use crate::sys::cell::TakeCell;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use crate::text::zone::Zone;
use core::cell::Cell;
use core::ffi::CStr;
use heapless::Vec;

/// Lines that are shown before sources that had nothing are asked again.
const ROUND: u32 = 1000;

/// A service's name.
type Name = Vec<u8, LOG_NAME>;

fn short(name: &[u8]) -> Name {
    Vec::from_slice(name.get(..name.len().min(LOG_NAME)).unwrap_or_default()).unwrap_or_default()
}

/// Sources, and what is known of them besides.
pub struct Table {
    sources: Vec<Source, MANY>,
    places: Vec<Place, MANY>,
    names: Vec<Name, MANY>,
    /// Of services that have a directory that cannot be read.
    unreadable: Vec<Name, MANY>,
}

struct Place {
    path: Path,
    identity: (u64, u64),
    is_ring: bool,
    /// Nothing older is shown.
    since: Option<Stamp>,
}

/// The only one: it is large.
pub static SOURCES: TakeCell<Table> =
    TakeCell::new(Table { sources: Vec::new(), places: Vec::new(), names: Vec::new(), unreadable: Vec::new() });
/// See [`Seen`].
pub static SEEN: TakeCell<Seen> = TakeCell::new(Seen::new());

/// See above.
pub struct Merge<'a> {
    cli: &'a Cli,
    filter: Filter,
    zone: Zone<'static>,
    printer: Printer,
    table: &'static mut Table,
    seen: &'static mut Seen,
    follow: bool,
    /// Lines are counted, not shown.
    is_dry: bool,
    /// Lines that are passed over.
    pass: u64,
    /// Lines that have come.
    count: u64,
    trouble: Cell<bool>,
    is_full: bool,
    /// Nothing older of sources that are added from now on.
    since: Option<Stamp>,
    has_begun: bool,
}

impl<'a> Merge<'a> {
    /// Without sources.
    pub fn new(
        cli: &'a Cli,
        filter: Filter,
        zone: Zone<'static>,
        printer: Printer,
        table: &'static mut Table,
        seen: &'static mut Seen,
        follow: bool,
    ) -> Merge<'a> {
        Merge {
            cli,
            since: filter.since,
            filter,
            zone,
            printer,
            table,
            seen,
            follow,
            is_dry: false,
            pass: 0,
            count: 0,
            trouble: Cell::new(false),
            is_full: false,
            has_begun: false,
        }
    }

    /// Adds what the directory `path` has of the service `name`, if it is not there yet. What is new: of each source, whether
    /// it is a ring.
    pub fn add(&mut self, name: &[u8], path: &CStr) -> [Option<bool>; 2] {
        let mut added = [None; 2];
        let found = file::open_dir(Fd::CWD, path).and_then(|dir| {
            let mut dir = dir;
            let known = file::identity(dir).and_then(|identity| Ok((identity, contents(dir)?)));
            if known.is_err() {
                dir.close();
            }
            known.map(|(identity, contents)| (dir, identity, contents))
        });
        let (mut dir, identity, (has_files, has_ring)) = match found {
            Ok(found) => found,
            Err(e) => {
                // It is told once, not each time that is searched. What is not there may come.
                if !self.has_begun && !matches!(e, Errno::NOENT | Errno::NOTDIR) {
                    let path = Printable(path.to_bytes());
                    self.cli.warn(format_args!("unable to read {path}: {}{}", Reason(e), advice(e)));
                    self.trouble.set(true);
                    let _ = self.table.unreadable.push(short(name));
                }
                return added;
            }
        };
        let mut is_used = false;
        for (place, (is_there, is_ring)) in added.iter_mut().zip([(has_files, false), (has_ring, true)]) {
            let is_known = self.table.places.iter().any(|place| place.identity == identity && place.is_ring == is_ring);
            if is_there && !is_known {
                match self.add_source(name, path, dir, identity, is_ring) {
                    Ok(()) => {
                        *place = Some(is_ring);
                        is_used = true;
                    }
                    Err(e) => {
                        self.cli.warn(format_args!("{} is left out: {}", Printable(path.to_bytes()), Reason(e)));
                        self.trouble.set(true);
                    }
                }
            }
        }
        if !is_used {
            dir.close();
        }
        added
    }

    fn add_source(&mut self, name: &[u8], path: &CStr, dir: Fd, identity: (u64, u64), is_ring: bool) -> Result<()> {
        if self.table.sources.is_full() {
            if !self.is_full {
                self.cli.warn(format_args!("there are more than {MANY} logs: name the services that you want to see"));
            }
            self.is_full = true;
            return Ok(());
        }
        let name = short(name);
        let known = self.table.names.iter().position(|known| *known == name);
        let service = match known {
            Some(at) => at,
            None => {
                self.printer.make_room(name.len());
                let _ = self.table.names.push(name);
                self.table.names.len() - 1
            }
        } as u16;
        let ordinal = self.table.sources.iter().filter(|source| source.service == service).count() as u16;
        let source = Source::new(dir, is_ring, service, ordinal)?;
        let place = Place { path: Path::of(&[path.to_bytes()]), identity, is_ring, since: self.since };
        let _ = self.table.places.push(place);
        let _ = self.table.sources.push(source);
        if self.has_begun {
            let at = self.table.sources.len() - 1;
            let mut done = Ok(());
            self.with(at, |source, context, _| done = source.rewind(context));
            return done;
        }
        Ok(())
    }

    /// Whether there is a source that a word stands for, or it was said why not.
    pub fn knows(&self, word: &CStr) -> bool {
        let name = short(name_of(word.to_bytes()));
        let identity =
            if word.to_bytes().contains(&b'/') { file::with_dir(word, file::identity) } else { Ok(Err(Errno::NOENT)) };
        let is_of = |(place, source): (&Place, &Source)| match identity {
            Ok(Ok(identity)) => place.identity == identity,
            Ok(Err(_)) => self.table.names.get(usize::from(source.service)) == Some(&name),
            Err(_) => false,
        };
        self.table.unreadable.contains(&name) || self.table.places.iter().zip(&self.table.sources).any(is_of)
    }

    /// Whether there is no source.
    pub fn is_empty(&self) -> bool {
        self.table.sources.is_empty()
    }

    /// Whether something could not be read.
    pub fn has_trouble(&self) -> bool {
        self.trouble.get()
    }

    /// Sources that are added from now on show nothing older.
    pub fn only_since(&mut self, stamp: Stamp) {
        self.since = self.since.max(Some(stamp));
    }

    /// Calls `body` with a source and what it needs.
    fn with(&mut self, at: usize, body: impl FnOnce(&mut Source, &Context<'_>, Taste<'_>)) {
        let (Some(source), Some(place)) = (self.table.sources.get_mut(at), self.table.places.get(at)) else { return };
        let path = place.path.get().unwrap_or_default();
        let context = Context { cli: self.cli, path, follow: self.follow, since: place.since, trouble: &self.trouble };
        body(source, &context, Taste { filter: &self.filter, since: place.since, zone: &self.zone })
    }

    fn each(&mut self, mut body: impl FnMut(&mut Source, &Context<'_>, Taste<'_>) -> Result<()>) {
        for at in 0..self.table.sources.len() {
            let mut failed = None;
            self.with(at, |source, context, taste| failed = body(source, context, taste).err());
            if let (Some(e), Some(place)) = (failed, self.table.places.get(at)) {
                let path = Printable(place.path.as_bytes());
                self.cli.warn(format_args!("unable to read {path}: {}{}", Reason(e), advice(e)));
                self.trouble.set(true);
                if let Some(source) = self.table.sources.get_mut(at) {
                    source.is_done = true;
                }
            }
        }
    }

    /// Shows what there is; the last `last` lines of it, if that is said.
    pub fn begin(&mut self, last: Option<u64>) {
        self.has_begun = true;
        let follow = self.follow;
        if last.is_some() || !follow {
            self.each(|source, _, _| source.stop_here());
        }
        if let Some(last) = last {
            self.each(|source, context, taste| source.begin_at_last(context, taste, last));
            // What is in two places has been counted twice.
            self.each(|source, context, _| source.rewind(context));
            self.is_dry = true;
            self.show();
            self.is_dry = false;
            self.pass = self.count.saturating_sub(last);
            self.seen.clear();
        }
        if follow {
            self.each(|source, _, _| {
                source.go_on();
                Ok(())
            });
        }
        self.each(|source, context, _| source.rewind(context));
        self.show();
    }

    /// Shows what has come since.
    pub fn go_on(&mut self) {
        self.show();
    }

    /// Shows lines until there is none, or none yet.
    fn show(&mut self) {
        let mut is_asking_all = true;
        let mut shown = 0;
        while !self.has_failed() {
            let mut first: Option<(usize, Stamp)> = None;
            for at in 0..self.table.sources.len() {
                let Some(source) = self.table.sources.get(at) else { continue };
                let mut head = source.head;
                if head.is_none() && !source.is_done && (is_asking_all || source.is_hungry) {
                    self.with(at, |source, context, taste| {
                        source.is_hungry = source.advance(context, taste);
                        head = source.head;
                    });
                }
                if let Some(head) = head.filter(|head| first.is_none_or(|(_, time)| head.time < time)) {
                    first = Some((at, head.time));
                }
            }
            let Some((at, _)) = first else {
                if is_asking_all {
                    return;
                }
                is_asking_all = true;
                continue;
            };
            shown += 1;
            is_asking_all = shown % ROUND == 0;
            self.show_head(at);
        }
    }

    /// Shows what a source has next.
    fn show_head(&mut self, at: usize) {
        let Some(source) = self.table.sources.get_mut(at) else { return };
        let Some(Head { time, what }) = source.head.take() else { return };
        let (service, ordinal) = (source.service, source.ordinal);
        let is_double = || self.table.sources.iter().any(|other| other.service == service && other.ordinal != ordinal);
        let name = self.table.names.get(usize::from(service)).map_or(&b""[..], |name| name);
        let label = |is_stamped| Label { time, is_stamped, service: name };
        let Some(source) = self.table.sources.get(at) else { return };
        match what {
            What::Lost(lines) if !self.is_dry => {
                let why = &[&b" lines were overwritten in the ring before they could be read"[..]];
                self.printer.missing(label(false), lines, why);
            }
            What::Dropped(bytes, lines) if !self.is_dry => {
                let count = Decimal::new(bytes);
                let why = &[&b" older lines ("[..], count.as_bytes(), b" bytes) had to leave the ring"];
                self.printer.missing(label(false), lines, why);
            }
            What::Lost(_) | What::Dropped(..) => {}
            What::Line { is_stamped, from, to, is_whole } => {
                let text = source.text(from, to);
                if is_stamped && is_double() && !self.seen.is_new(service, ordinal, time, text) {
                    return;
                }
                self.count += 1;
                if self.is_dry {
                    return;
                }
                if self.pass > 0 {
                    self.pass -= 1;
                    return;
                }
                self.printer.line(label(is_stamped), text);
                if !is_whole {
                    self.show_rest(at);
                }
                self.printer.end();
            }
        }
    }

    /// The rest of a line that is longer than can be kept.
    fn show_rest(&mut self, at: usize) {
        let (Some(source), Some(place)) = (self.table.sources.get_mut(at), self.table.places.get(at)) else { return };
        let path = place.path.get().unwrap_or_default();
        let context = Context { cli: self.cli, path, follow: self.follow, since: place.since, trouble: &self.trouble };
        source.rest(&context, &mut |bytes| self.printer.more(bytes));
    }

    /// What was shown is seen.
    pub fn flush(&mut self) {
        self.printer.flush();
    }

    /// Whether what is shown cannot be written.
    pub fn has_failed(&self) -> bool {
        self.printer.failure().is_some()
    }

    /// The exit code.
    pub fn finish(mut self) -> i32 {
        self.printer.flush();
        match self.printer.failure() {
            // Whoever read it has seen enough.
            Some(Errno::PIPE) => 0,
            Some(e) => self.cli.unable("write to standard output", e),
            None if self.trouble.get() => SYSTEM,
            None => 0,
        }
    }
}
