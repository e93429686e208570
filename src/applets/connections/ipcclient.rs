//! `s6-ipcclient [-q | -Q | -v] [-p bindpath] [-l localname] path prog...`: connects to the stream socket at path, and goes
//! on as prog, with the connection as its descriptors 6 and 7.
//!
//! prog finds `PROTO=IPC` and `IPCLOCALPATH`: localname, or the path of this end, empty if it has none. Nothing is removed
//! at bindpath, before or afterwards.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::sys::connect::{self, Failure};
use crate::sys::environment::Environment;
use crate::sys::name::{self, End};
use crate::sys::unix::MAX_PATH;
use crate::sys::{Fd, Result};
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -q | -Q | -v ] [ -p bindpath ] [ -l localname ] path prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut verbosity, mut own, mut local) = (1u32, None, None);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'q') => verbosity = verbosity.saturating_sub(1),
                Opt::Short(b'Q') => verbosity = 1,
                Opt::Short(b'v') => verbosity = verbosity.saturating_add(1),
                Opt::Short(b'p') => own = Some(options.text()?),
                Opt::Short(b'l') => local = Some(options.text()?),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let path = words.get(0).ok_or(WrongUsage)?;
        let shown = Printable(path.to_bytes());
        let fd = match connect::path(path, own) {
            Ok(fd) => fd,
            Err(Failure::Create(e)) => return Ok(cli.unable("create socket", e)),
            Err(Failure::Bind(e)) => {
                let own = own.unwrap_or_default().to_bytes();
                return Ok(cli.unable(format_args!("bind socket to {}", Printable(own)), e));
            }
            Err(Failure::Connect(e)) => return Ok(cli.unable(format_args!("connect to {shown}"), e)),
        };
        if verbosity >= 2 {
            // s6 says its name twice; what reads its lines may rely on that.
            cli.info(format_args!("{}: connected to {shown}", cli.speaker()));
        }
        let environment = match Environment::of(cli.env()) {
            Ok(environment) => environment,
            Err(e) => return Ok(cli.unable("build environment", e)),
        };
        if let Err(e) = tell(environment, fd, local) {
            return Ok(cli.unable("build environment", e));
        }
        if let Err((number, e)) = connect::hand_on(fd) {
            return Ok(cli.unable(format_args!("set up fd {number}"), e));
        }
        Ok(cli.exec_env(words.skip(1), environment.env()))
    })
}

/// Tells prog about the connection.
fn tell(environment: &mut Environment, fd: Fd, local: Option<&CStr>) -> Result<()> {
    const LOCAL: &[u8] = b"IPCLOCALPATH";
    environment.set(b"PROTO", b"IPC")?;
    if let Some(local) = local {
        let local = local.to_bytes();
        return environment.set(LOCAL, local.get(..MAX_PATH).unwrap_or(local));
    }
    // One with another length than a path can have has no name that could be told.
    environment.set_with(LOCAL, |room| Ok(name::path(fd, End::Local, room).ok()))
}
