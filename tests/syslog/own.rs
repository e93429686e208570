//! socklog with a socket of its own: what it prints, where it listens, who it is.

use crate::beside::*;
use crate::server::*;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

fn bytes(messages: &[&str]) -> Vec<Vec<u8>> {
    messages.iter().map(|message| message.as_bytes().to_vec()).collect()
}

#[test]
fn every_facility_and_priority_has_its_name() {
    let numbers = (0..=256).chain([511, 999, 1023, 1024, 1037, 4096, 2147483648, u32::MAX]);
    let messages: Vec<Vec<u8>> = numbers.map(|n| format!("<{n}>{n}").into_bytes()).collect();
    let lines = same(&Beside::new(), &[], &messages);
    for line in ["kern.emerg: 0", "auth.warn: 36", "local7.debug: 191", "mark.emerg: 192", "unknown.debug: 127"] {
        assert!(lines.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn what_is_no_number_in_angle_brackets_stays() {
    let messages = bytes(&[
        "plain",
        "<>x",
        "<1",
        "<1x>y",
        "<-1>y",
        "< 13>y",
        "<+13>y",
        "<013>y",
        "<0000000000013>y",
        "<4294967296>y",
        "<99999999999999999999999>y",
        "<13><14>y",
        "<13>",
        "<13>\n",
        "@4000000060000000000000ff <13>x",
    ]);
    same(&Beside::new(), &[], &messages);
    assert_eq!(same(&Beside::new(), &["-r"], &bytes(&["<13>x\n", "a\0b"])), "<13>x\na~b\n");
}

#[test]
fn a_message_is_one_line_whatever_is_in_it() {
    let mut messages = bytes(&["\n", "\0", "<13>a\0b\nc\n\0\n", "\n<13>x", "<13>\u{1}\u{1b}[2J\u{7f}é"]);
    messages.push((1..=255).collect());
    // A generator that needs no seed from outside: the same bytes in every run.
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u8
    };
    for length in 1..400usize {
        let message: Vec<u8> =
            (0..length).map(|_| if random() < 60 { b"\0\n<>13 "[random() as usize % 7] } else { random() }).collect();
        messages.push(message);
    }
    let count = messages.len();
    let lines = same(&Beside::new(), &[], &messages);
    assert_eq!(lines.matches('\n').count(), count);
}

#[test]
fn a_long_message_is_cut_behind_one_byte_more_than_the_limit() {
    let both = Beside::new();
    for (limit, words) in
        [(1024, &[][..]), (76, &["-l", "76"]), (76, &["-l", "0"]), (4000, &["-l", "4000"]), (5000, &["-l", "5000"])]
    {
        let mut messages = Vec::new();
        for length in [limit - 5, limit - 1, limit, limit + 1, limit + 2, limit + 200] {
            for end in ["", "\n", "\n\n\n", "\0"] {
                let body = "x".repeat(length - 4 - end.len());
                messages.push(format!("<13>{body}{end}").into_bytes());
            }
        }
        same(&both, words, &messages);
    }
    let mut large = b"<14>".to_vec();
    large.resize(150_000, b'y');
    let line = same(&both, &["-l", "1048576"], &[large]);
    assert_eq!(line.len(), "user.info: ".len() + 150_000 - 4 + 1);
}

#[test]
fn an_empty_datagram_stops_nothing() {
    // Debian's ends: it takes one for the end of a stream.
    let both = Beside::new();
    let messages: Vec<Vec<u8>> = [&b""[..], b"<13>a", b"", b"", b"<13>b"].map(<[u8]>::to_vec).to_vec();
    assert_eq!(printed(&both, Ours, &[], &messages), b"user.notice: a\nuser.notice: b\n");
    let theirs = Server::at_log(&both, Theirs, &[]);
    client(&both).send(b"").unwrap();
    assert_eq!(theirs.end().0, 111);
}

#[test]
fn everybody_may_send_whatever_the_umask() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let mut command = telling(&both.command(whose, "socklog"));
        command.args(["-x", "log"]).stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: umask(2) only.
        #[allow(unsafe_code)]
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, || {
                libc::umask(0o077);
                Ok(())
            });
        }
        let server = Server::of(&mut command);
        let mode = |name| std::fs::metadata(both.path().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("log"), mode("log.lock")), (0o777, 0o600), "{whose:?}");
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), (0, String::new()));
    }
}

#[test]
fn a_second_one_at_the_same_path_is_refused_whose_ever_it_is() {
    let both = Beside::new();
    for (first, second) in [(Ours, Ours), (Ours, Theirs), (Theirs, Ours)] {
        let mut server = Server::at_log(&both, first, &[]);
        let refused = both.command(second, "socklog").args(["-x", "log"]).output().unwrap();
        assert_eq!(refused.status.code(), Some(111));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(said, "s6-socklog: fatal: unable to bind socket to log: Device or resource busy\n");
        // The first one still has its clients.
        client(&both).send(b"last").unwrap();
        assert_eq!(server.lines_until("last"), b"");
        server.signal(libc::SIGTERM);
        server.end();
    }
}

#[test]
fn a_path_that_somebody_holds_without_a_lock_is_left_to_him() {
    // Debian's takes it away from him.
    let both = Beside::new();
    let holder = UnixDatagram::bind(log(&both)).unwrap();
    let refused = both.command(Ours, "socklog").args(["-x", "log"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(111));
    assert!(String::from_utf8(refused.stderr).unwrap().ends_with("Address already in use\n"));
    client(&both).send(b"x").unwrap();
    assert_eq!(holder.recv(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn one_that_was_killed_leaves_nothing_that_stops_the_next() {
    let both = Beside::new();
    for _ in 0..3 {
        let server = Server::at_log(&both, Ours, &[]);
        server.signal(libc::SIGKILL);
        assert_eq!(server.end().0, 1009);
    }
    assert_eq!(printed(&both, Ours, &[], &[b"<13>x".to_vec()]), b"user.notice: x\n");
}

#[test]
fn wrong_words_are_refused_with_the_same_code() {
    let both = Beside::new();
    for words in [
        &["-d", "2", "-x", "log"][..],
        &["-d", "99", "-x", "log"],
        &["-d", "x"],
        &["-l", "x"],
        &["-t", "-1"],
        &["-u", "nobody"],
        &["-U"],
        &["-i", "1.2.3"],
        &["-i", "1.2.3.4:99999"],
        &["-i", "localhost"],
        &["-x"],
        &["-Q"],
    ] {
        assert_eq!(both.same("socklog", words), Outcome::code(100), "{words:?}");
    }
    assert_eq!(both.same("socklog", &["-x", "none/log"]), Outcome::code(111));
    let long = "x".repeat(108);
    assert_eq!(both.same("socklog", &["-x", &long]), Outcome::code(111));
    // Debian's leaves out what is no number, and all groups behind it.
    assert_eq!(both.ours("socklog", &["-x", "log", "-G", "1,x"]), Outcome::code(100));
}

#[test]
fn it_does_not_run_without_a_standard_output() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", r#""$0" -x log >&-"#]).arg(both.command(whose, "socklog").get_program());
        let output = command.current_dir(both.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(100), "{whose:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "s6-socklog: fatal: invalid stdout: Bad file descriptor\n", "{whose:?}");
        assert!(!log(&both).exists());
    }
}

#[test]
fn it_becomes_somebody_else_after_it_has_bound_its_socket() {
    let both = Beside::new();
    both.copy("socklog");
    // A directory in which nobody else may make anything.
    std::fs::set_permissions(both.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for whose in [Theirs, Ours] {
        for from_environment in [false, true] {
            let mut command = telling(&both.command(whose, "socklog"));
            command.env("UID", "12").env("GID", "34").env("GIDLIST", "5,6").args(["-x", "log"]);
            let words: &[&str] = if from_environment { &["-U"] } else { &["-u", "12", "-g", "34", "-G", "5,6"] };
            let mut server = Server::of(command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()));
            let status = content(format!("/proc/{}/status", server.child.id()).as_ref());
            let of = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
                let mut ids: Vec<&str> = line.split_whitespace().collect();
                ids.sort_unstable();
                ids.join(" ")
            };
            assert_eq!(of("Uid:"), "12 12 12 12", "{whose:?} {words:?}");
            assert_eq!(of("Gid:"), "34 34 34 34");
            assert_eq!(of("Groups:"), "34 5 6");
            client(&both).send(b"end").unwrap();
            assert_eq!(server.lines_until("end"), b"");
            server.signal(libc::SIGTERM);
            assert_eq!(server.end(), (0, String::new()));
        }
    }
}

/// An address of this machine that no other test has.
fn address(last: u8) -> String {
    let pid = std::process::id();
    format!("127.{}.{}.{last}", pid >> 8 & 0xff, pid & 0xff)
}

#[test]
fn lines_over_udp_begin_with_who_sent_them() {
    // Debian's prints other bytes there.
    let both = Beside::new();
    let ip = address(7);
    for (words, to, prefix) in [
        (vec!["-i".to_owned(), ip.clone()], format!("{ip}:514"), "user.notice: "),
        (vec!["-i".to_owned(), format!("{ip}_5514")], format!("{ip}:5514"), "user.notice: "),
        (vec!["-i".to_owned(), format!("{ip}:5515"), "-r".to_owned()], format!("{ip}:5515"), "<13>"),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut server = Server::start(&both, Ours, &words, Stdio::null(), Stdio::piped());
        let client = UdpSocket::bind(format!("{ip}:0")).unwrap();
        client.connect(to).unwrap();
        client.send(b"").unwrap();
        client.send(b"<13>a\nb\n").unwrap();
        client.send(b"end").unwrap();
        let me = client.local_addr().unwrap().port();
        let lines = server.lines_until(&format!("{ip}_{me}: end"));
        assert_eq!(String::from_utf8(lines).unwrap(), format!("{ip}_{me}: {prefix}a~b\n"));
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), (0, String::new()));
    }
}

#[test]
fn udp_comes_over_ipv6_too() {
    let both = Beside::new();
    // A port that nobody had a moment ago, in the one loopback address that IPv6 has.
    let port = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap().port();
    let place = format!("::1_{port}");
    let mut server = Server::start(&both, Ours, &["-i", &place], Stdio::null(), Stdio::piped());
    let client = UdpSocket::bind("[::1]:0").unwrap();
    client.connect(("::1", port)).unwrap();
    client.send(b"<13>a").unwrap();
    client.send(b"end").unwrap();
    let me = client.local_addr().unwrap().port();
    let lines = server.lines_until(&format!("::1_{me}: end"));
    assert_eq!(String::from_utf8(lines).unwrap(), format!("::1_{me}: user.notice: a\n"));
    server.signal(libc::SIGTERM);
    assert_eq!(server.end(), (0, String::new()));
}

#[test]
fn an_address_that_is_not_ours_is_told() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let output = both.command(whose, "socklog").args(["-i", "192.0.2.1_514"]).output().unwrap();
        assert_eq!(output.status.code(), Some(111));
        let said = String::from_utf8(output.stderr).unwrap();
        let wrong =
            "s6-socklog: fatal: unable to bind socket to ip 192.0.2.1 port 514: Cannot assign requested address\n";
        assert_eq!(said, wrong, "{whose:?}");
    }
}
