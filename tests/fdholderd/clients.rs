//! Debian's clients, and ours, of Debian's daemon and of ours.

use crate::daemon::{Daemon, EVERYTHING, Ours, Theirs, Whose, command};
use std::process::Stdio;

/// What a client says to one daemon or two (`S` is the socket, `D` the second one's): exit code, output, errors.
fn run(client: Whose, daemons: &[&Daemon; 2], words: &[&str]) -> (Option<i32>, String, String) {
    let paths = daemons.map(|daemon| daemon.path().join("s").to_str().unwrap().to_owned());
    let mut program = command(client, &format!("fdholder-{}", words[0]));
    for word in &words[1..] {
        program.arg(match *word {
            "S" => &paths[0],
            "D" => &paths[1],
            other => other,
        });
    }
    let output = program.stdin(Stdio::null()).output().expect("s6 is installed");
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&paths[0], "S").replace(&paths[1], "D");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_client_sees_the_same_of_both_daemons() {
    let longest = "x".repeat(60);
    // bash, because others drop a variable that is called `S6_FD#`.
    let shown = ["bash", "-c", "env | grep ^S6_FD | grep -v ^S6_FD_ | sort"];
    let script: Vec<Vec<&str>> = vec![
        vec!["list", "S"],
        vec!["store", "S", "a"],
        vec!["store", "S", "a"],
        vec!["store", "-T", "3600000", "S", &longest],
        vec!["retrieve", "S", "a", "readlink", "/proc/self/fd/0"],
        vec!["retrieve", "S", "nope", "true"],
        [&["getdump", "S"][..], &["bash", "-c", "echo $(env | grep -c ^S6_FD_) && env | grep ^S6_FDID | sort"]]
            .concat(),
        vec!["getdump", "S", "s6-fdholder-setdump", "D"],
        vec!["transferdump", "S", "D"],
        vec!["retrieve", "D", "a", "readlink", "/proc/self/fd/0"],
        vec!["delete", "D", "a"],
        vec!["retrieve", "-D", "S", "a", "true"],
        vec!["retrieve", "-D", "S", "a", "true"],
        vec!["delete", "D", &longest],
        [&["getdump", "D"][..], &shown].concat(),
    ];
    let mut expected = Vec::new();
    for (daemon, client) in [(Theirs, Theirs), (Ours, Theirs), (Theirs, Ours), (Ours, Ours)] {
        let daemons = [(); 2].map(|()| Daemon::start(daemon, EVERYTHING, &[]));
        let seen: Vec<_> = script.iter().map(|words| run(client, &[&daemons[0], &daemons[1]], words)).collect();
        if expected.is_empty() {
            expected = seen;
            continue;
        }
        for ((words, seen), expected) in script.iter().zip(&seen).zip(&expected) {
            assert_eq!(seen, expected, "{client:?} client of {daemon:?} daemon: {words:?}");
        }
    }
}
