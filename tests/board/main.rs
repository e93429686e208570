//! The board config: what is read, what is said about mistakes, and that a mistake costs no more than it must.

mod entries;
mod root;

use linchpin::board::{Board, Fault, Glob, Id, Mount, Owner, Signals, Socket, Then, Whom, load};
use linchpin::fdholder::rights::{GETDUMP, Use};
use linchpin::limits::{BOARD_MISTAKES, BOARD_MOUNTS, BOARD_SCRATCH, BOARD_SOCKETS};
use linchpin::socket::Address;
use linchpin::socket::options::{FREEBIND, KNOWN, REUSEPORT, V6ONLY, Values};
use linchpin::sys::listener::Kind;
use proptest::prelude::*;
use std::io::Write;
use std::process::{Command, Stdio};

/// Reads `text`; returns what `look` sees of the board, and the mistakes.
fn read<T>(text: &[u8], look: impl FnOnce(&Board<'_>) -> T) -> (T, Vec<String>) {
    let mut scratch = vec![0; BOARD_SCRATCH];
    let mut board = Box::new(Board::new());
    let mut mistakes = Vec::new();
    let count = load(&mut board, text, &mut scratch, &mut |mistake| mistakes.push(mistake.to_string()));
    assert!(count == mistakes.len() || count > BOARD_MISTAKES);
    (look(&board), mistakes)
}

fn mistakes(text: &str) -> Vec<String> {
    read(text.as_bytes(), |_| ()).1
}

fn names(text: &[u8]) -> Vec<String> {
    read(text, |board| board.sockets().iter().map(|socket| socket.name.to_owned()).collect()).0
}

/// The value of a socket's option.
fn option(socket: &Socket<'_>, key: &str) -> Option<u32> {
    socket.values.get(KNOWN.iter().position(|known| known.key == key).unwrap())
}

#[test]
fn everything_a_board_can_say_is_read() {
    let text = r#"
        board.name = "qemu-arm"                  # a dotted key does as well as a table
        [boot]
        services = "/srv"
        scandir = '/run/s'
        init = "/etc/rc"
        signals = "busybox"
        [[mount]]
        target = "/data"
        source = "/dev/mmcblk0p3"
        type = "ext4"
        options = "noatime,ro"
        [[mount]]
        type = "tmpfs"
        target = "/tmp"
        [board]
        "hostname" = "pin"
        [[socket]]
        name = "unix:/run/hello.sock"
        mode = "0660"
        owner = "hello:7"
        backlog = 1_28
        type = "seqpacket"
        [ [socket] ]
        [[socket]]
        name = "tcp:[::]:80"
        freebind = false
        v6only = false
        reuseport = true
        [[socket]]
        name = "udp:0.0.0.0:53"
        address = "udp:0.0.0.0:53"
        [[socket]]
        name = "web"
        address = "unix:/run/web/s"
        directory-mode = "0750"
        nonblocking = false
        receive-buffer = 65536
        [[socket]]
        address = "udp:[fe80::1%eth0]:53"
        device = "eth0"
        priority = 6
        dscp = 46
        packet-info = true
        [[socket]]
        name = "uevents"
        address = "netlink:kobject-uevent:1"
        pass-credentials = true
        [fdholder]
        path = "/run/holder"
        rules = "/etc/rules"
        [[fdholder.allow]]
        user = "hello"
        store = "unix:/run/hello*"
        retrieve = [
            "unix:/run/[ab]", # two of them
            'tcp:[::]:80',
        ]
        max-held = 10
        max-lifetime = "90s"
        [[fdholder.allow]]
        group = 7
        list = []
        getdump = true
        setdump = false
        [[ fdholder . allow ]]
        everybody = true
        list = ["*"]
        delete = ["\u0061", "b"]
        [fault]
        limit = 3
        within = "2m"
        then = "rescue"
        rescue = "/sbin/rescue"
        [shutdown]
        timeout = "1500ms"
        kill-timeout = "2m"
        script = "/etc/stop"
        script-timeout = "5s"
    "#
    .replace("[ [socket] ]\n", "");
    let ((), mistakes) = read(text.as_bytes(), |board| {
        assert_eq!((board.name(), board.hostname()), (Some("qemu-arm"), Some("pin")));
        assert_eq!((board.services(), board.scandir(), board.init()), ("/srv", "/run/s", Some("/etc/rc")));
        assert_eq!(board.signals(), Signals::Busybox);
        let [data, tmp] = board.mounts() else { panic!("{:?}", board.mounts()) };
        let expected =
            Mount { target: "/data", source: "/dev/mmcblk0p3", kind: "ext4", options: "noatime,ro", wait: 0, line: 8 };
        assert_eq!(*data, expected);
        assert_eq!(*tmp, Mount { target: "/tmp", source: "tmpfs", kind: "tmpfs", options: "", wait: 0, line: 13 });
        let [unix, tcp, udp, web, scoped, uevents] = board.sockets() else { panic!("{:?}", board.sockets()) };
        assert_eq!((unix.name, unix.address), ("unix:/run/hello.sock", Address::Path(b"/run/hello.sock")));
        assert_eq!((unix.mode, unix.backlog, unix.kind, unix.line), (0o660, 128, Kind::SeqPacket, 18));
        assert_eq!(unix.owner, Owner { user: Some(Id::Name("hello")), group: Some(Id::Number(7)) });
        assert_eq!(tcp.address, Address::parse(b"tcp:[::]:80").unwrap());
        assert_eq!(tcp.kind, Kind::Stream);
        assert_eq!([FREEBIND, V6ONLY, REUSEPORT].map(|which| tcp.values.get(which)), [Some(0), Some(0), Some(1)]);
        assert_eq!((tcp.mode, tcp.owner, tcp.backlog), (0o600, Owner::default(), 4096));
        assert_eq!((udp.kind, udp.backlog, udp.name), (Kind::Datagram, 0, "udp:0.0.0.0:53"));
        assert_eq!(udp.values, Values::NONE.with(FREEBIND, 1).with(V6ONLY, 1));
        assert_eq!((web.name, web.at, web.address), ("web", "unix:/run/web/s", Address::Path(b"/run/web/s")));
        assert_eq!((web.directory_mode, web.nonblocking, option(web, "receive-buffer")), (0o750, false, Some(65536)));
        assert_eq!((scoped.name, scoped.at), ("udp:[fe80::1%eth0]:53", "udp:[fe80::1%eth0]:53"));
        assert_eq!((scoped.device, option(scoped, "priority"), option(scoped, "dscp")), ("eth0", Some(6), Some(46)));
        assert_eq!((uevents.name, uevents.address), ("uevents", Address::Netlink { family: 15, groups: 1 }));
        assert_eq!(option(uevents, "pass-credentials"), Some(1));
        assert_eq!(board.rules(), Some("/etc/rules"));
        let [hello, seven, all] = board.allows() else { panic!("{:?}", board.allows()) };
        assert_eq!((hello.whom, hello.rights), (Whom::User(Id::Name("hello")), 0));
        assert_eq!((hello.held_max, hello.lifetime_max), (10, 90_000_000_000));
        let glob = |what, pattern| Glob { what, pattern };
        assert_eq!(
            board.globs(hello),
            [
                glob(Use::Store, "unix:/run/hello*"),
                glob(Use::Retrieve, "unix:/run/[ab]"),
                glob(Use::Retrieve, "tcp:[::]:80")
            ]
        );
        assert_eq!((seven.whom, seven.rights, seven.held_max), (Whom::Group(Id::Number(7)), GETDUMP, 0));
        assert_eq!(board.globs(seven), []);
        assert_eq!((all.whom, all.rights, all.lifetime_max), (Whom::Everybody, 0, 0));
        assert_eq!(board.globs(all), [glob(Use::List, "*"), glob(Use::Delete, "a"), glob(Use::Delete, "b")]);
        assert_eq!(board.fdholder().get(), Some(c"/run/holder"));
        let fault = Fault { limit: 3, within: 120_000_000_000, then: Then::Rescue, rescue: "/sbin/rescue" };
        assert_eq!(board.fault(), fault);
        assert_eq!((board.timeout(), board.kill_timeout()), (1_500_000_000, 120_000_000_000));
        assert_eq!((board.script(), board.script_timeout()), (Some("/etc/stop"), 5_000_000_000));
    });
    assert_eq!(mistakes, [""; 0]);
}

#[test]
fn the_fdholder_follows_the_scan_directory() {
    let (path, _) = read(b"boot.scandir = '/run/s'", |board| board.fdholder().as_bytes().to_vec());
    assert_eq!(path, b"/run/s/fdholder/s");
}

#[test]
fn strings_may_have_escapes_and_several_lines() {
    let text = "[board]\nname = \"a\\u00e9\\tb\"\nhostname = \"\"\"\\\n   p\\\n   in\"\"\"\n[boot]\n\"\\u0069nit\" = '''\n/x'''";
    let ((), mistakes) = read(text.as_bytes(), |board| {
        assert_eq!(board.name(), Some("aé\tb"));
        assert_eq!(board.hostname(), Some("pin"));
        assert_eq!(board.init(), Some("/x"));
    });
    assert_eq!(mistakes, [""; 0]);
}

#[test]
fn escapes_beyond_the_room_for_them_are_reported() {
    let name = format!("[board]\nname = \"{}\"\nhostname = \"\\x70in\"", "\\t".repeat(BOARD_SCRATCH + 1));
    let ((), mistakes) =
        read(name.as_bytes(), |board| assert_eq!((board.name(), board.hostname()), (None, Some("pin"))));
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].ends_with("... is one too many with escapes; the line is ignored"), "{mistakes:?}");
}

#[test]
fn each_mistake_is_one_sentence_with_its_place() {
    let socket = |line: &str| format!("[[socket]]\nname = \"unix:/a\"\n{line}\n");
    let tcp = |line: &str| format!("[[socket]]\nname = \"tcp:0.0.0.0:1\"\n{line}\n");
    let named = |name: &str| format!("[[socket]]\nname = {name}\n");
    for (text, sentence) in [
        ("[bord]\nname = 1".into(), "1:1: the table [bord] is not known; its keys are ignored"),
        ("[boot.x]".into(), "1:1: the table [boot.x] is not known; its keys are ignored"),
        ("name = 1".into(), "1:1: the key name is in no table; it is ignored"),
        ("socket.name = 'unix:/a'".into(), "1:1: the key socket.name is in no table; it is ignored"),
        ("[boot]\n scndir = '/x'".into(), "2:2: the key scndir is not a key of [boot]; it is ignored"),
        ("[boot]\nscandir.x = '/x'".into(), "2:1: the key scandir.x is not a key of [boot]; it is ignored"),
        ("[[boot]]".into(), "1:1: the table [[boot]] should have single brackets; it is read as if it had"),
        ("[boot]\ninit = 7".into(), "2:8: init 7 is not a string; no script is run"),
        ("[boot]\ninit = 'x'".into(), "2:8: init 'x' is not an absolute path; no script is run"),
        ("[boot]\ninit = \"/\\u0000\"".into(), "2:8: init \"/\\u0000\" holds a NUL; no script is run"),
        ("[boot]\nsignals = 'S6'".into(), "2:11: signals 'S6' is neither \"s6\" nor \"busybox\"; the default is kept"),
        ("[boot]\ninit='/a'\ninit='/b'".into(), "3:1: the key init is there twice; the first one counts"),
        ("[board]\nhostname = ''".into(), "2:12: hostname '' is not 1 to 64 bytes long; it is ignored"),
        (
            "[shutdown]\ntimeout = 10".into(),
            "2:11: timeout 10 is not a duration (like \"1500ms\", \"10s\" or \"2m\"); the default is kept",
        ),
        ("[shutdown]\nscript = 'stop'".into(), "2:10: script 'stop' is not an absolute path; no script is run"),
        ("[shutdown]\nscript-timeout = '0s'".into(), "2:18: script-timeout '0s' is no time; the default is kept"),
        ("[fault]\nlimit = 9".into(), "2:9: limit 9 is more than 8; the default is kept"),
        ("[fault]\nlimit = '1'".into(), "2:9: limit '1' is not a number; the default is kept"),
        ("[fault]\nwithin = '0s'".into(), "2:10: within '0s' is no time; the default is kept"),
        (
            "[fault]\nthen = 'panic'".into(),
            "2:8: then 'panic' is not \"reboot\", \"rescue\" or \"reap\"; the default is kept",
        ),
        ("[fault]\nrescue = 'sh'".into(), "2:10: rescue 'sh' is not an absolute path; the default is kept"),
        ("[fault]\ntimes = 3".into(), "2:1: the key times is not a key of [fault]; it is ignored"),
        ("[[mount]]\ntype = 'tmpfs'".into(), "1:1: the mount has no target; it is left out"),
        ("[[mount]]\ntarget = '/tmp'".into(), "1:1: the mount has no type; it is left out"),
        ("[[mount]]\ntarget = 'tmp'".into(), "2:10: target 'tmp' is not an absolute path; it is left out"),
        ("[[socket]]".into(), "1:1: the socket has no name; it is left out"),
        (named("1"), "2:8: name 1 is not a string; it is left out"),
        (named("'/a'"), "2:8: name '/a' does not begin with unix:, tcp:, udp: or netlink:; it is left out"),
        (named("'tcp:[::1]'"), "2:8: name 'tcp:[::1]' does not end in a port (:0 to :65535); it is left out"),
        (named("'unix:/a'") + &named("'unix:/a'"), "3:1: the socket has the address of one above; it is left out"),
        (socket("mode = '0999'"), "3:8: mode '0999' is not an octal number; the socket keeps 0600"),
        (socket("mode = '1777'"), "3:8: mode '1777' is more than 0777; the socket keeps 0600"),
        (socket("mode = 0660"), "3:8: mode 0660 is not a string (like \"0660\"); the socket keeps 0600"),
        (
            socket("owner = 'a:b:c'"),
            "3:9: owner 'a:b:c' is not \"user:group\", \"user\" or \":group\"; the socket is root's",
        ),
        (socket("backlog = -1"), "3:11: backlog -1 is not a number; the default is kept"),
        (tcp("freebind = 'yes'"), "3:12: freebind 'yes' is neither true nor false; the default is kept"),
        (socket("type = 'raw'"), "3:8: type 'raw' is not \"stream\", \"dgram\" or \"seqpacket\"; the default is kept"),
        (named("'tcp:0.0.0.0:1'") + "type = 'dgram'", "3:8: type 'dgram' is not TCP's; the socket is a stream socket"),
        (socket("backlog = 7\ntype = 'dgram'"), "3:11: backlog 7 means nothing to a datagram socket; it is ignored"),
        (
            socket("name = 'unix:/b'"),
            "3:1: the key name is there twice; it and the lines up to the next header are ignored",
        ),
        (socket("mode '0660'"), "3:6: the key mode is not followed by =; the line is ignored"),
        (socket("mode ="), "3:7: the key has no value after its =; the line is ignored"),
        (socket("mode = '0660"), "3:8: the string '0660 is not closed; the line is ignored"),
        (socket("mode = '0660' 1"), "3:15: the text 1 does not belong there; the line is ignored"),
        (
            socket("mode = \"\\q\""),
            "3:9: the string \"\\q\" has a character or an escape that it may not have; the line is ignored",
        ),
        (socket("mode = yes"), "3:8: the value yes is no value (strings are written in quotes); the line is ignored"),
        (socket("möde = 1"), "3:1: the key m\\xc3\\xb6de has characters that need quotes; the line is ignored"),
        (socket("é = [\n1,"), "3:1: the key \\xc3\\xa9 has characters that need quotes; the line is ignored"),
        (socket("= 1"), "3:1: the text = 1 begins where a key should be; the line is ignored"),
        (
            socket("[[socket"),
            "3:9: the table header [[socket does not end in ]]; the lines up to the next header are ignored",
        ),
        (socket("[socket]]"), "3:9: the text ] does not belong there; the lines up to the next header are ignored"),
    ] {
        let mut said = mistakes(&text);
        said.retain(|line| !line.starts_with("4:"));
        assert_eq!(said, [sentence], "{text}");
    }
}

#[test]
fn bytes_that_are_no_utf8_cost_their_line() {
    let text = b"[[socket]]\nname = 'unix:/a'\nmode = '0\xff660' \n owner = 'o' # \xc3\n[[so\xfe\nname = 'x'\n[[socket]]\nname='unix:/b'";
    let (names, mistakes) = read(text, |board| board.sockets().iter().map(|s| s.name.to_owned()).collect::<Vec<_>>());
    assert_eq!(names, ["unix:/a", "unix:/b"]);
    assert_eq!(
        mistakes,
        [
            "3:10: the line holds a byte that is not UTF-8; the line is ignored",
            "4:16: the line holds a byte that is not UTF-8; the line is ignored",
            "5:5: the line holds a byte that is not UTF-8; the lines up to the next header are ignored",
        ]
    );
}

#[test]
fn what_is_not_closed_ends_with_its_first_line() {
    for open in ["x = [", "x = [[1, 2],", "x = {", "x = { y = [", "x = \"\"\"", "x = '''a", "x = [ '", "x = [ \"\"\""] {
        let text = format!("[[socket]]\nname = 'unix:/a'\n{open}\n[[socket]]\nname = 'unix:/b'\n[boot]\ninit = '/i'");
        assert_eq!(names(text.as_bytes()), ["unix:/a", "unix:/b"], "{open}");
        let said = mistakes(&text);
        assert!(said.len() == 1 && said[0].starts_with("3:") && said[0].contains("is not closed"), "{open}: {said:?}");
    }
}

#[test]
fn arrays_and_inline_tables_of_unknown_keys_are_passed_over() {
    let text = "[watchdog]\nx = [ 1, [ '''\n]''' ], { a = 1,\n b = 2 } ] # ]\ny = 1979-05-27T07:32:00Z\nz = -1.5e3\n[boot]\ninit = '/i'";
    let (init, said) = read(text.as_bytes(), |board| board.init().map(str::to_owned));
    assert_eq!(init.as_deref(), Some("/i"));
    assert_eq!(said, ["1:1: the table [watchdog] is not known; its keys are ignored"]);
}

#[test]
fn deep_nesting_costs_no_stack() {
    let text = format!("x = {}\n[boot]\ninit = '/i'", "[{".repeat(32 * 1024));
    assert!(read(text.as_bytes(), |board| board.init().is_some()).0);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_no_mistakes() {
    let text = "\u{feff}[board]\r\nname = 'x' # y\r\n\r\n[[socket]]\r\nname = 'unix:/a'\r\n";
    assert_eq!(mistakes(text), [""; 0]);
    assert_eq!(names(text.as_bytes()), ["unix:/a"]);
}

#[test]
fn one_entry_too_many_is_reported_on_that_entry() {
    let sockets: String = (0..=BOARD_SOCKETS).map(|i| format!("[[socket]]\nname = 'unix:@{i}'\n")).collect();
    assert_eq!(names(sockets.as_bytes()).len(), BOARD_SOCKETS);
    assert_eq!(mistakes(&sockets), ["257:1: the socket is one too many (128 at most); it is left out"]);
    let mounts: String = (0..=BOARD_MOUNTS).map(|i| format!("[[mount]]\ntarget = '/{i}'\ntype = 't'\n")).collect();
    assert_eq!(mistakes(&mounts), ["97:1: the mount is one too many (32 at most); it is left out"]);
}

#[test]
fn mistakes_without_end_are_cut_short_and_the_rest_is_read() {
    let text = "?\n".repeat(1000) + "[boot]\ninit = '/i'";
    let (init, said) = read(text.as_bytes(), |board| board.init().is_some());
    assert!(init);
    assert_eq!(said.len(), BOARD_MISTAKES + 1);
    assert_eq!(said[BOARD_MISTAKES], "101:1: the file has too many mistakes; no more are shown");
}

/// A valid file of sockets, each its header and some keys, name first.
fn sockets() -> impl Strategy<Value = Vec<Vec<String>>> {
    let keys = (any::<Option<u8>>(), any::<Option<bool>>(), any::<bool>());
    prop::collection::vec(keys, 2..8).prop_map(|sockets| {
        let entry = |(i, (mode, freebind, owner)): (usize, (Option<u8>, Option<bool>, bool))| {
            let mut lines = vec!["[[socket]]".to_owned(), format!("name = \"unix:/run/{i}\"")];
            lines.extend(mode.map(|mode| format!("mode = \"0{mode:03o}\"")));
            lines.extend(freebind.map(|on| format!("freebind = {on}")));
            lines.extend(owner.then(|| format!("owner = \"{i}:{i}\" # 'owner'")));
            lines
        };
        sockets.into_iter().enumerate().map(entry).collect()
    })
}

fn all_sockets(text: &[u8]) -> Vec<(String, u16, String, bool)> {
    let all = |board: &Board<'_>| {
        let one =
            |s: &Socket<'_>| (s.name.to_owned(), s.mode, format!("{:?}", s.owner), s.values.get(FREEBIND) == Some(1));
        board.sockets().iter().map(one).collect()
    };
    read(text, all).0
}

fn damage() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[^\n]{0,20}".prop_map(String::into_bytes),
        "(\\[\\[|\\]|\"|'|\"\"\"|'''|=|\\{|\\}|,|\\.|#| |\\\\|a|name|1|\t){0,8}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_broken_line_costs_no_other_socket(
        entries in sockets(),
        pick: (prop::sample::Index, prop::sample::Index, prop::sample::Index),
        damage in damage(),
        keep: bool,
    ) {
        let whole = entries.iter().flatten().map(|line| line.clone() + "\n").collect::<String>();
        let expected = all_sockets(whole.as_bytes());
        prop_assert_eq!(expected.len(), entries.len());
        let broken = pick.0.index(entries.len());
        let line = pick.1.index(entries[broken].len());
        let mut text = Vec::new();
        let mut damaged = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            for (j, good) in entry.iter().enumerate() {
                if (i, j) == (broken, line) {
                    // Cut short at some place and gone on with rubbish, or rubbish altogether.
                    let cut = if keep { pick.2.index(good.len() + 1) } else { 0 };
                    damaged = [&good.as_bytes()[..cut], &damage].concat();
                    text.extend(&damaged);
                } else {
                    text.extend(good.as_bytes());
                }
                text.push(b'\n');
            }
        }
        let left = all_sockets(&text);
        let damaged = String::from_utf8_lossy(&damaged);
        for (i, socket) in expected.iter().enumerate().filter(|(i, _)| *i != broken) {
            // Taking another's name is no damage.
            prop_assume!(!damaged.contains(&socket.0));
            prop_assert!(left.contains(socket), "{} is gone: {:?}\n{}", i, left, String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "(\\[|\\]|\"|'|=|\n|socket|name|mode|unix:/a|\\.|é|\\\\|#| |0|\\{|\r){0,60}") {
        read(&bytes, |_| ());
        read(text.as_bytes(), |_| ());
    }

    #[test]
    fn a_mutated_file_makes_no_panic(entries in sockets(), cuts: Vec<(prop::sample::Index, u8)>) {
        let mut text = entries.concat().join("\n").into_bytes();
        for (at, byte) in cuts {
            let at = at.index(text.len());
            text[at] = byte;
        }
        read(&text, |_| ());
    }
}

fn check(content: &[u8]) -> (Option<i32>, String, String) {
    let path = std::env::temp_dir().join(format!("linchpin-check-{}-{}", std::process::id(), content.len()));
    std::fs::write(&path, content).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("check").arg(&path).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(path.to_str().unwrap(), "board.toml");
    (done.status.code(), text(done.stdout), text(done.stderr))
}

#[test]
fn check_says_what_it_understood_and_exits_0() {
    let (code, out, err) = check(b"[[socket]]\nname = 'unix:/run/x'\nmode = '0660'\nowner = ':7'\n");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let socket = out.lines().find(|line| line.starts_with("socket")).unwrap();
    let words: Vec<_> = socket.split_whitespace().collect();
    assert_eq!(words.join(" "), "socket unix:/run/x stream, backlog 4096, mode 0660, group 7");
}

#[test]
fn check_says_what_becomes_of_a_process_1_that_fails() {
    let fault = |content: &str| {
        let (code, out, _) = check(content.as_bytes());
        assert_eq!(code, Some(0));
        out.lines().find_map(|line| line.strip_prefix("fault     ")).unwrap().to_owned()
    };
    assert_eq!(fault("# none"), "process 1 goes on; after 5 faults within 60000 ms, reboot");
    assert_eq!(fault("[fault]\nlimit = 0\n"), "process 1 goes on after any number of faults");
    let rescue = fault("[fault]\nlimit = 1\nwithin = '5s'\nthen = 'rescue'\nrescue = '/r'\n");
    assert_eq!(rescue, "process 1 goes on; after 1 fault within 5000 ms, rescue with /r");
    assert_eq!(fault("fault.then = 'reap'"), "process 1 goes on; after 5 faults within 60000 ms, only reap");
    let (_, out, _) = check(b"[shutdown]\nscript = '/etc/init.d/rcK'\nscript-timeout = '1m'\n");
    assert!(out.contains("\nstop      /etc/init.d/rcK             first, 60000 ms at most\n"), "{out}");
}

#[test]
fn check_says_what_is_wrong_with_its_place_and_exits_1() {
    let (code, out, err) = check(b"[[socket]]\nname = 'unix:/run/x'\nmode = \"0999\"\n");
    assert_eq!(code, Some(1));
    assert_eq!(err, "board.toml:3:8: mode \"0999\" is not an octal number; the socket keeps 0600\n");
    assert!(out.contains("mode 0600"));
}

#[test]
fn check_reads_as_much_of_a_giant_as_it_can() {
    let (code, out, err) = check(("[boot]\ninit = '/i'\n".to_owned() + &"# x\n".repeat(20_000)).as_bytes());
    assert_eq!(code, Some(1));
    assert!(err.ends_with(": the file is longer than 65536 bytes; it ends here\n"), "{err}");
    assert!(out.contains("/i"));
}

#[test]
fn check_reads_a_pipe() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    let mut child = command.args(["check", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[board]\nname = 'piped'\n").unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(done.stdout.starts_with(b"board     piped"));
}

#[test]
fn check_exits_111_for_what_it_cannot_read_and_100_for_wrong_usage() {
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("check").args(args).output().unwrap();
    let done = run(&["/nonexistent"]);
    assert_eq!(done.status.code(), Some(111));
    assert_eq!(done.stderr, b"check: fatal: unable to read /nonexistent: No such file or directory\n");
    assert_eq!(run(&[]).status.code(), Some(100));
    assert_eq!(run(&["a", "b"]).status.code(), Some(100));
    assert_eq!(run(&["-x", "a"]).status.code(), Some(100));
}
