//! The logger's script beside Debian's s6-log: what is said of words that are wrong, and where lines go.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod expressions;
mod selections;
mod syntax;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;

use beside::*;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

/// How a logger has ended, and what it has said.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs a logger on some input, with words that may be any bytes.
fn log<W: AsRef<[u8]>>(both: &Beside, whose: Whose, words: &[W], input: &[u8]) -> Ended {
    let mut command = both.command(whose, "log");
    command.args(words.iter().map(|word| OsStr::from_bytes(word.as_ref())));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who refuses its script does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap_or_else(|e| e.as_bytes().escape_ascii().to_string());
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs both; they must end alike.
fn same<W: AsRef<[u8]>>(both: &Beside, words: &[W], input: &[u8]) -> Ended {
    let [theirs, ours] = [Theirs, Ours].map(|whose| log(both, whose, words, input));
    let words: Vec<_> = words.iter().map(|word| word.as_ref().escape_ascii().to_string()).collect();
    assert_eq!(ours, theirs, "ours and Debian's s6-log {words:?}");
    ours
}
