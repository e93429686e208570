//! The binary: `_start` (in `arch/entry.rs`) lands in [`main`], which picks the applet.
#![no_std]
#![no_main]

#[path = "arch/entry.rs"]
mod entry;

/// Runs the applet that the arguments name and returns its exit code.
fn main(args: linchpin::sys::args::Args) -> i32 {
    linchpin::applets::run(args)
}
