//! `supervise DIR`, one process per service. What is seen from the outside is asked of linchpin and, by the same test,
//! of s6's own (Debian's package `s6`): [`both`] runs a test with each.

mod directory;
mod process;
mod service;
mod signals;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod under_others;
