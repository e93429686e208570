//! sudo: what it becomes.

use crate::beside::*;
use crate::side::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A directory for PATH in which these programs say with which words they were called.
fn echoes(both: &Beside, names: &[&str]) -> String {
    let dir = both.path().join("path");
    std::fs::create_dir(&dir).unwrap();
    for name in names {
        let path = dir.join(name);
        std::fs::write(&path, "#!/bin/sh\nfor word in \"${0##*/}\" \"$@\"; do printf '%s|' \"$word\"; done\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

/// Debian's executes the same words, by their full paths (seen with strace).
#[test]
fn it_becomes_an_ipcclient_that_becomes_a_sudoc() {
    let both = Beside::new();
    let path = echoes(&both, &["s6-ipcclient", "s6-sudoc"]);
    for (words, expected) in [
        (&["sock", "a", "b"][..], "--|sock|s6-sudoc|-t|0|-T|0|--|a|b|"),
        (&["sock"], "--|sock|s6-sudoc|-t|0|-T|0|--|"),
        (&["-e", "-T", "6", "-t5", "sock", "-v"], "--|sock|s6-sudoc|-e|-t|5|-T|6|--|-v|"),
        (&["-l", "local", "-p", "bind", "sock"], "-p|bind|-l|local|--|sock|s6-sudoc|-t|0|-T|0|--|"),
        (&["-q", "sock"], "-Q|--|sock|s6-sudoc|-t|0|-T|0|--|"),
        (&["-qq", "-v", "--", "sock"], "--|sock|s6-sudoc|-t|0|-T|0|--|"),
        (&["-v", "sock"], "-v|--|sock|s6-sudoc|-t|0|-T|0|--|"),
        (&["-vvvvvvv", "sock"], "-v|-v|-v|--|sock|s6-sudoc|-t|0|-T|0|--|"),
        (&["-vvQ", "sock"], "--|sock|s6-sudoc|-t|0|-T|0|--|"),
    ] {
        let said = outcome(both.command(Ours, "sudo").env("PATH", &path).args(words));
        assert_eq!(said, Outcome::says(&format!("s6-ipcclient|{expected}")), "{words:?}");
    }
}

#[test]
fn wrong_words_are_refused() {
    let both = Beside::new();
    for words in [&[][..], &["-x", "sock"], &["-t", "x", "sock"], &["-T", "-1", "sock"], &["-p"], &["-e"]] {
        assert_eq!(both.same("sudo", words), Outcome::code(100), "{words:?}");
    }
    assert_eq!(both.same("sudo", &["nothing-here", "true"]), Outcome::code(111));
}

#[test]
fn many_words_pass_and_too_many_are_refused() {
    let both = Beside::new();
    let path = echoes(&both, &["s6-ipcclient", "s6-sudoc"]);
    let run = |count| outcome(both.command(Ours, "sudo").env("PATH", &path).arg("sock").args(vec!["x"; count]));
    let said = run(8000);
    assert_eq!((said.code, said.out.matches("x|").count()), (0, 8000));
    assert_eq!(run(9000), Outcome::code(100));
}

#[test]
fn where_path_has_none_of_the_commands_this_binary_is_all_of_them() {
    for server in BOTH {
        let both = Beside::new();
        let _service = Service::start(&both, server, &[], &[]);
        let dir = echoes(&both, &[]);
        let mut command = both.command(Ours, "sudo");
        let said = outcome(command.env("PATH", &dir).args(["sock", "sh", "-c", "echo by $0; exit 9", "this"]));
        assert_eq!(said, Outcome { code: 9, out: "by this\n".to_owned() }, "{server:?}");
    }
}

#[test]
fn it_runs_programs_by_either_server() {
    for (client, server) in [(Ours, Ours), (Ours, Theirs), (Theirs, Ours)] {
        let both = Beside::new();
        let _service = Service::start(&both, server, &["sh", "-c"], &[("V", "")]);
        // Of Debian's chain the last one is ours.
        let dir = echoes(&both, &[]);
        symlink("/usr/bin/s6-ipcclient", format!("{dir}/s6-ipcclient")).unwrap();
        symlink(env!("CARGO_BIN_EXE_linchpin"), format!("{dir}/s6-sudoc")).unwrap();
        let mut command = both.command(client, "sudo");
        if client == Ours {
            command.env("PATH", &dir);
        }
        let said = outcome(command.env("V", "client").args(["-t", "20000", "sock", "echo $V; exit 3"]));
        assert_eq!(said, Outcome { code: 3, out: "client\n".to_owned() }, "{client:?} {server:?}");
    }
}
