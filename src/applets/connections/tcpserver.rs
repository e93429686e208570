//! `s6-tcpserver [-q|-Q|-v] [-d|-D] [-1] [-c maxconn] [-C localmaxconn] [-b backlog] [-G gidlist] [-g gid] [-u uid] [-U]
//! ip port prog...`: becomes s6-tcpserver-socketbinder, s6-applyuidgid if any of `-G -g -u -U` asks for it, and
//! s6-tcpserverd, which runs prog for each connection. Options as those of ipcserver.

use super::server_chain::{self, Ends};
use crate::applets::cli::Cli;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -q | -Q | -v ] [ -d | -D ] [ -1 ] [ -c maxconn ] [ -C localmaxconn ] [ -b backlog ] [ -G gidlist ] [ -g gid ] [ -u uid ] [ -U ] ip port prog...";

const ENDS: Ends = Ends { binder: c"s6-tcpserver-socketbinder", server: c"s6-tcpserverd", address: 2, local: false };

/// The command.
pub fn run(cli: &Cli) -> i32 {
    server_chain::run(cli, &ENDS)
}
