//! Who may do what: by access rules, by entries of the board config, by default.

use super::{PLACES, Peer, Store, Witness};
use crate::fdholder::rights::*;
use crate::fdholder::server::Settings;
use crate::fdholder::wire::{Entry, Request};
use crate::state::{Allow, Client};
use crate::sys::socket;
use crate::sys::time::SECOND;
use crate::sys::unix;
use crate::text::regex;
use proptest::prelude::*;
use zerocopy::FromZeros;

const PERM: u8 = 1;
const NOENT: u8 = 2;
const NFILE: u8 = 23;
const NOBODY: u32 = 65534;

/// Rules that grant this to everybody.
macro_rules! rules {
    ($grant:expr) => {
        Source::Rules(Place::Directory(c"/"), |_, _, client| {
            let grant: Grant<'_> = $grant;
            match grant.apply(client) {
                Ok(()) => Verdict::Allowed,
                Err(_) => Verdict::Failed,
            }
        })
    };
}

fn store(source: Source) -> Store {
    Store::with_settings(Settings { source, ..Settings::default() })
}

/// The status that each operation is answered: store, retrieve, retrieve and delete, delete, list, getdump, setdump.
/// `old` is held, `new` is not.
fn statuses(store: &mut Store, peer: &Peer) -> [u8; 7] {
    let mut witness = Witness::new();
    store.with(|_, records, _, now| {
        for id in [b"old1", b"old2", b"old3"] {
            let fd = witness.write.duplicate(3).unwrap();
            crate::fdholder::server::store_own(&mut records.held, id, fd, crate::fdholder::table::Origin::Board, now)
                .unwrap();
        }
    });
    let limit = store.limit(1000);
    let found = [
        (Request::Store(Entry { limit, id: b"new" }), &[witness.write][..]),
        (Request::Retrieve(b"old1", false), &[]),
        (Request::Retrieve(b"old1", true), &[]),
        (Request::Delete(b"old2"), &[]),
        (Request::List, &[]),
        (Request::GetDump, &[]),
        (Request::SetDump(0), &[]),
    ]
    .map(|(request, fds)| {
        peer.request(&request, fds);
        store.settle();
        let (payload, fds) = peer.answer();
        fds.into_iter().for_each(|mut fd| fd.close());
        if request == Request::GetDump && payload[0] == 0 {
            peer.answer().1.into_iter().for_each(|mut fd| fd.close());
        }
        payload[0]
    });
    let left: Vec<_> = store.held();
    store.with(|_, records, _, _| {
        for id in &left {
            let slot = records.held.find(id).unwrap();
            records.held.remove(slot).unwrap().close();
        }
    });
    assert!(witness.alone());
    found
}

#[test]
fn each_right_gives_what_it_says_and_nothing_else() {
    let none = Grant { list: false, getdump: false, setdump: false, store: None, retrieve: None };
    let mut refused = store(rules!(Grant::default()));
    let peer = refused.connect();
    assert_eq!(Grant::default(), none);
    assert_eq!(statuses(&mut refused, &peer), [PERM; 7]);
    type Case = (Source, [u8; 7]);
    let cases: [Case; 7] = [
        (rules!(Grant { store: Some(b""), ..Grant::default() }), [0, PERM, PERM, 0, PERM, PERM, PERM]),
        (rules!(Grant { retrieve: Some(b""), ..Grant::default() }), [PERM, 0, PERM, PERM, PERM, PERM, PERM]),
        (rules!(Grant { list: true, ..Grant::default() }), [PERM, PERM, PERM, PERM, 0, PERM, PERM]),
        (rules!(Grant { getdump: true, ..Grant::default() }), [PERM, PERM, PERM, PERM, PERM, 0, PERM]),
        (rules!(Grant { setdump: true, ..Grant::default() }), [PERM, PERM, PERM, PERM, PERM, PERM, 0]),
        (rules!(Grant { store: Some(b""), retrieve: Some(b""), ..Grant::default() }), [0, 0, 0, 0, PERM, PERM, PERM]),
        (rules!(Grant { list: true, getdump: true, setdump: true, store: Some(b""), retrieve: Some(b"") }), [0; 7]),
    ];
    for (source, expected) in cases {
        let mut store = store(source);
        let peer = store.connect();
        assert_eq!(statuses(&mut store, &peer), expected);
    }
}

#[test]
fn what_is_not_permitted_is_not_told_to_be_there_or_not() {
    let mut store = store(rules!(Grant { store: Some(b"^mine"), retrieve: Some(b"^mine"), ..Grant::default() }));
    let peer = store.connect();
    for id in [b"theirs".as_slice(), b"not mine"] {
        assert_eq!(store.ask(&peer, &Request::Retrieve(id, false), &[]), [PERM]);
        assert_eq!(store.ask(&peer, &Request::Delete(id), &[]), [PERM]);
    }
    assert_eq!(store.ask(&peer, &Request::Retrieve(b"mine", true), &[]), [NOENT]);
    assert_eq!(store.ask(&peer, &Request::Delete(b"mine"), &[]), [NOENT]);
}

#[test]
fn retrieving_for_good_needs_both_expressions_to_match() {
    let mut store = store(rules!(Grant { store: Some(b"s$"), retrieve: Some(b"^r"), ..Grant::default() }));
    let peer = store.connect();
    let witness = Witness::new();
    store.with(|_, records, _, now| {
        for id in [b"rs".as_slice(), b"r", b"s"] {
            let fd = witness.write.duplicate(3).unwrap();
            crate::fdholder::server::store_own(&mut records.held, id, fd, crate::fdholder::table::Origin::Board, now)
                .unwrap();
        }
    });
    assert_eq!(store.ask(&peer, &Request::Retrieve(b"r", true), &[]), [PERM]);
    assert_eq!(store.ask(&peer, &Request::Retrieve(b"s", true), &[]), [PERM]);
    peer.request(&Request::Retrieve(b"rs", true), &[]);
    store.settle();
    assert!(witness.is(peer.answer().1[0]));
    assert_eq!(store.held(), [b"r", b"s"]);
}

#[test]
fn descriptors_of_a_client_that_may_not_store_any_are_closed_as_they_come() {
    let mut store = store(rules!(Grant { list: true, ..Grant::default() }));
    let peer = store.connect();
    let mut witness = Witness::new();
    // An unfinished store: a place in the queue, but nothing in it.
    peer.send(b"\0\0\0\x10\0\x01S\x60\0\0\0\0\0\0\0", &[witness.write]).unwrap();
    store.settle();
    assert!(witness.alone());
    peer.send(b"\0\0\0\0\x01a\0\0\0\0\x01\0\0L", &[]).unwrap();
    store.settle();
    assert_eq!(peer.answer().0, [PERM]);
    assert_eq!(peer.answer().0, [0; 5]);
}

#[test]
fn rules_with_an_invalid_expression_let_nobody_in() {
    let mut store = store(rules!(Grant { store: Some(b"("), ..Grant::default() }));
    let peer = store.connect();
    assert!(peer.ended());
    let mut client = Client::new_zeroed();
    let grant = Grant { store: Some(b""), retrieve: Some(b"(a"), list: true, ..Grant::default() };
    let wrong = Invalid { what: Use::Retrieve, why: regex::Error::Bad };
    assert_eq!(grant.apply(&mut client), Err(wrong));
    assert_eq!((client.rights, client.store_len, client.retrieve_len), (0, u16::MAX, u16::MAX));
}

#[test]
fn rules_decide_for_root_too() {
    let checks: [Check; 2] = [|_, _, _| Verdict::Denied, |_, _, _| Verdict::Unknown];
    for check in checks {
        let mut store = store(Source::Rules(Place::Cdb(b""), check));
        assert!(store.connect().ended());
        assert_eq!(store.clients(), 0);
    }
}

#[test]
fn a_client_keeps_the_rights_that_it_came_with() {
    let mut store = store(rules!(Grant { list: true, ..Grant::default() }));
    let old = store.connect();
    store.with(|server, _, _, _| server.set_source(rules!(Grant::default())));
    let new = store.connect();
    assert_eq!(store.ask(&old, &Request::List, &[]), [0; 5]);
    assert_eq!(store.ask(&new, &Request::List, &[]), [PERM]);
}

#[test]
fn many_clients_with_different_expressions_are_not_confused() {
    let mut store = store(Source::Rules(Place::Cdb(b""), |_, _, client| {
        let own = format!("^{}:", client.generation);
        let grant = Grant { store: Some(own.as_bytes()), retrieve: Some(own.as_bytes()), ..Grant::default() };
        grant.apply(client).map_or(Verdict::Failed, |()| Verdict::Allowed)
    }));
    let peers: Vec<_> = (0..4).map(|_| store.connect()).collect();
    let generations: Vec<_> = store.tables.clients[..4].iter().map(|client| client.generation).collect();
    for _ in 0..2 {
        for (peer, own) in peers.iter().zip(&generations) {
            for other in &generations {
                let expected = if own == other { NOENT } else { PERM };
                let id = format!("{other}:x").into_bytes();
                assert_eq!(store.ask(peer, &Request::Retrieve(&id, false), &[]), [expected]);
                assert_eq!(store.ask(peer, &Request::Delete(&id), &[]), [expected]);
            }
        }
    }
}

fn allow(whom: u8, id: u32, rights: u8, globs: &[(Use, &str)]) -> Allow {
    let mut allow = Allow::new_zeroed();
    (allow.used, allow.whom, allow.id, allow.rights) = (1, whom, id, rights);
    let mut bytes = Vec::new();
    for (what, glob) in globs {
        bytes.push(*what as u8);
        bytes.extend(glob.as_bytes());
        bytes.push(0);
    }
    allow.globs[..bytes.len()].copy_from_slice(&bytes);
    allow.globs_len = bytes.len() as u32;
    allow
}

fn client(uid: u32, gid: u32) -> Client {
    let mut client = Client::new_zeroed();
    (client.pid, client.uid, client.gid) = (7, uid, gid);
    client
}

#[test]
fn entries_of_a_user_of_its_group_and_of_everybody_are_taken_together() {
    let allows = [
        allow(0, 1000, 0, &[(Use::Retrieve, "unix:/run/*"), (Use::Store, "own:?")]),
        allow(1, 50, GETDUMP, &[(Use::Retrieve, "tcp:*"), (Use::Delete, "own:1")]),
        allow(2, 0, 0, &[(Use::List, "public:*")]),
        allow(0, 1001, LIST | SETDUMP, &[(Use::Store, "*")]),
    ];
    let known = Known { allows: &allows, rules: None, owner: 0 };
    let mut user = client(1000, 50);
    assert!(Source::Board(None).admit(&mut user, &known));
    assert_eq!((Basis::of(&user), user.rights), (Basis::Entries, GETDUMP));
    let may = |what, id: &str| may(&user, &allows, what, id.as_bytes());
    assert!(may(Use::Retrieve, "unix:/run/a/b") && may(Use::Retrieve, "tcp:[::]:80"));
    assert!(!may(Use::Retrieve, "udp:1") && !may(Use::Retrieve, "xunix:/run/a"));
    assert!(may(Use::Store, "own:1") && !may(Use::Store, "own:12"));
    assert!(may(Use::Delete, "own:1") && !may(Use::Delete, "own:2"), "deleting is a right of its own");
    assert!(may(Use::List, "public:x") && !may(Use::List, "own:1"));
    let mut other = client(2000, 51);
    assert!(Source::Board(None).admit(&mut other, &known), "everybody has an entry");
    assert_eq!(other.rights, 0);
    assert!(!may_send_descriptors(&other, &allows) && may_send_descriptors(&user, &allows));
}

#[test]
fn without_an_entry_the_rules_are_asked_and_without_those_only_root_and_the_owner_are_let_in() {
    let unknown: Check = |_, _, _| Verdict::Unknown;
    let denied: Check = |_, _, _| Verdict::Denied;
    let failed: Check = |_, _, _| Verdict::Failed;
    let path: Check = |place, peer, client| {
        assert!(matches!(place, Place::Directory(path) if path == c"/etc/rules"));
        assert_eq!(peer, socket::Peer { pid: client.pid, uid: client.uid, gid: client.gid });
        Grant { list: true, ..Grant::default() }.apply(client).unwrap();
        Verdict::Allowed
    };
    let allows = [allow(0, 7, 0, &[])];
    let with = |rules| Known { allows: &allows, rules, owner: 500 };
    for (source, rules, uid, expected) in [
        (Source::Owner, None, 0, Some(Basis::Everything)),
        (Source::Owner, None, 500, Some(Basis::Everything)),
        (Source::Owner, None, 1, None),
        (Source::Owner, None, 7, None),
        (Source::Board(None), None, 0, Some(Basis::Everything)),
        (Source::Board(None), None, 500, Some(Basis::Everything)),
        (Source::Board(None), None, 1, None),
        (Source::Board(None), None, 7, Some(Basis::Entries)),
        (Source::Board(Some(unknown)), Some(c"/etc/rules"), 0, Some(Basis::Everything)),
        (Source::Board(Some(unknown)), Some(c"/etc/rules"), 1, None),
        (Source::Board(Some(denied)), Some(c"/etc/rules"), 0, None),
        (Source::Board(Some(denied)), Some(c"/etc/rules"), 7, Some(Basis::Entries)),
        (Source::Board(Some(denied)), None, 0, Some(Basis::Everything)),
        (Source::Board(Some(failed)), Some(c"/etc/rules"), 0, Some(Basis::Everything)),
        (Source::Board(Some(failed)), Some(c"/etc/rules"), 1, None),
        (Source::Board(Some(path)), Some(c"/etc/rules"), 1, Some(Basis::Patterns)),
        (Source::Board(Some(path)), Some(c"/etc/rules"), 0, Some(Basis::Patterns)),
    ] {
        let mut client = client(uid, 1);
        let admitted = source.admit(&mut client, &with(rules));
        assert_eq!(admitted.then(|| Basis::of(&client)), expected, "user {uid}");
    }
}

/// A store with one entry for `nobody`, and a client that is one.
fn store_of_nobody(entry: Allow) -> (Store, Peer) {
    let mut store = Store::new();
    let peer = store.connect();
    store.tables.allows[3] = entry;
    let rights = store.tables.allows[3].rights;
    let record = &mut store.tables.clients[0];
    (record.uid, record.gid, record.basis, record.rights) = (NOBODY, NOBODY, Basis::Entries as u8, rights);
    (store, peer)
}

#[test]
fn a_client_sees_in_a_list_what_it_may_see() {
    let (mut store, peer) = store_of_nobody(allow(0, NOBODY, 0, &[(Use::List, "a*"), (Use::List, "b?")]));
    let root = store.connect();
    let witness = Witness::new();
    for id in [b"a".as_slice(), b"b", b"bc", b"c"] {
        assert_eq!(store.store(&root, id, witness.write), 0);
    }
    assert_eq!(store.ask(&peer, &Request::List, &[]), b"\0\0\0\0\x02a\0bc\0");
    let told = store.ask(&peer, &Request::Info(0), &[]);
    assert_eq!(told[..7], [0, 0, 0, 0, 0, 0, 2]);
    store.tables.allows[3].rights = LIST;
    store.tables.clients[0].rights = LIST;
    assert_eq!(store.ask(&peer, &Request::List, &[])[4], 4);
    store.tables.clients[0].rights = 0;
    store.tables.allows[3].globs_len = 0;
    assert_eq!(store.ask(&peer, &Request::List, &[]), [PERM]);
    assert_eq!(store.ask(&peer, &Request::Info(0), &[]), [PERM]);
}

#[test]
fn a_user_stores_no_more_and_for_no_longer_than_its_entry_says() {
    let mut entry = allow(0, NOBODY, SETDUMP, &[(Use::Store, "*"), (Use::Delete, "*")]);
    (entry.held_max, entry.lifetime_max) = (2, 60 * SECOND);
    let (mut store, peer) = store_of_nobody(entry);
    let root = store.connect();
    let witness = Witness::new();
    assert_eq!(store.store(&root, b"root's", witness.write), 0);
    assert_eq!(store.store(&peer, b"a", witness.write), 0);
    let brief = store.limit(5);
    assert_eq!(store.ask(&peer, &Request::Store(Entry { limit: brief, id: b"b" }), &[witness.write]), [0]);
    assert_eq!(store.store(&peer, b"c", witness.write), NFILE);
    assert_eq!(store.ask(&peer, &Request::SetDump(1), &[]), [NFILE]);
    assert_eq!(store.store(&root, b"root's too", witness.write), 0);
    store.pass(5 * SECOND);
    assert_eq!(store.held(), [b"root's".as_slice(), b"a", b"root's too"]);
    assert_eq!(store.store(&peer, b"c", witness.write), 0);
    store.pass(55 * SECOND);
    assert_eq!(store.held(), [b"root's".as_slice(), b"c", b"root's too"]);
}

#[test]
fn of_several_quotas_the_most_generous_that_allows_the_identifier_counts() {
    let mut allows = [
        allow(0, 9, 0, &[(Use::Store, "a*")]),
        allow(1, 9, 0, &[(Use::Store, "ab*")]),
        allow(0, 9, SETDUMP, &[(Use::Retrieve, "ab*")]),
    ];
    (allows[0].held_max, allows[0].lifetime_max) = (3, 10);
    (allows[1].held_max, allows[1].lifetime_max) = (5, 7);
    let mut user = client(9, 9);
    assert!(Source::Board(None).admit(&mut user, &Known { allows: &allows, rules: None, owner: 0 }));
    let of = |id| quota(&user, &allows, id);
    assert_eq!(of(Some(b"a")), Quota { held_max: Some(3), lifetime_max: Some(10) });
    assert_eq!(of(Some(b"ab")), Quota { held_max: Some(5), lifetime_max: Some(10) });
    assert_eq!(of(None), Quota { held_max: None, lifetime_max: None });
}

/// Connects as another user: the thread's, for that moment.
fn connect_as(path: &std::ffi::CStr, uid: u32) -> Peer {
    let [root, uid] = [0, uid].map(rustix::process::Uid::from_raw);
    rustix::thread::set_thread_res_uid(root, uid, root).expect("tests run as root");
    let fd = unix::connect(path, None);
    rustix::thread::set_thread_res_uid(root, root, root).unwrap();
    Peer(fd.unwrap())
}

#[test]
fn another_user_is_refused_when_it_connects_unless_it_has_an_entry() {
    let mut store = Store::new();
    let path = store.path.clone();
    let stranger = connect_as(&path, NOBODY);
    store.settle();
    assert!(stranger.ended());
    assert_eq!(store.clients(), 0);
    store.tables.allows[0] = allow(0, NOBODY, 0, &[(Use::Retrieve, "it")]);
    let known = connect_as(&path, NOBODY);
    store.settle();
    assert_eq!(store.tables.clients[0].uid, NOBODY);
    assert_eq!(store.ask(&known, &Request::Retrieve(b"it", false), &[]), [NOENT]);
    assert_eq!(store.ask(&known, &Request::Retrieve(b"it", true), &[]), [PERM]);
    assert_eq!(store.ask(&known, &Request::List, &[]), [PERM]);
}

#[test]
fn one_user_cannot_take_all_places() {
    let mut store = Store::new();
    store.tables.allows[0] = allow(2, 0, LIST, &[]);
    let path = store.path.clone();
    let places = PLACES;
    let mut theirs: Vec<_> = (0..2 * places).map(|_| connect_as(&path, NOBODY)).collect();
    store.settle();
    assert_eq!(store.clients(), places / 2);
    assert!(theirs.split_off(places / 2).iter().all(Peer::ended));
    let (root, other) = (store.connect(), connect_as(&path, 1));
    store.settle();
    for peer in [&root, &other, &theirs[0]] {
        assert_eq!(store.ask(peer, &Request::List, &[]), [0; 5]);
    }
    theirs.pop();
    store.settle();
    let next = connect_as(&path, NOBODY);
    store.settle();
    assert_eq!(store.ask(&next, &Request::List, &[]), [0; 5]);
}

proptest! {
    /// Whatever is in a client's and an entry's record: looking at it does no harm, and what is allowed to nobody is not
    /// allowed.
    #[test]
    fn any_record_is_read_without_harm(
        globs: Vec<u8>, globs_len: u32, lens: [u16; 2], pattern: Vec<u8>, basis: u8, whom in 0u8..4, id: Vec<u8>,
    ) {
        let mut entry = Allow::new_zeroed();
        (entry.used, entry.whom, entry.globs_len) = (1, whom, globs_len);
        for (to, from) in entry.globs.iter_mut().zip(&globs) {
            *to = *from;
        }
        let mut user = Box::new(client(0, 0));
        (user.basis, user.store_len, user.retrieve_len) = (basis, lens[0], lens[1]);
        for (to, from) in user.store_regex.iter_mut().zip(&pattern) {
            *to = *from;
        }
        let allows = [entry];
        for what in [Use::Store, Use::Retrieve, Use::Delete, Use::List] {
            may(&user, &allows, what, &id);
            if basis > 1 && whom > 2 {
                prop_assert!(!may(&user, &allows, what, &id));
            }
        }
        quota(&user, &allows, Some(&id));
    }
}
