//! What was being done: for the program that is entered again in the middle of it. The kernel writes into these records
//! itself where it can (a pid, the length of a message): there is no instant at which it has done something that no record
//! shows.

use super::service::Service;
use super::{Shape, mix, mix_str};
use crate::limits::INBOX;
use crate::sys::message::{CONTROL_WORDS, HEADER_WORDS, PART_WORDS};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

record! {
    /// The record of the last fault.
    pub struct Epitaph {
        /// Length of `text`; 0 if there was none.
        pub len: u32,
        /// Signal number, or 0 for a panic.
        pub signal: u32,
        /// si_code: positive if the kernel says so of an instruction of ours, else somebody sent it.
        pub code: i32,
        /// Who sent it, if somebody did.
        pub sender: i32,
        /// When, on the boot-time clock.
        pub time: u64,
        /// The same on the wall clock: seconds since 1970.
        pub wall: u64,
        /// The address that was accessed (si_addr), the instruction, the stack pointer, the link register (0 on x86_64).
        pub address: u64,
        /// See above.
        pub instruction: u64,
        /// See above.
        pub stack: u64,
        /// See above.
        pub link: u64,
        /// What and where, as it is told.
        pub text: [u8; 440],
    }
}

record! {
    /// What is being done to one service, for it to be done again: an event, from before its machine takes it until all that
    /// follows from it is done, or a change of its identity. On entry `before` is put back and the event is fed again: the
    /// machine is a pure function, and the child that it had started already is the one in `pid`.
    pub struct Redo {
        /// What there is (`service::redo`): 0 nothing, 1 an event, and `before` is from before it, 2 a change, and `before`
        /// is what the service's becomes.
        pub valid: u32,
        /// Slot of the service.
        pub slot: u32,
        /// The event (`service::redo`).
        pub event: u32,
        /// How often it was done again: what fails every time is given up.
        pub attempts: u32,
        /// Operand of the event.
        pub value: u64,
        /// When it happened: boot time…
        pub now: u64,
        /// …and TAI64 label and nanoseconds.
        pub stamp_sec: u64,
        /// See above.
        pub stamp_nano: u32,
        /// 1 if a start that follows may be done at once.
        pub at_once: u32,
        /// So many bytes of the inbox are done with once this is on record; 0: it does not come from there.
        pub taken: u32,
        /// What `pid` is of: 0 nothing, 1 run, 2 finish.
        pub spawned: u32,
        /// A child that was started meanwhile; the kernel writes it.
        pub pid: i32,
        /// Why that child has not become what it was to be, as it says itself (`SpawnError::note`); 0: it has.
        pub failed: u16,
        /// For later.
        pub spare: [u8; 2],
        /// The record as it was, or as it becomes.
        pub before: Service,
    }
}

record! {
    /// Input that was read, and is gone from the kernel, but has not been acted on yet: bytes of a FIFO, a signal. It is
    /// zero before the kernel writes it, so that what came is known by looking, whatever was interrupted. (A zero byte that
    /// somebody sends means nothing.)
    pub struct Inbox {
        /// Where it comes from (`svscan::inbox`); 0: there is nothing.
        pub source: u32,
        /// The service whose it is: its slot…
        pub slot: u32,
        /// …and the generation of that.
        pub generation: u32,
        /// So many bytes have been acted on.
        pub done: u32,
        /// What `done` is as soon as an event is on record (`Redo`); 0: nothing is being acted on.
        pub acting: u32,
        /// One more than the slot of the job that a signal has started; 0: none.
        pub job: u32,
        /// How often it was taken up again: what fails every time is given up.
        pub attempts: u32,
        /// For later.
        pub spare: u32,
        /// What came; zero behind it.
        pub bytes: [u8; INBOX],
    }
}

record! {
    /// A message that is being received or sent, or a request of an fd-holder client that is decided and not settled: one
    /// at a time (`fdholder::transfer`). The kernel itself notes in `header` how long a message was. What a client's record
    /// is to say afterwards is noted before: on entry it is made so, however far that had come.
    pub struct Transfer {
        /// What it is for; 0: nothing.
        pub kind: u32,
        /// Slot of the client or the service.
        pub slot: u32,
        /// Generation of that.
        pub generation: u32,
        /// Bits of how it is to be done.
        pub flags: u32,
        /// What the client's fields of these names are to be; when something is received, what they were before.
        pub request_len: u32,
        /// See above.
        pub request_done: u32,
        /// See above.
        pub fds_len: u32,
        /// See above.
        pub fds_done: u32,
        /// See above.
        pub reply_len: u32,
        /// See above; when an answer is sent, how much of it was sent before.
        pub reply_sent: u32,
        /// See above.
        pub dump_left: u32,
        /// See above.
        pub dump_next: u32,
        /// See above.
        pub dump_give: u32,
        /// Slot of the held descriptor that the request is about…
        pub held: u32,
        /// …its number…
        pub held_fd: i32,
        /// …and how often it will have been retrieved. Of a service's message: parts of it that have been acted on.
        pub count: u32,
        /// How often it was interrupted by a fault.
        pub attempts: u32,
        /// For later.
        pub spare: u32,
        /// When this was begun.
        pub now: u64,
        /// What the client's `dump_since` is to be.
        pub dump_since: u64,
        /// struct mmsghdr of the machine (`sys::message`): pointers, which mean nothing after a fault, and lengths.
        pub header: [u64; HEADER_WORDS],
        /// struct iovec.
        pub part: [u64; PART_WORDS],
        /// Ancillary data: descriptors, credentials.
        pub control: [u64; CONTROL_WORDS],
        /// A message that has no other place.
        pub bytes: [u8; 8192],
    }
}
