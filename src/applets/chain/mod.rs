//! Chain loaders: each changes something about the process, then runs the rest of its command line.

mod accounts;
pub(super) mod applyuidgid;
mod background_watch;
mod envdir;
mod envuidgid;
mod fghack;
mod setlock;
mod setsid;
mod setuidgid;
mod softlimit;

use super::{Applet, s6};

/// Its commands.
pub static APPLETS: &[Applet] = &[
    s6("setsid", setsid::USAGE, "runs prog in a new session or process group", setsid::run).chains(),
    s6("setlock", setlock::USAGE, "runs prog with a lock on a file", setlock::run).chains(),
    s6("setuidgid", setuidgid::USAGE, "runs prog as another user (name, or uid:gid)", setuidgid::run).chains(),
    s6("applyuidgid", applyuidgid::USAGE, "runs prog as another user, with other groups", applyuidgid::run).chains(),
    s6("envuidgid", envuidgid::USAGE, "tells prog in its environment who somebody is", envuidgid::run).chains(),
    s6("envdir", envdir::USAGE, "runs prog with variables that are the files of a directory", envdir::run).chains(),
    s6("softlimit", softlimit::USAGE, "runs prog with other resource limits", softlimit::run).chains(),
    s6(
        "background-watch",
        background_watch::USAGE,
        "stays in the foreground for a daemon that does not",
        background_watch::run,
    ),
    s6("fghack", fghack::USAGE, "stays while prog or what it started does; the last resort", fghack::run),
];
