//! The variables in which a super-server tells of a connection: `PROTO`, and others whose names begin with its value.

use crate::applets::cli::Cli;
use crate::sys::environment::Environment;
use crate::sys::{Errno, Result};
use crate::text::CPath;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// The name of a variable.
pub type Name = CPath<256>;

/// What the names of a connection's variables begin with: `IPC`, `TCP`.
#[derive(Clone, Copy)]
pub struct Proto(&'static [u8]);

impl Proto {
    /// The value of `PROTO`. If it is not set, that is said; the error is the exit code.
    pub fn of(cli: &Cli) -> core::result::Result<Proto, i32> {
        match cli.env().get(b"PROTO") {
            Some(proto) if Name::of(&[proto.to_bytes(), &[b' '; 16]]).get().is_some() => Ok(Proto(proto.to_bytes())),
            Some(_) => Err(cli.refuse("invalid $PROTO")),
            None => Err(cli.refuse("PROTO not set")),
        }
    }

    /// The name of the variable for `what`, at most 16 letters: `REMOTEIP`.
    pub fn name(self, what: &str) -> Name {
        Name::of(&[self.0, what.as_bytes()])
    }

    /// The value of that variable. If it is not set, that is said; the error is the exit code.
    pub fn get(self, cli: &Cli, what: &str) -> core::result::Result<&'static CStr, i32> {
        let name = self.name(what);
        cli.env().get(name.as_bytes()).ok_or_else(|| cli.refuse(format_args!("{} not set", Printable(name.as_bytes()))))
    }

    /// The same, as `parse` understands it. If it does not, that is said too.
    pub fn parsed<T>(
        self,
        cli: &Cli,
        what: &str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> core::result::Result<T, i32> {
        let value = self.get(cli, what)?;
        parse(value.to_bytes())
            .ok_or_else(|| cli.refuse(format_args!("invalid ${}", Printable(self.name(what).as_bytes()))))
    }

    /// Gives that variable a value, or takes it out. Errors: see [`Environment::set`].
    pub fn set(self, env: &mut Environment, what: &str, value: Option<&[u8]>) -> Result<()> {
        let name = self.name(what);
        match value {
            Some(value) => env.set(name.as_bytes(), value),
            None => {
                env.unset(name.as_bytes());
                Ok::<(), Errno>(())
            }
        }
    }
}
