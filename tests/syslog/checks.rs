//! Checks that take arbitrary bytes, for a fuzzer as well as for tests.

use linchpin::text::kmsg::{Piece, Place, Record, decode};
use linchpin::text::syslog;

/// The kernel's log, of whatever bytes.
pub fn kmsg(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        if let Some(record) = Record::parse(line) {
            let front = record.front();
            let text = std::str::from_utf8(&front).expect("text");
            assert!(text.ends_with("] ") && text.contains(": [") && text.is_ascii());
            readable(record.text);
        }
        readable(line);
    }
    if let Some(place) = Place::parse(data) {
        assert_eq!(Place::parse(&place.to_text()), Some(place));
    }
    message(data);
}

/// A text is printed in characters that can be printed, and nothing of it is left out.
fn readable(text: &[u8]) {
    let mut shown = Vec::new();
    decode(text, &mut |piece| match piece {
        Piece::Text(bytes) => {
            assert!(!bytes.is_empty());
            shown.extend_from_slice(bytes);
        }
        Piece::Break => shown.push(b'\n'),
    });
    let printed = std::str::from_utf8(&shown).expect("UTF-8");
    assert!(!printed.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n')));
    assert!(!printed.ends_with('\n'));
    // Its bytes are those that the text stands for, where what cannot be printed is an escape, whichever way it was written.
    let mut meant = bytes(text);
    while meant.last() == Some(&b'\n') {
        meant.pop();
    }
    assert_eq!(bytes(&shown), twice(&meant), "{printed:?}");
}

/// What a text stands for, the slow way.
fn bytes(text: &[u8]) -> Vec<u8> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let digits = text.get(at..at + 4).and_then(|escape| escape.strip_prefix(b"\\x"));
        let value = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        all.push(value.unwrap_or(text[at]));
        at += if value.is_some() { 4 } else { 1 };
    }
    all
}

/// A backslash that is shown may make what follows it look like an escape, as it does in every printed log.
fn twice(meant: &[u8]) -> Vec<u8> {
    bytes(meant)
}

/// A message of a syslog client.
fn message(data: &[u8]) {
    for raw in [false, true] {
        let mut room = [vec![0; syslog::FRONT], data.to_vec(), vec![0; syslog::BACK]].concat();
        let line = syslog::line(&mut room, data.len(), raw, true, b"from: ").expect("room");
        let line = &room[line];
        assert!(line.starts_with(b"from: ") && line.ends_with(b"...\n"));
        assert!(!line[..line.len() - 1].iter().any(|byte| matches!(byte, 0 | b'\n')));
    }
}
