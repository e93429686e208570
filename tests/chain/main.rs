//! The chain loaders beside Debian's: the same words, the same exit code, the same effect on the program that they run.
//! Where ours differ on purpose (s6's later version does, or Debian's is wrong), the test says so.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod daemons;
mod envdir;
mod identity;
mod limits;
mod locks;
mod sessions;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
