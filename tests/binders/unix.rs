//! Binders of unix sockets: options, what is at the path, permissions, the program.

use super::*;

#[test]
fn each_option_does_what_it_does_in_s6() {
    for options in [
        &[][..],
        &["-B"],
        &["-M"],
        &["-m", "-b0"],
        &["-Bmb", "0"],
        &["-b", "0"],
        &["-b4294967295"],
        &["-D"],
        &["-d"],
        &["-D", "-d"],
        &["-a", "0600"],
        &["-a0070"],
        &["-a", "1777"],
        &["-a", "0"],
        &["-a", "00000000660"],
        &["--"],
        &["-m"],
        &["-x"],
        &["--foo"],
        &["-b", "x"],
        &["-b", "-1"],
        &["-b", "4294967296"],
        &["-a", "8"],
        &["-a", ""],
    ] {
        let (_ours, command) = ours(IPC);
        let found = look(command(), options);
        if let Some((_debians, command)) = debians(IPC) {
            assert_eq!(found, look(command(), options), "{options:?}");
        }
    }
}

#[test]
fn by_default_it_is_a_listening_stream_socket_for_everybody_that_does_not_block() {
    let (_dir, command) = ours(IPC);
    let (code, out, err) = look(command(), &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[..3], ["socket 777", "flags:\t04002", "00010000 0001 01 p"]);
}

#[test]
fn what_is_at_the_path_is_replaced_or_refused_as_in_s6() {
    type Prepare = fn(&Path);
    let cases: [(&str, &[&str], Prepare); 8] = [
        ("dead socket", &[], |dir| drop(UnixListener::bind(dir.join("p")).unwrap())),
        ("dead datagram socket", &[], |dir| drop(UnixDatagram::bind(dir.join("p")).unwrap())),
        ("dead socket, -D", &["-D"], |dir| drop(UnixListener::bind(dir.join("p")).unwrap())),
        ("file", &[], |dir| std::fs::write(dir.join("p"), "x").unwrap()),
        ("directory", &[], |dir| std::fs::create_dir(dir.join("p")).unwrap()),
        ("dangling link", &[], |dir| symlink("nowhere", dir.join("p")).unwrap()),
        ("no directory for the lock file", &[], |dir| std::fs::create_dir(dir.join("p.lock")).unwrap()),
        ("lock file without permissions", &["-a", "0070"], |dir| {
            std::fs::write(dir.join("p.lock"), "").unwrap();
            let none = std::os::unix::fs::PermissionsExt::from_mode(0o0);
            std::fs::set_permissions(dir.join("p.lock"), none).unwrap();
        }),
    ];
    for (what, options, prepare) in cases {
        let (dir, command) = ours(IPC);
        prepare(dir.path());
        let found = look(command(), options);
        if let Some((dir, command)) = debians(IPC) {
            prepare(dir.path());
            assert_eq!(found, look(command(), options), "{what}");
        }
    }
}

#[test]
fn the_lock_file_is_the_owners_alone() {
    for options in [&["-a", "0777"][..], &["-a", "0"]] {
        let (dir, command) = ours(IPC);
        look(command(), options);
        assert_eq!(std::fs::metadata(dir.path().join("p.lock")).unwrap().mode() & 0o7777, 0o600);
    }
    let (dir, command) = ours(IPC);
    look(command(), &["-D"]);
    assert!(!dir.path().join("p.lock").exists(), "-D takes no lock");
}

#[test]
fn a_path_has_room_for_107_bytes() {
    let (dir, command) = ours(IPC);
    let name = "x".repeat(107);
    assert_eq!(command().args([&name, "true"]).status().unwrap().code(), Some(0));
    assert!(dir.path().join(&name).exists());
    let name = "x".repeat(108);
    let (code, _, err) = seen(command().args([&name, "true"]).output().unwrap());
    assert_eq!((code, err), (Some(111), format!("{IPC}: fatal: unable to bind to {name}: File name too long\n")));
    let (code, _, err) = seen(command().args(["", "true"]).output().unwrap());
    assert_eq!((code, err), (Some(111), format!("{IPC}: fatal: unable to bind to : Invalid argument\n")));
}

#[test]
fn the_program_is_looked_up_and_its_absence_is_127() {
    let (_dir, command) = ours(IPC);
    let (code, _, err) = seen(command().args(["p", "no-such-program"]).output().unwrap());
    assert_eq!(code, Some(127));
    assert_eq!(err, format!("{IPC}: fatal: unable to exec no-such-program: No such file or directory\n"));
    let (code, _, err) = seen(command().args(["p", "/etc/passwd"]).output().unwrap());
    assert_eq!(code, Some(126));
    assert_eq!(err, format!("{IPC}: fatal: unable to exec /etc/passwd: Permission denied\n"));
}

#[test]
fn the_backlog_is_as_long_as_asked_for() {
    let (dir, command) = ours(IPC);
    let _server = Running::start(binder(&command, &["-b", "2", "p"]), "echo up; exec sleep 1000");
    let address = rustix::net::SocketAddrUnix::new(dir.path().join("p").to_str().unwrap()).unwrap();
    let mut clients = Vec::new();
    let full = loop {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
        let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        match connect(&client, &address) {
            Ok(()) => clients.push(client),
            Err(e) => break e,
        }
    };
    assert_eq!((clients.len(), full), (3, rustix::io::Errno::AGAIN), "the kernel takes one more than the backlog");
}

#[test]
fn seqpacket_sockets_listen_and_have_the_habits_of_the_others() {
    let (dir, command) = ours(SEQPACKET);
    let rows = |options: &[&str]| {
        let (code, out, err) = look(command(), options);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{options:?}");
        out.lines().take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]), ["socket 777", "flags:\t04002", "00010000 0005 01 p"]);
    assert_eq!(std::fs::metadata(dir.path().join("p.lock")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(rows(&["-B", "-b0", "-a", "0640"]), ["socket 640", "flags:\t02", "00000000 0005 01 p"]);
    assert_eq!(look(command(), &["-D"]).0, Some(111), "the file of the dead one is in the way");
    for wrong in [&["-M"][..], &["-m"], &["-x"], &["--broadcast"], &["-b", "x"], &["-a", "9"]] {
        let (code, _, err) = look(command(), wrong);
        let usage = "[ -d | -D ] [ -b backlog ] [ -a perms ] [ -B ] path prog...";
        assert_eq!((code, err), (Some(100), format!("{SEQPACKET}: usage: {SEQPACKET} {usage}\n")), "{wrong:?}");
    }
}

#[test]
fn a_seqpacket_socket_takes_connections_that_keep_the_bounds_of_messages() {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socket_with};
    let (dir, command) = ours(SEQPACKET);
    let server = binder(&command, &["-B", "p"]);
    let server = Running::start(server, "echo up; exec sleep 1000");
    let address = rustix::net::SocketAddrUnix::new(dir.path().join("p").to_str().unwrap()).unwrap();
    let client = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::connect(&client, &address).unwrap();
    let pid = rustix::process::Pid::from_raw(server.0.id() as i32).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    // Its descriptor 0 is ours too: the shell has no command that accepts.
    let listener = rustix::process::pidfd_getfd(&pidfd, 0, rustix::process::PidfdGetfdFlags::empty()).unwrap();
    let accepted = rustix::net::accept(&listener).unwrap();
    for message in [&b"one"[..], b"two"] {
        rustix::net::send(&client, message, SendFlags::empty()).unwrap();
    }
    for message in [&b"one"[..], b"two"] {
        let mut room = [0; 16];
        let (got, _) = rustix::net::recv(&accepted, &mut room[..], RecvFlags::empty()).unwrap();
        assert_eq!(&room[..got], message);
    }
}
