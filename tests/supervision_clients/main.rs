//! The clients of supervision, `svc`, `svstat` and `svscanctl`, against the daemons of s6 (Debian's package `s6`): what
//! s6's clients can do with them, ours can.

#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
mod svc;
mod svscanctl;
mod svstat;
mod tree;
mod wait;
