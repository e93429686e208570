//! The programs around a connection: who makes it, who limits it, who copies through it. Beside Debian's where it has
//! them; s6-tcpclient is held to what s6-networking's manual and its version 2.8 do.

#![allow(unsafe_code)] // namespaces, descriptors of children

mod alone;
#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod connlimit;
mod ident;
mod ioconnect;
mod ipcclient;
mod names;
mod relay;
mod relayed;
mod tcpclient;
mod timeouts;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;

use std::process::Command;

/// How a command ended, and what it said.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct Seen {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end.
pub fn seen(command: &mut Command) -> Seen {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let ended = beside::outcome_of(&output);
    Seen { code: ended.code, out: ended.out, err }
}

/// Runs both, which must end alike and say the same.
pub fn same(both: &beside::Beside, name: &str, change: impl Fn(&mut Command)) -> Seen {
    let [theirs, ours] = [beside::Theirs, beside::Ours].map(|whose| {
        let mut command = both.command(whose, name);
        change(&mut command);
        seen(&mut command)
    });
    assert_eq!(ours, theirs, "ours and Debian's s6-{name}");
    ours
}

/// What a program finds that a client has run: its variables, and what descriptors it has.
pub const LOOK: &str = r#"env | grep -E '^(PROTO|IPC|TCP)' | sort
    for n in 0 1 2 3 4 5 6 7 8 9; do if [ -L /proc/$$/fd/$n ]; then stat -L -c "$n %F" /proc/$$/fd/$n; fi; done
    grep -h flags /proc/$$/fdinfo/6 /proc/$$/fdinfo/7
    [ "$(readlink /proc/$$/fd/6)" = "$(readlink /proc/$$/fd/7)" ] && echo one"#;
