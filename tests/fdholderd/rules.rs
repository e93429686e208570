//! Rules as a directory, and as the database that Debian's s6 makes of it.

use crate::daemon::compile_rules;
use crate::tmp::TempDir;
use linchpin::access::{Detail, Key, Rules, look_up};
use linchpin::sys::{Fd, file};
use linchpin::text::cdb::Cdb;
use proptest::prelude::*;
use std::ffi::CString;
use std::fs;
use std::path::Path;

/// What is in one rule's directory: whether it allows, its variables, what it executes.
type Rule = (bool, Vec<(String, Vec<u8>)>, Option<String>);

fn rule() -> impl Strategy<Value = Rule> {
    let value = prop_oneof![
        prop::collection::vec(prop::sample::select(&b"ab \t\r=\0\x80\n"[..]), 0..12),
        Just(b"\n".to_vec()),
        Just(Vec::new()),
    ];
    let variables = prop::collection::vec(("[A-Z]{1,3}|\\.h|x=y", value), 0..4);
    (any::<bool>(), variables, prop::option::of("[a-z ]{1,20}"))
}

const KEYS: [Key; 7] =
    [Key::UserSelf, Key::User(0), Key::User(4294967295), Key::GroupSelf, Key::Group(0), Key::Group(77), Key::Default];

fn write(dir: &Path, rules: &[Option<Rule>]) {
    for (key, rule) in KEYS.iter().zip(rules) {
        let at = dir.join(std::str::from_utf8(key.path().as_bytes()).unwrap());
        fs::create_dir_all(&at).unwrap();
        let Some((allows, variables, exec)) = rule else { continue };
        fs::write(at.join(if *allows { "allow" } else { "deny" }), "").unwrap();
        if !variables.is_empty() {
            fs::create_dir(at.join("env")).unwrap();
        }
        for (name, value) in variables {
            fs::write(at.join("env").join(name), value).unwrap();
        }
        if let Some(exec) = exec {
            fs::write(at.join("exec"), exec).unwrap();
        }
    }
}

fn ask(rules: Rules<'_>, key: Key) -> (String, Vec<String>) {
    let mut details = Vec::new();
    let answer = look_up(rules, std::iter::once(key), &mut |detail| {
        details.push(match detail {
            Detail::Variable(name, value) => format!("{name:?}={value:?}"),
            Detail::Exec(what) => format!("exec {what:?}"),
        });
    });
    details.sort();
    (format!("{answer:?}"), details)
}

#[test]
fn a_database_says_what_the_directory_says_that_it_was_made_of() {
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(rules in prop::collection::vec(prop::option::weighted(0.8, rule()), KEYS.len()))| {
        let dir = TempDir::new();
        write(&dir.path().join("rules"), &rules);
        compile_rules(dir.path());
        let bytes = fs::read(dir.path().join("rules.cdb")).unwrap();
        let cdb = Cdb::new(&bytes).unwrap();
        let path = CString::new(dir.path().join("rules").to_str().unwrap()).unwrap();
        let mut fd = file::open_dir(Fd::CWD, &path).unwrap();
        for key in KEYS.into_iter().chain([Key::User(5)]) {
            let (directory, database) = (ask(Rules::Directory(fd), key), ask(Rules::Database(cdb), key));
            prop_assert_eq!(&directory, &database, "{:?}", key);
        }
        fd.close();
        // Damaged in any way, it says something else or that it is damaged, and does no harm.
        for at in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0xff;
            if let Ok(cdb) = Cdb::new(&bytes) {
                KEYS.iter().for_each(|key| drop(ask(Rules::Database(cdb), *key)));
            }
        }
    });
}
