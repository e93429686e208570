//! Fifodirs: making them, telling and listening there.

mod cleanfifodir;
mod ftrig_notify;
mod mkfifodir;

use super::{Applet, s6};

pub(super) static APPLETS: &[Applet] = &[
    s6("mkfifodir", mkfifodir::USAGE, "makes a fifodir", mkfifodir::run),
    s6("cleanfifodir", cleanfifodir::USAGE, "removes what dead listeners left in a fifodir", cleanfifodir::run),
    s6("ftrig-notify", ftrig_notify::USAGE, "sends events to the listeners of a fifodir", ftrig_notify::run),
];
