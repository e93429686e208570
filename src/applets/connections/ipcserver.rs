//! `s6-ipcserver [-q|-Q|-v] [-d|-D] [-P|-p] [-1] [-c maxconn] [-C localmaxconn] [-b backlog] [-a perms] [-G gidlist]
//! [-g gid] [-u uid] [-U] path prog...`: becomes s6-ipcserver-socketbinder, s6-applyuidgid if any of `-G -g -u -U` asks for
//! it, and s6-ipcserverd, which runs prog for each connection.
//!
//! `-q`, `-Q` and `-v` are verbosity 0, 1 (the default) and 2; the last one counts. `-U` takes users and groups from the
//! environment and forgets `-G`, `-g` and `-u` before it; user 0 and group 0 ask for nothing. Limits and backlogs of 0 are 1.

use super::server_chain::{self, Ends};
use crate::applets::cli::Cli;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -q | -Q | -v ] [ -d | -D ] [ -P | -p ] [ -1 ] [ -c maxconn ] [ -C localmaxconn ] [ -b backlog ] [ -a perms ] [ -G gidlist ] [ -g gid ] [ -u uid ] [ -U ] path prog...";

const ENDS: Ends = Ends { binder: c"s6-ipcserver-socketbinder", server: c"s6-ipcserverd", address: 1, local: true };

/// The command.
pub fn run(cli: &Cli) -> i32 {
    server_chain::run(cli, &ENDS)
}
