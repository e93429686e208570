//! linchpin: PID 1 for embedded Linux, the s6 way, in one static binary without libc and heap.
//!
//! The rooms, from the outside in (each may use those below it, never the reverse):
//!
//! * [`applets`]: one small file per command; `applets/mod.rs` is the table.
//! * [`boot`]: what happens once in the life of PID 1: mounts, console, sockets, run image; shutdown.
//! * [`svscan`]: many services: scan, logger pipes, control commands, the engine that PID 1 runs.
//! * [`socket`]: addresses and the binders.
//! * [`superserver`]: accepts connections and runs a program for each, in processes of its own.
//! * [`logd`]: s6-log's logger: script, selection, logdirs and their rotation, rings in memory; and their readers.
//! * [`sudo`]: the conversation of sudoc and sudod.
//! * [`service`]: one service: its directory, its state machine, its status, tally and events.
//! * [`fdholder`]: the descriptor store: wire codec, table, server, client.
//! * [`access`]: access rules of users and groups.
//! * [`board`]: the board config: model, TOML reader, checker.
//! * [`disk`]: ids and names of partitions and file systems.
//! * [`state`]: the arena, in which everything lives that must outlive a crash.
//! * [`log`]: the logger. [`text`]: words and numbers. [`limits`]: every capacity.
//! * [`sys`]: Linux, made safe. [`arch`]: the machine. The only rooms with `unsafe`.
#![cfg_attr(not(test), no_std)]

pub mod access;
pub mod applets;
#[allow(unsafe_code)]
pub mod arch;
pub mod board;
pub mod boot;
pub mod disk;
pub mod fdholder;
pub mod limits;
pub mod log;
pub mod logd;
pub mod service;
pub mod socket;
pub mod state;
pub mod sudo;
pub mod superserver;
pub mod svscan;
pub mod sys;
pub mod text;

/// What `linchpin` says of itself. That of the build that tests upgrade to is a later one.
pub const VERSION: &str =
    if cfg!(feature = "next") { concat!(env!("CARGO_PKG_VERSION"), "+next") } else { env!("CARGO_PKG_VERSION") };

/// What process 1 can do without, and a small build does: features of `Cargo.toml`. Constants, so that the code is the same
/// in all builds, and the compiler leaves out what is never called.
pub mod has {
    /// Going on as another binary, and taking over from one.
    pub const UPGRADE: bool = cfg!(feature = "upgrade");
    /// Notification sockets.
    pub const NOTIFY: bool = cfg!(feature = "notify");
    /// Loading modules, finding devices, and going from an initramfs to the root file system.
    pub const ROOT: bool = cfg!(feature = "root");
    /// Access rules of a fd-holder.
    pub const RULES: bool = cfg!(feature = "rules");
}
