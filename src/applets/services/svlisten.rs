//! `svlisten` and `svlisten1`: run a program while listening to services, then wait until these are in a state;
//! s6-svlisten(8), s6-svlisten1(8). Unlike `svwait`, what the program sets off is never missed.

use super::waiting::{self, Request};
use crate::applets::cli::{Cli, WrongUsage};
use crate::service::wait::{Quorum, Wait};
use crate::sys::args::Args;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name `svlisten` on a command line.
pub const USAGE: &str = "[-u | -U | -d | -D | -r | -R] [-a | -o] [-t timeout] servicedir... \"\" prog...";

/// What follows the name `svlisten1` on a command line.
pub const USAGE1: &str = "[-u | -U | -d | -D | -r | -R] [-t timeout] servicedir prog...";

/// `svlisten [-uUdDrR] [-a | -o] [-t ms] servicedir... "" prog...`. The directories are an execline block: an empty word
/// ends them, and one space in front of each is taken off. The program is not waited for.
///
/// Exit code: the number of services that failed for good or lost their supervisor (at most 98), 99 timed out, 111 (also
/// if the program cannot be run). Without directories it becomes the program.
pub fn svlisten(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let mut request = Request::read(&mut options, true)?;
        let words = options.operands(2)?;
        let end = words.iter().position(<[u8]>::is_empty).ok_or(WrongUsage)?;
        let program = words.skip(end + 1);
        // s6 wants the program to have an argument where there are no directories.
        if program.len() < if end == 0 { 2 } else { 1 } {
            return Err(WrongUsage);
        }
        if end == 0 {
            return Ok(cli.exec(program));
        }
        if request.goal.wants_restart() && request.quorum == Quorum::Any {
            cli.warn("-o goes with no restart: using -a");
            request.quorum = Quorum::All;
        }
        Ok(run(cli, &request, words.words().take(end).map(unquoted), program))
    })
}

/// `svlisten1 [-uUdDrR] [-t ms] servicedir prog...`: as [`svlisten`], for one service. Exit code 1 if it fails.
pub fn svlisten1(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let request = Request::read(&mut options, false)?;
        let words = options.operands(2)?;
        Ok(run(cli, &request, words.words().take(1), words.skip(1)))
    })
}

/// A word of a block, without the space that execline puts in front.
fn unquoted(word: &'static CStr) -> &'static CStr {
    let stripped = word.to_bytes_with_nul().strip_prefix(b" ");
    stripped.and_then(|bytes| CStr::from_bytes_with_nul(bytes).ok()).unwrap_or(word)
}

fn run(cli: &Cli, request: &Request, dirs: impl Iterator<Item = &'static CStr>, program: Args) -> i32 {
    let deadline = waiting::deadline(request.timeout);
    let wait = Wait::new(request.goal, request.quorum, true);
    let mut watch = match waiting::listen(cli, wait, dirs) {
        Ok(watch) => watch,
        Err(code) => return code,
    };
    match cli.spawn(program) {
        Ok(_) => waiting::outcome(cli, &mut watch, deadline),
        Err(e) => {
            let name = program.get(0).unwrap_or_default();
            cli.unable(format_args!("spawn {}", Printable(name.to_bytes())), e)
        }
    }
}
