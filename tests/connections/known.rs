//! The differences that are wanted. Each is bound to one line of one scenario, with what each side says there: anything
//! else, also that there is no difference any more, fails.

/// A wanted difference.
pub struct Known {
    /// The scenario's test.
    pub scenario: &'static str,
    /// The line of its transcript.
    pub line: &'static str,
    /// What is there with Debian's programs.
    pub debian: &'static str,
    /// What is there with ours.
    pub linchpin: &'static str,
    /// The reason.
    #[allow(dead_code)] // for readers
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

const REASON: &str = "Debian's tells the reason of an error that was long ago";
const SPAWN: &str = "what cannot be executed is a warning, and no connection";
const USELESS: &str = "what does not listen is refused at the start, and nothing spins";
const PENDING: &str = "a signal that is blocked waits until the server takes it, and then means what it means";
const TAKEN: &str = "the lock is held for the life of the socket; with s6 the last binder has the path";
const AS_IT_DID: &str = "all exit codes are, and a signal is a signal, which shells show as Debian's does";

/// All of them.
pub const KNOWN: &[Known] = &[
    known(
        "limits::a_client_with_too_many_connections_is_refused",
        "log, line 5",
        "s6-ipcserverd: info: deny 0:0 count 1/1: Success",
        "s6-ipcserverd: info: deny 0:0 count 1/1: too many connections of this user",
        REASON,
    ),
    known(
        "limits::a_refusal_is_told_when_little_is",
        "log, line 1",
        "s6-ipcserverd: info: deny 0:0 count 1/1: Success",
        "s6-ipcserverd: info: deny 0:0 count 1/1: too many connections of this user",
        REASON,
    ),
    known(
        "limits::a_refusal_at_the_lowest_verbosity",
        "log",
        "s6-ipcserverd: info: deny 0:0 count 1/1: Success",
        "s6-ipcserverd: info: deny 0:0 count 1/1: too many connections of this user",
        REASON,
    ),
    known(
        "limits::who_was_refused_is_admitted_once_another_connection_has_ended",
        "log, line 7",
        "s6-ipcserverd: info: deny 0:0 count 2/2: Success",
        "s6-ipcserverd: info: deny 0:0 count 2/2: too many connections of this user",
        REASON,
    ),
    known(
        "limits::no_connection_of_a_client_may_be_allowed",
        "log, line 3",
        "s6-ipcserverd: info: deny 0:0 count 0/0: Success",
        "s6-ipcserverd: info: deny 0:0 count 0/0: too many connections of this user",
        REASON,
    ),
    known(
        "limits::no_connection_of_a_client_may_be_allowed",
        "log, line 4",
        "s6-ipcserverd: info: deny 0:0 count 0/0: Success",
        "s6-ipcserverd: info: deny 0:0 count 0/0: too many connections of this user",
        REASON,
    ),
    known(
        "limits::more_than_the_greatest_limit_is_that",
        "log, line 2",
        "s6-ipcserverd: info: status: 0/1000",
        "s6-ipcserverd: info: status: 0/16384",
        "s6 has had this limit since 2.12",
    ),
    known(
        "ending::a_handler_that_is_missing_is_told",
        "log",
        "s6-ipcserverd: info: starting\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: allow 0:0 pid A count 1/40\n\
         s6-ipcserverd: info: status: 1/40\n\
         s6-ipcserverd: info: end pid A uid 0 exitcode 127\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: allow 0:0 pid B count 1/40\n\
         s6-ipcserverd: info: status: 1/40\n\
         s6-ipcserverd: info: end pid B uid 0 exitcode 127\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: received SIGTERM, quitting\n\
         s6-ipcserverd: info: exiting\n\
         s6-ipcserver (child): fatal: unable to exec missing: No such file or directory\n\
         s6-ipcserver (child): fatal: unable to exec missing: No such file or directory",
        "s6-ipcserverd: info: starting\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: warning: unable to spawn missing: No such file or directory\n\
         s6-ipcserverd: warning: unable to spawn missing: No such file or directory\n\
         s6-ipcserverd: info: received SIGTERM, quitting\n\
         s6-ipcserverd: info: exiting",
        SPAWN,
    ),
    known(
        "ending::a_handler_that_may_not_be_executed_is_told",
        "log",
        "s6-ipcserverd: info: starting\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: allow 0:0 pid A count 1/40\n\
         s6-ipcserverd: info: status: 1/40\n\
         s6-ipcserverd: info: end pid A uid 0 exitcode 126\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: allow 0:0 pid B count 1/40\n\
         s6-ipcserverd: info: status: 1/40\n\
         s6-ipcserverd: info: end pid B uid 0 exitcode 126\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: received SIGTERM, quitting\n\
         s6-ipcserverd: info: exiting\n\
         s6-ipcserver (child): fatal: unable to exec ./plain: Permission denied\n\
         s6-ipcserver (child): fatal: unable to exec ./plain: Permission denied",
        "s6-ipcserverd: info: starting\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: warning: unable to spawn ./plain: Permission denied\n\
         s6-ipcserverd: warning: unable to spawn ./plain: Permission denied\n\
         s6-ipcserverd: info: received SIGTERM, quitting\n\
         s6-ipcserverd: info: exiting",
        SPAWN,
    ),
    known(
        "ending::a_handler_that_is_no_program_is_told",
        "log",
        "s6-ipcserverd: info: starting\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: allow 0:0 pid A count 1/40\n\
         s6-ipcserverd: info: status: 1/40\n\
         s6-ipcserverd: info: end pid A uid 0 exitcode 126\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: allow 0:0 pid B count 1/40\n\
         s6-ipcserverd: info: status: 1/40\n\
         s6-ipcserverd: info: end pid B uid 0 exitcode 126\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: received SIGTERM, quitting\n\
         s6-ipcserverd: info: exiting\n\
         s6-ipcserver (child): fatal: unable to exec ./garbage: Exec format error\n\
         s6-ipcserver (child): fatal: unable to exec ./garbage: Exec format error",
        "s6-ipcserverd: info: starting\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: warning: unable to spawn ./garbage: Exec format error\n\
         s6-ipcserverd: warning: unable to spawn ./garbage: Exec format error\n\
         s6-ipcserverd: info: received SIGTERM, quitting\n\
         s6-ipcserverd: info: exiting",
        SPAWN,
    ),
    known(
        "descriptors::the_listener_is_not_handed_on",
        "socket 0: non-blocking",
        "false",
        "true",
        "a client that is gone when it is accepted does not make the server deaf",
    ),
    known("environment::the_longest_path_of_a_client_is_told", "of 108 bytes", "107", "108", "the whole of it"),
    known("signals::signals_that_came_before_the_server_was_ready_count", "end", "signal 15", "exit 0", PENDING),
    known(
        "signals::signals_that_came_before_the_server_was_ready_count",
        "log",
        "",
        "s6-ipcserverd: info: starting\n\
         s6-ipcserverd: info: status: 0/40\n\
         s6-ipcserverd: info: received SIGTERM, quitting\n\
         s6-ipcserverd: info: exiting",
        PENDING,
    ),
    known(
        "usage::a_socket_that_does_not_listen_is_refused",
        "a stream socket without a name",
        "exit 111: s6-ipcserverd: fatal",
        "exit 100: s6-ipcserverd: fatal",
        USELESS,
    ),
    known(
        "usage::a_socket_that_does_not_listen_is_refused",
        "a connected socket",
        "spins: s6-ipcserverd: warning",
        "exit 100: s6-ipcserverd: fatal",
        USELESS,
    ),
    known(
        "usage::a_datagram_socket_is_refused",
        "a datagram socket with an empty datagram",
        "spins: s6-ipcserverd: warning",
        "exit 100: s6-ipcserverd: fatal",
        USELESS,
    ),
    known(
        "usage::a_listener_of_another_family_is_refused",
        "end",
        "exit 0, having served: true",
        "exit 100",
        "Debian's serves clients of TCP with a user, a group and a path that nobody has",
    ),
    known("binding::a_path_with_a_living_server_is_not_taken_over", "a second binder", "exit 0: ", "exit 111: ", TAKEN),
    known("binding::a_path_with_a_living_server_is_not_taken_over", "clients reach", "nobody", "first\n", TAKEN),
    known(
        "wrappers::the_wrapper_hands_limits_on",
        "log, line 7",
        "s6-ipcserverd: info: deny 0:0 count 2/2: Success",
        "s6-ipcserverd: info: deny 0:0 count 2/2: too many connections of this user",
        REASON,
    ),
    known(
        "access::where_there_are_no_rules_at_all_nobody_is_admitted",
        "says",
        "",
        "warning nobody",
        "it is said why nobody is admitted",
    ),
    known(
        "binding::paths_may_be_107_bytes_long",
        "0",
        "exit 0:  a directory",
        "exit 111:  a directory",
        "Debian's gets an abstract name that the kernel has chosen and nobody knows",
    ),
    known("sudo::the_client_ends_as_the_program_did", "exit 255", "exit 128: ", "exit 255: ", AS_IT_DID),
    known("sudo::the_client_ends_as_the_program_did", "kill -TERM $$", "exit 143: ", "signal 15: ", AS_IT_DID),
    known("sudo::the_client_ends_as_the_program_did", "kill -KILL $$", "exit 137: ", "signal 9: ", AS_IT_DID),
    known("sudo::the_client_ends_as_the_program_did", "kill -USR1 $$", "exit 138: ", "signal 10: ", AS_IT_DID),
];
