//! See `checks::origins`.
#![no_main]

#[path = "../../tests/filters/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::origins(data));
