//! Linux, made safe: every system call of the crate goes through this room. What rustix offers publicly is used
//! (and re-exported where callers need its types); the rest are stubs over `arch::syscall6` in [`raw`].
//!
//! # Safety
//! With `arch/`, this is the only room that may hold `unsafe`. Its functions are safe to call with any argument:
//! a wrong descriptor number or path is an errno, never undefined behaviour.
#![allow(unsafe_code)]

pub mod accept;
pub mod again;
pub mod append;
pub mod args;
pub mod cell;
pub mod connect;
pub mod datagram;
pub mod diag;
pub mod dir;
pub mod elf;
pub mod entry;
pub mod envfile;
pub mod environment;
pub mod epoll;
pub mod family;
pub mod fault;
pub mod fd;
pub mod file;
pub mod identity;
pub mod image;
#[cfg(feature = "faults")]
pub mod inject;
pub mod lines;
pub mod listener;
pub mod lock;
pub mod memory;
pub mod message;
pub mod name;
pub mod pages;
pub mod poll;
pub mod process;
pub mod random;
mod raw;
pub mod reaper;
pub mod ring;
pub mod rlimit;
pub mod sealed;
pub mod session;
pub mod signal;
pub mod socket;
pub mod tee;
pub mod time;
pub mod tree;
pub mod unix;
pub mod wait;

pub use fd::Fd;
pub use rustix::io::Errno;

/// Result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

/// A named point at which a test build can be made to fail. In other builds it is nothing.
#[macro_export]
macro_rules! fault_point {
    ($name:literal) => {
        #[cfg(feature = "faults")]
        {
            const { assert!($crate::sys::inject::is_point($name), "name it in sys/inject.rs") };
            $crate::sys::inject::reached($name);
        }
    };
}

/// A named point before a call that a test build can make fail: an error, if it is to. In other builds there is none.
#[cfg(feature = "faults")]
#[macro_export]
macro_rules! fault_errno {
    ($name:literal) => {{
        const { assert!($crate::sys::inject::is_point($name), "name it in sys/inject.rs") };
        $crate::sys::inject::failure($name)
    }};
}

/// A named point before a call that a test build can make fail. In this one there is none.
#[cfg(not(feature = "faults"))]
#[macro_export]
macro_rules! fault_errno {
    ($name:literal) => {
        $crate::sys::Result::<()>::Ok(())
    };
}
