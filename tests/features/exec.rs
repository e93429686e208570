//! `linchpin exec`: what a file says is executed.

use crate::tmp::TempDir;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_linchpin");

/// A directory with a file in it.
struct Place {
    dir: TempDir,
    file: PathBuf,
}

impl Place {
    fn new(text: impl AsRef<[u8]>) -> Place {
        let dir = TempDir::new();
        let file = dir.path().join("run");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        Place { dir, file }
    }

    fn exec(&self, further: &[&str]) -> Output {
        Command::new(BINARY).arg("exec").arg(&self.file).args(further).output().unwrap()
    }

    /// Its exit code, and what it said about the file.
    fn refused(&self) -> (Option<i32>, String) {
        let output = self.exec(&[]);
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said.replace(self.file.to_str().unwrap(), "FILE"))
    }
}

/// Prints its words.
const PRINT: &str = r#"sh -c 'printf "<%s>" "$@"' x"#;

fn printed(output: Output) -> String {
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_words_of_a_file_are_executed_with_those_behind_its_name_where_it_wants_them() {
    let place = Place::new(format!("# comment\n{PRINT} a 'b c' \"d\\\"e\" \\\n  f\\ g '' # more\n\nlast\n"));
    assert_eq!(printed(place.exec(&[])), "<a><b c><d\"e><f g><><last>");
    assert_eq!(printed(place.exec(&["x"])), "<a><b c><d\"e><f g><><last>");
    let place = Place::new(format!("{PRINT} a \"$@\" b\n"));
    assert_eq!(printed(place.exec(&["-x", "$HOME", ""])), "<a><-x><$HOME><><b>");
    assert_eq!(printed(place.exec(&[])), "<a><b>");
}

#[test]
fn a_file_that_names_it_in_its_first_line_is_a_program() {
    let place = Place::new(format!("#!{BINARY} exec\n{PRINT} one\n  two \"$@\"\n"));
    assert_eq!(
        printed(Command::new(&place.file).args(["three", "--", "-4"]).output().unwrap()),
        "<one><two><three><--><-4>"
    );
}

#[test]
fn it_has_the_environment_the_descriptors_and_the_exit_code_of_the_program() {
    let place = Place::new("sh -c 'echo \"$LETTER\"; cat; exit 7'");
    let mut command = Command::new(BINARY);
    command.arg("exec").arg(&place.file).env("LETTER", "x").stdin(fs::File::open(&place.file).unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"x\nsh -c 'echo \"$LETTER\"; cat; exit 7'");
}

#[test]
fn no_descriptor_is_left_to_the_program() {
    let count = |mut command: Command| command.output().unwrap().stdout;
    let place = Place::new("ls /proc/self/fd");
    let mut ours = Command::new(BINARY);
    ours.arg("exec").arg(&place.file);
    let mut plain = Command::new("ls");
    plain.arg("/proc/self/fd");
    assert_eq!(count(ours), count(plain));
}

#[test]
fn it_chains_with_other_commands_and_with_itself() {
    let inner = Place::new(format!("s6-envdir ENV {PRINT} \"$@\""));
    let env = inner.dir.path().join("env");
    fs::create_dir(&env).unwrap();
    fs::write(env.join("LETTER"), "q").unwrap();
    let text = fs::read_to_string(&inner.file).unwrap();
    let text = text.replace("ENV", env.to_str().unwrap()).replace("\"$@\"'", "\"$LETTER\" \"$@\"'");
    fs::write(&inner.file, text).unwrap();
    // By links, as in an image; and everything executed, which must be the same.
    for name in ["s6-envdir", "s6-setsid", "linchpin"] {
        inner.dir.command(name);
    }
    let (dir, file) = (inner.dir.path().display(), inner.file.display());
    let outer = Place::new(format!("{dir}/s6-setsid {dir}/linchpin exec '{file}' 1 \"$@\""));
    let path = format!("{dir}:{}", std::env::var("PATH").unwrap());
    for how in ["", "always"] {
        let mut command = Command::new(BINARY);
        command.arg("exec").arg(&outer.file).arg("2").env("PATH", &path).env("LINCHPIN_EXEC", how);
        assert_eq!(printed(command.output().unwrap()), "<q><1><2>", "LINCHPIN_EXEC={how}");
    }
}

#[test]
fn a_chain_goes_on_in_the_same_process() {
    let place = Place::new("");
    // A copy: what cargo has built has two names.
    fs::copy(BINARY, place.dir.path().join("linchpin")).unwrap();
    std::os::unix::fs::symlink("linchpin", place.dir.path().join("s6-envdir")).unwrap();
    let empty = place.dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(&place.file, format!("s6-envdir {} s6-envdir {0} true", empty.display())).unwrap();
    let path = format!("{}:{}", place.dir.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=execve", "-e", "signal=none"]);
    command.arg(place.dir.path().join("linchpin")).arg("exec").arg(&place.file).env("PATH", path);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // Itself and the program at the end; what was tried in vain along PATH does not count.
    let done: Vec<&str> = said.lines().filter(|line| line.ends_with("= 0")).collect();
    assert_eq!(done.len(), 2, "{said}");
    assert!(output.status.success());
}

#[test]
fn a_file_that_is_not_there_cannot_be_read() {
    let place = Place::new("");
    fs::remove_file(&place.file).unwrap();
    assert_eq!(
        place.refused(),
        (Some(111), "exec: fatal: unable to read FILE: No such file or directory\n".to_owned())
    );
    let output = Command::new(BINARY).arg("exec").arg(place.dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(111), "{output:?}");
}

#[test]
fn a_file_without_words_names_no_program() {
    for text in ["", "\n", "#!/sbin/linchpin exec\n # nothing\n"] {
        assert_eq!(
            Place::new(text).refused(),
            (Some(100), "exec: fatal: FILE names no program\n".to_owned()),
            "{text:?}"
        );
    }
    let output = Place::new("# nothing").exec(&["true"]);
    assert_eq!(output.status.code(), Some(100), "a word behind the file's name is no program");
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let shell = "means nothing here, there is no shell: put it between ' and '";
    for (text, what) in [
        ("a\n'b\nc", "FILE:2: a ' is not closed".to_owned()),
        ("a \"", "FILE:1: a \" is not closed".to_owned()),
        ("echo a\necho $HOME", format!("FILE:2: a $ {shell}")),
        ("a | b", format!("FILE:1: a | {shell}")),
        ("a\n\0", "FILE:2: there is a NUL byte: it is no text".to_owned()),
    ] {
        assert_eq!(Place::new(text).refused(), (Some(100), format!("exec: fatal: {what}\n")), "{text:?}");
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_told_as_by_any_chain_loader() {
    assert_eq!(
        Place::new("no-such-program").refused(),
        (Some(127), "exec: fatal: unable to exec no-such-program: No such file or directory\n".to_owned())
    );
    assert_eq!(Place::new("/etc/passwd").refused().0, Some(126));
}

#[test]
fn files_and_words_may_be_many_up_to_a_limit() {
    use linchpin::limits::{COMMAND_FILE, COMMAND_WORDS};
    let line = |words: usize| format!("sh -c 'echo $#' x \"$@\"{}", " a".repeat(words - 4));
    assert_eq!(printed(Place::new(line(COMMAND_WORDS)).exec(&[])), format!("{}\n", COMMAND_WORDS - 4));
    assert_eq!(printed(Place::new(line(COMMAND_WORDS - 1)).exec(&["b"])), format!("{}\n", COMMAND_WORDS - 4));
    let many = (Some(100), format!("exec: fatal: FILE: there are more than {COMMAND_WORDS} words\n"));
    assert_eq!(Place::new(line(COMMAND_WORDS + 1)).refused(), many);
    assert_eq!(Place::new(line(COMMAND_WORDS)).exec(&["b"]).status.code(), Some(100));

    let whole = |len: usize| format!("true {}", "a".repeat(len - 5));
    assert_eq!(printed(Place::new(whole(COMMAND_FILE)).exec(&[])), "");
    let long = (Some(100), format!("exec: fatal: FILE is longer than {COMMAND_FILE} bytes\n"));
    assert_eq!(Place::new(whole(COMMAND_FILE + 1)).refused(), long);
}

#[test]
fn words_that_are_no_utf_8_are_passed_on_as_they_are() {
    let mut text = format!("{PRINT} ").into_bytes();
    text.extend_from_slice(b"\xff\xc3");
    let output = Place::new(text).exec(&[]);
    assert_eq!(output.stdout, b"<\xff\xc3>");
    let place = Place::new(format!("{PRINT} \"$@\""));
    let odd = Path::new(OsStr::from_bytes(b"\xfe"));
    assert_eq!(Command::new(BINARY).arg("exec").arg(&place.file).arg(odd).output().unwrap().stdout, b"<\xfe>");
}
