//! `s6-connlimit prog...`: runs prog unless the client has more connections than `${PROTO}CONNMAX`; this one is counted
//! in `${PROTO}CONNNUM`, from 1. A refused one is exit code 1.
//!
//! It has no options: the first word is prog, whatever it looks like. (s6's manual says that CONNNUM = CONNMAX is
//! refused; its program does not, and neither does this.)

use crate::applets::cli::Cli;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    let Some(proto) = cli.env().get(b"PROTO").map(CStr::to_bytes) else { return cli.refuse("PROTO not set") };
    if proto.is_empty() {
        return cli.refuse("empty PROTO");
    }
    // `PROTO` is as long as whoever set it likes, so the names of the others are never put together.
    let value = |what: &[u8]| {
        let of = |entry: &'static CStr| entry.to_bytes().strip_prefix(proto)?.strip_prefix(what)?.strip_prefix(b"=");
        cli.env().iter().find_map(of)
    };
    let invalid = |what| cli.refuse(format_args!("invalid {}{what}", Printable(proto)));
    let Some(number) = value(b"CONNNUM") else {
        return cli.refuse(format_args!("{}CONNNUM not set", Printable(proto)));
    };
    let Some(number) = parse_u32(number) else { return invalid("CONNNUM") };
    if let Some(text) = value(b"CONNMAX") {
        let Some(most) = parse_u32(text) else { return invalid("CONNMAX") };
        if number > most {
            cli.refuse(format_args!("number of connections from this client limited to {}", Printable(text)));
            return 1;
        }
    }
    cli.exec(cli.args().skip(1))
}
