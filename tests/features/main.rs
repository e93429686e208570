//! What the smallest images need: command lines in files, and a logger.

mod exec;
mod kmsg;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod words;
