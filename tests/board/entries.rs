//! What a socket and an entry of the fd-holder may say, and what is said when they cannot.

use crate::{check, mistakes, option, read};
use linchpin::board::Whom;
use linchpin::limits::{BOARD_ARRAY, BOARD_GLOBS, FDHOLDER_ALLOWS, FDHOLDER_GLOBS};
use linchpin::socket::options::KNOWN;

#[test]
fn a_mistake_in_a_socket_is_one_sentence_with_its_place() {
    let socket = |at: &str, line: &str| format!("[[socket]]\nname = \"{at}\"\n{line}\n");
    for (at, line, sentence) in [
        ("web", "", "2:8: name \"web\" does not begin with unix:, tcp:, udp: or netlink:; it is left out"),
        (
            "web",
            "address = 'unix:x'",
            "3:11: address 'unix:x' names neither an absolute path nor an @name; it is left out",
        ),
        ("web", "address = ''", "3:11: address '' is not 1 to 255 bytes long; it is left out"),
        ("", "address = 'unix:/a'", "2:8: name \"\" is not 1 to 255 bytes long; it is left out"),
        (
            "netlink:rout",
            "",
            "2:8: name \"netlink:rout\" names no netlink family (like route or kobject-uevent); it is left out",
        ),
        (
            "netlink:route:x",
            "",
            "2:8: name \"netlink:route:x\" does not end in a number of netlink groups; it is left out",
        ),
        ("netlink:route", "type = 'seqpacket'", "3:8: type 'seqpacket' is not netlink's; the socket is a raw one"),
        ("netlink:route", "backlog = 3", "3:11: backlog 3 means nothing to a datagram socket; it is ignored"),
        ("tcp:0.0.0.0:1", "mode = '0666'", "3:8: mode '0666' means nothing to a socket without a path; it is ignored"),
        ("unix:@a", "owner = 'a'", "3:9: owner 'a' means nothing to a socket without a path; it is ignored"),
        (
            "unix:@a",
            "directory-mode = '0700'",
            "3:18: directory-mode '0700' means nothing to a socket without a path; it is ignored",
        ),
        ("unix:/a", "directory-mode = '9'", "3:18: directory-mode '9' is not an octal number; they keep 0755"),
        ("unix:/a", "device = 'eth0'", "3:10: device 'eth0' means nothing to a unix socket; it is ignored"),
        (
            "tcp:0.0.0.0:1",
            "device = 'a/b'",
            "3:10: device 'a/b' is no name of a network interface (1 to 15 characters); the socket is left out",
        ),
        ("unix:/a", "nonblocking = 1", "3:15: nonblocking 1 is neither true nor false; the default is kept"),
        ("unix:/a", "freebind = true", "3:12: freebind true means nothing to a unix socket; it is ignored"),
        ("tcp:0.0.0.0:1", "v6only = true", "3:10: v6only true means nothing to TCP over IPv4; it is ignored"),
        ("udp:0.0.0.0:1", "nodelay = true", "3:11: nodelay true means nothing to UDP over IPv4; it is ignored"),
        ("udp:[::]:1", "broadcast = true", "3:13: broadcast true means nothing to UDP over IPv6; it is ignored"),
        ("tcp:[::]:1", "packet-info = true", "3:15: packet-info true means nothing to TCP over IPv6; it is ignored"),
        ("netlink:route", "mark = 1", "3:8: mark 1 means nothing to netlink; it is ignored"),
        ("tcp:0.0.0.0:1", "tos = 256", "3:7: tos 256 is more than 255; the default is kept"),
        ("tcp:0.0.0.0:1", "dscp = 64", "3:8: dscp 64 is more than 63; the default is kept"),
        ("tcp:0.0.0.0:1", "dscp = 'ef'", "3:8: dscp 'ef' is not a number; the default is kept"),
        (
            "unix:/a",
            "send-buffer = 2147483648",
            "3:15: send-buffer 2147483648 is more than 2147483647; the default is kept",
        ),
        (
            "tcp:0.0.0.0:1",
            "defer-accept = 5",
            "3:16: defer-accept 5 is not a duration (like \"1500ms\", \"10s\" or \"2m\"); the default is kept",
        ),
        ("tcp:0.0.0.0:1", "keepalive = 'on'", "3:13: keepalive 'on' is neither true nor false; the default is kept"),
        ("tcp:0.0.0.0:1", "sndbuf = 1", "3:1: the key sndbuf is not a key of [[socket]]; it is ignored"),
        (
            "tcp:0.0.0.0:1",
            "ttl = 1\nttl = 2",
            "4:1: the key ttl is there twice; it and the lines up to the next header are ignored",
        ),
    ] {
        assert_eq!(mistakes(&socket(at, line)), [sentence], "{at} {line}");
    }
}

#[test]
fn an_option_may_have_the_largest_value_that_its_kind_has() {
    let text = "[[socket]]\nname = 'tcp:0.0.0.0:1'\nmark = 4294967295\ntos = 255\nfastopen = 2147483647\nttl = 0\n\
                defer-accept = '1500ms'\nkeepalive-time = '2m'\n";
    let (values, said) = read(text.as_bytes(), |board| {
        ["mark", "tos", "fastopen", "ttl", "defer-accept", "keepalive-time", "nodelay"]
            .map(|key| option(&board.sockets()[0], key))
    });
    assert_eq!(said, [""; 0]);
    assert_eq!(values, [Some(u32::MAX), Some(255), Some(i32::MAX as u32), Some(0), Some(2), Some(120), None]);
}

#[test]
fn each_socket_begins_with_the_defaults() {
    let text = "[[socket]]\nname = 'tcp:0.0.0.0:1'\nfreebind = false\ndevice = 'lo'\nbacklog = 1\n\
                [[socket]]\nname = 'tcp:0.0.0.0:2'\n";
    let ((freebind, device, backlog), said) = read(text.as_bytes(), |board| {
        let second = &board.sockets()[1];
        (option(second, "freebind"), second.device.to_owned(), second.backlog)
    });
    assert_eq!((freebind, device.as_str(), backlog), (Some(1), "", 4096));
    assert_eq!(said, [""; 0]);
}

#[test]
fn one_name_is_for_one_socket_and_one_address_too_unless_it_is_shared() {
    let both = |first: &str, second: &str| mistakes(&format!("[[socket]]\n{first}\n[[socket]]\n{second}\n"));
    let name = ["3:1: the socket has the name of one above; it is left out"];
    let address = ["3:1: the socket has the address of one above; it is left out"];
    assert_eq!(both("name='a'\naddress='unix:/a'", "name='a'\naddress='unix:/b'").len(), 1);
    assert_eq!(both("address='unix:/a'", "name='unix:/a'\naddress='unix:/b'"), name);
    assert_eq!(both("address='unix:/a'", "name='b'\naddress='unix:/a'"), address);
    assert_eq!(both("name='tcp:0.0.0.0:1'", "name='b'\naddress='tcp:0.0.0.0:1'"), address);
    assert_eq!(both("name='tcp:0.0.0.0:1'", "name='b'\naddress='udp:0.0.0.0:1'"), [""; 0]);
    assert_eq!(both("name='tcp:0.0.0.0:1'", "name='b'\naddress='tcp:0.0.0.0:1'\ndevice='lo'"), [""; 0]);
    assert_eq!(both("name='netlink:route'", "name='b'\naddress='netlink:route'"), [""; 0]);
    let shared = "address='tcp:0.0.0.0:1'\nreuseport=true\nname=";
    assert_eq!(both(&format!("{shared}'a'"), &format!("{shared}'b'")), [""; 0]);
    assert_eq!(both(&format!("{shared}'a'"), "name='b'\naddress='tcp:0.0.0.0:1'").len(), 1);
}

#[test]
fn a_mistake_in_an_entry_of_the_fdholder_is_one_sentence_with_its_place() {
    let entry = |lines: &str| format!("[[fdholder.allow]]\n{lines}\n");
    let user = |line: &str| format!("[[fdholder.allow]]\nuser = 'a'\n{line}\n");
    for (text, sentence) in [
        (entry("list = '*'"), "1:1: the entry names neither a user nor a group nor everybody; it is left out"),
        (user(""), "1:1: the entry allows nothing; it is left out"),
        (user("list = []\ngetdump = false"), "1:1: the entry allows nothing; it is left out"),
        (entry("user = ''\nlist = '*'"), "2:8: user '' is no user (a name or a number); the entry is left out"),
        (
            entry("user = 4294967295\nlist = '*'"),
            "2:8: user 4294967295 is no user (a name or a number); the entry is left out",
        ),
        (
            entry("group = ['a']\nlist = '*'"),
            "2:9: group ['a'] is no group (a name or a number); the entry is left out",
        ),
        (entry("everybody = false\nlist = '*'"), "2:13: everybody false is not true; the entry is left out"),
        (
            user("group = 'b'\nlist = '*'"),
            "3:9: group 'b' is a second one: an entry is for a user, a group or everybody; the entry is left out",
        ),
        (user("list = true"), "3:8: list true is neither a string nor an array of strings; it is ignored"),
        (user("getdump = true\nlist = [1, '*']"), "4:9: list 1 is not a string; it is left out"),
        (user("list = ['*', ['x'], '?']"), "3:14: list ['x'] is not a string; it is left out"),
        (user("list = ['*', { a = 1 }]"), "3:14: list { a = 1 } is not a string; it is left out"),
        (user("list = ['*', '']"), "3:14: list '' is not 1 to 255 bytes long; it is left out"),
        (
            user("list = ['*',\n  'a', # b\n  '[a' ]"),
            "5:3: list '[a' is no pattern (a [ without its ], or a \\ at the end); it is left out",
        ),
        (user("list = ['*' '?']"), "3:13: the text '?'] does not belong there; the line is ignored"),
        (user("list = [, '*']"), "3:9: the text , '*'] is no value; the line is ignored"),
        (
            user("list = ['*', yes]"),
            "3:14: the value yes is no value (strings are written in quotes); the line is ignored",
        ),
        (
            user("list = ['*', \"\\q\"]"),
            "3:15: the string \"\\q\" has a character or an escape that it may not have; the line is ignored",
        ),
        (user("list = ['*'"), "3:8: the value ['*'... is not closed; the line is ignored"),
        (user("list = '*'\nmax-held = 0"), "4:12: max-held 0 is not a number from 1 on; the entry is left out"),
        (user("list = '*'\nmax-held = 'a'"), "4:12: max-held 'a' is not a number; the entry is left out"),
        (user("list = '*'\nmax-lifetime = '0s'"), "4:16: max-lifetime '0s' is no time; the entry is left out"),
        (user("list = '*'\nsetdump = 1"), "4:11: setdump 1 is neither true nor false; it is ignored"),
        (
            user("list = '*'\nlist = '?'"),
            "4:1: the key list is there twice; it and the lines up to the next header are ignored",
        ),
        (user("list = '*'\npath = '/x'"), "4:1: the key path is not a key of [[fdholder.allow]]; it is ignored"),
        (
            "[fdholder.allow]\nuser = 'a'\nlist = '*'".into(),
            "1:1: the table [fdholder.allow] should have double brackets; it is read as if it had",
        ),
        ("[['fdholder.allow']]\n".into(), "1:1: the table [['fdholder.allow']] is not known; its keys are ignored"),
        ("[fdholder]\nrules = 'x'".into(), "2:9: rules 'x' is not an absolute path; there are no rules"),
        (
            format!("[fdholder]\nrules = '/{}'", "x".repeat(255)),
            "2:9: rules '/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... is longer than 255 bytes; there are no rules",
        ),
    ] {
        let mut said = mistakes(&text);
        // Where the line that allows something is no good, nothing is left to allow.
        said.retain(|line| !line.contains("allows nothing") || sentence.contains("allows nothing"));
        assert_eq!(said, [sentence], "{text}");
    }
}

#[test]
fn an_entry_that_is_left_out_takes_its_patterns_with_it() {
    let text = "[[fdholder.allow]]\nuser = 'a'\nstore = 'x'\n[[fdholder.allow]]\nlist = ['y', 'z']\n\
                [[fdholder.allow]]\nuser = 'b'\nmax-held = 0\nstore = 'v'\n[[fdholder.allow]]\nuser = 7\nstore = 'w'\n";
    let (patterns, said) = read(text.as_bytes(), |board| {
        board.allows().iter().map(|allow| board.globs(allow).iter().map(|g| g.pattern.to_owned()).collect()).collect()
    });
    let patterns: Vec<Vec<String>> = patterns;
    assert_eq!(patterns, [["x"], ["w"]]);
    assert_eq!(said.len(), 2);
}

#[test]
fn what_there_is_no_room_for_is_said() {
    let entry = "[[fdholder.allow]]\neverybody = true\n";
    let many = format!("{entry}list = '*'\n").repeat(FDHOLDER_ALLOWS + 1);
    assert_eq!(mistakes(&many), ["193:1: the entry is one too many (64 at most); it is left out"]);
    let long = format!("{entry}list = [{}]\n", "'*', ".repeat(BOARD_ARRAY + 1));
    let said = mistakes(&long);
    assert!(
        said.len() == 1
            && said[0].starts_with("3:8: list ['*', ")
            && said[0].ends_with("holds more than 64 patterns; the rest is ignored"),
        "{said:?}"
    );
    let pattern = "x".repeat(FDHOLDER_GLOBS / 4 - 2);
    let full = format!("{entry}list = ['{pattern}', '{pattern}', '{pattern}', '{pattern}']\n");
    assert_eq!(mistakes(&full), [""; 0]);
    let over = format!("{full}store = 'a'\n");
    assert_eq!(
        mistakes(&over),
        ["4:9: store 'a' does not fit: the patterns of an entry have 1000 bytes; it is left out"]
    );
    let each = format!("{entry}list = [{}]\n", "'*', ".repeat(BOARD_ARRAY));
    let all = each.repeat(BOARD_GLOBS / BOARD_ARRAY);
    assert_eq!(mistakes(&all), [""; 0]);
    let more = format!("{all}{entry}list = '*'\nsetdump = true\n");
    assert_eq!(mistakes(&more), ["27:8: list '*' is one pattern too many (512 in all entries); it is left out"]);
}

#[test]
fn dots_in_names_of_tables_may_have_blanks_and_parts_quotes() {
    for header in ["[[fdholder.allow]]", "[[ fdholder . \"allow\" ]]", "[['fdholder'.allow]]"] {
        let text = format!("{header}\neverybody = true\nlist = '*'\n");
        let (whom, said) = read(text.as_bytes(), |board| board.allows()[0].whom == Whom::Everybody);
        assert!(whom && said.is_empty(), "{header}");
    }
}

#[test]
fn check_shows_what_each_socket_is() {
    let text = "[[socket]]\nname = 'web'\naddress = 'tcp:[::]:80'\nv6only = false\nreuseport = true\nbacklog = 9\n\
                nodelay = true\ndefer-accept = '3s'\ndevice = 'eth0'\nnonblocking = false\nkeepalive = false\n\
                [[socket]]\nname = 'unix:/a'\ntype = 'dgram'\ndirectory-mode = '0700'\nreceive-buffer = 65536\n\
                [[socket]]\nname = 'netlink:route:3'\n";
    let (code, out, err) = check(text.as_bytes());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let sockets = out.lines().filter(|line| line.starts_with("socket"));
    let words: Vec<String> = sockets.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        words,
        [
            "socket web tcp:[::]:80, stream, backlog 9, blocking, device eth0, and IPv4, freebind, reuseport, nodelay, \
             defer-accept 3 s",
            "socket unix:/a dgram, mode 0600, directories 0700, receive-buffer 65536",
            "socket netlink:route:3 raw",
        ]
    );
}

#[test]
fn check_shows_who_may_do_what() {
    let text = "[fdholder]\nrules = '/etc/rules'\n[[fdholder.allow]]\nuser = 'hello'\nstore = ['unix:/run/a*', 'b']\n\
                retrieve = '*'\nmax-held = 3\nmax-lifetime = '1m'\n[[fdholder.allow]]\ngroup = 7\ngetdump = true\n\
                setdump = true\n[[fdholder.allow]]\neverybody = true\nlist = '*'\ndelete = 'c'\n";
    let (code, out, err) = check(text.as_bytes());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<&str> =
        out.lines().filter(|line| line.starts_with("allow") || line.starts_with("rules")).map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "rules     /etc/rules",
            "allow     user hello, store unix:/run/a* b, retrieve *, 3 at most, for 60000 ms at most",
            "allow     group 7, getdump, setdump",
            "allow     everybody, delete c, list *",
        ]
    );
}

#[test]
fn no_option_has_the_name_of_another_key() {
    let mut keys: Vec<&str> = KNOWN.iter().map(|known| known.key).collect();
    keys.extend(["name", "address", "type", "backlog", "mode", "owner", "directory-mode", "device", "nonblocking"]);
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}
