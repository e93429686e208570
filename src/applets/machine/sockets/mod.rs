//! `sockets`: what a fd-holder holds, and how each of it stands.
//!
//! * [`list`]: all rows. * [`look`]: what a descriptor is, asked of the kernel. * [`row`]: a line, in words.
//!
//! The store tells who stored what, and who got it; then the descriptors themselves come, as a dump (or one by one), are
//! looked at and closed. Nothing is accepted or read on them, and nobody's place in a queue is lost.

mod list;
mod look;
mod row;

use super::columns::width_of;
use super::status::{USUAL, WIDEST};
use crate::applets::cli::{Cli, Opt, Output, WrongUsage};
use crate::fdholder::client::Connection;
use crate::fdholder::info::ANSWER;
use crate::limits::{FDHOLDER_REPLY, FDHOLDER_REQUEST, HELD_NAME};
use crate::sys::cell::TakeCell;
use crate::sys::diag::Diag;
use crate::sys::entry::{self, FileType};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, Result};
use crate::text::CPath;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::ffi::CStr;
use core::fmt::Write;
use list::List;
use look::{Address, Queue};
use row::Facts;

/// Usage line.
pub const USAGE: &str = "[--json] [-t ms] [socket|scandir]";

/// The store said no, or what answered is no store.
const REFUSED: i32 = 1;
/// Where a scan directory has the socket of its fd-holder, and where a service directory has.
const PLACES: [&[u8]; 2] = [b"/fdholder/s", b"/s"];

static LIST: TakeCell<List> = TakeCell::new(List::new());
/// Room for the longest message: a list, or a part of a dump.
static MESSAGE: TakeCell<[u8; MESSAGE_SIZE]> = TakeCell::new([0; MESSAGE_SIZE]);
const MESSAGE_SIZE: usize = if FDHOLDER_REPLY > FDHOLDER_REQUEST { FDHOLDER_REPLY } else { FDHOLDER_REQUEST };

/// A path in one that was named.
pub type Path = CPath<1024>;

/// `sockets [--json] [-t ms] [socket|scandir]`. Without a word, the machine's fd-holder is asked. Exit code: 0; 1 the
/// store said no; 100; 111 it could not be reached.
pub fn sockets(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut json, mut millis) = (false, 0);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Long(b"json") => json = true,
                Opt::Short(b't') => millis = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(0)?;
        if words.len() > 1 {
            return Err(WrongUsage);
        }
        let Some(path) = find_socket(words.get(0)) else {
            let text = "there is no fd-holder in /run/service or /service: name a socket or a scan directory";
            return Ok(cli.refuse(text));
        };
        let path = match path.path() {
            Ok(path) => path,
            Err(e) => return Ok(cli.unable("name the socket", e)),
        };
        let (Some(list), Some(message)) = (LIST.take(), MESSAGE.take()) else { return Ok(REFUSED) };
        let deadline = (millis != 0).then(|| time::boot().saturating_add(u64::from(millis) * MILLI));
        let mut table = Table { cli, path, deadline, list, message, notes: Notes::default() };
        Ok(match table.gather() {
            Err(code) => code,
            Ok(()) => {
                let code = table.print(json);
                table.warn();
                code
            }
        })
    })
}

/// The fd-holder's socket: the one that is named, that of a directory that is named, or the machine's. `None`: there is none.
pub fn find_socket(named: Option<&CStr>) -> Option<Path> {
    match named {
        Some(word) => Some(socket_of(word).unwrap_or_else(|| Path::of(&[word.to_bytes()]))),
        None => USUAL.iter().find_map(|scandir| socket_of(scandir)),
    }
}

/// The fd-holder's socket in a directory, if there is one.
fn socket_of(path: &CStr) -> Option<Path> {
    if entry::kind(Fd::CWD, path) != Ok(FileType::Directory) {
        return None;
    }
    let places = PLACES.map(|place| Path::of(&[path.to_bytes(), place]));
    let found = |place: &Path| place.path().is_ok_and(|path| entry::kind(Fd::CWD, path) == Ok(FileType::Socket));
    places.into_iter().find(found)
}

/// What is to be said besides the table.
#[derive(Default)]
struct Notes {
    /// The store is one that does not tell who stored what.
    plain: bool,
    /// Each had to be retrieved to be looked at.
    retrieved: bool,
    /// So many are not shown.
    left_out: usize,
}

struct Table<'a> {
    cli: &'a Cli,
    path: &'a CStr,
    deadline: Option<Nanos>,
    list: &'static mut List,
    message: &'static mut [u8; MESSAGE_SIZE],
    notes: Notes,
}

impl Table<'_> {
    /// Fills the table; the error is an exit code.
    fn gather(&mut self) -> core::result::Result<(), i32> {
        let mut store = self.connect()?;
        let mut told = self.read_info(&mut store);
        if matches!(told, Err(Errno::PIPE | Errno::CONNRESET)) {
            // s6's ends the connection at what it does not know.
            store.close();
            store = self.connect()?;
            told = self.read_names(&mut store);
            self.notes.plain = true;
        }
        let listed = match told {
            Ok(()) => true,
            Err(Errno::PERM) => false,
            Err(e) => {
                let code = self.refused("get fd list", e);
                if matches!(e, Errno::PIPE | Errno::CONNRESET) {
                    self.cli.warn("it ended the connection, as it does when this user may not connect");
                }
                return Err(code);
            }
        };
        self.list.sort();
        let mut diag = Diag::open().ok();
        let mut seen = self.look_at_dump(&mut store, diag.as_ref(), listed);
        match seen {
            Err(Errno::PERM) if listed => seen = self.look_at_each(&mut store, diag.as_ref()),
            Err(Errno::PERM) => return Err(self.refused("get fd list", Errno::PERM)),
            _ => {}
        }
        if let Some(diag) = &mut diag {
            diag.close();
        }
        store.close();
        seen.map_err(|e| self.refused("get dump", e))?;
        self.list.sort();
        Ok(())
    }

    fn connect(&self) -> core::result::Result<Connection, i32> {
        let path = Printable(self.path.to_bytes());
        Connection::open(self.path, self.deadline)
            .map_err(|e| self.cli.unable(format_args!("connect to a fd-holder daemon at {path}"), e))
    }

    fn refused(&self, what: &str, why: Errno) -> i32 {
        self.cli.unable(what, why);
        REFUSED
    }

    fn read_info(&mut self, store: &mut Connection) -> Result<()> {
        let (mut buf, mut from) = ([0; ANSWER], 0);
        loop {
            let page = store.info(from, &mut buf)?;
            for entry in page.iter() {
                self.notes.left_out +=
                    usize::from(!self.list.push(entry.id, Some(entry.limit), Some(Facts::of(&entry))));
            }
            match page.next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    fn read_names(&mut self, store: &mut Connection) -> Result<()> {
        for id in store.list(&mut self.message[..])? {
            self.notes.left_out += usize::from(!self.list.push(id, None, None));
        }
        Ok(())
    }

    /// Looks at all that a dump brings. If nothing could be listed, that is the list.
    fn look_at_dump(&mut self, store: &mut Connection, diag: Option<&Diag>, listed: bool) -> Result<()> {
        let (mut address, mut peer) = (Address::new(), Address::new());
        let (list, notes) = (&mut *self.list, &mut self.notes);
        store.visit_dump(&mut self.message[..], &mut |entry, fd| {
            let at = match listed {
                true => list.find(entry.id), // what is not in the list has come since
                false if list.push(entry.id, None, None) => Some(list.len() - 1),
                false => {
                    notes.left_out += 1;
                    None
                }
            };
            if let Some(at) = at {
                list.limit(at, entry.limit);
                let sight = look::look(fd, diag, &mut address, &mut peer);
                list.see(at, sight, &address, &peer);
            }
        })
    }

    /// Retrieves those that may be retrieved, one at a time.
    fn look_at_each(&mut self, store: &mut Connection, diag: Option<&Diag>) -> Result<()> {
        let (mut address, mut peer) = (Address::new(), Address::new());
        for at in 0..self.list.len() {
            let Some(row) = self.list.get(at).filter(|row| !row.is_waiting()) else { continue };
            let mut room = [0; HELD_NAME];
            let Some(id) = room.get_mut(..row.id.len()) else { continue };
            id.copy_from_slice(row.id);
            match store.retrieve(id, false) {
                Ok(mut fd) => {
                    self.notes.retrieved = true;
                    let sight = look::look(fd, diag, &mut address, &mut peer);
                    fd.close();
                    self.list.see(at, sight, &address, &peer);
                }
                Err(Errno::PERM | Errno::NOENT) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn print(&self, json: bool) -> i32 {
        let (mut out, now) = (Output::new(), Stamp::now());
        let width = self.list.iter().map(|row| width_of(&Printable(row.id))).max().unwrap_or(0).clamp(4, WIDEST);
        if !json && self.list.len() > 0 {
            let _ = row::heading(&mut out, width);
        }
        for row in self.list.iter() {
            let _ = if json { row.json(&mut out, now) } else { row.line(&mut out, width, now) };
            let _ = out.write_char('\n');
        }
        out.finish(self.cli)
    }

    /// Says what else there is to say, once for all rows.
    fn warn(&self) {
        let rows = || self.list.iter().filter(|row| !row.is_waiting());
        let unseen = rows().filter(|row| row.sight.is_none()).count();
        let unix_queue_unknown = |row: row::Row<'_>| {
            row.sight.is_some_and(|sight| sight.queue == Queue::Unknown && sight.kind.starts_with("unix"))
        };
        if self.list.len() == 0 {
            self.cli.warn("nothing is held");
        }
        if self.notes.left_out > 0 {
            self.cli.warn(format_args!("{} more are not shown", self.notes.left_out));
        }
        if self.notes.plain {
            self.cli.warn("this fd-holder does not tell who stored what, and when: s6's does not");
        }
        if unseen > 0 {
            let text = "what they are is not known: that takes the right to get a dump, or to retrieve them";
            self.cli.warn(format_args!("{unseen} could not be looked at, {text}"));
        }
        if self.notes.retrieved {
            self.cli.warn("each was retrieved to be looked at, because a dump is not allowed: that counts as given");
        }
        if rows().any(unix_queue_unknown) {
            let text = "the kernel does not tell (CONFIG_UNIX_DIAG), or they are of another network namespace";
            self.cli.warn(format_args!("queues of unix sockets are not known: {text}"));
        }
    }
}
