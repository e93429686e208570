//! The order of a binder's system calls, as strace tells it.

use super::*;

/// Our binary, to be given the name of a command.
const OURS: &str = env!("CARGO_BIN_EXE_linchpin");

/// What a binder calls before it executes the next program: a word each. `None` where there is no strace.
fn calls(program: &[&str], arguments: &[&str]) -> Option<Vec<String>> {
    let dir = TempDir::new();
    let mut strace = Command::new("strace");
    strace.args(["-o", "log", "-e", "signal=none"]).args(program).args(arguments);
    strace.current_dir(dir.path()).env("PATH", "/usr/bin:/bin");
    match strace.output() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("strace is not installed: not tested");
            return None;
        }
        done => assert!(done.as_ref().unwrap().status.success(), "{done:?}"),
    }
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let of_the_binder = log.lines().skip(1).take_while(|line| !line.starts_with("execve("));
    Some(of_the_binder.filter_map(word).collect())
}

/// The word for a line of strace's, if it is of interest.
fn word(line: &str) -> Option<String> {
    let (name, rest) = line.split_once('(')?;
    let succeeded = rest.ends_with(" = 0");
    let word = match name {
        "close" if rest.starts_with("0)") => "close",
        "socket" if succeeded => "socket",
        // Of the question whether the path is somebody's.
        "connect" => "ask",
        "umask" => return Some(format!("umask {}", rest.split(')').next()?)),
        "open" | "openat" if rest.contains(".lock\"") && rest.contains("O_CREAT") => "open lock",
        "fcntl" if rest.contains("SETLK") => "lock",
        "setsockopt" => rest.split(", ").nth(2)?,
        "unlink" | "unlinkat" => "unlink",
        "bind" if succeeded => "bind",
        "listen" if succeeded => "listen",
        _ => return None,
    };
    Some(word.to_owned())
}

fn without_question(calls: &[String]) -> Vec<&str> {
    calls.iter().map(String::as_str).filter(|call| *call != "ask").collect()
}

#[test]
fn a_unix_socket_is_made_in_the_order_of_s6() {
    for options in [&[][..], &["-a", "0640"], &["-b0"], &["-D"], &["-D", "-b0", "-a0"], &["-mb0"], &["-B"]] {
        let words = [options, &["p", "/bin/true"]].concat();
        let Some(found) = calls(&[OURS, IPC], &words) else { return };
        if debians(IPC).is_some() {
            assert_eq!(without_question(&found), calls(&[IPC], &words).unwrap(), "{options:?}");
        }
        let plain: Vec<_> = found.iter().map(|call| call.split(" 0").next().unwrap()).collect();
        let (take, listen) = (!options.contains(&"-D"), !options.iter().any(|option| option.contains("b0")));
        let expected = [
            &["close", "socket", "umask"][..],
            if take { &["open lock", "lock", "SO_REUSEADDR", "ask", "unlink"] } else { &[] },
            &["bind", "umask"],
            if listen { &["listen"] } else { &[] },
        ];
        assert_eq!(plain, expected.concat(), "{options:?}");
    }
}

#[test]
fn permissions_come_from_a_umask_around_the_binding() {
    for (permissions, mask) in
        [("0777", "umask 000"), ("0640", "umask 0137"), ("1777", "umask 000"), ("0", "umask 0777")]
    {
        let Some(found) = calls(&[OURS, SEQPACKET], &["-D", "-a", permissions, "p", "/bin/true"]) else { return };
        assert_eq!(found[2], mask);
        assert_eq!(found[3], "bind");
    }
}

#[test]
fn an_ip_socket_is_made_in_the_order_of_s6_networking() {
    let v4: &[&str] = &["127.0.0.1", "0"];
    let v6: &[&str] = &["::1", "0"];
    /// The binder, its options, the address, and what it calls once there is a socket.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 10] = [
        (TCP, &[], v4, &["SO_REUSEADDR", "bind", "listen"]),
        (TCP, &[], v6, &["IPV6_V6ONLY", "SO_REUSEADDR", "bind", "listen"]),
        (TCP, &["-D"], v4, &["bind", "listen"]),
        (TCP, &["-D", "-b0"], v6, &["IPV6_V6ONLY", "bind"]),
        (TCP, &["-mb0"], v4, &["SO_REUSEADDR", "bind"]),
        (TCP, &["--freebind", "--reuseport"], v4, &["IP_FREEBIND", "SO_REUSEPORT", "SO_REUSEADDR", "bind", "listen"]),
        (UDP, &[], v4, &["bind"]),
        (UDP, &["-d"], v6, &["IPV6_V6ONLY", "SO_REUSEADDR", "bind"]),
        (UDP, &["--reuseport", "--broadcast"], v4, &["SO_REUSEPORT", "SO_BROADCAST", "bind"]),
        (UDP, &["--freebind", "--device=lo"], v6, &["IPV6_V6ONLY", "IPV6_FREEBIND", "SO_BINDTODEVICE", "bind"]),
    ];
    for (name, options, address, expected) in cases {
        let Some(found) = calls(&[OURS, name], &[options, address, &["/bin/true"]].concat()) else { return };
        assert_eq!(found, [&["close", "socket"], expected].concat(), "{name} {options:?}");
    }
}
