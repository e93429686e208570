//! Which scenarios show the traps of the specification's section 7, "what a naive re-implementation gets wrong".

/// A trap, by its number, and the tests that show it.
macro_rules! traps {
    ($($number:literal: $($module:ident :: $test:ident)|+;)*) => {
        const TRAPS: &[(u32, &[(&str, fn())])] =
            &[$(($number, &[$((concat!(stringify!($module), "::", stringify!($test)), crate::$module::$test)),+])),*];
    };
}

traps! {
    1: clients::the_lock_tells_whether_there_is_a_supervisor;
    2: scanning::one_supervise_directory_has_one_supervisor_and_keeps_its_lock;
    3: starting::the_control_fifo_does_not_end_with_its_first_writer;
    4: clients::the_lock_tells_whether_there_is_a_supervisor;
    5: starting::the_status_is_never_missing_and_always_whole;
    6: starting::the_status_is_there_before_its_event;
    7: finishing::while_finish_runs_the_pid_is_its_and_the_service_is_down;
    8: finishing::a_wait_status_survives_the_restart_and_svstat_hides_it;
    9: starting::stamps_tell_the_time_with_leap_seconds_and_a_start_leaves_the_stamp_of_readiness;
    10: starting::a_service_with_a_down_file_waits_for_u | readiness::a_newline_makes_a_service_ready;
    11: starting::stamps_tell_the_time_with_leap_seconds_and_a_start_leaves_the_stamp_of_readiness;
    12: timers::what_dies_at_once_is_started_a_second_later | timers::the_time_of_finish_and_the_second
        | timers::a_service_that_has_been_ready_for_a_second_is_started_at_once
        | timers::a_service_that_has_been_up_for_a_second_but_is_never_ready;
    13: timers::u_does_not_wait_for_the_second_to_pass;
    14: failing::a_run_that_is_not_executable_is_no_death;
    15: failing::a_missing_run_is_no_death;
    16: failing::a_run_without_an_interpreter_is_not_given_to_the_shell;
    17: finishing::exit_code_125_of_finish_is_a_permanent_failure;
    18: finishing::signal_letters_are_ignored_while_finish_runs_and_wishes_are_not;
    19: timers::only_d_arms_the_kill | signals::r_sends_no_cont;
    20: signals::d_works_on_a_stopped_service;
    21: orders::x_while_up_waits_for_the_next_death_and_means_it;
    22: alone::quit_leaves_the_service_and_its_status_alone;
    23: alone::int_goes_to_the_group_of_the_service;
    24: starting::run_gets_its_name_its_session_and_clean_signals
        | finishing::finish_is_a_session_of_its_own_with_clean_descriptors;
    25: starting::supervisors_stay_in_the_session_of_svscan;
    26: starting::run_gets_its_name_its_session_and_clean_signals;
    27: descriptors::process_1_reaps_what_it_did_not_start;
    28: descriptors::the_death_of_another_child_is_not_that_of_the_service;
    29: readiness::half_a_line_holds_nobody_up;
    30: readiness::the_newline_may_be_anywhere_in_the_data_and_counts_once;
    31: readiness::run_and_finish_find_no_other_end_of_the_pipe;
    32: readiness::the_notification_fd_is_read_anew_at_each_start
        | orders::the_down_file_counts_only_when_the_supervisor_starts;
    33: listeners::a_listener_that_comes_and_goes_sees_whole_events
        | listeners::the_fifo_of_a_client_has_the_form_that_others_expect;
    34: listeners::names_of_another_form_are_left_alone;
    35: listeners::a_full_fifo_is_left_alone_and_holds_nobody_up
        | listeners::a_notifier_is_done_in_no_time_whoever_listens;
    36: listeners::the_fifo_of_a_dead_listener_is_removed_at_the_next_event
        | listeners::a_killed_svwait_leaves_a_fifo_that_the_next_event_removes;
    37: finishing::exit_code_125_of_finish_is_a_permanent_failure;
    38: clients::no_transition_is_missed;
    39: clients::svlisten_runs_its_program_when_it_listens;
    40: clients::svwait_counts_failures | clients::two_failures_are_two;
    41: modes::the_umask_counts_only_for_status_and_tally;
    42: modes::links_to_nowhere_get_their_directories;
    43: finishing::finish_sees_the_tally_with_the_current_death
        | finishing::permafailon_in_finish_counts_the_death_it_follows
        | alone::a_supervisor_empties_the_tally_when_it_starts;
    44: tally::a_tally_of_a_wrong_size_is_emptied;
    45: scanning::two_links_to_one_directory_are_one_service
        | scanning::a_new_name_changes_nothing_until_the_supervisor_starts_anew;
    46: scanning::scan_and_kill_in_one_order_whichever_comes_first;
    47: loggers::while_the_logger_is_down_the_pipe_keeps_everything | loggers::the_pipe_outlives_the_supervisors_of_both;
    48: loggers::when_a_service_is_removed_its_logger_reads_to_the_end;
    49: loggers::a_logger_that_only_ends_with_its_input_ends;
    50: loggers::no_service_has_a_pipe_of_another;
    51: ending::a_script_that_cannot_be_executed_is_as_none | ending::signals_without_a_script_do_what_is_built_in;
    52: ending::b_and_abort_leave_everything_running | ending::abort_is_as_b
        | ending::tb_tells_everybody_and_waits_for_nobody;
    53: descriptors::process_1_executes_finish_as_process_1
        | ending::every_way_to_stop_stops_everything_and_executes_finish;
    54: ending::a_finish_that_cannot_be_executed_is_a_crash;
    55: clients::svlink_right_after_svunlink;
    56: clients::the_lock_tells_whether_there_is_a_supervisor;
    57: alone::term_while_finishing_lets_finish_come_to_its_end;
    58: alone::killing_the_supervisor_leaves_an_orphan_and_the_next_one_starts_a_second_copy
        | alone::with_a_lock_fd_the_second_copy_waits_for_the_first_to_die;
    59: orders::what_is_wanted_changes_silently | signals::a_pause_is_in_the_status_and_no_event;
    60: timers::a_jump_of_the_wall_clock_moves_no_deadline;
    61: tally::a_supervisor_outlives_its_directories;
    62: chain::a_program_that_cannot_be_executed;
    63: chain::envdir_sets_and_unsets;
    64: descriptors::in_a_pid_namespace_of_its_own_a_service_is_process_1;
}

#[test]
fn every_trap_has_its_scenario_and_every_scenario_there_is_a_test() {
    let numbers: Vec<_> = TRAPS.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=64).collect::<Vec<_>>());
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program).args(["--list", "--format", "terse"]).output().unwrap();
    let tests = String::from_utf8(output.stdout).unwrap();
    for (number, scenarios) in TRAPS {
        for (name, _) in *scenarios {
            assert!(tests.lines().any(|test| test == format!("{name}: test")), "{number}: {name} is no test");
        }
    }
}

/// What is listed as known must be looked up by somebody, and linchpin has all the commands that scenarios use.
#[test]
fn every_known_difference_belongs_to_a_test_and_every_command_is_there() {
    let output =
        std::process::Command::new(std::env::current_exe().unwrap()).args(["--list", "--format", "terse"]).output();
    let tests = String::from_utf8(output.unwrap().stdout).unwrap();
    for known in crate::known::KNOWN {
        assert!(tests.lines().any(|test| test == format!("{}: test", known.scenario)), "{} is no test", known.scenario);
        assert!(known.values.iter().any(|value| *value != known.values[0]), "{}: no difference", known.scenario);
        assert!(known.why.contains(": "), "{}: the reason begins with its section", known.scenario);
    }
    let have = crate::world::available();
    let missing = |name: &&str| !have.iter().any(|have| have == name);
    let missing: Vec<_> = crate::world::COMMANDS.iter().copied().filter(missing).collect();
    assert_eq!(missing, [""; 0], "commands of s6 that linchpin has not");
}
