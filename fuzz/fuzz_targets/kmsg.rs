//! See `checks::kmsg`.
#![no_main]

#[path = "../../tests/syslog/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::kmsg(data));
