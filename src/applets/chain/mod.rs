//! Chain loaders: each changes something about the process, then runs the rest of its command line.

mod setuidgid;

use super::{Applet, s6};

pub(super) static APPLETS: &[Applet] =
    &[s6("setuidgid", "account prog...", "runs prog as another user (name, or uid:gid)", setuidgid::run)];
