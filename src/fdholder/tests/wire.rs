//! The codec: what is written reads back, whatever is read does no harm.

use crate::fdholder::wire::*;
use crate::sys::Errno;
use crate::text::tai::Stamp;
use proptest::prelude::*;

fn id() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1u8..=255, 1..=255)
}

fn entry() -> impl Strategy<Value = (Stamp, Vec<u8>)> {
    (any::<u64>(), 0u32..1_000_000_000, id()).prop_map(|(sec, nano, id)| (Stamp { sec, nano }, id))
}

/// A message of any kind.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let encode = |request: Request<'_>| request.encode(&mut vec![0; 70_000]).unwrap().to_vec();
    prop_oneof![
        entry().prop_map(move |(limit, id)| encode(Request::Store(Entry { limit, id: &id }))),
        id().prop_map(move |id| encode(Request::Delete(&id))),
        (id(), any::<bool>()).prop_map(move |(id, delete)| encode(Request::Retrieve(&id, delete))),
        Just(encode(Request::List)),
        Just(encode(Request::GetDump)),
        any::<u32>().prop_map(move |total| encode(Request::SetDump(total))),
        any::<u32>().prop_map(move |slot| encode(Request::Info(slot))),
        prop::collection::vec(entry(), 1..4).prop_map(|entries| dump(b".", &entries)),
    ]
}

fn dump(first: &[u8], entries: &[(Stamp, Vec<u8>)]) -> Vec<u8> {
    let mut buf = vec![0; 70_000];
    let mut message = Builder::new(&mut buf);
    message.bytes(first);
    for (limit, id) in entries {
        message.entry(*limit, id);
    }
    message.finish(entries.len()).unwrap().to_vec()
}

/// Every whole request in front of `bytes`, and what is left.
fn requests(mut bytes: &[u8]) -> (Vec<String>, &[u8]) {
    let mut found = Vec::new();
    while let Framed::Whole(payload, fds) = frame(bytes).unwrap() {
        found.push(format!("{:?}", Request::decode(payload, fds).unwrap()));
        bytes = &bytes[HEADER + payload.len()..];
    }
    (found, bytes)
}

proptest! {
    #[test]
    fn a_request_reads_back(bytes in message()) {
        let Ok(Framed::Whole(payload, fds)) = frame(&bytes) else { panic!("not whole") };
        prop_assert_eq!(payload, &bytes[HEADER..]);
        let request = Request::decode(payload, fds).unwrap();
        prop_assert_eq!(request.fds(), fds);
        let mut buf = vec![0; 70_000];
        prop_assert_eq!(request.encode(&mut buf), Some(&bytes[..]));
    }

    #[test]
    fn a_stream_means_the_same_however_it_is_cut(
        messages in prop::collection::vec(message(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream = messages.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let (mut buffer, mut found, mut at) = (Vec::new(), Vec::new(), 0);
        for cut in cuts {
            buffer.extend(&stream[at..cut]);
            at = cut;
            let (more, rest) = requests(&buffer);
            found.extend(more);
            buffer = rest.to_vec();
        }
        prop_assert_eq!(found, requests(&stream).0);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn a_request_that_is_cut_short_is_never_taken_for_whole(bytes in message(), cut: prop::sample::Index) {
        let part = &bytes[..cut.index(bytes.len())];
        let Ok(Framed::Partial(size, _)) = frame(part) else { panic!("not partial") };
        prop_assert!(size > part.len() && size <= bytes.len());
    }

    #[test]
    fn a_request_with_anything_behind_it_is_refused(bytes in message(), junk in prop::collection::vec(any::<u8>(), 1..9)) {
        let fds = header(&bytes).unwrap().1;
        let longer = [&bytes[HEADER..], &junk].concat();
        // A retrieval's or a dump's junk may happen to have the shape of more, never that of the same.
        if let Ok(request) = Request::decode(&longer, fds) {
            prop_assert_ne!(Ok(request), Request::decode(&bytes[HEADER..], fds));
        }
    }

    #[test]
    fn any_bytes_at_all_are_read_without_harm(bytes: Vec<u8>, fds in 0usize..300) {
        let _ = frame(&bytes);
        if let Ok(request) = Request::decode(&bytes, fds) {
            prop_assert!(request.fds() == fds);
        }
        if let Ok(entries) = Entries::decode(&bytes, fds) {
            prop_assert_eq!(entries.iter().count(), fds);
        }
        if let Ok(rest) = answer(&bytes) {
            let _ = identifiers(rest).map(|names| names.count());
        }
    }

    #[test]
    fn bytes_that_begin_like_a_request_are_read_without_harm(
        operation in prop::sample::select(b"SDRL?!.".to_vec()),
        fds in 0u16..3,
        body: Vec<u8>,
    ) {
        let payload = [&[operation], &body[..]].concat();
        let head = [&(payload.len() as u32).to_be_bytes()[..], &fds.to_be_bytes()].concat();
        let _ = frame(&[head, payload.clone()].concat());
        let _ = Request::decode(&payload, fds.into());
    }

    #[test]
    fn entries_of_a_dump_read_back(entries in prop::collection::vec(entry(), 0..9)) {
        let bytes = dump(b"", &entries);
        prop_assert_eq!(header(&bytes), Some((bytes.len() - HEADER, entries.len())));
        let found = Entries::decode(&bytes[HEADER..], entries.len()).unwrap();
        let found: Vec<_> = found.iter().map(|e| (e.limit, e.id.to_vec())).collect();
        prop_assert_eq!(found, entries);
    }

    #[test]
    fn a_list_reads_back(names in prop::collection::vec(id(), 0..9)) {
        let mut payload = (names.len() as u32).to_be_bytes().to_vec();
        for name in &names {
            payload.extend(name);
            payload.push(0);
        }
        let found: Vec<_> = identifiers(&payload).unwrap().map(<[u8]>::to_vec).collect();
        prop_assert_eq!(found, names);
        prop_assert!(identifiers(&payload[..payload.len() - 1]).is_err());
        payload.push(b'x');
        prop_assert!(identifiers(&payload).is_err());
    }
}

#[test]
fn the_largest_request_is_one_dump_message_of_253_longest_names() {
    let entries = vec![(Stamp { sec: 1, nano: 2 }, vec![b'x'; 255]); 253];
    let bytes = dump(b".", &entries);
    assert_eq!(bytes.len(), crate::limits::FDHOLDER_REQUEST);
    assert!(matches!(frame(&bytes), Ok(Framed::Whole(_, 253))));
    let mut longer = bytes.clone();
    longer[3] += 1;
    assert_eq!(frame(&longer), Err(Violation::TooLong));
}

#[test]
fn what_cannot_become_a_request_is_refused_as_soon_as_it_shows() {
    for (bytes, why) in [
        (&b"\x10\0\0\0\0\0"[..], Violation::TooLong),
        (b"\0\0\0\0\0\0", Violation::Length),
        (b"\0\0\0\x01\0\xfe", Violation::Descriptors),
        (b"\0\0\0\x09\0\0X", Violation::Operation),
        (b"\0\0\0\x02\0\0L", Violation::Length),
        (b"\0\0\0\x01\0\x01L", Violation::Descriptors),
        (b"\0\0\0\x20\0\0S", Violation::Descriptors),
        (b"\0\0\0\x20\0\x02S", Violation::Descriptors),
        (b"\0\0\x20\0\0\x01S", Violation::Length),
        (b"\0\0\0\x20\0\0.", Violation::Descriptors),
        (b"\0\0\0\x20\0\x03.", Violation::Length),
    ] {
        assert_eq!(frame(bytes), Err(why), "{bytes:x?}");
    }
}

#[test]
fn a_name_is_neither_empty_nor_cut_by_a_nul_and_ends_where_it_says() {
    for payload in [&b"D\x01\0\0"[..], b"D\x04e\0bc\0", b"D\x02abc\0", b"D\x03ab\0", b"D\x02abc"] {
        assert!(Request::decode(payload, 0).is_err(), "{payload:x?}");
    }
    assert_eq!(Request::decode(b"D\x02\xff\n\0", 0), Ok(Request::Delete(b"\xff\n")));
}

#[test]
fn a_limit_has_less_than_a_billion_nanoseconds() {
    let mut payload = *b"S\x40\0\0\0\0\0\0\0\x3b\x9a\xc9\xff\x01a\0";
    assert!(Request::decode(&payload, 1).is_ok());
    payload[12] = 0;
    payload[11] = 0xca;
    assert_eq!(Request::decode(&payload, 1), Err(Violation::Limit));
}

#[test]
fn any_byte_but_zero_asks_for_deletion() {
    assert_eq!(Request::decode(b"R\x07\x01a\0", 0), Ok(Request::Retrieve(b"a", true)));
    assert_eq!(Request::decode(b"R\0\x01a\0", 0), Ok(Request::Retrieve(b"a", false)));
}

#[test]
fn answers_have_s6s_bytes() {
    assert_eq!(status(16), *b"\0\0\0\x01\0\0\x10");
    assert_eq!(DESCRIPTOR, *b"\0\0\0\x01\0\x01\0");
    assert_eq!(dump_head(2), *b"\0\0\0\x09\0\0\0\0\0\0\x01\0\0\0\x02");
    assert_eq!(dump_accepted(254), *b"\0\0\0\x05\0\0\0\0\0\0\x02");
    assert_eq!([0, 1, 253, 254, 506, 507].map(trips), [0, 1, 1, 2, 2, 3]);
    assert_eq!(answer(&[2]), Err(Errno::NOENT));
    assert_eq!(answer(&[]), Err(Errno::PROTO));
    assert_eq!(answer(&[2, 0]), Err(Errno::PROTO));
}

#[test]
fn a_message_that_does_not_fit_is_no_message() {
    assert_eq!(Request::List.encode(&mut [0; 6]), None);
    assert_eq!(Request::List.encode(&mut [0; 3]), None);
    assert_eq!(Request::Delete(&[b'x'; 256]).encode(&mut [0; 400]), None);
    assert_eq!(Request::List.encode(&mut [0; 7]), Some(&b"\0\0\0\x01\0\0L"[..]));
}
