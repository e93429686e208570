//! Where each point of the specification's section 11, "tests that expose a naive re-implementation", and of its section 12,
//! "subtle points", has its tests.

use std::path::Path;

/// Tests of a point: here, and, as `binary::module::test`, elsewhere.
struct Point {
    number: u32,
    here: &'static [&'static str],
    elsewhere: &'static [&'static str],
}

/// A point, by its number, and the tests that show it.
macro_rules! points {
    ($name:ident: $($number:literal: $($module:ident :: $test:ident)|* $(, $elsewhere:literal)*;)*) => {
        const $name: &[Point] = &[$(Point {
            number: $number,
            here: &[$(concat!(stringify!($module), "::", stringify!($test))),*],
            elsewhere: &[$($elsewhere),*],
        }),*];
    };
}

points! { TRAPS:
    1: input::lines_end_with_newlines_and_nuls | input::a_nul_behind_a_newline_is_an_empty_line;
    2: input::a_line_of_the_limit_is_whole_and_longer_ones_are_split;
    3: select::rest_selects_what_had_no_action | select::cumulative_selections;
    4: stamps::a_stamp_is_for_the_next_action_only | stamps::stamps_come_before_the_prefix;
    5: control::alerts_are_cut_where_they_are_told;
    6: status::a_status_file_has_the_last_line_and_1001_bytes | status::a_longer_line_is_cut_and_has_no_newline
        | status::a_status_file_without_a_size_has_that_of_its_line
        | status::an_old_status_file_and_an_old_new_one_are_replaced;
    7: rotation::bulk_goes_beyond_the_size | rotation::bulk_of_lines_of_all_lengths
        | rotation::a_megabyte_without_any_directive | steps::a_file_of_4096_bytes_has_one_line_more;
    8: rotation::numbers_of_archives | rotation::sums_of_archives
        | restart::what_is_no_archive_is_left_alone_by_the_trim;
    9: restart::a_killed_logger_leaves_an_unclean_archive,
        "logdir::deaths::a_logger_that_is_killed_at_any_step_has_lost_nothing_and_doubled_nothing";
    10: ends::modes_with_umask_022 | ends::running_modes_with_umask_077 | ends::modes_with_umask_077
        | steps::the_log_of_a_running_logger_is_not_executable;
    11: ends::a_second_logger_in_the_same_directory_is_refused;
    12: processors::what_a_processor_is_given | processors::the_state_goes_from_one_run_to_the_next
        | processors::a_processor_that_fails_is_run_again | processors::a_processor_that_crashes_is_run_again;
    13: signals::sigterm_ends_the_logger | signals::after_sigterm_a_partial_line_is_completed
        | signals::the_end_of_input_completes_a_partial_line
        | signals::without_completion_the_partial_line_is_logged_after_a_while;
    14: signals::with_p_sigterm_does_nothing | signals::with_p_sighup_ends_the_logger;
    15: signals::sigalrm_rotates | signals::sigalrm_does_not_rotate_an_empty_log;
    16: trouble::a_full_file_system_loses_nothing | trouble::one_of_two_logdirs_cannot_be_written_to
        | trouble::with_b_nothing_more_is_read_while_a_disk_is_full;
    17: ends::without_a_reader_of_standard_output_the_logdirs_go_on | ends::the_reader_of_standard_output_goes_away;
    18: ends::the_notification_is_a_newline | ends::a_refused_logger_notifies_nobody;
    19: select::an_empty_expression_matches_all | select::escaped_characters | select::more_escaped_characters
        | select::classes_with_odd_members | errors::expressions_that_are_none;
    20: restart::an_archive_of_the_future_counts_as_the_newest,
        "logdir::rotation::an_archive_is_later_than_those_that_there_are";
    21: restart::left_previous_and_an_unclean_current, "logdir::failing::a_name_that_is_taken_is_not_used";
    22: tools::the_seconds_around_the_one_that_was_inserted_in_2016;
}

points! { SUBTLETIES:
    1: input::the_last_line_needs_no_newline | input::the_only_line_needs_no_newline;
    2: signals::what_sigterm_finds_in_the_pipe_stays_there | signals::what_sighup_finds_in_the_pipe_stays_there;
    3: restart::a_log_that_is_not_executable_becomes_an_unclean_archive | restart::a_clean_log_is_appended_to;
    4: processors::after_a_clean_restart_the_state_is_there | restart::left_state_and_a_clean_current
        | restart::left_state_and_an_unclean_current;
    5: restart::an_archive_that_was_linked_already_is_not_linked_again
        | restart::a_current_that_was_linked_already_is_not_linked_again;
    6: restart::left_previous_and_an_unclean_current;
    7: restart::left_processed_and_previous | restart::left_unfinished_processed_and_previous;
    8: processors::a_clean_log_without_a_state_can_be_processed;
    9: processors::the_interpreter_belongs_to_the_processor;
    10: select::rest_selects_what_had_no_action | select::what_is_selected_stays_so_over_groups
        | select::rest_then_less;
    11: errors::a_tolerance_that_conflicts_with_the_size | control::a_tolerance_may_be_greater_than_a_later_size_allows;
    12: rotation::a_stamp_counts_for_the_size | rotation::a_prefix_counts_for_the_size;
    13: restart::a_log_that_is_too_great_is_rotated_before_it_is_written_to
        | restart::a_log_that_is_too_great_stays_while_nothing_comes;
    14: processors::while_a_processor_runs_lines_wait_and_another_logdir_does_not;
    15: processors::at_the_end_of_input_the_processor_is_waited_for
        | processors::after_a_signal_the_processor_is_waited_for;
    16: processors::a_failing_processor_keeps_the_logger_alive;
    17: trouble::a_full_file_system_loses_nothing;
    18: ends::flags_of_standard_input_and_output_after_the_end;
    19: calls::a_status_file_is_not_put_on_the_disk | trouble::an_alert_is_waited_for;
    20: restart::archives_go_by_their_names_and_not_by_their_times;
    21: restart::upper_case_names_are_archives_that_sort_apart;
    22: control::a_logdir_may_be_there_twice | ends::a_killed_logger_holds_no_lock;
    23: signals::two_alarms_make_one_archive | processors::alarms_while_a_processor_runs_are_ignored;
    24: trouble::with_b_nothing_more_is_read_while_standard_output_is_full;
    25: signals::sigterm_then_the_end_of_input | signals::a_second_signal_changes_nothing
        | signals::with_p_sighup_ends_the_logger;
    26: ends::the_notification_comes_after_recovery;
    27: , "syslog::own::an_empty_datagram_stops_nothing";
    28: stamps::the_label_tells_the_time_with_37_leap_seconds;
}

/// The tests of this binary.
fn tests() -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program).args(["--list", "--format", "terse"]).output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// Whether the source of another binary has this test.
fn is_elsewhere(test: &str) -> bool {
    let (path, name) = test.rsplit_once("::").unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path.replace("::", "/")).with_extension("rs");
    let source = std::fs::read_to_string(source).unwrap_or_default();
    let Some(at) = source.find(&format!("fn {name}()")) else { return false };
    // With nothing but other attributes in between.
    let attributes = source[..at].trim_end().lines().rev().take_while(|line| line.trim().starts_with("#["));
    attributes.into_iter().any(|line| line.trim() == "#[test]")
}

#[test]
fn every_point_has_its_tests_and_every_one_of_them_is_there() {
    let tests = tests();
    for (points, last) in [(TRAPS, 22), (SUBTLETIES, 28)] {
        let numbers: Vec<_> = points.iter().map(|point| point.number).collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
        for point in points {
            assert!(!point.here.is_empty() || !point.elsewhere.is_empty(), "{} has no test", point.number);
            for name in point.here {
                assert!(tests.iter().any(|test| test == name), "{}: {name} is no test", point.number);
            }
            for name in point.elsewhere {
                assert!(is_elsewhere(name), "{}: {name} is no test", point.number);
            }
        }
    }
    assert!(is_elsewhere("logs::coverage::every_point_has_its_tests_and_every_one_of_them_is_there"));
    assert!(!is_elsewhere("logs::coverage::is_elsewhere") && !is_elsewhere("logs::nowhere::nothing"));
}

/// What is listed as known must be looked up by somebody.
#[test]
fn every_known_difference_belongs_to_a_scenario() {
    let tests = tests();
    for known in crate::known::KNOWN {
        assert!(tests.iter().any(|test| test == known.scenario), "{} is no test", known.scenario);
        assert!(known.debian != known.linchpin, "{}: no difference", known.scenario);
        assert!(known.why.contains(": "), "{}: the reason begins with its section", known.scenario);
    }
    let scenarios =
        tests.iter().filter(|test| !["compare", "coverage", "look"].contains(&test.split("::").next().unwrap()));
    assert!(scenarios.count() >= 80);
}
