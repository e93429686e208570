//! Names of hosts and their addresses, as /etc/hosts gives them: no other place is asked.

use crate::limits::HOSTS_LINE;
use crate::sys::{Errno, Result, lines};
use crate::text::hosts;
use core::net::IpAddr;
use core::ops::ControlFlow;

/// The file.
pub const HOSTS: &str = "/etc/hosts";

/// Longest name of a host, without the dot at its end: RFC 1035.
pub const HOST_NAME: usize = 253;

/// The name of a host.
pub type HostName = heapless::Vec<u8, HOST_NAME>;

/// Calls `found` with every address that `name` has, until it breaks. Lines that are longer than [`HOSTS_LINE`] are left
/// out. Errors: see open(2), read(2).
pub fn addresses(name: &[u8], found: &mut dyn FnMut(IpAddr) -> ControlFlow<()>) -> Result<()> {
    let mut room = [0; HOSTS_LINE];
    let visit = &mut |line: &[u8]| hosts::address_of(line, name).map_or(ControlFlow::Continue(()), &mut *found);
    lines::visit(c"/etc/hosts", &mut room, visit).map(drop)
}

/// The canonical names of some addresses: of several lines with an address the first counts. `None`: it has none, or one
/// of more than [`HOST_NAME`] bytes. A missing file is an empty one. Errors: see open(2), read(2).
pub fn names<const N: usize>(of: [IpAddr; N]) -> Result<[Option<HostName>; N]> {
    let mut room = [0; HOSTS_LINE];
    let mut known = [false; N];
    let mut names = [const { None }; N];
    let read = lines::visit(c"/etc/hosts", &mut room, &mut |line| {
        for ((address, name), known) in of.iter().zip(&mut names).zip(&mut known) {
            if let Some(text) = hosts::name_of(line, *address).filter(|_| !*known) {
                *name = HostName::from_slice(text).ok();
                *known = true;
            }
        }
        if known.iter().all(|known| *known) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match read {
        Ok(_) | Err(Errno::NOENT) => Ok(names),
        Err(e) => Err(e),
    }
}
