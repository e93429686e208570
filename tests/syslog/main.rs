//! socklog and ucspilogd beside Debian's, and the reader of the kernel's log, which s6 does not have. Where ours differ
//! on purpose, the test says so.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod checks;
mod clients;
mod held;
#[allow(dead_code)] // other tests use the rest
#[path = "../handover/holder.rs"]
mod holder;
mod klog;
mod own;
mod pressure;
mod properties;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
mod server;
mod supervised;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod ucspilogd;
