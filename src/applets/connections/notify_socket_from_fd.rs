//! `s6-notify-socket-from-fd [-d fd] [-f] [-t ms] [-k] prog...`: for a daemon that writes a newline on a descriptor when it
//! is ready, under somebody who expects sd_notify(3). Goes on as prog; another process reads what prog writes on the
//! descriptor, and sends `READY=1` and `MAINPID=` to `NOTIFY_SOCKET` when there was a newline.
//!
//! The descriptor is the one that `-d` (`--notification-fd=`) names, 1 if none does. `-t` (`--timeout=`) is how many
//! milliseconds all of it may take; 0, the default: any time. The reader is no child of prog, unless there is `-f`
//! (`--no-doublefork`). prog does not find `NOTIFY_SOCKET` in its environment, except with `-k` (`--keep-environment`). If
//! that is not set, nobody is to be told anything, and prog is all there is.
//!
//! The message is sent in prog's name if we may (root): for those who hear the main process only. Then a barrier,
//! sd_notify_barrier(3): the reader stays until the message has been heard.
//!
//! Exit code: 100 `NOTIFY_SOCKET` is empty, 111 (also: it is longer than the address of a socket); 126, 127; else prog's.
//! The reader's: 0 ready, 1 the descriptor was closed without a newline, 99 there is no time left, 111.

use super::notify_watch::{self, NEVER_READY};
use crate::applets::cli::{Cli, Opt, TIMEOUT, WrongUsage};
use crate::sys::environment::Environment;
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, datagram, file, poll, process, socket};
use crate::text::CPath;
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -d fd ] [ -f ] [ -t timeout ] [ -k ] prog...";

const VARIABLE: &[u8] = b"NOTIFY_SOCKET";

struct Request {
    fd: Fd,
    timeout: u32,
    apart: bool,
    keep: bool,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut request = Request { fd: Fd::STDOUT, timeout: 0, apart: true, keep: false };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'd') | Opt::Long(b"notification-fd") => request.fd = options.descriptor()?,
                Opt::Short(b't') | Opt::Long(b"timeout") => request.timeout = options.number()?,
                Opt::Short(b'f') | Opt::Long(b"no-doublefork") => request.apart = false,
                Opt::Long(b"doublefork") => request.apart = true,
                Opt::Short(b'k') | Opt::Long(b"keep-environment") => request.keep = true,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        let Some(address) = cli.env().get(VARIABLE) else { return Ok(cli.exec(words)) };
        if let Err(code) = begin(cli, &request, address) {
            return Ok(code);
        }
        if request.keep {
            return Ok(cli.exec(words));
        }
        let env = match Environment::of(cli.env()) {
            Ok(env) => env,
            Err(e) => return Ok(cli.unable("change the environment", e)),
        };
        env.unset(VARIABLE);
        Ok(cli.exec_env(words, env.env()))
    })
}

/// Starts the reader. Errors are exit codes; what went wrong has been said.
fn begin(cli: &Cli, request: &Request, address: &'static CStr) -> core::result::Result<(), i32> {
    if address.is_empty() || address == c"@" {
        return Err(cli.refuse("NOTIFY_SOCKET is not the address of a socket"));
    }
    // Now, when it can still be told: later nobody looks.
    datagram::check(address).map_err(|e| cli.unable(format_args!("send to {}", Printable(address.to_bytes())), e))?;
    let (mut read, mut write) = Fd::pipe().map_err(|e| cli.unable("make a pipe", e))?;
    let prog = process::pid();
    let deadline = notify_watch::deadline(request.timeout);
    notify_watch::start(cli, request.apart, &[read], &mut || pass_on(cli, read, prog, address, deadline))?;
    read.close();
    write
        .place(request.fd.0)
        .map_err(|e| cli.unable(format_args!("move the pipe to descriptor {}", request.fd.0), e))?;
    if write != request.fd {
        write.close();
    }
    Ok(())
}

/// The process that stays.
fn pass_on(cli: &Cli, mut read: Fd, prog: i32, address: &'static CStr, deadline: Option<Nanos>) -> i32 {
    match newline(read, deadline) {
        Ok(true) => {}
        Ok(false) => return NEVER_READY,
        Err(Errno::TIMEDOUT) => {
            cli.warn("not ready: there was no newline in time");
            return TIMEOUT;
        }
        Err(e) => return cli.unable("wait for the notification", e),
    }
    read.close();
    match tell(prog, address, deadline) {
        Ok(()) => 0,
        Err(Errno::TIMEDOUT) => {
            cli.warn("ready, but that was not heard in time");
            TIMEOUT
        }
        Err(e) => cli.unable(format_args!("send to {}", Printable(address.to_bytes())), e),
    }
}

/// Reads up to a newline; whether there was one. ETIMEDOUT.
fn newline(fd: Fd, deadline: Option<Nanos>) -> Result<bool> {
    let mut buf = [0; 512];
    loop {
        poll::readable(fd, deadline)?;
        let count = file::read_some(fd, &mut buf)?;
        if count == 0 || buf.iter().take(count).any(|byte| *byte == b'\n') {
            return Ok(count != 0);
        }
    }
}

/// Says that prog is ready, and waits until it has been heard. ETIMEDOUT. ECONNREFUSED, ENOENT: nobody listens.
fn tell(prog: i32, address: &CStr, deadline: Option<Nanos>) -> Result<()> {
    let mut to = datagram::to(address)?;
    let number = Decimal::new(prog.unsigned_abs().into());
    let text = CPath::<48>::of(&[b"READY=1\nMAINPID=", number.as_bytes(), b"\n"]);
    let in_its_name = patiently(to, deadline, || datagram::send_as(to, text.as_bytes(), prog));
    match in_its_name {
        Err(Errno::PERM | Errno::SRCH) => patiently(to, deadline, || socket::send(to, text.as_bytes(), &[]))?,
        done => done?,
    }
    let (mut read, mut write) = Fd::pipe()?;
    patiently(to, deadline, || socket::send(to, b"BARRIER=1\n", &[write]))?;
    write.close();
    to.close();
    let heard = poll::readable(read, deadline);
    read.close();
    heard
}

/// Sends, and waits while the queue is full.
fn patiently(to: Fd, deadline: Option<Nanos>, mut send: impl FnMut() -> Result<usize>) -> Result<()> {
    loop {
        match send() {
            Err(Errno::AGAIN) => poll::writable(to, deadline)?,
            Err(Errno::INTR) => {}
            done => return done.map(drop),
        }
    }
}
