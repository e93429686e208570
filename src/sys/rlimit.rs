//! Resource limits: getrlimit(2), setrlimit(2).

use super::{Result, image};
use rustix::process::{getrlimit, setrlimit};

pub use rustix::process::{Resource, Rlimit};

/// Which of a resource's two limits is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The soft one, which holds.
    Soft,
    /// The hard one, up to which the soft one may be raised.
    Hard,
    /// Both.
    Both,
}

/// A limit to be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// So much; all ones is no limit.
    Value(u64),
    /// As much as may be: for the soft limit the hard one, for the hard one no limit.
    Most,
}

/// The limits that come of setting one. No soft limit is above its hard one.
fn changed(now: Rlimit, which: Which, limit: Limit) -> Rlimit {
    let wanted = match limit {
        Limit::Value(u64::MAX) => None,
        Limit::Value(n) => Some(n),
        Limit::Most if which == Which::Soft => now.maximum,
        Limit::Most => None,
    };
    let below = |limit: Option<u64>, bound: Option<u64>| match (limit, bound) {
        (Some(limit), Some(bound)) => Some(limit.min(bound)),
        (one, other) => one.or(other),
    };
    match which {
        Which::Soft => Rlimit { current: below(wanted, now.maximum), maximum: now.maximum },
        Which::Hard => Rlimit { current: below(now.current, wanted), maximum: wanted },
        Which::Both => Rlimit { current: wanted, maximum: wanted },
    }
}

/// The soft limit, which holds; `None`: there is none.
pub fn soft(resource: Resource) -> Option<u64> {
    getrlimit(resource).current
}

/// Sets a limit. EPERM: only root raises hard limits.
pub fn set(resource: Resource, which: Which, limit: Limit) -> Result<()> {
    if matches!(resource, Resource::As | Resource::Data | Resource::Stack) {
        image::note_change();
    }
    setrlimit(resource, changed(getrlimit(resource), which, limit))
}

/// Sets both limits to what they were, as far as that may be.
pub fn restore(resource: Resource, before: Rlimit) {
    let _ = setrlimit(resource, before);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soft_limit_stays_below_the_hard_one() {
        let now = Rlimit { current: Some(10), maximum: Some(20) };
        let soft = |limit| changed(now, Which::Soft, limit).current;
        assert_eq!(soft(Limit::Value(15)), Some(15));
        assert_eq!(soft(Limit::Value(25)), Some(20));
        assert_eq!(soft(Limit::Value(u64::MAX)), Some(20));
        assert_eq!(soft(Limit::Most), Some(20));
        assert_eq!(changed(now, Which::Hard, Limit::Value(5)), Rlimit { current: Some(5), maximum: Some(5) });
        assert_eq!(changed(now, Which::Hard, Limit::Most), Rlimit { current: Some(10), maximum: None });
        assert_eq!(changed(now, Which::Both, Limit::Value(30)), Rlimit { current: Some(30), maximum: Some(30) });
        let free = Rlimit { current: None, maximum: None };
        assert_eq!(changed(free, Which::Soft, Limit::Most), free);
        assert_eq!(changed(free, Which::Hard, Limit::Value(7)), Rlimit { current: Some(7), maximum: Some(7) });
    }
}
