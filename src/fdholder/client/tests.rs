//! What a client makes of answers: right ones, wrong ones, any bytes at all. The answers wait in a socket before the
//! client asks; descriptors that come with them are ends of one pipe, so that one that is not closed is noticed.

use super::*;
use crate::sys::time;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// A store that has answered already.
struct Fake {
    server: Fd,
    reader: Fd,
    writer: Fd,
}

impl Fake {
    fn new(answers: &[(Vec<u8>, usize)]) -> (Fake, Connection) {
        let flags = SocketFlags::CLOEXEC;
        let (server, client) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let (reader, writer) = Fd::pipe().unwrap();
        let fake = Fake { server: Fd::from_owned(server), reader, writer };
        for (bytes, fds) in answers {
            if !bytes.is_empty() {
                assert_eq!(socket::send(fake.server, bytes, &vec![writer; *fds]), Ok(bytes.len()));
            }
        }
        rustix::net::shutdown(fake.server, rustix::net::Shutdown::Write).unwrap();
        (fake, Connection { fd: Fd::from_owned(client), deadline: Some(time::boot() + 30 * time::SECOND) })
    }

    /// What the client has sent: bytes and the number of descriptors.
    fn sent(&self) -> (Vec<u8>, usize) {
        let (mut bytes, mut count) = (Vec::new(), 0);
        loop {
            let (mut buf, mut fds) = (vec![0; 100_000], [Fd::NONE; socket::MAX_FDS]);
            let Ok(got) = socket::receive(self.server, &mut buf, &mut fds) else { break };
            for fd in fds.iter_mut().take(got.fds) {
                fd.close();
            }
            count += got.fds;
            bytes.extend_from_slice(&buf[..got.bytes]);
            if got.bytes == 0 {
                break;
            }
        }
        (bytes, count)
    }

    /// Ends the connection; whether nobody has a descriptor left that came over it.
    fn all_closed(mut self, mut connection: Connection) -> bool {
        connection.close();
        self.server.close();
        self.writer.close();
        // Another test may be starting a child just now, which has everything until it executes something.
        let ended = poll::readable(self.reader, Some(time::boot() + 10 * time::SECOND));
        self.reader.close();
        ended.is_ok()
    }
}

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ask {
    Store,
    Delete,
    Retrieve,
    List,
    GetDump,
    SetDump,
    Visit,
    Info,
}

const ALL: [Ask; 8] =
    [Ask::Store, Ask::Delete, Ask::Retrieve, Ask::List, Ask::GetDump, Ask::SetDump, Ask::Visit, Ask::Info];

/// Asks, closes what came; answers how many descriptors and identifiers that were.
fn ask(connection: &mut Connection, what: Ask) -> Result<(usize, usize)> {
    match what {
        Ask::Store => connection.store(Fd::STDERR, b"id", never()).map(|()| (0, 0)),
        Ask::Delete => connection.delete(b"id").map(|()| (0, 0)),
        Ask::Retrieve => connection.retrieve(b"id", false).map(|mut fd| {
            assert!(fd.is_open());
            fd.close();
            (1, 0)
        }),
        Ask::List => connection.list(&mut [0; 4096]).map(|ids| (0, ids.count())),
        Ask::GetDump => {
            let mut fds = [Fd::NONE; 600];
            let mut text = vec![0; 200_000];
            let dump = connection.get_dump(&mut fds, &mut text)?;
            assert!(dump.entries().all(|entry| !entry.id.is_empty()));
            let mut count = 0;
            for mut fd in dump.fds().iter().copied() {
                assert!(fd.is_open());
                fd.close();
                count += 1;
            }
            Ok((count, dump.entries().count()))
        }
        Ask::Visit => {
            let mut count = 0;
            connection.visit_dump(&mut vec![0; 200_000], &mut |entry, fd| {
                assert!(!entry.id.is_empty() && fd.is_open());
                count += 1;
            })?;
            Ok((count, count))
        }
        Ask::Info => connection.info(0, &mut [0; 4096]).map(|page| (0, page.iter().count())),
        Ask::SetDump => {
            let entries = [b"a", b"b"].map(|id| Entry { limit: never(), id });
            let fds = [Fd::STDERR; 2];
            connection.set_dump(&fds, entries.into_iter(), &mut [0; 4096]).map(|()| (0, 0))
        }
    }
}

fn message(fds: usize, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; HEADER + payload.len()];
    let mut builder = Builder::new(&mut out);
    builder.bytes(payload);
    builder.finish(fds).unwrap().to_vec()
}

fn entry(id: &[u8]) -> Vec<u8> {
    [&never().to_bytes()[..], &[id.len() as u8], id, &[0]].concat()
}

/// A message of a dump, with as many descriptors as entries.
fn data(ids: &[&str]) -> (Vec<u8>, usize) {
    let entries: Vec<u8> = ids.iter().flat_map(|id| entry(id.as_bytes())).collect();
    (message(ids.len(), &entries), ids.len())
}

fn head(trips: u32, total: u32) -> (Vec<u8>, usize) {
    (message(0, &[&[0][..], &trips.to_be_bytes(), &total.to_be_bytes()].concat()), 0)
}

/// What comes of such answers, when no descriptor was left open.
fn outcome(what: Ask, answers: &[(Vec<u8>, usize)]) -> Result<(usize, usize)> {
    let (fake, mut connection) = Fake::new(answers);
    let done = ask(&mut connection, what);
    assert!(fake.all_closed(connection), "{what:?} left a descriptor open");
    done
}

#[test]
fn a_status_is_taken_as_an_errno() {
    for what in ALL {
        for errno in [Errno::PERM, Errno::NOENT, Errno::BUSY, Errno::NFILE, Errno::NOMEM] {
            let answer = (message(0, &[errno.raw_os_error() as u8]), 0);
            assert_eq!(outcome(what, &[answer]), Err(errno));
        }
    }
}

#[test]
fn an_answer_that_ends_too_early_is_a_broken_connection() {
    for what in ALL {
        assert_eq!(outcome(what, &[]), Err(Errno::PIPE), "{what:?}");
        assert_eq!(outcome(what, &[(vec![0, 0, 0], 0)]), Err(Errno::PIPE), "{what:?}");
        assert_eq!(outcome(what, &[(vec![0, 0, 0, 1, 0, 0], 0)]), Err(Errno::PIPE), "{what:?}");
    }
    for cut in [1, 6, 7, 20, 33] {
        let (mut bytes, fds) = data(&["a", "b"]);
        bytes.truncate(cut);
        assert_eq!(outcome(Ask::GetDump, &[head(1, 2), (bytes, fds)]), Err(Errno::PIPE), "{cut}");
    }
}

#[test]
fn an_answer_of_a_length_that_the_request_does_not_have_is_no_answer() {
    for what in ALL {
        for payload in [&[][..], &[0, 0], &[1, 0], &[0, 0, 0, 0, 0, 0]] {
            assert_eq!(outcome(what, &[(message(0, payload), 0)]), Err(Errno::PROTO), "{what:?} {payload:x?}");
        }
    }
}

#[test]
fn a_number_of_descriptors_that_did_not_come_is_a_lie() {
    for what in ALL {
        assert_eq!(outcome(what, &[(message(1, &[0]), 0)]), Err(Errno::PROTO), "{what:?}");
    }
    let (bytes, _) = data(&["a", "b"]);
    for came in [0, 1] {
        assert_eq!(outcome(Ask::GetDump, &[head(1, 2), (bytes.clone(), came)]), Err(Errno::PROTO));
    }
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    for what in [Ask::Store, Ask::Delete, Ask::List, Ask::SetDump] {
        assert_eq!(outcome(what, &[(message(0, &[0]), 2)]), Err(Errno::PROTO), "{what:?}");
    }
    assert_eq!(outcome(Ask::Retrieve, &[(message(0, &[0]), 1)]), Err(Errno::PROTO));
    assert_eq!(outcome(Ask::Retrieve, &[(message(1, &[0]), 2)]), Err(Errno::PROTO));
    assert_eq!(outcome(Ask::Retrieve, &[(message(1, &[2]), 1)]), Err(Errno::NOENT));
    assert_eq!(outcome(Ask::GetDump, &[head(1, 2), (data(&["a", "b"]).0, 3)]), Err(Errno::PROTO));
    assert_eq!(outcome(Ask::GetDump, &[head(1, 1), data(&["a", "b"])]), Err(Errno::PROTO));
    assert_eq!(outcome(Ask::GetDump, &[(head(0, 0).0, 1)]), Err(Errno::PROTO));
}

#[test]
fn a_dump_comes_in_one_message_or_in_several_or_all_at_once() {
    let ids: Vec<String> = (0..507).map(|i| format!("id {i}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for what in [Ask::GetDump, Ask::Visit] {
        assert_eq!(outcome(what, &[head(0, 0)]), Ok((0, 0)));
        assert_eq!(outcome(what, &[head(1, 2), data(&["a", "b"])]), Ok((2, 2)));
        let three = [head(3, 507), data(&ids[..253]), data(&ids[253..506]), data(&ids[506..])];
        assert_eq!(outcome(what, &three), Ok((507, 507)));
        // As s6 counts that takes 255 for a message, when it sends 253.
        let two = [head(2, 507), data(&ids[..253]), data(&ids[253..506])];
        assert_eq!(outcome(what, &two), Err(Errno::PROTO));
        assert_eq!(outcome(what, &[head(1, 254), data(&ids[..253])]), Err(Errno::PROTO));
        let together = [head(1, 2).0, data(&["a", "b"]).0].concat();
        assert_eq!(outcome(what, &[(together, 2)]), Ok((2, 2)));
    }
}

#[test]
fn a_dump_that_does_not_add_up_is_refused() {
    let one = || data(&["a"]);
    for answers in [
        vec![head(0, 1), one()],
        vec![head(1, 0), one()],
        vec![head(2, 2), one(), one()],
        vec![head(1, 2), one()],
        vec![head(1, 1), (message(0, b""), 0)],
        vec![head(1, 1), (message(0, b"x"), 0)],
        vec![head(1, 1), (message(1, b"x"), 1)],
        vec![head(1, 1), (message(1, &entry(b"")), 1)],
        vec![head(1, 1), (message(1, &[entry(b"a"), vec![0]].concat()), 1)],
        vec![head(1, 1), (message(1, &[&[0xff; 12][..], b"\x01a\0"].concat()), 1)],
    ] {
        for what in [Ask::GetDump, Ask::Visit] {
            assert_eq!(outcome(what, &answers), Err(Errno::PROTO), "{what:?}: {answers:x?}");
        }
    }
    // More than there is room for, as numbers and as bytes.
    assert_eq!(outcome(Ask::GetDump, &[head(3, 601)]), Err(Errno::MSGSIZE));
    let endless = (b"\x10\0\0\0\0\x01".to_vec(), 1);
    assert_eq!(outcome(Ask::GetDump, &[head(1, 1), endless]), Err(Errno::MSGSIZE));
}

#[test]
fn what_is_given_goes_out_253_at_a_time_however_the_store_counts() {
    const COUNT: usize = 508;
    let ids: Vec<String> = (0..COUNT).map(|i| format!("{i}")).collect();
    let more = || (message(0, &[Errno::AGAIN.raw_os_error() as u8]), 0);
    let done = || (message(0, &[0]), 0);
    let expected = |trips: u32| (message(0, &[&[0][..], &trips.to_be_bytes()].concat()), 0);
    for (answers, result) in [
        (vec![expected(3), more(), more(), done()], Ok(())),
        (vec![expected(2), more(), more(), done()], Ok(())),
        (vec![expected(1), more(), more(), done()], Err(Errno::PROTO)),
        (vec![expected(4), more(), more(), done()], Err(Errno::PROTO)),
        (vec![expected(3), more(), done()], Err(Errno::PROTO)),
        (vec![expected(3), more(), more(), more()], Err(Errno::PROTO)),
        (vec![expected(3), more(), (message(0, &[Errno::NFILE.raw_os_error() as u8]), 0)], Err(Errno::NFILE)),
    ] {
        let (fake, mut connection) = Fake::new(&answers);
        let fds = [Fd::STDERR; COUNT];
        let entries = ids.iter().map(|id| Entry { limit: never(), id: id.as_bytes() });
        assert_eq!(connection.set_dump(&fds, entries, &mut vec![0; 100_000]), result, "{answers:x?}");
        let (bytes, count) = fake.sent();
        assert_eq!(&bytes[..11], b"\0\0\0\x05\0\0!\0\0\x01\xfc");
        if result.is_ok() {
            let mut rest = &bytes[11..];
            let mut chunks = Vec::new();
            while let Some((length, fds)) = wire::header(rest) {
                chunks.push(fds);
                rest = &rest[HEADER + length..];
            }
            assert_eq!((chunks, count), (vec![253, 253, 2], COUNT));
        }
        assert!(fake.all_closed(connection));
    }
}

#[test]
fn a_message_that_the_socket_takes_in_pieces_arrives_whole_with_its_descriptors_once() {
    let entries: Vec<u8> = (0..CHUNK).flat_map(|i| entry(format!("{i:x>255}").as_bytes())).collect();
    let whole = message(CHUNK, &entries);
    let small = || {
        let (fake, connection) = Fake::new(&[]);
        rustix::net::sockopt::set_socket_send_buffer_size(connection.fd, 1).unwrap(); // as small as it can be
        (fake, connection)
    };
    let (fake, connection) = small();
    assert!(socket::send(connection.fd, &whole, &[]).unwrap() < whole.len());
    assert!(fake.all_closed(connection));
    for deadline in [None, Some(time::boot() + 60 * time::SECOND)] {
        let (fake, mut connection) = small();
        connection.deadline = deadline;
        let sender = std::thread::spawn({
            let whole = whole.clone();
            move || {
                connection.send(&whole, &[Fd::STDERR; CHUNK]).unwrap();
                connection.close();
            }
        });
        let (mut bytes, mut count) = (Vec::new(), 0);
        while bytes.len() < whole.len() {
            poll::readable(fake.server, Some(time::boot() + 60 * time::SECOND)).unwrap();
            let (piece, fds) = fake.sent();
            bytes.extend_from_slice(&piece);
            count += fds;
        }
        sender.join().unwrap();
        assert_eq!((bytes == whole, count), (true, CHUNK));
    }
}
