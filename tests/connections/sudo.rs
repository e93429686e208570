//! sudo, sudoc and sudod, over a server.

use crate::compare::differ;
use crate::stage::{Stage, end_and_output, eventually, how, status_field};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

/// Serves with sudod.
fn serve(stage: &mut Stage, options: &[&str], words: &[&str]) {
    let sudod = stage.command("sudod").get_program().to_str().unwrap().to_owned();
    stage.serve(&["-v2"], &[&[sudod.as_str()], options, words].concat());
}

/// Has it run something.
fn sudo(stage: &Stage, options: &[&str], words: &[&str]) -> String {
    let mut command = stage.command("sudo");
    command.args(options).arg("s").args(words);
    end_and_output(&mut command)
}

#[test]
fn words_of_the_server_come_first() {
    differ(|stage| {
        serve(stage, &[], &["printf", "%s|"]);
        let seen = sudo(stage, &[], &["a", "b c", "", "-x"]);
        stage.note("words", seen);
        stage.finish();
    });
}

#[test]
fn all_words_may_be_the_clients() {
    differ(|stage| {
        serve(stage, &[], &[]);
        let seen = sudo(stage, &[], &["sh", "-c", "echo said; exit 7"]);
        stage.note("words", seen);
        stage.finish();
    });
}

#[test]
fn the_client_ends_as_the_program_did() {
    differ(|stage| {
        serve(stage, &[], &["sh", "-c"]);
        for script in ["exit 0", "exit 1", "exit 111", "exit 255", "kill -TERM $$", "kill -KILL $$", "kill -USR1 $$"] {
            let seen = sudo(stage, &[], &[script]);
            stage.note(script, seen);
        }
        stage.finish();
    });
}

#[test]
fn the_program_has_the_clients_descriptors() {
    differ(|stage| {
        serve(stage, &[], &["sh", "-c", "cat; echo err >&2; echo out"]);
        stage.file("in", "from the client\n");
        let seen = stage.shell("s6-sudo s <in 2>err; echo $?; cat err");
        stage.note("client", seen);
        stage.finish();
    });
}

#[test]
fn variables_are_taken_over_if_the_server_has_them_empty() {
    differ(|stage| {
        for (name, value) in [("TAKEN", ""), ("SET", "server"), ("LEFT", "")] {
            stage.set(name, value);
        }
        serve(stage, &[], &["sh", "-c", "echo $TAKEN, $SET, ${UNKNOWN-unset}, ${LEFT-unset}"]);
        let variables = [("TAKEN", "client"), ("SET", "client"), ("UNKNOWN", "client")];
        let run = |options: &[&str]| {
            let mut command = stage.command("sudo");
            command.envs(variables).args(options).arg("s");
            end_and_output(&mut command)
        };
        let (with, without) = (run(&[]), run(&["-e"]));
        stage.note("with the environment", with);
        stage.note("without", without);
        stage.finish();
    });
}

#[test]
fn descriptors_may_be_withheld() {
    differ(|stage| {
        stage.file("in", "from the client\n");
        for options in [&["-0"][..], &["-1"], &["-2"], &["-0", "-1", "-2"]] {
            let _ = std::fs::remove_file(stage.path("s"));
            serve(stage, options, &["sh", "-c", "cat; echo err >&2; echo out"]);
            let seen = stage.shell("s6-sudo s <in 2>err; echo $?; cat err");
            stage.note(&format!("{options:?}"), seen);
            stage.finish();
        }
        stage.note("in the server's log", stage.raw_log().matches("err\n").count());
    });
}

/// Whether a process waits for an event in poll(2) or one of its kin.
fn polls(pid: &str) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
    let number = call.split(' ').next().and_then(|word| word.parse().ok());
    let poll = if cfg!(target_arch = "x86_64") { 7 } else { libc::SYS_ppoll }; // the others have none
    number.is_some_and(|number: i64| [poll, libc::SYS_ppoll, libc::SYS_epoll_pwait].contains(&number))
}

/// A client that is killed while its program runs: whether the program goes on.
fn killed(stage: &mut Stage, options: &[&str]) {
    assert!(stage.shell("mkfifo said gate").starts_with("exit 0"));
    // Open for both all the time: what is written stays there, whoever else has a copy for a moment.
    let open = |name| std::fs::File::options().read(true).write(true).open(stage.path(name)).unwrap();
    let (mut lines, mut gate) = (BufReader::new(open("said")).lines(), open("gate"));
    let mut line = || lines.next().unwrap().unwrap();
    // The program says something when it has started, and again when it may end, if it still runs then.
    serve(stage, options, &["sh", "-c", "echo $$ >said; read x <gate; echo goes on >said"]);
    let mut command = stage.command("sudo");
    let mut client = command.arg("s").stdin(Stdio::piped()).spawn().unwrap();
    let program = line();
    // Debian's sudod that has not told its client yet that the program runs does not notice that the client has gone.
    let sudod = status_field(&program, "PPid");
    eventually("the server waits", || polls(&sudod));
    client.kill().unwrap();
    stage.note("the client", how(client.wait().unwrap()));
    if options.is_empty() {
        stage.until("exitcode 1", 1);
        // Nobody may be there who reaps it.
        eventually("the program ends", || matches!(&status_field(&program, "State")[..], "" | "Z (zombie)"));
        stage.note("the program", "ends");
    } else {
        gate.write_all(b"\n").unwrap();
        stage.note("the program", line());
        stage.settled(3);
    }
    stage.finish();
}

#[test]
fn when_the_client_dies_the_program_is_ended() {
    differ(|stage| killed(stage, &[]));
}

#[test]
fn a_detached_program_goes_on_without_its_client() {
    differ(|stage| killed(stage, &["-d"]));
}

#[test]
fn a_program_that_cannot_be_executed() {
    differ(|stage| {
        serve(stage, &[], &["./missing"]);
        let seen = sudo(stage, &[], &[]);
        stage.note("the client", seen);
        stage.settled(3);
        stage.finish();
    });
}

#[test]
fn a_program_that_takes_too_long() {
    differ(|stage| {
        serve(stage, &[], &["sh", "-c", "read x"]);
        let mut command = stage.command("sudo");
        let mut client = command.args(["-T", "300", "s"]).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = client.stdin.take();
        stage.note("the client", how(client.wait().unwrap()));
        drop(stdin);
        stage.settled(3);
        stage.finish();
    });
}

#[test]
fn who_is_no_sudod_is_recognised() {
    differ(|stage| {
        stage.serve(&["-v2"], &["echo", "something else that is long enough"]);
        let seen = sudo(stage, &[], &["true"]);
        stage.note("another server", seen);
        stage.settled(3);
        stage.finish();
        std::fs::remove_file(stage.path("s")).unwrap();
        stage.serve(&["-v2"], &["true"]);
        let seen = sudo(stage, &[], &["true"]);
        stage.note("a server that says nothing", seen);
        stage.finish();
    });
}

#[test]
fn words_that_sudo_refuses() {
    differ(|stage| {
        for words in [&[][..], &["-Z", "s"], &["-t", "x", "s"], &["-T", "x", "s"], &["missing"]] {
            let seen = stage.run("sudo", words);
            stage.note(&words.join(" "), seen);
        }
        for words in [&["-Z"][..], &["-t", "x"]] {
            let seen = stage.run("sudoc", words);
            stage.note(&format!("c {}", words.join(" ")), seen);
            let seen = stage.run("sudod", words);
            stage.note(&format!("d {}", words.join(" ")), seen);
        }
    });
}
