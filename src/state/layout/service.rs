//! What is known of each child: supervised processes, what they say of themselves, and jobs.

use super::super::slot::checksum;
use super::{Shape, mix, mix_str};
use crate::limits::NOTIFY_STATUS;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

record! {
    /// A supervised process: what is known of it.
    pub struct Service {
        /// 1 if the slot is in use.
        pub used: u8,
        /// Kind: 0 a service, 1 a logger (`NAME/log`), 2 the catch-all logger, 3 the only service of the process.
        pub kind: u8,
        /// 1 if the scan directory had it at the last scan.
        pub active: u8,
        /// Length of `name`.
        pub name_len: u8,
        /// Generation of the slot.
        pub generation: u32,
        /// Slot of its logger or of its producer; -1 if it has none.
        pub partner: i32,
        /// Checksum of the identity: kind, generation, partner, name, dev, ino.
        pub checksum: u32,
        /// st_dev of the service directory (of the logger itself, for a logger).
        pub dev: u64,
        /// st_ino of it.
        pub ino: u64,
        /// Of the version that tests upgrade to: what this one does not know.
        #[cfg(feature = "next")]
        pub unknown: [i32; 6],
        /// In another place there.
        #[cfg(feature = "next")]
        pub deadline: u64,
        /// State of the machine (`service::machine::State`).
        pub state: u8,
        /// Wanted up, as the status file says it.
        pub want_up: u8,
        /// Stopped by SIGSTOP at our hand.
        pub paused: u8,
        /// Up: ready. Down: the finish script is over.
        pub ready: u8,
        /// Never started since the supervisor was.
        pub fresh: u8,
        /// Its stdio was closed: children get the null device.
        pub stdio_closed: u8,
        /// What `deadline` is for (`service::machine::Timer`).
        pub timer: u8,
        /// 1 while the supervisor of this record is running (it may have been told to exit with `x`).
        pub supervised: u8,
        /// Pid of run or finish, 0 if neither runs. The kernel writes it (CLONE_PARENT_SETTID).
        pub pid: i32,
        /// How run last ended, wait(2)'s encoding.
        pub wstat: u32,
        /// TAI64 label of the last start or death.
        pub stamp_sec: u64,
        /// TAI64 label of the last readiness or end of finish.
        pub ready_sec: u64,
        /// Nanoseconds of the two.
        pub stamp_nano: u32,
        /// See above.
        pub ready_nano: u32,
        /// When run was last started.
        pub started: u64,
        /// When the supervisor was last started.
        pub supervisor_started: u64,
        /// When `timer` fires; 0 if it is not armed.
        #[cfg(not(feature = "next"))]
        pub deadline: u64,
        /// Counts changes of state; odd while one is being written.
        pub sequence: u32,
        /// The last sequence that the status file shows.
        pub published: u32,
        /// Starts of run in the supervisor's life.
        pub starts: u32,
        /// A pid whose death has been taken into the record but that may not have been reaped.
        pub dead_pid: i32,
        /// Descriptor of the service directory (O_PATH).
        pub dir_fd: i32,
        /// Descriptor of `supervise/control`.
        pub control_fd: i32,
        /// Descriptor of `supervise/lock`, locked.
        pub lock_fd: i32,
        /// Reading side of the readiness pipe.
        pub notify_fd: i32,
        /// For a logger: reading side of the log pipe. For its producer: writing side.
        pub pipe_fd: i32,
        /// Errno of the last failure that was reported, so that a repeated one is reported once.
        pub trouble: u32,
        /// Directory of its cgroup; -1 if it has none.
        pub cgroup_fd: i32,
        /// Slot of the dependency that it waits for, if `waits` says that it does; else -1.
        pub waits_on: i32,
        /// 1 for a logger that is to be started once more, to read what is in its pipe, before its supervisor exits.
        pub drains: u8,
        /// What keeps it from being started (`service::machine::Waits`).
        pub waits: u8,
        /// 1 if the run that runs, or did last, has a readiness descriptor.
        pub notifies: u8,
        /// Which of the files are there that s6 does not know (`service::extra`).
        pub extras: u8,
        /// Starts in a row that did not last, up to 63.
        pub failures: u8,
        /// In a stop, 1 or 2: to be told to end, and how, when those that need it have ended (`svscan::order`).
        pub deferred: u8,
        /// 1 if `supervise/waiting` is there.
        pub waiting_file: u8,
        /// 1 while the tally does not have the last death yet.
        pub untallied: u8,
        /// When run last died.
        pub died: u64,
        /// Age of the service directory when `extras` was found out; 0 if that has to be done again.
        pub looked: u64,
        /// Hash of what was last said about its dependencies, so that it is said once.
        pub complaint: u32,
        /// Events that were not sent yet, in their order, the rest 0; they follow the status file.
        pub untold: [u8; 4],
        /// How often its control group was found not to be empty when the record was to go.
        pub lingers: u8,
        /// 1 if it has a notification socket: a record in the table of those.
        pub notified: u8,
        /// 1 if it is down because its finish said so: a permanent failure.
        pub gave_up: u8,
        /// For later.
        #[cfg(not(feature = "next"))]
        pub spare_bytes: [u8; 5],
        /// Without that, but with its place.
        #[cfg(feature = "next")]
        pub other_bytes: [u8; 5],
        /// What the run is given to say again that it is alive, through its notification socket; 0: it need not.
        pub watchdog: u64,
        /// Name of the entry in the scan directory; a logger has its producer's.
        pub name: [u8; 256],
    }
}

impl Service {
    /// The name of the entry in the scan directory.
    pub fn name_bytes(&self) -> &[u8] {
        self.name.get(..usize::from(self.name_len)).unwrap_or_default()
    }

    /// Sets the name, cut to 255 bytes (callers have checked the length), and seals the record.
    pub fn set_name(&mut self, name: &[u8]) {
        let len = name.len().min(self.name.len() - 1);
        self.name = [0; 256];
        self.name[..len].copy_from_slice(&name[..len]);
        self.name_len = len as u8;
        self.seal();
    }

    /// Recomputes the checksum of the identity, after a change to it.
    pub fn seal(&mut self) {
        self.checksum = self.identity_sum();
    }

    /// Whether the identity is the one that was sealed.
    pub fn is_sealed(&self) -> bool {
        self.checksum == self.identity_sum()
    }

    /// The checksum that the identity should have.
    pub fn identity_sum(&self) -> u32 {
        checksum(&[
            &[self.kind],
            &self.generation.to_ne_bytes(),
            &self.partner.to_ne_bytes(),
            &self.dev.to_ne_bytes(),
            &self.ino.to_ne_bytes(),
            self.name_bytes(),
        ])
    }
}

record! {
    /// The notification socket of a service that asks for one, and what came through it.
    pub struct Notify {
        /// 1 while there is a socket.
        pub used: u8,
        /// Who may speak for the service (`service::notify::Access`).
        pub access: u8,
        /// 1 if the socket has a name in the file system that nobody can guess, 0 if it has an abstract one.
        pub hidden: u8,
        /// What the service said of itself: 1 it reloads, 2 it stops.
        pub state: u8,
        /// Generation of the service's record.
        pub generation: u32,
        /// The socket.
        pub fd: i32,
        /// Most descriptors that the service may have stored.
        pub stored_max: u32,
        /// What it said about its failure; 0: nothing.
        pub errno: u32,
        /// Length of `name`.
        pub name_len: u32,
        /// Length of `status`.
        pub status_len: u32,
        /// Lines that were not logged since `logged`.
        pub unlogged: u32,
        /// When a line about it was logged last; 0: never.
        pub logged: u64,
        /// When the file that shows what it said was written last; 0: never.
        pub written: u64,
        /// When that file is to be written; 0: it is up to date.
        pub due: u64,
        /// Name of the socket: in `notify/`, or abstract.
        pub name: [u8; 24],
        /// Its last status line, perhaps cut.
        pub status: [u8; NOTIFY_STATUS],
    }
}

record! {
    /// A child that is not a service: init script, signal handler, unmounter.
    pub struct Job {
        /// 1 if the slot is in use.
        pub used: u8,
        /// What it is (`svscan::children::JobKind`).
        pub kind: u8,
        /// Why it has not become what it was to be, as it says itself (`SpawnError::note`); 0: it has.
        pub failed: u16,
        /// Its pid; the kernel writes it.
        pub pid: i32,
        /// When it was started.
        pub started: u64,
        /// When it is killed; 0 for never.
        pub deadline: u64,
    }
}
