//! Upgrade in place: `linchpin svscan` goes on as a binary of another version, with another layout of its state, and back.
//!
//! The other version is this source, built with the feature `next` (into `target/next`, once). `LINCHPIN_NEXT` names one
//! that is there already; `LINCHPIN_UPGRADES` says how many times the long test goes there and back (1000 is what a
//! release is tried with).

mod fixtures;
mod house;
mod refusals;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod upgrades;
