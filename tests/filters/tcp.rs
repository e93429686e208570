//! tcpserver-access, which Debian has not: held to the specification.

use crate::beside::*;
use crate::rules::*;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `s6-tcpserver-access` as s6-tcpserverd runs it, for a client of this address; standard output is a pipe.
pub fn tcp(both: &Beside, remote: &str) -> Command {
    let mut command = both.command(Ours, "tcpserver-access");
    let local = if remote.contains(':') { "2001:db8::1" } else { "192.0.2.1" };
    command.envs([
        ("PROTO", "TCP"),
        ("TCPLOCALIP", local),
        ("TCPLOCALPORT", "80"),
        ("TCPREMOTEIP", remote),
        ("TCPREMOTEPORT", "40000"),
        ("TCPCONNNUM", "1"),
        ("TCPREMOTEHOST", "stale"),
        ("TCPLOCALHOST", "stale"),
        ("TCPREMOTEINFO", "stale"),
        ("KEPT", "old"),
    ]);
    command
}

fn run(both: &Beside, remote: &str, words: &[&str]) -> Said {
    said(&tcp(both, remote).args(words).output().unwrap())
}

/// What rules in a directory and in a database of it say of a client.
fn of(files: &[(&str, &str)], remote: &str, options: &[&str]) -> Said {
    let both = Beside::new();
    plant(&both.path().join("rules"), files);
    assert_eq!(both.ours("accessrules-cdb-from-fs", &["cdb", "rules"]), Outcome::says(""));
    let [dir, cdb] = [["-i", "rules"], ["-x", "cdb"]].map(|way| {
        let words = [options, &way, &["env"]].concat();
        run(&both, remote, &words)
    });
    assert_eq!(dir, cdb, "{files:?}");
    dir
}

/// The code and the line that says it.
fn verdict(files: &[(&str, &str)], remote: &str) -> (i32, String) {
    let said = of(files, remote, &["-v2", "-H"]);
    assert_eq!(said.code == 0, !said.out.is_empty());
    let line = said.err.strip_prefix("s6-tcpserver-access: pid P: info: ").unwrap_or(&said.err).to_owned();
    (said.code, line)
}

#[test]
fn the_smallest_network_with_a_rule_decides() {
    for (remote, files, code) in [
        ("192.0.2.7", &[("ip4/192.0.2.7_32/allow", "")][..], 0),
        ("192.0.2.7", &[("ip4/192.0.2.7_32/deny", "")], 1),
        ("192.0.2.7", &[("ip4/192.0.2.8_32/allow", "")], 1),
        ("192.0.2.7", &[("ip4/192.0.2.0_24/allow", ""), ("ip4/192.0.2.7_32/deny", "")], 1),
        ("192.0.2.8", &[("ip4/192.0.2.0_24/allow", ""), ("ip4/192.0.2.7_32/deny", "")], 0),
        ("192.0.2.7", &[("ip4/192.0.2.0_24/deny", ""), ("ip4/192.0.2.6_31/allow", "")], 0),
        ("192.0.3.7", &[("ip4/192.0.2.0_23/allow", "")], 0),
        ("192.0.4.7", &[("ip4/192.0.2.0_23/allow", "")], 1),
        ("203.0.113.9", &[("ip4/0.0.0.0_0/allow", "")], 0),
        ("203.0.113.9", &[("ip4/128.0.0.0_1/deny", ""), ("ip4/0.0.0.0_0/allow", "")], 1),
        ("203.0.113.9", &[("ip6/::_0/allow", ""), ("uid/default/allow", "")], 1),
        ("203.0.113.9", &[("reversedns/@/allow", "")], 1),
        ("2001:db8::7", &[("ip6/2001:db8::7_128/allow", "")], 0),
        ("2001:DB8:0:0::0007", &[("ip6/2001:db8::7_128/allow", "")], 0),
        ("2001:db8::7", &[("ip6/2001:db8::_32/allow", ""), ("ip6/2001:db8::_64/deny", "")], 1),
        ("2001:db8:0:1::7", &[("ip6/2001:db8::_32/allow", ""), ("ip6/2001:db8::_64/deny", "")], 0),
        // Where Debian's library clears the wrong bits.
        ("2001:db8::b7", &[("ip6/2001:db8::b0_124/allow", "")], 0),
        ("2001:db8::b7", &[("ip6/2001:db8::b4_126/allow", "")], 0),
        ("2001:db8::b8", &[("ip6/2001:db8::b4_126/allow", "")], 1),
        ("2001:dbf::1", &[("ip6/2001:db8::_29/allow", "")], 0),
        ("2001:dc0::1", &[("ip6/2001:db8::_29/allow", "")], 1),
        ("fe80::1", &[("ip6/::_0/allow", "")], 0),
        ("fe80::1", &[("ip4/0.0.0.0_0/allow", "")], 1),
        // An address of IPv4 in another dress.
        ("::ffff:192.0.2.7", &[("ip4/192.0.2.7_32/deny", ""), ("ip6/::_0/allow", "")], 1),
    ] {
        let address: std::net::IpAddr = remote.parse().unwrap();
        let verb = if code == 0 { "allow" } else { "deny" };
        let expected = format!("{verb} pid P ip {}\n", address.to_canonical());
        assert_eq!(verdict(files, remote), (code, expected), "{remote} {files:?}");
    }
}

#[test]
fn without_rules_everybody_is_allowed() {
    let both = Beside::new();
    for remote in ["192.0.2.7", "2001:db8::7"] {
        let said = run(&both, remote, &["env"]);
        assert_eq!((said.code, said.err), (0, format!("s6-tcpserver-access: pid P: info: allow pid P ip {remote}\n")));
    }
}

#[test]
fn variables_of_a_rule_are_set_and_those_of_the_connection_are_ours() {
    let files = [
        ("ip4/192.0.2.0_24/allow", ""),
        ("ip4/192.0.2.0_24/env/KEPT", ""),
        ("ip4/192.0.2.0_24/env/NEW", "value"),
        ("ip4/192.0.2.0_24/env/TCPREMOTEHOST", "rule"),
        ("ip4/192.0.2.0_24/env/TCPCONNNUM", "rule"),
    ];
    let variables = |options: &[&str]| {
        let said = of(&files, "192.0.2.7", options);
        said.out.into_iter().filter(|line| !line.starts_with("PATH=")).collect::<Vec<_>>()
    };
    let mut expected = vec![
        "NEW=value",
        "PROTO=TCP",
        "TCPCONNNUM=rule",
        "TCPLOCALIP=192.0.2.1",
        "TCPLOCALPORT=80",
        "TCPREMOTEIP=192.0.2.7",
        "TCPREMOTEPORT=40000",
    ];
    assert_eq!(variables(&["-H"]), expected);
    expected.insert(3, "TCPLOCALHOST=board");
    assert_eq!(variables(&["-H", "-l", "board"]), expected);
}

#[test]
fn an_exec_file_is_run_in_place_of_the_program() {
    // Without -P: execlineb tells the number of arguments, of which there are none.
    let said = of(&[("ip4/0.0.0.0_0/allow", ""), ("ip4/0.0.0.0_0/exec", "printenv \"#\"")], "192.0.2.7", &["-H"]);
    assert_eq!((said.code, said.out), (0, vec!["0".to_owned()]));
}

#[test]
fn verbosity_says_what_is_told() {
    let files = [("ip4/192.0.2.7_32/allow", ""), ("ip4/192.0.2.8_32/deny", "")];
    for (option, lines) in [("-v0", [0, 0, 0]), ("-v1", [1, 0, 0]), ("-v2", [1, 1, 1]), ("-v3", [1, 1, 1])] {
        for (remote, count) in ["192.0.2.7", "192.0.2.8", "192.0.2.9"].into_iter().zip(lines) {
            assert_eq!(of(&files, remote, &["-H", option]).err.lines().count(), count, "{option} {remote}");
        }
    }
}

#[test]
fn rules_that_cannot_be_read_deny() {
    let both = Beside::new();
    let start = "s6-tcpserver-access: pid P: fatal: unable to";
    for (number, (files, key, why)) in [
        (&[("ip4", "")][..], "ip4/192.0.2.7_32", "Not a directory"),
        (&[("ip4/192.0.2.0_24", ""), ("ip4/0.0.0.0_0/allow", "")], "ip4/192.0.2.0_24", "Not a directory"),
        (&[("ip4/0.0.0.0_0/allow", ""), ("ip4/0.0.0.0_0/env", "")], "ip4/0.0.0.0_0", "Not a directory"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("rules{number}");
        plant(&both.path().join(&name), files);
        let err = format!("{start} check fs ruleset for IP in {name}: {key}: {why}\n");
        assert_eq!(run(&both, "192.0.2.7", &["-i", &name, "env"]), Said { code: 111, out: vec![], err });
    }
    both.file("cdb", one_record(b"ip4/192.0.0.0_8", b"A"));
    let err = format!(
        "{start} check cdb ruleset for IP in cdb: ip4/192.0.0.0_8: this is no database of rules, or it is damaged\n"
    );
    assert_eq!(run(&both, "192.0.2.7", &["-x", "cdb", "env"]), Said { code: 111, out: vec![], err });
    let err = format!("{start} cdb_init missing: No such file or directory\n");
    assert_eq!(run(&both, "192.0.2.7", &["-x", "missing", "env"]), Said { code: 111, out: vec![], err });
    let answer = run(&both, "192.0.2.7", &["-i", "missing", "env"]);
    assert_eq!((answer.code, answer.err.contains("nobody is allowed: unable to open the rules in missing")), (1, true));
}

#[test]
fn what_is_missing_or_wrong_on_the_way_in_is_said_without_a_pid() {
    let both = Beside::new();
    for name in ["PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPREMOTEIP", "TCPREMOTEPORT"] {
        let answer = said(&tcp(&both, "192.0.2.7").arg("env").env_remove(name).output().unwrap());
        let err = format!("s6-tcpserver-access: fatal: {name} not set\n");
        assert_eq!(answer, Said { code: 100, out: vec![], err });
    }
    for (name, value) in [
        ("TCPLOCALIP", "board"),
        ("TCPREMOTEIP", ""),
        ("TCPREMOTEIP", "192.0.2.7x"),
        ("TCPREMOTEIP", "192.0.2"),
        ("TCPREMOTEIP", "fe80::1%1"),
        ("TCPREMOTEPORT", "65536"),
        ("TCPLOCALPORT", "-1"),
    ] {
        let answer = said(&tcp(&both, "192.0.2.7").arg("env").env(name, value).output().unwrap());
        let err = format!("s6-tcpserver-access: fatal: invalid ${name}\n");
        assert_eq!(answer, Said { code: 100, out: vec![], err }, "{value}");
    }
    for words in [&["-q", "env"][..], &["-v", "x", "env"], &["-t", "1s", "env"], &["-v2"], &["-E", "env"], &[""]] {
        let answer = run(&both, "192.0.2.7", words);
        assert!(answer.code == 100 && answer.err.starts_with("s6-tcpserver-access: usage: "), "{words:?} {answer:?}");
    }
    let answer = run(&both, "192.0.2.7", &["-v0", "-H", "nothing-of-this-name"]);
    let err = "s6-tcpserver-access: pid P: fatal: unable to exec nothing-of-this-name: No such file or directory\n";
    assert_eq!(answer, Said { code: 127, out: vec![], err: err.to_owned() });
}

/// Both ends of a connection, ours to be standard output.
fn connected(place: &str) -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind(place).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    (client, ours.into())
}

fn read_all(mut client: TcpStream) -> String {
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    all
}

#[test]
fn a_banner_is_sent_before_anything_is_asked() {
    let both = Beside::new();
    plant(&both.path().join("rules"), &[("ip4/127.0.0.1_32/allow", ""), ("ip6/::1_128/allow", "")]);
    for (place, remote, code, expected) in [
        ("127.0.0.1:0", "127.0.0.1", 0, "220 ready\r\nserved\n"),
        ("[::1]:0", "::1", 0, "220 ready\r\nserved\n"),
        ("127.0.0.1:0", "192.0.2.7", 1, "220 ready\r\n"),
    ] {
        let (client, ours) = connected(place);
        let mut command = tcp(&both, remote);
        command.args(["-H", "-i", "rules", "-B", "220 rea", "-Bdy\r\n", "-t", "30000", "echo", "served"]);
        let status = command.stdout(ours).stderr(Stdio::null()).status().unwrap();
        drop(command);
        assert_eq!((status.code(), read_all(client).as_str()), (Some(code), expected), "{remote}");
    }
    // Even to one whose rules cannot be read; and into a pipe.
    let answer = run(&both, "192.0.2.7", &["-x", "missing", "-B", "hello\n", "env"]);
    assert_eq!((answer.code, answer.out), (111, vec!["hello".to_owned()]));
    let fits = "x".repeat(512);
    assert_eq!(run(&both, "192.0.2.7", &["-H", "-B", &fits, "true"]).out, [fits.as_str()]);
    let answer = run(&both, "192.0.2.7", &["-H", "-B", &fits, "-B", "x", "true"]);
    let err = "s6-tcpserver-access: fatal: banner too long: more than 512 bytes\n";
    assert_eq!(answer, Said { code: 100, out: vec![], err: err.to_owned() });
}

#[test]
fn a_client_that_takes_no_banner_is_left_at_the_timeout() {
    let both = Beside::new();
    let (client, ours) = connected("127.0.0.1:0");
    let mut full = TcpStream::from(ours.try_clone().unwrap());
    full.set_nonblocking(true).unwrap();
    // The kernel may take a little more after a moment; at some time it does not.
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        if std::io::Write::write(&mut full, &[b'x'; 65536]).is_ok() {
            since = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    full.set_nonblocking(false).unwrap();
    let mut command = tcp(&both, "127.0.0.1");
    command.args(["-H", "-B", "220 ready\r\n", "-t", "50", "env"]).stdout(ours);
    let answer = said(&command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
    let err = "s6-tcpserver-access: pid P: fatal: unable to write banner: Connection timed out\n";
    assert_eq!(answer, Said { code: 99, out: vec![], err: err.to_owned() });
    drop(client);
}

#[test]
fn capital_d_sends_small_pieces_at_once() {
    let both = Beside::new();
    for (options, expected) in [(&["-D"][..], true), (&["-d"], false), (&["-D", "-d"], false), (&[], false)] {
        let (_client, ours) = connected("127.0.0.1:0");
        let stream = TcpStream::from(ours.try_clone().unwrap());
        let mut command = tcp(&both, "127.0.0.1");
        let status = command.args(options).args(["-v0", "-H", "true"]).stdout(ours).status().unwrap();
        assert!(status.success());
        assert_eq!(stream.nodelay().unwrap(), expected, "{options:?}");
    }
    let answer = run(&both, "192.0.2.7", &["-D", "-H", "true"]);
    let warning = "s6-tcpserver-access: pid P: warning: unable to set TCP_NODELAY: Socket operation on non-socket\n";
    assert!(answer.code == 0 && answer.err.starts_with(warning), "{answer:?}");
    assert_eq!(run(&both, "192.0.2.7", &["-D", "-v0", "-H", "true"]).err, "");
}
