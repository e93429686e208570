//! `failed`: which services should be up and are not. What [`status`](super::status) shows is judged here: nothing that is
//! as somebody wants it, and nothing that is only on its way, is in the list.

use super::columns::{Left, Span};
use super::status::row::Sight;
use super::status::{NAMES, Out, PATH, gather, is_logged, open, scan_directory};
use crate::applets::cli::{Cli, Opt, SYSTEM, WrongUsage};
use crate::applets::help;
use crate::service::status::End;
use crate::service::waiting::{self, Cause, Reason};
use crate::service::{tally, waiting::NAME};
use crate::sys::signal::{self, number as sig};
use crate::sys::time::{self, Nanos};
use crate::sys::{Errno, Fd};
use crate::text::CPath;
use crate::text::errno;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::fmt::{self, Write};

/// Usage line.
pub const USAGE: &str = "[scandir]";

/// What `--help` says besides.
const MORE: &str = "
One line for each, and exit code 1; nothing, and 0, when all is well. 111: some cannot be read.
In the list is a service, or its logger, that is wanted up and
  - is down: its run has ended, and it is started again after a delay; or its finish runs, and it had not ended well
  - is up, but has died three times within the last ten seconds
  - is up for more than a minute, and has not said that it is ready although it is one that says so
  - waits for a socket that is not held, or for a service that is not there, is in the list itself, or is down on purpose
  - has no supervisor, and no file `down`
and one that was given up, because its finish exited with 125. Not in the list is what is down on purpose (a file `down`,
svc -d, -o or -O), what was just started, what is paused, and what waits for a service that is just being started.
";

/// Some are in the list.
const FAILED: i32 = 1;
/// So many deaths…
const DEATHS: usize = 3;
/// …within so many seconds are too many for one that is up.
const WITHIN: u64 = 10;
/// Seconds until one that says when it is ready should have done so.
const SOON: u64 = 60;
/// A chain of services that wait for each other is followed so far.
const DEPTH: usize = 8;

/// `failed [scandir]`. Without a word, the machine's scan directory is looked at. Exit code: see [`MORE`]; 100.
pub fn failed(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        match options.option()? {
            None => {}
            Some(Opt::Long(b"help") | Opt::Short(b'h')) => return Ok(help::usage_and(cli.applet(), MORE)),
            Some(_) => return Err(WrongUsage),
        }
        let words = options.operands(0)?;
        if words.len() > 1 {
            return Err(WrongUsage);
        }
        let mut scandir = match scan_directory(cli, words.get(0)) {
            Ok(fd) => fd,
            Err(code) => return Ok(code),
        };
        let code = list(cli, scandir);
        scandir.close();
        Ok(code)
    })
}

fn list(cli: &Cli, scandir: Fd) -> i32 {
    let Some(names) = NAMES.take() else { return SYSTEM };
    let left_out = match gather(scandir, names) {
        Ok(left_out) => left_out,
        Err(e) => return cli.unable("read the scan directory", e),
    };
    let (mut out, mut code) = (Out::new(), 0);
    for name in names.iter() {
        let logger: &[&[u8]] = if is_logged(scandir, name) { &[b"", b"/log"] } else { &[b""] };
        for part in logger {
            let path = CPath::<{ PATH }>::of(&[name, part]);
            match look(scandir, &path, DEPTH) {
                Ok(None) => {}
                Ok(Some(failure)) => {
                    let _ = writeln!(out, "{}: {failure}", Printable(path.as_bytes()));
                    code = code.max(FAILED);
                }
                Err(e) => {
                    cli.warn(format_args!("unable to read {}: {}", Printable(path.as_bytes()), errno::Reason(e)));
                    code = SYSTEM;
                }
            }
        }
    }
    if let Err(e) = out.finish() {
        return cli.unable("write to standard output", e);
    }
    if left_out > 0 {
        cli.warn(format_args!("{left_out} services more are not looked at"));
        code = SYSTEM;
    }
    code
}

/// What is wrong with a service. Errors: why it cannot be told.
fn look(scandir: Fd, path: &CPath<{ PATH }>, depth: usize) -> Result<Option<Failure>, Errno> {
    let mut dir = match path.path().and_then(|path| open(scandir, path)) {
        Err(Errno::NOENT) => return Ok(None), // it has just gone
        other => other?,
    };
    let sight = Sight::look(dir);
    let mut seen = Seen::default();
    if matches!(sight, Sight::Supervised { .. }) {
        let _ = waiting::visit(dir, &mut |cause| seen.take(cause));
        let now = Stamp::now();
        let _ = tally::visit(dir, DEATHS as u32, &mut |death| {
            seen.deaths += usize::from(now.seconds_since(death.stamp) <= WITHIN);
        });
    }
    dir.close();
    if let Some((name, Reason::Down | Reason::NotReady)) = &seen.needs {
        seen.hopeless = depth == 0 || is_hopeless(scandir, name, depth - 1)?;
    }
    judge(sight, seen, Stamp::now(), time::boot())
}

/// Whether it makes no sense to wait for this service.
fn is_hopeless(scandir: Fd, name: &[u8], depth: usize) -> Result<bool, Errno> {
    let path = CPath::<{ PATH }>::of(&[name]);
    if look(scandir, &path, depth)?.is_some() {
        return Ok(true);
    }
    let mut dir = match path.path().and_then(|path| open(scandir, path)) {
        Err(Errno::NOENT) => return Ok(true),
        other => other?,
    };
    let sight = Sight::look(dir);
    dir.close();
    Ok(match sight {
        Sight::Supervised { status, .. } => !status.want_up && !status.is_up(),
        Sight::Unsupervised { .. } => true,
        Sight::Unreadable(_) => false,
    })
}

/// What is seen of a service besides its status.
#[derive(Default)]
struct Seen {
    /// It waits for an order.
    given_up: bool,
    /// When it is started again.
    restart: Option<Nanos>,
    /// The service that it waits for, and why.
    needs: Option<(heapless::Vec<u8, NAME>, Reason)>,
    /// The descriptor that it waits for.
    lacks: Option<heapless::Vec<u8, NAME>>,
    /// There is no sense in waiting for that service.
    hopeless: bool,
    /// Deaths of late, at most [`DEATHS`].
    deaths: usize,
}

impl Seen {
    fn take(&mut self, cause: &Cause<'_>) {
        match *cause {
            Cause::Order => self.given_up = true,
            Cause::Restart(at) => self.restart = Some(at),
            Cause::Dependency { name, reason } => {
                self.needs = heapless::Vec::from_slice(name).ok().map(|name| (name, reason));
            }
            Cause::Descriptor(id) => self.lacks = heapless::Vec::from_slice(id).ok(),
            Cause::Kill(_) | Cause::KillFinish(_) | Cause::Stop(_) | Cause::After(_) => {}
        }
    }
}

/// Why a service is in the list.
struct Failure {
    what: What,
    /// Seconds since it is as it is.
    age: u64,
    /// How it ended last, if it has.
    end: Option<End>,
    /// Deaths on record.
    deaths: u64,
}

enum What {
    Unsupervised,
    GivenUp,
    Finishing,
    /// It is started again in this time, if that is known.
    Down(Option<Nanos>),
    /// Up, but not for long.
    Dying,
    NotReady,
    Needs(heapless::Vec<u8, NAME>, Reason),
    Lacks(heapless::Vec<u8, NAME>),
}

/// Whether a service has failed. `now` twice: the wall clock, and boot time. Pure.
fn judge(sight: Sight, seen: Seen, now: Stamp, boot: Nanos) -> Result<Option<Failure>, Errno> {
    let (status, notifies, deaths) = match sight {
        Sight::Unreadable(e) => return Err(e),
        Sight::Unsupervised { normally_up } => {
            let failure = Failure { what: What::Unsupervised, age: 0, end: None, deaths: 0 };
            return Ok(normally_up.then_some(failure));
        }
        Sight::Supervised { status, notifies, deaths } => (status, notifies, deaths),
    };
    let new = sight.never_started();
    let age = now.seconds_since(status.stamp);
    let what = if !status.want_up {
        (seen.given_up && status.pid == 0).then_some(What::GivenUp)
    } else if status.is_up() {
        if seen.deaths >= DEATHS {
            Some(What::Dying)
        } else {
            (notifies && !status.ready && !status.paused && age > SOON).then_some(What::NotReady)
        }
    } else if status.finishing {
        (!is_well(status.end())).then_some(What::Finishing)
    } else if let Some((name, reason)) = seen.needs {
        let hopeless = seen.hopeless || matches!(reason, Reason::Missing | Reason::Cycle);
        hopeless.then_some(What::Needs(name, reason))
    } else if let Some(id) = seen.lacks {
        Some(What::Lacks(id))
    } else if new && seen.restart.is_none() {
        None // it is about to be started
    } else {
        Some(What::Down(seen.restart.map(|at| at.saturating_sub(boot))))
    };
    let end = (!new && (deaths > 0 || !status.is_up())).then(|| status.end());
    Ok(what.map(|what| Failure { what, age, end, deaths }))
}

/// Whether a service that ended so may have been told to.
fn is_well(end: End) -> bool {
    match end {
        End::Exited(code) => code == 0,
        End::Killed(number) => [sig::TERM, sig::HUP, sig::INT, sig::QUIT].contains(&number.into()),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = Span(self.age);
        match &self.what {
            What::Unsupervised => return f.write_str("not supervised"),
            What::GivenUp => write!(f, "given up {age} ago, its finish exited with 125")?,
            What::Finishing => write!(f, "down for {age}, its finish runs")?,
            What::Down(None) => write!(f, "down for {age}")?,
            What::Down(Some(left)) => write!(f, "down for {age}, to be started {}", Left(*left))?,
            What::Dying => write!(f, "up for {age}, but dies again and again")?,
            What::NotReady => return write!(f, "up for {age}, not ready"),
            What::Needs(name, reason) => {
                let reason = match reason {
                    Reason::Down => "down",
                    Reason::NotReady => "not ready",
                    Reason::Missing => "there is none",
                    Reason::Cycle => "it waits for this one (a cycle)",
                };
                return write!(f, "waits for {}: {reason}", Printable(name));
            }
            What::Lacks(id) => return write!(f, "waits for {}: it is not held", Printable(id)),
        }
        match self.end {
            None => f.write_str("; cannot be executed")?,
            Some(End::Exited(code)) => write!(f, "; last end: exit {code}")?,
            Some(End::Killed(number)) => match signal::name(number.into()) {
                "???" => write!(f, "; last end: signal {number}")?,
                name => write!(f, "; last end: SIG{name}")?,
            },
        }
        match self.deaths {
            0 => Ok(()),
            1 => f.write_str("; 1 death"),
            deaths => write!(f, "; {deaths} deaths"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::status::Status;
    use crate::sys::time::SECOND;

    const NOW: Stamp = Stamp { sec: 1_000_000, nano: 5 };

    fn up(age: u64) -> Status {
        let stamp = Stamp { sec: NOW.sec - age, nano: 0 };
        Status { stamp, ready_stamp: stamp, pid: 77, want_up: true, wstat: 3 << 8, ..Status::default() }
    }

    fn down(age: u64) -> Status {
        Status { pid: 0, ready: true, ..up(age) }
    }

    fn said(status: Status, notifies: bool, seen: Seen) -> String {
        let sight = Sight::Supervised { status, notifies, deaths: 4 };
        judge(sight, seen, NOW, 20 * SECOND).unwrap().map_or(String::new(), |failure| failure.to_string())
    }

    fn needs(reason: Reason, hopeless: bool) -> Seen {
        Seen { needs: Some((heapless::Vec::from_slice(b"db").unwrap(), reason)), hopeless, ..Seen::default() }
    }

    #[test]
    fn who_is_as_somebody_wants_it_has_not_failed() {
        for status in [
            up(1),
            up(1000),
            Status { want_up: false, ..up(1000) },
            Status { want_up: false, ..down(1000) },
            Status { paused: true, ..up(1000) },
        ] {
            assert_eq!(said(status, false, Seen::default()), "");
        }
        let sight = Sight::Unsupervised { normally_up: false };
        assert!(judge(sight, Seen::default(), NOW, 0).unwrap().is_none());
    }

    #[test]
    fn who_is_on_its_way_has_not_failed_yet() {
        let never = Status { paused: true, wstat: 0, ..down(5) };
        assert_eq!(said(never, false, Seen::default()), "");
        assert_eq!(said(up(60), true, Seen::default()), "");
        assert_eq!(said(Status { ready: true, ..up(600) }, true, Seen::default()), "");
        assert_eq!(said(Status { finishing: true, wstat: 15, ..up(2) }, false, Seen::default()), "");
        for reason in [Reason::Down, Reason::NotReady] {
            assert_eq!(said(never, false, needs(reason, false)), "");
        }
    }

    #[test]
    fn who_should_be_up_and_is_not_says_why() {
        let restart = |at| Seen { restart: Some(at), ..Seen::default() };
        assert_eq!(said(down(2), false, Seen::default()), "down for 2 s; last end: exit 3; 4 deaths");
        let line = "down for 2 s, to be started in 3 s; last end: exit 3; 4 deaths";
        assert_eq!(said(down(2), false, restart(23 * SECOND)), line);
        let never = Status { paused: true, wstat: 0, ..down(5) };
        assert_eq!(
            said(never, false, restart(21 * SECOND)),
            "down for 5 s, to be started in 1 s; cannot be executed; 4 deaths"
        );
        let finishing = Status { finishing: true, ..up(7) };
        assert_eq!(
            said(finishing, false, Seen::default()),
            "down for 7 s, its finish runs; last end: exit 3; 4 deaths"
        );
        let dying = Seen { deaths: 3, ..Seen::default() };
        assert_eq!(
            said(Status { wstat: 11, ..up(0) }, false, dying),
            "up for 0 s, but dies again and again; last end: SIGSEGV; 4 deaths"
        );
        assert_eq!(said(up(61), true, Seen::default()), "up for 61 s, not ready");
        let given_up = Seen { given_up: true, ..Seen::default() };
        assert_eq!(
            said(Status { want_up: false, ..down(9) }, false, given_up),
            "given up 9 s ago, its finish exited with 125; last end: exit 3; 4 deaths"
        );
        let sight = Sight::Unsupervised { normally_up: true };
        assert_eq!(judge(sight, Seen::default(), NOW, 0).unwrap().unwrap().to_string(), "not supervised");
        assert!(judge(Sight::Unreadable(Errno::ACCESS), Seen::default(), NOW, 0).is_err());
    }

    #[test]
    fn who_waits_in_vain_says_for_what() {
        let never = Status { paused: true, wstat: 0, ..down(5) };
        assert_eq!(said(never, false, needs(Reason::Down, true)), "waits for db: down");
        assert_eq!(said(never, false, needs(Reason::NotReady, true)), "waits for db: not ready");
        assert_eq!(said(never, false, needs(Reason::Missing, false)), "waits for db: there is none");
        assert_eq!(said(never, false, needs(Reason::Cycle, false)), "waits for db: it waits for this one (a cycle)");
        let lacks = Seen { lacks: Some(heapless::Vec::from_slice(b"unix:/a").unwrap()), ..Seen::default() };
        assert_eq!(said(never, false, lacks), "waits for unix:/a: it is not held");
    }
}
