//! See `session::session`.
#![no_main]

#[path = "../../tests/properties/session.rs"]
mod session;

use std::cell::RefCell;

thread_local!(static PLACE: RefCell<session::Place> = RefCell::new(session::Place::new()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| PLACE.with(|place| session::session(&mut place.borrow_mut(), data)));
