//! The differences that are wanted. Each is bound to one line of one scenario, with what each side says there: anything
//! else, also that there is no difference any more, fails.

/// A wanted difference.
pub struct Known {
    /// The scenario's test.
    pub scenario: &'static str,
    /// The line of its transcript.
    pub line: &'static str,
    /// What is there with Debian's logger.
    pub debian: &'static str,
    /// What is there with ours.
    pub linchpin: &'static str,
    /// The section of the specification that tells of it, and the reason; "own" if the difference is linchpin's.
    pub why: &'static str,
}

const fn known(
    scenario: &'static str,
    line: &'static str,
    debian: &'static str,
    linchpin: &'static str,
    why: &'static str,
) -> Known {
    Known { scenario, line, debian, linchpin, why }
}

const LAST: &str = "3: an unterminated last line at the end of input is kept";
const STATE: &str = "4.1: a clean log gets a state if it has none, or no processor could be started";
const TWO: &str = "4.1: Debian's gives two archives the same name, and dies";
const FUTURE: &str = "own: a new archive is later than all that there are, whatever the clock says";
const FLAGS: &str = "2: who shares standard input finds it as it was";
const WORDS: &str = "own: a directory is opened before anything in it is";
const OWN: &str = "own: for flash and for memory; s6 has no such directive";

/// All of them.
pub const KNOWN: &[Known] = &[
    known(
        "ends::flags_of_standard_input_and_output_after_the_end",
        "stderr",
        "flags:\\t04002\n\
         flags:\\t0102001",
        "flags:\\t02\n\
         flags:\\t0102001",
        FLAGS,
    ),
    known(
        "errors::a_script_with_an_error_is_not_warned_about",
        "stderr",
        "s6-log: warning: ignoring extraneous non-action directives\n\
         s6-log: fatal: unrecognized directive: +[",
        "s6-log: fatal: unrecognized directive: +[",
        "own: what is wrong is said, and nothing else",
    ),
    known(
        "errors::directories_that_cannot_be_made_or_opened",
        "stderr #2",
        "s6-log: fatal: unable to open ./plain/lock: Not a directory",
        "s6-log: fatal: unable to open ./plain: Not a directory",
        WORDS,
    ),
    known(
        "errors::directories_that_cannot_be_made_or_opened",
        "stderr #3",
        "s6-log: fatal: unable to mkdir ./plain/d: Not a directory",
        "s6-log: fatal: unable to open ./plain/d: Not a directory",
        WORDS,
    ),
    known(
        "errors::directories_that_cannot_be_made_or_opened",
        "stderr #5",
        "s6-log: fatal: unable to open_append ./currentdir/current: Is a directory",
        "s6-log: fatal: unable to open ./currentdir/current: Is a directory",
        WORDS,
    ),
    known(
        "errors::options_and_directives_that_debians_does_not_have",
        "-t 300 1",
        "exit 100: ",
        "exit 0: line",
        "8: there is -t",
    ),
    known(
        "errors::options_and_directives_that_debians_does_not_have",
        "R5 1",
        "exit 100: ",
        "exit 0: line",
        "8: there is R",
    ),
    known("errors::options_and_directives_that_debians_does_not_have", "c5s c64k 1", "exit 100: ", "exit 0: line", OWN),
    known(
        "errors::options_and_directives_that_debians_does_not_have",
        "ram:64k ram:0 1",
        "exit 100: ",
        "exit 0: line",
        OWN,
    ),
    known(
        "input::without_a_limit_a_line_of_more_than_a_mebibyte",
        "lengths of lines",
        "1048576, 2500000, 5",
        "1048576, 1048576, 1048576, 402848, 5",
        "own: memory is bounded, and no line is longer than a mebibyte",
    ),
    known(
        "errors::the_usage_is_told",
        "told",
        "s6-log: usage: s6-log [ -d notif ] [ -q | -v ] [ -b ] [ -p ] [ -l linelimit ] [ -- ] logging_script",
        "s6-log: usage: s6-log [ -d notif ] [ -q | -v ] [ -b ] [ -p ] [ -l linelimit ] [ -t lastlinetimeout ] [ -- ] directive...",
        "8: there is -t",
    ),
    known(
        "input::the_last_line_needs_no_newline",
        "stdout",
        "x",
        "x\n\
         part",
        LAST,
    ),
    known(
        "input::the_last_line_needs_no_newline",
        "then: files",
        "d/ 0700\n\
         d/current 0744, 2 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0700\n\
         d/current 0744, 7 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        LAST,
    ),
    known(
        "input::the_last_line_needs_no_newline",
        "then: contents",
        "d/current:\n\
         x",
        "d/current:\n\
         x\n\
         part",
        LAST,
    ),
    known("input::the_only_line_needs_no_newline", "stdout", "", "part", LAST),
    known(
        "input::the_only_line_needs_no_newline",
        "then: files",
        "d/ 0700\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0700\n\
         d/current 0744, 5 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        LAST,
    ),
    known(
        "input::the_only_line_needs_no_newline",
        "then: contents",
        "",
        "d/current:\n\
         part",
        LAST,
    ),
    known("processors::a_clean_log_without_a_state_can_be_processed", "it is processed", "false", "true", STATE),
    known("processors::a_clean_log_without_a_state_can_be_processed", "end", "never", "exit 0", STATE),
    known(
        "processors::a_clean_log_without_a_state_can_be_processed",
        "stderr",
        "s6-log (processor child): fatal: unable to open_readb ./d/state: No such file or directory\n\
         s6-log: warning: processor failed in ./d",
        "",
        STATE,
    ),
    known(
        "processors::the_interpreter_belongs_to_the_processor",
        "then: files",
        "a/ 0700\n\
         a/@1.s 0744, 5 bytes\n\
         a/current 0744, 0 bytes\n\
         a/lock 0644, 0 bytes\n\
         a/state 0644, 0 bytes\n\
         b/ 0700\n\
         b/@1.s 0744, 28 bytes\n\
         b/current 0744, 0 bytes\n\
         b/lock 0644, 0 bytes\n\
         b/state 0644, 0 bytes\n\
         c/ 0700\n\
         c/@1.s 0744, 6 bytes\n\
         c/current 0744, 0 bytes\n\
         c/lock 0644, 0 bytes\n\
         c/state 0644, 0 bytes\n\
         d/ 0700\n\
         d/@1.s 0744, 6 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "a/ 0700\n\
         a/@1.s 0744, 5 bytes\n\
         a/current 0744, 0 bytes\n\
         a/lock 0644, 0 bytes\n\
         a/state 0644, 0 bytes\n\
         b/ 0700\n\
         b/@1.s 0744, 5 bytes\n\
         b/current 0744, 0 bytes\n\
         b/lock 0644, 0 bytes\n\
         b/state 0644, 0 bytes\n\
         c/ 0700\n\
         c/@1.s 0744, 6 bytes\n\
         c/current 0744, 0 bytes\n\
         c/lock 0644, 0 bytes\n\
         c/state 0644, 0 bytes\n\
         d/ 0700\n\
         d/@1.s 0744, 6 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "2.2: Debian's takes the shell for the next action only",
    ),
    known(
        "processors::the_interpreter_belongs_to_the_processor",
        "then: contents",
        "a/@1.s:\n\
         is 2\n\
         \n\
         b/@1.s:\n\
         is $((1+1)); cat >/dev/null\n\
         \n\
         c/@1.s:\n\
         words\n\
         \n\
         d/@1.s:\n\
         words",
        "a/@1.s:\n\
         is 2\n\
         \n\
         b/@1.s:\n\
         is 2\n\
         \n\
         c/@1.s:\n\
         words\n\
         \n\
         d/@1.s:\n\
         words",
        "2.2: Debian's takes the shell for the next action only",
    ),
    known(
        "processors::with_one_logdir_the_new_state_is_a_file_too",
        "then: files",
        "d/ 0700\n\
         d/@1.s 0744, 5 bytes\n\
         d/@2.s 0744, 5 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0700\n\
         d/@1.s 0744, 5 bytes\n\
         d/@2.s 0744, 9 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 4 bytes",
        "6: Debian's closes descriptor 5 if it is that of its signals",
    ),
    known(
        "processors::with_one_logdir_the_new_state_is_a_file_too",
        "then: contents",
        "d/@1.s:\n\
         4000\n\
         \n\
         d/@2.s:\n\
         4000",
        "d/@1.s:\n\
         4000\n\
         \n\
         d/@2.s:\n\
         new\n\
         4000\n\
         \n\
         d/state:\n\
         new",
        "6: Debian's closes descriptor 5 if it is that of its signals",
    ),
    known(
        "restart::a_previous_that_is_in_the_way_of_a_rotation",
        "then: files",
        "d/ 0755\n\
         d/@1.s 0744, 8 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0755\n\
         d/@1.u 0744, 10 bytes\n\
         d/@2.s 0744, 8 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "own: Debian's writes over it, and ours keeps it",
    ),
    known(
        "restart::a_previous_that_is_in_the_way_of_a_rotation",
        "then: contents",
        "d/@1.s:\n\
         old\n\
         new",
        "d/@1.u:\n\
         something\n\
         \n\
         d/@2.s:\n\
         old\n\
         new",
        "own: Debian's writes over it, and ours keeps it",
    ),
    known(
        "restart::an_archive_of_the_future_counts_as_the_newest",
        "then: files",
        "d/ 0755\n\
         d/@1.u 0644, 4 bytes\n\
         d/@2.s 0644, 7 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0755\n\
         d/@1.u 0644, 4 bytes\n\
         d/@2.u 0644, 4 bytes\n\
         d/current 0744, 0 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        FUTURE,
    ),
    known(
        "restart::an_archive_of_the_future_counts_as_the_newest",
        "then: contents",
        "d/@1.u:\n\
         two\n\
         \n\
         d/@2.s:\n\
         future",
        "d/@1.u:\n\
         one\n\
         \n\
         d/@2.u:\n\
         two",
        FUTURE,
    ),
    known(
        "restart::left_a_clean_current_alone",
        "then: files",
        "d/ 0755\n\
         d/current 0744, 22 bytes\n\
         d/lock 0644, 0 bytes",
        "d/ 0755\n\
         d/current 0744, 22 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        STATE,
    ),
    known("restart::left_previous_and_an_unclean_current", "end", "exit 111", "exit 0", TWO),
    known(
        "restart::left_previous_and_an_unclean_current",
        "stderr",
        "s6-log: fatal: unable to finish current .u for logdir ./d: File exists",
        "",
        TWO,
    ),
    known(
        "restart::left_previous_and_an_unclean_current",
        "then: files",
        "d/ 0755\n\
         d/@1.u 0744, 19 bytes\n\
         d/current 0644, 18 bytes\n\
         d/lock 0644, 0 bytes",
        "d/ 0755\n\
         d/@1.u 0744, 19 bytes\n\
         d/@2.u 0644, 18 bytes\n\
         d/current 0744, 4 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        TWO,
    ),
    known(
        "restart::left_previous_and_an_unclean_current",
        "then: contents",
        "d/@1.u:\n\
         previous of before\n\
         \n\
         d/current:\n\
         current of before",
        "d/@1.u:\n\
         previous of before\n\
         \n\
         d/@2.u:\n\
         current of before\n\
         \n\
         d/current:\n\
         new",
        TWO,
    ),
    known(
        "restart::left_previous_and_an_unclean_current",
        "after another run: files",
        "d/ 0755\n\
         d/@1.u 0744, 19 bytes\n\
         d/@2.u 0644, 18 bytes\n\
         d/current 0744, 6 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0755\n\
         d/@1.u 0744, 19 bytes\n\
         d/@2.u 0644, 18 bytes\n\
         d/current 0744, 10 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        TWO,
    ),
    known(
        "restart::left_previous_and_an_unclean_current",
        "after another run: contents",
        "d/@1.u:\n\
         previous of before\n\
         \n\
         d/@2.u:\n\
         current of before\n\
         \n\
         d/current:\n\
         newer",
        "d/@1.u:\n\
         previous of before\n\
         \n\
         d/@2.u:\n\
         current of before\n\
         \n\
         d/current:\n\
         new\n\
         newer",
        TWO,
    ),
    known(
        "signals::a_nul_completes_a_partial_line",
        "left in the pipe",
        "",
        "next",
        "7: a NUL ends a line, also the last one",
    ),
    known(
        "signals::a_nul_completes_a_partial_line",
        "stdout",
        "one\n\
         partial\\x00next",
        "one\n\
         partial",
        "7: a NUL ends a line, also the last one",
    ),
    known(
        "signals::a_nul_completes_a_partial_line",
        "then: files",
        "d/ 0700\n\
         d/current 0744, 17 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0700\n\
         d/current 0744, 12 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "7: a NUL ends a line, also the last one",
    ),
    known(
        "signals::a_nul_completes_a_partial_line",
        "then: contents",
        "d/current:\n\
         one\n\
         partial\\x00next",
        "d/current:\n\
         one\n\
         partial",
        "7: a NUL ends a line, also the last one",
    ),
    known(
        "signals::a_partial_line_that_comes_to_the_limit_ends_there",
        "left in the pipe",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "7: Debian's takes one byte more than the limit",
    ),
    known(
        "signals::a_partial_line_that_comes_to_the_limit_ends_there",
        "stdout",
        "one\n\
         partxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "one\n\
         partxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "7: Debian's takes one byte more than the limit",
    ),
    known(
        "signals::a_partial_line_that_comes_to_the_limit_ends_there",
        "then: files",
        "d/ 0700\n\
         d/current 0744, 54 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0700\n\
         d/current 0744, 53 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "7: Debian's takes one byte more than the limit",
    ),
    known(
        "signals::a_partial_line_that_comes_to_the_limit_ends_there",
        "then: contents",
        "d/current:\n\
         one\n\
         partxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "d/current:\n\
         one\n\
         partxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "7: Debian's takes one byte more than the limit",
    ),
    known(
        "signals::without_completion_the_partial_line_is_logged_after_a_while",
        "it waits for ever",
        "true",
        "false",
        "7: there is -t, of two seconds if nothing else is said",
    ),
    known(
        "signals::without_completion_the_partial_line_is_logged_after_a_while",
        "then: files",
        "d/ 0700\n\
         d/current 0744, 12 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "d/ 0700\n\
         d/current 0744, 9 bytes\n\
         d/lock 0644, 0 bytes\n\
         d/state 0644, 0 bytes",
        "7: there is -t, of two seconds if nothing else is said",
    ),
    known(
        "signals::without_completion_the_partial_line_is_logged_after_a_while",
        "then: contents",
        "d/current:\n\
         one\n\
         partial",
        "d/current:\n\
         one\n\
         part",
        "7: there is -t, of two seconds if nothing else is said",
    ),
    known(
        "stamps::local_time_in_a_zone_that_there_is_not",
        "stderr",
        "",
        "s6-log: warning: Nowhere/Nothing is neither a time zone's file nor a rule for one: local time is UTC",
        "own: it is said that a zone is none",
    ),
    known(
        "status::a_status_file_that_cannot_be_written_is_a_warning",
        "stderr",
        "s6-log: warning: unable to write status file none/status: No such file or directory\n\
         s6-log: warning: unable to write status file directory: Is a directory\n\
         s6-log: warning: unable to write status file occupied: Is a directory\n\
         s6-log: warning: unable to write status file none/status: No such file or directory\n\
         s6-log: warning: unable to write status file directory: Is a directory\n\
         s6-log: warning: unable to write status file occupied: Is a directory",
        "s6-log: warning: unable to write status file none/status: No such file or directory\n\
         s6-log: warning: unable to write status file directory: Is a directory\n\
         s6-log: warning: unable to write status file occupied: Is a directory",
        "own: of lines that have come at once the last is written",
    ),
    known(
        "trouble::a_directory_that_is_away_for_a_while",
        "archives while it was away",
        "0",
        "1",
        "own: an open directory may be anywhere",
    ),
    known(
        "trouble::a_directory_that_is_away_for_a_while",
        "stderr",
        "s6-log: warning: unable to rename ./d/current to ./d/previous: No such file or directory",
        "",
        "own: an open directory may be anywhere",
    ),
    known(
        "trouble::a_rotation_that_cannot_begin_is_tried_again",
        "stderr",
        "s6-log: warning: unable to rename ./d/current to ./d/previous: Is a directory",
        "s6-log: warning: unable to finish previous .u to logdir ./d: Is a directory",
        "own: what is in the way is to be kept",
    ),
];
