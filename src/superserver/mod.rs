//! Super-servers: accept connections at standard input and run a program for each.
//!
//! One loop for all. A turn waits for a signal or a client, in one call, acts on signals, and starts a child for the client.
//! The connection is the lowest free descriptor, which is 0 as the child wants it: the listening socket is moved away at
//! the start.

mod child;
mod listening;
mod report;
pub mod table;

use crate::applets::cli::{Cli, Opt, Options, WrongUsage};
use crate::limits::CONNECTIONS;
use crate::sys::accept::{self, Remote, is_of_one, is_shortage, wait};
use crate::sys::args::Args;
use crate::sys::cell::TakeCell;
use crate::sys::signal::{self, SignalSet, number as sig};
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, file, process, random, socket};
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use child::{Failure, Program, Variables};
use report::{Report, Who};
use table::Table;

static TABLE: TakeCell<Table> = TakeCell::new(Table::new());

/// Which sockets it serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Unix sockets: stream or seqpacket.
    Ipc,
    /// IP sockets that are connected to: TCP.
    Tcp,
}

/// What the options say.
#[derive(Clone, Copy)]
pub struct Settings {
    kind: Kind,
    verbosity: u32,
    tell_ready: bool,
    /// Ask the kernel who a client is.
    lookup: bool,
    most: u32,
    most_each: u32,
}

impl Settings {
    /// Those that s6's programs have without options.
    pub fn new(kind: Kind) -> Settings {
        Settings { kind, verbosity: 1, tell_ready: false, lookup: true, most: 40, most_each: 40 }
    }

    /// Takes an option: `-v n`, `-1`, `-c n`, `-C n`, and for unix sockets `-P`, `-p`.
    pub fn take<I>(&mut self, option: Opt, options: &mut Options<I>) -> Result<(), WrongUsage>
    where
        I: ExactSizeIterator<Item = &'static [u8]>,
    {
        match (option, self.kind) {
            (Opt::Short(b'v'), _) => self.verbosity = options.number()?,
            (Opt::Short(b'1'), _) => self.tell_ready = true,
            (Opt::Short(b'c'), _) => self.most = options.number()?,
            (Opt::Short(b'C'), _) => self.most_each = options.number()?,
            (Opt::Short(b'P'), Kind::Ipc) => self.lookup = false,
            (Opt::Short(b'p'), Kind::Ipc) => self.lookup = true,
            _ => return Err(WrongUsage),
        }
        Ok(())
    }

    /// Brings the limits into what is possible.
    fn settle(&mut self) {
        self.most = self.most.clamp(1, CONNECTIONS as u32);
        self.most_each = if self.lookup { self.most_each.min(self.most) } else { self.most };
    }
}

/// The command `cli`, whose options are those of `kind`.
pub fn run(cli: &Cli, kind: Kind) -> i32 {
    cli.with_usage(|| {
        let mut settings = Settings::new(kind);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            settings.take(option, &mut options)?;
        }
        let words = options.operands(1)?;
        if words.get(0).is_none_or(|name| name.is_empty()) {
            return Err(WrongUsage);
        }
        settings.settle();
        Ok(serve(cli, settings, words).unwrap_or_else(|code| code))
    })
}

/// Serves until it is told to end. Answers an exit code in any case.
fn serve(cli: &Cli, settings: Settings, words: Args) -> Result<i32, i32> {
    let Settings { kind, verbosity, tell_ready, lookup, most, most_each } = settings;
    let mut stdout = Fd::STDOUT;
    if tell_ready && !stdout.is_open() {
        return Err(cli.refuse("called with option -1 but stdout said: Bad file descriptor"));
    }
    let local = listening::check(cli, kind)?;
    let unable = |what| move |e| cli.unable(what, e);
    let prepared = match local {
        None => child::ipc_environment(cli.env(), lookup),
        Some(local) => child::tcp_environment(cli.env(), local),
    };
    let (env, variables) = prepared.map_err(unable("prepare the environment"))?;
    let handled = SignalSet::of(&[sig::CHLD, sig::TERM, sig::HUP, sig::QUIT, sig::ABRT]);
    // Somebody who ignores them has no zombies, and his children have no pipes that break.
    signal::reset_action(sig::CHLD);
    signal::reset_action(sig::PIPE);
    handled.union(SignalSet::of(&[sig::PIPE])).block();
    let orders = handled.less(SignalSet::of(&[sig::CHLD]));
    let (listener, [signals, orders]) = listening::arrange([handled, orders]).map_err(unable("set up descriptors"))?;
    let table = TABLE.take().ok_or_else(|| cli.fail("called twice"))?;
    let mut seed = [0; 8];
    random::fill(&mut seed);
    table.prepare(most as usize, u64::from_ne_bytes(seed));
    let report = Report { cli, verbosity, kind, lookup, most, most_each };
    report.starting(local);
    if tell_ready {
        let mut line = heapless::Vec::<u8, 16>::new();
        if let Some(local) = local {
            let _ = line.extend_from_slice(Decimal::new(local.port().into()).as_bytes());
        }
        let _ = line.push(b'\n');
        // If nobody reads it, nobody waits for it.
        let _ = file::write_all(stdout, &line);
    }
    stdout.close();
    let program = Program::new(cli, words, env);
    let pause = Pause::default();
    let mut server =
        Server { report, listener, signals, orders, rush: false, table, program, variables, waiting: None, pause };
    let code = server.run();
    if code == 0 {
        server.report.exiting();
    }
    Ok(code)
}

/// Times without clients, because something has run out.
#[derive(Default)]
struct Pause {
    until: Option<Nanos>,
    length: Nanos,
    said: Option<(Errno, Nanos)>,
    /// Connections in a row that failed before they were accepted.
    failures: u32,
}

/// The longest pause, and the first of several in a row.
const PAUSE: Nanos = SECOND;
const FIRST_PAUSE: Nanos = 50 * MILLI;
/// The least time between two lines about the same trouble.
const QUIET: Nanos = 60 * SECOND;

/// If the next client comes within this time, it is a rush. Children that have ended may stay as zombies for so long.
const RUSH: Nanos = 20 * MILLI;

/// Connections in a row that may fail before somebody thinks that the next will fail too.
const FAILURES: u32 = 32;

/// A server in service.
struct Server<'a> {
    report: Report<'a>,
    listener: Fd,
    /// All signals…
    signals: Fd,
    /// …and all but the deaths of children.
    orders: Fd,
    /// Clients come one after the other.
    rush: bool,
    table: &'static mut Table,
    program: Program,
    variables: Variables,
    /// Somebody has been let in for whom no child could be started yet.
    waiting: Option<(Fd, Who, Remote)>,
    pause: Pause,
}

/// Clients that are let in one after the other before somebody looks for signals.
const BURST: u32 = 8;

impl Pause {
    /// How much of it is left; `None`: there is none.
    fn left(&mut self) -> Option<Nanos> {
        let left = self.until.map(|until| until.saturating_sub(time::boot())).filter(|left| *left > 0);
        if left.is_none() {
            self.until = None;
        }
        left
    }

    /// All is well: the next one begins short.
    fn end(&mut self) {
        (self.until, self.length, self.failures) = (None, 0, 0);
    }
}

impl Server<'_> {
    /// Serves; answers the exit code.
    fn run(&mut self) -> i32 {
        let mut busy = false;
        loop {
            let pause = self.pause.left();
            let closed = self.is_full() || pause.is_some() || self.waiting.is_some();
            // In a rush children are reaped when the next client comes. To be woken by the death of each costs more than all
            // the rest that is done for it.
            let rush = self.rush && !closed && self.report.verbosity < 2;
            let limit = match () {
                () if rush => Some(RUSH),
                () if self.waiting.is_some() => Some(pause.unwrap_or(0)),
                () => pause,
            };
            let signals = if rush { self.orders } else { self.signals };
            let seen = match wait(signals, if closed { Fd::NONE } else { self.listener }, limit) {
                Ok(seen) => seen,
                Err(e) => return self.report.cli.unable("poll", e),
            };
            if seen.signal {
                if let Some(code) = self.take_signal(signals) {
                    return code;
                }
            }
            self.rush = seen.client || (rush && seen.signal);
            if self.pause.left().is_some() {
                continue;
            }
            if let Some((connection, who, remote)) = self.waiting.take() {
                self.serve(connection, who, &remote);
                continue;
            }
            if !seen.client && !seen.failed {
                continue;
            }
            if rush {
                self.reap_own();
            }
            let most = if busy { BURST } else { 1 };
            let mut served = 0;
            while served < most {
                match self.let_in() {
                    Ok(true) => served += 1,
                    Ok(false) => break,
                    Err(e) => return self.report.cli.fail(format_args!("trouble with socket: {}", Reason(e))),
                }
            }
            // One that was shut down says that it can be read, for ever, and has nobody.
            if seen.failed && served == 0 && self.pause.until.is_none() {
                return self.report.cli.fail("trouble with socket");
            }
            // Whether it is worth while to look for another one without having been told of one.
            busy = served == most && rush && self.table.count() > 1;
        }
    }

    fn is_full(&self) -> bool {
        self.table.count() >= self.report.most as usize
    }

    /// Lets one client in. False: nobody else for now. The error is that of a socket that is of no use any more.
    fn let_in(&mut self) -> Result<bool, Errno> {
        if self.is_full() {
            return Ok(false);
        }
        let (mut connection, remote) = match accept::accept(self.listener) {
            Ok(accepted) => accepted,
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) if is_of_one(e) && self.pause.failures < FAILURES => {
                self.pause.failures += 1;
                return Ok(true);
            }
            Err(e) if is_of_one(e) || is_shortage(e) => {
                self.trouble("accept", e);
                return Ok(false);
            }
            Err(e) => return Err(e),
        };
        let who = match (self.report.kind, self.report.lookup) {
            (Kind::Tcp, _) => remote.ip().map(Who::Address).ok_or(Errno::AFNOSUPPORT),
            (Kind::Ipc, true) => socket::peer(connection).map(|peer| Who::User(peer.uid, peer.gid)),
            (Kind::Ipc, false) => Ok(Who::Anybody),
        };
        match who {
            Ok(who) => Ok(self.serve(connection, who, &remote)),
            Err(e) => {
                self.report.warn(format_args!("unable to find out who a client is: {}", Reason(e)));
                connection.close();
                Ok(true)
            }
        }
    }

    /// Starts a child for a client that has been let in, unless that has enough. Answers whether others can be served now.
    fn serve(&mut self, mut connection: Fd, who: Who, remote: &Remote) -> bool {
        let client = who.client();
        if self.table.of(client) >= self.report.most_each {
            // Some of them may have ended meanwhile.
            self.reap_own();
        }
        let count = self.table.of(client);
        if count >= self.report.most_each {
            self.report.refused(who, count);
            connection.close();
            return true;
        }
        self.describe(who, remote, count + 1);
        match self.program.start(connection) {
            Ok(pid) => {
                self.table.add(pid, client);
                connection.close();
                self.pause.end();
                self.report.accepted(who, pid, count + 1);
                self.report.status(self.table.count());
                true
            }
            Err(Failure::Exec(e)) => {
                let name = self.program.name().to_bytes();
                self.report.warn(format_args!("unable to spawn {}: {}", Printable(name), Reason(e)));
                connection.close();
                true
            }
            Err(Failure::Fork(e)) => {
                self.trouble("fork", e);
                self.waiting = Some((connection, who, *remote));
                false
            }
        }
    }

    /// Tells the next child about its client.
    fn describe(&mut self, who: Who, remote: &Remote, number: u32) {
        let Server { program, variables, .. } = self;
        match (*variables, who) {
            (Variables::Ipc { user, path, count }, who) => {
                if let (Some([uid, gid]), Who::User(user, group)) = (user, who) {
                    program.put_number(uid, user);
                    program.put_number(gid, group);
                    program.put_number(count, number);
                }
                program.put(path, remote.path());
            }
            (Variables::Tcp { ip, port, count }, Who::Address(address)) => {
                program.put(ip, report::text(address).as_bytes());
                program.put_number(port, address.port().into());
                program.put_number(count, number);
            }
            (Variables::Tcp { .. }, _) => {}
        }
    }

    /// Something has run out: nobody is let in for a while, or until a child has ended. It is said once in a while.
    fn trouble(&mut self, what: &str, e: Errno) {
        let now = time::boot();
        let pause = &mut self.pause;
        pause.length = (pause.length * 2).clamp(FIRST_PAUSE, PAUSE);
        pause.until = Some(now + pause.length);
        let silent = pause.said.is_some_and(|(said, at)| said == e && now < at + QUIET);
        if !silent {
            pause.said = Some((e, now));
            self.report.warn(format_args!("unable to {what}: {}", Reason(e)));
        }
    }

    /// Acts on one of the signals that have come: the most urgent. The answer is the exit code, if it is over.
    fn take_signal(&mut self, signals: Fd) -> Option<i32> {
        let name = |signal| signal::name(signal);
        match signal::read_signalfd(signals) {
            Ok(None) => return None,
            Ok(Some(received)) => match received.signal {
                sig::CHLD => {
                    self.reap();
                    return None;
                }
                sig::HUP => {
                    self.report.sending(name(sig::HUP), "");
                    self.tell_all(&[sig::TERM, sig::CONT]);
                    return None;
                }
                sig::QUIT => {
                    self.report.sending(name(sig::QUIT), " and quitting");
                    self.tell_all(&[sig::TERM, sig::CONT]);
                }
                sig::ABRT => {
                    self.report.killing(name(sig::ABRT));
                    self.tell_all(&[sig::KILL]);
                }
                other => self.report.quitting(name(other)),
            },
            Err(e) => return Some(self.report.cli.unable("read signals", e)),
        }
        Some(0)
    }

    /// Reaps all children that have ended, strangers too.
    fn reap(&mut self) {
        while self.reap_one() {}
    }

    /// Reaps all that have ended of those who serve, and strangers among them.
    fn reap_own(&mut self) {
        while self.table.count() > 0 && self.reap_one() {}
    }

    /// Reaps a child that has ended, and answers whether there was one.
    fn reap_one(&mut self) -> bool {
        let Ok(Some(death)) = process::reap_any() else { return false };
        if let Some(ended) = self.table.remove(death.pid) {
            self.pause.until = None;
            self.report.ended(death, ended);
            self.report.status(self.table.count());
        }
        true
    }

    fn tell_all(&self, signals: &[i32]) {
        for pid in self.table.pids() {
            for signal in signals {
                let _ = process::kill(pid, *signal);
            }
        }
    }
}
