//! Whatever is wrong with a rule, it lets nobody in: the message names the rule, the exit code is 111.

use crate::beside::*;
use crate::rules::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

fn ask(both: &Beside, whose: Whose, way: [&str; 2]) -> Said {
    said(&ipc(both, whose, (7, 8)).args(way).args(["-l", "here", "echo", "in"]).output().unwrap())
}

fn refused(why: &str) -> Said {
    Said { code: 111, out: vec![], err: format!("s6-ipcserver-access: fatal: unable to check {why}\n") }
}

/// Where Debian's answers too that nobody gets in, but for the key in the message.
#[test]
fn a_rule_in_a_directory_that_cannot_be_read_denies() {
    for (files, key, why) in [
        (&[("uid", "")][..], "uid/7", "Not a directory"),
        (&[("uid/7", "")], "uid/7", "Not a directory"),
        (&[("gid", ""), ("uid/default/allow", "")], "gid/8", "Not a directory"),
        (&[("uid/7/allow", ""), ("uid/7/env", "")], "uid/7", "Not a directory"),
        (&[("uid/7/allow", ""), ("uid/7/env/A/", "")], "uid/7", "Is a directory"),
        (&[("uid/7/allow", ""), ("uid/7/exec/", "")], "uid/7", "Is a directory"),
        (&[("gid/8/allow", ""), ("gid/8/exec/", "")], "gid/8", "Is a directory"),
    ] {
        let both = Beside::new();
        plant(&both.path().join("rules"), files);
        let (theirs, ours) = (ask(&both, Theirs, ["-i", "rules"]), ask(&both, Ours, ["-i", "rules"]));
        assert_eq!(ours, refused(&format!("fs ruleset in rules: {key}: {why}")), "{files:?}");
        let expected = ours.err.replace(&format!("{key}: "), "");
        assert_eq!((theirs.code, theirs.err), (111, expected), "{files:?}");
    }
}

#[test]
fn links_that_lead_nowhere_or_in_circles_deny() {
    let both = Beside::new();
    plant(&both.path().join("rules"), &[("uid/7/", ""), ("uid/default/allow", "")]);
    symlink("deny", both.path().join("rules/uid/7/deny")).unwrap();
    let ours = ask(&both, Ours, ["-i", "rules"]);
    assert_eq!(ours, refused("fs ruleset in rules: uid/7: Too many levels of symbolic links"));
    assert_eq!(ask(&both, Theirs, ["-i", "rules"]).code, 111);
    symlink("nowhere", both.path().join("rules/uid/7/allow")).unwrap();
    assert_eq!(ask(&both, Ours, ["-i", "rules"]).code, 111, "a link to nothing is no allow");
}

/// Debian's cuts both off, and runs what is left.
#[test]
fn an_exec_file_that_is_too_long_or_has_a_nul_denies() {
    for (content, why) in [
        ("echo yes #".to_owned() + &"x".repeat(4096 - 9), Some("too long")),
        ("echo yes #".to_owned() + &"x".repeat(4096 - 10), None),
        ("echo yes\0 no".to_owned(), Some("a NUL where none may be")),
    ] {
        let both = Beside::new();
        plant(&both.path().join("rules"), &[("uid/7/allow", ""), ("uid/7/exec", &content)]);
        let (theirs, ours) = (ask(&both, Theirs, ["-i", "rules"]), ask(&both, Ours, ["-i", "rules"]));
        assert_eq!(theirs.out, ["yes"]);
        match why {
            Some(why) => assert_eq!(ours, refused(&format!("fs ruleset in rules: uid/7: {why}"))),
            None => assert_eq!(ours, theirs),
        }
    }
}

/// A directory may have more than that: a database keeps the lengths in 16 bits.
#[test]
fn variables_that_do_not_fit_the_environment_deny() {
    let both = Beside::new();
    plant(&both.path().join("rules"), &[("uid/7/allow", "")]);
    let env = both.path().join("rules/uid/7/env");
    std::fs::create_dir(&env).unwrap();
    for number in 0..140 {
        std::fs::write(env.join(format!("V{number}")), "x".repeat(4095)).unwrap();
    }
    assert_eq!(ask(&both, Ours, ["-i", "rules"]), refused("fs ruleset in rules: uid/7: too long"));
}

/// For a user who may not see it. Debian's goes on to the next rule, which allows.
#[test]
fn a_rule_that_may_not_be_seen_denies() {
    let both = Beside::new();
    both.copy("ipcserver-access");
    let rules = both.path().join("rules");
    plant(&rules, &[("uid/7/deny", ""), ("uid/default/allow", "")]);
    let ask = |whose| {
        let mut command = ipc(&both, whose, (7, 8));
        command.args(["-i", "rules", "-l", "here", "echo", "in"]).uid(65534).gid(65534);
        said(&command.output().unwrap())
    };
    assert_eq!((ask(Theirs).code, ask(Ours).code), (1, 1));
    let close = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o0)).unwrap();
    for closed in ["uid/7/deny", "uid/7"] {
        close(&rules.join(closed));
        assert_eq!(ask(Theirs).out, ["in"]);
        assert_eq!(ask(Ours), refused("fs ruleset in rules: uid/7: Permission denied"), "{closed}");
    }
    // An allow that may not be read allows nothing; there is nothing else in its rule.
    plant(&rules, &[("gid/8/allow", ""), ("uid/9/allow", "")]);
    close(&rules.join("gid/8/allow"));
    let mut command = ipc(&both, Ours, (9, 8));
    command.args(["-i", "rules", "-l", "here", "echo", "in"]).uid(65534).gid(65534);
    close(&rules.join("uid/9/allow"));
    std::fs::remove_file(rules.join("uid/default/allow")).unwrap();
    assert_eq!(said(&command.output().unwrap()).code, 1);
}

/// Debian's ends the same way, and says it only from verbosity 2 on.
#[test]
fn a_directory_that_is_missing_allows_nobody_and_is_told_of() {
    let both = Beside::new();
    assert_eq!(ask(&both, Theirs, ["-i", "missing"]).code, 1);
    let warning = "s6-ipcserver-access: warning: nobody is allowed: unable to open the rules in missing: \
                   No such file or directory\n";
    assert_eq!(ask(&both, Ours, ["-i", "missing"]), Said { code: 1, out: vec![], err: warning.to_owned() });
    both.file("file", "");
    assert_eq!(ask(&both, Ours, ["-i", "file"]), refused("fs ruleset in file: Not a directory"));
}

const DAMAGED: &str = "this is no database of rules, or it is damaged";

#[test]
fn a_record_that_is_no_rule_denies() {
    let long = [&b"A\x10\x01"[..], &[b'x'; 0x1000], b"\0\0\0"].concat();
    for data in [
        &b""[..],
        b"DD",
        b"d",
        b"a\0\0\0\0",
        b"A",
        b"A\0\0\0",
        b"A\0\0\0\0x",
        b"A\0\x03X=1\0\0",
        b"A\0\x05X=1\0\0\0",
        b"A\0\x03=1\0\0\0",
        b"A\0\x05X=1\0\0\0\0",
        b"A\0\x01\0\0\0",
        b"A\0\0\0\x08echo \0hi",
        b"A\0\0\xff\xffecho hi",
        &long,
    ] {
        let both = Beside::new();
        both.file("cdb", one_record(b"uid/7", data));
        let expected = refused(&format!("cdb ruleset in cdb: uid/7: {DAMAGED}"));
        assert_eq!(ask(&both, Ours, ["-x", "cdb"]), expected, "{:?}", String::from_utf8_lossy(data));
    }
    // What Debian's makes is understood.
    let both = Beside::new();
    both.file("cdb", one_record(b"uid/7", b"A\0\x04X=1\0\0\x08echo yes"));
    assert_eq!(ask(&both, Ours, ["-x", "cdb"]).out, ["yes"]);
    assert_eq!(ask(&both, Ours, ["-x", "cdb"]), ask(&both, Theirs, ["-x", "cdb"]));
}

#[test]
fn a_file_that_is_no_database_denies() {
    let both = Beside::new();
    let whole = one_record(b"uid/7", b"A\0\0\0\0");
    for (content, denied) in [
        (&b""[..], true),
        (b"junk", true),
        (&[b'x'; 5000], true),
        (&whole[..2048], true),
        (&whole[..whole.len() - 1], true),
        (&[&whole[..2060], &[0xff; 40][..]].concat(), true),
        (&whole, false),
    ] {
        both.file("cdb", content);
        let ours = ask(&both, Ours, ["-x", "cdb"]);
        if denied {
            assert_eq!((ours.code, ours.out.len()), (111, 0), "{ours:?}");
            assert!(ours.err.ends_with(&format!("{DAMAGED}\n")), "{ours:?}");
        } else {
            assert_eq!(ours.out, ["in"]);
        }
    }
}

#[test]
fn a_database_that_cannot_be_read_denies() {
    let both = Beside::new();
    let (theirs, ours) = (ask(&both, Theirs, ["-x", "missing"]), ask(&both, Ours, ["-x", "missing"]));
    assert_eq!(ours, theirs);
    let err = "s6-ipcserver-access: fatal: unable to cdb_init missing: No such file or directory\n";
    assert_eq!((ours.code, ours.err.as_str()), (111, err));
    let ours = ask(&both, Ours, ["-x", "."]);
    assert_eq!((ours.code, ours.err.ends_with(": Is a directory\n")), (111, true));
    // It is read into memory: Debian's maps it, and ends by a signal if somebody cuts it off.
    let large = [one_record(b"uid/7", b"A\0\0\0\0"), vec![0; 256 * 1024]].concat();
    both.file("large", large);
    assert_eq!(ask(&both, Ours, ["-x", "large"]), refused("cdb ruleset in large: more than 262144 bytes"));
}
