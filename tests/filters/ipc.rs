//! ipcserver-access beside Debian's: from a directory, from a database that Debian's program has made, and from ours.

use crate::beside::*;
use crate::rules::*;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

/// One client, one set of rules.
struct Case<'a> {
    files: &'a [(&'a str, &'a str)],
    client: (u32, u32),
    options: &'a [&'a str],
}

impl Case<'_> {
    /// What both do, in all three ways.
    fn same(&self) -> Said {
        let both = Beside::new();
        plant(&both.path().join("rules"), self.files);
        for (whose, name) in [(Theirs, "theirs"), (Ours, "ours")] {
            let made = both.run(whose, "accessrules-cdb-from-fs", &[name, "rules"]);
            assert_eq!(made, Outcome::says(""), "{:?}", self.files);
        }
        let ways = [["-i", "rules"], ["-x", "theirs"], ["-x", "ours"]].map(|way| {
            let [theirs, ours] = [Theirs, Ours].map(|whose| {
                let mut command = ipc(&both, whose, self.client);
                said(&command.args(self.options).args(way).arg("env").output().unwrap())
            });
            assert_eq!(ours, theirs, "{:?} of {:?}, {way:?}", self.client, self.files);
            ours
        });
        assert_eq!(ways[0], ways[1], "{:?}", self.files);
        assert_eq!(ways[0], ways[2], "{:?}", self.files);
        ways[0].clone()
    }
}

/// What the rules say of the client 7, 8 if nothing else is said.
fn of(files: &[(&str, &str)], client: (u32, u32)) -> Said {
    Case { files, client, options: &["-v2", "-l", "here"] }.same()
}

const ALLOW: &str = "s6-ipcserver-access: info: allow pid P";
const UNKNOWN: &str = "No such file or directory";
const DENIED: &str = "Permission denied";

#[test]
fn the_first_rule_that_says_something_decides() {
    for (files, (uid, gid), denied) in [
        (&[("uid/7/allow", "")][..], (7, 8), None),
        (&[("uid/7/deny", "")], (7, 8), Some(DENIED)),
        (&[("uid/9/allow", "")], (7, 8), Some(UNKNOWN)),
        (&[], (7, 8), Some(UNKNOWN)),
        (&[], (0, 0), Some(UNKNOWN)),
        (&[("gid/8/allow", "")], (7, 8), None),
        (&[("gid/8/deny", ""), ("uid/default/allow", "")], (7, 8), Some(DENIED)),
        (&[("uid/7/deny", ""), ("gid/8/allow", "")], (7, 8), Some(DENIED)),
        (&[("uid/7/allow", ""), ("gid/8/deny", ""), ("uid/default/deny", "")], (7, 8), None),
        (&[("uid/default/allow", "")], (7, 8), None),
        (&[("uid/default/deny", "")], (7, 8), Some(DENIED)),
        (&[("gid/default/allow", "")], (7, 8), Some(UNKNOWN)),
        (&[("uid/7/other", ""), ("uid/default/allow", "")], (7, 8), None),
        (&[("uid/7/allow", ""), ("uid/7/deny", "")], (7, 8), None),
        (&[("uid/self/allow", "")], (0, 8), None),
        (&[("uid/self/allow", "")], (7, 8), Some(UNKNOWN)),
        (&[("uid/self/deny", ""), ("uid/0/allow", "")], (0, 0), Some(DENIED)),
        (&[("uid/0/deny", ""), ("gid/self/allow", "")], (0, 0), Some(DENIED)),
        (&[("gid/self/allow", ""), ("gid/0/deny", "")], (7, 0), None),
        (&[("gid/self/deny", ""), ("gid/8/allow", "")], (7, 8), None),
        (&[("uid/4294967295/allow", "")], (u32::MAX, 8), None),
        (&[("uid/07/allow", "")], (7, 8), Some(UNKNOWN)),
    ] {
        let answer = of(files, (uid, gid));
        let expected = match denied {
            None => format!("{ALLOW} uid {uid} gid {gid}\n"),
            Some(why) => format!("s6-ipcserver-access: info: deny pid P uid {uid} gid {gid}: {why}\n"),
        };
        assert_eq!((answer.code, answer.err), (i32::from(denied.is_some()), expected), "{files:?}");
        assert_eq!(answer.out.is_empty(), denied.is_some());
    }
}

/// Variables that are not those of every connection.
fn changed(said: &Said) -> Vec<&str> {
    let always = ["PATH=", "PROTO=IPC", "IPCREMOTE", "IPCCONNNUM=1", "IPCLOCALPATH=here", "OTHER=too"];
    said.out.iter().map(String::as_str).filter(|line| !always.iter().any(|name| line.starts_with(name))).collect()
}

#[test]
fn the_deciding_rule_sets_and_unsets_variables() {
    for (files, expected) in [
        (&[("uid/7/allow", "")][..], &["KEPT=old"][..]),
        (&[("uid/7/allow", ""), ("uid/7/env/NEW", "value\n")], &["KEPT=old", "NEW=value"]),
        (&[("uid/7/allow", ""), ("uid/7/env/KEPT", "new")], &["KEPT=new"]),
        (&[("uid/7/allow", ""), ("uid/7/env/KEPT", "")], &[]),
        (&[("uid/7/allow", ""), ("uid/7/env/KEPT", "\n")], &["KEPT="]),
        (&[("uid/7/allow", ""), ("uid/7/env/A", "=b= c \t\r\nmore\n")], &["A==b= c", "KEPT=old"]),
        (&[("uid/7/allow", ""), ("uid/7/env/A", "b\0c")], &["A=b", "KEPT=old", "c"]),
        (&[("uid/7/allow", ""), ("uid/7/env/.A", "b"), ("uid/7/env/a=b", "c")], &["KEPT=old"]),
        (&[("uid/7/allow", ""), ("uid/7/env/", "")], &["KEPT=old"]),
        (
            &[("uid/7/allow", ""), ("uid/7/env/A", "1"), ("gid/8/allow", ""), ("gid/8/env/KEPT", "2")],
            &["A=1", "KEPT=old"],
        ),
        (&[("uid/7/other", ""), ("uid/7/env/A", "1"), ("gid/8/allow", ""), ("gid/8/env/B", "2")], &["B=2", "KEPT=old"]),
    ] {
        let answer = of(files, (7, 8));
        assert_eq!(answer.code, 0);
        assert_eq!(changed(&answer), expected, "{files:?}");
    }
}

#[test]
fn an_exec_file_is_run_in_place_of_the_program() {
    let said = of(&[("uid/7/allow", ""), ("uid/7/exec", "echo one  two three\n")], (7, 8));
    assert_eq!((said.code, said.out), (0, vec!["one two three".to_owned()]));
    let files = [("uid/7/allow", ""), ("uid/7/exec", "printenv A IPCLOCALPATH\n# a comment"), ("uid/7/env/A", "b")];
    assert_eq!(of(&files, (7, 8)).out, ["b", "here"]);
    // -P: what looks like an argument stays.
    assert_eq!(of(&[("uid/7/allow", ""), ("uid/7/exec", "echo $1 $@ ${#}")], (7, 8)).out, ["$1 $@ ${#}"]);
    let said = of(&[("uid/7/allow", ""), ("uid/7/exec", "nothing-of-this-name")], (7, 8));
    assert_eq!((said.code, said.out.len()), (127, 0));
    // An empty file, and one beside a deny, are none.
    assert!(of(&[("uid/7/allow", ""), ("uid/7/exec", "")], (7, 8)).out.contains(&"KEPT=old".to_owned()));
    assert_eq!(of(&[("uid/7/deny", ""), ("uid/7/exec", "echo yes"), ("uid/7/env/A", "b")], (7, 8)).code, 1);
}

/// Debian's knows where its execlineb is; ours looks for it in PATH, as for every program.
#[test]
fn an_exec_file_without_execlineb_is_an_error_that_names_the_rule() {
    let both = Beside::new();
    plant(&both.path().join("rules"), &[("gid/8/allow", ""), ("gid/8/exec", "echo yes")]);
    let mut command = ipc(&both, Ours, (7, 8));
    let answer =
        said(&command.args(["-v0", "-l", "here", "-i", "rules", "env"]).env("PATH", "/nowhere").output().unwrap());
    let expected = "s6-ipcserver-access: fatal: unable to exec execlineb, which the exec file of gid/8 needs: \
                    No such file or directory\n";
    assert_eq!(answer, Said { code: 127, out: vec![], err: expected.to_owned() });
}

#[test]
fn the_variables_of_the_connection_are_ours_and_go_with_capital_e() {
    let env = [
        ("uid/7/allow", ""),
        ("uid/7/env/IPCLOCALPATH", "rule"),
        ("uid/7/env/IPCCONNNUM", "rule"),
        ("uid/7/env/PROTO", "rule"),
    ];
    let with = |options: &[&str]| Case { files: &env, client: (7, 8), options }.same().out;
    let told = with(&["-l", "here"]);
    for line in ["IPCLOCALPATH=here", "IPCCONNNUM=rule", "PROTO=rule", "IPCREMOTEEUID=7", "IPCREMOTEPATH="] {
        assert!(told.contains(&line.to_owned()), "{line}");
    }
    for options in [&["-E"][..], &["-E", "-l", "here"], &["-e", "-E"]] {
        let told = with(options);
        assert!(!told.iter().any(|line| line.starts_with("IPC") || line.starts_with("PROTO")), "{told:?}");
        assert!(told.contains(&"KEPT=old".to_owned()));
    }
    assert_eq!(with(&["-E", "-e", "-l", "here"]), with(&["-l", "here"]));
    // Without -l it is the name of the socket; this one has none.
    assert!(with(&[]).contains(&"IPCLOCALPATH=".to_owned()));
}

#[test]
fn the_local_path_is_that_of_the_socket() {
    let both = Beside::new();
    let listener = UnixListener::bind(both.path().join("s")).unwrap();
    let place = both.path().join("s").to_str().unwrap().to_owned();
    for whose in [Theirs, Ours] {
        let _client = UnixStream::connect(&place).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let mut command = ipc(&both, whose, (7, 8));
        let answer = said(&command.args(["-v2", "env"]).stdin(OwnedFd::from(connection)).output().unwrap());
        assert!(answer.out.contains(&format!("IPCLOCALPATH={place}")), "{answer:?}");
        let warning = "s6-ipcserver-access: warning: invoked without a ruleset!\n";
        assert_eq!(answer.err, format!("{warning}{ALLOW} uid 7 gid 8\n"));
    }
}

/// The message differs: Debian's names its function.
#[test]
fn without_a_socket_there_is_no_local_path() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let mut command = ipc(&both, whose, (7, 8));
        let answer = said(&command.arg("env").stdin(std::process::Stdio::null()).output().unwrap());
        assert_eq!((answer.code, answer.out.len()), (111, 0));
        assert!(answer.err.ends_with(": Socket operation on non-socket\n"), "{answer:?}");
    }
}

#[test]
fn verbosity_says_what_is_told() {
    let files = [("uid/7/allow", ""), ("uid/9/deny", "")];
    for (options, lines) in [
        (&["-v0"][..], [false, false, false]),
        (&["-v", "1"], [true, false, false]),
        (&[], [true, false, false]),
        (&["-v2"], [true, true, true]),
        (&["-v4294967295"], [true, true, true]),
    ] {
        for (client, told) in [(7, 8), (9, 8), (10, 8)].into_iter().zip(lines) {
            let options = [options, &["-l", "here"]].concat();
            let err = Case { files: &files, client, options: &options }.same().err;
            assert_eq!(!err.is_empty(), told, "{options:?} {client:?} {err}");
        }
    }
}

#[test]
fn of_two_sources_of_rules_the_last_counts() {
    let both = Beside::new();
    plant(&both.path().join("yes"), &[("uid/7/allow", "")]);
    plant(&both.path().join("no"), &[("uid/7/deny", "")]);
    for name in ["yes", "no"] {
        both.same("accessrules-cdb-from-fs", &[&format!("{name}.cdb"), name]);
    }
    for (words, code) in
        [("-i yes -i no", 1), ("-x no.cdb -i yes", 0), ("-i yes -x no.cdb", 1), ("-i no -x yes.cdb", 0)]
    {
        for whose in [Theirs, Ours] {
            let mut command = ipc(&both, whose, (7, 8));
            let answer = said(&command.args(["-l", "here"]).args(words.split(' ')).arg("true").output().unwrap());
            assert_eq!(answer.code, code, "{words} {whose:?}");
        }
    }
}

#[test]
fn what_is_missing_or_wrong_on_the_way_in_is_said_as_debians_says_it() {
    let both = Beside::new();
    plant(&both.path().join("rules"), &[("uid/7/allow", "")]);
    let asked = "-i rules -l x true";
    for (change, words, code) in [
        (("PROTO", None), asked, 100),
        (("PROTO", Some("")), asked, 100),
        (("PROTO", Some("TCP")), asked, 100),
        (("IPCREMOTEEUID", None), asked, 100),
        (("IPCREMOTEEGID", None), asked, 100),
        (("IPCREMOTEEUID", Some("")), asked, 100),
        (("IPCREMOTEEGID", Some("8x")), asked, 100),
        (("IPCREMOTEEUID", Some("-7")), asked, 100),
        (("IPCREMOTEEUID", Some("4294967296")), asked, 100),
        (("KEPT", None), "-i rules", 100),
        (("KEPT", None), "-v x -i rules true", 100),
        (("KEPT", None), "-q true", 100),
        (("KEPT", None), "-i rules -l x nothing-of-this-name", 127),
        (("KEPT", None), "-i rules -l x /", 126),
    ] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| {
            let mut command = ipc(&both, whose, (7, 8));
            match change {
                (name, Some(value)) => command.env(name, value),
                (name, None) => command.env_remove(name),
            };
            said(&command.args(words.split(' ')).output().unwrap())
        });
        assert_eq!(ours, theirs, "{words}");
        assert_eq!(ours.code, code, "{words} {ours:?}");
    }
}

#[test]
fn an_empty_program_name_is_wrong_usage() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        assert_eq!(said(&ipc(&both, whose, (7, 8)).arg("").output().unwrap()).code, 100);
    }
}
