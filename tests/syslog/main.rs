//! socklog and ucspilogd beside Debian's, and the reader of the kernel's log, which s6 does not have. Where ours differ
//! on purpose, the test says so.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod checks;
mod clients;
mod held;
mod klog;
mod own;
mod pressure;
mod properties;
mod server;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod ucspilogd;
