//! The two notification bridges: between sd_notify(3) and a newline on a descriptor, in both directions.

mod end_to_end;
mod from_descriptor;
mod from_socket;
mod running;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
