//! How lines are shown.

use crate::limits::LOG_READ;
use crate::logd::stamp::{Dates, decimals};
use crate::sys::{Errno, Fd, Result, file, pages};
use crate::text::number::Decimal;
use crate::text::tai::Stamp;
use core::str::from_utf8;

/// What a line looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// A date, the service, the text.
    Date,
    /// A TAI64N label, the service, the text.
    Label,
    /// An object.
    Json,
}

/// The column of names is no wider: a longer name moves its own lines only.
const WIDEST: usize = 40;
/// Digits of a second's fraction that are shown in a date, and the point.
const FRACTION: usize = 7;

/// Writes lines to standard output, many at a time.
pub struct Printer {
    style: Style,
    dates: Dates,
    /// Escape sequences in a line do nothing to the terminal.
    is_terminal: bool,
    /// Of the column of names.
    width: usize,
    buffer: &'static mut [u8],
    used: usize,
    failed: Option<Errno>,
}

/// A line, as far as it is not its text.
#[derive(Clone, Copy)]
pub struct Label<'a> {
    /// Its time.
    pub time: Stamp,
    /// The line says so itself.
    pub is_stamped: bool,
    /// Whose it is.
    pub service: &'a [u8],
}

impl Printer {
    /// ENOMEM.
    pub fn new(style: Style, dates: Dates) -> Result<Printer> {
        let is_terminal = rustix::termios::isatty(Fd::STDOUT);
        Ok(Printer { style, dates, is_terminal, width: 0, buffer: pages::reserve(LOG_READ)?, used: 0, failed: None })
    }

    /// A name of so many bytes will be shown.
    pub fn make_room(&mut self, name: usize) {
        self.width = self.width.max(name.min(WIDEST));
    }

    /// The first part of a line; [`Printer::end`] ends it.
    pub fn line(&mut self, label: Label<'_>, text: &[u8]) {
        if self.style == Style::Json {
            self.json_label(label, if label.is_stamped { b"" } else { b"\"exact\":false," });
            self.put(b"\"message\":\"");
        } else {
            self.label(label);
        }
        self.more(text);
    }

    /// More of its text. (In JSON, text that is no UTF-8 where two parts meet is not taken for such.)
    pub fn more(&mut self, text: &[u8]) {
        match self.style {
            Style::Json => self.json_text(text),
            _ if self.is_terminal => self.visible(text),
            _ => self.put(text),
        }
    }

    /// Its end.
    pub fn end(&mut self) {
        self.put(if self.style == Style::Json { b"\"}\n" } else { b"\n" });
    }

    /// Lines that cannot be shown: so many, `why`.
    pub fn missing(&mut self, label: Label<'_>, lines: u64, why: &[&[u8]]) {
        let count = Decimal::new(lines);
        if self.style == Style::Json {
            self.json_label(Label { time: Stamp::default(), ..label }, b"\"dropped\":");
            self.put(count.as_bytes());
            return self.put(b"}\n");
        }
        self.label(label);
        self.put(b"-- ");
        self.put(count.as_bytes());
        for piece in why {
            self.put(piece);
        }
        self.put(b"\n");
    }

    fn label(&mut self, Label { time, is_stamped, service }: Label<'_>) {
        let date = if self.style == Style::Date { self.dates.of(time) } else { None };
        let mut text = [0; 64];
        let mut len = 0;
        let mut put = |bytes: &[u8]| {
            if let Some(room) = text.get_mut(len..len + bytes.len()) {
                room.copy_from_slice(bytes);
                len += bytes.len();
            }
        };
        match date {
            _ if time == Stamp::default() => {
                let blank = if self.style == Style::Date { 19 + FRACTION } else { 25 };
                (0..blank).for_each(|_| put(b" "));
            }
            Some(date) => {
                put(date);
                let fraction = if is_stamped { decimals(time.nano) } else { [b' '; 10] };
                put(&fraction[..FRACTION]);
            }
            None => put(&time.to_text()),
        }
        put(b" ");
        self.put(&text[..len]);
        self.put(service);
        for _ in service.len()..self.width + 1 {
            self.put(b" ");
        }
    }

    /// `{"time":"...","service":"...",` and `more`.
    fn json_label(&mut self, label: Label<'_>, more: &[u8]) {
        self.put(b"{");
        if label.time != Stamp::default() {
            self.put(b"\"time\":\"");
            match self.dates.of(label.time) {
                Some(date) => {
                    let mut text = [0; 64];
                    let len = date.len().min(text.len());
                    text[..len].copy_from_slice(&date[..len]);
                    // The last blank is the one between date and time.
                    if let Some(blank) = text[..len].iter_mut().rfind(|byte| **byte == b' ') {
                        *blank = b'T';
                    }
                    self.put(&text[..len]);
                    self.put(&decimals(label.time.nano));
                    self.put(b"Z");
                }
                None => self.put(&label.time.to_text()),
            }
            self.put(b"\",");
        }
        self.put(b"\"service\":\"");
        self.json_text(label.service);
        self.put(b"\",");
        self.put(more);
    }

    fn json_text(&mut self, mut text: &[u8]) {
        loop {
            let (valid, bad) = match from_utf8(text) {
                Ok(_) => (text, 0),
                Err(e) => {
                    let valid = text.get(..e.valid_up_to()).unwrap_or_default();
                    (valid, e.error_len().unwrap_or(text.len() - valid.len()))
                }
            };
            self.json_escaped(valid);
            if bad == 0 {
                return;
            }
            self.put("\u{fffd}".as_bytes());
            text = text.get(valid.len() + bad..).unwrap_or_default();
        }
    }

    fn json_escaped(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            let (plain, special) = rest.split_at(at);
            self.put(plain);
            let byte = special.first().copied().unwrap_or(0);
            match byte {
                b'"' | b'\\' => self.put(&[b'\\', byte]),
                b'\t' => self.put(b"\\t"),
                _ => {
                    self.put(b"\\u00");
                    self.put(&hex(byte));
                }
            }
            rest = special.get(1..).unwrap_or_default();
        }
        self.put(rest);
    }

    /// Text in which no byte does anything but be seen.
    fn visible(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..=0x08 | 0x0a..0x20 | 0x7f)) {
            let (plain, special) = rest.split_at(at);
            self.put(plain);
            self.put(b"\\x");
            self.put(&hex(special.first().copied().unwrap_or(0)));
            rest = special.get(1..).unwrap_or_default();
        }
        self.put(rest);
    }

    fn put(&mut self, mut bytes: &[u8]) {
        loop {
            let room = self.buffer.get_mut(self.used..).unwrap_or_default();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            if let Some(place) = room.get_mut(..now.len()) {
                place.copy_from_slice(now);
            }
            self.used += now.len();
            if later.is_empty() {
                return;
            }
            self.flush();
            bytes = later;
        }
    }

    /// Writes what there is. After a failure nothing more is written.
    pub fn flush(&mut self) {
        if self.failed.is_none() && self.used > 0 {
            self.failed = file::write_all(Fd::STDOUT, self.buffer.get(..self.used).unwrap_or_default()).err();
        }
        self.used = 0;
    }

    /// Why nothing can be written any more.
    pub fn failure(&self) -> Option<Errno> {
        self.failed
    }
}

fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}
