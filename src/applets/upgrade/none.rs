//! In place of `upgrade`, in a build without it: `check` has no options.

use super::cli::{Cli, Opt, Options, WrongUsage};

/// The usage line of `check`.
pub const CHECK_USAGE: &str = "file";
/// What `check` does.
pub const CHECK_SUMMARY: &str = "tells what is wrong with a board config";

/// What `check` does when it has options: there are none.
pub fn check<I>(_: &Cli, _: Opt, _: Options<I>) -> Result<i32, WrongUsage>
where
    I: ExactSizeIterator<Item = &'static [u8]>,
{
    Err(WrongUsage)
}
