//! How sudod runs a program, and ends it.

use crate::beside::*;
use crate::side::*;
use linchpin::sys::Fd;
use std::fs::{self, File};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::process::Command;

/// Standard descriptors of a client, as files that can be told apart.
struct Files([File; 3]);

impl Files {
    fn new(both: &Beside) -> Files {
        Files(["client0", "client1", "client2"].map(|name| {
            both.file(name, "");
            File::options().read(true).write(true).open(both.path().join(name)).unwrap()
        }))
    }

    fn fds(&self) -> [Fd; 3] {
        [0, 1, 2].map(|n| Fd(self.0[n].as_raw_fd()))
    }
}

/// Writes into `report` what the standard descriptors are.
const REPORT: &str =
    "for n in 0 1 2; do set -- \"$@\" \"$(basename \"$(readlink /proc/$$/fd/$n)\")\"; done; echo \"$*\" >report";

#[test]
fn which_descriptors_are_the_clients_is_for_the_server_to_say() {
    for (options, expected) in [
        (&[][..], "client0 client1 client2\n"),
        (&["-0"], "null client1 client2\n"),
        (&["-1"], "client0 null client2\n"),
        (&["-2"], "client0 client1 log\n"),
        (&["-02"], "null client1 log\n"),
        (&["-0", "-1", "-2"], "null null log\n"),
        (&["-d"], "null null log\n"),
        (&["-t", "20000", "-d1"], "null null log\n"),
    ] {
        for whose in BOTH {
            let both = Beside::new();
            let sudod = Sudod::start(&both, whose, options, &[]);
            sudod.ask(&["sh", "-c", REPORT], &[], Files::new(&both).fds());
            assert_eq!(hear(&sudod.socket, 5), [0; 5]);
            assert_eq!(content(&both.path().join("report")), expected, "{whose:?} {options:?}");
            assert_eq!(sudod.end(), (0, String::new()));
        }
    }
}

/// The names of what a process has open.
fn open_in(pid: u32) -> Vec<String> {
    let listed = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = listed.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

#[test]
fn nobody_keeps_what_came_from_the_client_but_the_program() {
    for whose in BOTH {
        let both = Beside::new();
        let sudod = Sudod::start(&both, whose, &[], &[]);
        let (mut output, files) = (Output::new(), Files::new(&both));
        let [input, _, error] = files.fds();
        sudod.ask(&["sh", "-c", "echo $$; exec sleep 1000"], &[], [input, output.end(), error]);
        assert_eq!(hear(&sudod.socket, 1), [0]);
        let program: u32 = output.line().trim().parse().unwrap();
        let clients = |pid| open_in(pid).iter().filter(|name| name.contains("/client")).count();
        // Debian's closes them when it has seen that its child runs, as ours.
        assert_eq!((clients(sudod.pid()), clients(program)), (0, 2), "{whose:?}");
        assert!(!open_in(program).iter().any(|name| name.contains("signalfd") || name.contains("eventpoll")));
        drop(sudod);
        Command::new("kill").arg(program.to_string()).status().unwrap();
    }
}

#[test]
fn a_program_begins_with_the_signals_that_the_server_began_with() {
    let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let both = Beside::new();
    for whose in BOTH {
        let (_, written, _) = run(&both, whose, &["sh", "-c", script], program(&[]));
        let sets = written.lines().map(|line| u64::from_str_radix(line.split_once('\t').unwrap().1, 16).unwrap());
        // Whoever runs the tests may have it that real-time signals are ignored.
        assert_eq!(sets.map(|set| set & 0x7fff_ffff).collect::<Vec<_>>(), [0, 0], "{whose:?}");
    }
}

#[test]
fn a_server_that_was_told_to_ignore_its_children_does_not() {
    let both = Beside::new();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' CHLD; exec \"$@\"", "sh", &path_of(&both, Ours, "sudod")]).current_dir(both.path());
    let (sudod, output) = (Sudod::of(&both, command), Output::new());
    sudod.ask(&["sh", "-c", "exit 6"], &[], [output.end(); 3]);
    assert_eq!(hear(&sudod.socket, 5), [0, 0, 0, 6, 0]);
}

#[test]
fn the_wait_status_is_told_as_it_is() {
    for (script, status) in
        [("exit 255", [0, 0, 255, 0]), ("kill -9 $$", [0, 0, 0, 9]), ("kill -TERM $$", [0, 0, 0, 15])]
    {
        for whose in BOTH {
            let both = Beside::new();
            let (answers, _, code) = run(&both, whose, &[], program(&["sh", "-c", script]));
            assert_eq!((&answers[..1], &answers[1..], code), (&[0][..], &status[..], 0), "{whose:?} {script}");
        }
    }
}

#[test]
fn a_client_that_hangs_up_has_its_program_told_to_end() {
    for whose in BOTH {
        let both = Beside::new();
        let sudod = Sudod::start(&both, whose, &[], &[]);
        let (mut output, (mut never, mut writes)) = (Output::new(), Fd::pipe().unwrap());
        // A signal just before the shell begins to read is seen when that is over.
        let script = "trap 'echo term; exit 3' TERM; echo up; while :; do read -t 0.1 x; done";
        sudod.ask(&["bash", "-c", script], &[], [never, output.end(), output.end()]);
        assert_eq!((output.line().as_str(), hear(&sudod.socket, 1)), ("up\n", vec![0]));
        sudod.socket.shutdown(Shutdown::Both).unwrap();
        assert_eq!((output.all().as_str(), sudod.end()), ("term\n", (1, String::new())), "{whose:?}");
        for fd in [&mut never, &mut writes] {
            fd.close();
        }
    }
}

#[test]
fn a_program_that_was_stopped_ends_too() {
    for whose in BOTH {
        let both = Beside::new();
        let sudod = Sudod::start(&both, whose, &[], &[]);
        let mut output = Output::new();
        sudod.ask(&["sh", "-c", "echo $$; kill -STOP $$; echo continued; exec sleep 1000"], &[], [output.end(); 3]);
        let pid = output.line();
        assert_eq!(hear(&sudod.socket, 1), [0]);
        let status = format!("/proc/{}/status", pid.trim());
        eventually(|| fs::read_to_string(&status).unwrap().contains("State:\tT"));
        sudod.socket.shutdown(Shutdown::Both).unwrap();
        assert_eq!((output.all().as_str(), sudod.end().0), ("", 1), "{whose:?}");
    }
}

#[test]
fn with_d_a_program_outlives_its_client() {
    for whose in BOTH {
        let both = Beside::new();
        assert!(Command::new("mkfifo").arg(both.path().join("go")).status().unwrap().success());
        let sudod = Sudod::start(&both, whose, &["-d"], &[]);
        sudod.ask(&["sh", "-c", "read x <go; echo $x >report"], &[], Files::new(&both).fds());
        assert_eq!(hear(&sudod.socket, 1), [0]);
        sudod.socket.shutdown(Shutdown::Both).unwrap();
        fs::write(both.path().join("go"), "done\n").unwrap();
        assert_eq!(sudod.end(), (0, String::new()), "{whose:?}");
        assert_eq!(content(&both.path().join("report")), "done\n");
    }
}

/// It has said all that it has to say; it may be there still.
#[test]
fn a_client_that_only_stops_sending_or_says_more_is_not_gone() {
    for whose in BOTH {
        for more in [&b""[..], b"more than a request"] {
            let both = Beside::new();
            let (sudod, output) = (Sudod::start(&both, whose, &[], &[]), Output::new());
            let (mut reads, mut go) = Fd::pipe().unwrap();
            sudod.ask(&["sh", "-c", "read x; echo $x; exit 2"], &[], [reads, output.end(), output.end()]);
            assert_eq!(hear(&sudod.socket, 1), [0]);
            assert!(more.is_empty() || send(&sudod.socket, more, &[]));
            sudod.socket.shutdown(Shutdown::Write).unwrap();
            linchpin::sys::file::write_all(go, b"went on\n").unwrap();
            assert_eq!(output.all(), "went on\n", "{whose:?}");
            assert_eq!((hear(&sudod.socket, 4), sudod.end().0), (vec![0, 0, 2, 0], 0));
            for fd in [&mut reads, &mut go] {
                fd.close();
            }
        }
    }
}

#[test]
fn a_server_without_a_unix_socket_says_so() {
    let both = Beside::new();
    assert_eq!(both.same("sudod", &["true"]), Outcome { code: 111, out: "s6-sudo b v1.0\n".to_owned() });
    for wrong in [&["-x"][..], &["-t", "x"], &["-t"], &["--detach"]] {
        assert_eq!(both.same("sudod", wrong), Outcome::code(100), "{wrong:?}");
        assert_eq!(both.same("sudoc", wrong), Outcome::code(100), "{wrong:?}");
    }
}
