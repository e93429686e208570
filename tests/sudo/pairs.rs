//! Every client with every server: ours with ours, ours with Debian's.

use crate::beside::*;
use crate::side::*;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// Client, server.
const PAIRS: [(Whose, Whose); 4] = [(Ours, Ours), (Ours, Theirs), (Theirs, Ours), (Theirs, Theirs)];

/// Does the same with every pair, over Debian's s6-ipcserver and s6-ipcclient.
fn every_pair(words: &[&str], server_words: &[&str]) -> Vec<Outcome> {
    let outcomes = PAIRS.iter().map(|(client, server)| {
        let both = Beside::new();
        let _service = Service::start(&both, *server, server_words, &[("TAKEN", "")]);
        let mut command = sudoc(&both, *client, words);
        outcome(command.env("TAKEN", "by the client").env("OTHER", "x"))
    });
    outcomes.collect()
}

fn all(outcome: Outcome) -> Vec<Outcome> {
    vec![outcome; PAIRS.len()]
}

#[test]
fn the_exit_code_is_the_programs() {
    for code in [0, 7, 111, 128] {
        assert_eq!(every_pair(&["sh", "-c", &format!("exit {code}")], &[]), all(Outcome::code(code)));
    }
    // Debian's client makes 128 of everything above.
    assert_eq!(every_pair(&["sh", "-c", "exit 255"], &[]), [255, 255, 128, 128].map(Outcome::code));
}

/// Debian's client does not let itself be killed; it ends with the code that a shell makes of that.
#[test]
fn a_program_killed_by_a_signal_has_the_client_killed_by_it() {
    for (name, number) in
        [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("HUP", 1), ("USR1", 10), ("PIPE", 13), ("RTMIN", 34)]
    {
        let script = format!("kill -s {name} $$; exit 3");
        assert_eq!(
            every_pair(&["bash", "-c", &script], &[]),
            [1000, 1000, 128, 128].map(|base| Outcome::code(base + number)),
            "{name}"
        );
    }
}

#[test]
fn the_words_of_the_server_come_first() {
    assert_eq!(every_pair(&["client", ""], &["printf", "%s,", "server"]), all(Outcome::says("server,client,,")));
}

#[test]
fn words_of_the_server_alone_are_a_program() {
    assert_eq!(every_pair(&[], &["echo", "server"]), all(Outcome::says("server\n")));
}

/// Debian's server runs nothing and says that this went well; later ones refuse, as ours does.
#[test]
fn no_words_at_all_are_refused() {
    let outcomes = every_pair(&[], &[]);
    assert_eq!(outcomes, [111, 0, 111, 0].map(Outcome::code));
}

#[test]
fn a_program_that_is_not_there_is_told() {
    // Debian's server lets its child say so too, on the client's standard error.
    assert_eq!(every_pair(&["/nonexistent"], &[]), all(Outcome::code(111)));
    assert_eq!(every_pair(&["/etc/passwd"], &[]), all(Outcome::code(111)));
}

#[test]
fn the_client_says_why_the_program_could_not_be_started() {
    for server in BOTH {
        let both = Beside::new();
        let _service = Service::start(&both, server, &[], &[]);
        let output = sudoc(&both, Ours, &["/nonexistent"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let why = "s6-sudoc: fatal: unable to start privileged program: server answered: No such file or directory\n";
        assert!(said.contains(why), "{server:?}: {said}");
        if server == Ours {
            assert_eq!(said, why);
            let log = content(&both.path().join("log"));
            assert_eq!(log, "s6-sudod: fatal: unable to start /nonexistent: No such file or directory\n");
        }
    }
}

#[test]
fn the_program_has_the_clients_input_and_output() {
    for (client, server) in PAIRS {
        let both = Beside::new();
        let _service = Service::start(&both, server, &[], &[]);
        let mut command = sudoc(&both, client, &["sh", "-c", "cat; echo error >&2"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(b"from the client\n").unwrap();
        let output = process.wait_with_output().unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"from the client\n"[..], &b"error\n"[..]));
    }
}

#[test]
fn the_client_offers_its_environment_unless_told_not_to() {
    let script = ["sh", "-c", "echo $TAKEN,$OTHER"];
    assert_eq!(every_pair(&script, &[]), all(Outcome::says("by the client,\n")));
    assert_eq!(every_pair(&[&["-e"], &script[..]].concat(), &[]), all(Outcome::says(",\n")));
}

#[test]
fn a_long_request_arrives() {
    let long = "x".repeat(100_000);
    assert_eq!(every_pair(&["sh", "-c", "echo ${#1}", "sh", &long], &[]), all(Outcome::says("100000\n")));
    let many: Vec<String> = (0..4000).map(|n| format!("word {n}")).collect();
    let words: Vec<&str> = ["sh", "-c", "echo $#", "sh"].into_iter().chain(many.iter().map(String::as_str)).collect();
    assert_eq!(every_pair(&words, &[]), all(Outcome::says("4000\n")));
}

/// Debian's client cannot send more than what goes into a socket at once; nobody can send ours more than fits.
#[test]
fn a_request_that_is_too_long_is_refused_by_the_client_and_by_the_server() {
    let (half, both) = ("x".repeat(130_000), Beside::new());
    let _service = Service::start(&both, Ours, &[], &[]);
    let output = sudoc(&both, Ours, &["true", &half, &half, &half]).output().unwrap();
    assert_eq!(outcome_of(&output), Outcome::code(100));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("s6-sudoc: fatal: arguments and environment are longer than"), "{said}");
    // More than goes into a socket at once, and it fits.
    assert_eq!(
        outcome(sudoc(&both, Ours, &["sh", "-c", "exit 4", "", &half, &"x".repeat(130_000)]).env_clear()).code,
        4
    );
    let words = vec!["x"; 9000];
    let output = sudoc(&both, Ours, &[&["true"], &words[..]].concat()).output().unwrap();
    assert_eq!(outcome_of(&output), Outcome::code(111));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with("server answered: Argument list too long\n"), "{said}");
    let log = content(&both.path().join("log"));
    let log = log.lines().last().unwrap_or_default();
    assert_eq!(log, "s6-sudod: fatal: client sent 9001 arguments, behind 0 of ours: 8192 is the most");
}

#[test]
fn a_program_that_runs_too_long_is_given_up_and_ended() {
    for (client, server) in PAIRS {
        let both = Beside::new();
        let _service = Service::start(&both, server, &[], &[]);
        // It has our standard output: when that ends, it has ended.
        let mut command = sudoc(&both, client, &["-t", "20000", "-T", "50", "sleep", "1000"]);
        assert_eq!(outcome(command.stderr(Stdio::null())), Outcome::code(111), "{client:?} {server:?}");
    }
}

/// Debian's server leaves the program behind if it was about to say that it runs.
#[test]
fn a_client_that_dies_has_its_program_ended() {
    for client in BOTH {
        let both = Beside::new();
        let _service = Service::start(&both, Ours, &[], &[]);
        let mut output = Output::new();
        let mut command = sudoc(&both, client, &["sh", "-c", "echo up; exec sleep 1000"]);
        command.stdout(output.file());
        let mut process = command.spawn().unwrap();
        drop(command);
        assert_eq!(output.line(), "up\n");
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(output.all(), "");
    }
}

/// Nothing between the two but a pair of sockets.
#[test]
fn a_pair_of_sockets_is_enough() {
    for (client, server) in PAIRS {
        let both = Beside::new();
        let (one, other) = UnixStream::pair().unwrap();
        let (other, log) = (OwnedFd::from(other), std::fs::File::create(both.path().join("log")).unwrap());
        let mut sudod = both.command(server, "sudod");
        let mut sudod = sudod.stdin(other.try_clone().unwrap()).stdout(other).stderr(log).spawn().unwrap();
        let said = outcome(&mut sudoc_at(&both, client, one, &["sh", "-c", "echo x; exit 5"]));
        assert_eq!(said, Outcome { code: 5, out: "x\n".to_owned() }, "{client:?} {server:?}");
        assert_eq!((code(&mut sudod), content(&both.path().join("log"))), (0, String::new()));
    }
}
