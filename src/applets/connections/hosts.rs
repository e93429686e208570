//! The names that /etc/hosts gives to the two ends of a connection.

use crate::access::origin::HostName;
use crate::limits::HOSTS_LINE;
use crate::sys::{Errno, Result, lines};
use crate::text::hosts::name_of;
use core::net::IpAddr;
use core::ops::ControlFlow;

/// Names of the ends; `None`: there is none.
#[derive(Default)]
pub struct Names {
    /// Of ours.
    pub local: Option<HostName>,
    /// Of the other one.
    pub remote: Option<HostName>,
}

/// Reads the canonical names of two addresses; of several lines with an address the first counts. A name that is no host
/// name is none, and so are all if there is no /etc/hosts. Errors: see open(2), read(2).
pub fn names(local: IpAddr, remote: IpAddr, names: &mut Names) -> Result<()> {
    let mut line = [0; HOSTS_LINE];
    let Names { local: of_local, remote: of_remote } = names;
    let mut ends = [(local, of_local, false), (remote, of_remote, false)];
    let read = lines::visit(c"/etc/hosts", &mut line, &mut |line| {
        for (address, name, known) in &mut ends {
            if let Some(text) = name_of(line, *address).filter(|_| !*known) {
                **name = HostName::new(text);
                *known = true;
            }
        }
        if ends.iter().all(|(.., known)| *known) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match read {
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}
