//! Words and numbers that several rooms read or print. Pure: no system call.

pub mod cdb;
pub mod cdb_make;
pub mod cpath;
pub mod date;
pub mod duration;
pub mod errno;
pub mod fdname;
pub mod find;
pub mod glob;
pub mod hosts;
pub mod ip;
pub mod kernel_words;
pub mod kmsg;
pub mod modules;
pub mod notify;
pub mod number;
pub mod order;
pub mod passwd;
pub mod quote;
pub mod regex;
pub mod syslog;
pub mod tai;
pub mod words;
pub mod zone;

pub use cpath::CPath;
