//! Rules of any shape: a directory and the database made of it say the same, and bytes that are no rules allow nobody.

use crate::beside::*;
use crate::checks;
use crate::rules::*;
use linchpin::access::{Answer, Detail, Ids, Key, Rules, look_up};
use linchpin::sys::{Fd, file};
use linchpin::text::cdb::Cdb;
use linchpin::text::cdb_make::{Maker, Places};
use proptest::prelude::*;
use std::ffi::CString;
use std::path::Path;

type Told = (Result<(Answer, Option<Key>), linchpin::access::Trouble>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn ask(rules: Rules<'_>, ids: Ids) -> Told {
    let mut told = Vec::new();
    let answer = look_up(rules, ids.keys(Ids { uid: 1, gid: 1 }), &mut |detail| {
        told.push(match detail {
            Detail::Variable(name, value) => (name.to_vec(), value.map(<[u8]>::to_vec)),
            Detail::Exec(content) => (b"=exec".to_vec(), Some(content.to_vec())),
        });
    });
    told.sort();
    (answer, told)
}

fn in_directory(dir: &Path, ids: Ids) -> Told {
    let path = CString::new(dir.to_str().unwrap()).unwrap();
    let mut dir = file::open_dir(Fd::CWD, &path).unwrap();
    let told = ask(Rules::Directory(dir), ids);
    dir.close();
    told
}

const KEYS: [&str; 8] = ["uid/self", "uid/1", "uid/2", "gid/self", "gid/1", "gid/2", "uid/default", "gid/default"];

#[derive(Clone, Debug)]
struct Rule {
    key: usize,
    verdict: u8,
    env: Vec<(u8, Vec<u8>)>,
    exec: Vec<u8>,
}

fn rule() -> impl Strategy<Value = Rule> {
    let byte = || prop_oneof![4 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(0), 1 => Just(b' ')];
    let text = |most: usize| prop::collection::vec(byte(), 0..most);
    let exec = prop::collection::vec(1u8.., 0..30);
    (0..KEYS.len(), 0u8..5, prop::collection::vec((b'A'..b'F', text(12)), 0..4), exec)
        .prop_map(|(key, verdict, env, exec)| Rule { key, verdict, env, exec })
}

fn plant_rule(top: &Path, rule: &Rule) {
    let dir = top.join(KEYS[rule.key]);
    std::fs::create_dir_all(dir.join("env")).unwrap();
    for (file, bit) in [("allow", 1), ("deny", 2)] {
        // One is more usual than none or both.
        if rule.verdict & bit != 0 || rule.verdict == 4 && bit == 1 {
            std::fs::write(dir.join(file), "").unwrap();
        }
    }
    for (name, value) in &rule.env {
        std::fs::write(dir.join("env").join(char::from(*name).to_string()), value).unwrap();
    }
    std::fs::write(dir.join("exec"), &rule.exec).unwrap();
}

fn everybody() -> impl Iterator<Item = Ids> {
    (0..4).flat_map(|uid| (0..4).map(move |gid| Ids { uid, gid }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_directory_its_database_and_the_directory_of_that_say_the_same(rules in prop::collection::vec(rule(), 0..8)) {
        let both = Beside::new();
        let dir = both.path().join("rules");
        std::fs::create_dir(&dir).unwrap();
        rules.iter().for_each(|rule| plant_rule(&dir, rule));
        prop_assert_eq!(both.ours("accessrules-cdb-from-fs", &["cdb", "rules"]), Outcome::says(""));
        prop_assert_eq!(both.run(Theirs, "accessrules-cdb-from-fs", &["theirs", "rules"]), Outcome::says(""));
        let file = std::fs::read(both.path().join("cdb")).unwrap();
        prop_assert!(file == std::fs::read(both.path().join("theirs")).unwrap());
        prop_assert_eq!(both.ours("accessrules-fs-from-cdb", &["again", "cdb"]), Outcome::says(""));
        let cdb = Cdb::new(&file).unwrap();
        for ids in everybody() {
            let told = in_directory(&dir, ids);
            prop_assert_eq!(&ask(Rules::Database(cdb), ids), &told, "{:?}", ids);
            prop_assert_eq!(&in_directory(&both.path().join("again"), ids), &told, "{:?}", ids);
        }
    }
}

proptest! {
    #[test]
    fn bytes_that_are_no_rules_allow_nobody(
        data in prop::collection::vec(any::<u8>(), 0..300),
        starts in prop::collection::vec((0u16..300, 0u8..40), 256),
    ) {
        let mut file = Vec::new();
        for (start, slots) in starts {
            file.extend((2048 + u32::from(start)).to_le_bytes());
            file.extend(u32::from(slots).to_le_bytes());
        }
        file.extend(&data);
        if let Ok(cdb) = Cdb::new(&file) {
            for ids in everybody() {
                prop_assert!(!matches!(ask(Rules::Database(cdb), ids).0, Ok((Answer::Allow, _))));
            }
        }
        let own = Ids { uid: 1, gid: 1 };
        if let Ok(cdb) = Cdb::new(&data) {
            let answer = ask(Rules::Database(cdb), own).0;
            prop_assert!(!matches!(answer, Ok((Answer::Allow, _))));
        }
        let record = one_record(b"uid/2", &data);
        let answer = ask(Rules::Database(Cdb::new(&record).unwrap()), Ids { uid: 2, gid: 2 }).0;
        prop_assert!(!matches!(answer, Ok((Answer::Allow, _))) || data.starts_with(b"A"));
    }

    /// A deny that a cut takes away would let in whom the default allows.
    #[test]
    fn a_database_that_is_cut_off_allows_nobody(cut in any::<prop::sample::Index>()) {
        let (mut room, mut places) = ([0; 4096], Places::<4>::new());
        let mut maker = Maker::new(&mut room, &mut places).unwrap();
        maker.add(b"uid/2", &[b"D"]).unwrap();
        maker.add(b"uid/default", &[b"A\0\0\0\0"]).unwrap();
        let file = maker.finish().unwrap();
        let whole = ask(Rules::Database(Cdb::new(file).unwrap()), Ids { uid: 2, gid: 2 }).0;
        prop_assert_eq!(whole, Ok((Answer::Deny, Some(Key::User(2)))));
        if let Ok(cdb) = Cdb::new(&file[..cut.index(file.len())]) {
            for ids in everybody() {
                prop_assert!(!matches!(ask(Rules::Database(cdb), ids).0, Ok((Answer::Allow, _))));
            }
        }
    }

    #[test]
    fn addresses_and_names_are_looked_for_under_their_own_keys(
        data in prop_oneof![prop::collection::vec(any::<u8>(), 0..40), "[a-c.@/]{0,12}".prop_map(String::into_bytes)],
    ) {
        checks::origins(&data);
    }

    #[test]
    fn keys_of_networks_are_put_right(key in "ip[46]/([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9A-F]{1,3}:[0-9a-f]{0,2}::[0-9]?)_[0-9]{1,3}") {
        checks::origins(key.as_bytes());
    }
}
