//! The fd-holder that is a process of its own, beside Debian's: the same bytes, the same answers; and where they are not
//! meant to be the same, both are told.
//!
//! Needs Debian's s6.

mod clients;
mod daemon;
mod differences;
mod dumps;
mod options;
mod requests;
mod rights;
mod rules;
mod starting;

#[allow(dead_code)] // other tests use the rest
#[path = "../common/raw.rs"]
mod raw;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
