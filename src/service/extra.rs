//! Files of a service directory that s6 does not know, and ignores. Most services have none of them, so whether they
//! are there is looked up only when something was added to the directory or removed from it.

use super::delay::Rule;
use super::files::{Problem, Reading};
use crate::state::Service;
use crate::sys::time::{self, SECOND};
use crate::sys::{Errno, Fd, entry, file};
use core::ffi::CStr;

/// `dependencies.d`, a directory whose entries are named after services of the same scan directory: it is started when
/// all of them are up, and those that have `notification-fd` have said that they are ready. What the entries are does
/// not matter. A whole stop stops it before them. Once it runs, it does not matter what becomes of them.
pub const DEPENDENCIES: u8 = 1;
/// `restart-delay`: see [`Rule`].
pub const RESTART_DELAY: u8 = 2;
/// `kill-leftovers`: when `run` or `finish` has died, what is left in its process group is killed (SIGKILL), before
/// anything else happens. Its content does not matter.
pub const KILL_LEFTOVERS: u8 = 4;
/// `cgroup`: the service runs in a control group of its own; when `run` or `finish` has died, what is left in it is
/// killed. Its content does not matter.
pub const CGROUP: u8 = 8;
/// `sockets`: see [`handover`](super::handover).
pub const SOCKETS: u8 = 16;
/// `notify-socket`: see [`notify`](super::notify).
pub const NOTIFY: u8 = 32;

/// The directory of dependencies.
pub const DEPENDENCIES_DIR: &CStr = c"dependencies.d";

const FILES: [(&CStr, u8); 6] = [
    (DEPENDENCIES_DIR, DEPENDENCIES),
    (c"restart-delay", RESTART_DELAY),
    (c"kill-leftovers", KILL_LEFTOVERS),
    (c"cgroup", CGROUP),
    (c"sockets", SOCKETS),
    (c"notify-socket", NOTIFY),
];

/// A directory that was changed less than this ago may change again without getting another time: the clocks of file
/// systems are as coarse as two seconds.
const FRESH: u64 = 3 * SECOND;

/// Brings [`Service::extras`] up to date. One system call if the directory has not changed.
pub fn look(service: &mut Service) {
    look_at(service, time::wall);
}

fn look_at(service: &mut Service, wall: impl Fn() -> (u64, u32)) {
    let dir = Fd(service.dir_fd);
    let Ok(changed) = entry::changed(dir) else { return };
    if changed == service.looked && changed != 0 {
        return;
    }
    service.extras = 0;
    for (name, bit) in FILES {
        // One that cannot be judged is there: whoever needs it says what is wrong with it.
        if file::exists(dir, name).unwrap_or(true) {
            service.extras |= bit;
        }
    }
    let (sec, nano) = wall();
    let now = sec.saturating_mul(SECOND).saturating_add(nano.into());
    let settled = now.checked_sub(changed).is_some_and(|age| age >= FRESH);
    service.looked = if settled { changed } else { 0 };
}

/// `restart-delay`; default: s6's second.
pub fn restart_delay(dir: Fd) -> Reading<Rule> {
    let mut buf = [0; 65];
    let (value, problem) = match file::read(dir, c"restart-delay", &mut buf) {
        Ok(text) if text.len() == 65 => (None, Some(Problem::Invalid)),
        Ok(text) => match Rule::parse(text) {
            None => (None, Some(Problem::Invalid)),
            rule => (rule, None),
        },
        Err(Errno::NOENT) => (None, None),
        Err(e) => (None, Some(Problem::Unreadable(e))),
    };
    Reading { value: value.unwrap_or(Rule::DEFAULT), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use zerocopy::FromZeros;

    fn service(scratch: &Scratch) -> Box<Service> {
        let mut service = Box::new(Service::new_zeroed());
        service.dir_fd = scratch.fd.0;
        service
    }

    /// The wall clock when the directory has been as it is for long.
    fn later() -> (u64, u32) {
        let (sec, nano) = time::wall();
        (sec + 60, nano)
    }

    #[test]
    fn each_file_is_seen_when_it_comes_and_when_it_goes() {
        let scratch = Scratch::new();
        let mut service = service(&scratch);
        for (name, bit) in FILES {
            let name = name.to_str().unwrap();
            scratch.write(name, "");
            for _ in 0..2 {
                look(&mut service);
                assert_eq!((service.extras, service.looked), (bit, 0), "{name}");
            }
            std::fs::remove_file(scratch.path.join(name)).unwrap();
            look(&mut service);
            assert_eq!(service.extras, 0, "{name}");
        }
    }

    #[test]
    fn a_directory_is_looked_at_again_only_if_it_has_changed() {
        let scratch = Scratch::new();
        let mut service = service(&scratch);
        look_at(&mut service, later);
        assert_ne!(service.looked, 0);
        service.extras = RESTART_DELAY;
        look_at(&mut service, later);
        assert_eq!(service.extras, RESTART_DELAY);
        // The clock of the file system is coarse.
        while entry::changed(scratch.fd).unwrap() == service.looked {
            scratch.write("cgroup", "");
            std::fs::remove_file(scratch.path.join("cgroup")).unwrap();
        }
        scratch.write("cgroup", "");
        look_at(&mut service, later);
        assert_eq!(service.extras, CGROUP);
    }

    #[test]
    fn the_delay_is_what_the_file_says_and_else_the_default() {
        let scratch = Scratch::new();
        let told = |value| Reading { value, problem: None };
        let wrong = |problem| Reading { value: Rule::DEFAULT, problem: Some(problem) };
        assert_eq!(restart_delay(scratch.fd), told(Rule::DEFAULT));
        scratch.write("restart-delay", "1s 5m 10%\n");
        assert_eq!(restart_delay(scratch.fd), told(Rule::parse(b"1s 5m 10%").unwrap()));
        for bad in ["soon", &format!("1s{}", " ".repeat(63))] {
            scratch.write("restart-delay", bad);
            assert_eq!(restart_delay(scratch.fd), wrong(Problem::Invalid));
        }
        std::fs::remove_file(scratch.path.join("restart-delay")).unwrap();
        scratch.mkdir("restart-delay");
        assert_eq!(restart_delay(scratch.fd), wrong(Problem::Unreadable(Errno::ISDIR)));
    }
}
