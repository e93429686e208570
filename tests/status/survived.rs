//! What is above the table of a scanner that has failed, and went on.

use crate::scandir::{ScanDir, Svscan};
use crate::supervision::*;
use linchpin::sys::inject;
use std::path::Path;
use std::process::Command;

const SEGV: i32 = 11;
/// Those of the loop: a read at address 0, a panic.
const NULL: i32 = inject::FIRST_SIGNAL + inject::Kind::Null as i32;
const ASSERTION: i32 = inject::FIRST_SIGNAL + inject::Kind::Assertion as i32;

/// The lines above the table.
fn head(scandir: &Path) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("status").arg(scandir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().take_while(|line| !line.is_empty() && !line.starts_with("NAME ")).map(str::to_owned).collect()
}

/// Has it fail, and waits until it is back.
fn fail(svscan: &Svscan, signal: i32) {
    let before = svscan.log().matches("back after a fault").count();
    svscan.signal(signal);
    eventually(|| svscan.log().matches("back after a fault").count() > before);
}

#[test]
fn who_has_just_begun_says_how_long_it_has_run_and_nothing_else() {
    let svscan = ScanDir::new(&[]).start("");
    let lines = head(&svscan.path(""));
    let start = format!("svscan is linchpin {}, process {}, up for ", env!("CARGO_PKG_VERSION"), svscan.pid());
    assert!(lines.len() == 1 && lines[0].starts_with(&start), "{lines:?}");
}

#[test]
fn each_fault_that_was_survived_is_counted_and_the_last_one_told() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    let pid = svscan.pid_of("a");
    let sent = format!("SIGSEGV was sent by pid {}, uid ", std::process::id());
    let cases = [
        (SEGV, &*sent),
        (NULL, "SIGSEGV, nothing is mapped at address 0x0, at instruction 0x"),
        (ASSERTION, "panic at src/sys/inject.rs:"),
    ];
    for (number, (signal, fault)) in cases.iter().enumerate() {
        fail(&svscan, *signal);
        let lines = head(&svscan.path(""));
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].contains(&format!(", process {}, up for ", svscan.pid())), "{lines:?}");
        assert!(lines[1].contains(": entered after a fault, back after ") && lines[1].ends_with(" us"), "{lines:?}");
        let count = number + 1;
        assert_eq!(lines[2], format!("{count} fault{} survived, 0 upgrades", if count == 1 { "" } else { "s" }));
        let (ago, told) = lines[3].split_once(" ago: ").unwrap();
        assert!(ago.starts_with("last fault ") && told.starts_with(fault), "{lines:?}");
    }
    assert_eq!(svscan.pid_of("a"), pid);
}

#[test]
fn who_has_ended_says_nothing_any_more() {
    let mut svscan = ScanDir::new(&[]).start("");
    fail(&svscan, SEGV);
    assert!(svscan.path(".s6-svscan/state").exists());
    svscan.ok("s6-svscanctl -t .");
    assert!(svscan.wait().success());
    assert!(!svscan.path(".s6-svscan/state").exists());
}
