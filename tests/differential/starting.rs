//! Starting and stopping: events, status and files of the plain life of a service.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

#[test]
pub fn a_new_service_gets_its_files_then_says_s_then_u() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER)]);
        let mut events = w.listen("a");
        w.start();
        w.until(&mut events, 'u');
        w.status("a");
        drop(events);
        w.layout("a/supervise");
        w.layout("a/event");
        w.out("s6-svstat a");
        w.run("s6-svok a");
    });
}

#[test]
pub fn a_service_with_a_down_file_waits_for_u() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER), DOWN]);
        let mut events = w.listen("a");
        w.start();
        w.until(&mut events, 's');
        w.status("a");
        w.out("s6-svstat a");
        w.run("s6-svc -u a");
        w.until(&mut events, 'u');
        w.status("a");
        w.out("s6-svstat a");
    });
}

#[test]
pub fn stopped_and_started_again() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        let pid = w.pid_of("a");
        let mut events = w.listen("a");
        w.run("s6-svc -d a");
        w.until(&mut events, 'D');
        w.status("a");
        w.tally("a");
        w.out("s6-svstat a");
        w.note("is gone", !is_alive(pid));
        w.run("s6-svc -u a");
        w.until(&mut events, 'u');
        w.status("a");
        w.out("s6-svstat a");
        w.note("is another", w.pid_of("a") != pid);
    });
}

#[test]
pub fn the_status_is_there_before_its_event() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let mut events = w.listen("a");
        let mut before = 0;
        for _ in 0..15 {
            w.send("a", "u");
            events.until('u');
            let status = w.status_of("a");
            assert!(status.pid > 0 && status.pid != before && status.flags == WANT_UP, "{status:?}");
            before = status.pid;
            w.send("a", "d");
            events.until('D');
            let status = w.status_of("a");
            assert!(status.pid == 0 && status.flags == READY_FLAG, "{status:?}");
        }
        w.note("events left", events.rest());
    });
}

#[test]
pub fn the_status_is_never_missing_and_always_whole() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER)])]);
        w.pid_of("a");
        for _ in 0..60 {
            w.send("a", "pcpcpc");
            for _ in 0..20 {
                assert!(w.try_status("a").is_some(), "no status");
            }
        }
        w.send("a", "O");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
    });
}

#[test]
pub fn stamps_tell_the_time_with_leap_seconds_and_a_start_leaves_the_stamp_of_readiness() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let first = w.status_of("a");
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let tai = unix + ((1u128 << 62) + 37) * 1_000_000_000;
        let age = tai.saturating_sub(first.stamp);
        w.note("is of now", age < 25_000_000_000 && first.stamp < tai);
        w.note("both stamps are one at first", first.stamp == first.ready_stamp);
        let mut events = w.listen("a");
        w.send("a", "u");
        events.until('u');
        let up = w.status_of("a");
        w.note("start moves the stamp", up.stamp > first.stamp);
        w.note("start moves the stamp of readiness", up.ready_stamp > first.ready_stamp);
        w.send("a", "d");
        events.until('D');
        let down = w.status_of("a");
        w.note("death moves the stamp", down.stamp > up.stamp);
        w.note("the end of finish moves the stamp of readiness", down.ready_stamp >= down.stamp);
        let age: u64 = w.text("s6-svstat -o updownfor a").parse().unwrap();
        w.note("svstat sees a young service", age < 30);
    });
}

#[test]
pub fn run_gets_its_name_its_session_and_clean_signals() {
    let run = "#!/bin/sh
echo $# $1 >$SAID
if [ \"$(cut -d' ' -f5,6 /proc/$$/stat)\" = \"$$ $$\" ]; then echo leads its session and group >$SAID; fi
grep SigBlk /proc/self/status >$SAID
mask=$(sed -n 's/^SigIgn:.*\\(.....\\)$/\\1/p' /proc/self/status)
echo SIGPIPE is ignored: $((0x$mask & 0x1000)) >$SAID
pwd >$SAID
exec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run)])]);
        for what in ["arguments", "session", "blocked", "ignored", "directory"] {
            w.heard(what);
        }
    });
}

#[test]
pub fn run_may_be_any_program_and_gets_argv_0() {
    differ(|w| {
        w.service("a", &[("a", "tr '\\0' ' ' </proc/$$/cmdline >$SAID\necho >$SAID\nexec sleep 1000\n")]);
        std::os::unix::fs::symlink("/bin/sh", w.path("a/run")).unwrap();
        w.start();
        w.heard("command line");
    });
}

#[test]
pub fn services_get_the_environment_of_svscan() {
    let run = "#!/bin/sh\necho \"$WORD\" >$SAID\nexec sleep 1000\n";
    differ(|w| {
        w.service("a", &[("run", run)]);
        w.start_by("WORD='two words' exec \"$@\"", "");
        w.heard("word");
    });
}

#[test]
pub fn supervisors_stay_in_the_session_of_svscan() {
    let field = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().to_owned()
    };
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let svscan = w.daemon_pid("svscan");
        // Supervisors are processes with s6; with linchpin there are none.
        let children = children(svscan);
        w.note("supervisors are elsewhere", children.iter().any(|pid| field(*pid) != field(svscan)));
        w.note("svscan is in our session", field(svscan) == field(std::process::id() as i32));
        w.note("supervisors are processes", !children.is_empty());
    });
}

#[test]
pub fn the_control_fifo_does_not_end_with_its_first_writer() {
    let cpu = |pids: &[i32]| -> u64 {
        let ticks = |pid: &i32| -> Option<u64> {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
            Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
        };
        pids.iter().filter_map(ticks).sum()
    };
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let mut events = w.listen("a");
        for letter in ["-u", "-d"] {
            w.run(&format!("s6-svc {letter} a"));
        }
        w.until(&mut events, 'D');
        w.run("s6-svscanctl -a .");
        w.settle();
        let pids = w.processes();
        let before = cpu(&pids);
        std::thread::sleep(std::time::Duration::from_millis(800));
        // In ticks of 10 ms; one that spins uses dozens.
        w.note("spins", cpu(&pids) - before > 3);
        w.run("s6-svc -u a");
        w.until(&mut events, 'u');
    });
}
