//! The fd-holder against s6's: every client with every store, the same commands and the same bytes.
//!
//! Needs s6 (Debian's package). `LINCHPIN` names another binary than the one cargo built, to test that.

mod clients;
mod dumps;
mod fake;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/raw.rs"]
mod raw;
mod several;
mod store;
mod stores;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod transcripts;
