//! Services: supervision, and the clients of it.

mod notifyoncheck;
mod permafailon;
mod supervise;
pub(super) mod svc;
mod svdt;
pub(super) mod svlink;
mod svlisten;
mod svok;
mod svperms;
mod svscan;
mod svscanctl;
pub(super) mod svstat;
mod svwait;
mod waiting;

use super::{Applet, s6};

/// What one needs to control services.
pub static BASIC: &[Applet] = &[
    s6("svc", svc::USAGE, "sends commands to supervisors, and waits for what comes of them", svc::svc),
    s6("svstat", "[-uwNrpgest | -o field,...] [-n] servicedir", "tells the status of a service", svstat::svstat),
    s6("svscanctl", "[-zabhtiqnN] scandir", "sends commands to the scanner of a scan directory", svscanctl::svscanctl),
    s6("svok", "servicedir", "tells by its exit code whether a service is supervised", svok::svok),
    s6("svwait", svwait::USAGE, "waits until services are in a state", svwait::svwait),
];

/// All others.
pub static MORE: &[Applet] = &[
    s6("svscan", svscan::USAGE_LINE, "supervises the services of a directory", svscan::svscan),
    s6("supervise", "servicedir", "supervises one service, without a scanner", supervise::supervise),
    s6("svlisten", svlisten::USAGE, "runs a program, and waits until services are in a state", svlisten::svlisten),
    s6("svlisten1", svlisten::USAGE1, "runs a program, and waits until a service is in a state", svlisten::svlisten1),
    s6("svperms", svperms::USAGE, "tells and changes who may see, control and listen to services", svperms::svperms),
    s6("svdt", "[-S | -s] [-n max] servicedir", "prints the last deaths of a service", svdt::svdt),
    s6("svdt-clear", "servicedir", "forgets the deaths of a service", svdt::svdt_clear),
    s6("permafailon", permafailon::USAGE, "ends a service for good that dies too often (for finish)", permafailon::run)
        .chains(),
    s6(
        "notifyoncheck",
        notifyoncheck::USAGE,
        "runs prog, and finds out by polling when it is ready",
        notifyoncheck::run,
    ),
    s6("svlink", svlink::USAGE, "adds a service to a live scan directory", svlink::svlink),
    s6("svunlink", "[-X] [-t timeout] scandir name", "takes a service away from a scan directory", svlink::svunlink),
];
