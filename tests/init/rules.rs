//! Access rules of process 1's fd-holder, from a directory that the board names.

use crate::machine::Machine;
use crate::world::{World, is_root};

const BOARD: &str = "[[socket]]\nname = \"unix:/run/a.sock\"\n\n[fdholder]\nrules = \"/etc/linchpin/rules\"\n";

/// A machine with rules, in files of that directory.
fn machine(rules: &[(&str, &str)]) -> Machine {
    let world = World::new().board(BOARD);
    for (name, content) in rules {
        world.file(&format!("etc/linchpin/rules/{name}"), 0o644, content);
    }
    world.boot().up()
}

/// What somebody's client comes to.
fn client(machine: &mut Machine, become_who: &str, command: &str) -> Result<String, String> {
    let output = machine.sh(&format!("{become_who} s6-fdholder-{command}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

const HELLO: &str = "s6-applyuidgid -u 7 -g 7 -G ''";
const LIST: &str = "list /service/fdholder/s";
const RETRIEVE: &str = "retrieve /service/fdholder/s unix:/run/a.sock echo got it";

#[test]
fn a_user_may_do_what_the_rules_say() {
    if !is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let allow = ("uid/7/allow", "");
    let mut machine = machine(&[allow, ("uid/7/env/S6_FDHOLDER_RETRIEVE_REGEX", "^unix:\n"), ("uid/default/deny", "")]);
    assert_eq!(client(&mut machine, HELLO, RETRIEVE).as_deref(), Ok("got it\n"));
    assert!(client(&mut machine, HELLO, LIST).unwrap_err().contains("Operation not permitted"));
    // What is meant for everybody else does not lock out root.
    assert_eq!(client(&mut machine, "", LIST).as_deref(), Ok("unix:/run/a.sock\n"));
    // Rules are looked at when somebody connects.
    machine.text("rm /etc/linchpin/rules/uid/7/allow");
    client(&mut machine, HELLO, RETRIEVE).unwrap_err();
}

#[test]
fn rules_that_cannot_be_read_give_nobody_a_right_and_take_none_from_root() {
    if !is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let mut machine = machine(&[("uid", "a file"), ("gid/7/allow", "")]);
    client(&mut machine, HELLO, LIST).unwrap_err();
    machine.log.until("uid 7 meets an error while checking rules: uid/7: Not a directory");
    assert_eq!(client(&mut machine, "", LIST).as_deref(), Ok("unix:/run/a.sock\n"));
}
