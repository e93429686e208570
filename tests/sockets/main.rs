//! `sockets`: what a fd-holder holds, ours (in svscan) and s6's (Debian's package `s6`).

#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)]
#[path = "../common/supervision.rs"]
mod supervision;
mod table;
#[allow(dead_code)]
#[path = "../common/tmp.rs"]
mod tmp;
