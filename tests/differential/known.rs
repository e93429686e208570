//! The differences that are wanted. Each is bound to one line of one scenario, with what each side says there: anything
//! else, also that there is no difference any more, fails.

use crate::compare::Make;

/// A wanted difference.
pub struct Known {
    /// The scenario's test.
    pub scenario: &'static str,
    /// The line of its transcript.
    pub line: &'static str,
    /// What is there in each of `COMBINATIONS`.
    pub values: [&'static str; 4],
    /// The reason, and the section of the specification of s6 that tells of it; "own" if the difference is linchpin's.
    pub why: &'static str,
}

/// The daemons differ.
const fn daemons(
    scenario: &'static str,
    line: &'static str,
    s6: &'static str,
    linchpin: &'static str,
    why: &'static str,
) -> Known {
    Known { scenario, line, values: [s6, s6, linchpin, linchpin], why }
}

/// The clients differ.
const fn clients(
    scenario: &'static str,
    line: &'static str,
    s6: &'static str,
    linchpin: &'static str,
    why: &'static str,
) -> Known {
    Known { scenario, line, values: [s6, linchpin, s6, linchpin], why }
}

const FIRST_STATUS: &str = "8: since s6 2.12 the paused bit of a first status means: never started";
const NEVER_STARTED: &str = "8: svstat says so";
const NOT_LISTENING: &str = "8: svc answers 102, not 100, where nobody listens";

const ODD: &str = "8: svc answers 1, not 100, where the control FIFO is not what it should be (5.2)";
const LAST_LINE: &str = "9: with -L, s6 loses the value of a file that does not end with a newline";
const FTRIG: &str = "8: ftrig-* print all that was received, and ftrig-wait times out with 99";
const GROUP: &str = "8: finish gets the process group of the dead run as its fourth argument";
const START_TO_START: &str = "own: the second between two starts counts from start to start (2.7 has s6's rule)";

/// A line as the reference would write it: what linchpin's commands say beyond Debian's, in every scenario.
pub fn normalised(line: &str, value: &str, clients: Make) -> String {
    match clients {
        // 8: svstat tells the process group.
        Make::Linchpin if line.starts_with("s6-svstat") => value.replace("pid PID pgid PID", "pid PID"),
        _ => value.to_owned(),
    }
}

/// All of them.
pub const KNOWN: &[Known] = &[
    daemons(
        "starting::a_service_with_a_down_file_waits_for_u",
        "status of a",
        "no pid, wstat 0000, flags 08",
        "no pid, wstat 0000, flags 09",
        FIRST_STATUS,
    ),
    Known {
        scenario: "starting::a_service_with_a_down_file_waits_for_u",
        line: "s6-svstat a",
        values: [
            "exit 0: down (exitcode 0) SOME seconds, ready SOME seconds",
            "exit 0: down (exitcode 0) SOME seconds, ready SOME seconds",
            "exit 0: down (exitcode 0) SOME seconds, ready SOME seconds",
            "exit 0: down (not started yet)",
        ],
        why: NEVER_STARTED,
    },
    daemons(
        "starting::run_may_be_any_program_and_gets_argv_0",
        "command line",
        "run a",
        "./run a",
        "8: the first argument is the path",
    ),
    daemons(
        "starting::supervisors_stay_in_the_session_of_svscan",
        "supervisors are processes",
        "true",
        "false",
        "own: a supervisor is a record of svscan's",
    ),
    daemons("finishing::finish_gets_the_exit_code_or_the_signal", "arguments", "3 7 0 a", "4 7 0 a", GROUP),
    daemons("finishing::finish_gets_the_exit_code_or_the_signal", "arguments #2", "3 256 11 b", "4 256 11 b", GROUP),
    daemons(
        "ending::a_finish_that_cannot_be_executed_is_a_crash",
        "svscan ends",
        "exit 111",
        "exit 127",
        "8: the exit code where crash cannot be executed",
    ),
    daemons(
        "descriptors::in_a_pid_namespace_of_its_own_a_service_is_process_1",
        "process 1",
        "false",
        "true",
        "8: flag-newpidns",
    ),
    daemons(
        "modes::links_to_nowhere_get_their_directories",
        "the next supervisor can use them",
        "false",
        "true",
        "2.1: it tells of dangling links only: a second s6-supervise of 2.11 dies on what the first one made",
    ),
    daemons(
        "finishing::the_last_argument_of_finish_is_the_process_group_of_the_dead",
        "fourth argument",
        "",
        "the group",
        GROUP,
    ),
    daemons(
        "readiness::half_a_line_holds_nobody_up",
        "can be stopped",
        "false",
        "true",
        "9: s6-supervise reads the readiness pipe with blocking",
    ),
    clients(
        "alone::killing_the_supervisor_leaves_an_orphan_and_the_next_one_starts_a_second_copy",
        "s6-svc -d a",
        "exit 100",
        "exit 102",
        NOT_LISTENING,
    ),
    daemons(
        "alone::with_a_lock_fd_the_second_copy_waits_for_the_first_to_die",
        "two copies",
        "true",
        "false",
        "9: s6-supervise loses its lock; linchpin's belongs to the open file that run inherits",
    ),
    daemons(
        "listeners::a_regular_file_with_the_name_of_a_listener_is_written_to",
        "it says",
        "true",
        "false",
        "own: only FIFOs are written to; s6 writes into whatever has the name (4.3)",
    ),
    clients(
        "chain::envdir_sets_and_unsets",
        "EMPTY=was NEWLINE=was s6-envdir -L env sh -c 'echo \"[${EMPTY-unset}] [${NEWLINE-unset}] [$PLAIN] [$BARE] [$TRAILING] [$NUL] [$SPACE] [$TWO] ${hidden-no}\"'",
        "exit 0: [unset] [] [value] [] [x] [a\nb] [] [one] no",
        "exit 0: [unset] [] [value] [bare] [x] [a\nb] [  y] [one] no",
        LAST_LINE,
    ),
    clients(
        "chain::envdir_sets_and_unsets",
        "s6-envdir -L env sh -c 'echo ${#LONG}'",
        "exit 0: 0",
        "exit 0: 5000",
        LAST_LINE,
    ),
    clients(
        "chain::fifodirs_are_listened_to",
        "s6-ftrig-listen1 -t 30000 d 'b+c' s6-ftrig-notify d abbc",
        "exit 0: c",
        "exit 0: abbc",
        FTRIG,
    ),
    clients("chain::fifodirs_are_listened_to", "s6-ftrig-wait -t TIME d x", "exit 1", "exit 99", FTRIG),
    clients(
        "chain::fifodirs_are_made_cleaned_and_told",
        "layout of public #3",
        "public d3730, public/ftrig1:@400000006800000000000000:stale p600, public/ftrig1:@400000006800000000000000:stalex p600",
        "public d3730, public/ftrig1:@400000006800000000000000:stale p600",
        "9: s6 2.11 looks for names of another length",
    ),
    clients(
        "chain::softlimit_limits",
        "s6-softlimit -h -o 300 sh -c 'ulimit -Hn'",
        "exit 111: ",
        "exit 0: 300",
        "5.16: a soft limit above the hard one is lowered; s6 2.11 leaves it, and fails",
    ),
    clients(
        "clients::svstat_tells_every_field",
        "s6-svstat -o up, a",
        "exit 0: true",
        "exit 100: ",
        "9: exact names only",
    ),
    clients(
        "clients::svwait_waits_for_what_it_is_told",
        "s6-svwait",
        "exit 100",
        "exit 0",
        "8: nothing to wait for is no error",
    ),
    clients(
        "clients::two_failures_are_two",
        "svlisten",
        "99",
        "2",
        "5.5: each failure counts; s6 2.11 waits on if there are several services",
    ),
    clients(
        "clients::the_lock_tells_whether_there_is_a_supervisor",
        "s6-svc .b",
        "exit 100",
        "exit 102",
        NOT_LISTENING,
    ),
    clients(
        "clients::the_lock_tells_whether_there_is_a_supervisor",
        "s6-svc -u .b",
        "exit 100",
        "exit 102",
        NOT_LISTENING,
    ),
    clients(
        "clients::the_lock_tells_whether_there_is_a_supervisor",
        "s6-svc -u .c",
        "exit 100",
        "exit 102",
        NOT_LISTENING,
    ),
    clients(
        "clients::the_lock_tells_whether_there_is_a_supervisor",
        "s6-svc a #2",
        "exit 100",
        "exit 102",
        NOT_LISTENING,
    ),
    clients(
        "listeners::the_fifo_of_a_client_has_the_form_that_others_expect",
        "mode",
        "10600",
        "10622",
        "8: so that a notifier who is not root may write",
    ),
    clients(
        "chain::fghack_waits_for_who_went_to_the_background",
        "s6-fghack sh -c 'kill -TERM $$'",
        "exit 111",
        "exit 143",
        "5.16: a signal is 128 and its number; s6 2.11 says 111",
    ),
    clients(
        "clients::svlink_and_svunlink",
        "down files",
        "false true",
        "false false",
        "9: svlink -d leaves the logger's down file behind",
    ),
    clients(
        "clients::svlink_and_svunlink",
        "s6-svlink . $BASE/one a/b",
        "exit 111",
        "exit 100",
        "5.11: no name may have a slash",
    ),
    clients("tally::a_supervisor_outlives_its_directories", "s6-svc -u a", "exit 100", "exit 1", ODD),
    daemons(
        "timers::a_service_that_has_been_up_for_a_second_but_is_never_ready",
        "at once",
        "false",
        "true",
        START_TO_START,
    ),
    daemons("timers::the_time_of_finish_and_the_second", "at once after finish", "false", "true", START_TO_START),
];
