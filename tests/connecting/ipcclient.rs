use crate::beside::{Beside, Ours, Theirs};
use crate::{LOOK, same, seen};
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener};

/// A place to run in, and somebody who listens at `s`.
fn place() -> (Beside, UnixListener) {
    let both = Beside::new();
    let listener = UnixListener::bind(both.path().join("s")).unwrap();
    (both, listener)
}

#[test]
fn the_program_finds_what_it_finds_with_s6() {
    let (both, _listener) = place();
    let long = "x".repeat(300);
    for options in [
        &[][..],
        &["-l", "name"],
        &["-l", ""],
        &["-l", &long],
        &["-v"],
        &["-vv"],
        &["-q"],
        &["-Q"],
        &["-qv"],
        &["-qvv"],
        &["-qqqv"],
        &["-vvQ"],
        &["-vq", "-lx", "--"],
        &["-x"],
        &["--v"],
    ] {
        let done = same(&both, "ipcclient", |command| {
            command.env("IPCLOCALPATH", "old").env("IPCREMOTEPATH", "kept").args(options).args(["s", "sh", "-c", LOOK]);
        });
        assert!(done.code == 100 || done.out.contains("PROTO=IPC\n") && done.out.ends_with("one\n"), "{done:?}");
    }
}

#[test]
fn an_end_with_a_path_is_told_it_and_nothing_is_removed() {
    let (both, _listener) = place();
    for options in [&["-p", "own"][..], &["-p", "own", "-l", "name"], &["-vpown"]] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| {
            let run = || seen(both.command(whose, "ipcclient").args(options).args(["s", "sh", "-c", LOOK]));
            let done = [run(), run()];
            std::fs::remove_file(both.path().join("own")).unwrap();
            done
        });
        assert_eq!(ours, theirs);
        assert_eq!(ours[0].code, 0);
        assert_eq!(ours[1].code, 111);
        assert_eq!(ours[1].err, "s6-ipcclient: fatal: unable to bind socket to own: Address already in use\n");
    }
}

#[test]
fn what_cannot_be_connected_to_is_named() {
    let (both, _listener) = place();
    both.file("file", "");
    drop(UnixListener::bind(both.path().join("left")).unwrap());
    let _datagram = UnixDatagram::bind(both.path().join("datagram")).unwrap();
    for path in ["missing", "file", "left", "datagram", ".", "file/x"] {
        let done = same(&both, "ipcclient", |command| {
            command.args(["-p", "own", path, "env"]);
            let _ = std::fs::remove_file(both.path().join("own"));
        });
        assert_eq!(done.code, 111);
        assert!(done.err.starts_with(&format!("s6-ipcclient: fatal: unable to connect to {path}: ")), "{done:?}");
    }
    for words in [&["s"][..], &[], &["-l"], &["-l", "s", "true"], &["s", "no-such-program"]] {
        same(&both, "ipcclient", |command| {
            command.args(words);
        });
    }
}

#[test]
fn paths_that_a_socket_cannot_have_are_refused() {
    let (both, _listener) = place();
    let fits = "x".repeat(107);
    let _listening = UnixListener::bind(both.path().join("l")).unwrap();
    std::fs::rename(both.path().join("l"), both.path().join(&fits)).unwrap();
    same(&both, "ipcclient", |command| {
        command.args(["-v", &fits, "true"]);
    });
    // Debian's says "Protocol error", later versions what ours says.
    let long = "x".repeat(108);
    let ours = |words: &[&str]| seen(both.command(Ours, "ipcclient").args(words));
    let done = ours(&[&long, "true"]);
    assert_eq!((done.code, done.err.ends_with("x: File name too long\n")), (111, true));
    assert_eq!(ours(&["-p", &long, "s", "true"]).code, 111);
    // Debian's takes them for abstract names of 107 NULs.
    assert_eq!(ours(&["", "true"]).err, "s6-ipcclient: fatal: unable to connect to : No such file or directory\n");
    assert_eq!(
        ours(&["-p", "", "s", "true"]).err,
        "s6-ipcclient: fatal: unable to bind socket to : Invalid argument\n"
    );
}

#[test]
fn the_connection_is_6_and_7_whatever_number_it_had() {
    let (both, _listener) = place();
    for open in ["", "4</dev/null 5</dev/null", "3</dev/null 4</dev/null 5</dev/null 6</dev/null"] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| {
            let client = both.command(whose, "ipcclient");
            let script = format!(
                "exec 3<&- 4<&- 5<&- 6<&- 7<&- 3</dev/null {open}; exec \"$0\" s sh -c '{}'",
                LOOK.replace('\'', "'\\''")
            );
            let mut shell = std::process::Command::new("sh");
            shell.arg("-c").arg(script).arg(client.get_program()).current_dir(both.path()).env_clear();
            seen(shell.env("PATH", std::env::var_os("PATH").unwrap()))
        });
        assert_eq!(ours, theirs, "{open}");
        assert!(ours.code == 0 && ours.out.contains("6 socket\n7 socket\n"), "{ours:?}");
    }
}

#[test]
fn too_few_descriptors_are_an_error_and_no_program() {
    let (both, _listener) = place();
    let [theirs, ours] = [Theirs, Ours].map(|whose| {
        let client = both.command(whose, "ipcclient");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "ulimit -n 7; exec \"$0\" s echo ran"]).arg(client.get_program()).current_dir(both.path());
        seen(&mut shell)
    });
    assert_eq!(ours, theirs);
    assert_eq!((ours.code, &*ours.out), (111, ""));
}

#[test]
fn bytes_go_both_ways() {
    let (both, listener) = place();
    for whose in [Theirs, Ours] {
        let mut command = both.command(whose, "ipcclient");
        command.args(["s", "sh", "-c", "echo question >&7; exec 7>&-; cat <&6"]);
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut peer, _) = listener.accept().unwrap();
                let mut asked = [0; 9];
                peer.read_exact(&mut asked).unwrap();
                peer.write_all(&asked).unwrap();
            });
            seen(&mut command)
        });
        assert_eq!((done.code, &*done.out), (0, "question\n"), "{whose:?}");
    }
}
