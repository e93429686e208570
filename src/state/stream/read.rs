//! The reader of a hand-over. It may come from any version, or from nobody: every length is checked before it is used, what
//! is not known is skipped, and what does not fit is left out and told. Nothing here is a system call.

use super::super::layout::Tables;
use super::super::schema::Field;
use super::rooms::{ROOMS, Room};
use super::{FIELDS_MAX, FORMAT, MAGIC, SEALED, TYPES_MAX, tag};
use crate::log::Ring;
use crate::text::quote::Printable;
use core::fmt::{self, Arguments, Display};
use zerocopy::IntoBytes;

/// Why a stream cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It does not begin as one.
    NotOne,
    /// Its rules are later ones.
    Newer(u32),
    /// It ends early, or goes on behind its end.
    Length,
    /// An item is longer than the rest, or shorter than it must be.
    Item([u8; 4]),
    /// A record of a kind that was not described.
    Undescribed,
    /// A kind was described twice, or a record came twice.
    Twice,
    /// More kinds, or more fields, than there is room for.
    TooMany,
    /// There is no header.
    NoHeader,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotOne => f.write_str("it is no hand-over"),
            Problem::Newer(format) => write!(f, "its format is {format}, and {FORMAT} is the latest known"),
            Problem::Length => f.write_str("it does not end where it should"),
            Problem::Item(tag) => write!(f, "an item \"{}\" has a wrong length", Printable(tag)),
            Problem::Undescribed => f.write_str("a record is of a kind that is not described"),
            Problem::Twice => f.write_str("something comes twice"),
            Problem::TooMany => f.write_str("it describes too much"),
            Problem::NoHeader => f.write_str("the header is missing"),
        }
    }
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// The writer's version, if it says one.
    pub version: heapless::String<32>,
    /// The writer's layout.
    pub layout: u64,
    /// Services, loggers included.
    pub services: u32,
    /// Held descriptors.
    pub held: u32,
    /// Clients of the fd-holder.
    pub clients: u32,
    /// Records for which there was no room.
    pub dropped: u32,
    /// Values that did not fit.
    pub lost: u32,
    /// Kinds of records that are not known here. They are skipped.
    pub strange: u32,
    /// Descriptor of the writer's arena.
    pub arena: i32,
}

impl Summary {
    /// Whether all is as it was.
    pub fn is_whole(&self) -> bool {
        self.dropped == 0 && self.lost == 0
    }
}

/// Reads a stream into `tables`, which are all zero but for what is the arena's own (magic, layout, its descriptor: that
/// stays). What is left out is told to `say`. After an error the tables are of no use.
pub fn read(
    bytes: &[u8],
    tables: &mut Tables,
    ring: &Ring,
    say: &mut dyn FnMut(Arguments<'_>),
) -> Result<Summary, Problem> {
    let own = (tables.header.magic, tables.header.layout, tables.header.arena_fd);
    tables.header.magic = 0;
    let mut reader = Reader {
        tables,
        types: heapless::Vec::new(),
        beyond: [0; ROOMS.len()],
        summary: Summary { arena: -1, ..Summary::default() },
        count: 0,
        say,
    };
    let done = reader.read(bytes, ring);
    let mut summary = reader.summary;
    let header = &mut tables.header;
    let there = header.magic != 0;
    summary.arena = header.arena_fd;
    (header.magic, header.layout, header.arena_fd) = own;
    done?;
    if there { Ok(summary) } else { Err(Problem::NoHeader) }
}

struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn tag(&mut self) -> Option<[u8; 4]> {
        self.take(4)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u32> {
        self.tag().map(u32::from_le_bytes)
    }
}

/// A kind of records as its writer describes it.
struct Type<'b> {
    hash: u32,
    /// Two words for each field.
    fields: &'b [u8],
    /// Which of [`ROOMS`] has such records.
    room: Option<usize>,
}

struct Reader<'b, 'r> {
    tables: &'r mut Tables,
    types: heapless::Vec<Type<'b>, TYPES_MAX>,
    /// Of each room, the slot behind the last that is in use.
    beyond: [usize; ROOMS.len()],
    summary: Summary,
    count: u32,
    say: &'r mut dyn FnMut(Arguments<'_>),
}

impl<'b> Reader<'b, '_> {
    fn read(&mut self, bytes: &'b [u8], ring: &Ring) -> Result<(), Problem> {
        let mut input = Input(bytes);
        if input.take(8) != Some(&MAGIC) {
            return Err(Problem::NotOne);
        }
        match input.number() {
            Some(FORMAT) => {}
            Some(0) | None => return Err(Problem::NotOne),
            Some(format) => return Err(Problem::Newer(format)),
        }
        let ends = loop {
            let (Some(tag), Some(length)) = (input.tag(), input.number()) else { return Err(Problem::Length) };
            let Some(item) = input.take(length as usize) else { return Err(Problem::Item(tag)) };
            if tag == tag::ENDS {
                break item;
            }
            self.item(tag, item, ring)?;
        };
        if !input.0.is_empty() || Input(ends).number() != Some(self.count) {
            return Err(Problem::Length);
        }
        self.set_tops();
        Ok(())
    }

    /// Sees to it that no record lies above the slots that are looked at, and that there are so many.
    fn set_tops(&mut self) {
        let header = &ROOMS[0];
        let Some(bytes) = self.tables.as_mut_bytes().get_mut(header.place(0)) else { return };
        for (room, beyond) in ROOMS.iter().zip(self.beyond).filter(|(room, _)| room.top != 0) {
            let Some((at, field)) = header.field(room.top) else { continue };
            let said = header.number(bytes, room.top).unwrap_or(usize::MAX);
            let top = said.min(room.count).max(beyond) as u64;
            let place = bytes.get_mut(at..at + field.unpack().size()).unwrap_or_default();
            store_one(&top.to_le_bytes(), false, place, false);
        }
    }

    fn item(&mut self, tag: [u8; 4], item: &'b [u8], ring: &Ring) -> Result<(), Problem> {
        match tag {
            tag::FROM => {
                let Some((layout, version)) = item.split_first_chunk::<8>() else { return Err(Problem::Item(tag)) };
                self.summary.layout = u64::from_le_bytes(*layout);
                for byte in version.iter().filter(|byte| byte.is_ascii_graphic()) {
                    let _ = self.summary.version.push(char::from(*byte));
                }
                Ok(())
            }
            tag::TYPE => self.describe(item),
            tag::SLOT => self.record(item).unwrap_or(Err(Problem::Item(tag))),
            tag::RING => {
                ring.write(item.get(item.len().saturating_sub(crate::limits::LOG_RING)..).unwrap_or_default());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn describe(&mut self, item: &'b [u8]) -> Result<(), Problem> {
        let Some((hash, fields)) = item.split_first_chunk() else { return Err(Problem::Item(tag::TYPE)) };
        let hash = u32::from_le_bytes(*hash);
        if fields.len() % 8 != 0 || !words(fields).all(|words| Field::of_words(words).is_some()) {
            return Err(Problem::Item(tag::TYPE));
        }
        if self.types.iter().any(|known| known.hash == hash) {
            return Err(Problem::Twice);
        }
        if fields.len() / 8 > FIELDS_MAX {
            return Err(Problem::TooMany);
        }
        let room = ROOMS.iter().position(|room| room.hash() == hash);
        if room.is_none() {
            self.summary.strange += 1;
            (self.say)(format_args!("records of an unknown kind ({hash:08x}) are skipped"));
        }
        self.types.push(Type { hash, fields, room }).map_err(|_| Problem::TooMany)
    }

    /// `None`: it is too short.
    fn record(&mut self, item: &'b [u8]) -> Option<Result<(), Problem>> {
        let mut input = Input(item);
        let (hash, slot, flags) = (input.number()?, input.number()? as usize, input.number()?);
        let Some(kind) = self.types.iter().find(|kind| kind.hash == hash) else {
            return Some(Err(Problem::Undescribed));
        };
        self.count += 1;
        let fields = kind.fields;
        let Some(index) = kind.room else { return Some(Ok(())) };
        let Some(room) = ROOMS.get(index) else { return Some(Ok(())) };
        if slot >= room.count {
            self.summary.dropped += 1;
            (self.say)(format_args!("{} {slot}: there are {} places only", room.name, room.count));
            return Some(Ok(()));
        }
        let mut lost = 0;
        let Some(record) = self.tables.as_mut_bytes().get_mut(room.place(slot)) else { return Some(Ok(())) };
        if room.is_used(record) {
            return Some(Err(Problem::Twice));
        }
        if index == 0 {
            record.fill(0); // all others are zero, and are not touched where they stay so
        }
        room.blank(record);
        let mut guess = 0;
        for words in words(fields) {
            let value = Value::take(Field::of_words(words)?, &mut input)?;
            let Some((at, field)) = find(room, &mut guess, words[0]) else { continue };
            let place = record.get_mut(at..at + field.unpack().size())?;
            lost += u32::from(!value.store(field, place, room.is_minus(field.name)));
        }
        if let Some(seal) = room.seal.as_ref().filter(|_| flags & SEALED != 0) {
            (seal.make)(record);
        }
        if let Some(beyond) = self.beyond.get_mut(index) {
            *beyond = (*beyond).max(slot + 1);
        }
        match room.name {
            "Service" => self.summary.services += 1,
            "Held" => self.summary.held += 1,
            "Client" => self.summary.clients += 1,
            _ => {}
        }
        if lost > 0 {
            self.summary.lost += lost;
            (self.say)(format_args!("{} {slot}: {lost} values do not fit", room.name));
        }
        input.0.is_empty().then_some(Ok(()))
    }
}

fn words(fields: &[u8]) -> impl Iterator<Item = [u32; 2]> {
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    fields.chunks_exact(8).map(move |pair| pair.split_at(4)).map(move |(name, what)| [number(name), number(what)])
}

/// Where a field is in a room's records. Usually it is the one after the last, whose place `guess` knows.
fn find(room: &Room, guess: &mut usize, name: u32) -> Option<(usize, Field)> {
    let place = |index: usize| room.fields.iter().take(index).map(|field| field.unpack().size()).sum();
    let index = match room.fields.get(*guess) {
        Some(field) if field.name == name => *guess,
        _ => room.fields.iter().position(|field| field.name == name)?,
    };
    *guess = index + 1;
    room.fields.get(index).map(|field| (place(index), *field))
}

/// A value as it stands in a stream.
struct Value<'b> {
    signed: bool,
    array: bool,
    width: usize,
    /// Elements that there are: those that follow, and zeros.
    count: usize,
    bytes: &'b [u8],
}

impl<'b> Value<'b> {
    fn take(field: Field, input: &mut Input<'b>) -> Option<Value<'b>> {
        let what = field.unpack();
        let count = if what.array { input.number()? as usize } else { 1 };
        if count > what.count {
            return None;
        }
        let bytes = input.take(count.checked_mul(what.width)?)?;
        Some(Value { signed: what.signed, array: what.array, width: what.width, count: what.count, bytes })
    }

    /// Puts it into a field of a record, which has its blank value. False: some of it does not fit, and stays blank.
    fn store(&self, field: Field, place: &mut [u8], minus: bool) -> bool {
        let what = field.unpack();
        if what.array != self.array {
            return self.bytes.iter().all(|byte| *byte == 0);
        }
        let mut fits = true;
        let mut places = place.chunks_exact_mut(what.width);
        for element in self.bytes.chunks_exact(self.width) {
            fits &= match places.next() {
                Some(place) => store_one(element, self.signed, place, what.signed),
                None => element.iter().all(|byte| *byte == 0),
            };
        }
        if minus {
            // The writer had room for those, and they were 0 there.
            places.take(self.count - self.bytes.len() / self.width).for_each(|place| place.fill(0));
        }
        fits
    }
}

/// Widens or narrows an integer. False: it does not fit.
fn store_one(from: &[u8], signed: bool, to: &mut [u8], to_signed: bool) -> bool {
    let negative = signed && from.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    for (wide, from) in wide.iter_mut().zip(from) {
        *wide = *from;
    }
    let beyond = if negative { 0xff } else { 0 };
    let top = wide.get(to.len() - 1).copied().unwrap_or(0);
    let fits = wide.iter().skip(to.len()).all(|byte| *byte == beyond)
        && if negative { to_signed && top & 0x80 != 0 } else { !to_signed || top & 0x80 == 0 };
    if fits {
        let width = to.len();
        for (i, byte) in wide.iter().take(width).enumerate() {
            let at = if cfg!(target_endian = "little") { i } else { width - 1 - i };
            if let Some(to) = to.get_mut(at) {
                *to = *byte;
            }
        }
    }
    fits
}
