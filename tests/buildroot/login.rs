//! The judge of a booted image, tests/buildroot/login.py, before machines that are shell scripts.

use crate::{python, text, tmp::TempDir};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

/// A machine on whose console root can log in. The file beside it may give commands another meaning.
const MACHINE: &str = r##"
printf 'SeaBIOS \033[2J\r\nWelcome\r\nbuildroot login: '
read -r user
[ "$user" = root ] || exit 9
dmesg() { :; }
cmp() { :; }
linchpin() { :; }
stty() { :; }
. "$(dirname "$0")/instead"
while printf '# ' && read -r line; do
    [ "$line" != poweroff ] || { end; exit; }
    printf '%s\r\n' "$line" # as a terminal echoes it
    eval "$line"
done
"##;

/// Judges a machine whose console is as `instead` says.
fn judge(instead: &str, options: &[&str]) -> (Option<i32>, String) {
    let dir = TempDir::new();
    let machine = dir.path().join("machine");
    std::fs::write(&machine, format!("#!/bin/sh{MACHINE}")).unwrap();
    std::fs::write(dir.path().join("instead"), format!("end() {{ :; }}\n{instead}\n")).unwrap();
    std::fs::set_permissions(&machine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut words = vec!["--limit=6"];
    words.extend(options);
    words.extend(["--", machine.to_str().unwrap()]);
    let Output { status, stdout, stderr } = python("login.py", words);
    assert_eq!(text(&stderr), "");
    (status.code(), text(&stdout))
}

#[track_caller]
fn fails(instead: &str, with: &str) {
    let (code, said) = judge(instead, &[]);
    let failed: Vec<&str> = said.lines().filter(|line| line.contains("FAIL")).collect();
    assert!(code == Some(1) && failed.len() == 1 && failed[0].contains(with), "{code:?} {said}");
}

#[test]
fn a_machine_that_does_it_all_is_good() {
    let (code, said) = judge("", &["--run=test -d /"]);
    let texts: Vec<&str> =
        said.lines().map(|line| line.split_once("  ok    ").map_or(line, |(_, text)| text)).collect();
    assert_eq!(
        texts,
        [
            "the login prompt",
            "root is logged in",
            "process 1 is /sbin/init",
            "no service has failed",
            "`test -d /`",
            "poweroff ended the emulator, which exited with 0",
        ]
    );
    assert_eq!(code, Some(0));
}

#[test]
fn another_process_1_is_found_out() {
    fails("cmp() { [ \"$1 $2\" != '/proc/1/exe /sbin/init' ]; }", "process 1 is /sbin/init: ");
}

#[test]
fn a_failed_service_is_told_by_its_line_and_by_its_exit_code() {
    fails("linchpin() { echo 'web is down'; return 1; }", "exited with 1 and said 'web is down'");
    fails("linchpin() { echo 'web is down'; }", "exited with 0 and said 'web is down'");
    fails("linchpin() { return 1; }", "exited with 1");
}

#[test]
fn a_service_that_is_only_late_has_not_failed() {
    let (code, said) = judge("linchpin() { linchpin() { :; }; echo late; return 1; }", &[]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_poweroff_that_does_not_end_the_machine_is_told() {
    fails("end() { exec sleep 60; }", "poweroff: nothing more within");
    let (code, said) = judge("end() { echo 'reboot: System halted'; exec sleep 60; }", &["--halts"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_machine_that_panics_or_ends_too_early_is_told() {
    fails("echo 'Kernel panic - not syncing: Attempted to kill init!'; exec sleep 60", "the kernel panicked");
    fails("exit", "the emulator ended");
}

#[test]
fn a_command_of_ones_own_must_succeed() {
    let (code, said) = judge("", &["--run=ls /nowhere/at/all"]);
    assert!(code == Some(1) && said.contains("FAIL  `ls /nowhere/at/all`"), "{said}");
}
