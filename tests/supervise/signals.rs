//! Signals to `supervise`, in each state of its service, and its end: events, status, lock.

use crate::service::*;
use linchpin::service::status::End;
use linchpin::sys::process::kill;
use linchpin::sys::signal::number as sig;

const LEAVING: [i32; 4] = [sig::TERM, sig::HUP, sig::QUIT, sig::INT];
/// Ends when something is written to `gate`.
const SLOW_FINISH: (&str, &str) = ("finish", "#!/bin/sh\nread line <gate\n");
const PATIENT: (&str, &str) = ("timeout-finish", "0\n");
const GATE: (&str, &str) = ("gate", FIFO);

#[test]
fn each_of_its_signals_ends_it_while_the_service_is_down() {
    both(|whose| {
        for signal in LEAVING {
            let mut supervise = Place::new(&[("run", SLEEPER), DOWN]).supervise(whose);
            supervise.signal(signal);
            assert_eq!(supervise.wait().code(), Some(0), "{signal}");
            assert_eq!(supervise.events.read_once(), b"x");
            assert_eq!(supervise.code("s6-svok service"), 1);
        }
    });
}

#[test]
fn other_signals_do_what_they_do_to_any_process() {
    both(|whose| {
        use std::os::unix::process::ExitStatusExt;
        for signal in [sig::USR1, sig::ALRM] {
            let mut supervise = Place::new(&[("run", SLEEPER), DOWN]).supervise(whose);
            supervise.signal(signal);
            assert_eq!(supervise.wait().signal(), Some(signal));
        }
    });
}

#[test]
fn sigterm_brings_the_service_down_and_then_it_exits() {
    both(|whose| {
        let mut supervise = Place::new(&[("run", SLEEPER)]).supervise(whose);
        let run = supervise.run();
        supervise.signal(sig::TERM);
        assert_eq!(supervise.wait().code(), Some(0));
        supervise.events.until(b'd');
        supervise.events.until(b'D');
        supervise.events.until(b'x');
        let status = supervise.status();
        assert!(!lives(run));
        assert_eq!((status.pid, status.want_up, status.ready), (0, false, true));
        assert_eq!(status.end(), End::Killed(15));
    });
}

#[test]
fn sigterm_uses_the_down_signal_and_the_timeout() {
    const STUBBORN: &str = "#!/bin/sh\ntrap '' USR1\necho >&3\nexec 3>&-\nwhile :; do sleep 1000; done\n";
    both(|whose| {
        let files = [("run", STUBBORN), NOTIFIES, ("down-signal", "USR1\n"), ("timeout-kill", "10\n")];
        let mut supervise = Place::new(&files).supervise(whose);
        let run = supervise.ready();
        supervise.signal(sig::TERM);
        assert_eq!(supervise.wait().code(), Some(0));
        assert_eq!(supervise.status().end(), End::Killed(9));
        let _ = kill(-run, sig::KILL); // what it was waiting for
    });
}

#[test]
fn sighup_and_the_order_x_make_it_exit_after_the_next_death_whatever_is_wanted() {
    both(|whose| {
        for hangup in [true, false] {
            let mut supervise = Place::new(&[("run", SLEEPER)]).supervise(whose);
            let run = supervise.run();
            if hangup {
                supervise.signal(sig::HUP);
            } else {
                supervise.ok("s6-svc -x service");
            }
            // Its descriptors tell that it has understood.
            let stdin = format!("/proc/{}/fd/1", supervise.pid());
            eventually(|| std::fs::read_link(&stdin).is_ok_and(|to| to.to_str() == Some("/dev/null")));
            supervise.ok("s6-svc -u service");
            assert!(lives(run) && supervise.is_running());
            kill(run, sig::KILL).unwrap();
            assert_eq!(supervise.wait().code(), Some(0));
            supervise.events.until(b'D');
            supervise.events.until(b'x');
            assert!(supervise.status().want_up);
        }
    });
}

#[test]
fn sighup_closes_standard_input_and_output_at_once() {
    both(|whose| {
        let place = Place::new(&[("run", "#!/bin/sh\nexec <&- >&-\nexec sleep 1000\n")]);
        make_fifo(&place.base("in"));
        make_fifo(&place.base("out"));
        let mut command = place.command(whose);
        let open = |name: &str| std::fs::OpenOptions::new().read(true).write(true).open(place.base(name)).unwrap();
        command.arg("service").stdin(open("in")).stdout(open("out"));
        let mut supervise = place.start(command);
        let run = supervise.run();
        let leads_to = |pid: i32, number: i32| std::fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
        assert_eq!(leads_to(supervise.pid(), 0), supervise.base("in"));
        assert_eq!(leads_to(supervise.pid(), 1), supervise.base("out"));
        supervise.signal(sig::HUP);
        for number in [0, 1] {
            eventually(|| leads_to(supervise.pid(), number).to_str() == Some("/dev/null"));
        }
        assert!(lives(run));
    });
}

#[test]
fn a_finish_after_sighup_has_the_null_device() {
    const FINISH: &str = "#!/bin/sh\nreadlink /proc/self/fd/0 >$BASE/new\nmv $BASE/new $BASE/said\n";
    both(|whose| {
        let place = Place::new(&[("run", SLEEPER), ("finish", FINISH)]);
        let mut command = place.command(whose);
        let null = std::fs::File::open("/dev/zero").unwrap();
        command.arg("service").stdin(null);
        let mut supervise = place.start(command);
        let run = supervise.run();
        supervise.signal(sig::HUP);
        supervise.ok("s6-svc -t service");
        assert!(supervise.wait().success());
        assert!(!lives(run));
        assert_eq!(supervise.said("said"), "/dev/null\n");
    });
}

#[test]
fn sigquit_leaves_the_service_and_its_status_as_they_are() {
    both(|whose| {
        let mut supervise = Place::new(&[("run", SLEEPER)]).supervise(whose);
        let run = supervise.run();
        supervise.signal(sig::QUIT);
        assert_eq!(supervise.wait().code(), Some(0));
        assert_eq!(supervise.events.read_once(), b"x");
        assert!(lives(run));
        assert_eq!(supervise.status().pid, run);
        assert_eq!(supervise.code("s6-svok service"), 1);
    });
}

#[test]
fn sigint_goes_on_to_the_process_group_of_the_service() {
    // A shell waits for what it runs in the foreground before it sees to its traps: that one is to be interrupted too.
    const FAMILY: &str = "trap 'echo both >said; exit 0' INT\nsh ./child\n";
    const CHILD: &str = "echo >&3\nexec 3>&-\nexec sleep 1000\n";
    both(|whose| {
        // Who started the test may have ignored SIGINT, and a shell cannot undo that.
        const RUN: &str = "#!/bin/sh\nexec env --default-signal=INT sh ./family\n";
        let files = [("run", RUN), ("family", FAMILY), ("child", CHILD), NOTIFIES];
        let mut supervise = Place::new(&files).supervise(whose);
        let run = supervise.ready();
        supervise.signal(sig::INT);
        assert_eq!(supervise.wait().code(), Some(0));
        supervise.events.until(b'x');
        assert_eq!(supervise.said("service/said"), "both\n");
        eventually(|| !lives(run));
    });
}

#[test]
fn a_signal_while_finish_runs_lets_it_end_first() {
    both(|whose| {
        for signal in [sig::TERM, sig::HUP] {
            let mut supervise = Place::new(&[("run", SLEEPER), SLOW_FINISH, PATIENT, GATE]).supervise(whose);
            kill(supervise.run(), sig::KILL).unwrap();
            supervise.events.until(b'd');
            supervise.signal(signal);
            let stdout = format!("/proc/{}/fd/1", supervise.pid());
            eventually(|| std::fs::read_link(&stdout).is_ok_and(|to| to.to_str() == Some("/dev/null")));
            assert!(!supervise.events.has(b'D') && supervise.is_running());
            std::fs::write(supervise.path("gate"), "\n").unwrap();
            assert_eq!(supervise.wait().code(), Some(0));
            supervise.events.until(b'D');
            supervise.events.until(b'x');
        }
    });
}

#[test]
fn sigquit_while_finish_runs_does_not_wait_for_it() {
    both(|whose| {
        let mut supervise = Place::new(&[("run", SLEEPER), SLOW_FINISH, PATIENT, GATE]).supervise(whose);
        kill(supervise.run(), sig::KILL).unwrap();
        supervise.events.until(b'd');
        let finish = supervise.status().pid;
        supervise.signal(sig::QUIT);
        assert_eq!(supervise.wait().code(), Some(0));
        supervise.events.until(b'x');
        assert!(lives(finish));
    });
}

#[test]
fn a_logger_that_is_told_to_end_by_itself_sees_the_end_of_its_input() {
    both(|whose| {
        let place = Place::new(&[("run", "#!/bin/sh\nexec cat >$BASE/logged\n")]);
        let mut command = place.command(whose);
        command.arg("service").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
        let mut events = Listener::new(&place.path(""));
        let mut child = command.spawn().unwrap();
        events.until(b'u');
        let mut pipe = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut pipe, b"the last words\n").unwrap();
        linchpin::sys::process::kill(child.id() as i32, sig::HUP).unwrap();
        let stdin = format!("/proc/{}/fd/0", child.id());
        eventually(|| std::fs::read_link(&stdin).is_ok_and(|to| to.to_str() == Some("/dev/null")));
        drop(pipe);
        events.until(b'x');
        assert!(child.wait().unwrap().success());
        assert_eq!(place.said("logged"), "the last words\n");
    });
}
