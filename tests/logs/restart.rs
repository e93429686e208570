//! What a logger finds, and what it makes of that.

use crate::compare::differ;
use crate::stage::{Signal, Stage, even_lines};

/// An archive of long ago.
const OLD: &str = "@400000000000000012345678.s";

#[test]
fn a_clean_log_is_appended_to() {
    differ(|stage| {
        for round in 0..3 {
            stage.feed(&["./d"], format!("round {round}\n"));
            stage.look("then");
        }
    });
}

#[test]
fn a_log_that_is_not_executable_becomes_an_unclean_archive() {
    differ(|stage| {
        stage.feed(&["./d"], "one\n");
        stage.file_of_mode("d/current", 0o644, "one\n");
        stage.feed(&["./d"], "two\n");
        stage.look("then");
    });
}

#[test]
fn a_killed_logger_leaves_an_unclean_archive() {
    differ(|stage| {
        stage.start(&["./d"]);
        stage.say("one\n");
        stage.until("d/current", "one\n");
        stage.destroy();
        stage.look("killed");
        stage.feed(&["./d"], "two\n");
        stage.look("then");
    });
}

#[test]
fn an_unclean_log_that_is_empty() {
    differ(|stage| {
        stage.file_of_mode("d/current", 0o644, "");
        stage.feed(&["./d"], "two\n");
        stage.look("then");
    });
}

/// What was left of a rotation: which of these files there are, with these modes.
fn left(stage: &mut Stage, files: &[(&str, u32)]) {
    stage.directory("d");
    for (name, mode) in files {
        stage.file_of_mode(&format!("d/{name}"), *mode, format!("{name} of before\n"));
    }
    stage.feed(&["./d"], "new\n");
    stage.look("then");
}

macro_rules! left {
    ($($name:ident: $($file:literal $mode:literal)*;)*) => {$(
        #[test]
        fn $name() {
            differ(|stage| left(stage, &[$(($file, $mode)),*]));
        }
    )*};
}

left! {
    left_an_empty_directory:;
    left_previous: "previous" 0o744;
    left_previous_that_is_not_executable: "previous" 0o644;
    left_previous_and_a_clean_current: "state" 0o644 "previous" 0o744 "current" 0o744;
    left_processed: "processed" 0o744;
    left_processed_that_is_not_finished: "processed" 0o644;
    left_processed_and_previous: "processed" 0o744 "previous" 0o744;
    left_unfinished_processed_and_previous: "processed" 0o644 "previous" 0o744;
    left_state: "state" 0o644;
    left_state_and_newstate: "state" 0o644 "newstate" 0o644;
    left_state_and_a_clean_current: "state" 0o644 "current" 0o744;
    left_newstate_and_a_clean_current: "state" 0o644 "newstate" 0o644 "current" 0o744;
    left_state_and_an_unclean_current: "state" 0o644 "current" 0o644;
    left_processed_and_a_clean_current: "state" 0o644 "processed" 0o744 "current" 0o744;
    left_unfinished_processed_and_an_unclean_current: "processed" 0o644 "current" 0o644;
    left_everything_with_a_clean_current: "previous" 0o744 "processed" 0o744 "state" 0o644 "newstate" 0o644 "current" 0o744;
    left_a_clean_current_alone: "current" 0o744;
    left_current_that_others_may_execute: "current" 0o655;
    left_current_that_nobody_may_read: "state" 0o644 "current" 0o100;
    left_current_with_all_bits: "state" 0o644 "current" 0o777;
    left_a_lock_of_another_mode: "state" 0o644 "lock" 0o600 "current" 0o744;
}

/// Two archives have to be made at once. Debian's dies after the first, and its next run goes on.
#[test]
fn left_previous_and_an_unclean_current() {
    differ(|stage| {
        left(stage, &[("previous", 0o744), ("current", 0o644)]);
        stage.feed(&["./d"], "newer\n");
        stage.look("after another run");
    });
}

#[test]
fn left_processed_and_an_unclean_current() {
    differ(|stage| {
        left(stage, &[("processed", 0o744), ("previous", 0o744), ("current", 0o644), ("newstate", 0o644)]);
        stage.feed(&["./d"], "newer\n");
        stage.look("after another run");
    });
}

#[test]
fn an_archive_that_was_linked_already_is_not_linked_again() {
    differ(|stage| {
        stage.file_of_mode("d/previous", 0o744, "rotated\n");
        std::fs::hard_link(stage.path("d/previous"), stage.path("d").join(OLD)).unwrap();
        stage.feed(&["./d"], "new\n");
        stage.look("then");
    });
}

#[test]
fn a_current_that_was_linked_already_is_not_linked_again() {
    differ(|stage| {
        stage.file_of_mode("d/current", 0o644, "rotated\n");
        std::fs::hard_link(stage.path("d/current"), stage.path("d").join(OLD.replace(".s", ".u"))).unwrap();
        stage.feed(&["./d"], "new\n");
        stage.look("then");
    });
}

#[test]
fn a_clean_current_with_two_links_is_written_to() {
    differ(|stage| {
        stage.file_of_mode("d/current", 0o744, "old\n");
        stage.file("d/state", "");
        std::fs::hard_link(stage.path("d/current"), stage.path("other")).unwrap();
        stage.feed(&["./d"], "new\n");
        stage.look("then");
    });
}

#[test]
fn a_log_that_is_too_great_is_rotated_before_it_is_written_to() {
    differ(|stage| {
        for (name, size) in [("a", 5000), ("b", 4096), ("c", 4095), ("d", 2100)] {
            stage.file_of_mode(&format!("{name}/current"), 0o744, even_lines(1, size));
            stage.file(&format!("{name}/state"), "");
        }
        stage.feed(&["s4096", "l0", "./a", "./b", "./c", "l2000", "./d"], "line\n");
        stage.look("then");
    });
}

#[test]
fn a_log_that_is_too_great_stays_while_nothing_comes() {
    differ(|stage| {
        stage.file_of_mode("d/current", 0o744, even_lines(1, 5000));
        stage.file("d/state", "");
        stage.feed(&["s4096", "l0", "./d"], "");
        stage.look("then");
    });
}

#[test]
fn a_log_without_a_last_newline_is_appended_to() {
    differ(|stage| {
        stage.file_of_mode("d/current", 0o744, "cut");
        stage.file("d/state", "");
        stage.feed(&["./d"], "line\n");
        stage.look("then");
    });
}

/// Prepares so many archives of this many bytes.
fn archives(stage: &Stage, directory: &str, number: u32, size: usize) {
    stage.directory(directory);
    for at in 0..number {
        let name = format!("{directory}/@4000000000000000{:08x}.{}", at * 16, if at % 3 == 1 { 'u' } else { 's' });
        stage.file_of_mode(&name, 0o744, format!("{at:0>width$}\n", width = size - 1));
    }
}

#[test]
fn old_archives_are_trimmed_when_there_is_a_new_one() {
    differ(|stage| {
        for directory in ["a", "b", "c", "d"] {
            archives(stage, directory, 8, 1000);
            stage.file_of_mode(
                &format!("{directory}/current"),
                if directory < "d" { 0o644 } else { 0o744 },
                "unclean\n",
            );
            stage.file(&format!("{directory}/state"), "");
        }
        stage.feed(&["n3", "./a", "n100", "S4000", "./b", "n0", "S0", "./c", "n3", "./d"], "line\n");
        stage.look("then");
    });
}

#[test]
fn what_is_no_archive_is_left_alone_by_the_trim() {
    differ(|stage| {
        archives(stage, "d", 4, 100);
        let others = [
            "@400000000000000000000000.t",
            "@40000000000000000000000.s",
            "@4000000000000000000000000.s",
            "x400000000000000000000000.s",
        ];
        for name in
            others.iter().chain(&["@400000000000000000000000.s.gz", "@40000000000000000000000g.s", "notes", ".hidden"])
        {
            stage.file(&format!("d/{name}"), "foreign\n");
        }
        stage.file_of_mode("d/current", 0o644, "unclean\n");
        stage.feed(&["n2", "./d"], "line\n");
        stage.look("then");
    });
}

#[test]
fn upper_case_names_are_archives_that_sort_apart() {
    differ(|stage| {
        archives(stage, "d", 3, 100);
        stage.file("d/@40000000000000000000000A.s", "upper\n");
        stage.file("d/@4000000000000000ABCDEF00.u", "more upper\n");
        stage.file_of_mode("d/current", 0o644, "unclean\n");
        stage.feed(&["n4", "./d"], "line\n");
        stage.look("then");
        stage.file_of_mode("d/current", 0o644, "unclean again\n");
        stage.feed(&["n2", "./d"], "line\n");
        stage.look("and then");
    });
}

#[test]
fn archives_go_by_their_names_and_not_by_their_times() {
    differ(|stage| {
        archives(stage, "d", 4, 100);
        let touched = std::fs::File::options().write(true).open(stage.path("d/@400000000000000000000030.s")).unwrap();
        touched.set_modified(std::time::UNIX_EPOCH).unwrap();
        stage.file_of_mode("d/current", 0o644, "unclean\n");
        stage.feed(&["n2", "./d"], "line\n");
        stage.look("then");
    });
}

#[test]
fn an_archive_of_the_future_counts_as_the_newest() {
    differ(|stage| {
        archives(stage, "d", 1, 100);
        stage.file("d/@500000000000000000000000.s", "future\n");
        for round in ["one", "two"] {
            stage.file_of_mode("d/current", 0o644, format!("{round}\n"));
            stage.feed(&["n2", "./d"], "");
        }
        stage.look("then");
    });
}

/// No rotation has left it: with a clean log there is none.
#[test]
fn a_previous_that_is_in_the_way_of_a_rotation() {
    differ(|stage| {
        stage.file_of_mode("d/previous", 0o744, "something\n");
        stage.file_of_mode("d/current", 0o744, "old\n");
        stage.file("d/state", "");
        stage.start(&["./d"]);
        stage.say("new\n");
        stage.at_rest();
        stage.signal(Signal::ALARM);
        stage.until_archives("d", 1);
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn more_archives_than_are_wanted_stay_until_there_is_a_new_one() {
    differ(|stage| {
        archives(stage, "d", 6, 1000);
        stage.feed(&["n2", "S1500", "./d"], "line\n");
        stage.look("no rotation");
        stage.feed(&["n2", "S1500", "s4096", "l0", "./d"], even_lines(100, 50));
        stage.look("a rotation");
    });
}

#[test]
fn a_directory_that_is_a_link() {
    differ(|stage| {
        stage.directory("real");
        std::os::unix::fs::symlink("real", stage.path("d")).unwrap();
        stage.feed(&["s4096", "l0", "./d"], even_lines(100, 100));
        stage.look("then");
    });
}

#[test]
fn with_other_settings_a_log_goes_on() {
    differ(|stage| {
        stage.feed(&["s4096", "l0", "n5", "./d"], even_lines(450, 100));
        stage.look("first");
        stage.feed(&["s20000", "l0", "n2", "./d"], even_lines(150, 100));
        stage.look("greater");
        stage.feed(&["s4096", "l0", "n100", "./d"], even_lines(10, 100));
        stage.look("smaller");
    });
}
