//! `status` and `failed`, on scan directories of s6 (Debian's package `s6`) and on our own.

mod failed;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)]
#[path = "../common/supervision.rs"]
mod supervision;
#[cfg(feature = "faults")]
mod survived;
mod table;
#[allow(dead_code)]
#[path = "../common/tmp.rs"]
mod tmp;
#[allow(dead_code)]
#[path = "../supervision_clients/tree.rs"]
mod tree;
