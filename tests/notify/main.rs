//! `notify-socket`: what services say through their notification sockets, sd_notify(3), and what becomes of it.

mod client;
mod hostile;
mod said;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
mod service;
mod stored;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod watchdog;
