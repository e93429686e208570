//! What images without a shell need: command lines in files.

mod exec;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod words;
