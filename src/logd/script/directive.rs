//! One word of a script.

use crate::limits::{LOG_GATHER, LOG_PREFIX, LOG_RAM_LEAST, LOG_RAM_MOST};
use crate::logd::dir::Interpreter;
use crate::sys::time::{MILLI, Nanos, SECOND};
use crate::text::duration;
use crate::text::number::{parse_u32, parse_u64};
use core::ffi::CStr;

/// What is wrong with one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// Its letter is unknown, or its number missing, malformed or too large.
    Unrecognized,
    /// Something follows where nothing may, or nothing where something must.
    Syntax,
    /// Its value is outside of what is possible: what that is.
    Range(&'static str),
}

use Mistake::{Range, Syntax, Unrecognized};

/// What kind of directive a word is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Of lines.
    Selection,
    /// Of the actions that follow.
    Control,
    /// Something to be done with lines.
    Action,
}

impl Kind {
    /// As its first letter says. Numbers and expressions are not looked at.
    pub fn of(word: &[u8]) -> Result<Kind, Mistake> {
        let Some((letter, rest)) = word.split_first() else { return Err(Unrecognized) };
        match letter {
            b'f' | b't' | b'T' | b'1' | b'2' if !rest.is_empty() => Err(Syntax),
            b'=' if rest.is_empty() => Err(Syntax),
            b'+' | b'-' | b'f' => Ok(Kind::Selection),
            b'1' | b'2' | b'=' | b'.' | b'/' => Ok(Kind::Action),
            b'n' | b's' | b'S' | b'l' | b'r' | b'R' | b'E' | b'^' | b'p' | b'!' | b'?' | b't' | b'T' | b'c' => {
                Ok(Kind::Control)
            }
            _ => Err(Unrecognized),
        }
    }
}

/// A directive, with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Directive<'a> {
    /// `+RE`
    Select(&'a [u8]),
    /// `-RE`
    Deselect(&'a [u8]),
    /// `f`
    Rest,
    /// `nN`
    Archives(u32),
    /// `sN`, within the limits that s6-log has.
    Size(u32),
    /// `SN`
    Total(u64),
    /// `lN`
    Tolerance(u32),
    /// `rN`
    Retry(Nanos),
    /// `RN`
    Age(Nanos),
    /// `EN`
    Alert(u32),
    /// `^N`
    Status(u32),
    /// `pTEXT`
    Prefix(&'a [u8]),
    /// `!CMD`, `?CMD`; without a command none.
    Processor(Option<(Interpreter, &'a CStr)>),
    /// `t`
    Tai,
    /// `T`
    Local,
    /// `cTIME`
    GatherTime(Nanos),
    /// `cSIZE`
    GatherSize(u32),
    /// `c0`
    GatherNothing,
    /// `ram:SIZE`; 0 for `ram:0`.
    Ram(u32),
    /// `1`
    Stdout,
    /// `2`
    Stderr,
    /// `=FILE`
    File(&'a CStr),
    /// `/PATH`, `.PATH`
    Dir(&'a CStr),
}

impl<'a> Directive<'a> {
    /// Reads a word.
    pub fn read(word: &'a CStr) -> Result<Directive<'a>, Mistake> {
        Kind::of(word.to_bytes())?;
        let bytes = word.to_bytes_with_nul().get(1..).unwrap_or_default();
        let rest = CStr::from_bytes_with_nul(bytes).map_err(|_| Unrecognized)?;
        let value = rest.to_bytes();
        let number = || parse_u32(value).ok_or(Unrecognized);
        let processor = |interpreter| (!rest.is_empty()).then_some((interpreter, rest));
        Ok(match word.to_bytes().first().copied().unwrap_or(0) {
            b'+' => Directive::Select(value),
            b'-' => Directive::Deselect(value),
            b'f' => Directive::Rest,
            b'n' => Directive::Archives(number()?),
            b's' => Directive::Size(number()?.clamp(4096, 0x0fff_ffff)),
            b'S' => Directive::Total(parse_u64(value).ok_or(Unrecognized)?),
            b'l' => Directive::Tolerance(number()?),
            b'r' => match value.strip_prefix(b"am:") {
                Some(size) => ram(size)?,
                None => Directive::Retry(u64::from(number().and_then(poll_can)?) * MILLI),
            },
            b'R' => Directive::Age(u64::from(number()?) * SECOND),
            b'E' => Directive::Alert(number()?),
            b'^' => Directive::Status(number()?),
            b'p' if value.len() > LOG_PREFIX => return Err(Range("a prefix has at most 1024 bytes")),
            b'p' => Directive::Prefix(value),
            b'!' => Directive::Processor(processor(Interpreter::Execline)),
            b'?' => Directive::Processor(processor(Interpreter::Shell)),
            b't' => Directive::Tai,
            b'T' => Directive::Local,
            b'c' => gather(value)?,
            b'1' => Directive::Stdout,
            b'2' => Directive::Stderr,
            b'=' => Directive::File(rest),
            _ => Directive::Dir(word),
        })
    }
}

/// Milliseconds, if poll(2) takes so many: s6-log's limit.
fn poll_can(millis: u32) -> Result<u32, Mistake> {
    i32::try_from(millis).map(|_| millis).map_err(|_| Unrecognized)
}

/// What follows a `c`.
fn gather(value: &[u8]) -> Result<Directive<'static>, Mistake> {
    let time = || duration::parse(core::str::from_utf8(value).ok()?);
    match size(value) {
        Some(0) => Ok(Directive::GatherNothing),
        Some(size) if size > LOG_GATHER as u64 => Err(Range("at most 1M may be gathered")),
        Some(size) => Ok(Directive::GatherSize(size as u32)),
        None => match time().ok_or(Unrecognized)? {
            0 => Ok(Directive::GatherNothing),
            time => Ok(Directive::GatherTime(time)),
        },
    }
}

/// What follows `ram:`.
fn ram(value: &[u8]) -> Result<Directive<'static>, Mistake> {
    match size(value).ok_or(Unrecognized)? {
        0 => Ok(Directive::Ram(0)),
        size if (LOG_RAM_LEAST as u64..=LOG_RAM_MOST as u64).contains(&size) => Ok(Directive::Ram(size as u32)),
        _ => Err(Range("a ring in memory has 4096 bytes to 64M")),
    }
}

/// Bytes: a number, or one of KiB or MiB, `k` and `M`.
fn size(value: &[u8]) -> Option<u64> {
    let (digits, unit) = match value.split_last()? {
        (b'k', digits) => (digits, 1024),
        (b'M', digits) => (digits, 1024 * 1024),
        _ => (value, 1),
    };
    Some(u64::from(parse_u32(digits)?) * unit)
}
