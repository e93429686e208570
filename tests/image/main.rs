//! `scripts/image`: what is in the images that it makes, that they are the same each time, and what it says about a board
//! that is described wrongly. The images have the test's own binary in them, for every target: nothing of them is run here.
//! Tools, kernels and boot loaders are those that `scripts/setup` brings.

mod bmap;
mod disk;
mod maps;
mod mistakes;
mod modules;
mod parts;
mod same;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
