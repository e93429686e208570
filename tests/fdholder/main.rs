//! The fd-holder against s6's: every client with every store, the same commands and the same bytes.
//!
//! Needs s6 (Debian's package). `LINCHPIN` names another binary than the one cargo built, to test that.

mod clients;
mod store;
mod stores;
