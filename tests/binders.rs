//! The socket binders and setuidgid, beside Debian's s6 where it has them.

#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use linchpin::sys::Fd;
use rustix::net::sockopt;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tmp::TempDir;

const IPC: &str = "s6-ipcserver-socketbinder";
const TCP: &str = "s6-tcpserver-socketbinder";
const SETUIDGID: &str = "s6-setuidgid";

/// A directory with a link to our binary called `name`, and a command that runs it there.
fn ours(name: &str) -> (TempDir, impl Fn() -> Command) {
    let dir = TempDir::new();
    let link = dir.command(&format!(".{name}"));
    let work = dir.path().to_owned();
    let arg0 = name.to_owned();
    (dir, move || {
        let mut command = Command::new(&link);
        std::os::unix::process::CommandExt::arg0(&mut command, &arg0);
        command.current_dir(&work).env("PATH", "/usr/bin:/bin");
        command
    })
}

/// The same with Debian's; `None` where s6 is not installed.
fn debians(name: &str) -> Option<(TempDir, impl Fn() -> Command)> {
    let path = Path::new("/usr/bin").join(name);
    if !path.exists() {
        eprintln!("{name} is not installed: not compared");
        return None;
    }
    let dir = TempDir::new();
    let work = dir.path().to_owned();
    let arg0 = name.to_owned();
    Some((dir, move || {
        let mut command = Command::new(&path);
        std::os::unix::process::CommandExt::arg0(&mut command, &arg0);
        command.current_dir(&work).env("PATH", "/usr/bin:/bin");
        command
    }))
}

/// Exit code, standard output and standard error.
fn seen(done: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

/// What a program finds when a binder has run it: the file, flags of descriptor 0, its row in /proc/net/unix, all
/// descriptors, umask.
const LOOK: &str = r#"stat -c '%F %a' "$0"; grep flags /proc/self/fdinfo/0
    i=$(readlink /proc/self/fd/0); i=${i#socket:[}; i=${i%]}
    while read -r _ _ _ flags type state inode name; do
        if [ "$inode" = "$i" ]; then echo "$flags $type $state $name"; fi
    done < /proc/net/unix
    for fd in 0 1 2 3 4 5 6; do if [ -e /proc/$$/fd/$fd ]; then echo "$fd"; fi; done; umask"#;

fn look(command: Command, options: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command;
    seen(command.args(options).args(["p", "/bin/sh", "-c", LOOK, "p"]).output().unwrap())
}

/// A child that goes on until it is killed.
struct Running(Child);

impl Running {
    /// Starts `command` with a program that says `up` once it runs, and waits for that.
    fn start(mut command: Command, program: &str) -> Running {
        let mut child = command.args(["/bin/sh", "-c", program]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        Running(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn binder(command: &impl Fn() -> Command, options: &[&str]) -> Command {
    let mut command = command();
    command.args(options);
    command
}

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

const IN_USE: &str = "s6-ipcserver-socketbinder: fatal: unable to bind to p: Address already in use\n";

#[test]
fn a_second_binder_is_refused_and_the_first_socket_goes_on() {
    let (dir, command) = ours(IPC);
    for options in [&["p"][..], &["-b0", "p"], &["-mb0", "p"]] {
        let server = Running::start(binder(&command, options), "echo up; exec sleep 1000");
        let inode = std::fs::metadata(dir.path().join("p")).unwrap().ino();
        for second in [&[][..], &["-mb0"], &["-D"]] {
            let (code, _, err) = look(command(), second);
            assert_eq!((code, err.as_str()), (Some(111), IN_USE), "{options:?} {second:?}");
        }
        assert_eq!(std::fs::metadata(dir.path().join("p")).unwrap().ino(), inode, "the path is still the first one's");
        drop(server);
        assert_eq!(look(command(), &[]).0, Some(0), "a dead server's path is free");
    }
}

#[test]
fn being_refused_leaves_no_connection_behind() {
    let (dir, command) = ours(IPC);
    let listener = UnixListener::bind(dir.path().join("p")).unwrap();
    assert_eq!(look(command(), &[]).2, IN_USE);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_socket_that_moved_on_to_another_process_is_in_use_until_that_ends() {
    let (dir, command) = ours(IPC);
    // The program that the binder ran ends; one that it left behind still has the socket.
    let program = "exec 3<&0; (read -r _ < fifo) >/dev/null & echo up";
    assert!(Command::new("mkfifo").arg(dir.path().join("fifo")).status().unwrap().success());
    let mut first = Running::start(binder(&command, &["p"]), program);
    first.0.wait().unwrap();
    assert_eq!(look(command(), &[]).2, IN_USE);
    assert!(UnixStream::connect(dir.path().join("p")).is_ok());
    std::fs::write(dir.path().join("fifo"), "end\n").unwrap();
    let mut tries = 0;
    while look(command(), &[]).0 != Some(0) {
        tries += 1;
        assert!(tries < 1000, "the process that had the socket does not end");
    }
}

#[test]
fn a_socket_in_an_fd_holder_is_in_use_until_it_is_deleted_there() {
    if !Path::new("/usr/bin/s6-fdholder-daemon").exists() {
        eprintln!("s6 is not installed: not tested");
        return;
    }
    let (dir, command) = ours(IPC);
    std::fs::create_dir_all(dir.path().join("rules/uid/default")).unwrap();
    for (file, content) in [("allow", ""), ("env/S6_FD", "")] {
        let path = dir.path().join("rules/uid/default").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    std::fs::remove_file(dir.path().join("rules/uid/default/env/S6_FD")).unwrap();
    for right in ["S6_FDHOLDER_STORE_REGEX", "S6_FDHOLDER_RETRIEVE_REGEX"] {
        std::fs::write(dir.path().join("rules/uid/default/env").join(right), ".\n").unwrap();
    }
    let mut holder = Command::new("/usr/bin/s6-fdholder-daemon");
    holder.current_dir(dir.path()).args(["-1", "-i", "rules", "s"]).stdout(Stdio::piped());
    let mut holder = Running(holder.spawn().unwrap());
    holder.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let store = |options: &[&str]| {
        let program = ["s6-fdholder-store", "s", "unix:p"];
        seen(command().args(options).arg("p").args(program).output().unwrap())
    };
    assert_eq!(store(&[]), (Some(0), String::new(), String::new()));
    assert_eq!(store(&[]).2, IN_USE);
    let waiting = UnixStream::connect(dir.path().join("p")).unwrap();
    let mut delete = Command::new("/usr/bin/s6-fdholder-delete");
    assert!(delete.current_dir(dir.path()).args(["s", "unix:p"]).status().unwrap().success());
    drop(waiting);
    assert_eq!(store(&[]).0, Some(0));
}

#[test]
fn a_lock_that_somebody_else_holds_is_respected() {
    let (dir, command) = ours(IPC);
    let lock = std::fs::File::create(dir.path().join("p.lock")).unwrap();
    rustix::fs::fcntl_lock(Fd(lock.as_raw_fd()), rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let found = look(command(), &[]);
    assert_eq!(found.0, Some(111));
    assert_eq!(found.2, format!("{IPC}: fatal: unable to bind to p: Device or resource busy\n"));
    if let Some((debians_dir, command)) = debians(IPC) {
        let lock = std::fs::File::create(debians_dir.path().join("p.lock")).unwrap();
        rustix::fs::fcntl_lock(Fd(lock.as_raw_fd()), rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(found, look(command(), &[]));
    }
}

#[test]
fn of_many_binders_at_once_one_wins() {
    let (_dir, command) = ours(IPC);
    for _ in 0..20 {
        let start = |_| {
            let mut command = binder(&command, &["p", "/bin/sh", "-c", "echo won; exec sleep 1000"]);
            Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        };
        let mut racers: Vec<_> = (0..8).map(start).collect();
        let won = |racer: &mut Running| {
            let mut line = String::new();
            BufReader::new(racer.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            line == "won\n"
        };
        let winners = racers.iter_mut().map(won).filter(|won| *won).count();
        assert_eq!(winners, 1);
    }
}

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
}

/// What `describe_stdin` says of the socket that tcpserver-socketbinder makes; the port is cut off.
fn tcp(arguments: &[&str]) -> Vec<String> {
    let (_dir, command) = ours(TCP);
    let me = std::env::current_exe().unwrap();
    let mut command = binder(&command, arguments);
    command.arg(me).args(["--exact", "describe_stdin", "--ignored", "--nocapture"]);
    let (code, out, err) = seen(command.output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    let keys = ["type ", "listening", "nonblocking", "cloexec", "reuse", "freebind", "v6only"];
    let is_ours = |line: &&str| keys.iter().any(|key| line.starts_with(key)) && !line.contains("ok");
    out.lines().filter(is_ours).filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect()
}

#[test]
fn tcp_sockets_get_what_their_options_say() {
    let stream = "type SocketType(1)";
    let describe = |arguments: &[&str]| tcp(arguments).join(", ").replace("SocketType(SOCK_STREAM)", "SocketType(1)");
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
    ] {
        let (code, message) = run(wrong);
        assert_eq!(code, 100, "{wrong:?} {message}");
    }
}

/// Runs setuidgid, ours or Debian's, with our own passwd and group in place of the machine's.
fn setuidgid(command: Command, dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    const PASSWD: &str = "root:x:0:0::/:\none:x:501:601::/:\nbad:x:7\none:x:1:1::/:\nbad:x:502:602::/:\nminus:x:-1:5::/:\nlast:x:503:603::/:";
    const GROUP: &str =
        "root:x:0:\nfirst:x:601:one\nsecond:x:701:one,last\nthird:x:702:lastone\nfourth:x:703:last,one\nbroken:x:one";
    std::fs::write(dir.join("passwd"), PASSWD).unwrap();
    std::fs::write(dir.join("group"), GROUP).unwrap();
    let mount = r#"mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec "$@""#;
    let mut unshare = Command::new("unshare");
    unshare.current_dir(dir).args(["-m", "/bin/sh", "-c", mount, "sh"]).arg(command.get_program()).args(arguments);
    unshare.env_clear().envs([("PATH", "/usr/bin:/bin"), ("UID", "7"), ("GID", "8"), ("GIDLIST", "9"), ("UIDX", "1")]);
    seen(unshare.output().unwrap())
}

#[test]
fn setuidgid_becomes_who_debians_becomes() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let who = ["/bin/sh", "-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status; env | grep -E '^(UID|GID)' | sort"];
    for account in
        ["one", "last", "bad", "root", "lastone", "501", "501:602", "0:5", "5:0", "1:2:3", ":5", "5:", "5:x", "one:601"]
    {
        let arguments = [&[account], &who[..]].concat();
        let dir = TempDir::new();
        let link = dir.command(SETUIDGID);
        let (code, out, err) = setuidgid(Command::new(link), dir.path(), &arguments);
        if let Some((dir, command)) = debians(SETUIDGID) {
            let (debians_code, debians_out, debians_err) = setuidgid(command(), dir.path(), &arguments);
            assert_eq!((code, &out), (debians_code, &debians_out), "{account}: {err} / {debians_err}");
            // Debian's runs s6-envuidgid and s6-applyuidgid, which speak for themselves.
            if code == Some(1) {
                assert_eq!(err.split_once(": ").unwrap().1, debians_err.split_once(": ").unwrap().1);
            }
        }
        if account == "one" {
            let (uid, gid) = ("501\t".repeat(4), "601\t".repeat(4));
            assert_eq!(out, format!("Uid:\t{}\nGid:\t{}\nGroups:\t601 701 703 \nUIDX=1\n", uid.trim(), gid.trim()));
        }
    }
}

#[test]
fn setuidgid_without_the_right_to_fails_and_runs_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let (dir, command) = ours(SETUIDGID);
    let again = dir.command(SETUIDGID);
    let (code, out, err) = seen(command().arg("12345:12345").arg(again).args(["1:1", "echo", "ran"]).output().unwrap());
    assert_eq!((code, out.as_str()), (Some(111), ""));
    assert!(
        err.ends_with("setuidgid: fatal: unable to set supplementary group list: Operation not permitted\n"),
        "{err}"
    );
}

#[test]
fn setuidgid_needs_an_account_and_a_program() {
    let (_dir, command) = ours(SETUIDGID);
    for wrong in [&[][..], &["root"], &["-x", "root", "true"], &["4294967296:1", "true"], &["", "true"]] {
        let code = command().args(wrong).output().unwrap().status.code();
        assert_eq!(code, Some(if *wrong == ["", "true"] { 0 } else { 100 }), "{wrong:?}");
    }
}
