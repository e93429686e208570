//! See `root::root`.
#![no_main]

#[path = "../../tests/properties/root.rs"]
mod root;

libfuzzer_sys::fuzz_target!(|data: &[u8]| root::root(data));
