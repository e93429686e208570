//! What the two access filters do alike: open rules, and run what the deciding rule wants to be run.

use crate::access::Subject;
use crate::access::ruleset::{Exec, Ruleset, Source, Why};
use crate::applets::cli::Cli;
use crate::sys::Errno;
use crate::sys::args::{Args, Argv};
use crate::sys::environment::Environment;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// Opens rules. A directory that is not there, or may not be entered, has none: that is said from verbosity 1 on, and
/// nobody is allowed. Anything else that is wrong is said; the error is the exit code.
pub fn open(cli: &Cli, source: Source, verbosity: u32) -> Result<Ruleset, i32> {
    let (kind, place) = source.words();
    Ruleset::open(source).or_else(|e| match (source, e) {
        (Source::Directory(_), Errno::NOENT | Errno::ACCESS) => {
            if verbosity > 0 {
                cli.warn(format_args!("nobody is allowed: unable to open the rules in {place}: {}", Why(e)));
            }
            Ok(Ruleset::EMPTY)
        }
        (Source::Database(_), e) if e != Errno::PROTO && e != Errno::FBIG => {
            Err(cli.unable(format_args!("cdb_init {place}"), e))
        }
        _ => Err(cli.fail(format_args!("unable to check {kind} ruleset in {place}: {}", Why(e)))),
    })
}

/// Goes on as the program that `words` name or, if the rule for `key` has an `exec`, as execlineb with these `options`
/// and that. Returns only if that fails: 127 if the program is not there, 126 for any other reason.
pub fn run<K: Subject>(
    cli: &Cli,
    words: Args,
    env: &'static mut Environment,
    exec: &Exec,
    options: &CStr,
    key: Option<K>,
) -> i32 {
    let content = exec.get().unwrap_or_default();
    if content.is_empty() {
        return cli.exec_env(words, env.env());
    }
    let argv = Argv::<4>::new(&[c"execlineb", options, content]);
    let why = cli.try_exec_env(&argv, c"execlineb", env.env());
    let key = key.map(|key| key.path());
    let key = Printable(key.as_ref().map_or(&[][..], |key| key.as_bytes()));
    cli.unable(format_args!("exec execlineb, which the exec file of {key} needs"), why);
    if why == Errno::NOENT { 127 } else { 126 }
}
