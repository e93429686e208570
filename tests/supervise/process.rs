//! `supervise` as a process among others: descriptors, environment, session, memory; the children of somebody else.

use crate::service::*;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn it_stays_where_its_starter_is_and_its_service_has_a_session_of_its_own() {
    both(|whose| {
        let mut supervise = Place::new(&[("run", SLEEPER)]).supervise(whose);
        let own = group_and_session(std::process::id() as i32);
        assert_eq!(group_and_session(supervise.pid()), own);
        let run = supervise.run();
        assert_eq!(group_and_session(run), (run, run));
    });
}

#[test]
fn the_environment_and_foreign_descriptors_pass_through() {
    const RUN: &str =
        "#!/bin/sh\n{ env | sort; readlink /proc/self/fd/7; } >$BASE/new\nmv $BASE/new $BASE/said\nexec sleep 1000\n";
    both(|whose| {
        let place = Place::new(&[("run", RUN)]);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec 7>$BASE/seven; exec \"$@\"", "sh"]).arg(place.command(whose).get_program());
        shell.arg("service").env_clear().env("PATH", "/usr/bin:/bin").env("BASE", place.base(""));
        shell.env("ODD", "two\nlines").current_dir(place.base("")).stdin(Stdio::null());
        let supervise = place.start(shell);
        let base = supervise.base("").to_str().unwrap().to_owned();
        let expected =
            format!("BASE={base}\nODD=two\nPATH=/usr/bin:/bin\nPWD={}\nlines\n", supervise.base("service").display());
        let said = supervise.said("said");
        // The shell sets PWD itself.
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.ends_with("/seven\n"), "{said}");
    });
}

#[test]
fn descriptors_that_were_closed_are_the_null_device() {
    const RUN: &str =
        "#!/bin/sh\nreadlink /proc/$$/fd/0 /proc/$$/fd/1 >$BASE/new\nmv $BASE/new $BASE/said\nexec sleep 1000\n";
    both(|whose| {
        let place = Place::new(&[("run", RUN)]);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec 0<&- 1>&- 2>&-; exec \"$@\"", "sh"]).arg(place.command(whose).get_program());
        shell.arg("service").env("BASE", place.base("")).current_dir(place.base(""));
        let supervise = place.start(shell);
        for number in 0..3 {
            let path = fs::read_link(format!("/proc/{}/fd/{number}", supervise.pid())).unwrap();
            assert_eq!(path.to_str(), Some("/dev/null"));
        }
        assert!(supervise.said("said").starts_with("/dev/null\n"));
    });
}

#[test]
fn its_service_gets_no_descriptor_of_its_own_and_no_signal_blocked_or_ignored() {
    const RUN: &str = "#!/bin/sh\nexec sleep 1000\n";
    both(|whose| {
        let mut supervise = Place::new(&[("run", RUN)]).supervise(whose);
        let run = supervise.run();
        eventually(|| fs::read_link(format!("/proc/{run}/exe")).is_ok_and(|exe| exe.ends_with("sleep")));
        for entry in fs::read_dir(format!("/proc/{run}/fd")).unwrap() {
            let to = fs::read_link(entry.unwrap().path()).unwrap();
            let to = to.to_str().unwrap();
            let own = ["/supervise/", "anon_inode:", "/memfd:"].iter().any(|part| to.contains(part));
            assert!(!own, "{to}");
        }
        let status = fs::read_to_string(format!("/proc/{run}/status")).unwrap();
        let mask = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        assert_eq!(mask("SigBlk:"), 0);
        assert_eq!(mask("SigIgn:") & 1 << (13 - 1), 0, "SIGPIPE");
    });
}

#[test]
fn the_death_of_a_child_that_it_inherited_is_not_that_of_its_service() {
    both(|whose| {
        let place = Place::new(&[("run", SLEEPER)]);
        let mut shell = Command::new("sh");
        shell.args(["-c", "sh -c 'read line <$BASE/gate' & exec \"$@\"", "sh"]);
        shell.arg(place.command(whose).get_program()).arg("service");
        shell.env("BASE", place.base("")).current_dir(place.base("")).stdin(Stdio::null());
        make_fifo(&place.base("gate"));
        let mut supervise = place.start(shell);
        let run = supervise.run();
        let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", supervise.pid())).unwrap();
        assert_eq!(children().split_whitespace().count(), 2);
        fs::write(supervise.base("gate"), "go\n").unwrap();
        eventually(|| children().split_whitespace().count() == 1);
        assert_eq!(supervise.status().pid, run);
        assert!(supervise.is_running());
    });
}

#[test]
fn an_idle_one_has_dirtied_a_few_pages_and_uses_no_time() {
    let mut supervise = Place::new(&[("run", SLEEPER)]).supervise(Whose::Ours);
    supervise.run();
    let smaps = fs::read_to_string(format!("/proc/{}/smaps_rollup", supervise.pid())).unwrap();
    let kib = |name: &str| -> u32 {
        let line = smaps.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    // The arena and the tables of a scan directory take two megabytes where they are touched.
    let dirty = kib("Pss_Anon:") + kib("Pss_Shmem:");
    assert!(dirty <= 80, "{dirty} KiB");
}
