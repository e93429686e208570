//! `s6-sudod [-0] [-1] [-2] [-d] [-t timeout] [sargv...]`: runs `sargv...`, and the words that come from the sudoc at the
//! other end of its connection, standard input and output, with that one's standard descriptors. The connection has to
//! be a unix socket, so it is run by ipcserver.
//!
//! Of the client's environment only those variables are taken that are in our own, empty. `-0`, `-1`: the program has
//! /dev/null as its input, output; `-2`: our standard error. A client that hangs up has its program ended (SIGTERM); `-d`:
//! it goes on, with none of the client's descriptors. `-t`: in so many milliseconds (0: no limit) the request must be here
//! and the program started.
//!
//! Unlike Debian's it refuses to run nothing, is not content with a request that more than three descriptors come with, and
//! says in its own log why a program could not be started.

use super::line::{self, Words};
use super::sudoc::deadline;
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::LINE_WORDS;
use crate::sudo::server::{self, Asked, Ended, Failure, Source, Watch};
use crate::sudo::{FDS, room};
use crate::sys::args::{Args, Env};
use crate::sys::environment::Environment;
use crate::sys::signal::SignalSet;
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, poll, process};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::Display;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -0 ] [ -1 ] [ -2 ] [ -d ] [ -t timeout ] [ sargv... ]";

const FROM: Fd = Fd::STDIN;
const TO: Fd = Fd::STDOUT;

/// The client has hung up, and its program is not wanted any more.
const CLIENT_GONE: i32 = 1;

#[derive(Default)]
struct Wanted {
    /// Which of the standard descriptors are not the client's.
    replaced: [bool; FDS],
    /// The client may go.
    detached: bool,
    timeout: u32,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut wanted = Wanted::default();
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(digit @ b'0'..=b'2') => wanted.replaced[usize::from(digit - b'0')] = true,
                Opt::Short(b'd') => (wanted.detached, wanted.replaced) = (true, [true; FDS]),
                Opt::Short(b't') => wanted.timeout = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(0)?;
        Ok(serve(cli, &wanted, words).unwrap_or_else(|code| code))
    })
}

/// Errors are exit codes, and have been told.
fn serve(cli: &Cli, wanted: &Wanted, own: Args) -> Result<i32, i32> {
    let limit = deadline(wanted.timeout);
    let before = server::hold_signals();
    let room = room().ok_or_else(|| cli.fail("a request was received already"))?;
    server::greet(TO, limit).map_err(|failure| refuse(cli, failure, limit))?;
    let asked = server::receive(FROM, room, limit).map_err(|failure| refuse(cli, failure, limit))?;
    let (words, name) = command(cli, own, &asked, limit)?;
    let unable = |what: &dyn Display, why| {
        let code = cli.unable(what, why);
        let _ = server::answer(TO, Some(why), limit);
        code
    };
    let environment = Environment::of(cli.env()).and_then(|environment| {
        server::admit(environment, &asked.request)?;
        Ok(environment)
    });
    let environment = environment.map_err(|e| unable(&"make the environment of the program", e))?;
    let watch = Watch::new((!wanted.detached).then_some(FROM)).map_err(|e| unable(&"watch a program", e))?;
    if !wanted.detached && poll::is_hung_up(FROM) {
        return Err(CLIENT_GONE);
    }
    let pid = start(cli, wanted, asked, words, name, environment.env(), before)
        .map_err(|e| unable(&format_args!("start {}", Printable(name.to_bytes())), e))?;
    attend(cli, wanted, &watch, pid, limit)
}

/// Says what was wrong, to the client too if that is of use to it; returns the exit code for that.
fn refuse(cli: &Cli, failure: Failure, limit: Option<Nanos>) -> i32 {
    let code = match failure {
        Failure::Unable(what, why) => cli.unable(what, why),
        Failure::Gone => cli.fail(failure),
        _ => cli.refuse(failure),
    };
    if let Some(why) = failure.answer() {
        let _ = server::answer(TO, Some(why), limit);
    }
    code
}

/// Our own words and the client's; the first names the program.
fn command(cli: &Cli, own: Args, asked: &Asked, limit: Option<Nanos>) -> Result<(&'static Words, &'static CStr), i32> {
    let words = line::words().ok_or_else(|| cli.fail("a program was run already"))?;
    let mut all = own.words().chain(asked.request.args());
    let why = match all.clone().next() {
        None => Errno::INVAL,
        Some(name) if all.all(|word| words.push(word)) => return Ok((words, name)),
        Some(_) => Errno::TOOBIG,
    };
    let code = if why == Errno::INVAL {
        cli.refuse("client and server args both empty")
    } else {
        let (theirs, own) = (asked.request.argc(), own.len());
        cli.refuse(format_args!("client sent {theirs} arguments, behind {own} of ours: {LINE_WORDS} is the most"))
    };
    let _ = server::answer(TO, Some(why), limit);
    Err(code)
}

/// Starts the program, and closes what came from the client.
fn start(
    cli: &Cli,
    wanted: &Wanted,
    mut asked: Asked,
    words: &'static Words,
    name: &CStr,
    environment: Env,
    before: SignalSet,
) -> Result<i32, Errno> {
    let mut stdio = asked.stdio.map(Source::Client);
    let instead = [Source::Null, Source::Null, Source::Server];
    for ((source, instead), replaced) in stdio.iter_mut().zip(instead).zip(wanted.replaced) {
        if replaced {
            *source = instead;
        }
    }
    let pid = process::spawn_with(&mut || match server::place(stdio) {
        Ok(()) => {
            before.block();
            cli.try_exec_env(words, name, environment)
        }
        Err(e) => e,
    });
    asked.stdio.iter_mut().for_each(Fd::close);
    pid
}

/// Tells the client that the program runs, and then how it has ended.
fn attend(cli: &Cli, wanted: &Wanted, watch: &Watch, pid: i32, limit: Option<Nanos>) -> Result<i32, i32> {
    if let Err(e) = server::answer(TO, None, limit) {
        if !wanted.detached {
            server::end(pid);
            let gone = matches!(e, Errno::PIPE | Errno::CONNRESET);
            return Err(if gone { CLIENT_GONE } else { cli.unable("send confirmation to client", e) });
        }
    }
    match watch.until_end(pid).map_err(|e| cli.unable("wait for the program", e))? {
        Ended::Client => {
            server::end(pid);
            Err(CLIENT_GONE)
        }
        Ended::Program(wstat) => match server::tell(TO, wstat, deadline(wanted.timeout)) {
            // A client that may go may have gone.
            Err(e) if !wanted.detached => {
                Err(cli.fail(format_args!("unable to send exit status to client: {}", Reason(e))))
            }
            _ => Ok(0),
        },
    }
}
