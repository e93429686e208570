//! The kernel's log as /dev/kmsg has it, Documentation/ABI/testing/dev-kmsg. A record is a line
//! `LEVEL,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT`, and maybe more lines, ` KEY=VALUE`, about what it is that has a problem.
//! What is not printable ASCII is `\xHH` in all of them, and so is the backslash.

use crate::text::number::{Decimal, parse_u32, parse_u64};
use crate::text::syslog::Origin;

/// The first line of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Who has said it, and how bad it is. What is not the kernel's own has another facility.
    pub origin: Origin,
    /// Its number: one more than that of the record before, from 0 on since the machine started.
    pub sequence: u64,
    /// When: microseconds, on the kernel's clock, which starts with the machine.
    pub micros: u64,
    /// What, as it is written there: see [`decode`].
    pub text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a line, without its newline. `None`: it is not the first one of a record.
    pub fn parse(line: &'a [u8]) -> Option<Record<'a>> {
        let end = line.iter().position(|byte| *byte == b';')?;
        let (head, text) = (line.get(..end)?, line.get(end + 1..)?);
        let mut fields = head.split(|byte| *byte == b',');
        let origin = Origin(parse_u32(fields.next()?)?);
        let (sequence, micros) = (parse_u64(fields.next()?)?, parse_u64(fields.next()?)?);
        // The flags, of which none is of use to a reader of lines; later kernels have more.
        fields.next()?;
        Some(Record { origin, sequence, micros, text })
    }

    /// What stands in front of its lines: `kern.warn: [   12.345678] `.
    pub fn front(&self) -> heapless::Vec<u8, FRONT> {
        let mut front = heapless::Vec::new();
        let mut put = |bytes: &[u8]| {
            let _ = front.extend_from_slice(bytes); // it has room for the longest
        };
        put(self.origin.facility_name().as_bytes());
        put(b".");
        put(self.origin.priority_name().as_bytes());
        put(b": [");
        let seconds = Decimal::new(self.micros / 1_000_000);
        put(b"     ".get(seconds.as_bytes().len()..).unwrap_or_default());
        put(seconds.as_bytes());
        put(b".");
        // Seven digits, of which the first is for the zeros.
        put(Decimal::new(1_000_000 + self.micros % 1_000_000).as_bytes().get(1..).unwrap_or_default());
        put(b"] ");
        front
    }
}

/// Longest [`Record::front`]: names, the longest of which have 8 and 6 bytes, 14 digits of seconds, 6 behind the point,
/// and 7 bytes between them.
pub const FRONT: usize = 41;

/// A piece of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// To be printed as it is.
    Text(&'a [u8]),
    /// Another line begins.
    Break,
}

/// Shows `out` the pieces of a text, made readable: printable characters, UTF-8 included, and tabs are what they stand for;
/// other bytes stay `\xHH`. Newlines at the end are left out.
pub fn decode(text: &[u8], out: &mut dyn FnMut(Piece<'_>)) {
    let mut rest = text;
    let mut breaks = 0usize;
    while !rest.is_empty() {
        let plain = rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len());
        let (first, mut after) = rest.split_at(plain);
        let mut character = Character { bytes: [0; 4], length: 0 };
        if plain == 0 {
            after = character.take(rest);
        }
        if character.bytes() == b"\n" {
            breaks += 1;
        } else {
            (0..core::mem::take(&mut breaks)).for_each(|_| out(Piece::Break));
            if plain > 0 {
                out(Piece::Text(first));
            } else {
                character.show(out);
            }
        }
        rest = after;
    }
}

/// Printed as it is, and not the beginning of anything.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\'
}

/// One character, as bytes; or one byte that is none.
#[derive(Clone, Copy)]
struct Character {
    bytes: [u8; 4],
    length: usize,
}

impl Character {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Takes it from the beginning of a text; answers the rest.
    fn take<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let (first, after) = byte(text);
        self.bytes[0] = first;
        self.length = 1;
        let wanted = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return after,
        };
        let mut whole = *self;
        let mut rest = after;
        for place in whole.bytes.iter_mut().take(wanted).skip(1) {
            (*place, rest) = byte(rest);
        }
        whole.length = wanted;
        let character = core::str::from_utf8(whole.bytes()).ok().and_then(|text| text.chars().next());
        if character.is_some_and(|character| !character.is_control()) {
            *self = whole;
            return rest;
        }
        after
    }

    fn show(&self, out: &mut dyn FnMut(Piece<'_>)) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match self.bytes() {
            [b'\t' | b' '..=b'~'] => out(Piece::Text(self.bytes())),
            [byte] => {
                let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'?');
                out(Piece::Text(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]));
            }
            bytes => out(Piece::Text(bytes)),
        }
    }
}

/// The byte at the beginning of a text, and the rest; 0 at its end.
fn byte(text: &[u8]) -> (u8, &[u8]) {
    if let [b'\\', b'x', high, low, rest @ ..] = text {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        if let (Some(high), Some(low)) = (digit(high), digit(low)) {
            return ((high * 16 + low) as u8, rest);
        }
    }
    text.split_first().map_or((0, text), |(first, rest)| (*first, rest))
}

/// What a reader remembers: how far it has come, and of which boot that is. `BOOT SEQUENCE`, and a newline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The boot, as /proc/sys/kernel/random/boot_id names it.
    pub boot: [u8; BOOT],
    /// The last record that was printed.
    pub sequence: u64,
}

/// Bytes of the name of a boot.
pub const BOOT: usize = 36;

/// Longest [`Place::to_text`].
pub const PLACE: usize = BOOT + 1 + 20 + 1;

impl Place {
    /// Reads what [`Place::to_text`] has written.
    pub fn parse(text: &[u8]) -> Option<Place> {
        let (boot, rest) = text.split_first_chunk::<BOOT>()?;
        let sequence = parse_u64(rest.strip_prefix(b" ")?.strip_suffix(b"\n")?)?;
        Some(Place { boot: *boot, sequence })
    }

    /// To be written.
    pub fn to_text(&self) -> heapless::Vec<u8, PLACE> {
        let mut text = heapless::Vec::new();
        for piece in [&self.boot[..], b" ", Decimal::new(self.sequence).as_bytes(), b"\n"] {
            let _ = text.extend_from_slice(piece); // it has room for the longest
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> String {
        let mut whole = Vec::new();
        decode(text.as_bytes(), &mut |piece| match piece {
            Piece::Text(bytes) => whole.extend_from_slice(bytes),
            Piece::Break => whole.push(b'\n'),
        });
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn records_of_older_and_later_kernels_are_read() {
        let record = Record::parse(b"30,339,5140900,-,caller=T1;linchpin: up; at last").unwrap();
        let text = &b"linchpin: up; at last"[..];
        assert_eq!(record, Record { origin: Origin(30), sequence: 339, micros: 5_140_900, text });
        assert_eq!(Record::parse(b"6,0,0,c;").unwrap().text, b"");
        for none in ["", ";", " SUBSYSTEM=acpi", "6,1,2;x", "x,1,2,-;x", "6,,2,-;x", "6,1,-2,-;x", "6,1,2,-"] {
            assert_eq!(Record::parse(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn the_stamp_is_the_kernels() {
        let front = |origin, micros| {
            let record = Record { origin: Origin(origin), sequence: 0, micros, text: b"" };
            String::from_utf8(record.front().to_vec()).unwrap()
        };
        assert_eq!(front(4, 12_345_678), "kern.warn: [   12.345678] ");
        assert_eq!(front(30, 5), "daemon.info: [    0.000005] ");
        assert_eq!(front(6, 1_234_567_000_001), "kern.info: [1234567.000001] ");
        let longest = front(85, u64::MAX);
        assert_eq!(longest, "authpriv.notice: [18446744073709.551615] ");
        assert_eq!(longest.len(), FRONT);
    }

    #[test]
    fn escapes_are_decoded_to_what_can_be_printed() {
        assert_eq!(decoded(r"a\x5cb\x09c"), "a\\b\tc");
        assert_eq!(decoded(r"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "é€😀");
        assert_eq!(decoded(r"\x1b[m\x7f\x00"), r"\x1b[m\x7f\x00");
        assert_eq!(decoded(r"\xc3\xff\xc2\x85\xe2\x82"), r"\xc3\xff\xc2\x85\xe2\x82");
        assert_eq!(decoded(r"\xc3a\xed\xa0\x80"), r"\xc3a\xed\xa0\x80");
        assert_eq!(decoded(r"\x4\xzz\\x"), r"\x4\xzz\\x");
        assert_eq!(decoded("raw \u{e9}\u{1}"), "raw é\\x01");
    }

    #[test]
    fn lines_within_a_text_are_lines_and_none_are_at_its_end() {
        assert_eq!(decoded(r"a\x0ab\x0a\x0ac\x0a\x0a"), "a\nb\n\nc");
        assert_eq!(decoded(r"\x0aa"), "\na");
        assert_eq!(decoded(r"\x0a"), "");
    }

    #[test]
    fn a_place_reads_back_and_nothing_else_is_one() {
        let place = Place { boot: *b"0f0f0f0f-1111-2222-3333-444444444444", sequence: u64::MAX };
        let text = place.to_text();
        assert_eq!(text.len(), PLACE);
        assert_eq!(Place::parse(&text), Some(place));
        for end in 0..text.len() {
            assert_eq!(Place::parse(&text[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn what_the_kernel_escapes_comes_back(text in "[^\\p{Cc}]{0,40}") {
            let escaped: String = text.bytes().map(|byte| match byte {
                b' '..=b'~' if byte != b'\\' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            }).collect();
            prop_assert_eq!(decoded(&escaped), text);
        }
    }
}
