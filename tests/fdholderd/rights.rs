//! Who may do what, by rules in a directory.

use crate::daemon::{Daemon, EVERYTHING, Rules, both, null};
use crate::raw::{EPERM, OK, Raw, Said, announce, delete, retrieve, status, store};

/// What comes of each kind of request on one connection: the first byte of the answer.
fn tried(peer: &Raw, name: &[u8]) -> Vec<Option<u8>> {
    let mut fd = null();
    let requests: [(&[u8], usize); 6] =
        [(b"L", 0), (&store(name), 1), (&retrieve(name, 0), 0), (b"?", 0), (&delete(name), 0), (&announce(0), 0)];
    let mut first = Vec::new();
    for (payload, fds) in requests {
        let said = peer.ask(payload, &[fd; 1][..fds]);
        if let (b"?", Said::Answer(answer, _)) = (payload, &said) {
            let dump_follows = answer.len() == 9 && answer[4] == 1;
            dump_follows.then(|| peer.said());
        }
        first.push(match said {
            Said::Answer(answer, _) => Some(answer[0]),
            Said::End => None,
        });
    }
    fd.close();
    first
}

fn try_all(daemon: &Daemon) -> Vec<Option<u8>> {
    tried(&daemon.connect(), b"ok:ret")
}

/// Nothing but the end of the connection.
fn refused(peer: &Raw) -> bool {
    peer.ask(b"L", &[]) == Said::End
}

#[test]
fn each_variable_is_a_right_of_its_own() {
    let mut granted = Vec::new();
    for name in ["LIST", "STORE_REGEX", "RETRIEVE_REGEX", "GETDUMP", "SETDUMP"] {
        let file = format!("uid/self/env/S6_FDHOLDER_{name}");
        granted.push(both(&[("uid/self/allow", ""), (&file, "\n")], &[], |daemon| try_all(daemon)));
    }
    let ok = |requests: &Vec<Option<u8>>| {
        requests.iter().map(|first| if *first == Some(EPERM) { '-' } else { 'y' }).collect::<String>()
    };
    // List, store, retrieve, getdump, delete, setdump.
    assert_eq!(granted.iter().map(ok).collect::<Vec<_>>(), ["y-----", "-y--y-", "--y---", "---y--", "-----y"]);
}

#[test]
fn an_empty_file_gives_no_right_and_one_with_a_newline_gives_all_of_it() {
    for (content, expected) in [("", EPERM), ("\n", OK), (" \t\nx", OK), ("x", OK)] {
        let rules: Rules = &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_LIST", content)];
        let said = both(rules, &[], |daemon| try_all(daemon));
        assert_eq!(said[0], Some(expected), "{content:?}");
    }
}

#[test]
fn regular_expressions_are_extended_and_searched_for() {
    for (regex, stored) in [
        ("ret$", true),
        ("^ok", true),
        ("^ret", false),
        (":", true),
        ("(a|k):r", true),
        ("^ok:ret$", true),
        ("o{2}", false),
        ("^.{6}$  \t", true),
        ("[[:digit:]]", false),
        ("k.r\nanother line", true),
    ] {
        let rules: Rules = &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_STORE_REGEX", regex)];
        let said = both(rules, &[], |daemon| try_all(daemon));
        assert_eq!(said[1], Some(if stored { OK } else { EPERM }), "{regex:?}");
    }
}

#[test]
fn nobody_may_connect_who_has_no_rule() {
    for rules in
        [&[("uid/12345/allow", "")][..], &[], &[("uid/self/deny", "")], &[("uid/self/env/S6_FDHOLDER_LIST", "\n")]]
    {
        assert!(both(rules, &[], |daemon| refused(&daemon.connect())), "{rules:?}");
    }
}

#[test]
fn who_connects_is_looked_for_as_user_then_as_group_then_as_anybody() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let list = |key: &'static str| [format!("{key}/allow"), format!("{key}/env/S6_FDHOLDER_LIST")];
    let (allow, deny) = (|key| list(key), |key: &'static str| [format!("{key}/deny"), format!("{key}/x")]);
    // Root in root's daemon, then somebody else (user 7, group 8): 0 may list, 1 may not, end is refused.
    for (rules, expected) in [
        (vec![deny("uid/self"), allow("uid/0")], "refused refused"),
        (vec![allow("uid/self"), deny("uid/0")], "lists refused"),
        (vec![allow("uid/0"), deny("gid/self")], "lists refused"),
        (vec![deny("gid/self"), allow("gid/0")], "refused refused"),
        (vec![allow("gid/self"), deny("uid/default")], "lists refused"),
        (vec![allow("uid/7"), deny("gid/8")], "refused lists"),
        (vec![deny("uid/7"), allow("gid/8"), allow("uid/default")], "lists refused"),
        (vec![allow("gid/8"), deny("uid/default")], "refused lists"),
        (vec![deny("gid/8"), allow("uid/default")], "lists refused"),
        (vec![allow("uid/default")], "lists lists"),
        (vec![allow("gid/default")], "refused refused"),
    ] {
        let files: Vec<(&str, &str)> = rules.iter().flatten().map(|name| (name.as_str(), "\n")).collect();
        let seen = both(&files, &[], |daemon| {
            [daemon.connect(), daemon.connect_as(7, 8)]
                .map(|peer| if refused(&peer) { "refused" } else { "lists" })
                .join(" ")
        });
        assert_eq!(seen, expected, "{files:?}");
    }
}

#[test]
fn the_groups_that_somebody_has_besides_do_not_count() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let rules: Rules = &[("gid/8/allow", ""), ("gid/8/env/S6_FDHOLDER_LIST", "\n")];
    let seen = both(rules, &[], |daemon| [daemon.connect_as(7, 8), daemon.connect_as(7, 9)].map(|peer| refused(&peer)));
    assert_eq!(seen, [false, true]);
}

#[test]
fn rights_are_those_of_the_moment_of_the_connection() {
    both(EVERYTHING, &[], |daemon| {
        let early = daemon.connect();
        assert_eq!(early.ask(&store(b"a"), &[linchpin::sys::Fd(0)]), status(OK));
        std::fs::remove_file(daemon.path().join("rules/uid/self/allow")).unwrap();
        let late = daemon.connect();
        (early.ask(b"L", &[]), refused(&late), early.ask(&delete(b"a"), &[]))
    });
}

/// How the daemon treats a client, and the last line that it logs, from the given word on.
fn treated(daemon: &mut Daemon, word: &str) -> (bool, String) {
    let refused = refused(&daemon.connect());
    daemon.terminate();
    let log = daemon.log();
    let line = log.lines().find_map(|line| line.find(word).map(|at| line[at..].to_owned()));
    (refused, line.unwrap_or(log))
}

#[test]
fn an_invalid_regular_expression_refuses_its_client_and_is_told() {
    for variable in ["STORE_REGEX", "RETRIEVE_REGEX"] {
        let file = format!("uid/self/env/S6_FDHOLDER_{variable}");
        let rules: Rules = &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_LIST", "\n"), (&file, "a(b\n")];
        let (refused, line) = both(rules, &[], |daemon| {
            let (refused, line) = treated(daemon, "invalid");
            let (told, _) = line.rsplit_once(": ").unwrap();
            (refused, told.to_owned())
        });
        assert_eq!((refused, line), (true, format!("invalid S6_FDHOLDER_{variable} value: a(b")));
    }
}

#[test]
fn an_exec_string_is_not_used_and_that_is_told() {
    let rules: Rules = &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_LIST", "\n"), ("uid/self/exec", "x")];
    let (refused, line) = both(rules, &[], |daemon| treated(daemon, "unused"));
    assert!(!refused && line.starts_with("unused exec string in rules for uid "), "{line}");
}

#[test]
fn rules_that_cannot_be_looked_at_refuse_their_client_and_that_is_told() {
    for rules in [
        &[("uid", "")][..],
        &[("uid/self", "")],
        &[("uid/self/allow", ""), ("uid/self/env", "")],
        &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_LIST", "\n"), ("uid/self/exec/x", "")],
        &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_LIST", "\n"), ("uid/self/env/OTHER/x", "")],
    ] {
        let seen = both(rules, &[], |daemon| {
            let (refused, line) = treated(daemon, "error while checking rules");
            (refused, line.rsplit(": ").next().unwrap().to_owned())
        });
        assert!(seen.0 && seen.1.contains("directory"), "{rules:?}: {seen:?}");
    }
}

#[test]
fn with_v0_nothing_is_told() {
    let rules: Rules = &[("uid/self/allow", ""), ("uid/self/env/S6_FDHOLDER_STORE_REGEX", "a(b\n")];
    assert_eq!(both(rules, &["-v", "0"], |daemon| treated(daemon, "anything")), (true, String::new()));
}
