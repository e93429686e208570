//! See `checks::sudo`.
#![no_main]

#[allow(dead_code)] // other targets use the rest
#[path = "../../tests/properties/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::sudo(data));
