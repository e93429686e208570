//! scripts/flash, on plain files: what it refuses, what it asks, what it writes, and what it says when that fails. What it
//! learns from /sys and /proc is made up here.

mod image;
mod machine;
mod maps;
mod questions;
mod refusals;
#[path = "../common/tmp.rs"]
mod tmp;
mod trouble;
mod writing;
