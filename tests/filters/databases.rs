//! accessrules-cdb-from-fs and accessrules-fs-from-cdb beside Debian's, and each on what the other one has made.

use crate::beside::*;
use crate::rules::*;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const TREE: &[(&str, &str)] = &[
    ("uid/0/allow", ""),
    ("uid/0/env/A", " b c \t\nmore"),
    ("uid/0/env/GONE", ""),
    ("uid/0/env/EMPTY", "\n"),
    ("uid/0/env/.hidden", "x"),
    ("uid/0/exec", "echo a\nb\n"),
    ("uid/self/deny", "what is in it does not count"),
    ("uid/self/env/A", "nor this"),
    ("uid/nothing/env/A", "nor this"),
    ("uid/.hidden/allow", ""),
    ("gid/5/allow", ""),
    ("gid/5/deny", ""),
    ("ip4/192.0.2.0_24/allow", ""),
    ("ip6/2001:db8::_32/deny", ""),
    ("reversedns/@/allow", ""),
    ("other/of their own/allow", ""),
    ("empty/", ""),
    (".hidden/uid/allow", ""),
];

/// Everything below a directory: the content of files.
fn tree(top: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut left = vec![top.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                all.insert(name + "/", format!("{:o}", path.metadata().unwrap().permissions().mode()).into_bytes());
                left.push(path);
            } else {
                all.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    all
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn both_make_the_same_bytes_of_a_directory() {
    let both = Beside::new();
    plant(&both.path().join("rules"), TREE);
    for (whose, name) in [(Theirs, "theirs"), (Ours, "ours")] {
        assert_eq!(both.run(whose, "accessrules-cdb-from-fs", &[name, "rules"]), Outcome::says(""));
        assert_eq!(mode(&both.path().join(name)), 0o600);
    }
    let [theirs, ours] = ["theirs", "ours"].map(|name| std::fs::read(both.path().join(name)).unwrap());
    // Both go through a directory as the file system lists it.
    assert!(theirs == ours, "{} and {} bytes", theirs.len(), ours.len());
}

#[test]
fn both_make_the_same_directory_of_a_file() {
    let both = Beside::new();
    plant(&both.path().join("rules"), TREE);
    both.same("accessrules-cdb-from-fs", &["cdb", "rules"]);
    for (whose, name) in [(Theirs, "theirs"), (Ours, "ours")] {
        assert_eq!(both.run(whose, "accessrules-fs-from-cdb", &[name, "cdb"]), Outcome::says(""));
    }
    let ours = tree(&both.path().join("ours"));
    assert_eq!(ours, tree(&both.path().join("theirs")));
    assert_eq!(ours["uid/0/env/A"], b" b c\n");
    assert_eq!((&ours["uid/0/env/GONE"][..], &ours["uid/0/env/EMPTY"][..]), (&b""[..], &b"\n"[..]));
    assert!(ours.contains_key("other/of their own/allow") && !ours.contains_key("uid/nothing/"));
}

/// A line of a file cannot hold a newline, but a NUL in it becomes one. Debian's writes the newline, and loses what follows.
#[test]
fn a_variable_with_a_newline_comes_back() {
    let both = Beside::new();
    plant(&both.path().join("rules"), &[("uid/0/allow", ""), ("uid/0/env/A", "a\0b\n")]);
    both.same("accessrules-cdb-from-fs", &["cdb", "rules"]);
    assert_eq!(both.ours("accessrules-fs-from-cdb", &["dir", "cdb"]), Outcome::says(""));
    assert_eq!(content(&both.path().join("dir/uid/0/env/A")), "a\0b\n");
}

#[test]
fn the_mode_is_what_is_asked_for_whatever_the_umask() {
    let both = Beside::new();
    plant(&both.path().join("rules"), TREE);
    for (option, expected) in [("-m644", 0o644), ("-m0640", 0o640), ("--mode=0", 0), ("-m777", 0o777)] {
        assert_eq!(both.ours("accessrules-cdb-from-fs", &[option, "cdb", "rules"]), Outcome::says(""));
        assert_eq!(mode(&both.path().join("cdb")), expected);
    }
    for words in [&["-m", "8", "cdb", "rules"][..], &["-m", "10000", "cdb", "rules"], &["-x", "cdb", "rules"], &["cdb"]]
    {
        assert_eq!(both.ours("accessrules-cdb-from-fs", words), Outcome::code(100), "{words:?}");
    }
    assert_eq!(both.same("accessrules-fs-from-cdb", &["cdb"]), Outcome::code(100));
}

/// After a failure the old file is there as it was, and nothing else.
#[test]
fn what_cannot_be_made_leaves_the_old_file() {
    let long = "x".repeat(3000);
    for (files, code, why) in [
        (&[("uid/7", "")][..], 111, "uid/7: Not a directory"),
        (&[("uid", "")], 111, "uid: Not a directory"),
        (&[("uid/7/allow", ""), ("uid/7/env", "")], 111, "uid/7: Not a directory"),
        (&[("uid/7/allow", ""), ("uid/7/exec/", "")], 111, "uid/7: Is a directory"),
        (&[("uid/7/allow", ""), ("uid/7/env/A", &long), ("uid/7/env/B", &long)], 100, "too big: more than 4096 bytes"),
    ] {
        let both = Beside::new();
        plant(&both.path().join("rules"), files);
        both.file("cdb", "old");
        let theirs = both.run(Theirs, "accessrules-cdb-from-fs", &["cdb", "rules"]);
        let ours = both.command(Ours, "accessrules-cdb-from-fs").args(["cdb", "rules"]).output().unwrap();
        let err = String::from_utf8_lossy(&ours.stderr);
        assert!(err.contains(why), "{err}");
        assert_eq!((outcome_of(&ours).code, theirs.code), (code, code), "{files:?}");
        assert_eq!(content(&both.path().join("cdb")), "old");
        assert_eq!(std::fs::read_dir(both.path()).unwrap().count(), 2);
    }
    let both = Beside::new();
    plant(&both.path().join("rules"), TREE);
    for words in [["cdb", "missing"], ["missing/cdb", "rules"], ["rules", "rules"]] {
        assert_eq!(both.same("accessrules-cdb-from-fs", &words), Outcome::code(111), "{words:?}");
    }
    assert_eq!(std::fs::read_dir(both.path()).unwrap().count(), 1);
}

/// Debian's cuts it off and warns.
#[test]
fn an_exec_file_that_is_too_long_makes_no_database() {
    let both = Beside::new();
    let exec = "x".repeat(4097);
    plant(&both.path().join("rules"), &[("uid/7/allow", ""), ("uid/7/exec", &exec)]);
    assert_eq!(both.ours("accessrules-cdb-from-fs", &["cdb", "rules"]), Outcome::code(111));
    assert!(!both.path().join("cdb").exists());
    std::fs::write(both.path().join("rules/uid/7/exec"), &exec[..4096]).unwrap();
    for (whose, name) in [(Theirs, "theirs"), (Ours, "ours")] {
        assert_eq!(both.run(whose, "accessrules-cdb-from-fs", &[name, "rules"]), Outcome::says(""));
    }
    assert!(std::fs::read(both.path().join("ours")).unwrap() == std::fs::read(both.path().join("theirs")).unwrap());
}

#[test]
fn a_network_that_is_not_written_as_it_is_looked_for_is_told_of() {
    let both = Beside::new();
    plant(
        &both.path().join("rules"),
        &[("ip4/192.0.2.7_24/deny", ""), ("ip6/2001:DB8::_32/allow", ""), ("ip4/10.0.0.0_8/deny", "")],
    );
    let output = both.command(Ours, "accessrules-cdb-from-fs").args(["cdb", "rules"]).output().unwrap();
    assert!(output.status.success());
    let err = String::from_utf8(output.stderr).unwrap();
    let mut lines: Vec<&str> = err.lines().collect();
    lines.sort_unstable();
    let start = "s6-accessrules-cdb-from-fs: warning: no address is ever looked for under";
    let expected = [
        format!("{start} ip4/192.0.2.7_24: should it be ip4/192.0.2.0_24?"),
        format!("{start} ip6/2001:DB8::_32: should it be ip6/2001:db8::_32?"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn more_rules_than_there_is_room_for_are_refused() {
    let both = Beside::new();
    let kind = both.path().join("rules/u");
    std::fs::create_dir_all(&kind).unwrap();
    let rule = |number: u32| {
        let rule = kind.join(format!("{number:x}"));
        std::fs::create_dir(&rule).unwrap();
        std::fs::write(rule.join("deny"), "").unwrap();
    };
    (0..8192).for_each(rule);
    assert_eq!(both.ours("accessrules-cdb-from-fs", &["cdb", "rules"]), Outcome::says(""));
    let made = std::fs::read(both.path().join("cdb")).unwrap();
    assert!(made.len() < 256 * 1024);
    both.run(Theirs, "accessrules-cdb-from-fs", &["theirs", "rules"]);
    assert!(made == std::fs::read(both.path().join("theirs")).unwrap());
    rule(8192);
    let output = both.command(Ours, "accessrules-cdb-from-fs").args(["cdb", "rules"]).output().unwrap();
    let err = "s6-accessrules-cdb-from-fs: fatal: there are more than 8192 rules\n";
    assert_eq!((outcome_of(&output).code, String::from_utf8_lossy(&output.stderr).as_ref()), (100, err));
    // Fewer, but with more in them.
    std::fs::remove_dir_all(&kind).unwrap();
    for number in 0..70 {
        let name = format!("rules/u/{number}");
        plant(&both.path().join(name), &[("allow", ""), ("env/A", &"x".repeat(4000))]);
    }
    let output = both.command(Ours, "accessrules-cdb-from-fs").args(["cdb", "rules"]).output().unwrap();
    let err = "s6-accessrules-cdb-from-fs: fatal: the rules take more than 262144 bytes\n";
    assert_eq!((outcome_of(&output).code, String::from_utf8_lossy(&output.stderr).as_ref()), (100, err));
    assert!(std::fs::read(both.path().join("cdb")).unwrap() == made);
}

fn decompiled(both: &Beside, content: &[u8]) -> (i32, String) {
    both.file("cdb", content);
    let output = both.command(Ours, "accessrules-fs-from-cdb").args(["dir", "cdb"]).output().unwrap();
    (outcome_of(&output).code, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_key_or_a_variable_that_leads_elsewhere_makes_no_directory() {
    let both = Beside::new();
    for key in ["../x", "/x", "uid/..", "uid/../../x", "uid", "uid/", "uid/a/b", ".a/b", "uid/.a", "a/b\0c", ""] {
        let (code, err) = decompiled(&both, &one_record(key.as_bytes(), b"D"));
        assert!(code == 100 && err.contains("has a rule that no directory can have"), "{key:?}: {code} {err}");
        assert!(!both.path().join("dir").exists(), "{key:?}");
    }
    for env in ["../x=1", "/x=1", ".=1", "..", "a/b", "A=b ", "A=b\t", "A=b\r"] {
        let data = [b"A\0", &[env.len() as u8 + 1][..], env.as_bytes(), b"\0\0\0"].concat();
        let (code, err) = decompiled(&both, &one_record(b"uid/7", &data));
        assert!(code == 100 && err.contains("uid/7"), "{env:?}: {code} {err}");
        assert!(!both.path().join("dir").exists(), "{env:?}");
    }
    assert_eq!(std::fs::read_dir(both.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_database_makes_no_directory() {
    let both = Beside::new();
    let whole = one_record(b"uid/7", b"A\0\x04X=1\0\0\0");
    let mut unreachable = whole.clone();
    let slot = unreachable.len() - 8;
    unreachable[slot] ^= 1;
    let mut overlapping = whole.clone();
    overlapping[2052] += 1;
    for content in [b"junk", &whole[..whole.len() - 1], &unreachable, &overlapping, &one_record(b"uid/7", b"x")] {
        let (code, err) = decompiled(&both, content);
        assert!(code == 111 && err.contains("damaged"), "{code} {err}");
        assert!(!both.path().join("dir").exists());
    }
    assert_eq!(decompiled(&both, &whole).0, 0);
    assert_eq!(content(&both.path().join("dir/uid/7/env/X")), "1\n");
    let (code, err) = decompiled(&both, &whole);
    assert_eq!((code, err.as_str()), (111, "s6-accessrules-fs-from-cdb: fatal: unable to mkdir dir: File exists\n"));
    assert!(both.path().join("dir/uid/7/allow").exists(), "what was there before is left alone");
    assert_eq!(both.same("accessrules-fs-from-cdb", &["new", "missing"]), Outcome::code(111));
    assert!(!both.path().join("new").exists());
}
