//! `s6-ipcserver-socketbinder [ -d | -D ] [ -b backlog ] [ -M | -m ] [ -a perms ] [ -B ] path prog...`
//!
//! As s6's, but `-d` takes over a path only if its socket is dead: see [`bind`](crate::socket::bind).

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::socket::address::Address;
use crate::socket::bind::{Access, Failure, Options, Step, bind};
use crate::sys::Fd;
use crate::sys::listener::Kind;
use crate::text::number::parse_octal;
use crate::text::quote::Printable;
use core::fmt::Arguments;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut how = Options::S6;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'd') => how.reuse = true,
                Opt::Short(b'D') => how.reuse = false,
                Opt::Short(b'b') => how.backlog = options.number()?,
                Opt::Short(b'M') => how.kind = Kind::Stream,
                Opt::Short(b'm') => how.kind = Kind::Datagram,
                Opt::Short(b'a') => how.access = Access::Umask(parse_octal(options.value()?).ok_or(WrongUsage)?),
                Opt::Short(b'B') => how.nonblocking = false,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let path = words.get(0).map_or(&b""[..], |path| path.to_bytes());
        let made = bind_to_stdin(&Address::Path(path), &how);
        Ok(match made {
            Ok(()) => cli.exec(words.skip(1)),
            Err(failure) => failed(cli, failure, format_args!("{}", Printable(path))),
        })
    })
}

/// Makes the socket and leaves it as descriptor 0, to be inherited.
pub fn bind_to_stdin(address: &Address<'_>, how: &Options) -> Result<(), Failure> {
    let mut stdin = Fd::STDIN;
    stdin.close();
    let fd = bind(address, how)?;
    fd.place(0).map_err(|errno| Failure { step: Step::Create, errno })
}

/// Says, in s6's words, what did not work; returns 111.
pub fn failed(cli: &Cli, Failure { step, errno }: Failure, address: Arguments<'_>) -> i32 {
    match step {
        Step::Create => cli.unable("create socket", errno),
        Step::Listen => cli.unable(format_args!("listen to {address}"), errno),
        _ => cli.unable(format_args!("bind to {address}"), errno),
    }
}
