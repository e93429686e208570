//! Orders: the bytes of a service's control FIFO.

use crate::scandir::*;

/// Says its signals.
const CATCHER: &str = "#!/bin/sh
for s in ALRM ABRT QUIT HUP TERM INT USR1 USR2 WINCH CONT; do trap \"echo $s >\\$SAID\" $s; done
echo up >$SAID
while :; do sleep 1000 & wait $!; kill $! 2>/dev/null; done\n";

#[test]
fn each_signal_letter_is_its_signal() {
    let svscan = Svscan::new(&[("a", &[("run", CATCHER), ("reload-signal", "USR2")])]);
    svscan.hear();
    for (letter, signal) in [
        ('a', "ALRM"),
        ('b', "ABRT"),
        ('q', "QUIT"),
        ('h', "HUP"),
        ('t', "TERM"),
        ('i', "INT"),
        ('1', "USR1"),
        ('2', "USR2"),
        ('y', "WINCH"),
        ('c', "CONT"),
        ('C', "CONT"),
        ('r', "TERM"),
        ('l', "USR2"),
    ] {
        assert!(svscan.send("a", &[letter as u8]));
        assert_eq!(svscan.hear(), signal, "{letter}");
    }
    for letter in ["k", "K"] {
        let mut events = svscan.listen("a");
        assert!(svscan.send("a", letter.as_bytes()));
        events.until(b'd');
        assert_eq!(svscan.hear(), "up");
    }
}

#[test]
fn the_down_signal_is_the_one_that_the_service_wants() {
    let svscan = Svscan::new(&[("a", &[("run", CATCHER), ("down-signal", "SIGUSR1\n")])]);
    svscan.hear();
    svscan.ok("s6-svc -r a");
    assert_eq!(svscan.hear(), "USR1");
    svscan.ok("s6-svc -d a");
    let mut heard = [svscan.hear(), svscan.hear()];
    heard.sort();
    assert_eq!(heard, ["CONT", "USR1"]);
}

#[test]
fn a_pause_is_in_the_status_and_the_group_letters_reach_the_group() {
    let run = "#!/bin/sh\nsleep 1000 &\necho $! >$SAID\nwait\n";
    let svscan = Svscan::new(&[("a", &[("run", run)])]);
    let child = svscan.hear();
    let state = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        words(stat.rsplit(')').next().unwrap())[0].to_owned()
    };
    for (stop, go, whole) in [("p", "c", false), ("P", "C", true)] {
        assert!(svscan.send("a", stop.as_bytes()));
        // (What was never started has the bit too.)
        eventually(|| svscan.status("a").is_up() && svscan.status("a").paused);
        eventually(|| state(&svscan.pid_of("a").to_string()) == "T");
        eventually(|| (state(&child) == "T") == whole);
        assert_eq!(svscan.text("s6-svstat -o paused a"), "true");
        assert!(svscan.send("a", go.as_bytes()));
        eventually(|| !svscan.status("a").paused && state(&child) == "S");
    }
    // Down works on a stopped one.
    assert!(svscan.send("a", b"p"));
    svscan.ok("s6-svc -wD -T 20000 -d a");
    assert!(svscan.send("a", b"K"));
}

#[test]
fn only_an_order_to_go_down_arms_the_kill() {
    let stubborn = "#!/bin/sh\ntrap 'echo TERM >$SAID' TERM\necho up >$SAID\nwhile :; do sleep 1000 & wait; done\n";
    let svscan = Svscan::new(&[("a", &[("run", stubborn), ("timeout-kill", "150\n"), ("flag-timeout-killpg", "")])]);
    svscan.hear();
    svscan.ok("s6-svc -r a");
    assert_eq!(svscan.hear(), "TERM");
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -d a");
    assert_eq!(svscan.hear(), "TERM");
    events.until(b'D');
    assert_eq!(svscan.text("s6-svstat -o signal,wantedup a"), "SIGKILL false");
    assert!(svscan.log().contains("did not end in time: killed"));
}

#[test]
fn orders_change_what_is_wanted_for_now_and_for_good() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = svscan.listen("a");
    let wanted = |svscan: &Svscan| (svscan.status("a").want_up, svscan.path("a/down").exists());
    assert!(svscan.send("a", b"o"));
    events.until(b'u');
    assert_eq!(wanted(&svscan), (false, true));
    assert!(svscan.send("a", b"U"));
    eventually(|| wanted(&svscan) == (true, false));
    assert!(svscan.send("a", b"O"));
    eventually(|| wanted(&svscan) == (false, false));
    assert!(svscan.send("a", b"u"));
    eventually(|| wanted(&svscan) == (true, false));
    assert!(svscan.send("a", b"Q"));
    eventually(|| wanted(&svscan) == (false, true));
    assert!(svscan.send("a", b"U"));
    eventually(|| wanted(&svscan) == (true, false));
    assert!(svscan.send("a", b"D"));
    events.until(b'D');
    assert_eq!(wanted(&svscan), (false, true));
}

#[test]
fn the_bytes_of_one_write_are_obeyed_in_their_order() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = svscan.listen("a");
    assert!(svscan.send("a", b"ud"));
    events.until(b'u');
    events.until(b'D');
    assert!(!svscan.status("a").want_up);
    assert!(svscan.send("a", b"du"));
    events.until(b'u');
    assert!(svscan.send("a", b"du"));
    events.until(b'D');
    events.until(b'u');
    assert!(svscan.status("a").want_up);
}

#[test]
fn while_finish_runs_signals_are_ignored_and_wishes_are_kept() {
    let finish = "#!/bin/sh\necho finish >$SAID\nread x <go\n";
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "0"), ("go", FIFO)])]);
    svscan.ok("s6-svc -wu -T 20000 a");
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -t a");
    svscan.hear();
    events.until(b'd');
    assert!(svscan.send("a", b"abqhkti12ypPK"));
    svscan.ok("s6-svc -d a");
    eventually(|| !svscan.status("a").want_up);
    assert!(svscan.status("a").finishing && !svscan.status("a").paused);
    svscan.push("a/go", "\n");
    events.until(b'D');
    svscan.settle();
    assert_eq!(svscan.status("a").pid, 0);
    assert!(!events.has(b'u'));
}

#[test]
fn x_while_up_waits_for_the_next_death_and_then_there_is_a_new_supervisor() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    svscan.ok("s6-svc -wu -T 20000 a");
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -x a");
    svscan.settle();
    assert_eq!(svscan.code("s6-svok a"), 0);
    assert!(svscan.status("a").is_up());
    svscan.ok("s6-svc -t a");
    for event in *b"dDxsu" {
        events.until(event);
    }
    assert_eq!(svscan.deaths("a").len(), 0, "the tally is the supervisor's");
}

#[test]
fn what_follows_an_x_that_was_obeyed_is_not_obeyed() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), DOWN]), ("b", &[("run", SLEEPER), DOWN])]);
    let (mut a, mut b) = (svscan.listen("a"), svscan.listen("b"));
    assert!(svscan.send("a", b"xuU"));
    a.until(b'x');
    a.until(b's');
    // The same for one that is not to come back.
    svscan.hide("b");
    svscan.ok("s6-svscanctl -a .");
    svscan.settle();
    assert!(svscan.send(".b", b"xuUoD"));
    b.until(b'x');
    svscan.settle();
    assert!(!b.has(b'u') && !a.has(b'u'));
    assert!(svscan.path("a/down").exists() && !svscan.log().contains("cannot"), "{}", svscan.log());
    // Nor does it burden who gets its place.
    svscan.add("c", &[("run", SLEEPER), DOWN]);
    let mut c = svscan.listen("c");
    svscan.ok("s6-svscanctl -a .");
    c.until(b's');
    svscan.settle();
    assert!(!c.has(b'u'));
}

#[test]
fn supervisors_are_restarted_once_a_second_at_most() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = svscan.listen("a");
    let mut stamps = vec![nanos(svscan.status("a").stamp)];
    for _ in 0..3 {
        eventually(|| svscan.code("s6-svc -x a") == 0);
        events.until(b's');
        stamps.push(nanos(svscan.status("a").stamp));
    }
    for pair in stamps.windows(2) {
        assert!(pair[1] - pair[0] > 950_000_000, "{stamps:?}");
    }
}

#[test]
fn bytes_that_are_no_orders_are_ignored_and_cost_nothing() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    svscan.ok("s6-svc -wu -T 20000 a");
    let before = svscan.status("a");
    let letters = b"abqhkti12pcyrlPCKoduDUxOQ";
    let rubbish: Vec<u8> = (0..=255).filter(|byte| !letters.contains(byte)).collect();
    for _ in 0..20 {
        assert!(svscan.send("a", &rubbish));
    }
    svscan.settle();
    assert_eq!(svscan.status("a"), before);
}

#[test]
fn an_idle_engine_uses_no_time() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    svscan.ok("s6-svc -wu -T 20000 a");
    svscan.ok("s6-svc -1 a");
    svscan.settle();
    let before = svscan.cpu();
    std::thread::sleep(std::time::Duration::from_millis(600)); // there is no event of doing nothing
    assert!((svscan.cpu() - before).as_millis() <= 20);
}
