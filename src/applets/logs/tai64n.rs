//! `s6-tai64n`: puts a time stamp in front of each line, and a space.
//!
//! Lines that are read at once have the same stamp. Only newlines end lines; an unterminated last one gets one. A line may
//! be of any length; one that is longer than [`FILTERED`](crate::limits::FILTERED) is passed on in parts, with the stamp of
//! the first. There are no options. 111: something cannot be read or written.

use super::filter::Filter;
use crate::applets::cli::Cli;
use crate::text::tai::Stamp;

/// What follows the name on a command line.
pub const USAGE: &str = "";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    let filter = match Filter::new(cli) {
        Ok(filter) => filter.completing(),
        Err(code) => return code,
    };
    let mut stamp = [b' '; 26];
    filter.run(
        &mut stamp,
        |stamp| stamp[..25].copy_from_slice(&Stamp::now().to_text()),
        |stamp, part, output| {
            if part.begins {
                output.put(&stamp[..]);
            }
            output.put(part.bytes);
        },
    )
}
