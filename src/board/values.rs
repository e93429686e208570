//! What the values of a board config may be. Pure.

use super::model::{FAULTS_KEPT, Id, id};
use super::root::Source;
use super::syntax::Value;
use crate::limits::HELD_NAME;
use crate::socket::options::Takes;
use crate::sys::time::SECOND;
use crate::text;
use crate::text::number::parse_octal;

/// Longest path of the directory of access rules, and of the rescue command: what the arena has room for.
const KEPT_PATH: usize = 255;

/// What a value is instead of what it should be.
pub type Read<T> = Result<T, &'static str>;

/// A string.
pub fn text(value: Value<'_>) -> Read<&str> {
    match value {
        Value::Text(text) if text.contains('\0') => Err("holds a NUL"),
        Value::Text(text) => Ok(text),
        _ => Err("is not a string"),
    }
}

/// An absolute path.
pub fn path(value: Value<'_>) -> Read<&str> {
    text(value).and_then(|text| if text.starts_with('/') { Ok(text) } else { Err("is not an absolute path") })
}

/// The name of a device.
pub fn device(value: Value<'_>) -> Read<&str> {
    text(value).and_then(|text| Source::parse(text.as_bytes()).map(|_| text))
}

/// A word that is not empty.
pub fn word(value: Value<'_>) -> Read<&str> {
    text(value).and_then(|text| if text.is_empty() { Err("is empty") } else { Ok(text) })
}

/// A path that is kept in the arena.
pub fn kept_path(value: Value<'_>) -> Read<&str> {
    path(value).and_then(|path| if path.len() <= KEPT_PATH { Ok(path) } else { Err("is longer than 255 bytes") })
}

/// What may be the name of a held descriptor.
pub fn identifier(value: Value<'_>) -> Read<&str> {
    text(value).and_then(|text| match text.len() {
        1..=HELD_NAME => Ok(text),
        _ => Err("is not 1 to 255 bytes long"),
    })
}

/// Permissions of a file, octal.
pub fn permissions(value: Value<'_>) -> Read<u16> {
    let Value::Text(text) = value else { return Err("is not a string (like \"0660\")") };
    match parse_octal(text.as_bytes()) {
        Some(mode @ 0..=0o777) => Ok(mode as u16),
        Some(_) => Err("is more than 0777"),
        None => Err("is not an octal number"),
    }
}

/// A user or a group.
pub fn account(value: Value<'_>) -> Option<Id<'_>> {
    match value {
        Value::Text(text) => id(text),
        Value::Number(number) => Some(Id::Number(number)).filter(|_| number != u32::MAX),
        _ => None,
    }
}

/// A number up to `most`.
pub fn number(value: Value<'_>, most: u32) -> Read<u32> {
    match value {
        Value::Number(number) if number <= most => Ok(number),
        Value::Number(_) => Err(match most {
            FAULTS_KEPT => "is more than 8",
            63 => "is more than 63",
            255 => "is more than 255",
            _ => "is more than 2147483647",
        }),
        _ => Err("is not a number"),
    }
}

/// What is given to setsockopt(2).
pub fn option_value(takes: Takes, value: Value<'_>) -> Read<u32> {
    match takes {
        Takes::Flag => flag(value).map(u32::from),
        Takes::Number(most) => number(value, most),
        Takes::Seconds => match u32::try_from(duration(value)?.div_ceil(SECOND)) {
            Ok(seconds) if seconds <= i32::MAX as u32 => Ok(seconds),
            _ => Err("is more than 2147483647 seconds"),
        },
    }
}

/// Which of the words it is.
pub fn choice(value: Value<'_>, words: [&str; 3], wrong: &'static str) -> Read<usize> {
    let Value::Text(text) = value else { return Err(wrong) };
    words.iter().position(|word| !text.is_empty() && *word == text).ok_or(wrong)
}

/// Yes or no.
pub fn flag(value: Value<'_>) -> Read<bool> {
    if let Value::Flag(on) = value { Ok(on) } else { Err("is neither true nor false") }
}

/// A time, in nanoseconds.
pub fn duration(value: Value<'_>) -> Read<u64> {
    let read = if let Value::Text(words) = value { text::duration::parse(words) } else { None };
    read.ok_or("is not a duration (like \"1500ms\", \"10s\" or \"2m\")")
}
