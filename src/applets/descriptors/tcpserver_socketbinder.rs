//! `s6-tcpserver-socketbinder [ -d | -D ] [ -b backlog ] [ -M | -m ] [ -B ] ip port prog...`
//!
//! As s6-networking's, its long options included. Ours are `--freebind` (an address that no interface has yet),
//! `--reuseport` (several sockets share the port), `--device name` (only what goes through this network interface) and the
//! interface of an IPv6 address, by name or number (`fe80::1%eth0`). An address with something else behind it
//! (`127.0.0.1x`) is refused.

use super::socketbinder::{ip, ip_option};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::socket::bind::Options;
use crate::sys::listener::Kind;
use crate::text::number::parse_u32;

/// What follows the name on a command line.
pub const USAGE: &str =
    "[ -d | -D ] [ -b backlog ] [ -M | -m ] [ -B ] [ --freebind ] [ --reuseport ] [ --device name ] ip port prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut how = Options::S6;
        let mut given = cli.options();
        while let Some(option) = given.option()? {
            match option {
                Opt::Short(b'b') | Opt::Long(b"backlog") => match parse_u32(given.value()?) {
                    Some(backlog) => how.backlog = backlog,
                    None => return Ok(cli.refuse("backlog must be an unsigned integer")),
                },
                Opt::Short(b'M') | Opt::Long(b"tcp") => how.kind = Kind::Stream,
                Opt::Short(b'm') | Opt::Long(b"udp") => how.kind = Kind::Datagram,
                other => {
                    if !ip_option(&mut how, other, &mut given)? {
                        return Err(WrongUsage);
                    }
                }
            }
        }
        ip(cli, &how, given)
    })
}
