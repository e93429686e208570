//! How the daemon starts, and why it does not; the command that makes its socket first.

use crate::daemon::{EVERYTHING, Ours, Theirs, Whose, command, listener, write_rules};
use crate::raw::{Raw, Said};
use crate::tmp::TempDir;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code and standard error, without the usage.
fn failed(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("s6 is installed");
    assert_eq!(output.stdout, b"");
    let err = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), err.split_inclusive(": usage: ").next().unwrap_or_default().to_owned())
}

/// The same for both.
fn both_fail(make: impl Fn(Command) -> Command) -> (Option<i32>, String) {
    let [theirs, ours] = [Theirs, Ours].map(|whose| failed(make(command(whose, "fdholderd"))));
    assert_eq!(ours, theirs);
    ours
}

#[test]
fn wrong_usage_and_missing_rules_are_told() {
    for words in [&["-q"][..], &["-c"], &["-c", "x"], &["-n", "-1"], &["-t", ""], &["-i"], &["-x"]] {
        let (code, err) = both_fail(|mut command| {
            command.args(words);
            command
        });
        assert_eq!((code, err.as_str()), (Some(100), "s6-fdholderd: usage: "), "{words:?}");
    }
    let (code, err) = both_fail(|command| command);
    assert_eq!((code, err.as_str()), (Some(100), "s6-fdholderd: fatal: no access rights specified!\n"));
}

#[test]
fn standard_input_must_be_a_listening_socket() {
    let dir = TempDir::new();
    let run = |stdin: &dyn Fn() -> Stdio| {
        both_fail(|mut command| {
            command.args(["-i", "x"]).current_dir(dir.path()).stdin(stdin());
            command
        })
    };
    assert_eq!(run(&Stdio::null), (Some(100), "s6-fdholderd: fatal: stdin is not a socket\n".to_owned()));
    let connected = || {
        // Its peer is gone at once: there is something to look at.
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        Stdio::from(std::os::fd::OwnedFd::from(socket))
    };
    assert_eq!(run(&connected), (Some(111), "s6-fdholderd: fatal: unable to accept: Invalid argument\n".to_owned()));
}

/// A shell that changes something about its descriptors, then runs the daemon on a listening socket.
fn through_shell(change: &'static str) -> (Option<i32>, String) {
    both_fail(|program| {
        let dir = TempDir::new();
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("exec 3>&- 4>&- 5>&- 6>&-; {change}; exec \"$@\""))
            .arg("sh")
            .arg(program.get_program())
            .args(program.get_args());
        shell.args(["-1", "-i", "x"]).stdin(listener(&dir.path().join("s")));
        shell
    })
}

#[test]
fn missing_descriptors_are_told() {
    let fatal = |text: &str| format!("s6-fdholderd: fatal: {text}\n");
    let closed = through_shell("exec >&-");
    assert_eq!(closed, (Some(100), fatal("called with option -1 but stdout said: Bad file descriptor")));
    assert_eq!(through_shell("exec <&-"), (Some(111), fatal("unable to fstat stdin: Bad file descriptor")));
    assert_eq!(through_shell("ulimit -n 6"), (Some(111), fatal("open file limit too low")));
}

#[test]
fn a_file_of_rules_must_be_there_and_be_a_constant_database() {
    let dir = TempDir::new();
    let run = |whose: Whose, file: &str| {
        let socket = dir.path().join(format!("s-{whose:?}-{file}"));
        let mut program = command(whose, "fdholderd");
        program.args(["-x", file]).current_dir(dir.path()).stdin(listener(&socket));
        std::fs::remove_file(socket).unwrap();
        failed(program)
    };
    let fatal = |text: &str| (Some(111), format!("s6-fdholderd: fatal: unable to cdb_init {text}\n"));
    std::fs::write(dir.path().join("empty"), "").unwrap();
    for file in ["missing", "empty"] {
        assert_eq!(run(Ours, file), run(Theirs, file));
    }
    assert_eq!(run(Ours, "missing"), fatal("missing: No such file or directory"));
    // Debian's starts with these, and refuses everybody.
    std::fs::write(dir.path().join("junk"), "junk").unwrap();
    assert_eq!(run(Ours, "junk"), fatal("junk: Invalid argument"));
    std::fs::write(dir.path().join("large"), vec![0; 256 * 1024]).unwrap();
    assert_eq!(run(Ours, "large"), fatal("large: File too large"));
}

#[test]
fn without_1_nothing_is_written_and_standard_output_is_let_go_of() {
    for whose in [Theirs, Ours] {
        let dir = TempDir::new();
        write_rules(&dir.path().join("rules"), EVERYTHING);
        let mut program = command(whose, "fdholderd");
        program
            .args(["-i", "rules"])
            .current_dir(dir.path())
            .stdin(listener(&dir.path().join("s")))
            .stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "");
        assert_eq!(Raw::connect(&dir.path().join("s")).ask(b"L", &[]), Said::Answer(vec![0; 5], Vec::new()));
        linchpin::sys::process::kill(child.id() as i32, libc::SIGTERM).unwrap();
        child.wait().unwrap();
    }
}

/// Starts an s6-fdholder-daemon in `dir` and waits until it is ready.
fn daemon(whose: Whose, dir: &Path, options: &[&str]) -> Result<std::process::Child, (Option<i32>, String)> {
    let mut program = command(whose, "fdholder-daemon");
    let err = std::fs::File::create(dir.join("err")).unwrap();
    program.args(["-1", "-i", "rules"]).args(options).arg("s").current_dir(dir);
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).spawn().unwrap();
    let mut ready = String::new();
    child.stdout.take().unwrap().read_to_string(&mut ready).unwrap();
    if ready == "\n" {
        return Ok(child);
    }
    Err((child.wait().unwrap().code(), std::fs::read_to_string(dir.join("err")).unwrap()))
}

fn end(mut child: std::process::Child) -> Option<i32> {
    linchpin::sys::process::kill(child.id() as i32, libc::SIGTERM).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn the_daemon_makes_its_socket_and_serves() {
    for whose in [Theirs, Ours] {
        let dir = TempDir::new();
        write_rules(&dir.path().join("rules"), EVERYTHING);
        for _ in 0..2 {
            let child = daemon(whose, dir.path(), &["-c", "0", "-n", "0", "-t", "0", "-T", "0", "-v", "2"]).unwrap();
            let path = dir.path().join("s");
            let meta = std::fs::metadata(&path).unwrap();
            assert!(meta.file_type().is_socket());
            assert_eq!(meta.permissions().mode() & 0o777, 0o777);
            let peer = Raw::connect(&path);
            assert_eq!(peer.ask(b"L", &[]), Said::Answer(vec![0; 5], Vec::new()));
            assert_eq!(end(child), Some(2));
            assert!(path.exists(), "the next one takes it over");
        }
    }
}

#[test]
fn the_daemon_becomes_who_it_is_told_to_be() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let seen = [Theirs, Ours].map(|whose| {
        [&["-u", "7", "-g", "8", "-G", "9,10"][..], &["-U"], &["-U", "-g", "11"], &["-u", "0"]].map(|options| {
            let dir = TempDir::new();
            write_rules(&dir.path().join("rules"), EVERYTHING);
            let mut program = command(whose, "fdholder-daemon");
            program.env("UID", "5").env("GID", "6").env("GIDLIST", "6,12");
            program.args(["-1", "-i", "rules"]).args(options).arg("s").current_dir(dir.path());
            let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.take().unwrap().read_to_string(&mut String::new()).unwrap();
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let lines =
                status.lines().filter(|line| ["Uid:", "Gid:", "Groups:"].iter().any(|name| line.starts_with(name)));
            let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
            let owner = std::fs::metadata(dir.path().join("s")).unwrap().uid();
            end(child);
            (lines, owner)
        })
    });
    assert_eq!(seen[0], seen[1]);
    assert!(seen[1][0].0[0].starts_with("Uid:\t7\t7"), "{seen:?}");
}

#[test]
fn the_daemon_tells_what_it_lacks() {
    let dir = TempDir::new();
    for words in [&["s"][..], &["-i", "rules"], &["-q", "s"], &["-i", "rules", "-b", "x", "s"]] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| {
            let mut program = command(whose, "fdholder-daemon");
            program.args(words).current_dir(dir.path()).stdin(Stdio::null());
            let (code, err) = failed(program);
            // Which of the programs says it is s6's own.
            (code, err.split_once(": ").unwrap().1.to_owned())
        });
        assert_eq!(ours, theirs, "{words:?}");
        assert_eq!(ours.0, Some(100));
    }
}

#[test]
fn a_socket_that_would_not_listen_is_refused() {
    let dir = TempDir::new();
    write_rules(&dir.path().join("rules"), EVERYTHING);
    // Debian's says that it is ready, and then ends.
    assert_eq!(daemon(Theirs, dir.path(), &["-b", "0"]).unwrap().wait().unwrap().code(), Some(111));
    std::fs::remove_file(dir.path().join("s")).unwrap();
    let refused = "s6-fdholder-daemon: fatal: -b 0: nobody could connect\n".to_owned();
    assert_eq!(daemon(Ours, dir.path(), &["-b", "0"]).map(end), Err((Some(100), refused)));
    assert!(!dir.path().join("s").exists());
}
