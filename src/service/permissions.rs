//! Who may look at a service (`supervise/`), control it (`supervise/control`) and listen to its events (`event/`):
//! the schemes of s6-svperms(8), as modes and groups, and back.

use crate::sys::entry::{self, Attributes};
use crate::sys::{Fd, Result};
use core::ffi::CStr;

/// Who, beside the owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Nobody.
    Owner,
    /// The members of the group with this id.
    Group(u32),
    /// Everybody.
    Public,
}

/// What is allowed to them. Each is a file or directory of the service directory, with a mode for each kind of people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// To see the status.
    Status,
    /// To send commands. (Never to everybody.)
    Control,
    /// To listen to the events. (Never to the owner alone.)
    Events,
}

impl Right {
    /// All of them.
    pub const ALL: [Right; 3] = [Right::Status, Right::Control, Right::Events];

    /// The entry of the service directory whose mode gives the right.
    pub fn entry(self) -> &'static CStr {
        match self {
            Right::Status => c"supervise",
            Right::Control => c"supervise/control",
            Right::Events => c"event",
        }
    }

    /// Who has the right, by the attributes of the entry; `None`: they follow no scheme.
    pub fn who(self, attributes: &Attributes) -> Option<Who> {
        match (self, attributes.mode) {
            (Right::Status, 0o700) | (Right::Control, 0o600) => Some(Who::Owner),
            (Right::Status, 0o710) | (Right::Control, 0o620) | (Right::Events, 0o3730) => {
                Some(Who::Group(attributes.gid))
            }
            (Right::Status, 0o711) | (Right::Events, 0o1733) => Some(Who::Public),
            _ => None,
        }
    }

    fn mode(self, who: Who) -> u32 {
        match (self, who) {
            (Right::Status, Who::Owner) => 0o700,
            (Right::Status, Who::Group(_)) => 0o710,
            (Right::Status, Who::Public) => 0o711,
            (Right::Control, Who::Group(_)) => 0o620,
            (Right::Control, _) => 0o600,
            (Right::Events, Who::Public) => 0o1733,
            (Right::Events, _) => 0o3730,
        }
    }

    /// Gives the right in the service directory `dir` to `who`. Where that is no group, the entry gets the group
    /// `primary`.
    pub fn give(self, dir: Fd, who: Who, primary: u32) -> Result<()> {
        let group = if let Who::Group(group) = who { group } else { primary };
        // The group first: changing it may clear the set-group-ID bit.
        entry::set_group(dir, self.entry(), group)?;
        entry::set_mode(dir, self.entry(), self.mode(who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;

    #[test]
    fn what_is_given_is_what_is_seen() {
        let scratch = Scratch::new();
        scratch.mkdir("supervise");
        scratch.write("supervise/control", "");
        scratch.mkdir("event");
        let own = crate::sys::process::effective_group();
        for right in Right::ALL {
            for who in [Who::Owner, Who::Group(own), Who::Public] {
                if matches!((right, who), (Right::Control, Who::Public) | (Right::Events, Who::Owner)) {
                    continue;
                }
                right.give(scratch.fd, who, own).unwrap();
                let attributes = entry::attributes(scratch.fd, right.entry()).unwrap();
                assert_eq!(right.who(&attributes), Some(who), "{right:?}");
            }
        }
    }

    #[test]
    fn other_modes_are_no_scheme() {
        for right in Right::ALL {
            assert_eq!(right.who(&Attributes { uid: 0, gid: 0, mode: 0o777 }), None);
        }
    }
}
