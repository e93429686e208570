//! The same scenarios with Debian's super-servers and with linchpin's (Debian's package `s6` is needed), and with
//! linchpin's over TCP, on 127.0.0.1 and on ::1. What a scenario writes down must be the same everywhere, but for what
//! belongs to a protocol, which is held to the specification of s6 and s6-networking, and for what `known` lists.

mod compare;
mod house;
mod known;
mod stage;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;

mod access;
mod binding;
mod clients;
mod descriptors;
mod documented;
mod ending;
mod environment;
mod limits;
mod readiness;
mod signals;
mod sudo;
mod usage;
mod wrappers;
