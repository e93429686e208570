//! Chains in one step: where the next program of a command line is linchpin itself, it is not executed but entered, and the
//! process goes on with the same words, environment, descriptors and name as if it had been.
//!
//! That is done from one chain loader ([`Applet::chains`]) to another, and only if nothing can tell the difference that
//! lasts longer than the chain: the file that would be executed is the one that runs (links lead to it, but it has one
//! name), and may be executed by us; it gives no privileges; we have not become somebody else meanwhile, nor limited the
//! memory that an image may take; no descriptor waits to be closed on exec; the words and the environment are so small
//! that the kernel takes them in any case. Whatever stays, a server or prog itself, is always executed, and so is what is about to wait ([`Cli::settle`]).
//! `LINCHPIN_EXEC=always` in the environment of the next command has everything executed.
//!
//! What can be seen all the same, while the chain runs, by who looks at the process from outside: `/proc/PID/cmdline`,
//! `environ` and `auxv` are those of the first command; what traces, counts or records executions (ptrace(2), strace(1),
//! the audit log, fanotify(7), process connectors, a security module) misses some; the layout of the memory stays the
//! same; a limit of processor time has a little more left.

use super::cli::{self, Cli};
use super::{Applet, find};
use crate::sys::args::{self, Args, Env};
use crate::sys::environment::Environment;
use crate::sys::{Errno, fd, image};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a command returns that is to be followed by the one that [`take`] answers: no exit code.
pub const GO_ON: i32 = i32::MIN;

/// The variable that can turn it off, and the value that does.
const VARIABLE: &[u8] = b"LINCHPIN_EXEC";
const ALWAYS: &CStr = c"always";

/// Whether a command has run in this process of which only one can ([`Applet::once`]).
static ONCE: AtomicBool = AtomicBool::new(false);

/// The command that `words` ask for: by the name of the program, or as its first argument. Its name there, and the words
/// from it on.
pub fn named(words: Args) -> Option<(&'static Applet, &'static [u8], Args)> {
    let by = |words: Args| {
        let name = words.get(0)?.to_bytes();
        find(name).map(|applet| (applet, name, words))
    };
    by(words).or_else(|| by(words.skip(1)))
}

/// Prepares to go on as the program that `words` name, with this environment, inside of this process; false: it must be
/// executed. If it is true, the command returns [`GO_ON`].
pub fn prepare(cli: &Cli, words: Args, env: Env) -> bool {
    let here = cli.applet();
    let next = named(words).map(|(next, ..)| next).filter(|next| next.chains && here.chains);
    let Some(next) = next else { return false };
    let used_up = ONCE.load(Relaxed) || here.once;
    if next.once && used_up || env.get(VARIABLE) == Some(ALWAYS) || !args::always_fit(words, env) {
        return false;
    }
    if !Environment::is_left() || fd::any_closes_on_exec() || !image::is_unchanged() {
        return false;
    }
    let name = words.get(0).unwrap_or_default();
    let mut is_own = false;
    cli::in_path(name, cli.env(), &mut |path| match image::is_own(path) {
        Ok(own) => {
            if own {
                image::name_process(path);
            }
            is_own = own;
            Errno::EXIST // something is there: the end of the search
        }
        Err(e) => e,
    });
    if is_own {
        ONCE.store(used_up || next.once, Relaxed);
        args::leave_next(words.with_env(env), cli.env());
    }
    is_own
}

/// The words of the command to go on as, with its environment; and the environment in which it was looked up.
pub fn take() -> Option<(Args, Env)> {
    args::take_next()
}
