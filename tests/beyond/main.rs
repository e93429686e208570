//! What svscan does beyond s6, in files that s6 ignores; and corners of s6's own behaviour.

mod cgroup_mounts;
mod cgroups;
mod corners;
mod dependencies;
mod endings;
mod restarts;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
