//! The cgroup of a service that asks for one, with a file `cgroup` in its directory: `run` and `finish` are in it, and
//! with them whatever they start and cannot escape. When one of the two has died, what is left in it is killed; when the
//! supervisor exits, it is removed.
//!
//! The first line of the file may give its name, relative to our own cgroup: components separated by `/`. Default:
//! `linchpin/NAME`; of a logger `linchpin.log/NAME`. Where there are no cgroups (version 2), or we may not make them, the
//! service runs without one, and that is said once.

use super::{extra, kind, label};
use crate::limits::CGROUPS_LEAVING;
use crate::state::Service;
use crate::sys::time::{MILLI, Nanos};
use crate::sys::{Errno, Fd, Result, cgroup, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::warning;

/// [`Service::cgroup_fd`] of a service without one: it cannot be had, and that was said.
const REFUSED: i32 = -2;
/// Longest name that a file may give.
const NAME: usize = 512;

/// Whether a name is one: not empty, no empty component, none that is `.` or `..`, no control characters.
fn is_name(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
        && name.iter().all(|byte| *byte >= b' ' && *byte != 0x7f)
}

/// The name of the cgroup of a service, relative to ours. EINVAL: what the file says is none.
fn name(service: &Service) -> Result<CPath<NAME>> {
    let mut buf = [0; NAME];
    let said = file::read(Fd(service.dir_fd), c"cgroup", &mut buf)?;
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let above: &[u8] = if service.kind == kind::LOGGER { b"linchpin.log/" } else { b"linchpin/" };
    let name = if line.is_empty() { CPath::of(&[above, service.name_bytes()]) } else { CPath::of(&[line]) };
    if name.get().is_some() && is_name(name.as_bytes()) { Ok(name) } else { Err(Errno::INVAL) }
}

/// For a process about to be started: `cgroup.procs` of the service's cgroup, open; `NONE`: it is to run without.
pub fn open(service: &mut Service) -> Fd {
    if service.extras & extra::CGROUP == 0 {
        if Fd(service.cgroup_fd).is_some() {
            let _ = cgroup::remove(Fd(service.cgroup_fd)); // unless somebody is still in it
        }
        close(service);
        return Fd::NONE;
    }
    match procs(service) {
        Ok(procs) => procs,
        Err(e) => {
            refused(service, e);
            Fd::NONE
        }
    }
}

fn procs(service: &mut Service) -> Result<Fd> {
    if Fd(service.cgroup_fd).is_some() {
        // Somebody may have removed it meanwhile: then it is made anew.
        match cgroup::open_procs(Fd(service.cgroup_fd)) {
            Ok(procs) => return Ok(procs),
            Err(_) => close(service),
        }
    }
    let name = name(service)?;
    let mut own = cgroup::open_own()?;
    let made = cgroup::make(own, name.as_bytes());
    own.close();
    let mut made = made?;
    match cgroup::open_procs(made) {
        Ok(procs) => {
            service.cgroup_fd = made.0;
            Ok(procs)
        }
        Err(e) => {
            made.close();
            Err(e)
        }
    }
}

/// The service runs without a cgroup for this reason.
pub fn refused(service: &mut Service, why: Errno) {
    if service.cgroup_fd != REFUSED {
        match why {
            Errno::INVAL => warning!("{}: what its cgroup says is not valid: it runs without one", label(service)),
            Errno::NODEV => warning!("{}: no cgroups (version 2) here: it runs without one", label(service)),
            e => warning!("{}: cannot make its cgroup: {}; it runs without one", label(service), Reason(e)),
        }
    }
    close(service);
    service.cgroup_fd = REFUSED;
}

/// Kills what is left in the cgroup of a service, if it has one; answers whether that could be done.
pub fn kill(service: &Service) -> bool {
    let dir = Fd(service.cgroup_fd);
    if !dir.is_some() {
        return false;
    }
    match cgroup::kill(dir) {
        Ok(()) => true,
        Err(Errno::NOENT) => false, // an old kernel
        Err(e) => {
            warning!("{}: cannot kill what is left in its cgroup: {}", label(service), Reason(e));
            false
        }
    }
}

/// Forgets the cgroup of a service.
pub fn close(service: &mut Service) {
    Fd(service.cgroup_fd).close();
    service.cgroup_fd = -1;
}

/// Those that are to be removed, and are not empty yet: it takes a moment until who is killed is gone.
pub struct Leaving {
    dirs: heapless::Vec<Fd, CGROUPS_LEAVING>,
    next: Nanos,
    tries: u32,
}

impl Leaving {
    /// Time between two tries.
    const AGAIN: Nanos = 20 * MILLI;
    /// Tries until they are left behind.
    const TRIES: u32 = 100;

    /// None yet.
    pub const fn new() -> Leaving {
        Leaving { dirs: heapless::Vec::new(), next: 0, tries: 0 }
    }

    /// Removes the cgroup of a service whose supervisor exits: now, or as soon as that can be done.
    pub fn add(&mut self, service: &mut Service, now: Nanos) {
        let mut dir = Fd(service.cgroup_fd);
        service.cgroup_fd = -1;
        let result = match service.pid {
            _ if !dir.is_some() => return,
            0 => cgroup::remove(dir),
            _ => Ok(()), // it is left alone, and so is what it is in
        };
        match result {
            Err(Errno::BUSY) if self.dirs.push(dir).is_ok() => {
                (self.next, self.tries) = (now.saturating_add(Self::AGAIN), 0);
                return;
            }
            Ok(()) => {}
            Err(e) => warning!("{}: its cgroup is left: {}", label(service), Reason(e)),
        }
        dir.close();
    }

    /// When to call [`Leaving::expire`].
    pub fn next_deadline(&self) -> Option<Nanos> {
        (!self.dirs.is_empty()).then_some(self.next)
    }

    /// Removes those that are empty now.
    pub fn expire(&mut self, now: Nanos) {
        if self.dirs.is_empty() || self.next > now {
            return;
        }
        (self.next, self.tries) = (now.saturating_add(Self::AGAIN), self.tries + 1);
        let last = self.tries >= Self::TRIES;
        self.dirs.retain_mut(|dir| {
            let busy = cgroup::remove(*dir) == Err(Errno::BUSY);
            if busy && last {
                warning!("a cgroup of a stopped service is not empty: left behind");
            }
            if !busy || last {
                dir.close();
            }
            busy && !last
        });
    }
}

impl Default for Leaving {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use zerocopy::FromZeros;

    fn service(scratch: &Scratch, kind: u8) -> Box<Service> {
        let mut service = Box::new(Service::new_zeroed());
        (service.dir_fd, service.cgroup_fd, service.kind) = (scratch.fd.0, -1, kind);
        service.set_name(b"web");
        service
    }

    fn name_in(scratch: &Scratch, kind: u8) -> Result<String> {
        name(&service(scratch, kind)).map(|name| String::from_utf8(name.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn without_a_word_the_cgroup_has_the_name_of_the_service() {
        let scratch = Scratch::new();
        for empty in ["", "\n", "\nignored\n"] {
            scratch.write("cgroup", empty);
            assert_eq!(name_in(&scratch, kind::SERVICE).as_deref(), Ok("linchpin/web"));
            assert_eq!(name_in(&scratch, kind::LOGGER).as_deref(), Ok("linchpin.log/web"));
        }
    }

    #[test]
    fn the_first_line_may_give_another_name() {
        let scratch = Scratch::new();
        scratch.write("cgroup", "apps/my web\nignored");
        assert_eq!(name_in(&scratch, kind::SERVICE).as_deref(), Ok("apps/my web"));
    }

    #[test]
    fn names_lead_nowhere_else() {
        let scratch = Scratch::new();
        for bad in ["/", "/abs", "a/", "a//b", "..", "a/../..", "./a", "a\tb", "a\0b", &"x".repeat(NAME)] {
            scratch.write("cgroup", bad);
            assert_eq!(name_in(&scratch, kind::SERVICE), Err(Errno::INVAL), "{bad:?}");
        }
    }

    #[test]
    fn one_that_cannot_be_had_is_told_by_no_descriptor() {
        let scratch = Scratch::new();
        scratch.write("cgroup", "..");
        let mut service = service(&scratch, kind::SERVICE);
        service.extras = extra::CGROUP;
        for _ in 0..2 {
            assert_eq!(open(&mut service), Fd::NONE);
            assert_eq!(service.cgroup_fd, REFUSED);
            assert!(!kill(&service));
        }
        service.extras = 0;
        assert_eq!(open(&mut service), Fd::NONE);
        assert_eq!(service.cgroup_fd, -1);
    }
}
