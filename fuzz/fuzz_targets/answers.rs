//! See `answers::answers`.
#![no_main]

#[path = "../../tests/properties/answers.rs"]
mod answers;

thread_local!(static PLACE: answers::Place = answers::Place::new());

libfuzzer_sys::fuzz_target!(|data: &[u8]| PLACE.with(|place| answers::answers(place, data)));
