//! Where the arena has its records of each kind, and what the hand-over has to know of them besides their fields.
//!
//! Records are handled as bytes here, so that there is one routine for all kinds. A record is in use if its first field is
//! not zero: that is so for all of them.

use super::super::layout::{
    Allow, Client, Epitaph, Header, Held, Inbox, Job, Notify, Pending, Redo, Service, Tables, Transfer,
};
use super::super::schema::{Field, Schema, inner_hash, name_hash};
use core::mem::offset_of;
use zerocopy::FromBytes;

/// A table of records of one kind, or a single record.
pub struct Room {
    /// Name of the kind.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// Bytes of a record.
    pub size: usize,
    /// How many there are.
    pub count: usize,
    /// Where the first of them is, in [`Tables`].
    offset: usize,
    /// Fields that are -1 where there is nothing, by their names.
    minus: &'static [u32],
    /// Arrays of which only a part means something, and the fields that say how much.
    parts: &'static [(u32, u32)],
    /// The header's field that says how many slots have to be looked at; 0: there is none.
    pub top: u32,
    /// Its checksum, if it has one.
    pub seal: Option<Seal>,
}

/// The checksum of the identity of a record.
pub struct Seal {
    /// Whether it is right.
    pub is_right: fn(&[u8]) -> bool,
    /// Makes it right.
    pub make: fn(&mut [u8]),
}

const fn room<T: Schema>(offset: usize, count: usize) -> Room {
    Room {
        name: T::NAME,
        fields: T::FIELDS,
        size: size_of::<T>(),
        count,
        offset,
        minus: &[],
        parts: &[],
        top: 0,
        seal: None,
    }
}

const fn inside_before(name: &str) -> u32 {
    inner_hash(name_hash("before"), name_hash(name))
}

/// All of them; the header is the first.
pub static ROOMS: [Room; 12] = [
    Room {
        minus: &[
            name_hash("exe_fd"),
            name_hash("arena_fd"),
            name_hash("scandir_fd"),
            name_hash("control_fd"),
            name_hash("lock_fd"),
            name_hash("fdholder_fd"),
            name_hash("console_fd"),
            name_hash("null_fd"),
        ],
        ..room::<Header>(offset_of!(Tables, header), 1)
    },
    room::<Epitaph>(offset_of!(Tables, epitaph), 1),
    Room {
        minus: &[
            inside_before("partner"),
            inside_before("dir_fd"),
            inside_before("control_fd"),
            inside_before("lock_fd"),
            inside_before("notify_fd"),
            inside_before("pipe_fd"),
            inside_before("cgroup_fd"),
            inside_before("waits_on"),
        ],
        ..room::<Redo>(offset_of!(Tables, redo), 1)
    },
    room::<Inbox>(offset_of!(Tables, inbox), 1),
    room::<Transfer>(offset_of!(Tables, transfer), 1),
    room::<Job>(offset_of!(Tables, jobs), crate::limits::JOBS),
    Room {
        minus: &[
            name_hash("partner"),
            name_hash("dir_fd"),
            name_hash("control_fd"),
            name_hash("lock_fd"),
            name_hash("notify_fd"),
            name_hash("pipe_fd"),
            name_hash("cgroup_fd"),
            name_hash("waits_on"),
        ],
        parts: &[(name_hash("name"), name_hash("name_len"))],
        top: name_hash("services_top"),
        seal: Some(Seal {
            is_right: |record| Service::ref_from_bytes(record).is_ok_and(Service::is_sealed),
            make: |record| {
                if let Ok(service) = Service::mut_from_bytes(record) {
                    service.seal();
                }
            },
        }),
        ..room::<Service>(offset_of!(Tables, services), crate::limits::SERVICES)
    },
    Room {
        minus: &[name_hash("fd"), name_hash("service")],
        parts: &[(name_hash("name"), name_hash("name_len"))],
        top: name_hash("held_top"),
        ..room::<Held>(offset_of!(Tables, held), crate::limits::HELD)
    },
    Room {
        minus: &[name_hash("fd")],
        parts: &[(name_hash("status"), name_hash("status_len"))],
        top: name_hash("services_top"),
        ..room::<Notify>(offset_of!(Tables, notifies), crate::limits::SERVICES)
    },
    Room {
        parts: &[(name_hash("globs"), name_hash("globs_len"))],
        ..room::<Allow>(offset_of!(Tables, allows), crate::limits::FDHOLDER_ALLOWS)
    },
    Room {
        top: name_hash("pending_top"),
        ..room::<Pending>(offset_of!(Tables, pending), crate::limits::BOARD_SOCKETS)
    },
    Room {
        minus: &[name_hash("fd"), name_hash("fds")],
        parts: &[
            (name_hash("request"), name_hash("request_len")),
            (name_hash("reply"), name_hash("reply_len")),
            (name_hash("store_regex"), name_hash("store_len")),
            (name_hash("retrieve_regex"), name_hash("retrieve_len")),
        ],
        top: name_hash("clients_top"),
        ..room::<Client>(offset_of!(Tables, clients), crate::limits::FDHOLDER_CLIENTS)
    },
];

impl Room {
    /// What its kind is called in a stream.
    pub fn hash(&self) -> u32 {
        name_hash(self.name)
    }

    /// Where a record is in the bytes of [`Tables`].
    pub fn place(&self, slot: usize) -> core::ops::Range<usize> {
        let start = self.offset + slot * self.size;
        start..start + self.size
    }

    /// Whether a record is in use.
    pub fn is_used(&self, record: &[u8]) -> bool {
        let width = self.fields.first().map_or(0, |first| first.unpack().size());
        record.get(..width).unwrap_or_default().iter().any(|byte| *byte != 0)
    }

    /// Makes a record, which is all zero, one in which there is nothing.
    pub fn blank(&self, record: &mut [u8]) {
        let mut at = 0;
        for field in self.fields {
            let end = at + field.unpack().size();
            if self.is_minus(field.name) {
                record.get_mut(at..end).unwrap_or_default().fill(0xff);
            }
            at = end;
        }
    }

    /// Whether a field is -1 where there is nothing.
    pub fn is_minus(&self, name: u32) -> bool {
        self.minus.contains(&name)
    }

    /// Where a field is in a record.
    pub fn field(&self, name: u32) -> Option<(usize, Field)> {
        let mut at = 0;
        for field in self.fields {
            if field.name == name {
                return Some((at, *field));
            }
            at += field.unpack().size();
        }
        None
    }

    /// How many elements of an array of a record mean something, as far as the record says so. One that says that there
    /// are more than there can be means all.
    pub fn extent(&self, record: &[u8], name: u32) -> Option<usize> {
        let (_, length) = self.parts.iter().find(|(array, _)| *array == name)?;
        self.number(record, *length)
    }

    /// The value of a field that is a number, and not negative.
    pub fn number(&self, record: &[u8], name: u32) -> Option<usize> {
        let (at, field) = self.field(name)?;
        let bytes = record.get(at..at + field.unpack().size())?;
        let mut wide = [0; 8];
        for (to, from) in wide.iter_mut().zip(native_to_little(bytes)) {
            *to = from;
        }
        usize::try_from(u64::from_le_bytes(wide)).ok()
    }

    /// How many of its slots have to be looked at, as the header says.
    pub fn slots(&self, tables: &[u8]) -> usize {
        let header = &ROOMS[0];
        let said = tables.get(header.place(0)).and_then(|bytes| header.number(bytes, self.top));
        if self.top == 0 { self.count } else { said.unwrap_or(self.count).min(self.count) }
    }
}

/// The bytes of an integer of the arena, the lowest first.
pub fn native_to_little(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let count = bytes.len();
    (0..count).filter_map(move |i| bytes.get(if cfg!(target_endian = "little") { i } else { count - 1 - i }).copied())
}

/// The first `width` bytes of an integer, of which the lowest comes first, as the arena has them.
pub fn little_to_native(bytes: &[u8], width: usize) -> impl Iterator<Item = u8> {
    native_to_little(bytes.get(..width).unwrap_or(bytes))
}
