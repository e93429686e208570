//! `seqpacket-socketbinder [ -d | -D ] [ -b backlog ] [ -a perms ] [ -B ] path prog...`
//!
//! As ipcserver-socketbinder, for a socket whose connections keep the bounds of messages (SOCK_SEQPACKET, unix(7)).

use super::socketbinder::unix;
use crate::applets::cli::Cli;
use crate::socket::bind::Options;
use crate::sys::listener::Kind;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -d | -D ] [ -b backlog ] [ -a perms ] [ -B ] path prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    unix(cli, Options { kind: Kind::SeqPacket, ..Options::S6 }, false)
}
