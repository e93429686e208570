//! Messages as syslog clients send them: `<N>`, which says who speaks and how bad it is, then text. They are printed as
//! s6-socklog and ucspilogd do it: `facility.priority: text`.
//!
//! The names are those that the C library's table has first for a number, so priority 4 is `warn`, and 24, which is no
//! facility but a mark of syslogd's own, is `mark`. Other numbers are `unknown`.

use crate::text::number::parse_u32;
use core::fmt;
use core::ops::Range;

/// The facility of the kernel itself.
pub const KERN: u32 = 0;

/// Facility and priority, as a number: eight times the one and the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin(pub u32);

impl Origin {
    /// syslogd's own, how bad a warning is: for what is to be said about messages.
    pub const SYSLOG_WARNING: Origin = Origin(5 * 8 + 4);

    /// The number of the facility: seven bits, whatever is above them (LOG_FACMASK).
    pub fn facility(self) -> u32 {
        self.0 >> 3 & 0x7f
    }

    /// Its name.
    pub fn facility_name(self) -> &'static str {
        match self.facility() {
            KERN => "kern",
            1 => "user",
            2 => "mail",
            3 => "daemon",
            4 => "auth",
            5 => "syslog",
            6 => "lpr",
            7 => "news",
            8 => "uucp",
            9 => "cron",
            10 => "authpriv",
            11 => "ftp",
            16 => "local0",
            17 => "local1",
            18 => "local2",
            19 => "local3",
            20 => "local4",
            21 => "local5",
            22 => "local6",
            23 => "local7",
            24 => "mark",
            _ => "unknown",
        }
    }

    /// The name of the priority.
    pub fn priority_name(self) -> &'static str {
        match self.0 & 7 {
            0 => "emerg",
            1 => "alert",
            2 => "crit",
            3 => "err",
            4 => "warn",
            5 => "notice",
            6 => "info",
            _ => "debug",
        }
    }
}

/// Displays `facility.priority`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facility_name())?;
        f.write_str(".")?;
        f.write_str(self.priority_name())
    }
}

/// Longest `<N>` that is one: clients send five bytes at most, but leading zeros mean nothing.
pub const MARK_MAX: usize = 32;

/// The number in front of a message, and what follows it. `None`: it has none, or one that does not fit 32 bits.
pub fn split(message: &[u8]) -> Option<(Origin, &[u8])> {
    let inner = message.strip_prefix(b"<")?;
    let end = inner.iter().take(MARK_MAX - 1).position(|byte| *byte == b'>')?;
    let number = parse_u32(inner.get(..end)?)?;
    Some((Origin(number), inner.get(end + 1..)?))
}

/// Bytes that [`line`] needs in front of a message.
pub const FRONT: usize = 96;

/// Bytes that [`line`] needs behind a message.
pub const BACK: usize = 4;

/// Makes a message, which lies in `room` behind its first [`FRONT`] bytes, the line that is printed of it, newline
/// included, and answers where that is. Newlines and NULs at its end are left out, others become `~`.
///
/// `raw`: `<N>` stays as it is. `cut`: there was more, so `...` follows. `from` is put in front of all. `None`: there is
/// no room for that.
pub fn line(room: &mut [u8], length: usize, raw: bool, cut: bool, from: &[u8]) -> Option<Range<usize>> {
    let message = room.get_mut(FRONT..FRONT + length)?;
    let stripped = message.iter().rposition(|byte| !matches!(byte, 0 | b'\n')).map_or(0, |last| last + 1);
    let message = message.get_mut(..stripped)?;
    message.iter_mut().filter(|byte| matches!(**byte, 0 | b'\n')).for_each(|byte| *byte = b'~');
    let origin = if raw { None } else { split(message).map(|(origin, rest)| (origin, stripped - rest.len())) };
    let (mut start, mut end) = (FRONT, FRONT + stripped);
    if let Some((origin, skipped)) = origin {
        start += skipped;
        let names = [origin.facility_name(), ".", origin.priority_name(), ": "];
        for name in names.iter().rev() {
            start = before(room, start, name.as_bytes())?;
        }
    }
    start = before(room, start, from)?;
    for piece in [if cut { &b"..."[..] } else { b"" }, b"\n"] {
        room.get_mut(end..end + piece.len())?.copy_from_slice(piece);
        end += piece.len();
    }
    Some(start..end)
}

fn before(room: &mut [u8], at: usize, piece: &[u8]) -> Option<usize> {
    let start = at.checked_sub(piece.len())?;
    room.get_mut(start..at)?.copy_from_slice(piece);
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(message: &[u8], raw: bool, cut: bool, from: &[u8]) -> Vec<u8> {
        let mut room = [vec![b'!'; FRONT], message.to_vec(), vec![b'!'; BACK]].concat();
        let range = line(&mut room, message.len(), raw, cut, from).unwrap();
        room[range].to_vec()
    }

    #[test]
    fn the_names_are_those_of_the_c_library() {
        let names = |number| Origin(number).to_string();
        assert_eq!(names(0), "kern.emerg");
        assert_eq!(names(13), "user.notice");
        assert_eq!(names(36), "auth.warn");
        assert_eq!(names(191), "local7.debug");
        assert_eq!(names(192), "mark.emerg");
        assert_eq!([names(96), names(127), names(200)], ["unknown.emerg", "unknown.debug", "unknown.emerg"]);
        assert_eq!(names(1024 + 13), "user.notice");
    }

    #[test]
    fn a_mark_is_a_number_between_angle_brackets_at_the_beginning() {
        let number = |message: &str| split(message.as_bytes()).map(|(origin, rest)| (origin.0, rest.to_vec()));
        assert_eq!(number("<13>x"), Some((13, b"x".to_vec())));
        assert_eq!(number("<013>"), Some((13, vec![])));
        assert_eq!(number("<4294967295><1>"), Some((u32::MAX, b"<1>".to_vec())));
        let zeros = |count: usize| format!("<{}13>x", "0".repeat(count));
        assert_eq!(number(&zeros(MARK_MAX - 4)), Some((13, b"x".to_vec())));
        for none in
            ["", "<", "<>", "<1", "<x>", "<1x>y", "<-1>", "< 1>", "<+1>", "13>", " <13>", "<4294967296>", &zeros(29)]
        {
            assert_eq!(number(none), None, "{none}");
        }
    }

    #[test]
    fn a_message_becomes_one_line() {
        assert_eq!(made(b"<13>a\0b\nc\n\0\n", false, false, b""), b"user.notice: a~b~c\n");
        assert_eq!(made(b"<13>a", true, false, b"1.2.3.4_5: "), b"1.2.3.4_5: <13>a\n");
        assert_eq!(made(b"<13>\n", false, true, b"x: "), b"x: user.notice: ...\n");
        assert_eq!(made(b"", false, false, b""), b"\n");
        assert_eq!(made(b"\n<13>", false, false, b""), b"~<13>\n");
    }

    #[test]
    fn without_room_there_is_no_line() {
        let mut room = [0; FRONT + 5];
        assert_eq!(line(&mut room, 6, false, false, b""), None);
        room[FRONT..].copy_from_slice(b"<1>aa");
        assert_eq!(line(&mut room, 5, false, false, b""), None);
        assert_eq!(line(&mut room, 0, false, false, &[b'x'; FRONT + 1]), None);
    }

    proptest! {
        #[test]
        fn a_line_has_no_newline_or_nul_but_its_own(message: Vec<u8>, raw: bool, cut: bool) {
            let line = made(&message, raw, cut, b"");
            let (last, rest) = line.split_last().unwrap();
            prop_assert_eq!(*last, b'\n');
            prop_assert!(!rest.iter().any(|byte| matches!(byte, 0 | b'\n')));
        }
    }
}
