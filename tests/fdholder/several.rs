//! Several descriptors for one program, over one connection: `fdholder-retrieve --listen-fds` and `--s6-fds`.

use crate::fake::*;
use crate::store::*;
use crate::tmp::TempDir;
use std::fs::File;
use std::process::{Command, Output, Stdio};

/// A store that holds files, each of which reads as its identifier.
fn holding(ids: &[&str]) -> Store {
    let store = Store::start(Kind::Ours);
    let dir = TempDir::new();
    for id in ids {
        let path = dir.path().join("file");
        std::fs::write(&path, id).unwrap();
        let mut run = client(Kind::Ours, &["store"], &store.path);
        assert!(run.arg(id).stdin(File::open(&path).unwrap()).status().unwrap().success());
        std::fs::remove_file(path).unwrap();
    }
    store
}

fn held(store: &Store) -> String {
    store.run(Kind::S6, &["list"], &[]).1
}

/// A client, in an environment with nothing of this.
fn retrieve(options: &[&str], store: &std::path::Path) -> Command {
    let words: Vec<&str> = [&["retrieve"], options].concat();
    let mut command = client(Kind::Ours, &words, store);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn says(output: &Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    text(&output.stdout)
}

const LISTEN: &str = "env | grep ^LISTEN_F | sort; [ $LISTEN_PID = $$ ] && echo it is me";
const READ: &str = "fd=3; while [ $fd -lt $((3 + LISTEN_FDS)) ]; do echo $fd $(cat <&$fd); fd=$((fd + 1)); done";

#[test]
fn listen_fds_are_in_order_from_3_on_and_named_after_their_identifiers() {
    let store = holding(&["unix:/run/a b", "tcp:\u{e9}\n", "c"]);
    let mut run = retrieve(&["--listen-fds"], &store.path);
    run.args(["c", "unix:/run/a b", "tcp:\u{e9}\n", "c=other", "--", "sh", "-c", &format!("{LISTEN}; {READ}")]);
    let expected = "LISTEN_FDNAMES=c:unix_/run/a b:tcp____:other\nLISTEN_FDS=4\nit is me\n\
                    3 c\n4 unix:/run/a b\n5 tcp:\u{e9}\n6\n";
    assert_eq!(says(&run.output().unwrap()), expected);
    assert_eq!(held(&store).lines().count(), 3);
}

#[test]
fn what_an_earlier_manager_told_is_not_passed_on() {
    let store = holding(&["a"]);
    let mut run = retrieve(&["--listen-fds"], &store.path);
    for name in ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_ADDRESS"] {
        run.env(name, "7");
    }
    let shown = says(&run.args(["a", "--", "env"]).output().unwrap());
    let mut lines: Vec<&str> = shown.lines().filter(|line| line.starts_with("LISTEN_")).collect();
    lines.sort_unstable();
    assert!(lines[3].starts_with("LISTEN_PID=") && lines[3] != "LISTEN_PID=7", "{shown}");
    lines.remove(3);
    assert_eq!(lines, ["LISTEN_ADDRESS=7", "LISTEN_FDNAMES=a", "LISTEN_FDS=1"]);
}

#[test]
fn listen_fds_replace_what_was_open_there_and_need_no_standard_descriptors() {
    for before in
        ["exec 3</dev/null 4</dev/zero 5</dev/null 6</dev/null", "exec 4</dev/null", "exec <&-", "exec 2>&- <&-"]
    {
        let store = holding(&["a", "b", "c"]); // each read takes what is in the file
        let inner = retrieve(&["--listen-fds"], &store.path);
        let run = Command::new("sh")
            .args(["-c", &format!("{before}; exec \"$@\""), "sh"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .args(["a", "b", "c", "--", "sh", "-c", READ])
            .output()
            .unwrap();
        assert_eq!(text(&run.stdout), "3 a\n4 b\n5 c\n", "{before}");
    }
}

#[test]
fn one_connection_is_enough_and_the_program_does_not_have_it() {
    let script = (0..3).map(|_| Say(message(1, &[0]), 1)).collect();
    let fake = Fake::start(script);
    let inner = retrieve(&["--listen-fds"], &fake.path());
    let open = "for fd in 3 4 5 6 7 8 9; do if [ -e /proc/$$/fd/$fd ]; then printf '%s ' $fd; fi; done";
    // What the test inherited is not to be in the way.
    let run = Command::new("sh")
        .args(["-c", "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-; exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .args(["a", "b", "c", "--", "sh", "-c", open])
        .output()
        .unwrap();
    assert_eq!(says(&run), "3 4 5 ");
    let request = |id: u8| (message(0, &[b'R', 0, 1, id, 0]), 0);
    assert_eq!(fake.transcript(), [request(b'a'), request(b'b'), request(b'c')]);
}

#[test]
fn descriptors_are_deleted_when_all_have_come() {
    let script = [Say(message(1, &[0]), 1), Say(message(1, &[0]), 1), status(0), status(0)];
    let fake = Fake::start(script.to_vec());
    says(&retrieve(&["--listen-fds", "-D"], &fake.path()).args(["a=x", "b", "--", "true"]).output().unwrap());
    let retrieve = |id: u8| (message(0, &[b'R', 0, 1, id, 0]), 0);
    let delete = |id: u8| (message(0, &[b'D', 1, id, 0]), 0);
    assert_eq!(fake.transcript(), [retrieve(b'a'), retrieve(b'b'), delete(b'a'), delete(b'b')]);
}

#[test]
fn when_one_is_missing_nothing_is_run_and_none_is_lost() {
    let store = holding(&["a", "b"]);
    for option in ["--listen-fds", "--s6-fds"] {
        let run =
            retrieve(&[option, "-D"], &store.path).args(["a", "nope", "b", "--", "echo", "run"]).output().unwrap();
        let err = "s6-fdholder-retrieve: fatal: unable to retrieve fd for id nope: No such file or directory\n";
        assert_eq!((run.status.code(), text(&run.stdout), text(&run.stderr)), (Some(1), String::new(), err.into()));
    }
    assert_eq!(held(&store), "a\nb\n");
    says(&retrieve(&["--listen-fds", "-D"], &store.path).args(["a", "a", "--", "true"]).output().unwrap());
    assert_eq!(held(&store), "b\n");
}

#[test]
fn an_identifier_with_an_equals_sign_is_asked_for_with_another_one_behind_it() {
    let store = holding(&["a=b"]);
    let names = |word: &str| {
        let mut run = retrieve(&["--listen-fds"], &store.path);
        run.args([word, "--", "sh", "-c", "echo $LISTEN_FDNAMES"]).output().unwrap()
    };
    assert_eq!(says(&names("a=b=")), "a=b\n");
    assert_eq!(says(&names("a=b=c")), "c\n");
    assert_eq!(names("a=b").status.code(), Some(1));
}

#[test]
fn words_that_make_no_sense_are_wrong_usage() {
    let store = holding(&["a"]);
    for words in [
        &["--listen-fds", "SOCKET", "a"][..],
        &["--listen-fds", "SOCKET", "a", "true"],
        &["--listen-fds", "SOCKET", "a", "--"],
        &["--listen-fds", "SOCKET", "--", "true"],
        &["--listen-fds", "SOCKET", "a=b:c", "--", "true"],
        &["--listen-fds", "SOCKET", "a=\n", "--", "true"],
        &["--s6-fds", "SOCKET", "a"],
        &["--s6-fds=1", "SOCKET", "a", "--", "true"],
        &["--fds", "SOCKET", "a", "--", "true"],
    ] {
        let words = words.iter().map(|word| if *word == "SOCKET" { store.path.to_str().unwrap() } else { word });
        let run = Command::new(binary()).arg("fdholder-retrieve").args(words.clone()).output().unwrap();
        assert_eq!((run.status.code(), run.stdout), (Some(100), vec![]), "{:?}", words.collect::<Vec<_>>());
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn a_program_that_cannot_have_so_many_numbers_is_not_run() {
    let store = holding(&["a", "b", "c", "d"]);
    let inner = retrieve(&["--listen-fds"], &store.path);
    for limit in 5..=7 {
        let run = Command::new("prlimit")
            .arg(format!("--nofile={limit}"))
            .arg(inner.get_program())
            .args(inner.get_args())
            .args(["a", "b", "c", "d", "--", "echo", "run"])
            .output()
            .unwrap();
        assert_eq!((run.status.code(), text(&run.stdout)), (Some(111), String::new()), "{limit}");
        assert!(text(&run.stderr).ends_with(": Too many open files\n"), "{limit}: {}", text(&run.stderr));
    }
}

#[test]
fn s6_fds_are_told_as_a_dump_is_so_that_they_can_be_given_to_another_store() {
    let [from, to] = [holding(&["a", "b=c", "d"]), Store::start(Kind::S6)];
    let setdump = client(Kind::S6, &["setdump"], &to.path);
    let mut run = retrieve(&["--s6-fds"], &from.path);
    let run = run.args(["b=c", "a", "--"]).arg(setdump.get_program()).args(setdump.get_args()).output().unwrap();
    says(&run);
    assert_eq!(held(&to), "b=c\na\n");
    let (code, out, _) = to.run(Kind::Ours, &["retrieve"], &["b=c", "cat"]);
    assert_eq!((code, out.as_str()), (Some(0), "b=c"));
}

#[test]
fn the_program_decides_how_it_ends() {
    let store = holding(&["a"]);
    for (program, code) in [(&["sh", "-c", "exit 7"][..], 7), (&["/nonexistent"], 127), (&["/dev"], 126)] {
        let run = retrieve(&["--listen-fds"], &store.path).args(["a", "--"]).args(program).output().unwrap();
        assert_eq!(run.status.code(), Some(code), "{program:?}");
    }
    let run = retrieve(&["--listen-fds"], std::path::Path::new("/nonexistent")).args(["a", "--", "true"]).output();
    assert_eq!(run.unwrap().status.code(), Some(111));
}
