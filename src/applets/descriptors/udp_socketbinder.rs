//! `udp-socketbinder [ -d | -D ] [ -B ] [ --freebind ] [ --reuseport ] [ --device name ] [ --broadcast ] ip port prog...`
//!
//! As tcpserver-socketbinder, for UDP. Without `-d` (SO_REUSEADDR) a second binder of the same port is refused: with it,
//! the kernel would give the second one all datagrams of the first. No connection lingers, so nothing is lost by that;
//! `-d` is for several who listen to one multicast group. `--broadcast` lets the socket send to IPv4 broadcast addresses.

use super::socketbinder::{ip, ip_option};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::socket::bind::Options;
use crate::socket::options::BROADCAST;
use crate::sys::listener::Kind;

/// What follows the name on a command line.
pub const USAGE: &str =
    "[ -d | -D ] [ -B ] [ --freebind ] [ --reuseport ] [ --device name ] [ --broadcast ] ip port prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut how = Options { kind: Kind::Datagram, backlog: 0, reuse: false, ..Options::S6 };
        let mut given = cli.options();
        while let Some(option) = given.option()? {
            if option == Opt::Long(b"broadcast") {
                how.values = how.values.with(BROADCAST, 1);
            } else if !ip_option(&mut how, option, &mut given)? {
                return Err(WrongUsage);
            }
        }
        ip(cli, &how, given)
    })
}
