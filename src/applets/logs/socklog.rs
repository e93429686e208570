//! `s6-socklog`.

use crate::applets::cli::Cli;

pub const USAGE: &str =
    "[-d notif] [-r] [-U | -u uid -g gid -G gidlist] [-l linelen] [-t lingertimeout] [-x path | -i ip_port]";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    let _ = cli;
    todo!()
}
