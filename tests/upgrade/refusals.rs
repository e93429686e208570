//! What cannot take over is refused, with a sentence, and nothing changes.

use crate::house::{THIS, next, small};
use crate::scandir::{ScanDir, Svscan};
use linchpin::sys::{Errno, elf};
use std::ffi::CString;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a command said, on one line.
fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap().trim().to_owned()
}

fn file(svscan: &Svscan, name: &str, mode: u32, content: &[u8]) -> PathBuf {
    let path = svscan.base(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn what_is_no_binary_of_this_machine_is_refused_and_nothing_changes() {
    let (svscan, names) = small();
    let before = svscan.sight(&names);
    let ours = std::fs::read(THIS).unwrap();
    let changed = |name: &str, mode: u32, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = ours.clone();
        change(&mut bytes);
        file(&svscan, name, mode, &bytes)
    };
    let candidates = [
        (svscan.base("."), "it is no regular file"),
        (PathBuf::from("/dev/null"), "it is no regular file"),
        (file(&svscan, "text", 0o755, b"#!/bin/sh\nexit 0\n"), "it is no ELF binary"),
        (file(&svscan, "empty", 0o755, b""), "it is no ELF binary"),
        (changed("mode", 0o644, &|_| {}), "it has no execute permission"),
        (changed("machine", 0o755, &|bytes| bytes[18] ^= 0xff), "it is for another machine"),
        (changed("class", 0o755, &|bytes| bytes[4] ^= 3), "another word size"),
        (changed("cut", 0o755, &|bytes| bytes.truncate(10_000)), "it is damaged"),
        (PathBuf::from("/bin/true"), "it is no linchpin that knows hand-overs"),
    ];
    for (path, why) in candidates {
        for command in ["reexec", "check"] {
            let output = match command {
                "reexec" => svscan.reexec(&[], &path),
                _ => check(&svscan, &path),
            };
            assert_eq!(output.status.code(), Some(100), "{command} {path:?}: {output:?}");
            assert!(said(&output).contains(why), "{command} {path:?}: {output:?}");
        }
    }
    assert_eq!(svscan.reexec(&[], &svscan.base("missing")).status.code(), Some(111));
    svscan.is_as(&names, &before);
    assert!(!svscan.log().contains("going on"), "{}", svscan.log());
}

fn check(svscan: &Svscan, path: &Path) -> Output {
    let mut command = Command::new(THIS);
    command.arg("check").arg("--binary").arg(path).arg("-s").arg(svscan.path("")).stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn a_candidate_that_hangs_crashes_or_says_nothing_is_refused() {
    let (svscan, names) = small();
    let before = svscan.sight(&names);
    // A shell that is called so runs the script `check` of its directory.
    let behaves = |script: &str| {
        std::fs::write(svscan.base("check"), script).unwrap();
        let mut command = Command::new(THIS);
        command.args(["reexec", "-t", "1000", "-s"]).arg(svscan.path("")).arg("/bin/sh");
        let output = command.current_dir(svscan.base("")).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), said(&output))
    };
    for (script, why) in [
        ("exec sleep 1000", "has not read the hand-over"),
        ("exec >&-; exec sleep 1000", "has not read the hand-over"),
        ("kill -SEGV $$", "signal 11 has ended it"),
        ("exit 0", "it is no linchpin"),
        ("echo hand-over: all is well; exit 7", "it is no linchpin"),
        ("cat", "it is no linchpin"),
        ("exit 111", "it cannot read the hand-over"),
    ] {
        let (code, said) = behaves(script);
        assert!(code == Some(100) && said.contains(why), "{script}: {code:?} {said}");
    }
    let (code, said) = behaves("echo hand-over: loses half of it; exit 1");
    assert!(code == Some(1) && said.contains("it would lose something"), "{code:?} {said}");
    svscan.is_as(&names, &before);
    assert!(!svscan.log().contains("going on"), "{}", svscan.log());
}

#[test]
fn what_cannot_be_executed_changes_nothing() {
    let (svscan, names) = small();
    let before = svscan.sight(&names);
    let enter = |path: &Path| {
        let mut connection = svscan.connect();
        let mut binary = elf::open(&CString::new(path.to_str().unwrap()).unwrap()).unwrap();
        let done = connection.enter(binary);
        binary.close();
        connection.close();
        done
    };
    assert_eq!(enter(Path::new("/etc/passwd")), Err(Errno::NOEXEC));
    let copy = file(&svscan, "copy", 0o755, &std::fs::read(THIS).unwrap());
    let writer = OpenOptions::new().write(true).open(&copy).unwrap();
    assert_eq!(enter(&copy), Err(Errno::TXTBSY));
    drop(writer);
    svscan.is_as(&names, &before);
    svscan.ok("s6-svc -wD -d sleeper");
    svscan.ok("s6-svc -wu -u sleeper");
}

#[test]
fn only_root_and_the_owner_may_ask() {
    let (svscan, names) = small();
    let before = svscan.sight(&names);
    // The fd-holder of a scan directory of root lets nobody else in.
    let mut command = Command::new("s6-setuidgid");
    command.args(["nobody", "cat", "/dev/null"]);
    if !command.status().is_ok_and(|status| status.success()) {
        return;
    }
    std::fs::set_permissions(svscan.base(""), Permissions::from_mode(0o755)).unwrap();
    let binary = file(&svscan, "linchpin", 0o755, &std::fs::read(THIS).unwrap());
    let mut command = Command::new("s6-setuidgid");
    command.arg("nobody").arg(&binary).args(["reexec", "-s"]).arg(svscan.path("")).arg(&binary);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(111), "{output:?}");
    svscan.is_as(&names, &before);
}

#[test]
fn a_fd_holder_that_is_a_process_of_its_own_cannot_be_upgraded() {
    let (svscan, _) = small();
    let socket = svscan.base("s");
    let mut daemon = Command::new(svscan.base("s6-fdholder-daemon"));
    std::os::unix::fs::symlink(THIS, svscan.base("s6-fdholder-daemon")).unwrap();
    std::fs::create_dir_all(svscan.base("rules/uid/0/env")).unwrap();
    std::fs::write(svscan.base("rules/uid/0/allow"), "").unwrap();
    daemon.args(["-1", "-i", "rules", "s"]).current_dir(svscan.base("")).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut daemon = daemon.spawn().unwrap();
    std::io::Read::read(daemon.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let mut command = Command::new(THIS);
    let output = command.args(["reexec", "-s"]).arg(&socket).arg(THIS).output().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(output.status.code(), Some(111), "{output:?}");
    assert!(said(&output).contains("no process 1 and no svscan"), "{output:?}");
}

#[test]
fn a_check_tells_what_the_candidate_understands_and_does_nothing() {
    let (svscan, names) = small();
    svscan.store("a", std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let before = svscan.sight(&names);
    let log = svscan.log();
    let output = check(&svscan, next());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("+next, layout "), "{text}");
    assert!(text.contains("understands 1 services, 1 held descriptors, 1 clients"), "{text}");
    svscan.is_as(&names, &before);
    assert_eq!(svscan.log(), log);
}

#[test]
fn where_nothing_runs_a_candidate_is_tried_with_nothing() {
    let dir = ScanDir::new(&[]);
    let mut command = Command::new(THIS);
    command.args(["check", "--binary", THIS]).current_dir(dir.path()).stdin(Stdio::null());
    if Path::new("/run/service").exists() || Path::new("/service").exists() {
        return; // something does
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("understands 0 services"));
}

#[cfg(feature = "faults")]
#[test]
fn a_binary_that_fails_while_it_takes_over_is_left_for_the_one_before() {
    let services: &[crate::scandir::Service<'_>] = &[("sleeper", &[("run", crate::scandir::SLEEPER)])];
    let svscan = ScanDir::new(services).start_by("export LINCHPIN_FAIL_TAKING_OVER=1; exec \"$@\"", "");
    let names = ["sleeper".to_owned()];
    let before = svscan.sight(&names);
    let output = svscan.reexec(&[], next());
    assert_eq!(output.status.code(), Some(111), "{output:?}; {}", svscan.log());
    assert!(said(&output).contains("unable to go on as"), "{output:?}");
    svscan.is_as(&names, &before);
    assert_eq!(svscan.binary(), Path::new(THIS));
}
