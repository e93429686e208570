//! `linchpin log`, and rings: what a killed writer leaves, what readers find; logdirs that Debian's s6-log has written and
//! that were made by hand, over rotations and deaths.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod files;
mod find;
mod follow;
mod kills;
mod place;
mod ring;
#[path = "../common/tmp.rs"]
#[allow(dead_code)] // other tests use the rest
mod tmp;
