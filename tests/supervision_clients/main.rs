//! The clients of supervision against the daemons of s6 (Debian's package `s6`), and many against ours too: what s6's
//! clients can do with them, ours can.

mod instances;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
mod svc;
mod svdt;
mod svlink;
mod svlisten;
mod svok;
mod svperms;
mod svscanctl;
mod svstat;
mod svwait;
mod tree;
mod wait;
