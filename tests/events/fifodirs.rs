//! mkfifodir, cleanfifodir, ftrig-notify.

use crate::beside::*;
use linchpin::service::event::Subscription;
use linchpin::sys::{Fd, file};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;

/// Mode and group of the fifodir that a sequence of commands makes.
fn made(whose: Whose, commands: &[&[&str]]) -> (Vec<i32>, u32, u32) {
    let both = Beside::new();
    let codes = commands.iter().map(|words| both.run(whose, "mkfifodir", words).code).collect();
    let stat = std::fs::metadata(both.path().join("f")).unwrap();
    (codes, stat.mode() & 0o7777, stat.gid())
}

#[test]
fn a_fifodir_is_made_for_everybody_or_for_a_group() {
    for (commands, codes, mode, group) in [
        (&[&["f"][..]][..], &[0][..], 0o1733, 0),
        (&[&["-g", "5", "f"]], &[0], 0o3730, 5),
        (&[&["f"], &["-g", "5", "f"]], &[0, 0], 0o1733, 0),
        (&[&["f"], &["-f", "-g", "5", "f"]], &[0, 0], 0o3730, 5),
        (&[&["-g", "5", "f"], &["-f", "f"]], &[0, 0], 0o1733, 5),
        (&[&["f", "ignored"]], &[0], 0o1733, 0),
    ] {
        for whose in [Theirs, Ours] {
            assert_eq!(made(whose, commands), (codes.to_vec(), mode, group), "{whose:?} {commands:?}");
        }
    }
}

#[test]
fn something_else_in_its_place_is_an_error() {
    let both = Beside::new();
    both.file("file", "");
    std::fs::create_dir(both.path().join("theirs")).unwrap();
    std::os::unix::fs::chown(both.path().join("theirs"), Some(12345), None).unwrap();
    for name in ["file", "none/f", "theirs"] {
        assert_eq!(both.same("mkfifodir", &[name]), Outcome::code(111), "{name}");
        assert_eq!(both.same("mkfifodir", &["-f", name]), Outcome::code(111), "{name}");
    }
    assert_eq!(both.same("mkfifodir", &["-g", "x", "f"]), Outcome::code(100));
    assert_eq!(both.same("mkfifodir", &[]), Outcome::code(100));
}

fn fifodir(both: &Beside) -> Subscription {
    assert_eq!(both.ours("mkfifodir", &["f"]).code, 0);
    let path = std::ffi::CString::new(both.path().join("f").to_str().unwrap()).unwrap();
    Subscription::open(Fd::CWD, &path).unwrap()
}

fn taken(listener: &Subscription) -> String {
    let mut buf = [0; 64];
    let n = listener.read(&mut buf).unwrap().unwrap_or(0);
    String::from_utf8(buf[..n].to_vec()).unwrap()
}

#[test]
fn listeners_get_the_message_in_one_piece() {
    let both = Beside::new();
    let mut listener = fifodir(&both);
    for whose in [Theirs, Ours] {
        assert_eq!(both.run(whose, "ftrig-notify", &["f", "abc"]), Outcome::code(0));
        assert_eq!(taken(&listener), "abc");
        assert_eq!(both.run(whose, "ftrig-notify", &["f", ""]), Outcome::code(0));
        assert_eq!(taken(&listener), "");
    }
    listener.close();
    assert_eq!(both.same("ftrig-notify", &["f", "nobody listens"]), Outcome::code(0));
}

#[test]
fn a_listener_that_does_not_read_holds_nobody() {
    let both = Beside::new();
    let mut listener = fifodir(&both);
    let much = "x".repeat(4096);
    for _ in 0..20 {
        assert_eq!(both.ours("ftrig-notify", &["f", &much]), Outcome::code(0));
    }
    assert_eq!(std::fs::read_dir(both.path().join("f")).unwrap().count(), 1);
    let mut buf = [0; 64];
    assert_eq!(file::read_fifo(listener.fd(), &mut buf), Ok(Some(64)));
    listener.close();
}

#[test]
fn what_is_no_fifodir_is_an_error() {
    let both = Beside::new();
    both.file("file", "");
    for (name, message) in [("ftrig-notify", &["x"][..]), ("cleanfifodir", &[])] {
        for path in ["none", "file"] {
            let words: Vec<&str> = [path].iter().chain(message).copied().collect();
            assert_eq!(both.same(name, &words), Outcome::code(111), "{name} {path}");
        }
        assert_eq!(both.same(name, message), Outcome::code(100), "{name}");
    }
}

#[test]
fn who_may_not_read_the_fifodir_cannot_notify() {
    let both = Beside::new();
    both.copy("ftrig-notify");
    let mut listener = fifodir(&both);
    for whose in [Theirs, Ours] {
        let mut command = both.command(whose, "ftrig-notify");
        assert_eq!(outcome(command.args(["f", "x"]).uid(65534).gid(65534)), Outcome::code(111), "{whose:?}");
    }
    assert_eq!(taken(&listener), "");
    listener.close();
}

/// Debian's looks for names that are ten characters longer, and removes nothing.
#[test]
fn cleaning_removes_what_dead_listeners_left() {
    let both = Beside::new();
    let mut listener = fifodir(&both);
    let stale = both.path().join("f/ftrig1:@4000000000000000000000ab:abcdef");
    linchpin::sys::entry::make_fifo(Fd::CWD, &std::ffi::CString::new(stale.to_str().unwrap()).unwrap(), 0o600).unwrap();
    both.file("f/other", "");
    assert_eq!(both.ours("cleanfifodir", &["f"]), Outcome::code(0));
    assert!(!stale.exists());
    assert_eq!(std::fs::read_dir(both.path().join("f")).unwrap().count(), 2);
    assert_eq!(taken(&listener), "");
    listener.close();
}
