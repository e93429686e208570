//! The machine: process 1, and what asks things of it.

mod check;
mod columns;
mod exec;
mod failed;
mod init;
mod kmsg;
mod shutdown;
pub(super) mod sockets;
mod status;

use super::{Applet, own, upgrade};

/// What every build has.
pub static BASIC: &[Applet] = &[
    own("init", "[linchpin.board=PATH]", "process 1: boots the board, supervises, holds its sockets", init::init),
    own("poweroff", shutdown::USAGE_LINE, "stops everything and powers the machine off", shutdown::poweroff),
    own("reboot", shutdown::USAGE_LINE, "stops everything and reboots", shutdown::reboot),
    own("halt", shutdown::USAGE_LINE, "stops everything and halts", shutdown::halt),
    own("exec", exec::USAGE, "runs the command line that is written in a file, without a shell", exec::run)
        .chains_once(),
    own("kmsg", kmsg::USAGE, "writes lines into the kernel's log", kmsg::run),
    own("help", "[command]", "lists the commands, or tells the usage of one", super::help::help),
];

/// What shows how everything stands, and checks what a board is told.
pub static VIEWS: &[Applet] = &[
    own(
        "status",
        status::USAGE,
        "shows what process 1 has survived, all services, and what each waits for",
        status::status,
    ),
    own("failed", failed::USAGE, "lists the services that should be up and are not, and says why", failed::failed),
    own("sockets", sockets::USAGE, "shows all that a fd-holder holds, and how it stands", sockets::sockets),
    own("check", upgrade::CHECK_USAGE, upgrade::CHECK_SUMMARY, check::check),
];
