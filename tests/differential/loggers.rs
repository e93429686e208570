//! `NAME/log`: the pipe between a service and its logger.

use crate::compare::differ;
use crate::supervision::*;
use crate::world::*;

const WRITER: &str = "#!/bin/sh\nuntil read line <in; do :; done\necho $line\nexec sleep 1000\n";
/// Says every line that it gets, and its end.
const LOGGER: &str = "#!/bin/sh\nwhile read line; do echo got $line >$SAID; done\necho end >$SAID\n";
/// The same, until it is told to end.
const TERMINABLE: &str = "#!/bin/sh\ntrap 'echo TERM >$SAID; exit 0' TERM\necho up >$SAID
while read line; do echo got $line >$SAID; done\necho end >$SAID\n";

/// A logged service and listeners to it and to its logger.
fn logged(w: &mut World, run: &str, log: &str) -> (crate::listener::Listener, crate::listener::Listener) {
    w.service("a", &[("run", run), ("in", FIFO), ("log/run", log)]);
    let (mut service, mut logger) = (w.listen("a"), w.listen("a/log"));
    w.start();
    service.until('u');
    logger.until('u');
    (service, logger)
}

#[test]
pub fn what_a_service_writes_its_logger_reads() {
    differ(|w| {
        logged(w, WRITER, LOGGER);
        w.push("a/in", "hello\n");
        w.heard("logger");
        w.run("s6-svok a/log");
        w.out("s6-svstat a/log");
        w.layout("a/log/supervise");
    });
}

#[test]
pub fn while_the_logger_is_down_the_pipe_keeps_everything() {
    differ(|w| {
        let (_, mut logger) = logged(w, WRITER, LOGGER);
        w.run("s6-svc -d a/log");
        w.until(&mut logger, 'D');
        w.push("a/in", "kept\n");
        let pid = w.pid_of("a");
        w.eventually("written", || std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|s| s == "sleep\n"));
        w.run("s6-svc -u a/log");
        w.heard("logger");
    });
}

#[test]
pub fn the_pipe_outlives_the_supervisors_of_both() {
    differ(|w| {
        let (mut service, mut logger) = logged(w, WRITER, LOGGER);
        w.run("s6-svc -xd a/log");
        w.until(&mut logger, 'x');
        w.push("a/in", "one\n");
        w.heard("the logger's next supervisor");
        w.run("s6-svc -xd a");
        w.until(&mut service, 'x');
        w.push("a/in", "two\n");
        w.heard("the service's next supervisor");
        w.run("s6-svok a");
        w.run("s6-svok a/log");
    });
}

#[test]
pub fn when_a_service_is_removed_its_logger_reads_to_the_end() {
    differ(|w| {
        let (mut service, mut logger) = logged(w, WRITER, TERMINABLE);
        w.heard("logger");
        w.push("a/in", "last words\n");
        w.heard("logger");
        w.hide("a");
        w.run("s6-svscanctl -an .");
        w.until(&mut service, 'x');
        w.heard("logger");
        w.until(&mut logger, 'x');
        w.status(".a/log");
    });
}

#[test]
pub fn capital_n_terminates_loggers_too() {
    differ(|w| {
        let (mut service, mut logger) = logged(w, WRITER, TERMINABLE);
        w.heard("logger");
        w.hide("a");
        w.run("s6-svscanctl -aN .");
        w.until(&mut service, 'x');
        let said = w.hear();
        // The end of the input may come before the signal.
        w.note("logger", ["TERM", "end"].contains(&said.as_str()));
        w.until(&mut logger, 'x');
    });
}

#[test]
pub fn t_waits_for_loggers_to_read_to_the_end() {
    differ(|w| {
        let (mut service, mut logger) = logged(w, WRITER, TERMINABLE);
        w.heard("logger");
        w.run("s6-svscanctl -t .");
        w.until(&mut service, 'x');
        w.heard("logger");
        w.until(&mut logger, 'x');
        w.end("svscan");
    });
}

#[test]
pub fn a_logger_that_only_ends_with_its_input_ends() {
    differ(|w| {
        let (mut service, mut logger) = logged(w, WRITER, "#!/bin/sh\nexec cat >file\n");
        w.push("a/in", "text\n");
        let file = w.path("a/log/file");
        w.eventually("written", || std::fs::read_to_string(&file).is_ok_and(|text| text == "text\n"));
        w.run("s6-svscanctl -t .");
        w.until(&mut service, 'x');
        w.until(&mut logger, 'x');
        w.end("svscan");
    });
}

#[test]
pub fn a_logger_that_is_told_to_exit_reads_on_until_the_input_ends() {
    differ(|w| {
        let (mut service, mut logger) = logged(w, WRITER, LOGGER);
        w.hide("a");
        w.run("s6-svscanctl -a .");
        w.settle();
        w.run("s6-svc -x .a/log");
        w.push(".a/in", "still\n");
        w.heard("logger");
        w.run("s6-svc -dx .a");
        w.until(&mut service, 'x');
        w.heard("logger");
        w.until(&mut logger, 'x');
    });
}

#[test]
pub fn no_service_has_a_pipe_of_another() {
    let list =
        "#!/bin/sh\nfor f in /proc/$$/fd/*; do case $(readlink $f) in pipe:*) echo -n ${f##*/} >$SAID;; esac; done
echo . >$SAID\nexec sleep 1000\n";
    differ(|w| {
        w.service("a", &[("run", SLEEPER), ("log/run", LOGGER), NOTIFIES]);
        let mut logger = w.listen("a/log");
        w.start();
        logger.until('u');
        w.service("b", &[("run", list)]);
        w.run("s6-svscanctl -a .");
        w.heard("pipes of another");
        w.service("c", &[("run", list), ("log/run", list)]);
        w.run("s6-svscanctl -a .");
        // Together, because both may speak at once.
        let mut heard = format!("{}{}", w.hear(), w.hear()).into_bytes();
        heard.sort();
        w.note("pipes of a logged one and of its logger", String::from_utf8(heard).unwrap().trim());
    });
}

#[test]
pub fn finish_of_a_logged_service_writes_to_the_logger() {
    differ(|w| {
        w.service("a", &[("run", SLEEPER), ("finish", "#!/bin/sh\necho bye\n"), ("log/run", LOGGER)]);
        let (mut service, mut logger) = (w.listen("a"), w.listen("a/log"));
        w.start();
        service.until('u');
        logger.until('u');
        w.run("s6-svc -d a");
        w.heard("logger");
        w.until(&mut service, 'D');
    });
}

#[test]
pub fn a_file_called_log_is_no_logger() {
    differ(|w| {
        w.service("a", &[("run", "#!/bin/sh\nreadlink /proc/$$/fd/1 >$SAID\nexec sleep 1000\n"), ("log", "")]);
        w.start();
        w.heard("output");
    });
}
