//! `s6-fdholderd [-v verbosity] [-1] [-c maxconn] [-n maxfds] [-t timeout] [-T lameducktimeout] [-i rulesdir | -x
//! rulesfile]`: the store in a process of its own. Standard input is its listening socket.
//!
//! It is the code that process 1 has, so it does not end when it has run out of descriptors, and `-c` and `-n` that are
//! more than it has room for ([`CLIENTS`], [`HELD`]) are cut down with a warning. `-x` is read into memory (at most
//! [`RULES_FILE`](crate::limits::RULES_FILE) bytes); one that is no constant database is refused, at the start (111) and at a SIGHUP, after which the old
//! one stays in force. After SIGTERM it goes on until every client has been answered, at most for `-T`; the exit code
//! then has bit 0 set if descriptors were held, bit 1 if clients were connected.

use crate::access::fdholder::{check, check_loaded, load};
use crate::applets::cli::{Cli, Opt, Options, WrongUsage};
use crate::fdholder::records::{Now, Records};
use crate::fdholder::rights::{Place, Source};
use crate::fdholder::server::{self, Server, Settings};
use crate::fdholder::table::Table;
use crate::limits::{FDHOLDERD_CLIENTS as CLIENTS, HELD};
use crate::log::{self, Target};
use crate::state::{Client, Held, Transfer};
use crate::svscan::start::fill_stdio;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::rlimit::{Resource, soft};
use crate::sys::signal::{SignalSet, number as sig, open_signalfd, read_signalfd};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, Result, file, memory, socket};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::warning;
use core::ffi::CStr;
use rustix::fs::OFlags;
use zerocopy::FromBytes;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -1 ] [ -c maxconn ] [ -n maxfds ] [ -t timeout ] [ -T lameducktimeout ] \
                         [ -i rulesdir | -x rulesfile ]";

/// Fewer descriptors than this are not enough for anything: s6's number.
const FEWEST: u64 = 7;

/// Where the access rules are.
#[derive(Clone, Copy)]
pub enum RulesAt {
    /// `-i`
    Directory(&'static CStr),
    /// `-x`
    File(&'static CStr),
}

/// What the options say.
#[derive(Clone, Copy)]
pub struct Wanted {
    quiet: bool,
    tell_ready: bool,
    clients_max: u32,
    held_max: u32,
    timeout: u32,
    lame_duck: u32,
    rules: Option<RulesAt>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            quiet: false,
            tell_ready: false,
            clients_max: 16,
            held_max: 1000,
            timeout: 0,
            lame_duck: 0,
            rules: None,
        }
    }
}

impl Wanted {
    /// Takes an option that it shares with s6-fdholder-daemon.
    pub fn take<I>(&mut self, option: Opt, options: &mut Options<I>) -> core::result::Result<(), WrongUsage>
    where
        I: ExactSizeIterator<Item = &'static [u8]>,
    {
        match option {
            Opt::Short(b'v') => self.quiet = options.number()? == 0,
            Opt::Short(b'1') => self.tell_ready = true,
            Opt::Short(b'c') => self.clients_max = options.number()?.max(1),
            Opt::Short(b'n') => self.held_max = options.number()?.max(1),
            Opt::Short(b't') => self.timeout = options.number()?,
            Opt::Short(b'T') => self.lame_duck = options.number()?,
            Opt::Short(b'i') => self.rules = Some(RulesAt::Directory(options.text()?)),
            Opt::Short(b'x') => self.rules = Some(RulesAt::File(options.text()?)),
            _ => return Err(WrongUsage),
        }
        Ok(())
    }

    /// The rules; if there are none, that is said and the error is the exit code.
    pub fn rules(&self, cli: &Cli) -> core::result::Result<RulesAt, i32> {
        self.rules.ok_or_else(|| cli.refuse("no access rights specified!"))
    }
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut wanted = Wanted::default();
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            wanted.take(option, &mut options)?;
        }
        Ok(wanted.rules(cli).and_then(|rules| serve(cli, &wanted, rules)).unwrap_or_else(|code| code))
    })
}

/// Serves until it is told to end. Answers an exit code in any case.
pub fn serve(cli: &Cli, wanted: &Wanted, rules: RulesAt) -> core::result::Result<i32, i32> {
    if wanted.quiet {
        log::set_target(Target::Nowhere);
    }
    log::set_speaker(format_args!("{}", cli.speaker()));
    let limits = Limits::of(wanted, soft(Resource::Nofile)).ok_or_else(|| cli.fail("open file limit too low"))?;
    if wanted.held_max as usize > HELD && !wanted.quiet {
        cli.warn(format_args!("-n {}: there is room for {HELD} descriptors", wanted.held_max));
    }
    check_stdin(cli)?;
    if !wanted.tell_ready {
        leave_stdout();
    } else if !Fd::STDOUT.is_open() {
        return Err(cli.refuse("called with option -1 but stdout said: Bad file descriptor"));
    }
    fill_stdio();
    let unable = |what| move |e| cli.unable(what, e);
    let watched = SignalSet::of(&[sig::TERM, sig::HUP]);
    watched.union(SignalSet::of(&[sig::PIPE])).block();
    let signals = open_signalfd(watched).map_err(unable("trap signals"))?;
    let source = match rules {
        RulesAt::Directory(path) => Source::Rules(Place::Directory(path), check),
        RulesAt::File(path) => {
            let read = load(path).map(|()| Source::Rules(Place::Cdb(&[]), check_loaded));
            read.map_err(|e| cli.unable(format_args!("cdb_init {}", Printable(path.to_bytes())), e))?
        }
    };
    let settings = Settings {
        source,
        clients_max: limits.clients,
        held_max: limits.held,
        timeout: Nanos::from(wanted.timeout) * MILLI,
        upgrades: false,
    };
    let file = match rules {
        RulesAt::Directory(_) => None,
        RulesAt::File(path) => Some(path),
    };
    let mut store = Store::open(settings, signals, file).map_err(unable("set up the store"))?;
    if wanted.tell_ready {
        file::write_all(Fd::STDOUT, b"\n").map_err(unable("write to stdout"))?;
        leave_stdout();
    }
    let lame_duck = Nanos::from(wanted.lame_duck) * MILLI;
    Ok(store.run(lame_duck).unwrap_or_else(unable("wait for clients")))
}

/// Lets go of standard output; the number is taken at once, so that no client is ever 1.
fn leave_stdout() {
    match file::open(Fd::CWD, c"/dev/null", OFlags::WRONLY, 0) {
        Ok(null) if null == Fd::STDOUT => {}
        Ok(mut null) => {
            let _ = null.place(1);
            null.close();
        }
        Err(_) => {
            Fd(1).close();
            fill_stdio();
        }
    }
}

/// Standard input must be a listening socket. Its connections are taken without waiting.
fn check_stdin(cli: &Cli) -> core::result::Result<(), i32> {
    match file::about(Fd::STDIN) {
        Ok(about) if about.is_socket => {}
        Ok(_) => return Err(cli.refuse("stdin is not a socket")),
        Err(e) => return Err(cli.unable("fstat stdin", e)),
    }
    // What s6 says of one that does not listen.
    let listens = socket::listens(Fd::STDIN).and_then(|listens| if listens { Ok(()) } else { Err(Errno::INVAL) });
    listens.map_err(|e| cli.unable("accept", e))?;
    Fd::STDIN.set_nonblocking(true).map_err(|e| cli.unable("make stdin non-blocking", e))
}

/// How much there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limits {
    clients: usize,
    held: usize,
}

impl Limits {
    /// As far as the options, the limit of descriptors and our own limits allow. `None`: that leaves nothing.
    fn of(wanted: &Wanted, files: Option<u64>) -> Option<Limits> {
        let files = files.unwrap_or(u64::MAX);
        if files < FEWEST {
            return None;
        }
        let held = u64::from(wanted.held_max);
        let held = if held > files { files - (FEWEST - 1) } else { held };
        Some(Limits { clients: (wanted.clients_max as usize).min(CLIENTS), held: held.min(HELD as u64) as usize })
    }
}

/// The store: its records, in memory of their own, and what serves them.
struct Store {
    held: &'static mut [Held],
    held_top: u32,
    clients: &'static mut [Client],
    clients_top: u32,
    next_generation: u32,
    transfer: &'static mut Transfer,
    epoll: Epoll,
    signals: Fd,
    server: Server,
    /// The file of rules, to be read again at a SIGHUP.
    file: Option<&'static CStr>,
    ending: bool,
}

const SIGNALS: Token = Token { kind: 1, slot: 0, generation: 0 };

impl Store {
    fn open(settings: Settings, signals: Fd, file: Option<&'static CStr>) -> Result<Store> {
        // Pages that are not touched cost nothing, and those of slots that are free again are given back.
        let records = HELD * size_of::<Held>() + settings.clients_max * size_of::<Client>();
        let size = (records + size_of::<Transfer>()).next_multiple_of(4096);
        let memory = memory::map(memory::create(c"fdholderd", size)?, size)?;
        let (held, rest) = <[Held]>::mut_from_prefix_with_elems(memory, HELD).map_err(|_| Errno::NOMEM)?;
        let (clients, rest) =
            <[Client]>::mut_from_prefix_with_elems(rest, settings.clients_max).map_err(|_| Errno::NOMEM)?;
        let (transfer, _) = Transfer::mut_from_prefix(rest).map_err(|_| Errno::NOMEM)?;
        let (mut held_top, mut clients_top, mut next_generation) = (0, 0, 1);
        let epoll = Epoll::new()?;
        epoll.add(signals, SIGNALS, Flags::IN)?;
        let mut records = Records {
            held: Table::new(held, &mut held_top),
            clients,
            top: &mut clients_top,
            next_generation: &mut next_generation,
            allows: &[],
            rules: None,
            pending: &[],
            transfer,
        };
        let server = Server::new(Fd::STDIN, settings, &mut records, &epoll, &Now::read())?;
        Ok(Store {
            held,
            held_top,
            clients,
            clients_top,
            next_generation,
            transfer,
            epoll,
            signals,
            server,
            file,
            ending: false,
        })
    }

    /// Calls `body` with what [`Server`]'s functions want.
    fn with<T>(&mut self, body: impl FnOnce(&mut Server, &mut Records<'_>, &Epoll, &Now) -> T) -> T {
        let mut records = Records {
            held: Table::new(self.held, &mut self.held_top),
            clients: self.clients,
            top: &mut self.clients_top,
            next_generation: &mut self.next_generation,
            allows: &[],
            rules: None,
            pending: &[],
            transfer: self.transfer,
        };
        body(&mut self.server, &mut records, &self.epoll, &Now::read())
    }

    /// Serves until it has been told to end and nobody is owed an answer any more, or `lame_duck` after it was told to (0:
    /// as long as that takes). Answers the exit code.
    fn run(&mut self, lame_duck: Nanos) -> Result<i32> {
        let mut last: Option<Nanos> = None;
        let mut events = Events::new();
        loop {
            self.with(|server, records, epoll, now| server.expire(records, epoll, now));
            let done = self.with(|server, records, _, _| server.is_done(records));
            if self.ending && (done || last.is_some_and(|last| last <= time::boot())) {
                let (held, clients) = self.with(|_, records, _, _| records.counts());
                return Ok(i32::from(held > 0) | i32::from(clients > 0) << 1);
            }
            let due = self.with(|server, records, _, now| server.next_deadline(records, now));
            let due = [due, last].into_iter().flatten().min();
            let ready = self.epoll.wait(&mut events, due.map(|due| due.saturating_sub(time::boot())))?;
            let ready = events.get(..ready).unwrap_or_default();
            if ready.iter().any(|(token, _)| token.kind == SIGNALS.kind) && self.take_signals()? && !self.ending {
                self.ending = true;
                self.with(|server, records, epoll, _| server.end_soon(records, epoll));
                last = (lame_duck > 0).then(|| time::boot().saturating_add(lame_duck));
                continue;
            }
            for (token, _) in ready {
                self.with(|server, records, epoll, now| match token.kind {
                    server::LISTENER_KIND => server.accept(records, epoll, now),
                    server::CLIENT_KIND => {
                        server.client_ready(token.slot, token.generation, records, epoll, now);
                    }
                    _ => {}
                });
            }
        }
    }

    /// Does what signals ask for; says whether one of them is SIGTERM.
    fn take_signals(&mut self) -> Result<bool> {
        let mut end = false;
        while let Some(received) = read_signalfd(self.signals)? {
            match (received.signal, self.file) {
                (sig::TERM, _) => end = true,
                (sig::HUP, Some(path)) => {
                    if let Err(e) = load(path) {
                        let path = Printable(path.to_bytes());
                        warning!("unable to cdb_init {path}: {}: the old rules stay in force", Reason(e));
                    }
                }
                _ => {}
            }
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_was_asked_for_as_far_as_it_goes() {
        let room = |clients_max, held_max, files| {
            let wanted = Wanted { clients_max, held_max, ..Wanted::default() };
            Limits::of(&wanted, files).map(|limits| (limits.clients, limits.held))
        };
        assert_eq!(room(16, 1000, Some(1024)), Some((16, 1000)));
        assert_eq!(room(1000, 5000, None), Some((CLIENTS, HELD)));
        assert_eq!(room(1, 65, Some(64)), Some((1, 58)));
        assert_eq!(room(1, 64, Some(64)), Some((1, 64)));
        assert_eq!(room(1, 1, Some(6)), None);
    }
}
