//! What the arena holds. Integers and byte arrays only: no pointer, no `bool`, no `enum` (those are checked casts of
//! the rooms that own the record), no padding. All times are boot-time nanoseconds unless they say otherwise; all
//! descriptor numbers are -1 when there is none; a slot is free when its `used` is 0.

use super::slot::checksum;
use crate::limits::{
    BOARD_SOCKETS, FDHOLDER_ALLOWS, FDHOLDER_CLIENTS, FDHOLDER_FDS, FDHOLDER_GLOBS, FDHOLDER_PATTERN, FDHOLDER_REPLY,
    FDHOLDER_REQUEST, HELD, JOBS, NOTIFY_STATUS, SERVICES, SOCKET_OPTIONS,
};
use crate::log::Ring;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// FNV-1a over the shape of a record, so that a binary recognises an arena that it did not lay out.
const fn mix(mut hash: u64, value: u64) -> u64 {
    let mut i = 0;
    while i < 8 {
        hash = (hash ^ (value >> (8 * i)) & 0xff).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

const fn mix_str(mut hash: u64, text: &str) -> u64 {
    let mut i = 0;
    while i < text.len() {
        hash = mix(hash, text.as_bytes()[i] as u64);
        i += 1;
    }
    hash
}

/// A trait for records: their shape as one number.
pub trait Shape {
    /// Hash of the names, offsets and sizes of the record's fields.
    const HASH: u64;
}

/// Declares a record of the arena: `repr(C)`, castable from any bytes, without padding, with its [`Shape`].
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
        #[repr(C)]
        pub struct $name { $($(#[$doc])* pub $field: $ty,)* }

        impl Shape for $name {
            const HASH: u64 = {
                let mut hash = mix_str(0xcbf2_9ce4_8422_2325, stringify!($name));
                $(
                    hash = mix_str(hash, stringify!($field));
                    hash = mix(hash, core::mem::offset_of!($name, $field) as u64);
                )*
                mix(hash, size_of::<$name>() as u64)
            };
        }
    };
}

record! {
    /// First in the arena: whose it is and what happened to it.
    pub struct Header {
        /// [`MAGIC`].
        pub magic: u64,
        /// [`Tables::HASH`](Shape::HASH) and the ring's size, of the binary that made it.
        pub layout: u64,
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
        pub late_events: u32,
        /// Generation for the next handle.
        pub next_generation: u32,
        /// How often the stop has killed what was left.
        pub stop_kills: u32,
        /// For later.
        pub spare: u32,
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
        /// Held slots from here on are free.
        pub held_top: u32,
        /// Client slots from here on are free.
        pub clients_top: u32,
        /// The fd-holder's directory of access rules, `[fdholder] rules` of the board config.
        pub fdholder_rules: [u8; 256],
    }
}

/// `linchpin` in ASCII.
pub const MAGIC: u64 = u64::from_le_bytes(*b"linchpin");

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
        /// For later.
        pub spare_bytes: [u8; 6],
        /// What the run is given to say again that it is alive, through its notification socket; 0: it need not.
        pub watchdog: u64,
        /// Name of the entry in the scan directory; a logger has its producer's.
        pub name: [u8; 256],
    }
}

record! {
    /// A held descriptor.
    pub struct Held {
        /// 1 if the slot is in use.
        pub used: u8,
        /// Length of `name`, at least 1.
        pub name_len: u8,
        /// Where it came from (`fdholder::table::Origin`).
        pub origin: u8,
        /// 1 if it is let go of when it reports an error, or that its other side is gone.
        pub polled: u8,
        /// The descriptor.
        pub fd: i32,
        /// When it expires: TAI64 label and nanoseconds, as the client sent them.
        pub limit_sec: u64,
        /// See above.
        pub limit_nano: u32,
        /// Checksum of the identity: name and limit.
        pub checksum: u32,
        /// When it was stored.
        pub stored: u64,
        /// Who stored it.
        pub uid: u32,
        /// See above.
        pub pid: u32,
        /// Who retrieved it last; 0 for nobody.
        pub last_pid: u32,
        /// How often it was retrieved.
        pub retrievals: u32,
        /// When it was retrieved last; 0 for never.
        pub retrieved: u64,
        /// Slot of the service that stored it through its notification socket; -1 if none did.
        pub service: i32,
        /// Generation of that slot.
        pub service_generation: u32,
        /// st_dev and st_ino of what it is, to recognise it again.
        pub dev: u64,
        /// See above.
        pub ino: u64,
        /// Its identifier.
        pub name: [u8; 256],
    }
}

record! {
    /// A client of the fd-holder, in whatever part of a request it is.
    pub struct Client {
        /// 1 if the slot is in use.
        pub used: u8,
        /// Bits: 1 once it asks no more, 2 once it reads no more.
        pub closing: u8,
        /// What it may do besides what depends on identifiers (`fdholder::rights`).
        pub rights: u8,
        /// 1 while a request is being carried out: if that was interrupted, nobody knows how far it came.
        pub serving: u8,
        /// Generation of the slot.
        pub generation: u32,
        /// The connection.
        pub fd: i32,
        /// Peer's credentials.
        pub pid: u32,
        /// See above.
        pub uid: u32,
        /// See above.
        pub gid: u32,
        /// When it connected.
        pub connected: u64,
        /// When it asked for a dump.
        pub dump_since: u64,
        /// Since when it has been waited for: to ask, to finish a request, to take an answer.
        pub since: u64,
        /// 1 if something in `request` is to be served before more is read.
        pub stalled: u8,
        /// What decides about identifiers (`fdholder::rights::Basis`).
        pub basis: u8,
        /// 1 once it has been answered.
        pub answered: u8,
        /// 1 once it has asked about what is held: a dump is given to it to be looked at, not to be kept.
        pub looks: u8,
        /// Descriptors that a dump still has to bring.
        pub dump_left: u32,
        /// The held slot with which a dump goes on.
        pub dump_next: u32,
        /// Descriptors that a dump still has to give.
        pub dump_give: u32,
        /// Length of `store_regex`; all ones if nothing may be stored.
        pub store_len: u16,
        /// Length of `retrieve_regex`; all ones if nothing may be retrieved.
        pub retrieve_len: u16,
        /// Bytes of `request` that have come…
        pub request_len: u32,
        /// …and how many of them have been served.
        pub request_done: u32,
        /// Bytes of `reply` that wait…
        pub reply_len: u32,
        /// …and how many of them have been sent.
        pub reply_sent: u32,
        /// Received descriptors that belong to no complete request yet.
        pub fds_len: u32,
        /// See `fds_len`.
        pub fds: [i32; FDHOLDER_FDS],
        /// The request that is coming in.
        pub request: [u8; FDHOLDER_REQUEST.next_multiple_of(4096)],
        /// The answer that is going out.
        pub reply: [u8; FDHOLDER_REPLY.next_multiple_of(4096)],
        /// Which identifiers it may store and delete, if regular expressions decide.
        pub store_regex: [u8; FDHOLDER_PATTERN],
        /// Which it may retrieve.
        pub retrieve_regex: [u8; FDHOLDER_PATTERN],
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
    /// What a user or a group may do with the fd-holder, `[[fdholder.allow]]` of the board config.
    pub struct Allow {
        /// 1 if the slot is in use.
        pub used: u8,
        /// Whom `id` means: 0 a user, 1 a group, 2 everybody.
        pub whom: u8,
        /// As a client's `rights`.
        pub rights: u8,
        /// For later.
        pub spare: u8,
        /// The user or group.
        pub id: u32,
        /// Most descriptors that they may have stored at a time; 0 for no limit but the table's.
        pub held_max: u32,
        /// Bytes of `globs`.
        pub globs_len: u32,
        /// The longest that a descriptor of theirs is held; 0 for no limit.
        pub lifetime_max: u64,
        /// Each a byte that says for what it is (`fdholder::rights::Use`), the pattern, a NUL.
        pub globs: [u8; FDHOLDER_GLOBS],
    }
}

record! {
    /// A socket of the board config that could not be bound yet: all that it takes to try again, when the board config has
    /// been forgotten.
    pub struct Pending {
        /// 1 if the slot is in use.
        pub used: u8,
        /// How it delivers (`sys::listener::Kind`).
        pub kind: u8,
        /// 1 for O_NONBLOCK.
        pub nonblocking: u8,
        /// Length of `name`.
        pub name_len: u8,
        /// Length of `address`.
        pub address_len: u8,
        /// Length of `device`; 0 for any.
        pub device_len: u8,
        /// Permissions of a path.
        pub mode: u16,
        /// Permissions of the directories above it that are not there.
        pub directory_mode: u16,
        /// Why it could not be bound: an errno.
        pub errno: u16,
        /// For listen(2).
        pub backlog: u32,
        /// Owner of a path.
        pub uid: u32,
        /// See above.
        pub gid: u32,
        /// How often it was tried since somebody asked for it.
        pub attempts: u32,
        /// Which of `options` are set: a bit for each (`socket::options`).
        pub asked: u32,
        /// When it was first tried.
        pub since: u64,
        /// When it is tried again.
        pub deadline: u64,
        /// Values of options.
        pub options: [u32; SOCKET_OPTIONS],
        /// Name of the network interface that it is for.
        pub device: [u8; 16],
        /// Its address, as text.
        pub address: [u8; 128],
        /// Its identifier in the fd-holder.
        pub name: [u8; 256],
    }
}

record! {
    /// A child that is not a service: init script, signal handler, unmounter.
    pub struct Job {
        /// 1 if the slot is in use.
        pub used: u8,
        /// What it is (`svscan::children::JobKind`).
        pub kind: u8,
        /// For later.
        pub spare: [u8; 2],
        /// Its pid; the kernel writes it.
        pub pid: i32,
        /// When it was started.
        pub started: u64,
        /// When it is killed; 0 for never.
        pub deadline: u64,
    }
}

record! {
    /// The record of the last fault.
    pub struct Epitaph {
        /// Length of `text`; 0 if there was none.
        pub len: u32,
        /// Signal number, or 0 for a panic.
        pub signal: u32,
        /// When.
        pub time: u64,
        /// What and where.
        pub text: [u8; 496],
    }
}

record! {
    /// A change to more than one record, to be done again if it was interrupted.
    pub struct Redo {
        /// 1 while it is valid.
        pub valid: u32,
        /// What it is.
        pub kind: u32,
        /// Its operands.
        pub slots: [i32; 6],
        /// See above.
        pub values: [u64; 4],
    }
}

record! {
    /// Everything but the log ring, which the logger writes on its own.
    pub struct Tables {
        /// Whose it is.
        pub header: Header,
        /// The last fault.
        pub epitaph: Epitaph,
        /// The change in progress.
        pub redo: Redo,
        /// Other children.
        pub jobs: [Job; JOBS],
        /// Supervised processes.
        pub services: [Service; SERVICES],
        /// Held descriptors.
        pub held: [Held; HELD],
        /// The notification sockets of the services in the same slots. Those of others are not touched.
        pub notifies: [Notify; SERVICES],
        /// Who may use the fd-holder besides root.
        pub allows: [Allow; FDHOLDER_ALLOWS],
        /// Sockets that could not be bound yet.
        pub pending: [Pending; BOARD_SOCKETS],
        /// The fd-holder's clients.
        pub clients: [Client; FDHOLDER_CLIENTS],
    }
}

/// The arena as a whole.
#[derive(FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(8))]
pub struct State {
    /// All records.
    pub tables: Tables,
    /// The last log lines.
    pub ring: Ring,
    /// Keeps the size a multiple of the alignment.
    pub end: u32,
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
        self.checksum = checksum(&[
            &[self.kind],
            &self.generation.to_ne_bytes(),
            &self.partner.to_ne_bytes(),
            &self.dev.to_ne_bytes(),
            &self.ino.to_ne_bytes(),
            self.name_bytes(),
        ]);
    }
}

impl State {
    /// Shape of the whole arena.
    pub const LAYOUT: u64 = {
        let mut hash = mix(Tables::HASH, size_of::<State>() as u64);
        let parts = [
            Header::HASH,
            Epitaph::HASH,
            Redo::HASH,
            Job::HASH,
            Service::HASH,
            Held::HASH,
            Client::HASH,
            Allow::HASH,
            Pending::HASH,
            Notify::HASH,
        ];
        let mut i = 0;
        while i < parts.len() {
            hash = mix(hash, parts[i]);
            i += 1;
        }
        hash
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_sizes_that_the_memory_budget_counts_on() {
        assert_eq!(size_of::<Service>() % 8, 0);
        assert!(size_of::<Service>() <= 512, "{}", size_of::<Service>());
        assert!(size_of::<Held>() <= 336, "{}", size_of::<Held>());
    }

    #[test]
    fn the_layout_is_one_number_and_every_field_counts() {
        record! { pub struct A { pub x: u32, pub y: u32, } }
        record! { pub struct B { pub y: u32, pub x: u32, } }
        assert_ne!(A::HASH, B::HASH);
        assert_ne!(State::LAYOUT, 0);
    }
}
