//! tcpserver-access and the names that /etc/hosts gives: each client runs in a mount namespace with one of its own.

use crate::beside::*;
use crate::rules::*;
use crate::tcp::tcp;
use std::process::Command;

const HOSTS: &str = "127.0.0.1 localhost
192.0.2.1 board.example board
192.0.2.7\tclient.lan.example. client alias # 192.0.2.8 no.example
192.0.2.7 second.example
192.0.2.8 Other.Example
192.0.2.9 ../uid/0
192.0.2.10 a..b
192.0.2.10 good.example
2001:db8::1 board6.example
2001:DB8:0:0::7 client6.example
192.0.2.11
not an address
";

fn with_hosts(both: &Beside, hosts: &str, remote: &str, words: &[&str]) -> Said {
    both.file("hosts", hosts);
    let command = tcp(both, remote);
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "/bin/sh", "-c", r#"mount --bind hosts /etc/hosts && exec "$@""#, "sh"]);
    unshare.arg(command.get_program()).args(words).current_dir(both.path()).env_clear();
    unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    said(&unshare.output().unwrap())
}

fn run(remote: &str, files: &[(&str, &str)], options: &[&str]) -> Said {
    let both = Beside::new();
    plant(&both.path().join("rules"), files);
    assert_eq!(both.ours("accessrules-cdb-from-fs", &["cdb", "rules"]), Outcome::says(""));
    let [dir, cdb] = [["-i", "rules"], ["-x", "cdb"]].map(|way| {
        let words = [options, &way, &["printenv", "TCPREMOTEHOST", "TCPLOCALHOST"]].concat();
        with_hosts(&both, HOSTS, remote, &words)
    });
    assert_eq!(dir, cdb, "{files:?}");
    dir
}

/// Whether the client gets in.
fn enters(remote: &str, files: &[(&str, &str)], options: &[&str]) -> bool {
    let said = run(remote, files, options);
    let verb = if said.err.contains("info: allow pid P") { "allow" } else { "deny" };
    assert_eq!(said.err, format!("s6-tcpserver-access: pid P: info: {verb} pid P ip {remote}\n"));
    verb == "allow"
}

#[test]
fn the_canonical_names_of_both_ends_are_told() {
    let all = [("ip4/0.0.0.0_0/allow", ""), ("ip6/::_0/allow", "")];
    for (remote, options, expected) in [
        ("192.0.2.7", &[][..], &["board.example", "client.lan.example"][..]),
        ("192.0.2.8", &[], &["Other.Example", "board.example"]),
        ("2001:db8::7", &["-h"], &["board6.example", "client6.example"]),
        ("192.0.2.7", &["-l", "here"], &["client.lan.example", "here"]),
        ("192.0.2.7", &["-H"], &[]),
        ("192.0.2.7", &["-H", "-l", "here"], &["here"]),
        ("192.0.2.7", &["-H", "-p"], &["board.example", "client.lan.example"]),
        ("192.0.2.7", &["-p", "-P", "-H"], &[]),
        ("192.0.2.99", &[], &["board.example"]),
        ("192.0.2.11", &[], &["board.example"]),
        // What is no host name is none, and the address has no other.
        ("192.0.2.9", &[], &["board.example"]),
        ("192.0.2.10", &[], &["board.example"]),
    ] {
        let said = run(remote, &all, options);
        assert_eq!(said.out, expected, "{remote} {options:?} {}", said.err);
    }
}

#[test]
fn rules_for_names_decide_if_there_is_none_for_the_address() {
    for (remote, files, expected) in [
        ("192.0.2.7", &[("reversedns/client.lan.example/allow", "")][..], true),
        ("192.0.2.7", &[("reversedns/lan.example/allow", "")], true),
        ("192.0.2.7", &[("reversedns/example/allow", "")], true),
        ("192.0.2.7", &[("reversedns/@/allow", "")], true),
        ("192.0.2.7", &[("reversedns/an.example/allow", "")], false),
        ("192.0.2.7", &[("reversedns/client/allow", "")], false),
        ("192.0.2.7", &[("reversedns/second.example/allow", "")], false),
        ("192.0.2.7", &[("reversedns/example/allow", ""), ("reversedns/lan.example/deny", "")], false),
        ("192.0.2.7", &[("reversedns/client.lan.example/allow", ""), ("reversedns/lan.example/deny", "")], true),
        ("192.0.2.7", &[("reversedns/example/deny", ""), ("reversedns/@/allow", "")], false),
        ("192.0.2.7", &[("ip4/192.0.2.7_32/deny", ""), ("reversedns/@/allow", "")], false),
        ("192.0.2.7", &[("ip4/0.0.0.0_0/allow", ""), ("reversedns/@/deny", "")], true),
        ("192.0.2.7", &[("uid/0/allow", "")], false),
        ("2001:db8::7", &[("reversedns/client6.example/allow", "")], true),
        // Without a name there is no rule, not even the last one; and a path is no name.
        ("192.0.2.99", &[("reversedns/@/allow", "")], false),
        ("192.0.2.9", &[("reversedns/@/allow", ""), ("uid/0/allow", "")], false),
        ("192.0.2.10", &[("reversedns/@/allow", "")], false),
    ] {
        assert_eq!(enters(remote, files, &["-v2"]), expected, "{remote} {files:?}");
        assert!(!enters(remote, files, &["-v2", "-H"]) || files[0].0.starts_with("ip4/0"), "-H asks for no name");
    }
}

#[test]
fn a_rule_for_a_name_sets_variables_and_may_be_broken() {
    let files = [
        ("reversedns/example/allow", ""),
        ("reversedns/example/exec", "printenv A TCPREMOTEHOST"),
        ("reversedns/example/env/A", "b"),
    ];
    assert_eq!(run("192.0.2.7", &files, &[]).out, ["b", "client.lan.example"]);
    let both = Beside::new();
    plant(&both.path().join("rules"), &[("reversedns/lan.example/allow", ""), ("reversedns/lan.example/env", "")]);
    let err = "s6-tcpserver-access: pid P: fatal: unable to check fs ruleset for reverse DNS in rules: \
               reversedns/lan.example: Not a directory\n";
    let expected = Said { code: 111, out: vec![], err: err.to_owned() };
    assert_eq!(with_hosts(&both, HOSTS, "192.0.2.7", &["-i", "rules", "env"]), expected);
}

#[test]
fn with_w_a_client_without_a_name_is_left() {
    let all = [("ip4/0.0.0.0_0/allow", "")];
    let code = |remote, options: &[&str]| run(remote, &all, options).code;
    // printenv ends with 1 if one of the two is not set.
    assert_eq!((code("192.0.2.7", &["-w"]), code("192.0.2.99", &["-W"])), (0, 1));
    assert_eq!(run("192.0.2.99", &all, &["-W"]).out, ["board.example"]);
    let left = run("192.0.2.99", &all, &["-w", "-v2"]);
    let line = "s6-tcpserver-access: pid P: info: deny pid P ip 192.0.2.99\n";
    assert_eq!(left, Said { code: 1, out: vec![], err: line.to_owned() });
    assert_eq!(run("192.0.2.99", &all, &["-w", "-W"]).out, ["board.example"]);
    // -H wants no name.
    assert!(run("192.0.2.99", &all, &["-w", "-H"]).err.contains("info: allow pid P"));
}

/// The file is a directory here, which cannot be read as one.
#[test]
fn names_that_cannot_be_looked_for_are_fatal_with_w_only() {
    let both = Beside::new();
    std::fs::create_dir(both.path().join("dir")).unwrap();
    let run = |options: &[&str]| {
        let command = tcp(&both, "192.0.2.7");
        let mut unshare = Command::new("unshare");
        let script = r#"mount --bind dir /etc && mkdir -p dir/hosts && exec "$@""#;
        unshare.args(["-m", "/bin/sh", "-c", script, "sh"]).arg(command.get_program()).args(options).arg("env");
        unshare.current_dir(both.path()).env_clear();
        unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        said(&unshare.output().unwrap())
    };
    let warning = "s6-tcpserver-access: pid P: warning: unable to read /etc/hosts: Is a directory\n";
    let answer = run(&["-v2"]);
    assert_eq!((answer.code, answer.err.strip_prefix(warning).is_some()), (0, true), "{answer:?}");
    let answer = run(&["-w", "-v2"]);
    let deny = "s6-tcpserver-access: pid P: info: deny pid P ip 192.0.2.7\n";
    assert_eq!(answer, Said { code: 111, out: vec![], err: format!("{warning}{deny}") });
}
