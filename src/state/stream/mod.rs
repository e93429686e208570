//! The hand-over: all records that are in use, as a stream that says of itself what it holds, for a program that lays out
//! its arena in another way. It is written into a sealed memfd before another binary is executed, read by that, and read by
//! it once before, on trial.
//!
//! The stream is independent of the machine's word size and byte order: all integers are little-endian. It begins with
//! [`MAGIC`] and [`FORMAT`] (a reader refuses what is newer), and consists of items: a tag (four letters), a length (u32), and
//! that many bytes. Items whose tag is not known are skipped, so that a later version may add some.
//!
//! | tag | content |
//! |---|---|
//! | `from` | hash of the writer's layout (u64), its version as text |
//! | `type` | of a kind of records: [`name_hash`](super::schema::name_hash) of its name (u32), then two words for each field ([`Field::words`](super::schema::Field::words)) |
//! | `slot` | a record: hash of its kind (u32), its slot (u32), its flags (u32), then its fields in the order of their type. An array is how many elements follow (u32), and those; the others are zero |
//! | `ring` | the last lines of the log |
//! | `ends` | how many records there were (u32); nothing follows |
//!
//! * [`write`]: the writer. * [`read`]: the reader, which believes nothing. * [`rooms`]: where the records are.

pub mod read;
pub mod rooms;
pub mod write;

pub use read::{Problem, Summary, read};
pub use write::write;

/// How a stream begins.
pub const MAGIC: [u8; 8] = *b"linchpin";

/// The version of the rules above. What only adds items or fields does not change it.
pub const FORMAT: u32 = 1;

/// Tags of items.
pub mod tag {
    /// Who wrote it.
    pub const FROM: [u8; 4] = *b"from";
    /// The fields of a kind of records.
    pub const TYPE: [u8; 4] = *b"type";
    /// A record.
    pub const SLOT: [u8; 4] = *b"slot";
    /// The log.
    pub const RING: [u8; 4] = *b"ring";
    /// The end.
    pub const ENDS: [u8; 4] = *b"ends";
}

/// In a record's flags: its checksum was right when it was written. The reader, whose record may be another one, makes it
/// anew; a checksum that was wrong stays wrong.
pub const SEALED: u32 = 1;

/// Most fields of a kind of records that a reader can keep apart. Those beyond are skipped.
pub const FIELDS_MAX: usize = 1024;

/// Most kinds of records in one stream.
pub const TYPES_MAX: usize = 32;

#[cfg(test)]
mod tests;
