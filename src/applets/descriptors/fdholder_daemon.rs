//! `s6-fdholder-daemon [-v verbosity] [-d | -D] [-1] [-c maxconn] [-n maxfds] [-b backlog] [-G gidlist] [-g gid] [-u uid]
//! [-U] [-t timeout] [-T lameducktimeout] [-i rulesdir | -x rulesfile] path`: makes the socket, becomes another user, and
//! is an fd-holder.
//!
//! s6's executes its binder, s6-applyuidgid and s6-fdholderd in turn; here they are steps of one process, so it does not
//! depend on what PATH has under these names. `-b 0`, with which s6's ends because its socket does not listen, is refused.

use super::fdholderd::{Wanted, serve};
use super::socketbinder::{bind_to_stdin, failed};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::applets::identity::{Identity, VARIABLES, from_environment, parse_groups, take_on};
use crate::socket::address::Address;
use crate::socket::bind::Options as Binding;
use crate::text::quote::Printable;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -d | -D ] [ -1 ] [ -c maxconn ] [ -n maxfds ] [ -b backlog ] [ -G gidlist ] \
                         [ -g gid ] [ -u uid ] [ -U ] [ -t timeout ] [ -T lameducktimeout ] \
                         [ -i rulesdir | -x rulesfile ] path";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut wanted, mut how, mut identity) = (Wanted::default(), Binding::S6, Identity::default());
        let mut unexport = false;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'd') => how.reuse = true,
                Opt::Short(b'D') => how.reuse = false,
                Opt::Short(b'b') => how.backlog = options.number()?,
                Opt::Short(b'u') => identity.uid = options.number()?,
                Opt::Short(b'g') => identity.gid = options.number()?,
                Opt::Short(b'G') => identity.groups = Some(parse_groups(options.value()?).ok_or(WrongUsage)?),
                Opt::Short(b'U') => {
                    unexport = true;
                    match from_environment(cli) {
                        Ok(from) => identity = from,
                        Err(code) => return Ok(code),
                    }
                }
                other => wanted.take(other, &mut options)?,
            }
        }
        let words = options.operands(1)?;
        let path = words.get(0).ok_or(WrongUsage)?.to_bytes();
        let rules = match wanted.rules(cli) {
            Ok(rules) => rules,
            Err(code) => return Ok(code),
        };
        if how.backlog == 0 {
            return Ok(cli.refuse("-b 0: nobody could connect"));
        }
        if let Err(failure) = bind_to_stdin(&Address::Path(path), &how) {
            return Ok(failed(cli, failure, format_args!("{}", Printable(path))));
        }
        if unexport {
            VARIABLES.iter().for_each(|name| cli.env().remove(name));
        }
        let served = take_on(cli, identity).and_then(|()| serve(cli, &wanted, rules));
        Ok(served.unwrap_or_else(|code| code))
    })
}
