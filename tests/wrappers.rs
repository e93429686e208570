//! What ipcserver and tcpserver make of their command lines: the words of the chain that they become, as a program in
//! place of its first one prints them. ipcserver beside Debian's, tcpserver as s6-networking's sources have it.

#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use proptest::prelude::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tmp::TempDir;

const IPC: &str = "s6-ipcserver";
const TCP: &str = "s6-tcpserver";
const BINDERS: [&str; 2] = ["s6-ipcserver-socketbinder", "s6-tcpserver-socketbinder"];

/// Prints its words, the name it was called by first.
const PRINTER: &str = r#"#!/bin/sh
printf '%s\0' "${0##*/}" "$@""#;

/// A directory with our wrappers in `ours` and, in `fake`, programs that print their words instead of being binders.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let dir = TempDir::new();
        for folder in ["ours", "fake"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for name in [IPC, TCP] {
            dir.command(&format!("ours/{name}"));
        }
        for name in BINDERS {
            write_program(&dir.path().join("fake").join(name), PRINTER);
        }
        Place(dir)
    }

    fn fake(&self) -> std::path::PathBuf {
        self.0.path().join("fake")
    }

    /// Exit code and words of the chain that our `name` becomes.
    fn ours(&self, name: &str, words: &[&str]) -> Found {
        let mut command = Command::new(self.0.path().join("ours").join(name));
        let path = format!("{}:/usr/bin:/bin", self.fake().display());
        found(command.args(words).env("PATH", path).output().unwrap())
    }

    /// The same of Debian's s6-ipcserver, which executes the programs of its package and no others: ours takes the place
    /// of one in a mount namespace. `None` where that cannot be.
    fn debians(&self, words: &[&str]) -> Option<Found> {
        let there = |name: &str| Path::new("/usr/bin").join(name).exists();
        if !there(IPC) || !there(BINDERS[0]) || !rustix::process::geteuid().is_root() {
            eprintln!("s6 is not installed, or not root: not compared");
            return None;
        }
        let script = format!(r#"mount --bind "$0" /usr/bin/{} && exec {IPC} "$@""#, BINDERS[0]);
        let mut command = Command::new("unshare");
        command.args(["-m", "/bin/sh", "-c", &script]).arg(self.fake().join(BINDERS[0])).args(words);
        let mut found = found(command.env("PATH", "/usr/bin:/bin").output().unwrap());
        for word in &mut found.1 {
            if let Some(name) = word.strip_prefix("/usr/bin/").filter(|name| name.starts_with("s6-")) {
                *word = name.to_owned();
            }
        }
        Some(found)
    }
}

type Found = (Option<i32>, Vec<String>);

fn found(done: Output) -> Found {
    let text = String::from_utf8(done.stdout).unwrap();
    (done.status.code(), text.split_terminator('\0').map(str::to_owned).collect())
}

/// A child writes it: no other thread's child can have it open for writing, which would keep it from being executed.
fn write_program(path: &Path, content: &str) {
    let script = r#"printf '%s\n' "$1" > "$0" && chmod 755 "$0""#;
    assert!(Command::new("/bin/sh").args(["-c", script]).arg(path).arg(content).status().unwrap().success());
}

/// A chain as one line.
fn line(words: &[String]) -> String {
    words.iter().map(|word| if word.is_empty() { "''" } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_option_reaches_its_program_in_the_order_of_s6() {
    let place = Place::new();
    for (words, binder, privileges, server) in [
        ("", "", "", ""),
        ("-q", "", "", "-v0"),
        ("-Q", "", "", ""),
        ("-v", "", "", "-v2"),
        ("-v -v", "", "", "-v2"),
        ("-q -v", "", "", "-v2"),
        ("-vq", "", "", "-v0"),
        ("-vQ", "", "", ""),
        ("-d", "", "", ""),
        ("-D", "-D", "", ""),
        ("-Dd", "", "", ""),
        ("-1", "", "", "-1"),
        ("-c 7", "", "", "-c 7"),
        ("-c0", "", "", "-c 1"),
        ("-c 4294967295", "", "", "-c 4294967295"),
        ("-C 0012", "", "", "-C 12"),
        ("-C 0", "", "", "-C 1"),
        ("-C2 -c3", "", "", "-c 3 -C 2"),
        ("-b 5", "-b 5", "", ""),
        ("-b 4294967295", "", "", ""),
        ("-b 5 -b 4294967295", "", "", ""),
        ("-u 5", "", "-u 5", ""),
        ("-u 0", "", "", ""),
        ("-u 5 -u 0", "", "", ""),
        ("-g 6", "", "-g 6", ""),
        ("-g 0", "", "", ""),
        ("-G 1,02,3,", "", "-G 1,2,3", ""),
        ("-G 0", "", "-G 0", ""),
        ("-G1,1", "", "-G 1,1", ""),
        ("-U", "", "-Uz", ""),
        ("-u 5 -U", "", "-Uz", ""),
        ("-G 1 -g 2 -U", "", "-Uz", ""),
        ("-U -u 5", "", "-Uz -u 5", ""),
        ("-G 9 -U -g 3", "", "-Uz -g 3", ""),
        ("-U -u0 -g0", "", "-Uz", ""),
        ("-G 8,9 -g 7 -u 6", "", "-u 6 -g 7 -G 8,9", ""),
        ("-u4294967295", "", "-u 4294967295", ""),
        ("-C3 -c4 -1 -v -U -D -b 2 -G 4 -g 5 -u 6", "-D -b 2", "-Uz -u 6 -g 5 -G 4", "-v2 -1 -c 4 -C 3"),
        ("-D --", "-D", "", ""),
    ] {
        for name in [IPC, TCP] {
            check(&place, name, words, binder, privileges, server);
        }
    }
    for (words, binder, server) in [
        ("-p", "", ""),
        ("-P", "", "-P"),
        ("-Pp", "", ""),
        ("-1P", "", "-1 -P"),
        ("-a 0600", "-a 0600", ""),
        ("-a 60", "-a 060", ""),
        ("-a 7", "-a 07", ""),
        ("-a 0", "-a 00", ""),
        ("-a 1640", "-a 0640", ""),
        ("-a 777", "", ""),
        ("-a 1777", "-a 0777", ""),
        ("-a 600 -a 777", "", ""),
        ("-a 10000000644", "-a 0644", ""),
        ("-a 0660 -P -b 9 -c 2", "-b 9 -a 0660", "-P -c 2"),
    ] {
        check(&place, IPC, words, binder, "", server);
    }
}

/// The chain of a wrapper: what it is to be from the words of its parts.
fn chain(name: &str, binder: &str, privileges: &str, server: &str) -> String {
    let ends = if name == IPC { (BINDERS[0], "p", "s6-ipcserverd") } else { (BINDERS[1], "i o", "s6-tcpserverd") };
    let privileges = if privileges.is_empty() { String::new() } else { format!("s6-applyuidgid {privileges} --") };
    let all = format!("{} {binder} -- {} {privileges} {} {server} -- prog -x --", ends.0, ends.1, ends.2);
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The operands of a wrapper.
fn operands(name: &str) -> &'static [&'static str] {
    if name == IPC { &["p", "prog", "-x", "--"] } else { &["i", "o", "prog", "-x", "--"] }
}

fn check(place: &Place, name: &str, words: &str, binder: &str, privileges: &str, server: &str) {
    let words: Vec<_> = words.split_whitespace().chain(operands(name).iter().copied()).collect();
    let ours = place.ours(name, &words);
    assert_eq!((ours.0, line(&ours.1)), (Some(0), chain(name, binder, privileges, server)), "{name} {words:?}");
    if name == IPC {
        if let Some(debians) = place.debians(&words) {
            assert_eq!(ours, debians, "{words:?}");
        }
    }
}

#[test]
fn empty_words_stay_words() {
    let place = Place::new();
    let words = ["-G", "", "", ""];
    let ours = place.ours(IPC, &words);
    assert_eq!(line(&ours.1), "s6-ipcserver-socketbinder -- '' s6-applyuidgid -G '' -- s6-ipcserverd -- ''");
    if let Some(debians) = place.debians(&words) {
        assert_eq!(ours, debians);
    }
    let ours = place.ours(TCP, &["", "", "", "a", ""]);
    assert_eq!(line(&ours.1), "s6-tcpserver-socketbinder -- '' '' s6-tcpserverd -- '' a ''");
}

#[test]
fn a_backlog_of_nothing_is_one() {
    let place = Place::new();
    check(&place, IPC, "-b 0", "-b 1", "", "");
    // s6-networking's would hand it on, and its super-server would spin on a socket that does not listen.
    check(&place, TCP, "-b 0", "-b 1", "", "");
}

#[test]
fn what_is_no_command_line_is_refused_as_debians_refuses_it() {
    let place = Place::new();
    for words in [
        &[][..],
        &["p"],
        &["-D", "p"],
        &["-x", "p", "prog"],
        &["-b", "x", "p", "prog"],
        &["-b", "-1", "p", "prog"],
        &["-b", "", "p", "prog"],
        &["-b", "4294967296", "p", "prog"],
        &["-c", "x", "p", "prog"],
        &["-C", "1 ", "p", "prog"],
        &["-a", "8", "p", "prog"],
        &["-a", "40000000000", "p", "prog"],
        &["-u", "x", "p", "prog"],
        &["-g", "+1", "p", "prog"],
        &["-G", "x", "p", "prog"],
        &["--help", "p", "prog"],
        &["-p"],
        &["-b"],
    ] {
        let nothing = (Some(100), Vec::new());
        assert_eq!(place.ours(IPC, words), nothing, "{words:?}");
        if let Some(debians) = place.debians(words) {
            assert_eq!(debians, nothing, "{words:?}");
        }
    }
    for words in
        [&["i", "o"][..], &["-P", "i", "o", "prog"], &["-p", "i", "o", "prog"], &["-a", "0600", "i", "o", "prog"]]
    {
        assert_eq!(place.ours(TCP, words), (Some(100), Vec::new()), "{words:?}");
    }
    // Debian's drops the rest of the list: who is named last keeps groups that were to be taken away, or misses some.
    assert_eq!(place.ours(IPC, &["-G", "1,x", "p", "prog"]), (Some(100), Vec::new()));
}

#[test]
fn long_command_lines_are_handed_on_or_refused_never_cut() {
    let place = Place::new();
    let most = linchpin::limits::SERVER_WORDS - 1 - "binder -- p server --".split(' ').count();
    let words: Vec<_> = (0..most).map(|i| i.to_string()).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (code, chain) = place.ours(IPC, &[&["p"], &words[..]].concat());
    assert_eq!(
        (code, &chain[chain.len() - most..]),
        (Some(0), &words.iter().map(|w| w.to_string()).collect::<Vec<_>>()[..])
    );
    assert_eq!(place.ours(IPC, &[&["p", "x"], &words[..]].concat()), (Some(100), Vec::new()));
}

/// An option of a random command line.
#[derive(Clone, Debug)]
enum Choice {
    Verbosity(char),
    Reuse(char),
    Peer(char),
    Ready,
    Most(u32),
    MostOfOne(u32),
    Backlog(u32),
    Permissions(u32),
    Groups(Vec<u32>),
    Gid(u32),
    Uid(u32),
    Environment,
}

fn choice() -> impl Strategy<Value = Choice> {
    let number = || prop_oneof![Just(0), Just(1), 2u32..2000, Just(u32::MAX)];
    prop_oneof![
        prop::sample::select(vec!['q', 'Q', 'v']).prop_map(Choice::Verbosity),
        prop::sample::select(vec!['d', 'D']).prop_map(Choice::Reuse),
        prop::sample::select(vec!['p', 'P']).prop_map(Choice::Peer),
        Just(Choice::Ready),
        number().prop_map(Choice::Most),
        number().prop_map(Choice::MostOfOne),
        number().prop_map(Choice::Backlog),
        (0u32..0o2000).prop_map(Choice::Permissions),
        prop::collection::vec(number(), 0..4).prop_map(Choice::Groups),
        number().prop_map(Choice::Gid),
        number().prop_map(Choice::Uid),
        Just(Choice::Environment),
    ]
}

impl Choice {
    fn words(&self) -> Vec<String> {
        let with = |letter: &str, value: String| vec![format!("-{letter}"), value];
        match self {
            Choice::Verbosity(letter) | Choice::Reuse(letter) | Choice::Peer(letter) => vec![format!("-{letter}")],
            Choice::Ready => vec!["-1".to_owned()],
            Choice::Most(n) => with("c", n.to_string()),
            Choice::MostOfOne(n) => with("C", n.to_string()),
            Choice::Backlog(n) => with("b", n.to_string()),
            Choice::Permissions(n) => with("a", format!("{n:o}")),
            Choice::Groups(groups) => with("G", joined(groups)),
            Choice::Gid(n) => with("g", n.to_string()),
            Choice::Uid(n) => with("u", n.to_string()),
            Choice::Environment => vec!["-U".to_owned()],
        }
    }

    fn is_local(&self) -> bool {
        matches!(self, Choice::Peer(_) | Choice::Permissions(_))
    }
}

fn joined(groups: &[u32]) -> String {
    groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// What the chain is to be: the last word of each kind counts.
fn expected(name: &str, choices: &[Choice]) -> Vec<String> {
    let last = |pick: &dyn Fn(&Choice) -> Option<Vec<String>>| choices.iter().rev().find_map(pick).unwrap_or_default();
    let text = |words: &[&str]| Some(words.iter().map(|word| word.to_string()).collect::<Vec<_>>());
    let limit = |letter: &str, n: u32| text(&[letter, &n.max(1).to_string()]);
    let id = |letter: &str, n: u32| if n == 0 { text(&[]) } else { text(&[letter, &n.to_string()]) };
    let start = choices.iter().rposition(|choice| matches!(choice, Choice::Environment)).map_or(0, |at| at + 1);
    let identity = |pick: &dyn Fn(&Choice) -> Option<Vec<String>>| {
        choices[start..].iter().rev().find_map(pick).unwrap_or_default()
    };

    let reuse = last(&|choice| match choice {
        Choice::Reuse('D') => text(&["-D"]),
        Choice::Reuse(_) => text(&[]),
        _ => None,
    });
    let backlog = last(&|choice| match choice {
        Choice::Backlog(u32::MAX) => text(&[]),
        Choice::Backlog(n) => limit("-b", *n),
        _ => None,
    });
    let permissions = last(&|choice| match choice {
        Choice::Permissions(0o777) => text(&[]),
        Choice::Permissions(n) => text(&["-a", &format!("0{:o}", n & 0o777)]),
        _ => None,
    });
    let environment = if start > 0 { text(&["-Uz"]).unwrap() } else { Vec::new() };
    let uid = identity(&|choice| if let Choice::Uid(n) = choice { id("-u", *n) } else { None });
    let gid = identity(&|choice| if let Choice::Gid(n) = choice { id("-g", *n) } else { None });
    let groups = identity(&|choice| match choice {
        Choice::Groups(groups) => text(&["-G", &joined(groups)]),
        _ => None,
    });
    let verbosity = last(&|choice| match choice {
        Choice::Verbosity('q') => text(&["-v0"]),
        Choice::Verbosity('v') => text(&["-v2"]),
        Choice::Verbosity(_) => text(&[]),
        _ => None,
    });
    let ready = last(&|choice| matches!(choice, Choice::Ready).then(|| vec!["-1".to_owned()]));
    let peer = last(&|choice| match choice {
        Choice::Peer('P') => text(&["-P"]),
        Choice::Peer(_) => text(&[]),
        _ => None,
    });
    let most = last(&|choice| if let Choice::Most(n) = choice { limit("-c", *n) } else { None });
    let most_of_one = last(&|choice| if let Choice::MostOfOne(n) = choice { limit("-C", *n) } else { None });

    let (binder, server) = if name == IPC { (BINDERS[0], "s6-ipcserverd") } else { (BINDERS[1], "s6-tcpserverd") };
    let operands = operands(name);
    let (address, prog) = operands.split_at(operands.len() - 3);
    let mut chain =
        [text(&[binder]).unwrap(), reuse, backlog, permissions, text(&["--"]).unwrap(), text(address).unwrap()]
            .concat();
    let privileges = [environment, uid, gid, groups].concat();
    if !privileges.is_empty() {
        chain.extend([text(&["s6-applyuidgid"]).unwrap(), privileges, text(&["--"]).unwrap()].concat());
    }
    chain.extend([text(&[server]).unwrap(), verbosity, ready, peer, most, most_of_one].concat());
    chain.extend([text(&["--"]).unwrap(), text(prog).unwrap()].concat());
    chain
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_of_options_the_last_of_each_kind_counts(choices in prop::collection::vec(choice(), 0..14)) {
        static PLACE: OnceLock<Place> = OnceLock::new();
        let place = PLACE.get_or_init(Place::new);
        for name in [IPC, TCP] {
            let mut choices = choices.clone();
            choices.retain(|choice| name == IPC || !choice.is_local());
            let words: Vec<_> = choices.iter().flat_map(Choice::words).collect();
            let words: Vec<_> = words.iter().map(String::as_str).chain(operands(name).iter().copied()).collect();
            let ours = place.ours(name, &words);
            prop_assert_eq!(&ours, &(Some(0), expected(name, &choices)), "{} {:?}", name, words);
            if name == IPC {
                if let Some(debians) = place.debians(&words) {
                    prop_assert_eq!(ours, debians, "{:?}", words);
                }
            }
        }
    }
}

/// Our `name` in a directory without links, PATH being `path`.
fn without_links(dir: &Path, name: &str, path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    command.arg0(name).current_dir(dir).env_clear().env("PATH", path);
    command
}

#[test]
fn programs_of_the_chain_that_path_lacks_are_the_binary_itself() {
    let place = Place::new();
    let dir = place.0.path();
    let empty = dir.join("empty");
    std::fs::create_dir(&empty).unwrap();
    write_program(
        &empty.join("s6-ipcserverd"),
        "#!/bin/sh\n/usr/bin/stat -L -c %F /proc/self/fd/0; echo \"$@\"; echo ${UID-none}",
    );
    // The binder and applyuidgid are not there; the daemon is, as somebody else's.
    let mut command = without_links(dir, IPC, &empty);
    command.envs([("UID", "0"), ("GID", "0"), ("GIDLIST", "")]);
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: not tested");
        return;
    }
    let done = command.args(["-U", "-q", "-a", "0700", "p", "prog"]).output().unwrap();
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
    assert_eq!(String::from_utf8(done.stdout).unwrap(), "socket\n-v0 -- prog\nnone\n");
    assert!(dir.join("p").exists());
    // Only commands that s6 has: another name that is missing is missing.
    for missing in ["s6-no-such-thing", "status", "udp-socketbinder", "s6-status"] {
        let done = without_links(dir, "s6-setsid", &empty).arg(missing).output().unwrap();
        assert_eq!(done.status.code(), Some(127), "{missing}");
    }
}

#[test]
fn the_binary_is_found_even_if_its_file_is_gone() {
    let place = Place::new();
    let dir = place.0.path();
    let copy = dir.join("copy");
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_linchpin")).arg(&copy).status().unwrap().success());
    let start = |words: &[&str]| {
        let mut command = Command::new(&copy);
        command.arg0("s6-setlock").current_dir(dir).env_clear().env("PATH", dir.join("fake")).args(words);
        command
    };
    // The second one waits until the first one, which reads, ends; meanwhile the file goes away.
    let mut first = start(&["lock", "/bin/sh", "-c", "echo; exec cat"]);
    first.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut first = first.spawn().unwrap();
    first.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let mut second = start(&["lock", "s6-setsid", "/bin/cat", "/proc/self/comm"]);
    let second = second.stdout(Stdio::piped()).spawn().unwrap();
    std::fs::remove_file(&copy).unwrap();
    drop(first.stdin.take());
    first.wait().unwrap();
    let done = second.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stdout), (Some(0), b"cat\n".to_vec()));
}

/// A server that goes on until it is killed.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says hello over a connection, ends its side, and hears what comes.
fn talk<S: Read + Write>(mut to: S, end: impl Fn(&S) -> std::io::Result<()>) -> String {
    to.write_all(b"hello").unwrap();
    end(&to).unwrap();
    let mut answer = String::new();
    to.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn without_any_link_both_serve() {
    let place = Place::new();
    let dir = place.0.path();
    let empty = dir.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let start = |name: &str, words: &[&str]| {
        let mut command = without_links(dir, name, &empty);
        command.args(["-1", "-G", "", "-c", "3", "-b", "0"]).args(words).args([
            "/bin/sh",
            "-c",
            "echo $PROTO; exec /bin/cat",
        ]);
        let mut server = Server(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut ready = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        (server, ready)
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root, who alone may set groups: not tested");
        return;
    }
    let (_ipc, ready) = start(IPC, &["p"]);
    assert_eq!(ready, "\n");
    assert_eq!(talk(UnixStream::connect(dir.join("p")).unwrap(), |to| to.shutdown(Shutdown::Write)), "IPC\nhello");
    for ip in ["127.0.0.1", "::1"] {
        let (_tcp, ready) = start(TCP, &[ip, "0"]);
        let port: u16 = ready.trim_end().parse().unwrap();
        assert_eq!(talk(TcpStream::connect((ip, port)).unwrap(), |to| to.shutdown(Shutdown::Write)), "TCP\nhello");
    }
}
