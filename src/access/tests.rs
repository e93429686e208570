use super::*;
use crate::fdholder::rights::{GETDUMP, LIST, Place, SETDUMP, Use, Verdict, may};
use crate::state::Client;
use crate::sys::file;
use crate::sys::socket::Peer;
use std::ffi::CString;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use zerocopy::FromZeros;

/// What access rules say, and what they warn of.
type Said = (Result<(Answer, Option<Key>), Trouble>, Vec<String>);

/// A directory of rules, gone when the test is over.
struct Dir(PathBuf);

impl Dir {
    /// With these files; a name that ends in `/` is a directory.
    fn new(files: &[(&str, &str)]) -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = Dir(std::env::temp_dir().join(format!("linchpin-rules-{}-{number}", std::process::id())));
        fs::create_dir(&dir.0).unwrap();
        for (name, content) in files {
            let path = dir.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::write(path, content).unwrap();
            }
        }
        dir
    }

    fn path(&self) -> CString {
        CString::new(self.0.to_str().unwrap()).unwrap()
    }

    /// What the rules say of user and group 7, told as one line for each detail.
    fn ask(&self) -> Said {
        let mut dir = file::open_dir(Fd::CWD, &self.path()).unwrap();
        let mut details = Vec::new();
        let answer = look_up(Rules::Directory(dir), keys(7, 7), &mut |detail| details.push(told(&detail)));
        dir.close();
        details.sort();
        (answer, details)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn told(detail: &Detail<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match detail {
        Detail::Variable(name, Some(value)) => format!("{}={}", text(name), text(value)),
        Detail::Variable(name, None) => format!("{} is taken out", text(name)),
        Detail::Exec(what) => format!("exec {}", text(what)),
    }
}

fn keys(uid: u32, gid: u32) -> impl Iterator<Item = Key> {
    Ids { uid, gid }.keys(Ids { uid: 1, gid: 2 })
}

const NOTHING: Said = (Ok((Answer::Nothing, None)), Vec::new());

#[test]
fn users_come_before_groups_and_ourselves_before_numbers() {
    let written = |uid, gid| {
        let text = |key: Key| String::from_utf8(key.path().as_bytes().to_vec()).unwrap();
        keys(uid, gid).map(text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(written(1, 2), "uid/self uid/1 gid/self gid/2 uid/default");
    assert_eq!(written(0, 2), "uid/0 gid/self gid/2 uid/default");
    assert_eq!(written(u32::MAX, 0), "uid/4294967295 gid/0 uid/default");
}

#[test]
fn the_first_rule_that_says_something_decides() {
    let dir = Dir::new(&[("uid/7/", ""), ("gid/7/deny", ""), ("uid/default/allow", ""), ("uid/8/allow", "")]);
    assert_eq!(dir.ask().0, Ok((Answer::Deny, Some(Key::Group(7)))));
    fs::write(dir.0.join("uid/7/allow"), "").unwrap();
    fs::write(dir.0.join("uid/7/deny"), "").unwrap();
    assert_eq!(dir.ask().0, Ok((Answer::Allow, Some(Key::User(7)))), "allow is looked for first");
    assert_eq!(Dir::new(&[("uid/8/allow", "")]).ask(), NOTHING);
    assert_eq!(Dir::new(&[]).ask(), NOTHING);
}

#[test]
fn a_variable_is_the_first_line_of_a_file_without_the_blanks_at_its_end() {
    let long = "x".repeat(5000);
    let dir = Dir::new(&[
        ("uid/7/allow", ""),
        ("uid/7/env/LINE", " a b \t\r\nmore"),
        ("uid/7/env/EMPTY", ""),
        ("uid/7/env/NEWLINE", "\n"),
        ("uid/7/env/NUL", "a\0b"),
        ("uid/7/env/LONG", &long),
        ("uid/7/env/.hidden", "x"),
        ("uid/7/env/a=b", "x"),
        ("uid/7/exec", "echo hi\n"),
    ]);
    let long = format!("LONG={}", &long[..4095]);
    let expected = ["EMPTY is taken out", "LINE= a b", &long, "NEWLINE=", "NUL=a\nb", "exec echo hi\n"];
    assert_eq!(dir.ask().1, expected);
}

#[test]
fn what_cannot_be_looked_at_is_an_error_and_names_its_rule() {
    let allow = ("uid/7/allow", "");
    for (files, errno, key) in [
        (&[("uid", "")][..], Errno::NOTDIR, Key::User(7)),
        (&[("gid/7", "")], Errno::NOTDIR, Key::Group(7)),
        (&[allow, ("uid/7/env", "")], Errno::NOTDIR, Key::User(7)),
        (&[allow, ("uid/7/env/X/", "")], Errno::ISDIR, Key::User(7)),
        (&[allow, ("uid/7/exec/", "")], Errno::ISDIR, Key::User(7)),
    ] {
        assert_eq!(Dir::new(files).ask().0, Err(Trouble { key: Some(key), errno }), "{files:?}");
    }
    let looping = Dir::new(&[("uid/7/", "")]);
    std::os::unix::fs::symlink("allow", looping.0.join("uid/7/allow")).unwrap();
    assert_eq!(looping.ask().0.unwrap_err().errno, Errno::LOOP);
}

#[test]
fn a_fifo_among_the_variables_makes_nobody_wait() {
    let dir = Dir::new(&[("uid/7/allow", ""), ("uid/7/env/", "")]);
    let fifo = CString::new(dir.0.join("uid/7/env/FIFO").to_str().unwrap()).unwrap();
    crate::sys::entry::make_fifo(Fd::CWD, &fifo, 0o600).unwrap();
    assert_eq!(dir.ask(), (Ok((Answer::Allow, Some(Key::User(7)))), vec!["FIFO is taken out".to_owned()]));
}

/// A database with one record.
fn database(key: &[u8], data: &[u8]) -> Vec<u8> {
    let hash = key.iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(*byte));
    let word = |n: usize| (n as u32).to_le_bytes();
    let (mut file, place) = (vec![0; 2048], 2048);
    file.extend([word(key.len()), word(data.len())].concat());
    file.extend(key.iter().chain(data));
    let table = [word(file.len()), word(1)].concat();
    file.extend([word(hash as usize), word(place)].concat());
    let at = hash as usize % 256 * 8;
    file[at..at + 8].copy_from_slice(&table);
    file
}

#[test]
fn a_record_that_is_no_rule_is_an_error() {
    for (data, expected) in [
        (&b"D"[..], Some(Answer::Deny)),
        (b"A\0\0\0\0", Some(Answer::Allow)),
        (b"A\0\x04X=1\0\0\x02ab", Some(Answer::Allow)),
        (b"", None),
        (b"DD", None),
        (b"a\0\0\0\0", None),
        (b"A", None),
        (b"A\0\0\0\0x", None),
        (b"A\0\x03X=1\0\0", None),
        (b"A\0\x05X=1\0\0\0", None),
        (&[&b"A\x10\x01"[..], &[0; 0x1001], b"\0\0"].concat(), None),
    ] {
        let file = database(b"uid/7", data);
        let rules = Rules::Database(Cdb::new(&file).unwrap());
        let answer = look_up(rules, keys(7, 7), &mut |_| {});
        let proto = Trouble { key: Some(Key::User(7)), errno: Errno::PROTO };
        assert_eq!(answer, expected.map(|answer| (answer, Some(Key::User(7)))).ok_or(proto), "{data:?}");
    }
}

#[test]
fn a_database_tells_variables_and_exec() {
    let file = database(b"uid/default", b"A\0\x0fX=1\0GONE\0Y=a=b\0\0\x02ab");
    let mut details = Vec::new();
    let rules = Rules::Database(Cdb::new(&file).unwrap());
    look_up(rules, keys(7, 7), &mut |detail| details.push(told(&detail))).unwrap();
    assert_eq!(details, ["X=1", "GONE is taken out", "Y=a=b", "exec ab"]);
}

/// What a store makes of rules for somebody, in a record of its own.
fn judge(check: crate::fdholder::rights::Check, place: Place<'_>, uid: u32) -> (Verdict, Box<Client>) {
    let mut client = Box::new(Client::new_zeroed());
    let peer = Peer { pid: 1, uid, gid: 12345 };
    (check(place, peer, &mut client), client)
}

#[test]
fn each_variable_grants_one_right() {
    let names = ["LIST", "GETDUMP", "SETDUMP", "STORE_REGEX", "RETRIEVE_REGEX"];
    for name in names {
        let file = format!("uid/77/env/S6_FDHOLDER_{name}");
        let dir = Dir::new(&[("uid/77/allow", ""), (&file, "\n")]);
        let (verdict, client) = judge(fdholder::check, Place::Directory(&dir.path()), 77);
        assert_eq!(verdict, Verdict::Allowed);
        let has = [
            client.rights & LIST != 0,
            client.rights & GETDUMP != 0,
            client.rights & SETDUMP != 0,
            may(&client, &[], Use::Store, b"id"),
            may(&client, &[], Use::Retrieve, b"id"),
        ];
        assert_eq!(has, names.map(|other| other == name), "{name}");
    }
}

#[test]
fn a_regular_expression_is_searched_for_in_an_identifier() {
    let dir = Dir::new(&[
        ("uid/77/allow", ""),
        ("uid/77/env/S6_FDHOLDER_STORE_REGEX", "^a\n"),
        ("uid/77/env/S6_FDHOLDER_RETRIEVE_REGEX", "ret$\n"),
    ]);
    let (_, client) = judge(fdholder::check, Place::Directory(&dir.path()), 77);
    for (id, store, retrieve) in [(&b"abc"[..], true, false), (b"ok:ret", false, true), (b"ret:ok", false, false)] {
        assert_eq!(may(&client, &[], Use::Store, id), store);
        assert_eq!(may(&client, &[], Use::Delete, id), store);
        assert_eq!(may(&client, &[], Use::Retrieve, id), retrieve);
    }
}

#[test]
fn an_invalid_regular_expression_leaves_no_right() {
    for name in ["STORE", "RETRIEVE"] {
        let file = format!("uid/77/env/S6_FDHOLDER_{name}_REGEX");
        let dir = Dir::new(&[("uid/77/allow", ""), (&file, "a(b\n"), ("uid/77/env/S6_FDHOLDER_LIST", "\n")]);
        let (verdict, client) = judge(fdholder::check, Place::Directory(&dir.path()), 77);
        assert_eq!((verdict, client.rights), (Verdict::Failed, 0));
        assert!(!may(&client, &[], Use::Store, b"ab") && !may(&client, &[], Use::Retrieve, b"ab"));
    }
}

#[test]
fn of_a_variable_that_a_database_has_twice_the_first_counts() {
    let env = b"S6_FDHOLDER_STORE_REGEX=a\0S6_FDHOLDER_STORE_REGEX=b\0";
    let data = [&b"A\0"[..], &[env.len() as u8], env, b"\0\0"].concat();
    let file = database(b"uid/77", &data);
    let (verdict, client) = judge(fdholder::check, Place::Cdb(&file), 77);
    assert_eq!(verdict, Verdict::Allowed);
    assert!(may(&client, &[], Use::Store, b"a") && !may(&client, &[], Use::Store, b"b"));
}

#[test]
fn in_a_store_of_its_own_nobody_has_rights_that_no_rule_gives() {
    let own = Ids::own().uid;
    let dir = Dir::new(&[("uid/77/allow", "")]);
    for uid in [0, own, 78] {
        assert_eq!(judge(fdholder::check, Place::Directory(&dir.path()), uid).0, Verdict::Unknown);
    }
    let nowhere = CString::new(dir.0.join("missing").to_str().unwrap()).unwrap();
    assert_eq!(judge(fdholder::check, Place::Directory(&nowhere), 77).0, Verdict::Unknown);
    let file = CString::new(dir.0.join("uid/77/allow").to_str().unwrap()).unwrap();
    assert_eq!(judge(fdholder::check, Place::Directory(&file), 77).0, Verdict::Failed);
}

#[test]
fn rules_of_process_1_concern_root_only_where_they_name_it() {
    let place = |dir: &Dir| dir.path();
    let dir = Dir::new(&[("uid/default/deny", ""), ("gid/12345/deny", ""), ("uid/78/allow", "")]);
    assert_eq!(judge(fdholder::check_others, Place::Directory(&place(&dir)), 0).0, Verdict::Unknown);
    assert_eq!(judge(fdholder::check_others, Place::Directory(&place(&dir)), 77).0, Verdict::Denied);
    assert_eq!(judge(fdholder::check_others, Place::Directory(&place(&dir)), 78).0, Verdict::Allowed);
    let dir = Dir::new(&[("uid/0/deny", "")]);
    assert_eq!(judge(fdholder::check_others, Place::Directory(&place(&dir)), 0).0, Verdict::Denied);
}
