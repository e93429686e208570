//! One service: its directory, its state machine, its status, tally and events.

pub mod causes;
pub mod cgroup;
pub mod client;
pub mod command;
pub mod delay;
pub mod event;
pub mod extra;
pub mod fdstore;
pub mod files;
pub mod handover;
pub mod instance;
pub mod link;
pub mod listen;
pub mod machine;
pub mod mend;
pub mod news;
pub mod notify;
pub mod permissions;
pub mod poll;
pub mod redo;
#[cfg(test)]
pub(crate) mod scratch;
pub mod status;
pub mod supervisor;
pub mod tally;
pub mod wait;
pub mod waiting;
pub mod watch;

use crate::state::Service;
use crate::text::quote::Printable;
use core::fmt;

/// Kinds of records, as [`Service::kind`] holds them.
pub mod kind {
    /// An ordinary service.
    pub const SERVICE: u8 = 0;
    /// `NAME/log`.
    pub const LOGGER: u8 = 1;
    /// The catch-all logger, `s6-svscan-log`.
    pub const CATCH_ALL: u8 = 2;
    /// The one service of a process that supervises no other: `supervise DIR`.
    pub const ALONE: u8 = 3;
}

/// How messages name a record: `service NAME`, or `logger NAME/log`, or `the service` if there is but one.
pub fn label(service: &Service) -> Label<'_> {
    Label(service)
}

/// See [`label`].
pub struct Label<'a>(&'a Service);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Printable(self.0.name_bytes());
        match self.0.kind {
            kind::ALONE => f.write_str("the service"),
            kind::LOGGER => write!(f, "logger {name}/log"),
            _ => write!(f, "service {name}"),
        }
    }
}
