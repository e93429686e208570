//! The wrappers: what they make of their options, and as whom the server runs.

use crate::compare::everywhere;
use crate::stage::{Event::*, Proto, Signal, Stage, status_field};

/// A handler that tells as whom it runs.
const WHO: &[&str] = &["sh", "-c", "echo up; grep -E '^(Uid|Gid|Groups):' /proc/$$/status | tr '\\t' ' '"];

/// Serves one client with these options: as whom the handler and the server run.
fn who(stage: &mut Stage, options: &[&str], variables: &[(&str, &str)]) {
    for (name, value) in variables {
        stage.set(name, value);
    }
    stage.wrapper(options, WHO);
    let client = stage.connect_up();
    let handler: Vec<_> =
        client.rest().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    stage.note("handler", handler.join(", "));
    let fields = ["Uid", "Gid", "Groups"].map(|name| format!("{name}: {}", status_field(stage.pid(), name)));
    stage.note("server", fields.join(", "));
    stage.finish();
}

#[test]
fn user_group_and_groups_are_changed_before_the_first_client() {
    everywhere(|stage| {
        // Ours may lie where others may not go: the handler is the system's, the server has begun before.
        who(stage, &["-u", "65534", "-g", "65533", "-G", "65531,65532"], &[]);
        if stage.proto == Proto::Ipc {
            // The socket was made before.
            use std::os::unix::fs::MetadataExt;
            stage.note("owner of the socket", std::fs::metadata(stage.path("s")).unwrap().uid());
        } else {
            stage.note("owner of the socket", 0);
        }
    });
}

#[test]
fn a_user_alone_keeps_its_groups() {
    everywhere(|stage| who(stage, &["-u65534"], &[]));
}

#[test]
fn a_group_alone_keeps_its_user() {
    everywhere(|stage| who(stage, &["-g", "65533"], &[]));
}

#[test]
fn a_list_of_groups_may_be_all() {
    everywhere(|stage| who(stage, &["-G", "5,6,7"], &[]));
}

#[test]
fn user_and_groups_may_come_from_the_environment() {
    everywhere(|stage| who(stage, &["-U"], &[("UID", "65534"), ("GID", "65533"), ("GIDLIST", "65531,65532")]));
}

#[test]
fn what_comes_after_a_big_u_counts() {
    everywhere(|stage| {
        who(stage, &["-g", "7", "-U", "-u", "65532"], &[("UID", "65534"), ("GID", "65533"), ("GIDLIST", "")]);
    });
}

#[test]
fn the_variables_of_a_big_u_are_not_handed_on() {
    everywhere(|stage| {
        for (name, value) in [("UID", "65534"), ("GID", "65533"), ("GIDLIST", "65533"), ("OTHER", "stays")] {
            stage.set(name, value);
        }
        stage.wrapper(&["-U"], &["env"]);
        let client = stage.connect();
        stage.environment("client", &client, 1, &[]);
        stage.finish();
    });
}

#[test]
fn without_those_variables_there_is_no_server() {
    everywhere(|stage| {
        let mut command = stage.command(stage.proto.server());
        command.arg("-U");
        match stage.proto {
            Proto::Ipc => command.arg("s"),
            proto => command.args([proto.ip(), "0"]),
        };
        command.arg("cat");
        stage.start(command);
        let end = stage.end();
        stage.note("end", end);
        stage.note("who says it", stage.raw_log().split(": ").next().unwrap_or_default());
    });
}

/// Events of a wrapper's server at a verbosity.
fn verbosity(stage: &mut Stage, options: &[&str], verbose: bool) {
    stage.wrapper(options, &["echo", "served"]);
    stage.note("a client gets", stage.connect().rest());
    if verbose {
        stage.settled(3);
    }
    stage.finish();
    let end = Ended('A', "exitcode 0", 0);
    let (term, all) = (Received(Signal::TERM), [Starting, Status(0), Accepted('A', 1), Status(1), end, Status(0)]);
    let all = [&all[..], &[term, Exiting]].concat();
    stage.log_tells("log", if verbose { &all } else { &[] });
}

#[test]
fn the_wrapper_can_be_quiet() {
    everywhere(|stage| verbosity(stage, &["-q"], false));
}

#[test]
fn the_wrapper_is_normally_quiet() {
    everywhere(|stage| verbosity(stage, &[], false));
}

#[test]
fn the_wrapper_can_be_verbose() {
    everywhere(|stage| verbosity(stage, &["-v"], true));
}

#[test]
fn of_the_wrappers_verbosities_the_last_counts() {
    everywhere(|stage| verbosity(stage, &["-vQ"], false));
}

#[test]
fn the_wrapper_hands_limits_on() {
    everywhere(|stage| {
        stage.limits(3, 2);
        stage.wrapper(&["-v", "-c", "3", "-C", "2", "-b", "7"], &["sh", "-c", "echo up; exec cat"]);
        let _first = stage.connect_up();
        stage.settled(2);
        let _second = stage.connect_up();
        stage.settled(3);
        stage.note("the third", stage.connect().rest());
        stage.finish();
        let term = Received(Signal::TERM);
        let log =
            [Starting, Status(0), Accepted('A', 1), Status(1), Accepted('B', 2), Status(2), Refused(2), term, Exiting];
        stage.log_tells("log", &log);
    });
}

#[test]
fn for_the_wrapper_no_connection_means_one() {
    everywhere(|stage| {
        stage.limits(1, 1);
        stage.wrapper(&["-v", "-c0", "-C0"], &["echo", "served"]);
        stage.note("a client", stage.connect().rest());
        stage.settled(3);
        stage.finish();
        let (end, term) = (Ended('A', "exitcode 0", 0), Received(Signal::TERM));
        stage.log_tells("log", &[Starting, Status(0), Accepted('A', 1), Status(1), end, Status(0), term, Exiting]);
    });
}

#[test]
fn words_that_the_wrappers_refuse() {
    everywhere(|stage| {
        let place: &[&str] = if stage.proto == Proto::Ipc { &["s"] } else { &[stage.proto.ip(), "0"] };
        let lines: &[&[&str]] = &[
            &[],
            &["-Z"],
            &["-2"],
            &["-c", "x"],
            &["-c", ""],
            &["-C", "-1"],
            &["-b", "x"],
            &["-u", "x"],
            &["-u", "nobody"],
            &["-g", "x"],
            &["--verbose"],
        ];
        for options in lines {
            // With a program, but for the first.
            let prog: &[&str] = if options.is_empty() { &[] } else { &["true"] };
            let mut words = options.to_vec();
            words.extend(place);
            words.extend(prog);
            let end = stage.run(stage.proto.server(), &words);
            stage.note(&options.join(" "), end);
        }
    });
}

#[test]
fn the_wrappers_server_says_that_it_is_ready() {
    everywhere(|stage| {
        stage.wrapper(&["-v"], &["sh", "-c", "echo up; exec cat"]);
        let client = stage.connect_up();
        stage.settled(2);
        stage.note("it serves", client.answers());
        stage.finish();
        let term = Received(Signal::TERM);
        stage.log_tells("log", &[Starting, Status(0), Accepted('A', 1), Status(1), term, Exiting]);
    });
}
