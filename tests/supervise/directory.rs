//! What `supervise` makes of its operand and of the service directory, and when it refuses.

use crate::service::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Output;

fn refused(place: &Place, whose: Whose, operands: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = place.command(whose).args(operands).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn mode(place: &Place, name: &str) -> u32 {
    std::fs::symlink_metadata(place.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn without_a_directory_it_tells_its_usage() {
    both(|whose| {
        let (code, said) = refused(&Place::new(&[]), whose, &[]);
        assert_eq!(code, Some(100));
        assert!(said.starts_with("s6-supervise: usage: s6-supervise "), "{said}");
    });
}

#[test]
fn a_directory_that_is_not_there_is_a_system_error() {
    both(|whose| {
        for operand in ["nowhere", "", "stderr"] {
            let (code, said) = refused(&Place::new(&[]), whose, &[operand]);
            assert_eq!(code, Some(111), "{operand}");
            assert!(said.starts_with("s6-supervise: fatal: unable to "), "{said}");
        }
    });
}

#[test]
fn what_has_the_name_of_one_of_its_files_makes_it_refuse() {
    both(|whose| {
        for name in ["event", "supervise", "supervise/control"] {
            let place = Place::new(&[(name, "")]);
            let (code, said) = refused(&place, whose, &["service"]);
            assert_eq!(code, Some(100), "{name}");
            assert!(said.starts_with("s6-supervise service: fatal: "), "{said}");
        }
    });
}

#[test]
fn a_service_has_one_supervisor_whoever_came_first() {
    both(|first| {
        both(|second| {
            let supervise = Place::new(&[("run", SLEEPER)]).supervise(first);
            let (code, said) = refused(&supervise, second, &["service"]);
            assert_eq!(code, Some(100));
            assert!(said.starts_with("s6-supervise service: fatal: another "), "{said}");
            assert_eq!(supervise.code("s6-svok service"), 0);
        });
    });
}

#[test]
fn it_makes_its_files_with_their_modes_whatever_the_umask() {
    both(|whose| {
        let place = Place::new(&[("run", SLEEPER), DOWN]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(place.command(whose).get_program()).arg("service");
        shell.current_dir(place.base("")).stdin(std::process::Stdio::null());
        let supervise = place.start(shell);
        assert_eq!(mode(&supervise, "event"), 0o3730);
        assert_eq!(mode(&supervise, "supervise"), 0o700);
        assert_eq!(mode(&supervise, "supervise/lock"), 0o644);
        assert_eq!(mode(&supervise, "supervise/control"), 0o600);
        assert_eq!(mode(&supervise, "supervise/status"), 0o600);
        assert_eq!(mode(&supervise, "supervise/death_tally"), 0o600);
        assert_eq!(std::fs::metadata(supervise.path("supervise/status")).unwrap().len(), 35);
        assert_eq!(std::fs::metadata(supervise.path("supervise/death_tally")).unwrap().len(), 0);
    });
}

#[test]
fn directories_that_are_dangling_links_are_made_where_they_lead() {
    both(|whose| {
        let place = Place::new(&[("run", SLEEPER), DOWN]);
        symlink("../private", place.path("supervise")).unwrap();
        let supervise = place.supervise(whose);
        assert!(supervise.base("private/status").exists());
        assert_eq!(supervise.code("s6-svok service"), 0);
    });
}

#[test]
fn with_a_down_file_it_waits_to_be_told() {
    both(|whose| {
        let mut supervise = Place::new(&[("run", SLEEPER), DOWN]).supervise(whose);
        let status = supervise.status();
        assert!(!status.want_up && status.ready && status.pid == 0);
        supervise.ok("s6-svc -u service");
        assert!(lives(supervise.run()));
    });
}

#[test]
fn scripts_get_the_name_that_it_was_given() {
    const TELLS: &str = "#!/bin/sh\necho \"$*\" >$BASE/${0##*/}\nexec sleep 1000\n";
    const FINISH: &str = "#!/bin/sh\necho \"$1 $2 $3\" >$BASE/${0##*/}\nexit 125\n";
    both(|whose| {
        for (files, operand) in [
            (&[("run", TELLS), ("finish", FINISH)][..], "service"),
            (&[("run", TELLS), ("finish", FINISH)], "../${base}/./service/"),
            (&[("log/run", TELLS), ("log/finish", FINISH)], "service/log"),
        ] {
            let place = Place::new(files);
            let own = place.base("").file_name().unwrap().to_str().unwrap().to_owned();
            let operand = operand.replace("${base}", &own);
            let mut child = place.command(whose).arg(&operand).spawn().unwrap();
            assert_eq!(place.said("run"), format!("{operand}\n"));
            eventually(|| place.code(&format!("s6-svc -d {operand}")) == 0);
            assert_eq!(place.said("finish"), format!("256 15 {operand}\n"));
            place.ok(&format!("s6-svc -x {operand}"));
            assert!(child.wait().unwrap().success());
        }
    });
}

#[test]
fn a_name_may_be_as_long_as_a_path() {
    both(|whose| {
        let place = Place::new(&[("run", "#!/bin/sh\necho $1 >$BASE/said\nexec sleep 1000\n")]);
        let operand = format!("{}service", "./".repeat(1000));
        let mut child = place.command(whose).arg(&operand).spawn().unwrap();
        assert_eq!(place.said("said"), format!("{operand}\n"));
        place.ok("s6-svc -xd service");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn its_messages_say_whose_supervisor_speaks() {
    both(|whose| {
        let supervise = Place::new(&[("run", "no program\n")]).supervise(whose);
        eventually(|| supervise.log().contains("s6-supervise service: warning: "));
        assert_eq!(supervise.status().pid, 0);
    });
}

#[test]
fn a_quiet_life_is_told_to_nobody() {
    both(|whose| {
        let mut supervise = Place::new(&[("run", READY), NOTIFIES]).supervise(whose);
        supervise.ok("s6-svc -wU -T 20000 service");
        supervise.ok("s6-svc -wR -T 20000 -r service");
        supervise.ok("s6-svc -xd service");
        assert!(supervise.wait().success());
        assert_eq!(supervise.log(), "");
    });
}

#[test]
fn a_successor_starts_anew() {
    both(|first| {
        both(|second| {
            let mut old = Place::new(&[("run", SLEEPER)]).supervise(first);
            let left_over = old.run();
            old.kill();
            // Its child may still be on its way through execve(2), with a copy of the lock.
            eventually(|| old.code("s6-svok service") == 1);
            let mut command = old.command(second);
            let mut events = Listener::new(&old.path(""));
            let mut child = command.arg("service").spawn().unwrap();
            events.until(b's');
            events.until(b'u');
            assert_ne!(old.run(), left_over);
            let _ = linchpin::sys::process::kill(-left_over, 9);
            old.ok("s6-svc -xd service");
            assert!(child.wait().unwrap().success());
        });
    });
}
