//! Whose arena it is, and what concerns the whole.

use super::{Shape, mix, mix_str};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `linchpin` in ASCII.
pub const MAGIC: u64 = u64::from_le_bytes(*b"linchpin");

record! {
    /// First in the arena: whose it is and what happened to it.
    pub struct Header {
        /// [`MAGIC`].
        pub magic: u64,
        /// [`Tables::HASH`](Shape::HASH) and the ring's size, of the binary that made it.
        pub layout: u64,
        /// Of the version that tests upgrade to: what this one does not know.
        #[cfg(feature = "next")]
        pub unknown: [u16; 12],
        /// Random number of this life of the machine (or of this `svscan`).
        pub boot_id: u64,
        /// How often the arena was entered again, 0 at first.
        pub incarnation: u32,
        /// Faults survived.
        pub faults: u32,
        /// When the last faults were; the oldest is overwritten.
        pub fault_times: [u64; 8],
        /// When the arena was made.
        pub started: u64,
        /// Descriptor of the binary itself, to enter it again.
        pub exe_fd: i32,
        /// Descriptor of the arena.
        pub arena_fd: i32,
        /// Descriptor of the scan directory.
        pub scandir_fd: i32,
        /// Descriptor of `.s6-svscan/control`.
        pub control_fd: i32,
        /// Descriptor of `.s6-svscan/lock`.
        pub lock_fd: i32,
        /// Listening descriptor of the fd-holder.
        pub fdholder_fd: i32,
        /// Descriptor given with `-X`: stderr of the catch-all logger.
        pub console_fd: i32,
        /// A null device, for stdio that was closed.
        pub null_fd: i32,
        /// How far the boot has come (`boot::Progress`).
        pub boot_progress: u32,
        /// What was asked of the whole: run, stop, poweroff… (`svscan::Plan`).
        pub plan: u32,
        /// When the stop gives up on those that do not end; 0 for never.
        pub stop_deadline: u64,
        /// When to scan next; 0 for no scan due.
        pub scan_deadline: u64,
        /// Events dropped because their handle's generation was over.
        #[cfg(not(feature = "next"))]
        pub late_events: u32,
        /// The same, wider.
        #[cfg(feature = "next")]
        pub late_events: u64,
        /// Keeps the order.
        #[cfg(feature = "next")]
        pub filler: u32,
        /// Generation for the next handle.
        pub next_generation: u32,
        /// How often the stop has killed what was left.
        pub stop_kills: u32,
        /// What the signals to process 1 mean (`svscan::Dialect`).
        pub dialect: u32,
        /// RLIMIT_NOFILE as it was given to us, soft and hard, which children get back; all ones for no limit.
        pub nofile_soft: u64,
        /// See above.
        pub nofile_hard: u64,
        /// Length of `fdholder_rules`; 0 if there is no such directory.
        pub fdholder_rules_len: u32,
        /// Slots of sockets to be bound from here on are free.
        pub pending_top: u32,
        /// When the next of them is tried again; 0 if there is none.
        pub pending_deadline: u64,
        /// Service slots from here on were never used.
        pub services_top: u32,
        /// So many faults (0: any number)…
        pub fault_limit: u32,
        /// …within so long, and process 1 does not try to go on any more, but…
        pub fault_within: u64,
        /// …does this (`state::leave::Then`).
        pub fault_then: u32,
        /// 1 once the board's init script was started.
        pub init_started: u32,
        /// How long a stop waits before it kills, as the board config says it; 0: as `stop-timeout` does.
        pub stop_timeout: u64,
        /// How long processes that are left at the end have between SIGTERM and SIGKILL.
        pub kill_timeout: u64,
        /// When this incarnation began.
        pub entered: u64,
        /// How it came to be (`state::Why`).
        pub entered_why: u32,
        /// How often it was entered on purpose.
        pub upgrades: u32,
        /// Slot of the client that has asked for this binary and was not told yet that it goes on, plus one; 0: nobody…
        pub asker: u32,
        /// …and the generation of that.
        pub asker_generation: u32,
        /// Descriptors from here on are our own: children do not get those below (`sys::fd`).
        pub own_from: i32,
        /// So many mounts of the board config are done.
        pub mounts_done: u32,
        /// Numbers from here on were never open when the process last left by a fault.
        pub fds_top: u32,
        /// For later.
        pub spare: u32,
        /// Held slots from here on are free.
        pub held_top: u32,
        /// Client slots from here on are free.
        pub clients_top: u32,
        /// Which of the numbers below 1024 were left to us by who started us, for our children: a bit for each.
        pub inherited: [u64; 16],
        /// The fd-holder's directory of access rules, `[fdholder] rules` of the board config.
        pub fdholder_rules: [u8; 256],
        /// The board's rescue command, a path that ends with a NUL.
        pub rescue: [u8; 256],
        /// What a stop begins with, `[shutdown] script`: a path that ends with a NUL; empty: there is none.
        pub stop_script: [u8; 256],
        /// How long that may take.
        pub stop_script_timeout: u64,
        /// How far it has come (`svscan::stop_script::Stage`).
        pub stop_stage: u32,
        /// What follows it (`svscan::Plan`)…
        pub stop_plan: u32,
        /// …and how services are told then (`svscan::stop::Manner`).
        pub stop_manner: u32,
        /// Keeps the order.
        pub stop_spare: u32,
    }
}
