use super::*;
use crate::fdholder::table::New;
use crate::service::scratch::Scratch;
use proptest::prelude::*;
use zerocopy::FromZeros;

fn wanted(pattern: &str) -> Wanted<'_> {
    Wanted { pattern: pattern.as_bytes(), name: None, stdin: false, optional: false }
}

/// The one entry of a file of one line.
fn only(line: &str) -> Result<Entry<'_>, &'static str> {
    let all: Vec<_> = parse(line.as_bytes()).collect();
    assert_eq!(all.len(), 1, "{line:?}");
    assert_eq!(all[0].0, 1);
    all[0].1
}

#[test]
fn a_line_is_an_identifier() {
    for line in ["unix:/run/web", "  unix:/run/web\t", "unix:/run/web\r\n"] {
        assert_eq!(only(line), Ok(Entry::Held(wanted("unix:/run/web"))), "{line:?}");
    }
}

#[test]
fn empty_lines_and_comments_say_nothing_and_lines_keep_their_numbers() {
    let all: Vec<_> = parse(b"# two of them\n\na\n \t\n  # another\nb").collect();
    assert_eq!(all, [(3, Ok(Entry::Held(wanted("a")))), (6, Ok(Entry::Held(wanted("b"))))]);
    assert_eq!(parse(b"").count() + parse(b"\n\n").count(), 0);
}

#[test]
fn a_line_may_give_a_name_do_without_or_ask_for_descriptor_0() {
    let http = Some(&b"http"[..]);
    assert_eq!(only("a name=http"), Ok(Entry::Held(Wanted { name: http, ..wanted("a") })));
    assert_eq!(only("-a"), Ok(Entry::Held(Wanted { optional: true, ..wanted("a") })));
    assert_eq!(only("- a   name=http"), Ok(Entry::Held(Wanted { optional: true, name: http, ..wanted("a") })));
    assert_eq!(only("0 a"), Ok(Entry::Held(Wanted { stdin: true, ..wanted("a") })));
    assert_eq!(only("-0 a"), Ok(Entry::Held(Wanted { stdin: true, optional: true, ..wanted("a") })));
    assert_eq!(only("s6"), Ok(Entry::S6));
}

#[test]
fn a_backslash_makes_an_identifier_of_what_would_mean_something() {
    for line in ["\\s6", "\\-a", "\\#a", "a\\ b", "a\\ ", "\\0", "0", "1", "name=x", "s6x", "unix:[x"] {
        assert_eq!(only(line), Ok(Entry::Held(wanted(line))), "{line:?}");
    }
    assert_eq!(only("a\\\\ name=b"), Ok(Entry::Held(Wanted { name: Some(b"b"), ..wanted("a\\\\") })));
}

#[test]
fn what_says_nothing_is_a_mistake() {
    for line in ["-", "- ", "0 a name=b", "0 a b", "a b", "s6 a", "a name=", "a name=b:c", "a name=b c", "a\\", "a\0b"]
    {
        assert!(only(line).is_err(), "{line:?}");
    }
}

/// A table with these identifiers, of which the descriptors are 100, 101 and so on.
struct Holder {
    slots: Vec<Held>,
    top: u32,
}

const NOW: Stamp = Stamp { sec: 1000, nano: 0 };
const NEVER_ENDS: Stamp = Stamp { sec: 1000 + NEVER, nano: 0 };

impl Holder {
    fn of(ids: &[&str]) -> Holder {
        let mut holder = Holder { slots: (0..HANDED + 8).map(|_| Held::new_zeroed()).collect(), top: 0 };
        ids.iter().for_each(|id| holder.store(id, NEVER_ENDS));
        holder
    }

    fn store(&mut self, id: &str, limit: Stamp) {
        let fd = Fd(100 + self.top as i32);
        let new = New {
            id: id.as_bytes(),
            limit,
            fd,
            origin: Origin::Client,
            pid: 7,
            uid: 8,
            now: 9,
            identity: (1, 2),
            owner: None,
        };
        self.table().store(&new).unwrap();
    }

    fn table(&mut self) -> Table<'_> {
        Table::new(&mut self.slots, &mut self.top)
    }
}

/// A service, and what it would be given.
struct Case {
    scratch: Scratch,
    service: Box<Service>,
    room: Box<Room>,
    own: Vec<(Fd, i32)>,
}

impl Case {
    fn new(sockets: &str) -> Case {
        let scratch = Scratch::new();
        scratch.write("sockets", sockets);
        let mut service = Box::new(Service::new_zeroed());
        service.set_name(b"web");
        service.dir_fd = scratch.fd.0;
        service.extras = extra::SOCKETS;
        let room = Box::new(const { Room::new() });
        Case { scratch, service, room, own: Vec::new() }
    }

    fn gather(&mut self, holder: &mut Holder) -> Result<Vec<(i32, i32)>, String> {
        let table = holder.table();
        let start = Start { slot: 5, held: Some(&table), wall: NOW, env: Env::EMPTY, own: &self.own };
        gather(&start, &self.service, &mut self.room).map_err(|problem| problem.to_string())?;
        Ok(self.room.gifts().0.iter().map(|(fd, number)| (fd.0, *number)).collect())
    }

    /// What is given, from the descriptors' numbers in the holder to those in the child, and the environment.
    fn given(&mut self, ids: &[&str]) -> (Vec<(i32, i32)>, Vec<String>) {
        let fds = self.gather(&mut Holder::of(ids)).unwrap();
        (fds, self.variables())
    }

    fn refused(&mut self, ids: &[&str]) -> String {
        self.gather(&mut Holder::of(ids)).unwrap_err()
    }

    fn variables(&self) -> Vec<String> {
        self.room.env.iter().map(|entry| entry.to_str().unwrap().to_owned()).collect()
    }
}

fn told(count: usize, names: &str) -> Vec<String> {
    // The child writes its pid over the zeros.
    vec![format!("LISTEN_FDS={count}"), format!("LISTEN_FDNAMES={names}"), "LISTEN_PID=0000000000".into()]
}

#[test]
fn descriptors_come_in_the_order_of_the_lines_with_their_names() {
    let mut case = Case::new("c\na name=first\n");
    let (fds, variables) = case.given(&["a", "b", "c"]);
    assert_eq!(fds, [(102, 3), (100, 4)]);
    assert_eq!(variables, told(2, "c:first"));
}

#[test]
fn a_glob_means_all_that_match_in_their_order_but_none_twice() {
    let mut case = Case::new("unix:/b\nunix:* name=web\n-*\n");
    let (fds, variables) = case.given(&["unix:/a", "tcp:x", "unix:/b", "unix:/c"]);
    assert_eq!(fds, [(102, 3), (100, 4), (103, 5), (101, 6)]);
    assert_eq!(variables, told(4, "unix_/b:web:web:tcp_x"));
}

#[test]
fn descriptor_0_is_the_first_that_matches_and_has_no_part_in_the_environment() {
    let mut case = Case::new("0 unix:*\n");
    let (fds, variables) = case.given(&["tcp:x", "unix:/b", "unix:/c"]);
    assert_eq!((fds, variables), (vec![(101, 0)], vec![]));
    let (fds, _) = Case::new("unix:/b\n0 unix:/b\n").given(&["unix:/b"]);
    assert_eq!(fds, [(100, 3), (100, 0)]);
}

#[test]
fn what_is_missing_is_named_unless_it_is_optional() {
    assert_eq!(Case::new("a\nb\n").refused(&["a"]), "nothing is held as b");
    assert_eq!(Case::new("0 unix:*\n").refused(&["a"]), "nothing is held as unix:*");
    let (fds, variables) = Case::new("-b\na\n-0 c\n").given(&["a"]);
    assert_eq!((fds, variables), (vec![(100, 3)], told(1, "a")));
    let (fds, variables) = Case::new("-b\n").given(&["a"]);
    assert_eq!((fds.len(), variables.len()), (0, 0));
}

#[test]
fn an_empty_file_gives_nothing() {
    let (fds, variables) = Case::new("# later\n").given(&["a"]);
    assert_eq!((fds.len(), variables.len()), (0, 0));
}

#[test]
fn what_has_expired_is_not_held_any_more() {
    let mut holder = Holder::of(&[]);
    holder.store("a", NOW);
    holder.store("b", Stamp { sec: 1000, nano: 1 });
    assert_eq!(Case::new("a\n").gather(&mut holder), Err("nothing is held as a".into()));
    assert_eq!(Case::new("*\n").gather(&mut holder), Ok(vec![(101, 3)]));
}

#[test]
fn s6_programs_find_the_environment_of_a_dump() {
    let mut holder = Holder::of(&["a b"]);
    holder.store("c", Stamp { sec: 2000, nano: 5 });
    let mut case = Case::new("s6\n*\n0 c\n");
    assert_eq!(case.gather(&mut holder), Ok(vec![(100, 3), (101, 4), (101, 0)]));
    let s6: Vec<_> = case.variables().split_off(3);
    let limit = "S6_FDLIMIT_1=@00000000000007d000000005";
    assert_eq!(s6, ["S6_FD#=2", "S6_FD_0=3", "S6_FDID_0=a b", "S6_FD_1=4", "S6_FDID_1=c", limit]);
}

#[test]
fn a_number_that_another_file_has_is_refused_with_the_one_to_take() {
    let mut case = Case::new("a\nb\n");
    case.own = vec![(Fd(50), 5), (Fd(51), 3)];
    case.service.notify_fd = 60;
    let text = "a held descriptor becomes 3, and its file notification-fd says 3 too: make that 5";
    assert_eq!(case.refused(&["a", "b"]), text);
    case.own = vec![(Fd(50), 4), (Fd(51), 5)];
    let text = "a held descriptor becomes 4, and its file lock-fd says 4 too: make that 5";
    assert_eq!(case.refused(&["a", "b"]), text);
    case.own = vec![(Fd(51), 5), (Fd(50), 2)];
    let (fds, _) = case.given(&["a", "b"]);
    assert_eq!(fds, [(51, 5), (50, 2), (100, 3), (101, 4)]);
}

#[test]
fn mistakes_are_told_with_their_lines() {
    let refused = |sockets: &str| Case::new(sockets).refused(&["a"]);
    assert!(refused("a\n\na b\n").starts_with("line 3: all that may follow"));
    assert_eq!(refused("0 a\n0 a\n"), "line 2: descriptor 0 is given already");
    let mut logger = Case::new("0 a\n");
    logger.service.kind = kind::LOGGER;
    assert_eq!(logger.refused(&["a"]), "line 1: a logger reads its descriptor 0");
    assert_eq!(refused(&"#".repeat(SOCKETS_FILE + 1)), format!("it is longer than {SOCKETS_FILE} bytes"));
    assert!(Case::new(&format!("{}\na", "#".repeat(SOCKETS_FILE - 2))).gather(&mut Holder::of(&["a"])).is_ok());
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_and_one_that_has_gone_is_not() {
    let mut case = Case::new("a\n");
    std::fs::remove_file(case.scratch.path.join("sockets")).unwrap();
    assert_eq!(case.given(&["a"]), (vec![], vec![]));
    case.scratch.mkdir("sockets");
    assert_eq!(case.refused(&["a"]), "it cannot be read: Is a directory");
}

#[test]
fn no_more_are_given_than_there_is_room_for() {
    let ids: Vec<String> = (0..=HANDED).map(|n| format!("{n}-{}", "x".repeat(250))).collect();
    let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(Case::new("*\n").refused(&ids), format!("more than {HANDED} descriptors"));
    ids.pop();
    let mut case = Case::new("*\ns6\n");
    case.own = vec![(Fd(50), 200), (Fd(51), 201)];
    let (fds, variables) = case.given(&ids);
    assert_eq!(fds.len(), HANDED + 2);
    assert_eq!(variables[1], format!("LISTEN_FDNAMES={}", ids.join(":")));
    assert_eq!(Case::new("*\n0 *\n").gather(&mut Holder::of(&ids)).unwrap().len(), HANDED + 1);
}

#[test]
fn without_a_holder_there_is_nothing_to_give() {
    let mut case = Case::new("a\n");
    let start = Start { slot: 5, held: None, wall: NOW, env: Env::EMPTY, own: &[] };
    assert!(matches!(gather(&start, &case.service, &mut case.room), Err(Problem::NoHolder)));
    case.service.extras = 0;
    assert_eq!(gather(&start, &case.service, &mut case.room), Ok(()));
}

#[test]
fn what_a_service_has_stored_itself_comes_last_under_the_names_that_it_gave() {
    let mut holder =
        Holder::of(&["fdstore:web:conn", "fdstore:db:conn", "a", "fdstore:web:conn#2", "fdstore:web:x#y3"]);
    for slot in [0, 1, 3, 4] {
        let held = &mut holder.slots[slot];
        held.origin = Origin::Service as u8;
        (held.service, held.service_generation) = (if slot == 1 { 6 } else { 5 }, 2);
    }
    let mut case = Case::new("a\n");
    case.service.generation = 2;
    assert_eq!(case.gather(&mut holder), Ok(vec![(102, 3), (100, 4), (103, 5), (104, 6)]));
    assert_eq!(case.variables()[1], "LISTEN_FDNAMES=a:conn:conn:x#y3");
    case.service.extras = 0;
    assert_eq!(case.gather(&mut holder), Ok(vec![(100, 3), (103, 4), (104, 5)]));
    case.service.generation = 3; // another service in the slot
    assert_eq!(case.gather(&mut holder), Ok(vec![]));
}

#[test]
fn the_table_knows_who_has_got_what() {
    let mut holder = Holder::of(&["a", "b", "c"]);
    let mut case = Case::new("a\n0 c\n");
    case.gather(&mut holder).unwrap();
    case.room.given(&mut holder.table(), 4711, 12);
    let seen: Vec<_> = holder.slots[..3].iter().map(|held| (held.last_pid, held.retrievals, held.retrieved)).collect();
    assert_eq!(seen, [(4711, 1, 12), (0, 0, 0), (4711, 1, 12)]);
}

#[test]
fn each_problem_is_told_once_and_no_errno_is_one() {
    let scratch = Scratch::new();
    scratch.mkdir("supervise");
    let mut case = Case::new("b\nc\n");
    (case.service.dir_fd, case.service.waiting_file) = (scratch.fd.0, 0);
    scratch.write("sockets", "b\nc\n");
    case.service.published = case.service.sequence;
    let mut prepare = |ids: &[&str]| {
        let mut holder = Holder::of(ids);
        let table = holder.table();
        let start = Start { slot: 5, held: Some(&table), wall: NOW, env: Env::EMPTY, own: &[] };
        let done = prepare(&start, &mut case.service, SECOND, &mut case.room);
        (done, case.service.trouble)
    };
    let [first, second, ready] = [prepare(&["a"]), prepare(&["b"]), prepare(&["b", "c"])];
    assert_eq!((first.0, second.0, ready.0), (Err(Refused::Waits), Err(Refused::Waits), Ok(())));
    assert!(first.1 != second.1 && first.1 > 1 << 30 && second.1 > 1 << 30);
    assert_eq!(std::fs::read_to_string(scratch.path.join("supervise/waiting")).unwrap(), "descriptor c\n");
}

proptest! {
    #[test]
    fn any_file_is_read_without_harm(text: Vec<u8>) {
        for (line, entry) in parse(&text) {
            prop_assert!(line >= 1);
            if let Ok(Entry::Held(wanted)) = entry {
                prop_assert!(!wanted.pattern.is_empty() && !wanted.pattern.contains(&b'\n'));
            }
        }
    }

    /// Whatever an identifier is made of, there is a line that means it and nothing else.
    #[test]
    fn every_identifier_can_be_written(id in prop::collection::vec(1u8.., 1..60)) {
        prop_assume!(!id.contains(&b'\n'));
        let mut line = Vec::new();
        for byte in &id {
            line.extend([b'\\', *byte]);
        }
        let entries: Vec<_> = parse(&line).collect();
        let [(1, Ok(Entry::Held(wanted)))] = entries[..] else { panic!("{entries:?}") };
        prop_assert!(glob::matches(wanted.pattern, &id));
        prop_assert!(!glob::matches(wanted.pattern, b"other"));
    }
}
