//! The program that is run for each connection: its environment, of which only the values change that tell one connection
//! from the other, and its start.

use crate::applets::cli::{Cli, in_path};
use crate::sys::accept::PEER_PATH;
use crate::sys::args::{Args, Env};
use crate::sys::environment::{Environment, Place};
use crate::sys::signal::SignalSet;
use crate::sys::{Errno, Fd, Result, process};
use crate::text::CPath;
use crate::text::ip;
use crate::text::number::Decimal;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::net::SocketAddr;

/// Bytes of a number of 32 bits.
const NUMBER: usize = 10;
/// Bytes of the longest IPv6 address.
const ADDRESS: usize = 45;

/// What the environment tells about each connection.
#[derive(Clone, Copy)]
pub enum Variables {
    /// `IPCREMOTEEUID`, `IPCREMOTEEGID` (`None`: nobody asks who clients are, and they are not set), `IPCREMOTEPATH`,
    /// `IPCCONNNUM`
    Ipc { user: Option<[Place; 2]>, path: Place, count: Place },
    /// `TCPREMOTEIP`, `TCPREMOTEPORT`, `TCPCONNNUM`
    Tcp { ip: Place, port: Place, count: Place },
}

/// Prepares the environment for connections of a unix socket.
pub fn ipc_environment(env: Env, lookup: bool) -> Result<(&'static mut Environment, Variables)> {
    let env = Environment::of(env)?;
    env.set(b"PROTO", b"IPC")?;
    let user = match lookup {
        true => Some([env.reserve(b"IPCREMOTEEUID", NUMBER)?, env.reserve(b"IPCREMOTEEGID", NUMBER)?]),
        false => {
            env.unset(b"IPCREMOTEEUID");
            env.unset(b"IPCREMOTEEGID");
            None
        }
    };
    let path = env.reserve(b"IPCREMOTEPATH", PEER_PATH)?;
    let count = env.reserve(b"IPCCONNNUM", NUMBER)?;
    Ok((env, Variables::Ipc { user, path, count }))
}

/// Prepares the environment for connections of a TCP socket that listens at `local`.
pub fn tcp_environment(env: Env, local: SocketAddr) -> Result<(&'static mut Environment, Variables)> {
    let env = Environment::of(env)?;
    env.set(b"PROTO", b"TCP")?;
    env.set(b"TCPLOCALIP", Text::of(ip::Shown(local.ip())).as_bytes())?;
    env.set(b"TCPLOCALPORT", Decimal::new(local.port().into()).as_bytes())?;
    let ip = env.reserve(b"TCPREMOTEIP", ADDRESS)?;
    let port = env.reserve(b"TCPREMOTEPORT", NUMBER)?;
    let count = env.reserve(b"TCPCONNNUM", NUMBER)?;
    Ok((env, Variables::Tcp { ip, port, count }))
}

/// A short text, such as an address.
pub struct Text(heapless::String<ADDRESS>);

impl Text {
    /// What `value` displays; what does not fit is left out.
    pub fn of(value: impl fmt::Display) -> Text {
        let mut text = heapless::String::new();
        let _ = write!(text, "{value}");
        Text(text)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why no child was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// There cannot be another process, now: EAGAIN, ENOMEM.
    Fork(Errno),
    /// The program cannot be executed: ENOENT, EACCES, ENOEXEC…
    Exec(Errno),
}

/// The program, its words and its environment.
pub struct Program {
    words: Args,
    name: &'static CStr,
    lookup: Env,
    /// Where it was found in PATH, the last time.
    found: CPath<4096>,
    env: &'static mut Environment,
}

impl Program {
    /// The program that `words` (at least one) name, looked up in the PATH that we have.
    pub fn new(cli: &Cli, words: Args, env: &'static mut Environment) -> Program {
        Program { words, name: words.get(0).unwrap_or_default(), lookup: cli.env(), found: CPath::new(), env }
    }

    /// Its name, as it was given.
    pub fn name(&self) -> &'static CStr {
        self.name
    }

    /// Gives a variable the value that it has for the next child.
    pub fn put(&mut self, place: Place, value: &[u8]) {
        self.env.put(place, value);
    }

    /// As [`Program::put`], for a number.
    pub fn put_number(&mut self, place: Place, value: u32) {
        self.env.put(place, Decimal::new(value.into()).as_bytes());
    }

    /// Starts it with `connection` as its standard input and output, no signal blocked; answers the child's pid.
    ///
    /// Where it was found in PATH is where it is looked for first from then on: each failed try costs as much as many other
    /// calls together.
    pub fn start(&mut self, connection: Fd) -> core::result::Result<i32, Failure> {
        let Program { words, name, lookup, found, env } = self;
        let env = &**env;
        let mut is_there = false;
        let spawned = process::spawn_with(&mut || {
            is_there = true;
            let in_place = connection.place(0).and_then(|()| connection.place(1));
            if let Err(e) = in_place {
                return e;
            }
            SignalSet::EMPTY.block();
            if let Ok(path) = found.path() {
                if !path.is_empty() {
                    process::exec_given(path, *words, env);
                }
            }
            // The memory is our parent's, which finds there what was tried last: what works.
            in_path(name, *lookup, &mut |path| {
                *found = CPath::of(&[path.to_bytes()]);
                process::exec_given(path, *words, env)
            })
        });
        spawned.map_err(|e| {
            self.found = CPath::new();
            if is_there { Failure::Exec(e) } else { Failure::Fork(e) }
        })
    }
}
