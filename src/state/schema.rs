//! The fields of the arena's records as data: what a hand-over from one version to another says of itself, so that the
//! reader finds by name what it knows and skips the rest.
//!
//! A record has no padding, so that its fields follow from one another: a table of them holds no offsets. A record inside
//! a record is described as its fields.

/// A field: a name, reduced to a number, and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Field {
    /// [`name_hash`] of its name.
    pub name: u32,
    /// See [`Field::unpack`]; here it is one word, because there are some three hundred of them.
    what: u32,
}

const SIGNED: u32 = 1 << 31;
const ARRAY: u32 = 1 << 30;
const WIDTH_SHIFT: u32 = 28;
const COUNT: u32 = (1 << WIDTH_SHIFT) - 1;

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct What {
    /// Negative numbers are possible.
    pub signed: bool,
    /// It has any number of elements, not just the one.
    pub array: bool,
    /// Bytes of an element: 1, 2, 4 or 8.
    pub width: usize,
    /// Its elements; 1, if it is no array.
    pub count: usize,
}

impl What {
    /// Bytes of it all.
    pub fn size(self) -> usize {
        self.width * self.count
    }
}

impl Field {
    /// Nothing: what a table consists of before it is filled.
    pub const NONE: Field = Field { name: 0, what: 0 };

    /// What it holds.
    pub fn unpack(self) -> What {
        What {
            signed: self.what & SIGNED != 0,
            array: self.what & ARRAY != 0,
            width: 1 << (self.what >> WIDTH_SHIFT & 3),
            count: (self.what & COUNT) as usize,
        }
    }

    /// Its two words, as a stream has them.
    pub fn words(self) -> [u32; 2] {
        [self.name, self.what]
    }

    /// The field that a stream's words describe. `None`: it is none.
    pub fn of_words([name, what]: [u32; 2]) -> Option<Field> {
        let field = Field { name, what };
        let whole = if what & ARRAY == 0 { what & COUNT == 1 } else { true };
        whole.then_some(field)
    }
}

/// FNV-1a of a name, 32 bits.
pub const fn name_hash(name: &str) -> u32 {
    let mut hash = 0x811c_9dc5u32;
    let mut i = 0;
    while i < name.len() {
        hash = (hash ^ name.as_bytes()[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// The name of a field of a record that is a field.
pub const fn inner_hash(outer: u32, inner: u32) -> u32 {
    let mut hash = outer;
    let mut i = 0;
    while i < 4 {
        hash = (hash ^ (inner >> (8 * i)) & 0xff).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// What may be a field of a record.
pub trait Part {
    /// The word of a [`Field`]; 0 for what consists of others.
    const WHAT: u32;
    /// The fields that it consists of.
    const INNER: &'static [Field] = &[];
}

macro_rules! integers {
    ($($ty:ty: $what:expr,)*) => {$(
        impl Part for $ty {
            const WHAT: u32 = $what | 1;
        }
        impl<const N: usize> Part for [$ty; N] {
            const WHAT: u32 = {
                assert!(N < COUNT as usize);
                $what | ARRAY | N as u32
            };
        }
    )*};
}

integers! {
    u8: 0,
    u16: 1 << WIDTH_SHIFT,
    u32: 2 << WIDTH_SHIFT,
    u64: 3 << WIDTH_SHIFT,
    i8: SIGNED,
    i16: SIGNED | 1 << WIDTH_SHIFT,
    i32: SIGNED | 2 << WIDTH_SHIFT,
    i64: SIGNED | 3 << WIDTH_SHIFT,
}

/// A record whose fields are known.
pub trait Schema {
    /// Its name.
    const NAME: &'static str;
    /// Its fields, in their order.
    const FIELDS: &'static [Field];
}

/// How many fields describe a part.
pub const fn count<T: Part>() -> usize {
    if T::WHAT == 0 { T::INNER.len() } else { 1 }
}

/// Describes a part called `name` from place `at` of `table` on; returns the place after it.
pub const fn describe<T: Part>(table: &mut [Field], at: usize, name: &str) -> usize {
    let name = name_hash(name);
    if T::WHAT != 0 {
        table[at] = Field { name, what: T::WHAT };
        return at + 1;
    }
    let mut i = 0;
    while i < T::INNER.len() {
        let inner = T::INNER[i];
        table[at + i] = Field { name: inner_hash(name, inner.name), what: inner.what };
        i += 1;
    }
    at + i
}

#[cfg(test)]
mod tests {
    use super::super::layout::{
        Allow, Client, Epitaph, Header, Held, Inbox, Job, Notify, Pending, Redo, Service, Transfer,
    };
    use super::*;
    use std::collections::BTreeSet;

    fn check<T: Schema>() -> usize {
        let size: usize = T::FIELDS.iter().map(|field| field.unpack().size()).sum();
        assert_eq!(size, size_of::<T>(), "{}", T::NAME);
        let names: BTreeSet<u32> = T::FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), T::FIELDS.len(), "{}: two fields have the same hash", T::NAME);
        for field in T::FIELDS {
            assert_eq!(Field::of_words(field.words()), Some(*field));
        }
        size_of_val(T::FIELDS)
    }

    #[test]
    fn the_fields_of_every_record_make_up_all_of_it_and_take_little_room() {
        let sizes = [
            check::<Header>(),
            check::<Epitaph>(),
            check::<Redo>(),
            check::<Inbox>(),
            check::<Transfer>(),
            check::<Job>(),
            check::<Service>(),
            check::<Held>(),
            check::<Notify>(),
            check::<Allow>(),
            check::<Pending>(),
            check::<Client>(),
        ];
        let total: usize = sizes.iter().sum();
        assert!(total < 4096, "{total}");
    }

    #[test]
    fn a_field_says_what_it_holds() {
        let what = |name: &str| Service::FIELDS.iter().find(|field| field.name == name_hash(name)).unwrap().unpack();
        assert_eq!(what("pid"), What { signed: true, array: false, width: 4, count: 1 });
        assert_eq!(what("dev"), What { signed: false, array: false, width: 8, count: 1 });
        assert_eq!(what("name"), What { signed: false, array: true, width: 1, count: 256 });
        let nested = inner_hash(name_hash("before"), name_hash("pid"));
        assert!(Redo::FIELDS.iter().any(|field| field.name == nested && field.unpack() == what("pid")));
    }

    #[test]
    fn a_description_of_no_field_is_refused() {
        assert_eq!(Field::of_words([1, 0]), None);
        assert_eq!(Field::of_words([1, 2]), None);
        assert!(Field::of_words([1, ARRAY]).is_some());
    }
}
