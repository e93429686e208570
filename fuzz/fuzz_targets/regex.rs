//! See `scripts::regex`.
#![no_main]

#[allow(dead_code)] // another target uses the rest
#[path = "../../tests/properties/scripts.rs"]
mod scripts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| scripts::regex(data));
