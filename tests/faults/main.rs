//! A process that fails leaves by a fault and is entered again: in every way in which code can fail, by every signal that
//! says so, as `svscan` and as process 1 of namespaces. What follows when it fails too often.
//!
//! Needs a binary that fails on demand: `cargo nextest run --features faults`.
#![cfg(feature = "faults")]

#[allow(dead_code)] // other tests use the rest
#[path = "../init/lines.rs"]
mod lines;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/machine.rs"]
mod machine;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/pty.rs"]
mod pty;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/world.rs"]
mod world;

mod giving_up;
mod init;
mod svscan;

/// What the kinds of faults say of themselves, in the order of their signals.
const SAID: [&str; 8] = [
    "SIGSEGV, nothing is mapped at address 0x0, at instruction 0x",
    "SIGSEGV, the stack is full: address 0x",
    "SIGILL, address 0x",
    "SIGFPE",
    "panic at src/sys/inject.rs:",
    "index out of bounds: the len is 2 but the index is 2",
    "a fault was asked for   left: 0  right: 1",
    "SIGSEGV, not allowed at address 0x",
];

/// The signals by which a process says that an instruction of its has failed.
const SIGNALS: [(i32, &str); 6] = [
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGSYS, "SIGSYS"),
];

const FIRST_SIGNAL: i32 = linchpin::sys::inject::FIRST_SIGNAL;
