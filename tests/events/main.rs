//! The tools for fifodirs beside Debian's, and with Debian's on the other side.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod fifodirs;
mod listening;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
