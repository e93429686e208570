//! A line of the table, or of the machine-readable list: what is known of one held descriptor, in words. Pure.

use super::look::{Queue, Sight};
use crate::applets::machine::columns::{Left, Span, cell};
use crate::fdholder::info::Entry;
use crate::fdholder::table::Origin;
use crate::fdholder::wire::NEVER;
use crate::sys::Errno;
use crate::sys::time::{Nanos, SECOND};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::fmt::{self, Display, Write};

/// Widths of kinds, states, queues, of when it expires and of who stored it: those of the longest usual ones.
const KIND: usize = 14;
const STATE: usize = 10;
const QUEUE: usize = 9;
const STORED_BY: usize = 19;
const RETRIEVED: usize = 11;

/// What the store knows of a descriptor besides its identifier and limit: see [`Entry`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    origin: Origin,
    waits: Option<u16>,
    age: Nanos,
    uid: u32,
    pid: u32,
    retrievals: u32,
    last_pid: u32,
    last: Nanos,
}

impl Facts {
    /// Those of an entry.
    pub fn of(entry: &Entry<'_>) -> Facts {
        let Entry { origin, waits, age, uid, pid, retrievals, last_pid, last, .. } = *entry;
        Facts { origin, waits, age, uid, pid, retrievals, last_pid, last }
    }
}

/// A held descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its identifier.
    pub id: &'a [u8],
    /// Where it is bound or lies; empty: nowhere, or it was not seen.
    pub address: &'a [u8],
    /// Who is on the other side.
    pub peer: &'a [u8],
    /// Until when it is held, if that is known.
    pub limit: Option<Stamp>,
    /// What the store tells.
    pub facts: Option<Facts>,
    /// What the kernel tells.
    pub sight: Option<&'a Sight>,
}

/// The line above the others; `width` is that of the longest identifier.
pub fn heading(out: &mut dyn Write, width: usize) -> fmt::Result {
    cell(out, width, &"NAME")?;
    write!(
        out,
        "  {:<KIND$}  {:<STATE$}  {:>QUEUE$}  {:>6}  {:>7}  {:>7}",
        "KIND", "STATE", "QUEUE", "LOST", "SINCE", "EXPIRES"
    )?;
    writeln!(out, "  {:<STORED_BY$}  {:>5}  {:<RETRIEVED$}  {:>7}  ADDRESS", "STORED BY", "GIVEN", "TO", "AGO")
}

impl Row<'_> {
    /// Its line in the table, at time `now`. `?`: not known; `-`: there is no such thing.
    pub fn line(&self, out: &mut dyn Write, width: usize, now: Stamp) -> fmt::Result {
        cell(out, width, &Printable(self.id))?;
        let (kind, state) = match (self.waits(), self.sight) {
            (Some(_), _) => ("-", "waiting"),
            (None, Some(sight)) => (sight.kind.as_str(), sight.state),
            (None, None) => ("?", "?"),
        };
        write!(out, "  {kind:<KIND$}  {state:<STATE$}  ")?;
        let mut words = Words::new();
        match (self.waits(), self.sight) {
            (Some(_), _) => write!(words, "-")?,
            (None, None) => write!(words, "?")?,
            (None, Some(sight)) => queue(&mut words, sight.queue)?,
        }
        write!(out, "{words:>QUEUE$}  ")?;
        words.clear();
        match (self.waits(), self.sight) {
            (None, None) => write!(words, "?")?,
            (_, sight) => or_none(&mut words, sight.and_then(|sight| sight.dropped))?,
        }
        write!(out, "{words:>6}  ")?;
        words.clear();
        match self.facts {
            Some(facts) => write!(words, "{}", Span(facts.age / SECOND))?,
            None => write!(words, "?")?,
        }
        write!(out, "{words:>7}  ")?;
        words.clear();
        match self.expires(now) {
            _ if self.limit.is_none() => write!(words, "?")?,
            Some(seconds) => write!(words, "{}", Span(seconds))?,
            None => write!(words, "never")?,
        }
        write!(out, "{words:>7}  ")?;
        self.givers(out)?;
        self.place(out)
    }

    /// Who stored it, and who got it.
    fn givers(&self, out: &mut dyn Write) -> fmt::Result {
        let Some(facts) = self.facts else {
            return write!(out, "{:<STORED_BY$}  {:>5}  {:<RETRIEVED$}  {:>7}", "?", "?", "?", "?");
        };
        let mut words = Words::new();
        match (facts.origin, self.service()) {
            (Origin::Board, _) => cell(out, STORED_BY, &"board config")?,
            (Origin::Service, Some(service)) => cell(out, STORED_BY, &format_args!("service {}", Printable(service)))?,
            _ => cell(out, STORED_BY, &format_args!("pid {} uid {}", facts.pid, facts.uid))?,
        }
        if facts.waits.is_some() || facts.retrievals == 0 {
            return write!(out, "  {:>5}  {:<RETRIEVED$}  {:>7}", facts.given(), "-", "-");
        }
        match facts.last_pid {
            0 => write!(words, "-")?,
            pid => write!(words, "pid {pid}")?,
        }
        write!(out, "  {:>5}  {words:<RETRIEVED$}  ", facts.given())?;
        words.clear();
        write!(words, "{}", Span(facts.last / SECOND))?;
        write!(out, "{words:>7}")
    }

    /// Where it is; of what waits, why.
    fn place(&self, out: &mut dyn Write) -> fmt::Result {
        out.write_str("  ")?;
        if let Some((why, facts)) = self.waits() {
            match why {
                0 => out.write_str("not bound yet")?,
                errno => write!(out, "{}", Reason(Errno::from_raw_os_error(errno.into())))?,
            }
            return write!(out, "; tried {} times, next {}", facts.retrievals, Left(facts.last));
        }
        match (self.sight, self.address, self.peer) {
            (None, ..) => out.write_str("?"),
            (_, [], []) => out.write_str("-"),
            (_, address, []) => write!(out, "{}", Printable(address)),
            (_, [], peer) => write!(out, "-> {}", Printable(peer)),
            (_, address, peer) => write!(out, "{} -> {}", Printable(address), Printable(peer)),
        }
    }

    /// Whether it is not there yet.
    pub fn is_waiting(&self) -> bool {
        self.waits().is_some()
    }

    fn waits(&self) -> Option<(u16, Facts)> {
        self.facts.and_then(|facts| Some((facts.waits?, facts)))
    }

    /// Seconds until it expires; `None`: it never does, or that is not known.
    fn expires(&self, now: Stamp) -> Option<u64> {
        let limit = self.limit?;
        let left = limit.sec.saturating_sub(now.sec);
        (left < NEVER / 2).then(|| limit.seconds_since(now))
    }

    /// The service that stored it: the middle of `fdstore:SERVICE:FDNAME`, whose last part has no colon.
    fn service(&self) -> Option<&[u8]> {
        let rest = self.id.strip_prefix(b"fdstore:")?;
        let end = rest.iter().rposition(|byte| *byte == b':')?;
        rest.get(..end)
    }

    /// Its line of JSON: an object whose keys are always there; null is what is not known, or of no meaning.
    pub fn json(&self, out: &mut dyn Write, now: Stamp) -> fmt::Result {
        let facts = self.facts.filter(|facts| facts.waits.is_none());
        let retrieved = facts.filter(|facts| facts.retrievals > 0);
        write!(out, "{{\"name\":{}", Quoted(Printable(self.id)))?;
        member(out, "kind", self.sight.map(|sight| Quoted(&sight.kind)))?;
        match self.waits() {
            Some(_) => member(out, "state", Some(Quoted("waiting")))?,
            None => member(out, "state", self.sight.map(|sight| Quoted(sight.state)))?,
        }
        for (key, text) in [("address", self.address), ("peer", self.peer)] {
            member(out, key, (!text.is_empty()).then_some(Quoted(Printable(text))))?;
        }
        let (what, many, limit) = match self.sight.map(|sight| sight.queue) {
            Some(Queue::Connections(waiting, backlog)) => ("connections", Some(waiting.into()), Some(backlog.into())),
            Some(Queue::Bytes(bytes, limit)) => ("bytes", Some(bytes), limit),
            Some(Queue::First(bytes)) => ("bytes of the first datagram", Some(bytes), None),
            _ => ("", None, None),
        };
        member(out, "queue", many)?;
        member(out, "queue_max", limit)?;
        member(out, "queue_of", (!what.is_empty()).then_some(Quoted(what)))?;
        member(out, "dropped", self.sight.and_then(|sight| sight.dropped))?;
        member(out, "stored_seconds_ago", self.facts.map(|facts| facts.age / SECOND))?;
        member(out, "expires_in_seconds", self.expires(now))?;
        let origin = self.facts.map(|facts| match facts.origin {
            Origin::Board => "board",
            Origin::Service => "service",
            Origin::Client => "client",
        });
        member(out, "stored_by", origin.map(Quoted))?;
        let service = self.facts.filter(|facts| facts.origin == Origin::Service).and_then(|_| self.service());
        member(out, "service", service.map(|service| Quoted(Printable(service))))?;
        member(out, "pid", facts.map(|facts| facts.pid))?;
        member(out, "uid", facts.map(|facts| facts.uid))?;
        member(out, "retrieved_times", facts.map(|facts| facts.retrievals))?;
        member(out, "retrieved_by_pid", retrieved.map(|facts| facts.last_pid).filter(|pid| *pid != 0))?;
        member(out, "retrieved_seconds_ago", retrieved.map(|facts| facts.last / SECOND))?;
        let waits = self.waits();
        let why = waits.filter(|(why, _)| *why != 0).map(|(why, _)| Reason(Errno::from_raw_os_error(why.into())));
        member(out, "waits_because", why.map(Quoted))?;
        member(out, "tried_times", waits.map(|(_, facts)| facts.retrievals))?;
        member(out, "tried_again_in_seconds", waits.map(|(_, facts)| facts.last.div_ceil(SECOND)))?;
        out.write_str("}")
    }
}

impl Facts {
    /// How often it was given to somebody, as a column says it.
    fn given(&self) -> Words {
        let mut words = Words::new();
        let _ = if self.waits.is_some() { write!(words, "-") } else { write!(words, "{}", self.retrievals) };
        words
    }
}

/// What fits a column.
type Words = heapless::String<32>;

fn queue(out: &mut dyn Write, queue: Queue) -> fmt::Result {
    match queue {
        Queue::None => out.write_str("-"),
        Queue::Unknown => out.write_str("?"),
        Queue::Connections(waiting, backlog) => write!(out, "{waiting}/{backlog}"),
        Queue::Bytes(bytes, _) | Queue::First(bytes) => write!(out, "{bytes} B"),
    }
}

fn or_none(out: &mut dyn Write, value: Option<u32>) -> fmt::Result {
    match value {
        Some(value) => write!(out, "{value}"),
        None => out.write_str("-"),
    }
}

fn member(out: &mut dyn Write, key: &str, value: Option<impl Display>) -> fmt::Result {
    match value {
        Some(value) => write!(out, ",\"{key}\":{value}"),
        None => write!(out, ",\"{key}\":null"),
    }
}

/// A string of JSON whose text is printable ASCII.
struct Quoted<T>(T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl Write for Escaped<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().try_for_each(|c| {
                    if matches!(c, '"' | '\\') {
                        self.0.write_char('\\')?;
                    }
                    self.0.write_char(c)
                })
            }
        }
        f.write_char('"')?;
        write!(Escaped(f), "{}", self.0)?;
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::Kind;
    use super::*;

    const NOW: Stamp = Stamp { sec: 1 << 62, nano: 5 };
    const FACTS: Facts = Facts {
        origin: Origin::Client,
        waits: None,
        age: 61 * SECOND,
        uid: 1000,
        pid: 77,
        retrievals: 12,
        last_pid: 4_194_304,
        last: 5 * SECOND,
    };

    fn listener() -> Sight {
        let kind = "unix-seqpacket".parse::<Kind>().unwrap();
        Sight { kind, state: "listening", queue: Queue::Connections(3, 128), dropped: None }
    }

    fn row(sight: &Sight) -> Row<'_> {
        let limit = Some(Stamp { sec: NOW.sec + NEVER, nano: 0 });
        Row { id: b"web", address: b"unix:/run/w\n", peer: b"", limit, facts: Some(FACTS), sight: Some(sight) }
    }

    fn line(row: &Row<'_>) -> String {
        let mut out = String::new();
        row.line(&mut out, 4, NOW).unwrap();
        out
    }

    fn json(row: &Row<'_>) -> String {
        let mut out = String::new();
        row.json(&mut out, NOW).unwrap();
        out
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let mut head = String::new();
        heading(&mut head, 4).unwrap();
        let told = line(&row(&listener()));
        let expected = [
            "NAME  KIND            STATE           QUEUE    LOST    SINCE  EXPIRES  \
             STORED BY            GIVEN  TO               AGO  ADDRESS\n",
            "web   unix-seqpacket  listening       3/128       -     61 s    never  \
             pid 77 uid 1000         12  pid 4194304      5 s  unix:/run/w\\n",
        ];
        assert_eq!([head, told], expected);
    }

    #[test]
    fn what_nobody_told_is_a_question_mark() {
        let row = Row { id: b"web", address: b"", peer: b"", limit: None, facts: None, sight: None };
        assert_eq!(line(&row).split_whitespace().collect::<Vec<_>>(), [&["web"][..], &["?"; 11]].concat());
        let told = json(&row);
        assert!(told.starts_with("{\"name\":\"web\",\"kind\":null,\"state\":null,"), "{told}");
        assert_eq!(told.matches(":null").count(), told.matches("\":").count() - 1);
    }

    #[test]
    fn a_socket_that_waits_to_be_bound_says_why() {
        let waits = Some(Errno::ADDRINUSE.raw_os_error() as u16);
        let facts = Some(Facts { origin: Origin::Board, waits, retrievals: 3, last: 2 * SECOND, last_pid: 0, ..FACTS });
        let sight = listener();
        let row = Row { facts, sight: None, address: b"", ..row(&sight) };
        let told = line(&row);
        assert!(told.contains("  waiting  ") && told.contains("  board config  "), "{told}");
        assert!(told.ends_with("  Address already in use; tried 3 times, next in 2 s"), "{told}");
        let told = json(&row);
        for part in [
            "\"state\":\"waiting\"",
            "\"waits_because\":\"Address already in use\"",
            "\"tried_times\":3",
            "\"pid\":null",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_service_that_stored_is_named() {
        let facts = Some(Facts { origin: Origin::Service, retrievals: 0, ..FACTS });
        let sight = listener();
        let stored = |id| line(&Row { id, facts, ..row(&sight) });
        let told = stored(b"fdstore:a:b:conn#2");
        assert!(told.contains("  service a:b ") && told.contains("      0  -                  -  unix:"), "{told}");
        assert!(stored(b"other").contains("  pid 77 uid 1000  "), "a name that does not say which");
        let told = json(&Row { id: b"fdstore:a:b:conn", facts, ..row(&sight) });
        assert!(told.contains("\"stored_by\":\"service\",\"service\":\"a:b\""), "{told}");
    }

    #[test]
    fn a_line_of_json_is_an_object_of_strings_that_are_ascii() {
        let sight = listener();
        let row = Row { id: b"a\"b\\\xff\n", peer: b"unix:@p", ..row(&sight) };
        let row = Row { limit: Some(Stamp { sec: NOW.sec + 9, nano: 9 }), ..row };
        let told = json(&row);
        assert!(told.starts_with(r#"{"name":"a\"b\\\\\\xff\\n","#), "{told}");
        for part in [
            "\"peer\":\"unix:@p\"",
            "\"queue\":3,\"queue_max\":128,\"queue_of\":\"connections\",\"dropped\":null",
            "\"stored_seconds_ago\":61,\"expires_in_seconds\":9",
            "\"pid\":77,\"uid\":1000,\"retrieved_times\":12,\"retrieved_by_pid\":4194304,\"retrieved_seconds_ago\":5",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(told.is_ascii() && told.ends_with('}'));
    }
}
