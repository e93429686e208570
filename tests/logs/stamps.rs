//! Stamps in front of lines.

use crate::compare::differ;
use crate::look::{Moment, label_of, local_of};
use crate::stage::{Stage, lines};
use std::process::Command;

#[test]
fn a_stamp_is_for_the_next_action_only() {
    differ(|stage| {
        stage.set("TZ", "UTC0");
        stage.feed(&["t", "1", "1", "T", "1", "1", "t", "T", "1", "T", "t", "1", "t", "./d", "./e"], "one\n\nthree\n");
        stage.look("then");
    });
}

#[test]
fn a_stamp_waits_over_selections_and_control_directives() {
    differ(|stage| {
        stage.feed(&["t", "n3", "-x", "pP", "+y", "1", "1"], "one\nx\nxy\n");
    });
}

#[test]
fn stamps_come_before_the_prefix() {
    differ(|stage| {
        stage.set("TZ", "UTC0");
        stage.feed(&["pP:", "t", "1", "T", "1", "t", "T", "1", "t", "T", "pother", "./d"], "one\n");
        stage.look("then");
    });
}

#[test]
fn bulk_with_stamps() {
    differ(|stage| {
        stage.set("TZ", "UTC0");
        stage.feed(&["t", "./t", "T", "./local", "t", "T", "p:", "./both"], lines(1000));
        stage.look("then");
    });
}

#[test]
fn lines_that_look_like_stamps() {
    differ(|stage| {
        let label = "@4000000012345678deadbeef";
        stage.feed(&["1", "t", "./d"], format!("{label} x\n{label}\n@\n@4 x\n2026-01-01 00:00:00.000000000  x\n"));
        stage.look("then");
    });
}

/// All lines of a log have both stamps, which tell the same time, in this zone as date(1) sees it. No line was stamped
/// before the one before it.
fn agree(stage: &Stage, zone: &str, log: &[u8]) -> String {
    let mut before = stage.began();
    let mut seconds = Vec::new();
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let Some((label, local)) = label_of(line).zip(line.get(26..).and_then(local_of)) else {
            return format!("{} has not both stamps", String::from_utf8_lossy(line));
        };
        let moment = Moment::of_label(label).unwrap();
        if moment < before || moment > Moment::now() {
            return format!("{label} is not of its time");
        }
        before = moment;
        let (whole, fraction) = local.split_once('.').unwrap();
        if fraction != format!("{:09}", moment.0 % 1_000_000_000) {
            return format!("{local} is not {label}");
        }
        seconds.push((moment.seconds(), whole.to_owned()));
    }
    seconds.dedup();
    for (second, whole) in &seconds {
        let mut date = Command::new("date");
        date.env("TZ", zone).args(["-d", &format!("@{second}"), "+%Y-%m-%d %H:%M:%S"]);
        let date = String::from_utf8(date.output().unwrap().stdout).unwrap();
        if date.trim_end() != whole {
            return format!("{whole} is not {date}");
        }
    }
    format!("{} lines", log.split_inclusive(|byte| *byte == b'\n').count())
}

macro_rules! zones {
    ($($name:ident: $zone:literal;)*) => {$(
        #[test]
        fn $name() {
            differ(|stage| {
                stage.set("TZ", $zone);
                stage.feed(&["t", "T", "./d", "T", "p", "=status"], lines(50));
                stage.look("then");
                let said = agree(stage, $zone, &stage.content("d/current"));
                stage.note("both stamps tell the same", said);
            });
        }
    )*};
}

zones! {
    local_time_in_utc: "UTC0";
    local_time_by_the_name_of_a_zone: "America/New_York";
    local_time_in_a_zone_of_the_southern_half: "Australia/Lord_Howe";
    local_time_in_a_zone_of_half_hours: "Asia/Kolkata";
    local_time_in_a_zone_of_quarters: "Asia/Kathmandu";
    local_time_by_a_rule: "EST5EDT,M3.2.0,M11.1.0";
    local_time_by_a_rule_without_a_summer: "<+0530>-5:30";
    local_time_with_a_colon: ":Europe/Berlin";
    local_time_in_a_zone_that_there_is_not: "Nowhere/Nothing";
    local_time_in_an_empty_zone: "";
}

#[test]
fn local_time_of_the_machine() {
    differ(|stage| {
        stage.feed(&["t", "T", "./d"], lines(50));
        stage.look("then");
        // Without TZ it is that of /etc/localtime, which date(1) reads for this name.
        let said = agree(stage, ":/etc/localtime", &stage.content("d/current"));
        stage.note("both stamps tell the same", said);
    });
}

#[test]
fn the_label_tells_the_time_with_37_leap_seconds() {
    differ(|stage| {
        let before = Moment::now();
        stage.feed(&["t", "./d"], "line\n");
        let content = stage.content("d/current");
        let moment = Moment::of_label(label_of(&content).unwrap()).unwrap();
        stage.note("of now", before <= moment && moment <= Moment::now());
    });
}

#[test]
fn all_actions_of_a_line_have_the_same_stamp() {
    differ(|stage| {
        stage.feed(&["t", "./a", "t", "./b", "t", "=status", "t", "1"], lines(200));
        let [a, b] = ["a/current", "b/current"].map(|name| stage.content(name));
        stage.note("the same", a == b);
        stage.note("lines", a.iter().filter(|byte| **byte == b'\n').count());
        let last = a.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
        let status = stage.content("status");
        stage.note("also in the status file", status.starts_with(last));
    });
}

#[test]
fn lines_that_come_later_have_later_stamps() {
    differ(|stage| {
        stage.start(&["t", "./d"]);
        let mut moments = vec![Moment::now()];
        for line in ["one", "two", "three"] {
            stage.say(format!("{line}\n"));
            stage.until("d/current", line);
            moments.push(Moment::now());
        }
        stage.eof();
        stage.end();
        stage.look("then");
        let content = stage.content("d/current");
        let stamps =
            content.split_inclusive(|byte| *byte == b'\n').map(|line| Moment::of_label(label_of(line).unwrap()));
        for (at, stamp) in stamps.enumerate() {
            let stamp = stamp.unwrap();
            stage.note("between the moments around it", moments[at] <= stamp && stamp <= moments[at + 1]);
        }
    });
}
