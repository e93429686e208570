//! Fifodirs: making them, telling and listening there.

mod cleanfifodir;
mod ftrig;
mod ftrig_listen;
mod ftrig_listen1;
mod ftrig_notify;
mod ftrig_wait;
mod mkfifodir;

use super::{Applet, s6};

/// Its commands.
pub static APPLETS: &[Applet] = &[
    s6("mkfifodir", mkfifodir::USAGE, "makes a fifodir", mkfifodir::run),
    s6("cleanfifodir", cleanfifodir::USAGE, "removes what dead listeners left in a fifodir", cleanfifodir::run),
    s6("ftrig-notify", ftrig_notify::USAGE, "sends events to the listeners of a fifodir", ftrig_notify::run),
    s6("ftrig-wait", ftrig_wait::USAGE, "waits for events in a fifodir", ftrig_wait::run),
    s6("ftrig-listen1", ftrig_listen1::USAGE, "starts prog and waits for events in a fifodir", ftrig_listen1::run),
    s6("ftrig-listen", ftrig_listen::USAGE, "starts prog and waits for events in fifodirs", ftrig_listen::run),
];
