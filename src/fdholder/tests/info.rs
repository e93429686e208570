//! What a store tells about what it holds.

use super::Store;
use crate::fdholder::info::{self, Entry, Page};
use crate::fdholder::table::{New, Origin, Table};
use crate::fdholder::wire::{self, HEADER, Request};
use crate::state::{Held, Pending};
use crate::sys::{Errno, Fd};
use crate::text::tai::Stamp;
use proptest::prelude::*;
use zerocopy::FromZeros;

/// Everything that a table tells, by as many answers as it takes; the number of answers.
fn all(table: &Table<'_>, now: u64) -> (Vec<String>, usize) {
    let (mut from, mut told) = (0, Vec::new());
    for answers in 1.. {
        let mut buf = vec![0xaa; info::ANSWER];
        let length = info::answer(&mut buf, from, (table, &[]), now, |_| true).unwrap();
        let (payload, fds) = wire::header(&buf).unwrap();
        assert_eq!((payload + HEADER, fds), (length, 0));
        let page = Page::decode(wire::answer(&buf[HEADER..length]).unwrap(), from).unwrap();
        told.extend(page.iter().map(|entry| format!("{entry:?}")));
        match page.next {
            Some(next) => from = next,
            None => return (told, answers),
        }
    }
    unreachable!()
}

fn record() -> impl Strategy<Value = (Vec<u8>, Stamp, u8, [u32; 4], u64, u64)> {
    let name = prop_oneof![prop::collection::vec(1u8..=255, 1..9), prop::collection::vec(1u8..=255, 240..=255)];
    let limit = (any::<u64>(), 0u32..1_000_000_000).prop_map(|(sec, nano)| Stamp { sec, nano });
    (name, limit, 0u8..3, any::<[u32; 4]>(), any::<u64>(), any::<u64>())
}

proptest! {
    /// Whatever is held, and wherever the slots in use lie: each record is told once, in their order, as it is.
    #[test]
    fn everything_is_told_once(records in prop::collection::vec(record(), 0..60), gaps: u64, now: u64) {
        let mut slots: Vec<Held> = (0..64).map(|_| Held::new_zeroed()).collect();
        let mut top = 0;
        let mut table = Table::new(&mut slots, &mut top);
        for (id, limit, origin, [pid, uid, ..], stored, _) in &records {
            let origin = Origin::from_number(*origin).unwrap();
            let (limit, pid, uid, now) = (*limit, *pid, *uid, *stored);
            let _ = table.store(&New { id, limit, fd: Fd(5), origin, pid, uid, now, identity: (1, 2), owner: None });
        }
        for (slot, (.., [_, _, last_pid, times], _, at)) in records.iter().enumerate() {
            for _ in 0..times % 3 {
                table.retrieved(slot, *last_pid, *at);
            }
            if gaps >> slot & 1 == 1 {
                table.remove(slot);
            }
        }
        let expected: Vec<_> = table.iter().map(|(_, held)| format!("{:?}", Entry::of(held, now))).collect();
        prop_assert_eq!(all(&table, now).0, expected);
    }

    #[test]
    fn any_bytes_at_all_are_read_without_harm(bytes: Vec<u8>, from: u32) {
        if let Ok(page) = Page::decode(&bytes, from) {
            prop_assert!(page.next.is_none_or(|next| next > from));
        }
    }

    /// Each byte of an answer matters: no other bytes are read as the same.
    #[test]
    fn an_answer_that_was_changed_is_another_one(at: prop::sample::Index, to: u8) {
        let mut slots = [Held::new_zeroed()];
        let mut top = 0;
        let mut table = Table::new(&mut slots, &mut top);
        let limit = Stamp { sec: 77, nano: 78 };
        let identity = (1, 2);
        let new = New { id: b"id", limit, fd: Fd(5), origin: Origin::Board, pid: 7, uid: 8, now: 9, identity, owner: None };
        table.store(&new).unwrap();
        table.retrieved(0, 10, 11);
        let mut buf = vec![0; info::ANSWER];
        let length = info::answer(&mut buf, 0, (&table, &[]), 100, |_| true).unwrap();
        let rest = &buf[HEADER + 1..length];
        let mut changed = rest.to_vec();
        *at.get_mut(&mut changed) = to;
        if changed != rest {
            let told = |rest| Page::decode(rest, 0).map(|page| (page.next, page.iter().collect::<Vec<_>>()));
            prop_assert_ne!(told(&changed), told(rest));
        }
        for cut in 0..rest.len() {
            prop_assert_eq!(Page::decode(&rest[..cut], 0), Err(Errno::PROTO));
        }
    }
}

#[test]
fn a_full_table_of_the_longest_names_takes_many_answers() {
    let mut slots: Vec<Held> = (0..1024).map(|_| Held::new_zeroed()).collect();
    let mut top = 0;
    let mut table = Table::new(&mut slots, &mut top);
    for n in 0..1024 {
        let (id, limit) = (format!("{n:x>255}"), Stamp { sec: 1, nano: 0 });
        let identity = (1, 2);
        let new = New {
            id: id.as_bytes(),
            limit,
            fd: Fd(5),
            origin: Origin::Client,
            pid: 7,
            uid: 8,
            now: 9,
            identity,
            owner: None,
        };
        table.store(&new).unwrap();
    }
    let (told, answers) = all(&table, 10);
    assert_eq!((told.len(), answers), (1024, 1024usize.div_ceil(13)));
}

#[test]
fn a_store_tells_who_stored_and_who_retrieved_what_it_holds() {
    let mut store = Store::new();
    let peer = store.connect();
    let limit = store.limit(60);
    store.ask(&peer, &Request::Store(wire::Entry { limit, id: b"x" }), &[Fd(0)]);
    store.pass(3);
    peer.request(&Request::Retrieve(b"x", false), &[]);
    store.settle();
    peer.answer().1.iter_mut().for_each(Fd::close);
    store.pass(4);
    let answer = store.ask(&peer, &Request::Info(0), &[]);
    let page = Page::decode(wire::answer(&answer).unwrap(), 0).unwrap();
    let pid = std::process::id();
    let uid = rustix::process::geteuid().as_raw();
    let entry = Entry {
        origin: Origin::Client,
        waits: None,
        limit,
        age: 7,
        uid,
        pid,
        retrievals: 1,
        last_pid: pid,
        last: 4,
        id: b"x",
    };
    assert_eq!((page.next, page.iter().collect::<Vec<_>>()), (None, vec![entry]));
    let answer = store.ask(&peer, &Request::Info(1), &[]);
    assert_eq!(answer, b"\0\0\0\0\0\0\0", "there is nothing behind the last");
}

#[test]
fn what_a_client_may_not_see_is_left_out() {
    let mut slots: Vec<Held> = (0..40).map(|_| Held::new_zeroed()).collect();
    let mut top = 0;
    let mut table = Table::new(&mut slots, &mut top);
    for n in 0..40u8 {
        let (id, limit) = (vec![b'a' + n % 2; 100 + usize::from(n)], Stamp { sec: 1, nano: 0 });
        let new = New {
            id: &id,
            limit,
            fd: Fd(5),
            origin: Origin::Client,
            pid: 7,
            uid: 8,
            now: 9,
            identity: (1, 2),
            owner: None,
        };
        table.store(&new).unwrap();
    }
    let (mut buf, mut from, mut seen) = (vec![0; info::ANSWER], 0, 0);
    loop {
        let length = info::answer(&mut buf, from, (&table, &[]), 10, |id| id[0] == b'b').unwrap();
        let page = Page::decode(wire::answer(&buf[HEADER..length]).unwrap(), from).unwrap();
        assert!(page.iter().all(|entry| entry.id[0] == b'b'));
        seen += page.iter().count();
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(seen, 20);
}

#[test]
fn sockets_that_are_not_bound_yet_come_behind_what_is_held() {
    let mut slots: Vec<Held> = (0..20).map(|_| Held::new_zeroed()).collect();
    let mut top = 0;
    let mut table = Table::new(&mut slots, &mut top);
    for n in 0..20u8 {
        let (id, limit, identity) = (vec![b'a' + n; 200], Stamp { sec: 1, nano: 0 }, (1, 2));
        let new =
            New { id: &id, limit, fd: Fd(5), origin: Origin::Client, pid: 7, uid: 8, now: 9, identity, owner: None };
        table.store(&new).unwrap();
    }
    let mut pending: Vec<Pending> = (0..40).map(|_| Pending::new_zeroed()).collect();
    for (n, record) in pending.iter_mut().enumerate() {
        let name = format!("waiting {n:0>200}");
        record.name[..name.len()].copy_from_slice(name.as_bytes());
        (record.used, record.name_len) = (u8::from(n % 2 == 0), name.len() as u8);
        (record.errno, record.attempts, record.since, record.deadline) = (98, 3, 40, 150);
    }
    let (mut buf, mut from, mut told) = (vec![0; info::ANSWER], 0, Vec::new());
    loop {
        let length = info::answer(&mut buf, from, (&table, &pending), 100, |_| true).unwrap();
        let page = Page::decode(wire::answer(&buf[HEADER..length]).unwrap(), from).unwrap();
        told.extend(page.iter().map(|entry| (entry.id.to_vec(), entry.waits, entry.age, entry.retrievals, entry.last)));
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(told.len(), 40);
    assert!(told[..20].iter().all(|entry| entry.1.is_none()));
    for (n, entry) in told[20..].iter().enumerate() {
        assert_eq!(*entry, (format!("waiting {:0>200}", 2 * n).into_bytes(), Some(98), 60, 3, 50));
    }
}
