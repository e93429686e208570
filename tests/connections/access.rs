//! The access filters, between a server and its handler.

use crate::compare::{differ, everywhere};
use crate::stage::{Proto, Stage};

/// The filter's words, to come before a handler.
fn filter(stage: &Stage, options: &[&str]) -> Vec<String> {
    let name = format!("{}-access", stage.proto.server());
    let mut words = vec![stage.command(&name).get_program().to_str().unwrap().to_owned()];
    if stage.proto != Proto::Ipc {
        // No names are looked for.
        words.push("-H".into());
    }
    words.extend(options.iter().map(|&word| word.to_owned()));
    words
}

/// Serves with the filter and a handler.
fn serve(stage: &mut Stage, options: &[&str], prog: &[&str]) {
    let mut words = filter(stage, options);
    words.extend(prog.iter().map(|&word| word.to_owned()));
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    stage.serve(&["-v2"], &words);
}

/// Where the rule for the test's client is, and one that no client of the test matches.
fn rules(stage: &Stage) -> (&'static str, &'static str) {
    match stage.proto {
        Proto::Ipc => ("rules/uid/0", "rules/uid/12345"),
        Proto::Tcp4 => ("rules/ip4/127.0.0.0_8", "rules/ip4/192.0.2.0_24"),
        Proto::Tcp6 => ("rules/ip6/::1_128", "rules/ip6/2001:db8::_32"),
    }
}

/// What a client gets from `echo served` behind the filter, and how the filter ended if it did not execute that.
fn admitted(stage: &mut Stage, options: &[&str]) {
    serve(stage, options, &["echo", "served"]);
    stage.note("the client gets", stage.connect().rest());
    stage.settled(3);
    let log = stage.raw_log();
    let end =
        log.lines().find_map(|line| line.split_once(" exitcode ")).map(|(_, code)| code.split(' ').next().unwrap());
    stage.note("exit code", end.unwrap_or("none"));
    let says: Vec<_> = log.lines().filter(|line| line.contains("-access: ")).map(verdict).collect();
    stage.note("says", says.join("\n"));
    stage.finish();
}

/// The level and the first word of a filter's message.
fn verdict(line: &str) -> String {
    let words = line.split(": ").filter(|part| !part.starts_with("s6-") && !part.starts_with("pid "));
    words.take(2).map(|part| part.split(' ').next().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_client_with_a_rule_is_admitted() {
    everywhere(|stage| {
        stage.file(&format!("{}/allow", rules(stage).0), "");
        admitted(stage, &["-v2", "-i", "rules"]);
    });
}

#[test]
fn a_client_without_a_rule_is_not() {
    everywhere(|stage| {
        stage.file(&format!("{}/allow", rules(stage).1), "");
        admitted(stage, &["-v2", "-i", "rules"]);
    });
}

#[test]
fn a_client_with_a_rule_against_it_is_not() {
    everywhere(|stage| {
        stage.file(&format!("{}/deny", rules(stage).0), "");
        admitted(stage, &["-v2", "-i", "rules"]);
    });
}

#[test]
fn of_allow_and_deny_allow_counts() {
    everywhere(|stage| {
        stage.file(&format!("{}/deny", rules(stage).0), "");
        stage.file(&format!("{}/allow", rules(stage).0), "");
        admitted(stage, &["-v0", "-i", "rules"]);
    });
}

#[test]
fn an_admission_is_told_by_default_and_a_refusal_is_not() {
    everywhere(|stage| {
        stage.file(&format!("{}/allow", rules(stage).0), "");
        admitted(stage, &["-i", "rules"]);
        let _ = std::fs::remove_file(stage.path("s"));
        std::fs::remove_dir_all(stage.path(rules(stage).0)).unwrap();
        let before = stage.raw_log().lines().count();
        serve(stage, &["-i", "rules"], &["echo", "served"]);
        stage.note("the client gets", stage.connect().rest());
        stage.until(" exitcode 1", 1);
        let log = stage.raw_log();
        let says: Vec<_> = log.lines().skip(before).filter(|line| line.contains("-access: ")).map(verdict).collect();
        stage.note("says", says.join("\n"));
        stage.finish();
    });
}

#[test]
fn where_there_are_no_rules_at_all_nobody_is_admitted() {
    everywhere(|stage| admitted(stage, &["-i", "missing"]));
}

#[test]
fn without_rules_everybody_is_admitted() {
    everywhere(|stage| admitted(stage, &["-v0"]));
}

#[test]
fn rules_may_be_compiled() {
    everywhere(|stage| {
        stage.file(&format!("{}/allow", rules(stage).0), "");
        let made = stage.run("accessrules-cdb-from-fs", &["rules.cdb", "rules"]);
        stage.note("compiled", made);
        std::fs::remove_dir_all(stage.path("rules")).unwrap();
        admitted(stage, &["-v2", "-x", "rules.cdb"]);
    });
}

#[test]
fn compiled_rules_that_are_missing_are_an_error() {
    everywhere(|stage| admitted(stage, &["-v2", "-x", "missing.cdb"]));
}

#[test]
fn a_rule_changes_the_environment() {
    everywhere(|stage| {
        let rule = rules(stage).0;
        for (file, content) in
            [("allow", ""), ("env/NEW", "value\n"), ("env/GONE", ""), ("env/EMPTY", "\n"), ("env/OVER", "new")]
        {
            stage.file(&format!("{rule}/{file}"), content);
        }
        for (name, value) in [("GONE", "old"), ("OVER", "old"), ("KEPT", "old")] {
            stage.set(name, value);
        }
        serve(stage, &["-v0", "-l", "called", "-i", "rules"], &["env"]);
        let client = stage.connect();
        let more: &[&str] = if stage.proto == Proto::Ipc { &["IPCLOCALPATH=called"] } else { &["TCPLOCALHOST=called"] };
        stage.environment("environment", &client, 1, more);
        stage.finish();
    });
}

#[test]
fn a_rule_may_name_another_program() {
    everywhere(|stage| {
        let rule = rules(stage).0;
        stage.file(&format!("{rule}/allow"), "");
        stage.file(&format!("{rule}/exec"), "echo \"instead of that\"");
        admitted(stage, &["-v0", "-i", "rules"]);
    });
}

#[test]
fn the_local_path_is_told() {
    differ(|stage| {
        serve(stage, &["-v0"], &["sh", "-c", "echo $IPCLOCALPATH"]);
        let said = stage.connect().rest().replace(&stage.here().display().to_string(), "HERE");
        stage.note("path", said);
        stage.finish();
    });
}

#[test]
fn a_big_e_takes_the_variables_of_the_connection_away() {
    differ(|stage| {
        stage.file("rules/uid/0/allow", "");
        stage.file("rules/uid/0/env/NEW", "value");
        stage.set("OTHER", "stays");
        serve(stage, &["-v0", "-E", "-l", "called", "-i", "rules"], &["env"]);
        let mut lines: Vec<_> = stage.connect().rest().lines().map(str::to_owned).collect();
        lines.retain(|line| !line.starts_with("PATH="));
        lines.sort();
        stage.note("environment", lines.join("\n"));
        stage.finish();
    });
}

#[test]
fn users_come_before_groups_and_defaults_come_last() {
    differ(|stage| {
        let rule = |place: &str, said: &str| {
            stage.file(&format!("rules/{place}/allow"), "");
            stage.file(&format!("rules/{place}/env/RULE"), said);
        };
        rule("uid/0", "user 0");
        rule("uid/self", "the same user");
        rule("gid/0", "group 0");
        rule("uid/default", "any user");
        rule("gid/default", "any group");
        serve(stage, &["-v0", "-i", "rules"], &["sh", "-c", "echo $RULE"]);
        for gone in ["", "uid/self", "uid/0", "gid/0", "uid/default", "gid/default"] {
            if !gone.is_empty() {
                std::fs::remove_dir_all(stage.path(&format!("rules/{gone}"))).unwrap();
            }
            stage.note(&format!("without {gone}"), stage.connect().rest());
        }
        stage.finish();
    });
}

#[test]
fn a_filter_needs_to_know_the_client() {
    differ(|stage| {
        let all = [("PROTO", "IPC"), ("IPCREMOTEEUID", "5"), ("IPCREMOTEEGID", "6")];
        let run = |variables: &[(&str, &str)]| {
            let mut command = stage.command("ipcserver-access");
            command.envs(variables.iter().copied()).args(["-v0", "-l0", "echo", "admitted"]);
            crate::stage::end_and_output(&mut command)
        };
        let mut lines = vec![("all".to_owned(), run(&all))];
        for missing in 0..3 {
            let mut variables = all.to_vec();
            let (name, _) = variables.remove(missing);
            lines.push((format!("no {name}"), run(&variables)));
            for value in ["", "x"] {
                let mut variables = all.to_vec();
                variables[missing].1 = value;
                lines.push((format!("{name}={value}"), run(&variables)));
            }
        }
        let words = [&["-Z", "true"][..], &[], &["-v", "x", "true"], &["-i", "a", "-x", "b", "true"]];
        for words in words {
            let mut command = stage.command("ipcserver-access");
            command.envs(all).args(words);
            lines.push((words.join(" "), crate::stage::end_and_output(&mut command)));
        }
        for (label, seen) in lines {
            stage.note(&label, seen);
        }
    });
}
