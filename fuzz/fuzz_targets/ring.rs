//! See `ring::ring`.
#![no_main]

#[path = "../../tests/properties/ring.rs"]
mod ring;

libfuzzer_sys::fuzz_target!(|data: &[u8]| ring::ring(data));
