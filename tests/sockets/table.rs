//! What the table says, what it leaves as it is, and the exit code.

use crate::scandir::Svscan;
use crate::supervision::c_path;
use crate::tmp::TempDir;
use linchpin::fdholder::client::{Connection, never};
use linchpin::sys::{Fd, time};
use linchpin::text::tai::Stamp;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn connect(socket: &Path) -> Connection {
    Connection::open(&c_path(socket), Some(time::boot() + 30 * time::SECOND)).unwrap()
}

fn store(socket: &Path, id: &[u8], what: &impl AsRawFd) {
    let mut connection = connect(socket);
    connection.store(Fd(what.as_raw_fd()), id, never()).unwrap();
    connection.close();
}

fn sockets(words: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("sockets").args(words).output().unwrap()
}

fn json(path: &Path) -> Vec<String> {
    let output = sockets(&[Path::new("--json"), path]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The value of a key in a line of JSON.
fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let rest = line.split_once(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key} in {line}")).1;
    let quoted = rest.strip_prefix('"');
    quoted.map_or_else(|| rest.split([',', '}']).next().unwrap(), |text| text.split('"').next().unwrap())
}

fn values<const N: usize>(line: &str, keys: [&str; N]) -> Vec<String> {
    keys.iter().map(|key| value(line, key).to_owned()).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// s6's daemon, whose rules give everybody these rights.
struct S6 {
    dir: TempDir,
    process: Child,
}

impl S6 {
    fn new(rights: &[&str]) -> S6 {
        let dir = TempDir::new();
        let rules = dir.path().join("rules/uid/default");
        std::fs::create_dir_all(rules.join("env")).unwrap();
        std::fs::write(rules.join("allow"), "").unwrap();
        for right in rights {
            std::fs::write(rules.join("env").join(format!("S6_FDHOLDER_{right}")), "\n").unwrap();
        }
        let mut daemon = Command::new("s6-fdholder-daemon");
        daemon.args(["-1", "-i"]).arg(dir.path().join("rules")).arg(dir.path().join("s"));
        let mut process = daemon.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("s6 is installed");
        let mut ready = String::new();
        process.stdout.take().unwrap().read_to_string(&mut ready).unwrap();
        assert_eq!(ready, "\n");
        S6 { dir, process }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("s")
    }

    /// Gives these rights and no other to who connects from now on.
    fn allow(&self, rights: &[&str]) {
        let env = self.dir.path().join("rules/uid/default/env");
        std::fs::remove_dir_all(&env).unwrap();
        std::fs::create_dir(&env).unwrap();
        for right in rights {
            std::fs::write(env.join(format!("S6_FDHOLDER_{right}")), "\n").unwrap();
        }
    }
}

impl Drop for S6 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_socket_is_shown_with_its_address_and_what_waits_at_it() {
    let svscan = Svscan::new(&[]);
    let holder = svscan.path("fdholder/s");
    let path = svscan.base("web.sock");
    let unix = UnixListener::bind(&path).unwrap();
    rustix::net::listen(Fd(unix.as_raw_fd()), 5).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let _waiting = [UnixStream::connect(&path).unwrap(), UnixStream::connect(&path).unwrap()];
    let mut caller = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    udp.send_to(b"hello", udp.local_addr().unwrap()).unwrap();
    store(&holder, b"unix", &unix);
    store(&holder, b"tcp", &tcp);
    store(&holder, b"udp", &udp);

    let lines = json(&holder);
    let keys = ["name", "kind", "state", "address", "queue", "queue_of"];
    let [tcp_address, udp_address] = [("tcp", tcp.local_addr()), ("udp", udp.local_addr())]
        .map(|(kind, address)| format!("{kind}:{}", address.unwrap()));
    assert_eq!(values(&lines[0], keys), ["tcp", "tcp", "listening", &tcp_address, "1", "connections"]);
    let udp_told = values(&lines[1], keys);
    assert_eq!(udp_told[..4], ["udp", "udp", "bound", &udp_address]);
    assert!(udp_told[4].parse::<u64>().unwrap() > 0 && value(&lines[1], "dropped") == "0");
    let address = format!("unix:{}", path.display());
    assert_eq!(values(&lines[2], keys), ["unix", "unix-stream", "listening", &address, "2", "connections"]);
    assert_eq!(value(&lines[2], "queue_max"), "5");
    assert_eq!(lines.len(), 3);

    // Looking has changed nothing: whoever waited is served, and what was sent is there.
    for _ in 0..2 {
        unix.accept().unwrap();
    }
    let mut server = tcp.accept().unwrap().0;
    server.write_all(b"hi").unwrap();
    let mut said = [0; 2];
    caller.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hi");
    assert_eq!(udp.recv(&mut [0; 10]).unwrap(), 5);
}

#[test]
fn who_stored_and_who_retrieved_is_told_and_looking_does_not_count() {
    let svscan = Svscan::new(&[]);
    let holder = svscan.path("fdholder/s");
    let unbound = UnixDatagram::unbound().unwrap();
    store(&holder, b"x", &unbound);
    let keys = ["stored_by", "pid", "uid", "retrieved_times", "retrieved_by_pid", "expires_in_seconds"];
    let (pid, uid) = (std::process::id().to_string(), rustix::process::geteuid().as_raw().to_string());
    for _ in 0..2 {
        assert_eq!(values(&json(&holder)[0], keys), ["client", &pid, &uid, "0", "null", "null"]);
    }
    let mut connection = connect(&holder);
    connection.retrieve(b"x", false).unwrap().close();
    connection.retrieve(b"x", false).unwrap().close();
    let limit = Stamp::now().plus(1000 * time::SECOND);
    connection.store(Fd(unbound.as_raw_fd()), b"y", limit).unwrap();
    connection.close();
    let lines = json(&holder);
    assert_eq!(values(&lines[0], keys), ["client", &pid, &uid, "2", &pid, "null"]);
    let left: u64 = value(&lines[1], "expires_in_seconds").parse().unwrap();
    assert!((900..1000).contains(&left), "{left}");
}

#[test]
fn names_are_shown_in_order_and_in_one_line_whatever_is_in_them() {
    let svscan = Svscan::new(&[]);
    let holder = svscan.path("fdholder/s");
    let null = std::fs::File::open("/dev/null").unwrap();
    let long = [b'z'; 255];
    for id in [&long[..], b"b\n\x1b[31m", b"a b", b"\xff\"\\"] {
        store(&holder, id, &null);
    }
    let output = sockets(&[&svscan.path("")]);
    let lines: Vec<_> = text(&output.stdout).lines().map(|line| line.split("  ").next().unwrap()).collect();
    let printed = ["NAME", "a b", "b\\n\\x1b[31m", text(&long), "\\xff\"\\\\"];
    assert_eq!(lines, printed);
    assert!(output.stderr.is_empty(), "{output:?}");
    let names: Vec<_> = json(&holder).iter().map(|line| line.split_once(",\"kind\"").unwrap().0.to_owned()).collect();
    assert_eq!(names[1], r#"{"name":"b\\n\\x1b[31m""#);
    assert_eq!(names[3], r#"{"name":"\\xff\"\\\\""#);
}

#[test]
fn a_full_store_is_shown_whole_by_a_process_that_may_have_few_descriptors() {
    let svscan = Svscan::new(&[]);
    let holder = svscan.path("fdholder/s");
    let before = svscan.fds();
    let unbound = UnixDatagram::unbound().unwrap();
    let mut connection = connect(&holder);
    for n in 0..1024 {
        connection.store(Fd(unbound.as_raw_fd()), format!("{n:0>255}").as_bytes(), never()).unwrap();
    }
    connection.close();
    let script = "ulimit -n 300; exec \"$@\"";
    let words = ["-c", script, "sh", env!("CARGO_BIN_EXE_linchpin"), "sockets", "--json"];
    let output = Command::new("sh").args(words).arg(&holder).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let told = text(&output.stdout);
    assert_eq!(told.lines().count(), 1024);
    assert!(told.lines().all(|line| value(line, "kind") == "unix-dgram"), "all were looked at");
    assert!(told.lines().is_sorted());
    assert_eq!(svscan.fds(), before + 1024);
}

#[test]
fn a_store_of_s6_is_shown_without_what_it_does_not_tell() {
    let s6 = S6::new(&["LIST", "GETDUMP", "STORE_REGEX"]);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    store(&s6.socket(), b"t", &tcp);
    let output = sockets(&[&s6.socket()]);
    assert_eq!(output.status.code(), Some(0));
    let line = text(&output.stdout).lines().nth(1).unwrap();
    let cells: Vec<_> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let address = format!("tcp:{}", tcp.local_addr().unwrap());
    assert_eq!(cells[..3], ["t", "tcp", "listening"]);
    assert_eq!(cells[5..], ["?", "never", "?", "?", "?", "?", &address]);
    let told = text(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("does not tell who stored what"), "{told}");
    // A directory that has the socket in it will do, as that of s6's service has.
    assert_eq!(sockets(&[s6.dir.path()]).stdout, output.stdout);
}

#[test]
fn who_may_less_is_shown_less_and_told_why() {
    let s6 = S6::new(&["STORE_REGEX"]);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    store(&s6.socket(), b"t", &tcp);
    let shown = |rights: &[&str]| {
        s6.allow(rights);
        let output = sockets(&[Path::new("--json"), &s6.socket()]);
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), out.lines().map(|line| value(line, "kind").to_owned()).collect::<Vec<_>>(), err)
    };
    let (code, kinds, told) = shown(&["LIST"]);
    assert_eq!((code, &kinds[..]), (Some(0), &["null".to_owned()][..]));
    assert!(told.contains("1 could not be looked at, what they are is not known: that takes the right"), "{told}");
    let (code, kinds, told) = shown(&["LIST", "RETRIEVE_REGEX"]);
    assert_eq!((code, &kinds[..]), (Some(0), &["tcp".to_owned()][..]));
    assert!(told.contains("that counts as given"), "{told}");
    let (code, kinds, told) = shown(&["GETDUMP"]);
    assert_eq!((code, &kinds[..]), (Some(0), &["tcp".to_owned()][..]), "{told}");
    let (code, kinds, told) = shown(&["RETRIEVE_REGEX"]);
    assert_eq!((code, kinds.len()), (Some(1), 0));
    assert_eq!(told, "sockets: fatal: unable to get fd list: Operation not permitted\n");
}

#[test]
fn a_stranger_is_told_that_the_store_does_not_want_him() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let svscan = Svscan::new(&[]);
    let holder = svscan.path("fdholder/s");
    // A copy, because he may not enter the directory that the binary is in.
    let open = "chmod 711 \"$1\" \"$1/fdholder\"; cp \"$3\" \"$1/l\"; exec s6-setuidgid nobody \"$1/l\" sockets \"$2\"";
    let mut run = Command::new("sh");
    run.args(["-c", open, "sh"]).arg(svscan.path("")).arg(&holder).arg(env!("CARGO_BIN_EXE_linchpin"));
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    assert!(told.starts_with("sockets: fatal: unable to get fd list: "), "{told}");
    assert!(told.ends_with("it ended the connection, as it does when this user may not connect\n"), "{told}");
    assert!(svscan.log().contains(" uid 65534 "), "{}", svscan.log());
}

#[test]
fn what_cannot_be_asked_is_told_and_has_its_exit_code() {
    let nothing = TempDir::new();
    let nowhere = nothing.path().join("s");
    let output = sockets(&[&nowhere]);
    let expected = format!(
        "sockets: fatal: unable to connect to a fd-holder daemon at {}: No such file or directory\n",
        nowhere.display()
    );
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(111), &expected[..]));
    assert_eq!(sockets(&[Path::new("a"), Path::new("b")]).status.code(), Some(100));
    assert_eq!(sockets(&[Path::new("-q")]).status.code(), Some(100));

    // One who listens, and never answers.
    let _deaf = UnixListener::bind(&nowhere).unwrap();
    let output = sockets(&[Path::new("-t"), Path::new("50"), &nowhere]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).ends_with("Connection timed out\n"), "{output:?}");

    let svscan = Svscan::new(&[]);
    let output = sockets(&[&svscan.path("")]);
    let expected = (Some(0), "", "sockets: warning: nothing is held\n");
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), expected);
}
