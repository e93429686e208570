//! Going on as another binary: what has process 1 do that, and what finds out beforehand whether it would be well.

mod binary;
mod candidate;
mod reexec;

use super::{Applet, own};

pub use binary::check;

/// The usage line of `check`.
pub const CHECK_USAGE: &str = "file | --binary path [-s socket|scandir]";
/// What `check` does.
pub const CHECK_SUMMARY: &str = "tells what is wrong with a board config, or with a binary to go on as";

/// Its commands.
pub static APPLETS: &[Applet] =
    &[own("reexec", reexec::USAGE, "has process 1, or a svscan, go on as another binary", reexec::reexec)];
