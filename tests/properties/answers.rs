//! What a client of the fd-holder makes of any answer, right or wrong: the check, for proptest (`main.rs` beside this) and
//! for libFuzzer (`fuzz/`).

use linchpin::fdholder::client::{Connection, never};
use linchpin::fdholder::info;
use linchpin::fdholder::wire::Entry;
use linchpin::sys::{Errno, Fd, Result, poll, socket, time, unix};
use std::ffi::CString;
use std::sync::atomic::{AtomicU32, Ordering};

/// A socket at which stores answer before they are asked.
pub struct Place {
    path: CString,
    listener: Fd,
}

impl Place {
    pub fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("linchpin-answers-{}-{count}", std::process::id()));
        let path = CString::new(path.to_str().unwrap()).unwrap();
        let listener = unix::listen(&path, 0o600).unwrap();
        Place { path, listener }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.listener.close();
        let _ = std::fs::remove_file(self.path.to_str().unwrap());
    }
}

/// Bytes as a source of decisions; zeros when there are no more.
struct Decisions<'a>(&'a [u8]);

impl Decisions<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % bound
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most + 1).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes.to_vec()
    }

    /// The payload of the `step`-th message of an answer to `what`, as it could be; a dump has `total` entries.
    fn right(&mut self, what: usize, step: usize, total: usize) -> Vec<u8> {
        let number = |n: usize| (n as u32).to_be_bytes();
        let entry = |id: &[u8]| [&never().to_bytes()[..], &[id.len() as u8], id, &[0]].concat();
        match (what, step) {
            (3, _) => [&[0][..], &number(2), b"a\0bc\0"].concat(),
            (5, 0) => [&[0][..], &number(total.min(1)), &number(total)].concat(),
            (5, _) => (0..total).flat_map(|_| entry(&[&[b'x'][..], &self.bytes(4)].concat())).collect(),
            (6, 0) => [&[0][..], &number(1)].concat(),
            _ => vec![0],
        }
    }

    /// One that may be anything.
    fn wrong(&mut self) -> Vec<u8> {
        match self.below(3) {
            0 => self.bytes(40),
            1 => vec![self.below(13) as u8],
            _ => (0..self.below(14)).map(|_| self.below(4) as u8).collect(),
        }
    }

    /// The `step`-th part of an answer, and how many descriptors come with it.
    fn part(&mut self, what: usize, step: usize, total: usize) -> (Vec<u8>, usize) {
        let fds = match (self.below(4), what, step) {
            (0, ..) => self.below(4),
            (_, 2, 0) => 1,
            (_, 5, 1) => total,
            _ => 0,
        };
        let payload = match self.below(8) {
            0 => return (self.bytes(30), fds),
            1 => self.wrong(),
            _ => self.right(what, step, total),
        };
        let claims = if self.below(4) == 0 { self.below(4) } else { fds } as u16;
        ([&(payload.len() as u32).to_be_bytes()[..], &claims.to_be_bytes(), &payload].concat(), fds)
    }
}

/// Asks for something; what it gets is what it says, and closed.
fn ask(store: &mut Connection, what: usize) -> Result<()> {
    match what {
        0 => store.store(Fd::STDERR, b"id", never()),
        1 => store.delete(b"id"),
        2 => store.retrieve(b"id", false).map(|mut fd| {
            assert!(fd.is_open());
            fd.close();
        }),
        3 => store.list(&mut [0; 4096]).map(|ids| assert!(ids.count() < 4096)),
        4 => store.info(0, &mut [0; info::ANSWER]).map(|page| assert!(page.iter().count() < info::ANSWER)),
        5 => {
            let (mut fds, mut text) = ([Fd::NONE; 4], [0; 2048]);
            let dump = store.get_dump(&mut fds, &mut text)?;
            assert_eq!(dump.entries().filter(|entry| !entry.id.is_empty()).count(), dump.fds().len());
            for mut fd in dump.fds().iter().copied() {
                assert!(fd.is_open());
                fd.close();
            }
            Ok(())
        }
        _ => {
            let entries = [b"a", b"b"].map(|id| Entry { limit: never(), id });
            store.set_dump(&[Fd::STDERR; 2], entries.into_iter(), &mut [0; 1024])
        }
    }
}

/// A client of a store that has already answered, with these bytes and ends of a pipe as descriptors: it comes to an end,
/// and nobody has such an end then.
pub fn answers(place: &Place, data: &[u8]) {
    let mut decisions = Decisions(data);
    let (mut reader, mut writer) = Fd::pipe().unwrap();
    let mut store = Connection::open(&place.path, Some(time::boot() + 60 * time::SECOND)).unwrap();
    let mut server = unix::accept(place.listener).unwrap();
    let what = decisions.below(7);
    let total = decisions.below(4);
    for step in 0..3 {
        let (part, fds) = decisions.part(what, step, total);
        if !part.is_empty() {
            assert_eq!(socket::send(server, &part, &[writer; 3][..fds]), Ok(part.len()));
        }
    }
    rustix::net::shutdown(server, rustix::net::Shutdown::Write).unwrap();
    assert_ne!(ask(&mut store, what), Err(Errno::TIMEDOUT), "there is an end to read");
    store.close();
    server.close();
    writer.close();
    // A test beside this one may be starting a child, which has everything until it executes something.
    let ended = poll::readable(reader, Some(time::boot() + 10 * time::SECOND));
    assert_eq!(ended, Ok(()), "a descriptor was left open");
    reader.close();
}
