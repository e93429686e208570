use super::rooms::{ROOMS, Room};
use super::*;
use crate::limits::{FDHOLDER_CLIENTS, SERVICES};
use crate::state::layout::{MAGIC as ARENA, State};
use crate::state::schema::{Field, name_hash};
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

/// An arena, of which only what is touched takes memory.
struct Image(Vec<u64>);

impl Image {
    fn new() -> Image {
        let mut image = Image(vec![0; size_of::<State>() / 8]);
        let header = &mut image.state().tables.header;
        (header.magic, header.layout) = (ARENA, State::LAYOUT);
        image
    }

    fn state(&mut self) -> &mut State {
        State::mut_from_bytes(self.0.as_mut_bytes()).unwrap()
    }
}

fn written(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&state.tables, Some(&state.ring), &[], &mut |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .unwrap();
    bytes
}

/// What a reader makes of it, and all that it says.
fn read_again(bytes: &[u8]) -> (Result<Summary, Problem>, Image, Vec<String>) {
    let mut image = Image::new();
    let mut said = Vec::new();
    let State { tables, ring, .. } = image.state();
    let done = read(bytes, tables, ring, &mut |what| said.push(what.to_string()));
    (done, image, said)
}

fn room(name: &str) -> &'static Room {
    ROOMS.iter().find(|room| room.name == name).unwrap()
}

/// Fills a record with what a generator says, in a way that every byte of it means something.
fn fill(state: &mut State, room: &Room, slot: usize, mut next: impl FnMut() -> u8) {
    let record = &mut state.tables.as_mut_bytes()[room.place(slot)];
    record.fill_with(&mut next);
    record[0] |= 1;
    for field in room.fields {
        let what = field.unpack();
        let Some(count) = room.extent(record, field.name).filter(|count| *count < what.count) else { continue };
        let (at, _) = room.field(field.name).unwrap();
        record[at + count * what.width..at + what.size()].fill(0);
    }
}

fn set_top(state: &mut State, room: &Room, top: u32) {
    let header = &mut state.tables.header;
    match room.name {
        "Service" | "Notify" => header.services_top = header.services_top.max(top),
        "Held" => header.held_top = header.held_top.max(top),
        "Client" => header.clients_top = header.clients_top.max(top),
        "Pending" => header.pending_top = header.pending_top.max(top),
        _ => {}
    }
}

fn assert_same(a: &State, b: &State) {
    for room in &ROOMS {
        let (a, b) = (a.tables.as_bytes(), b.tables.as_bytes());
        for slot in 0..room.count {
            assert!(a[room.place(slot)] == b[room.place(slot)], "{} {slot}", room.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_is_read_as_it_was(
        records in prop::collection::vec((1usize..ROOMS.len(), 0usize..2048, any::<u64>()), 0..12),
        lines in prop::collection::vec(any::<u8>(), 0..9000),
    ) {
        let mut before = Image::new();
    let before = before.state();
        for (index, slot, seed) in records {
            let room = &ROOMS[index];
            let slot = slot % room.count;
            let mut random = seed | 1;
            fill(before, room, slot, || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random >> 32) as u8
            });
            set_top(before, room, slot as u32 + 1);
        }
        before.ring.write(&lines);
        let bytes = written(before);
        let (done, mut after, said) = read_again(&bytes);
        let summary = done.unwrap();
        prop_assert!(summary.is_whole() && said.is_empty(), "{summary:?} {said:?}");
        prop_assert_eq!(summary.version.as_str(), crate::VERSION);
        let after = after.state();
        assert_same(before, after);
        let tail = |state: &State| {
            let mut out = vec![0; crate::limits::LOG_RING];
            let n = state.ring.tail(&mut out);
            out.truncate(n);
            out
        };
        prop_assert_eq!(tail(before), tail(after));
    }

    #[test]
    fn nothing_that_is_read_brings_the_reader_down(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut before = Image::new();
    let before = before.state();
        fill(before, room("Service"), 3, || 7);
        fill(before, room("Client"), 1, || 9);
        (before.tables.header.services_top, before.tables.header.clients_top) = (4, 2);
        let mut bytes = written(before);
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(end.index(bytes.len()));
        }
        let (done, _, _) = read_again(&bytes);
        prop_assert!(whole || done.is_err());
    }
}

#[test]
fn a_record_without_anything_is_what_fields_that_are_missing_get() {
    // A service of a version that knew `used`, `pid` and the name only.
    let mut stream = head();
    let fields = [("used", 1, false), ("pid", 4, false), ("name", 1, true)];
    describe(&mut stream, "Header", &[("magic", 8, false)]);
    record(&mut stream, "Header", 0, &[&7u64.to_le_bytes()]);
    describe(&mut stream, "Service", &fields);
    record(&mut stream, "Service", 5, &[&[1], &77u32.to_le_bytes(), &2u32.to_le_bytes(), b"ab"]);
    ends(&mut stream, 2);
    let (done, mut state, said) = read_again(&stream);
    let state = state.state();
    assert_eq!((done.unwrap().services, said.len()), (1, 0));
    let service = &state.tables.services[5];
    assert_eq!((service.used, service.pid, &service.name[..3]), (1, 77, &b"ab\0"[..]));
    assert_eq!((service.dir_fd, service.partner, service.waits_on, service.started), (-1, -1, -1, 0));
    let header = &state.tables.header;
    assert_eq!((header.services_top, header.lock_fd, header.magic), (6, -1, ARENA));
}

#[test]
fn what_is_not_known_is_skipped() {
    let mut stream = head();
    item(&mut stream, b"what", b"is this?");
    describe(&mut stream, "Header", &[("magic", 8, false), ("from the future", 8, true)]);
    record(&mut stream, "Header", 0, &[&7u64.to_le_bytes(), &1u32.to_le_bytes(), &[9; 8]]);
    describe(&mut stream, "Rocket", &[("fuel", 2, false)]);
    record(&mut stream, "Rocket", 1_000_000, &[&[1, 1]]);
    ends(&mut stream, 2);
    let (done, _, said) = read_again(&stream);
    let summary = done.unwrap();
    assert!(summary.is_whole());
    assert_eq!((summary.strange, said.len()), (1, 1));
}

#[test]
fn integers_are_widened_and_narrowed_and_those_that_do_not_fit_are_told() {
    let mut stream = head();
    describe(&mut stream, "Header", &[("magic", 8, false), ("late_events", 8, false), ("started", 2, false)]);
    record(&mut stream, "Header", 0, &[&7u64.to_le_bytes(), &5u64.to_le_bytes(), &[1, 2]]);
    describe(&mut stream, "Held", &[("used", 1, false), ("fd", 8, false), ("uid", 8, false), ("service", 1, true)]);
    let beyond = 1u64 << 40;
    record(&mut stream, "Held", 0, &[&[1], &beyond.to_le_bytes(), &beyond.to_le_bytes(), &0u32.to_le_bytes()]);
    ends(&mut stream, 2);
    let (done, mut state, said) = read_again(&stream);
    let state = state.state();
    assert_eq!(done.unwrap().lost, 2);
    assert_eq!(said, ["Held 0: 2 values do not fit"]);
    assert_eq!((state.tables.header.late_events, state.tables.header.started), (5, 0x201));
    let held = &state.tables.held[0];
    assert_eq!((held.fd, held.uid, held.service), (-1, 0, -1), "they have nothing");
}

#[test]
fn arrays_are_cut_and_what_is_cut_off_is_told() {
    let mut stream = head();
    describe(&mut stream, "Header", &[("magic", 8, false), ("fault_times", 2, true)]);
    let times: Vec<u8> = (1..=10u16).flat_map(u16::to_le_bytes).collect();
    record(&mut stream, "Header", 0, &[&7u64.to_le_bytes(), &10u32.to_le_bytes(), &times]);
    ends(&mut stream, 1);
    let (done, mut state, _) = read_again(&stream);
    let state = state.state();
    assert_eq!(done.unwrap().lost, 1);
    assert_eq!(state.tables.header.fault_times, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_slot_that_there_is_not_is_told_and_left_out() {
    let mut stream = head();
    describe(&mut stream, "Header", &[("magic", 8, false)]);
    record(&mut stream, "Header", 0, &[&7u64.to_le_bytes()]);
    describe(&mut stream, "Service", &[("used", 1, false)]);
    record(&mut stream, "Service", SERVICES as u32, &[&[1]]);
    record(&mut stream, "Service", u32::MAX, &[&[1]]);
    ends(&mut stream, 3);
    let (done, _, said) = read_again(&stream);
    assert_eq!(done.unwrap().dropped, 2);
    assert_eq!(said[0], format!("Service {SERVICES}: there are {SERVICES} places only"));
}

#[test]
fn a_service_whose_checksum_was_right_has_one_that_is_right() {
    let mut before = Image::new();
    let before = before.state();
    before.tables.header.services_top = 2;
    for service in &mut before.tables.services[..2] {
        service.used = 1;
        service.set_name(b"web");
    }
    before.tables.services[1].checksum ^= 1;
    let (_, mut after, _) = read_again(&written(before));
    let after = after.state();
    assert!(after.tables.services[0].is_sealed());
    assert!(!after.tables.services[1].is_sealed());
}

#[test]
fn only_what_is_in_use_is_written() {
    let mut before = Image::new();
    let before = before.state();
    let nothing = written(before).len();
    before.tables.header.clients_top = FDHOLDER_CLIENTS as u32;
    before.tables.clients[3].used = 1;
    before.tables.clients[3].request_len = 10;
    before.tables.clients[3].request[..20].fill(b'x');
    let one = written(before).len();
    assert!(one - nothing < 1000, "{}", one - nothing);
}

#[test]
fn a_stream_that_is_none_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| read_again(bytes).0.unwrap_err();
    assert_eq!(refused(b""), Problem::NotOne);
    assert_eq!(refused(b"linchpen\x01\0\0\0"), Problem::NotOne);
    assert_eq!(refused(b"linchpin\x02\0\0\0"), Problem::Newer(2));
    assert_eq!(refused(b"linchpin\x01\0\0\0"), Problem::Length);
    assert_eq!(refused(b"linchpin\x01\0\0\0type\xff\xff\xff\xff"), Problem::Item(*b"type"));
    let mut stream = head();
    record(&mut stream, "Service", 0, &[]);
    assert_eq!(refused(&stream), Problem::Undescribed);
    let mut stream = head();
    ends(&mut stream, 0);
    assert_eq!(refused(&stream), Problem::NoHeader);
    let mut behind = written(Image::new().state());
    behind.push(0);
    assert_eq!(refused(&behind), Problem::Length);
    let mut stream = head();
    describe(&mut stream, "Job", &[("used", 1, false)]);
    record(&mut stream, "Job", 1, &[&[1]]);
    record(&mut stream, "Job", 1, &[&[1]]);
    assert_eq!(refused(&stream), Problem::Twice);
}

/// A stream by hand: its beginning.
fn head() -> Vec<u8> {
    [&MAGIC[..], &FORMAT.to_le_bytes()].concat()
}

fn item(stream: &mut Vec<u8>, tag: &[u8; 4], content: &[u8]) {
    stream.extend_from_slice(tag);
    stream.extend_from_slice(&(content.len() as u32).to_le_bytes());
    stream.extend_from_slice(content);
}

/// Unsigned fields: name, width, whether it is an array (of up to 16).
fn describe(stream: &mut Vec<u8>, name: &str, fields: &[(&str, u32, bool)]) {
    let mut content = name_hash(name).to_le_bytes().to_vec();
    for (name, width, array) in fields {
        let what = width.trailing_zeros() << 28 | if *array { 1 << 30 | 16 } else { 1 };
        assert!(Field::of_words([1, what]).is_some());
        content.extend(name_hash(name).to_le_bytes());
        content.extend(what.to_le_bytes());
    }
    item(stream, b"type", &content);
}

fn record(stream: &mut Vec<u8>, name: &str, slot: u32, values: &[&[u8]]) {
    let head = [name_hash(name), slot, 0].map(u32::to_le_bytes).concat();
    item(stream, b"slot", &[head, values.concat()].concat());
}

fn ends(stream: &mut Vec<u8>, count: u32) {
    item(stream, b"ends", &count.to_le_bytes());
}

#[test]
fn what_is_changed_on_the_way_is_changed_in_the_stream_only() {
    let mut before = Image::new();
    let before = before.state();
    before.tables.header.exe_fd = 5;
    let mut bytes = Vec::new();
    write(&before.tables, None, &[(name_hash("exe_fd"), -1), (name_hash("asker"), 7)], &mut |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .unwrap();
    let (_, mut after, _) = read_again(&bytes);
    let header = &after.state().tables.header;
    assert_eq!((header.exe_fd, header.asker, before.tables.header.exe_fd), (-1, 7, 5));
}

#[test]
fn the_header_says_what_it_is_whoever_wrote_it() {
    let mut before = Image::new();
    let before = before.state();
    before.tables.header.arena_fd = 42;
    let (done, mut after, _) = read_again(&written(before));
    assert_eq!(done.unwrap().arena, 42);
    assert_eq!(after.state().tables.header.arena_fd, 0, "the arena's own");
}
