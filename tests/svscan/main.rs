//! The engine, `linchpin svscan`, driven by the clients of s6 (Debian's package `s6`) and by hostile services,
//! directories and limits.

mod campaign;
mod children;
mod containers;
mod defects;
mod loggers;
mod orders;
mod running;
#[allow(dead_code)] // other tests use the rest
mod scandir;
mod scanning;
mod starting;
mod stopping;
mod storms;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod trouble;
