//! Properties that hold for any bytes, by proptest. The checks themselves are those that `scripts/fuzz` runs for longer.

mod answers;
mod checks;
mod handover;
mod ring;
mod root;
mod scripts;
mod session;
mod zone;

use proptest::prelude::*;

/// Some bytes.
fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

/// Bytes of which most mean something.
fn words(alphabet: &'static [u8], most: usize) -> impl Strategy<Value = Vec<u8>> {
    let likely = prop::sample::select(alphabet);
    prop::collection::vec(prop_oneof![8 => likely, 1 => any::<u8>()], 0..most)
}

/// A line of a board config, most of them good.
fn board_line() -> impl Strategy<Value = String> {
    let header = prop::sample::select(vec![
        "[[socket]]\n",
        "[[fdholder.allow]]\n",
        "[fdholder]\n",
        "[boot]\n",
        "[root]\n",
        "[[mount]]\n",
    ]);
    let known = linchpin::socket::options::KNOWN.iter().map(|known| known.key);
    let keys = [
        "name",
        "address",
        "type",
        "mode",
        "device",
        "user",
        "everybody",
        "store",
        "list",
        "getdump",
        "max-held",
        "modules",
        "device",
        "overlay",
        "overlay-type",
        "timeout",
        "wait",
        "target",
    ];
    let key = prop::sample::select(keys.into_iter().chain(known).collect::<Vec<_>>());
    let value = prop_oneof![
        "\"(unix:/|unix:@|tcp:127.0.0.1:|udp:\\[::1%[a-z]{1,16}\\]:|netlink:)[a-z0-9]{0,4}\"",
        prop::sample::select(vec!["true", "false", "7", "4294967295", "'a'", "'dgram'", "'2s'", "['a*', \"\\u0062\"]"])
            .prop_map(str::to_owned),
        "\\[('[a-z*?\\[\\]\\\\]{0,6}'(,|, |\n)){0,70}\\]",
        "[\\[\\]'\",#{}=.a-z\n -]{0,12}",
    ];
    prop_oneof![1 => header.prop_map(str::to_owned), 4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"))]
}

/// So many cases; those that fail are told, not written into the source tree.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn the_machine_of_a_service_is_consistent_whatever_happens(data in bytes(300)) {
        checks::machine(&data);
    }

    #[test]
    fn a_status_is_read_as_it_was_written(data in bytes(40)) {
        checks::status(&data);
    }

    #[test]
    fn a_control_byte_means_one_thing_or_nothing(data in bytes(64)) {
        checks::control(&data);
    }

    #[test]
    fn a_notification_is_read_without_harm(data in words(b"READY=1\nSTATUS=FDNAME=WATCHDOG_USEC=BARRIER=1\n\0:", 200)) {
        checks::notification(&data);
    }

    #[test]
    fn lines_of_a_notification_are_read_without_harm(lines in prop::collection::vec(
        prop::sample::select(&[
            "READY=1", "BARRIER=1", "STATUS=x y", "FDNAME=a", "FDNAME=", "FDNAME=a:b", "FDSTORE=1", "WATCHDOG=1", "=", "X",
            "", "STATUS=",
        ]),
        0..8,
    )) {
        checks::notification(lines.join("\n").as_bytes());
    }

    #[test]
    fn who_waits_counts_each_failure_once(data in bytes(60)) {
        checks::wait(&data);
    }

    #[test]
    fn a_request_to_the_fd_holder_means_the_same_when_it_is_written(data in words(b"\0\0\0\x01\x05SDRL?!.ab/", 80)) {
        checks::fdholder(&data);
    }

    #[test]
    fn a_request_to_sudod_is_read_as_it_was_written_or_refused(
        numbers in prop::collection::vec(0u32..6, 4),
        data in words(b"\0\0=aB", 24),
    ) {
        let numbers: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        checks::sudo(&data);
        checks::sudo(&[&numbers[..], &data].concat());
        // The same with lengths that are true.
        let half = data.len() / 2;
        let zeros = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == 0).count();
        let (args, env) = data.split_at(half);
        let true_ones = [zeros(args), zeros(env), args.len(), env.len()].map(|n| (n as u32).to_be_bytes()).concat();
        checks::sudo(&[&true_ones[..], &data].concat());
    }

    #[test]
    fn a_database_of_rules_can_lead_nowhere(data in words(b"\0\0\0\x01\x05AD\xff", 400)) {
        checks::rules(&data);
    }

    #[test]
    fn a_rule_of_a_database_is_understood_or_refused(data in words(b"AD\0\0\0\x01\x05=x", 40)) {
        checks::rule(&data);
    }

    #[test]
    fn a_file_of_a_time_zone_leads_nowhere_else(
        version in prop::sample::select(b"\x002345".as_slice()),
        counts in prop::array::uniform6(0u32..4),
        numbers in prop::collection::vec(prop_oneof![-100_000i64..100_000, any::<i64>()], 0..12),
        ordered: bool,
        rule in words(b"ABC-1+2DEF<>,M3.5.0/10J:", 30),
    ) {
        let mut numbers = numbers;
        if ordered {
            numbers.sort_unstable();
        }
        let header = |counts: [u32; 6]| [&b"TZif"[..], &[version], &[0; 15], &counts.map(u32::to_be_bytes).concat()].concat();
        let data = numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>();
        zone::zone(&[&header(counts)[..], &data].concat());
        zone::zone(&[&header([0; 6])[..], &header(counts), &data, b"\n", &rule, b"\n"].concat());
        zone::zone(&rule);
        // One that has the times, and one type, and so may well be sound.
        let times = numbers.len() as u32;
        let table = [&data[..], &vec![0; numbers.len()], &[0, 0, 14, 16, 0, 0], b"X"].concat();
        zone::zone(&[&header([0; 6])[..], &header([0, 0, 0, times, 1, 1]), &table, b"\n", &rule, b"\n"].concat());
    }

    #[test]
    fn nothing_that_is_read_on_the_way_to_the_root_does_harm(
        data in bytes(300),
        line in words(b" \"=-.a_b:\n\t/", 60),
        modules in "(a/)?[a-c_-]{1,3}\\.ko(\\.xz)?:( [a-c/]{1,4}\\.ko){0,3}",
        // Where the entries are, how many, how large.
        entries in (0u64..8, 0u32..5, prop_oneof![Just(128u32), any::<u32>()]),
    ) {
        root::root(&data);
        root::root(&line);
        root::root(modules.as_bytes());
        let mut header = vec![0; 1024];
        header[72..80].copy_from_slice(&entries.0.to_le_bytes());
        header[80..84].copy_from_slice(&entries.1.to_le_bytes());
        header[84..88].copy_from_slice(&entries.2.to_le_bytes());
        header.extend(&data);
        root::root(&header);
    }

    #[test]
    fn any_board_config_can_be_read(data in words(b"[]board=\"\n.#socketnamemountdir'0 /\\", 200)) {
        checks::board(&data);
    }
}

/// A word of a script, most of them good.
fn directive() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => "[+-][ab^$.]{0,3}",
        2 => "[+-][ab(|)*?\\[\\]{},1]{0,8}",
        4 => prop::sample::select(vec!["1", "2", "f", "t", "T", "=st", "./d", "/d", "p", "px", "!", "!x", "?y", "n5", "l0"])
            .prop_map(str::to_owned),
        2 => "[nsSlrRE^]([0-9]{1,6}|4294967295|99999999999|x?)",
        1 => "(c|ram:)[0-9]{1,7}(k|M|s|ms|m|)",
        1 => "[a-z0-9]{1,3}",
    ];
    word.prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn lines_go_where_the_words_of_a_script_say(
        words in prop::collection::vec(directive(), 1..12),
        lines in prop::collection::vec("[ab]{0,4}", 0..6),
    ) {
        scripts::script(&[words.join(&0), b"\0\0".to_vec(), lines.join("\n").into_bytes()].concat());
    }

    #[test]
    fn no_words_of_a_script_do_harm(data in words(b"\0\0\0+-fnsl1./t=ab\n([*0", 60)) {
        scripts::script(&data);
    }

    #[test]
    fn both_matchers_say_the_same_whatever_they_are_given(data in words(b"\n\nab(|)*+?{1,2}[^$].\\", 60)) {
        scripts::regex(&data);
    }
}

proptest! {
    // To make these up takes longer than to read them.
    #![proptest_config(cases(200))]

    #[test]
    fn any_board_config_with_keys_that_there_are_can_be_read(lines in prop::collection::vec(board_line(), 0..30)) {
        checks::board(lines.concat().as_bytes());
    }
}

#[test]
fn no_answer_makes_a_client_of_the_fd_holder_fail_or_keep_a_descriptor() {
    let place = answers::Place::new();
    proptest!(cases(2000), |(data in bytes(120))| {
        answers::answers(&place, &data);
    });
}

/// A piece of what a client sends: a request, a part of one, or something else.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let request = prop::sample::select(vec![
        &b"\0\0\0\x10\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0"[..],
        b"\0\0\0\x10\0\x01S\x40\0\0\0\x65\x53\xf1\x26\0\0\0\0\x01b\0",
        b"\0\0\0\x04\0\0D\x01a\0",
        b"\0\0\0\x05\0\0R\0\x01a\0",
        b"\0\0\0\x05\0\0R\x01\x01b\0",
        b"\0\0\0\x01\0\0L",
        b"\0\0\0\x01\0\0?",
        b"\0\0\0\x05\0\0i\0\0\0\0",
        b"\0\0\0\x05\0\0!\0\0\0\x02",
        b"\0\0\0\x10\0\x01.\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0",
        b"\0\0\0\x1f\0\x02.\x60\0\0\0\0\0\0\0\0\0\0\0\x01c\0\x60\0\0\0\0\0\0\0\0\0\0\0\x01c\0",
    ]);
    prop_oneof![
        6 => request.clone().prop_map(<[u8]>::to_vec),
        2 => (request, any::<prop::sample::Index>()).prop_map(|(whole, cut)| whole[..cut.index(whole.len())].to_vec()),
        1 => bytes(20),
    ]
}

#[test]
fn no_session_with_the_fd_holder_harms_its_records_or_leaves_a_descriptor() {
    let place = std::cell::RefCell::new(session::Place::new());
    let pieces = prop::collection::vec((any::<u8>(), piece()), 0..20);
    proptest!(cases(2000), |(pieces in pieces)| {
        let data: Vec<u8> = pieces
            .iter()
            // That the other side leaves is the exception.
            .flat_map(|(how, piece)| [&[if how % 16 == 0 { *how } else { how & 0x7f }, piece.len() as u8], &piece[..]].concat())
            .collect();
        session::session(&mut place.borrow_mut(), &data);
    });
}

/// An item of a hand-over: tag, length, content.
fn item() -> impl Strategy<Value = Vec<u8>> {
    let tags = vec![*b"from", *b"type", *b"slot", *b"ring", *b"ends", *b"what"];
    let kinds: Vec<u32> = linchpin::state::stream::rooms::ROOMS.iter().map(|room| room.hash()).collect();
    let word = prop_oneof![any::<u32>(), 0u32..5, prop::sample::select(kinds), Just(1 << 30 | 8), Just(3 << 28 | 1)];
    (prop::sample::select(tags), prop::collection::vec(word, 0..12), 0usize..3, any::<bool>()).prop_map(
        |(tag, words, cut, right)| {
            let mut content: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
            content.truncate(content.len() - cut.min(content.len()));
            let length = content.len() as u32 + u32::from(!right);
            [&tag[..], &length.to_le_bytes(), &content].concat()
        },
    )
}

#[test]
fn no_hand_over_harms_its_reader() {
    proptest!(cases(300), |(items in prop::collection::vec(item(), 0..12), rest in bytes(20))| {
        handover::handover(&[items.concat(), rest].concat());
    });
}

#[test]
fn any_content_of_a_service_file_is_understood_or_refused() {
    let scratch = checks::Scratch::new();
    proptest!(cases(2000), |(which: u8, content in words(b"0123456789\n SIGTERMsm%", 20))| {
        let data: Vec<u8> = std::iter::once(which).chain(content).collect();
        checks::service_files(&scratch, &data);
    });
}

#[test]
fn any_death_tally_takes_one_more_death() {
    let scratch = checks::Scratch::new();
    proptest!(cases(1000), |(limit: u8, records in 0usize..10, odd in 0usize..2, fill: u8)| {
        let data: Vec<u8> = std::iter::once(limit).chain(std::iter::repeat_n(fill, records * 14 + odd)).collect();
        checks::death_tally(&scratch, &data);
    });
}

#[test]
fn no_ring_harms_its_reader_or_the_next_writer() {
    let small = prop_oneof![Just(0u8), Just(10), 1u8..30, any::<u8>()];
    proptest!(cases(3000), |(head in prop::collection::vec(small, 12), rest in words(b"\n\nab", 200))| {
        ring::ring(&[head, rest].concat());
    });
}
