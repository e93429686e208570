//! `notification-fd`: what a service says on it, and what comes of it.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

const WITH_FD: &str = "#!/bin/sh\nread go <go\n";

#[test]
pub fn a_newline_makes_a_service_ready() {
    differ(|w| {
        w.with(&[("a", &[("run", READY), DOWN, NOTIFIES])]);
        let mut events = w.listen("a");
        w.run("s6-svc -wU -T 30000 -u a");
        w.until(&mut events, 'U');
        let status = w.status_of("a");
        w.status("a");
        w.note("stamps", status.ready_stamp >= status.stamp);
        w.out("s6-svstat a");
        w.out("s6-svstat -o up,ready a");
        w.run("s6-svc -d a");
        w.until(&mut events, 'D');
        w.out("s6-svstat -o up,ready a");
    });
}

#[test]
pub fn the_newline_may_be_anywhere_in_the_data_and_counts_once() {
    let run = "#!/bin/sh
trap '' PIPE
head -c 600 /dev/zero >&3
echo written >$SAID
until read go <go; do :; done
printf 'x\\ny' >&3
until read go <go; do :; done
if printf '\\n' 2>/dev/null >&3; then echo more >$SAID; else echo broken >$SAID; fi
exec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run), DOWN, NOTIFIES, ("go", FIFO)])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'u');
        w.heard("zeros are");
        // A supervisor that reads with blocking is in the middle of a line now.
        w.push("a/go", "\n");
        w.until(&mut events, 'U');
        // The pipe is closed after the event: before the next order.
        w.send("a", "O");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.push("a/go", "\n");
        w.heard("the pipe after that is");
        w.send("a", "d");
        w.until(&mut events, 'D');
    });
}

#[test]
pub fn an_end_without_a_newline_makes_nobody_ready() {
    let run = "#!/bin/sh\nprintf almost >&3\nexec 3>&-\necho closed >$SAID\nexec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run), DOWN, NOTIFIES])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.heard("it has");
        w.until(&mut events, 'u');
        w.send("a", "O");
        w.await_status("a", |status| status.flags & WANT_UP == 0);
        w.send("a", "d");
        w.until(&mut events, 'D');
    });
}

#[test]
pub fn half_a_line_holds_nobody_up() {
    let run = "#!/bin/sh\nprintf foo >&3\necho said >$SAID\nexec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run), DOWN, NOTIFIES])]);
        w.send("a", "u");
        w.heard("foo is");
        w.pid_of("a");
        let limit = if w.is_ours() { 30000 } else { 700 };
        let stopped = w.try_run(&format!("s6-svc -wD -T {limit} -d a")) == 0;
        w.note("can be stopped", stopped);
    });
}

#[test]
pub fn without_a_notification_fd_nobody_is_ready() {
    differ(|w| {
        w.with(&[("a", &[("run", SLEEPER), DOWN])]);
        let mut events = w.listen("a");
        w.run("s6-svc -wU -T 30000 -u a");
        w.until(&mut events, 'u');
        w.out("s6-svstat -o up,ready a");
        w.status("a");
    });
}

#[test]
pub fn the_notification_fd_is_read_anew_at_each_start() {
    let run = "#!/bin/sh\nif echo 2>/dev/null >&5; then echo yes >$SAID; else echo no >$SAID; fi\nexec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run), DOWN])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.heard("5 is open");
        std::fs::write(w.path("a/notification-fd"), "5\n").unwrap();
        w.send("a", "du");
        w.heard("5 is open");
        w.until(&mut events, 'U');
        std::fs::remove_file(w.path("a/notification-fd")).unwrap();
        w.send("a", "du");
        w.heard("5 is open");
        w.send("a", "d");
        w.until(&mut events, 'D');
        w.until(&mut events, 'D');
    });
}

#[test]
pub fn run_and_finish_find_no_other_end_of_the_pipe() {
    let list = |what: &str| {
        format!(
            "find /proc/$$/fd -fprintf $BASE/list '%f %l\\n'
sed -n 's/^\\([0-9]*\\) pipe:.*/{what} \\1/p' $BASE/list >$SAID\necho {what} end >$SAID\n"
        )
    };
    let run = format!("#!/bin/sh\n{}echo >&3\nexec sleep 1000\n", list("run"));
    let finish = format!("#!/bin/sh\n{}", list("finish"));
    differ(|w| {
        w.with(&[("a", &[("run", &run), ("finish", &finish), DOWN, NOTIFIES])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'U');
        w.send("a", "d");
        w.until(&mut events, 'D');
        let mut heard = Vec::new();
        while heard.last().is_none_or(|line| line != "finish end") {
            heard.push(w.hear());
        }
        w.note("pipes", heard.join(", "));
    });
}

#[test]
pub fn a_paused_start_is_ready_when_it_goes_on() {
    let run = format!("{WITH_FD}echo >&3\nexec sleep 1000\n");
    differ(|w| {
        w.with(&[("a", &[("run", &run), DOWN, NOTIFIES, ("go", FIFO)])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'u');
        w.send("a", "p");
        w.await_status("a", |status| status.flags & PAUSED != 0);
        w.send("a", "c");
        w.await_status("a", |status| status.flags & PAUSED == 0);
        w.push("a/go", "\n");
        w.until(&mut events, 'U');
        w.status("a");
    });
}

#[test]
pub fn readiness_on_standard_output_takes_it() {
    let run = "#!/bin/sh\necho\nexec >&2\nexec sleep 1000\n";
    differ(|w| {
        w.with(&[("a", &[("run", run), DOWN, ("notification-fd", "1")])]);
        let mut events = w.listen("a");
        w.send("a", "u");
        w.until(&mut events, 'U');
        w.status("a");
    });
}

#[test]
pub fn a_notification_fd_that_is_no_number_is_as_none() {
    let run = "#!/bin/sh\nif echo 2>/dev/null >&3; then echo yes >$SAID; else echo no >$SAID; fi\nexec sleep 1000\n";
    differ(|w| {
        let files = |content| [("run", run), DOWN, ("notification-fd", content)];
        let [a, b, c, d, e] = ["three\n", "-3\n", "3 \n", "4294967299\n", ""].map(files);
        w.with(&[("a", &a), ("b", &b), ("c", &c), ("d", &d), ("e", &e)]);
        for name in ["a", "b", "c", "d", "e"] {
            let mut events = w.listen(name);
            w.send(name, "u");
            w.until(&mut events, 'u');
            w.heard("3 is open");
        }
        // Only the first line counts.
        let mut events = w.listen("a");
        std::fs::write(w.path("a/notification-fd"), "3\nmore\n").unwrap();
        w.send("a", "du");
        w.heard("3 is open");
        w.until(&mut events, 'U');
    });
}
