//! See `checks::service_files`.
#![no_main]

#[allow(dead_code)] // other targets use the rest
#[path = "../../tests/properties/checks.rs"]
mod checks;

thread_local!(static SCRATCH: checks::Scratch = checks::Scratch::new());

libfuzzer_sys::fuzz_target!(|data: &[u8]| SCRATCH.with(|scratch| checks::service_files(scratch, data)));
