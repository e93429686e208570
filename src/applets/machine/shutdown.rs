//! `poweroff`, `reboot`, `halt`: ask process 1, or (`-f`) the kernel itself.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::boot::shutdown;
use crate::svscan::{Plan, shutdown_signal};
use crate::sys::{Errno, process};

/// Usage line of all three.
pub const USAGE_LINE: &str = "[-f] [-n]";

/// `poweroff [-f] [-n]`
pub fn poweroff(cli: &Cli) -> i32 {
    ask(cli, Plan::Poweroff, shutdown_signal::POWEROFF)
}

/// `reboot [-f] [-n]`
pub fn reboot(cli: &Cli) -> i32 {
    ask(cli, Plan::Reboot, shutdown_signal::REBOOT)
}

/// `halt [-f] [-n]`
pub fn halt(cli: &Cli) -> i32 {
    ask(cli, Plan::Halt, shutdown_signal::HALT)
}

/// `-f`: now, without stopping anything; `-n`: then not even syncing.
fn ask(cli: &Cli, plan: Plan, signal: i32) -> i32 {
    cli.with_usage(|| {
        let (mut force, mut sync) = (false, true);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'f') => force = true,
                Opt::Short(b'n') => sync = false,
                _ => return Err(WrongUsage),
            }
        }
        if !options.operands(0)?.is_empty() {
            return Err(WrongUsage);
        }
        if force {
            if sync {
                rustix::fs::sync();
            }
            return Ok(cli.unable(plan.name(), shutdown::reboot(plan)));
        }
        Ok(match process::kill(1, signal) {
            Ok(()) => 0,
            Err(Errno::PERM) => cli.unable("signal process 1 (you are not root)", Errno::PERM),
            Err(e) => cli.unable("signal process 1", e),
        })
    })
}
