//! See `handover::handover`.
#![no_main]

#[path = "../../tests/properties/handover.rs"]
mod handover;

libfuzzer_sys::fuzz_target!(|data: &[u8]| handover::handover(data));
