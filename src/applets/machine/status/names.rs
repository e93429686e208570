//! The names of the services of a scan directory, in order. One table for a whole directory, in `.bss`.

use crate::limits::SERVICES;
use crate::service::waiting::NAME;
use crate::text::order;

/// At most [`SERVICES`] names.
pub struct Names {
    count: usize,
    used: usize,
    spans: [Span; SERVICES],
    bytes: [u8; SERVICES * NAME],
}

/// Where a name lies.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.len as usize).unwrap_or_default()
    }
}

impl Names {
    /// No name yet; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Names {
        Names { count: 0, used: 0, spans: [Span { start: 0, len: 0 }; SERVICES], bytes: [0; SERVICES * NAME] }
    }

    /// Adds a name. `false`: there is no room for it.
    pub fn push(&mut self, name: &[u8]) -> bool {
        let end = self.used + name.len();
        let (Some(span), Some(room)) = (self.spans.get_mut(self.count), self.bytes.get_mut(self.used..end)) else {
            return false;
        };
        room.copy_from_slice(name);
        *span = Span { start: self.used as u32, len: name.len() as u32 };
        self.count += 1;
        self.used = end;
        true
    }

    /// Puts them into the order of their bytes.
    pub fn sort(&mut self) {
        let bytes = &self.bytes;
        let spans = self.spans.get_mut(..self.count).unwrap_or_default();
        order::sort(spans, &mut |a, b| a.of(bytes) < b.of(bytes));
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().take(self.count).map(|span| span.of(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_the_order_of_their_bytes() {
        let mut names = Box::new(Names::new());
        for name in ["web", "", "db", "Z", "db2", "\u{e9}"] {
            assert!(names.push(name.as_bytes()));
        }
        names.sort();
        let sorted: Vec<_> = names.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
        assert_eq!(sorted, ["", "Z", "db", "db2", "web", "\u{e9}"]);
    }

    #[test]
    fn a_full_table_of_the_longest_names_takes_no_more() {
        let mut names = Box::new(Names::new());
        for _ in 0..SERVICES {
            assert!(names.push(&[b'x'; NAME]));
        }
        assert!(!names.push(b""));
        assert_eq!(names.iter().count(), SERVICES);
        assert!(names.iter().all(|name| name.len() == NAME));
    }
}
