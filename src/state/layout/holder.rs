//! The fd-holder: what is held, who is connected, who may use it, and the sockets that are still to be bound.

use super::{Shape, mix, mix_str};
use crate::limits::{FDHOLDER_FDS, FDHOLDER_GLOBS, FDHOLDER_PATTERN, FDHOLDER_REPLY, FDHOLDER_REQUEST, SOCKET_OPTIONS};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
        /// Of the version that tests upgrade to: what this one does not know.
        #[cfg(feature = "next")]
        pub unknown: u64,
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
        /// How often what it asks was begun and not ended: more than 1 if that was interrupted by a fault.
        pub serving: u8,
        /// Generation of the slot.
        pub generation: u32,
        /// The connection.
        pub fd: i32,
        /// Of the version that tests upgrade to: what this one does not know.
        #[cfg(feature = "next")]
        pub unknown: [u32; 2],
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
        /// Received descriptors…
        pub fds_len: u32,
        /// …and how many of them belonged to requests that have been served.
        pub fds_done: u32,
        /// 1 if the answer that waits is in `brief`, not in `reply`.
        pub is_brief: u32,
        /// A short answer.
        pub brief: [u8; 16],
        /// See `fds_len`; -1 for one that was not kept.
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
