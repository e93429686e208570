//! `s6-sudoc [-e] [-t timeoutconn] [-T timeoutrun] [args...]`: has the sudod at the other end of its connection,
//! descriptors 6 and 7, run `args` behind the words that that has itself; ends as that program ends.
//!
//! Times are in milliseconds, 0 is none: `-t` until the program has been started, `-T` from then until it has ended. The
//! environment is offered to the server; with `-e` it is not. The program's standard descriptors are ours.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::SUDO_REQUEST;
use crate::sudo::client::{self, Failure};
use crate::sudo::{request, room};
use crate::sys::args::{Args, Env};
use crate::sys::process::{self, Death};
use crate::sys::rlimit::{self, Limit, Resource, Which};
use crate::sys::signal::{self, SignalSet, number};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Fd, file};
use crate::text::errno::Reason;
use rustix::fs::OFlags;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -e ] [ -t timeoutconn ] [ -T timeoutrun ] [ args... ]";

const FROM: Fd = Fd(6);
const TO: Fd = Fd(7);

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut env, mut connect, mut run) = (cli.env(), 0, 0);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'e') => env = Env::EMPTY,
                Opt::Short(b't') => connect = options.number()?,
                Opt::Short(b'T') => run = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(0)?;
        Ok(have_run(cli, words, env, connect, run).map_or_else(|code| code, |wstat| end_like(cli, wstat)))
    })
}

/// The moment `millis` from now; 0 is never.
pub(super) fn deadline(millis: u32) -> Option<Nanos> {
    (millis != 0).then(|| time::boot().saturating_add(u64::from(millis) * MILLI))
}

/// The wait status of the program; errors are exit codes, and have been told.
fn have_run(cli: &Cli, words: Args, env: Env, connect: u32, run: u32) -> Result<u32, i32> {
    let limit = deadline(connect);
    let told = |failure| tell(cli, failure);
    open_standard(cli)?;
    let room = room().ok_or_else(|| cli.fail("the request was made already"))?;
    let message = request::encode(room, words.words(), env.iter()).map_err(|_| {
        cli.refuse(format_args!(
            "arguments and environment are longer than a request may be, {SUDO_REQUEST} bytes: give less, or use -e"
        ))
    })?;
    client::greeted(FROM, limit).map_err(told)?;
    client::ask(FROM, TO, message, limit).map_err(told)?;
    client::confirmed(FROM, limit).map_err(told)?;
    client::ended(FROM, deadline(run)).map_err(told)
}

/// All three are sent, so all three must be there.
fn open_standard(cli: &Cli) -> Result<(), i32> {
    for fd in [Fd::STDIN, Fd::STDOUT, Fd::STDERR] {
        if !fd.is_open() {
            // It gets the lowest number that is free, which is this one.
            let flags = if fd == Fd::STDIN { OFlags::RDONLY } else { OFlags::WRONLY };
            file::open(Fd::CWD, c"/dev/null", flags, 0).map_err(|e| cli.unable("open /dev/null", e))?;
        }
    }
    Ok(())
}

/// Says what went wrong; returns the exit code for that.
fn tell(cli: &Cli, failure: Failure) -> i32 {
    match failure {
        Failure::NotAdmitted => {
            cli.fail("unable to connect to the s6-sudod server - check that you have appropriate permissions")
        }
        Failure::Banner => cli.refuse("wrong banner - check that you are connecting to a s6-sudod server"),
        Failure::Gone(what) => cli.fail(format_args!("unable to {what}: the server has hung up")),
        Failure::Unable(what, why) => cli.unable(what, why),
        Failure::Answered(why) => {
            cli.fail(format_args!("unable to start privileged program: server answered: {}", Reason(why)))
        }
    }
}

/// Ends as the program has: with its exit code, or by its signal (128 and its number, if that does not end us).
fn end_like(cli: &Cli, wstat: u32) -> i32 {
    let (code, signal) = (wstat >> 8, (wstat & 0x7f) as i32);
    match (code, signal, wstat & 0x80) {
        (0..=0xff, 0, 0) => {}
        (0, 1..=64, _) => end_by(signal),
        _ => return cli.fail(format_args!("server told an exit status that there is not: {wstat:#x}")),
    }
    Death { pid: 0, wstat }.exit_code()
}

fn end_by(signal: i32) {
    // Those that do not end a process: one of these would stop us for ever.
    const HARMLESS: [i32; 8] = [number::CHLD, number::CONT, number::STOP, 20, 21, 22, 23, number::WINCH];
    if HARMLESS.contains(&signal) {
        return;
    }
    // What dumped core was the program.
    let _ = rlimit::set(Resource::Core, Which::Soft, Limit::Value(0));
    signal::reset_action(signal);
    SignalSet::ALL.without(signal).block();
    let _ = process::kill(process::pid(), signal);
}
