//! What the arena holds. Integers and byte arrays only: no pointer, no `bool`, no `enum` (those are checked casts of
//! the rooms that own the record), no padding. All times are boot-time nanoseconds unless they say otherwise; all
//! descriptor numbers are -1 when there is none; a slot is free when its `used` is 0.
//!
//! * [`header`]: what concerns the whole. * [`service`]: children. * [`holder`]: the fd-holder. * [`progress`]: what was
//!   being done.

use crate::limits::{BOARD_SOCKETS, FDHOLDER_ALLOWS, FDHOLDER_CLIENTS, HELD, JOBS, SERVICES};
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

/// Declares a record of the arena: `repr(C)`, castable from any bytes, without padding, with its [`Shape`] and its
/// [`Schema`](super::schema::Schema). Fields may be conditional (`#[cfg(...)]`).
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
        #[repr(C)]
        pub struct $name { $($(#[$doc])* pub $field: $ty,)* }

        #[allow(unused_doc_comments)]
        impl Shape for $name {
            const HASH: u64 = {
                let mut hash = mix_str(0xcbf2_9ce4_8422_2325, stringify!($name));
                $(
                    $(#[$doc])*
                    {
                        hash = mix_str(hash, stringify!($field));
                        hash = mix(hash, core::mem::offset_of!($name, $field) as u64);
                    }
                )*
                mix(hash, size_of::<$name>() as u64)
            };
        }

        #[allow(unused_doc_comments)]
        impl $crate::state::schema::Schema for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [$crate::state::schema::Field] = {
                use $crate::state::schema::{Field, count, describe};
                const COUNT: usize = {
                    let mut fields = 0;
                    $(
                        $(#[$doc])*
                        {
                            fields += count::<$ty>();
                        }
                    )*
                    fields
                };
                const TABLE: [Field; COUNT] = {
                    let mut table = [Field::NONE; COUNT];
                    let mut at = 0;
                    $(
                        $(#[$doc])*
                        {
                            at = describe::<$ty>(&mut table, at, stringify!($field));
                        }
                    )*
                    assert!(at == COUNT);
                    table
                };
                &TABLE
            };
        }

        impl $crate::state::schema::Part for $name {
            const WHAT: u32 = 0;
            const INNER: &'static [$crate::state::schema::Field] =
                <$name as $crate::state::schema::Schema>::FIELDS;
        }

        // Only the tables have such a part, and they are not handed over as a record.
        impl<const N: usize> $crate::state::schema::Part for [$name; N] {
            const WHAT: u32 = 0;
        }
    };
}

pub mod header;
pub mod holder;
pub mod progress;
pub mod service;

pub use header::{Header, MAGIC};
pub use holder::{Allow, Client, Held, Pending};
pub use progress::{Epitaph, Inbox, Redo, Transfer};
pub use service::{Job, Notify, Service};

record! {
    /// Everything but the log ring, which the logger writes on its own.
    pub struct Tables {
        /// Whose it is.
        pub header: Header,
        /// The last fault.
        pub epitaph: Epitaph,
        /// The event in progress.
        pub redo: Redo,
        /// The input in progress.
        pub inbox: Inbox,
        /// The message in progress.
        pub transfer: Transfer,
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

impl State {
    /// Shape of the whole arena.
    pub const LAYOUT: u64 = {
        let mut hash = mix(Tables::HASH, size_of::<State>() as u64);
        let parts = [
            Header::HASH,
            Epitaph::HASH,
            Redo::HASH,
            Inbox::HASH,
            Transfer::HASH,
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
