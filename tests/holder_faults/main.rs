//! Process 1 (here `linchpin svscan`) is interrupted while it serves clients of the fd-holder, and while it hears services:
//! at every named point (`src/sys/inject.rs`), and at any instruction. Nobody notices. Needs a build with the feature
//! `faults`, and s6 (Debian's package).
#![cfg(feature = "faults")]

mod anywhere;
#[allow(dead_code)] // other tests use the rest
#[path = "../notify/client.rs"]
mod client;
mod points;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/raw.rs"]
mod raw;
mod said;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)] // other tests use the rest
#[path = "../fdholder/store.rs"]
mod store;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
