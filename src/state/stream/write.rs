//! The writer of a hand-over. It reads nothing of the arena that is not in use: untouched pages stay so.

use super::super::layout::{Header, State, Tables};
use super::rooms::{ROOMS, Room, little_to_native, native_to_little};
use super::{FORMAT, MAGIC, SEALED, tag};
use crate::limits::LOG_RING;
use crate::log::Ring;
use crate::sys::Result;
use zerocopy::IntoBytes;

/// Writes all of it through `sink`, whose first error ends it. `changes` are put down in the place of what the header says
/// in the fields of these names: the tables themselves stay as they are, as long as nothing is executed.
pub fn write(
    tables: &Tables,
    ring: Option<&Ring>,
    changes: &[(u32, i64)],
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut out = Out { buffer: heapless::Vec::new(), sink };
    out.put(&MAGIC)?;
    out.number(FORMAT)?;
    let version = crate::VERSION.as_bytes();
    out.head(tag::FROM, 8 + version.len())?;
    out.put(&State::LAYOUT.to_le_bytes())?;
    out.put(version)?;
    let bytes = tables.as_bytes();
    let mut count = 0u32;
    for (index, room) in ROOMS.iter().enumerate() {
        let mut described = false;
        for slot in 0..room.slots(bytes) {
            let Some(record) = bytes.get(room.place(slot)) else { break };
            if !room.is_used(record) {
                continue;
            }
            if !described {
                described = true;
                out.describe(room)?;
            }
            count += 1;
            if index == 0 {
                // The header alone is small enough to be copied.
                let mut header = [0; size_of::<Header>()];
                header.copy_from_slice(record);
                for (name, value) in changes {
                    let Some((at, field)) = room.field(*name) else { continue };
                    let place = header.get_mut(at..at + field.unpack().size()).unwrap_or_default();
                    let width = place.len();
                    for (to, from) in place.iter_mut().zip(little_to_native(&value.to_le_bytes(), width)) {
                        *to = from;
                    }
                }
                out.record(room, slot, &header)?;
            } else {
                out.record(room, slot, record)?;
            }
        }
    }
    let mut lines = [0; LOG_RING];
    let length = ring.map_or(0, |ring| ring.tail(&mut lines));
    out.head(tag::RING, length)?;
    out.put(lines.get(..length).unwrap_or_default())?;
    out.head(tag::ENDS, 4)?;
    out.number(count)?;
    out.flush()
}

struct Out<'s> {
    buffer: heapless::Vec<u8, 4096>,
    sink: &'s mut dyn FnMut(&[u8]) -> Result<()>,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        for chunk in bytes.chunks(1024) {
            if self.buffer.extend_from_slice(chunk).is_err() {
                self.flush()?;
                let _ = self.buffer.extend_from_slice(chunk);
            }
        }
        Ok(())
    }

    fn number(&mut self, number: u32) -> Result<()> {
        self.put(&number.to_le_bytes())
    }

    fn flush(&mut self) -> Result<()> {
        let done = (self.sink)(&self.buffer);
        self.buffer.clear();
        done
    }

    fn head(&mut self, tag: [u8; 4], length: usize) -> Result<()> {
        self.put(&tag)?;
        self.number(length as u32)
    }

    fn describe(&mut self, room: &Room) -> Result<()> {
        self.head(tag::TYPE, 4 + 8 * room.fields.len())?;
        self.number(room.hash())?;
        for field in room.fields {
            for word in field.words() {
                self.number(word)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, room: &Room, slot: usize, record: &[u8]) -> Result<()> {
        let mut length = 0;
        fields(room, record, &mut |bytes, _, array| {
            length += bytes.len() + if array { 4 } else { 0 };
            Ok(())
        })?;
        self.head(tag::SLOT, 12 + length)?;
        self.number(room.hash())?;
        self.number(slot as u32)?;
        let sealed = room.seal.as_ref().is_some_and(|seal| (seal.is_right)(record));
        self.number(if sealed { SEALED } else { 0 })?;
        fields(room, record, &mut |bytes, width, array| {
            if array {
                self.number((bytes.len() / width) as u32)?;
            }
            if width == 1 || cfg!(target_endian = "little") {
                return self.put(bytes);
            }
            for element in bytes.chunks(width) {
                for byte in native_to_little(element) {
                    self.put(&[byte])?;
                }
            }
            Ok(())
        })
    }
}

/// Sees the bytes of a field, the width of an element, and whether it is an array.
type Each<'a> = dyn FnMut(&[u8], usize, bool) -> Result<()> + 'a;

/// Shows `each` the bytes of every field of a record, of an array those that mean something and are not all zero at the
/// end.
fn fields(room: &Room, record: &[u8], each: &mut Each<'_>) -> Result<()> {
    let mut at = 0;
    for field in room.fields {
        let what = field.unpack();
        let mut bytes = record.get(at..at + what.size()).unwrap_or_default();
        at += what.size();
        if what.array {
            let count = room.extent(record, field.name).unwrap_or(what.count).min(what.count);
            bytes = bytes.get(..count * what.width).unwrap_or_default();
            let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
            bytes = bytes.get(..(bytes.len() - zeros).next_multiple_of(what.width)).unwrap_or(bytes);
        }
        each(bytes, what.width, what.array)?;
    }
    Ok(())
}
