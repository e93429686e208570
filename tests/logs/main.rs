//! The same scripts, options and input for Debian's s6-log and for linchpin's (Debian's package `s6` is needed): what they
//! write, everywhere, must be the same byte for byte, but for time stamps, which must have the form and the order that they
//! should, and for what `known` lists. `coverage` says where each point of the specification's lists has its test.

mod compare;
mod coverage;
mod known;
mod look;
mod stage;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;

mod calls;
mod control;
mod ends;
mod errors;
mod input;
mod processors;
mod restart;
mod rotation;
mod select;
mod signals;
mod stamps;
mod status;
mod steps;
mod tools;
mod trouble;
