//! See `bytes::stands`.
#![no_main]

#[path = "../../tests/mend/bytes.rs"]
mod bytes;
#[allow(dead_code)]
#[path = "../../tests/mend/image.rs"]
mod image;
#[allow(dead_code)]
#[path = "../../tests/mend/small.rs"]
mod small;

use std::cell::RefCell;

thread_local!(static ARENA: RefCell<image::Image> = RefCell::new(small::small()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| ARENA.with(|arena| bytes::stands(&mut arena.borrow_mut(), data)));
