//! The check of an arena that was left by an earlier incarnation: what is whole passes unchanged, what is damaged is mended
//! alone, and whatever the bytes are, what is left is consistent.

mod bytes;
#[cfg(feature = "faults")]
#[allow(dead_code)] // other tests use the rest
#[path = "../enter/engine.rs"]
mod engine;
mod fields;
mod image;
mod mutations;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
mod small;
mod snapshots;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
#[cfg(feature = "faults")]
mod wild;
