//! See `checks::rules` and `checks::rule`.
#![no_main]

#[allow(dead_code)] // other targets use the rest
#[path = "../../tests/properties/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::rules(data);
    checks::rule(data);
});
