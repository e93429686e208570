//! The programs around the logger.

use crate::compare::differ;
use crate::stage::Stage;

/// Lets a tool of this name with these words read this.
fn tool(stage: &mut Stage, name: &str, words: &[&str], input: &[u8]) {
    let input = stage.input(input);
    let mut command = stage.shell("exec \"$0\" \"$@\"");
    command.arg(stage.tool(name)).args(words).stdin(input);
    stage.run(command);
}

#[test]
fn the_seconds_around_the_one_that_was_inserted_in_2016() {
    differ(|stage| {
        let labels: String = (0x5868_4680..0x5868_46a8_u64)
            .map(|second| format!("@{:016x}075bcd15 {second:x}\n", second + (1 << 62)))
            .collect();
        for zone in ["UTC0", "America/New_York", "Asia/Kolkata"] {
            stage.set("TZ", zone);
            tool(stage, "s6-tai64nlocal", &[], labels.as_bytes());
        }
        tool(stage, "s6-tai64nlocal", &["-g"], labels.as_bytes());
    });
}

#[test]
fn what_the_logger_stamps_is_made_readable() {
    differ(|stage| {
        stage.set("TZ", "UTC0");
        stage.feed(&["t", "T", "./d"], "one\n\nthree\n");
        let log = stage.content("d/current");
        let input = stage.input(&log);
        let mut command = stage.shell("exec \"$0\" >../local");
        command.arg(stage.tool("s6-tai64nlocal")).stdin(input);
        stage.run(command);
        // Both times of a line are the same now.
        let local = String::from_utf8(stage.content("../local")).unwrap();
        let twice = |line: &str| line.get(..29) == line.get(30..59) && line.get(29..30) == Some(" ");
        stage.note("lines", local.lines().count());
        stage.note("the same twice", local.lines().all(twice));
    });
}
