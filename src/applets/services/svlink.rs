//! `svlink` and `svunlink`: add a service to a live scan directory, take it away again; s6-svlink(8), s6-svunlink(8).

use super::waiting;
use crate::applets::cli::{Cli, Opt, SYSTEM, TIMEOUT, WrongUsage};
use crate::service::client;
use crate::service::event::Access;
use crate::service::link::{self, LinkError, Linked, Linking, Start};
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Fd, dir, file};
use crate::text::CPath;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// The scan directory has no scanner.
const NOT_SCANNED: i32 = 1;

/// What follows the name `svlink` on a command line.
pub const USAGE: &str = "[-d | -D] [-f] [-P] [-t timeout] scandir servicedir [name]";

/// What the options of `svlink` and `instance-create` say.
pub struct Request {
    start: Start,
    access: Access,
    force: bool,
    timeout: u32,
}

impl Request {
    /// Nothing asked for.
    pub fn new() -> Request {
        Request { start: Start::AsIs, access: Access::own_group(), force: false, timeout: 0 }
    }

    /// Reads all options.
    pub fn read<I>(options: &mut crate::applets::cli::Options<I>) -> Result<Request, WrongUsage>
    where
        I: ExactSizeIterator<Item = &'static [u8]>,
    {
        let mut request = Request::new();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'd') => request.start = Start::Down,
                Opt::Short(b'D') => request.start = Start::DownForGood,
                Opt::Short(b'f') => request.force = true,
                Opt::Short(b'P') => request.access = Access::Public,
                Opt::Short(b't') => request.timeout = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        Ok(request)
    }

    /// Links the service directory `service` into `scandir` as `name`, with the link text `target`. Exit code: 0; 99 timed
    /// out, 100 no service directory, 111.
    pub fn link(&self, cli: &Cli, scandir: Fd, service: Fd, name: &CStr, target: &CStr) -> i32 {
        let linked = link::link(&Linking {
            scandir,
            service,
            name,
            target,
            start: self.start,
            access: self.access,
            force: self.force,
            deadline: waiting::deadline(self.timeout),
        });
        let name = Printable(name.to_bytes());
        match linked {
            Ok(Linked::Started) => 0,
            Ok(Linked::AlreadySupervised) => {
                cli.warn(format_args!("{name}: supervisor already running"));
                0
            }
            Err(LinkError::Unfit(why)) => cli.refuse(format_args!("{name}: {why}")),
            Err(LinkError::System(what, e)) => cli.unable(format_args!("link {name}: unable to {what}"), e),
            Err(LinkError::TimedOut) => {
                cli.refuse(format_args!("{name}: timed out"));
                TIMEOUT
            }
        }
    }
}

/// 0 if the scan directory has a scanner, else the exit code; what is wrong has been said.
pub fn check_scanner(cli: &Cli, scandir: Fd, path: &CStr) -> i32 {
    match client::is_scanned(scandir) {
        Ok(true) => 0,
        Ok(false) => {
            cli.refuse(format_args!("s6-svscan is not running on {}", Printable(path.to_bytes())));
            NOT_SCANNED
        }
        Err(e) => cli.unable(format_args!("open {}/.s6-svscan/lock", Printable(path.to_bytes())), e),
    }
}

/// Whether a service may be called so.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b".") && !name.contains(&b'/')
}

/// `svlink [-d | -D] [-f] [-P] [-t ms] scandir servicedir [name]`.
///
/// Exit code: 0; 1 no scanner, 99 timed out, 100 no service directory or no name, 111.
pub fn svlink(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let request = Request::read(&mut options)?;
        let words = options.operands(2)?;
        let path = |i| words.get(i).unwrap_or_default();
        let name = match words.get(2) {
            Some(name) => CPath::<256>::of(&[name.to_bytes()]),
            None => {
                let mut pieces = path(1).to_bytes().rsplit(|byte| *byte == b'/');
                CPath::of(&[pieces.find(|piece| !piece.is_empty()).unwrap_or(b"")])
            }
        };
        let Some(name) = name.get().filter(|name| is_name(name.to_bytes())) else {
            return Ok(cli.refuse("invalid name"));
        };
        SignalSet::of(&[signal::number::PIPE]).block();
        let unable = |i: usize| move |e| cli.unable(format_args!("open {}", Printable(path(i).to_bytes())), e);
        let done = file::with_dir(path(0), |scandir| {
            let code = check_scanner(cli, scandir, path(0));
            if code != 0 {
                return code;
            }
            file::with_dir(path(1), |service| {
                let mut buf = [0; dir::PATH];
                match dir::real_path(service, &mut buf) {
                    Ok(target) => request.link(cli, scandir, service, name, target),
                    Err(e) => cli.unable(format_args!("find the path of {}", Printable(path(1).to_bytes())), e),
                }
            })
            .unwrap_or_else(unable(1))
        });
        Ok(done.unwrap_or_else(unable(0)))
    })
}

/// `svunlink [-X] [-t ms] scandir name`; `-X`: does not wait for the supervisors to end. Exit code: 0, also if there is
/// nothing of that name or time is up; 100 no name, 111.
pub fn svunlink(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let (wait, timeout) = read_unlink(&mut options)?;
        let words = options.operands(2)?;
        let (path, name) = (words.get(0).unwrap_or_default(), words.get(1).unwrap_or_default());
        if !is_name(name.to_bytes()) {
            return Ok(cli.refuse("invalid service name"));
        }
        // A scan directory that is not there has no such entry either.
        Ok(file::with_dir(path, |scandir| unlink(cli, scandir, name, wait, timeout)).unwrap_or(0))
    })
}

/// Reads the options of `svunlink` and `instance-delete`: whether to wait, and how long.
pub fn read_unlink<I>(options: &mut crate::applets::cli::Options<I>) -> Result<(bool, u32), WrongUsage>
where
    I: ExactSizeIterator<Item = &'static [u8]>,
{
    let (mut wait, mut timeout) = (true, 0);
    while let Some(option) = options.option()? {
        match option {
            Opt::Short(b'X') => wait = false,
            Opt::Short(b't') => timeout = options.number()?,
            _ => return Err(WrongUsage),
        }
    }
    Ok((wait, timeout))
}

/// Unlinks `name`; returns the exit code.
pub fn unlink(cli: &Cli, scandir: Fd, name: &CStr, wait: bool, timeout: u32) -> i32 {
    SignalSet::of(&[signal::number::PIPE]).block();
    match link::unlink(scandir, name, wait, waiting::deadline(timeout)) {
        Ok(()) => 0,
        Err((what, e)) => {
            cli.unable(format_args!("unlink {}: unable to {what}", Printable(name.to_bytes())), e);
            SYSTEM
        }
    }
}
