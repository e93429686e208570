//! See `zone::zone`.
#![no_main]

#[path = "../../tests/properties/zone.rs"]
mod zone;

libfuzzer_sys::fuzz_target!(|data: &[u8]| zone::zone(data));
