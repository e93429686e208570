//! `s6-tcpserver-socketbinder [ -d | -D ] [ -b backlog ] [ -M | -m ] [ -B ] ip port prog...`
//!
//! As s6-networking's, its long options included; `--freebind` and `--reuseport` are ours. An address with something
//! behind it (`127.0.0.1x`) is refused.

use super::ipcserver_socketbinder::{bind_to_stdin, failed};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::socket::address::{Address, parse_ip, parse_port};
use crate::socket::bind::Options;
use crate::socket::options;
use crate::sys::listener::Kind;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut how = Options::S6;
        let mut given = cli.options();
        while let Some(option) = given.option()? {
            match option {
                Opt::Short(b'd') | Opt::Long(b"reuse-address") => how.reuse = true,
                Opt::Short(b'D') | Opt::Long(b"no-reuse-address") => how.reuse = false,
                Opt::Short(b'b') | Opt::Long(b"backlog") => match parse_u32(given.value()?) {
                    Some(backlog) => how.backlog = backlog,
                    None => return Ok(cli.refuse("backlog must be an unsigned integer")),
                },
                Opt::Short(b'M') | Opt::Long(b"tcp") => how.kind = Kind::Stream,
                Opt::Short(b'm') | Opt::Long(b"udp") => how.kind = Kind::Datagram,
                Opt::Short(b'B') | Opt::Long(b"block") => how.nonblocking = false,
                Opt::Long(b"freebind") => how.values = how.values.with(options::FREEBIND, 1),
                Opt::Long(b"reuseport") => how.values = how.values.with(options::REUSEPORT, 1),
                _ => return Err(WrongUsage),
            }
        }
        let words = given.operands(3)?;
        let word = |i| words.get(i).map_or(&b""[..], |word| word.to_bytes());
        let address = parse_port(word(1)).and_then(|port| parse_ip(word(0), port)).ok_or(WrongUsage)?;
        // The kind decides: an IP datagram socket is UDP.
        Ok(match bind_to_stdin(&Address::Tcp(address.into()), &how) {
            Ok(()) => cli.exec(words.skip(2)),
            Err(failure) => failed(cli, failure, format_args!("{} port {} ", Printable(word(0)), Printable(word(1)))),
        })
    })
}
