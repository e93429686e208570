//! The access filters and the programs that make their databases: beside Debian's where it has them, else held to the
//! specification. Where ours differ on purpose, the test says so.

#[allow(unsafe_code)]
#[path = "../connecting/alone.rs"]
mod alone;
#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod checks;
mod damaged;
mod databases;
mod ident;
mod ipc;
mod names;
mod properties;
mod rules;
mod tcp;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
