//! Services: supervision, and the clients of it.

mod notifyoncheck;
mod permafailon;
mod supervise;
mod svc;
mod svscan;
mod svscanctl;
mod svstat;

use super::{Applet, s6};

pub(super) static APPLETS: &[Applet] = &[
    s6("svscan", svscan::USAGE_LINE, "supervises the services of a directory", svscan::svscan),
    s6("supervise", "servicedir", "supervises one service, without a scanner", supervise::supervise),
    s6("svc", svc::USAGE, "sends commands to supervisors, and waits for what comes of them", svc::svc),
    s6("svstat", "[-uwNrpgest | -o field,...] [-n] servicedir", "tells the status of a service", svstat::svstat),
    s6("svscanctl", "[-zabhtiqnN] scandir", "sends commands to the scanner of a scan directory", svscanctl::svscanctl),
    s6("permafailon", permafailon::USAGE, "ends a service for good that dies too often (for finish)", permafailon::run),
    s6(
        "notifyoncheck",
        notifyoncheck::USAGE,
        "runs prog, and finds out by polling when it is ready",
        notifyoncheck::run,
    ),
];
