//! `linchpin svscan` is interrupted while it supervises: at every named point (`src/sys/inject.rs`), and at any instruction.
//! Afterwards everything is as if it had not been. Needs a build with the feature `faults`.
#![cfg(feature = "faults")]

mod campaign;
mod points;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod world;
