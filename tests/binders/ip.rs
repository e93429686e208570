//! Binders of IP sockets.

use super::*;

/// Run by a binder, as the program: tells what descriptor 0 is.
#[test]
#[ignore = "a program for other tests"]
fn describe_stdin() {
    let fd = Fd::STDIN;
    let on = |what: rustix::io::Result<bool>| u8::from(what.unwrap_or(false));
    println!(
        "name {:?}",
        rustix::net::getsockname(fd).map(|name| format!("{:?}", std::net::SocketAddr::try_from(name)))
    );
    println!("type {:?}", sockopt::socket_type(fd).unwrap());
    println!("listening {}", on(sockopt::socket_acceptconn(fd)));
    println!("nonblocking {}", on(rustix::fs::fcntl_getfl(fd).map(|f| f.contains(rustix::fs::OFlags::NONBLOCK))));
    println!("cloexec {}", on(rustix::io::fcntl_getfd(fd).map(|f| f.contains(rustix::io::FdFlags::CLOEXEC))));
    println!("reuseaddr {}", on(sockopt::socket_reuseaddr(fd)));
    println!("reuseport {}", on(sockopt::socket_reuseport(fd)));
    println!("freebind {}", on(sockopt::ip_freebind(fd)) | on(sockopt::ipv6_freebind(fd)));
    println!("v6only {}", on(sockopt::ipv6_v6only(fd)));
    println!("broadcast {}", on(sockopt::socket_broadcast(fd)));
}

/// Adds `describe_stdin` to a binder's command, as its program.
fn describing(mut command: Command) -> Command {
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "ip::describe_stdin", "--ignored", "--nocapture"]);
    command
}

/// What it says of the socket that the binder `name` makes: its address, and the rest without the port.
fn described(name: &str, arguments: &[&str]) -> (String, String) {
    let (_dir, command) = ours(name);
    let (code, out, err) = seen(describing(binder(&command, arguments)).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    let keys = ["type ", "listening", "nonblocking", "cloexec", "reuse", "freebind", "v6only", "broadcast"];
    let is_ours = |line: &&str| keys.iter().any(|key| line.starts_with(key)) && !line.contains("ok");
    let lines: Vec<_> = out.lines().filter(is_ours).filter(|line| !line.ends_with(" 0")).collect();
    (address(&out).unwrap(), lines.join(", ").replace("SOCK_STREAM", "1").replace("SOCK_DGRAM", "2"))
}

/// The address in a description.
fn address(out: &str) -> Option<String> {
    let line = out.lines().find_map(|line| line.strip_prefix("name Ok(\"Ok("))?;
    Some(line.trim_end_matches(['"', ')']).to_owned())
}

#[test]
fn tcp_sockets_get_what_their_options_say() {
    let stream = "type SocketType(1)";
    let describe = |arguments: &[&str]| described(TCP, arguments).1;
    assert_eq!(describe(&["127.0.0.1", "0"]), format!("{stream}, listening 1, nonblocking 1, reuseaddr 1"));
    assert_eq!(describe(&["::1", "0"]), format!("{stream}, listening 1, nonblocking 1, reuseaddr 1, v6only 1"));
    for options in [&["-D", "-B", "-b", "0"][..], &["--no-reuse-address", "--block", "--backlog=0"]] {
        assert_eq!(describe(&[options, &["127.0.0.1", "0"]].concat()), stream);
    }
    for udp in ["-mb0", "--udp"] {
        let options = ["--backlog=0", "-D", "--reuse-address", udp, "0.0.0.0", "0"];
        assert_eq!(describe(&options), "type SocketType(2), nonblocking 1, reuseaddr 1");
    }
    assert_eq!(describe(&["--udp", "--tcp", "-DB", "-b1", "127.0.0.1", "0"]), format!("{stream}, listening 1"));
    let early = ["-DBb0", "--freebind", "--reuseport"];
    assert_eq!(describe(&[&early[..], &["192.0.2.1", "0"]].concat()), format!("{stream}, reuseport 1, freebind 1"));
    assert_eq!(
        describe(&[&early[..], &["2001:db8::1", "0"]].concat()),
        format!("{stream}, reuseport 1, freebind 1, v6only 1")
    );
}

#[test]
fn what_tcp_cannot_do_is_said_as_s6_networking_says_it() {
    let (_dir, command) = ours(TCP);
    let run = |arguments: &[&str]| {
        let (code, _, err) = seen(command().args(arguments).output().unwrap());
        (code.unwrap(), err.strip_prefix("s6-tcpserver-socketbinder: ").unwrap().trim_end().to_owned())
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_eq!(
        run(&["127.0.0.1", &port, "true"]),
        (111, format!("fatal: unable to bind to 127.0.0.1 port {port} : Address already in use"))
    );
    assert_eq!(
        run(&["192.0.2.1", "0", "true"]),
        (111, "fatal: unable to bind to 192.0.2.1 port 0 : Cannot assign requested address".to_owned())
    );
    assert_eq!(
        run(&["-m", "::1", "0", "true"]),
        (111, "fatal: unable to listen to ::1 port 0 : Operation not supported".to_owned())
    );
    assert_eq!(run(&["-b", "x", "::1", "0", "true"]), (100, "fatal: backlog must be an unsigned integer".to_owned()));
    for wrong in [
        &["::1", "0"][..],
        &["localhost", "0", "true"],
        &["127.0.0.1x", "0", "true"],
        &["0", "0", "true"],
        &["::1", "65536", "true"],
        &["::1", "http", "true"],
        &["-x", "::1", "0", "true"],
        &["--nonsense", "::1", "0", "true"],
        &["--backlog", "::1", "0", "true"],
        &["--broadcast", "127.0.0.1", "0", "true"],
        &["--device=", "127.0.0.1", "0", "true"],
        &["--device=a/b", "127.0.0.1", "0", "true"],
        &["127.0.0.1%lo", "0", "true"],
        &["fe80::1%", "0", "true"],
    ] {
        let (code, message) = run(wrong);
        assert_eq!(code, 100, "{wrong:?} {message}");
    }
}

#[test]
fn udp_sockets_get_what_their_options_say_and_never_listen() {
    let datagram = "type SocketType(2)";
    let describe = |arguments: &[&str]| described(UDP, arguments).1;
    assert_eq!(describe(&["127.0.0.1", "0"]), format!("{datagram}, nonblocking 1"));
    assert_eq!(describe(&["::1", "0"]), format!("{datagram}, nonblocking 1, v6only 1"));
    assert_eq!(describe(&["-d", "-B", "127.0.0.1", "0"]), format!("{datagram}, reuseaddr 1"));
    assert_eq!(describe(&["-dDB", "127.0.0.1", "0"]), datagram);
    assert_eq!(describe(&["--reuse-address", "--block", "127.0.0.1", "0"]), format!("{datagram}, reuseaddr 1"));
    let early = ["-B", "--freebind", "--reuseport", "--broadcast", "192.0.2.1", "0"];
    assert_eq!(describe(&early), format!("{datagram}, reuseport 1, freebind 1, broadcast 1"));
    let (_dir, command) = ours(UDP);
    for wrong in [&["-b", "1"][..], &["-m"], &["-M"], &["--tcp"], &["-a", "0600"], &["--broadcas"], &["--device"]] {
        let (code, _, err) = seen(command().args(wrong).args(["::1", "0", "true"]).output().unwrap());
        assert_eq!(code, Some(100), "{wrong:?} {err}");
    }
    let (code, _, err) = seen(command().args(["--broadcast", "::1", "0", "true"]).output().unwrap());
    assert_eq!(code, Some(100));
    assert_eq!(err, "udp-socketbinder: fatal: --broadcast is for IPv4: IPv6 has multicast groups instead\n");
}

/// The number of the loopback interface.
fn loopback() -> u32 {
    std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap().trim().parse().unwrap()
}

#[test]
fn the_interface_of_an_ipv6_address_is_a_name_or_a_number() {
    let number = loopback();
    for name in [TCP, UDP] {
        for interface in ["lo", &number.to_string()] {
            let (bound, _) = described(name, &["--freebind", &format!("fe80::1%{interface}"), "0"]);
            assert!(bound.starts_with(&format!("[fe80::1%{number}]:")), "{bound}");
        }
        let (bound, _) = described(name, &["--device", "lo", "--freebind", "fe80::1%lo", "0"]);
        assert!(bound.starts_with(&format!("[fe80::1%{number}]:")), "{bound}");
    }
}

#[test]
fn an_interface_that_is_missing_is_named() {
    for name in [TCP, UDP] {
        let (_dir, command) = ours(name);
        let run = |arguments: &[&str]| {
            let (code, _, err) = seen(command().args(arguments).args(["0", "true"]).output().unwrap());
            (code.unwrap(), err.strip_prefix(&format!("{name}: fatal: ")).unwrap().trim_end().to_owned())
        };
        let missing = (111, "unable to use the network interface none-such: No such device".to_owned());
        assert_eq!(run(&["fe80::1%none-such"]), missing);
        assert_eq!(
            run(&["fe80::1%2147483647"]),
            (111, "unable to bind to fe80::1%2147483647 port 0 : No such device".to_owned())
        );
        let hint = "unable to bind to fe80::1 port 0: a link-local address needs its interface, as in fe80::1%eth0";
        assert_eq!(run(&["fe80::1"]), (111, hint.to_owned()));
        assert_eq!(
            run(&["--device", "none-such", "fe80::1%lo"]),
            (100, "--device names another interface than the address does".to_owned())
        );
        if rustix::process::geteuid().is_root() {
            assert_eq!(run(&["--device", "none-such", "127.0.0.1"]), missing);
            assert_eq!(run(&["--device=none-such", "::1"]), missing);
        }
    }
}

/// A binder whose program has the socket until it is killed; and its port.
fn holding(name: &str, options: &[&str]) -> (Running, String) {
    let (running, mut out, port) = running(name, options, "echo; echo up; exec sleep 1000");
    // Only the program itself has the socket then.
    assert!(out.by_ref().lines().any(|line| line.unwrap() == "up"));
    (running, port)
}

/// A binder whose program is a line of shell; what that prints; and the socket's port.
fn running(name: &str, options: &[&str], line: &str) -> (Running, impl BufRead + use<>, String) {
    let (_dir, command) = ours(name);
    let program = format!(r#""$0" --exact ip::describe_stdin --ignored --nocapture; {line}"#);
    let mut command = binder(&command, options);
    command.args(["127.0.0.1", "0", "/bin/sh", "-c", &program]).arg(std::env::current_exe().unwrap());
    let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(running.0.stdout.take().unwrap());
    let bound = out.by_ref().lines().map(Result::unwrap).find_map(|line| address(&line)).unwrap();
    let port = bound.rsplit(':').next().unwrap().to_owned();
    (running, out, port)
}

#[test]
fn a_second_binder_of_a_udp_port_is_refused_until_the_first_socket_is_gone() {
    let (_dir, command) = ours(UDP);
    let try_it = |options: &[&str], port: &str| {
        let done = command().args(options).args(["127.0.0.1", port, "true"]).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let (first, port) = holding(UDP, &[]);
    let refused = format!("{UDP}: fatal: unable to bind to 127.0.0.1 port {port} : Address already in use\n");
    for options in [&[][..], &["-d"], &["--reuseport"]] {
        assert_eq!(try_it(options, &port), (Some(111), refused.clone()), "{options:?}");
    }
    drop(first);
    assert_eq!(try_it(&[], &port), (Some(0), String::new()));
    // Who wants to share says so, both of them.
    for share in ["-d", "--reuseport"] {
        let (_first, port) = holding(UDP, &[share]);
        assert_eq!(try_it(&[share], &port), (Some(0), String::new()));
        assert_eq!(try_it(&[], &port).0, Some(111));
    }
}

#[test]
fn a_second_binder_of_a_tcp_port_is_refused_unless_both_share_it() {
    let (_dir, command) = ours(TCP);
    let try_it = |options: &[&str], port: &str| {
        command().args(options).args(["127.0.0.1", port, "true"]).output().unwrap().status.code()
    };
    let (_first, port) = holding(TCP, &[]);
    assert_eq!(try_it(&[], &port), Some(111));
    assert_eq!(try_it(&["--reuseport"], &port), Some(111));
    let (_first, port) = holding(TCP, &["--reuseport"]);
    assert_eq!(try_it(&[], &port), Some(111));
    assert_eq!(try_it(&["--reuseport"], &port), Some(0));
}

#[test]
fn what_comes_to_a_udp_port_is_there_for_the_program() {
    let (_server, mut out, port) = running(UDP, &["-B"], "echo; echo up; exec head -c 5");
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"hello", format!("127.0.0.1:{port}")).unwrap();
    let mut said = String::new();
    out.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("\nup\nhello"), "{said:?}");
}
