//! `init`: process 1.

use crate::applets::cli::Cli;
use crate::boot;
use crate::sys::process;

/// `init [linchpin.KEY=VALUE...]`
pub fn init(cli: &Cli) -> i32 {
    if process::pid() != 1 {
        return cli.refuse("init is for process 1; to supervise a directory, use svscan");
    }
    boot::init::run(cli.args())
}
