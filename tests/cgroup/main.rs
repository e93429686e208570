//! `cgroup`: a service in a control group of its own, of which nothing outlives it.

mod leftovers;
mod mounts;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)]
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)]
#[path = "../common/tmp.rs"]
mod tmp;
