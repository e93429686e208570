//! Every capacity, with the reason for its number. Tables live in the arena or in `.bss`: slots that are never
//! touched cost no memory, so a capacity is the largest that is sensible, not the smallest that might do. Running
//! into one is reported on the thing that asked.

/// Supervised services, loggers included. s6-svscan's default is 1000; twice that serves a thousand with loggers.
pub const SERVICES: usize = 2048;

/// Longest service name, NUL excluded, `/log` excluded: s6-svscan's default (`-L`), a file name less four bytes.
pub const SERVICE_NAME: usize = 251;

/// Longest name that a file may have: the most that `-L` can ask for.
pub const FILE_NAME: usize = 255;

/// Held descriptors: s6-fdholderd's default (`-n`) is 1000.
pub const HELD: usize = if cfg!(feature = "next") { 1000 } else { 1024 };

/// Longest identifier of a held descriptor: the protocol stores its length in one byte.
pub const HELD_NAME: usize = 255;

/// Simultaneous clients of the fd-holder: the most that s6-fdholderd takes (`-c`). Each costs a page or two while it
/// talks.
pub const FDHOLDER_CLIENTS: usize = 256;

/// Clients that an answer of more than a page may wait for at a time: each has memory of ours for as long as it does not
/// read. More are refused (ENOMEM).
pub const FDHOLDER_LARGE: usize = 16;

/// Nanoseconds that a client of process 1 may say nothing while all places are taken: then it makes room. One that is
/// alive connects in order to ask.
pub const FDHOLDER_CROWDED: u64 = 25_000_000;

/// Simultaneous clients of the fd-holder that is a process of its own: s6-fdholderd's bound for `-c`.
pub const FDHOLDERD_CLIENTS: usize = 256;

/// Bytes of the file in which a scanner tells of itself: some 400 for its numbers, the rest for what the last fault was.
pub const STATE_FILE: usize = 1024;

/// Bytes of a file of access rules: 2 KiB for the tables, some 200 for each of a thousand users. It is read into memory,
/// for a mapped file that somebody cuts off would end the process.
pub const RULES_FILE: usize = 256 * 1024;

/// Those who wait to be accepted by the fd-holder. They are served in their order, at some ten microseconds each, so that a
/// flood of connections makes nobody wait for long; who finds all these places taken waits in connect(2).
pub const FDHOLDER_BACKLOG: i32 = 128;

/// Largest fd-holder request: a dump message of 253 entries with 255-byte identifiers, and its header.
pub const FDHOLDER_REQUEST: usize = 6 + 1 + 253 * (12 + 1 + HELD_NAME + 1);

/// Largest fd-holder reply: a list of all identifiers, and its header.
pub const FDHOLDER_REPLY: usize = 6 + 1 + 4 + HELD * (HELD_NAME + 1);

/// Descriptors that one command gets from a fd-holder or gives to it: a s6-fdholderd may be told (`-n`) to hold more
/// than we do. A process may usually have 1024.
pub const FDHOLDER_DUMP: usize = 2048;

/// Requests of one fd-holder client that are served before others get their turn: s6-fdholderd's number.
pub const FDHOLDER_TURN: usize = 128;

/// With more clients than this each is served fewer requests in its turn, so that the turns of all take no longer than of
/// so many.
pub const FDHOLDER_CROWD: usize = 4;

/// Descriptor numbers that the fd-holder leaves to the process it is in, however many it is sent: for connections, and
/// for what it takes to start services.
pub const FDHOLDER_SPARE: i32 = 96;

/// Received descriptors that no request of an fd-holder client has claimed yet: one whole message's, and those that
/// came with the beginning of the next.
pub const FDHOLDER_FDS: usize = 2 * 253;

/// Entries `[[fdholder.allow]]` of a board config: one for each daemon that is not root.
pub const FDHOLDER_ALLOWS: usize = 64;

/// Bytes of the patterns of one such entry: some twenty identifiers.
pub const FDHOLDER_GLOBS: usize = 1000;

/// Longest regular expression of an access rule: what s6 reads of a file of an environment directory, and a byte.
pub const FDHOLDER_PATTERN: usize = 4096;

/// Bytes of a status line that a service sends (`STATUS=`): two lines of a terminal; the rest is cut off.
pub const NOTIFY_STATUS: usize = if cfg!(feature = "next") { 160 } else { 176 };

/// Messages of one service's notification socket that are taken before others get their turn…
pub const NOTIFY_TURN: usize = 64;

/// …or descriptors that came with them, if that is sooner: one full message. Closing one may take microseconds.
pub const NOTIFY_TURN_FDS: usize = 253;

/// Messages that are taken when a service has died: those that it sent before. The kernel keeps some ten of them
/// (net.unix.max_dgram_qlen); systemd raises that to 512.
pub const NOTIFY_LAST: usize = 1024;

/// Descriptors that a service may have stored, if its `notify-socket` does not say otherwise…
pub const STORED: usize = 64;

/// …and the most that it can ask for: as many as it can be given at its next start.
pub const STORED_MOST: usize = 128;

/// Nanoseconds between two times that the file is written that shows what a service said: it may say much.
pub const NOTIFY_PAUSE: u64 = 200_000_000;

/// Nanoseconds between two log lines about what is wrong with what comes through a service's socket.
pub const NOTIFY_QUIET: u64 = 10_000_000_000;

/// Dependencies between services that a stop respects: two for each service.
pub const DEPENDENCIES: usize = 2 * SERVICES;

/// Nanoseconds after which an fd-holder client is cut off that does not finish its request or does not take its
/// answer; also the one that has been idle longest, when all places are taken. A client that is alive needs milliseconds.
pub const FDHOLDER_PATIENCE: u64 = 10_000_000_000;

/// Nanoseconds after which an idle fd-holder client is cut off: connections may be kept, but not for ever.
pub const FDHOLDER_IDLE: u64 = 600_000_000_000;

/// Nanoseconds until the fd-holder accepts again after a failure to do so, and at least between two log lines about
/// clients: anybody may connect, and must not be able to flood the log.
pub const FDHOLDER_PAUSE: u64 = 1_000_000_000;

/// One-shot children that PID 1 starts and remembers: init script, signal handlers, the unmounter.
pub const JOBS: usize = 16;

/// Bytes of a control FIFO, or of a signalfd, that are taken at a time and acted on one after the other.
pub const INBOX: usize = 256;

/// Bytes of the in-memory log: the last fifty lines or so, for when kmsg is not to be had.
pub const LOG_RING: usize = 4 * 1024;

/// Longest log line; kmsg takes about 1000 bytes, and 400 are still read on a serial console.
pub const LOG_LINE: usize = 400;

/// Sockets in a board config.
pub const BOARD_SOCKETS: usize = 128;

/// Options that the record of a socket has room for that is to be bound later: all those that a board config knows, and
/// some to come.
pub const SOCKET_OPTIONS: usize = 24;

/// Patterns of all entries `[[fdholder.allow]]` of a board config together: eight for each entry.
pub const BOARD_GLOBS: usize = 8 * FDHOLDER_ALLOWS;

/// Strings in one array of a board config.
pub const BOARD_ARRAY: usize = 64;

/// Mounts in a board config.
pub const BOARD_MOUNTS: usize = 32;

/// Bytes of a board config: a long one has 300 lines.
pub const BOARD_FILE: usize = 64 * 1024;

/// Death records that `supervise/death_tally` may hold: s6's own limit for `max-death-tally`.
pub const DEATH_TALLY: usize = 4096;

/// Descriptors that a full house needs: seven a service (directory, control, lock, pipe, readiness, notification socket,
/// one in passing), the held ones, the fd-holder's clients with what they are sending, what a notification brings, and
/// some to spare.
pub const DESCRIPTORS: u64 = (7 * SERVICES + HELD + NOTIFY_TURN_FDS + FDHOLDER_CLIENTS * 508 + 64) as u64;
/// Entries of a fifodir that one event looks at: every listener is one, and anybody may make one in a public fifodir,
/// so that PID 1 must stop somewhere. At a few microseconds each this is some milliseconds.
pub const FIFODIR_ENTRIES: u32 = 1024;

/// Services that one client waits for: each takes two descriptors, of which a process usually may have 1024.
pub const WATCHED: usize = 500;

/// Bytes that one call of `svc` sends to a supervisor: s6-svc's limit.
pub const CONTROL_BYTES: usize = 62;
/// Bytes that wait in the control FIFO of a service: some 260 of the longest calls of `svc`. The kernel's own 64 KiB cost
/// 0.8 KiB more for each service, for the list of their pages.
pub const CONTROL_FIFO: usize = 16 * 1024;
/// Bytes that the strings of a board config may need that cannot be taken from the file as they are (escapes).
pub const BOARD_SCRATCH: usize = 4096;

/// Mistakes of one board config that are reported one by one: who makes more has another file in hand.
pub const BOARD_MISTAKES: usize = 100;

/// Longest line of /etc/passwd and /etc/group, newline included: a group of some 400 members.
pub const ACCOUNT_LINE: usize = 4096;

/// Groups of one user, the primary one included.
pub const ACCOUNT_GROUPS: usize = 256;

/// Variables of an environment that a chain loader changes: three for each descriptor of a dump, and many of others.
pub const ENV_ENTRIES: usize = 8192;

/// Bytes of the variables that one chain loader adds to the environment. One variable may have 128 KiB (the kernel's
/// MAX_ARG_STRLEN), all together usually 2 MiB (a quarter of the stack's limit); configuration has some kilobytes.
pub const ENV_BYTES: usize = 512 * 1024;

/// Instructions of a compiled regular expression: one for each character, class and operator, those of a repeated part
/// once for each repetition. Patterns of events have a dozen. (Those of a logger's script may have four times as many.)
pub const REGEX_CODE: usize = 1024;

/// Different bracket expressions in one regular expression.
pub const REGEX_SETS: usize = 32;

/// Parentheses inside parentheses in a regular expression: each takes a piece of the stack.
pub const REGEX_DEPTH: usize = 32;

/// Fifodirs that one `ftrig-listen` listens in: each takes two descriptors and some 6 KiB.
pub const FTRIG_PATTERNS: usize = 128;

/// Bytes of events that `ftrig-wait` and `ftrig-listen1` keep to print them: a FIFO's worth. The oldest go first.
pub const FTRIG_KEPT: usize = 64 * 1024;

/// Held descriptors that one service is given at a start, those that it stored itself included. Daemons with many
/// addresses have a dozen, and sd's stores are used for hundreds of connections at most; each takes four bytes of the
/// stack on which a child begins.
pub const HANDED: usize = 128;

/// Bytes of a service's file `sockets`: as many lines with identifiers of common length as may be handed over.
pub const SOCKETS_FILE: usize = 16 * 1024;

/// Connections that `ipcserverd` and `tcpserverd` serve at a time: s6's own limit. Each takes 8 bytes, each different client
/// 24, and what is not used costs nothing.
pub const CONNECTIONS: usize = 16384;

/// Words of the chain that `ipcserver` and `tcpserver` become, prog and its arguments included. The chain's own are at
/// most 24; each place is a pointer on the stack of a command. A shell's line of this length has some 20 KiB.
pub const SERVER_WORDS: usize = 4096;

/// Longest line of /etc/hosts, newline included: an address with a dozen names.
pub const HOSTS_LINE: usize = 1024;

/// Addresses of one host that `tcpclient` tries: s6's number.
pub const ADDRESSES: usize = 16;

/// Bytes that `ioconnect` has read in one direction and not written yet: a pipe's worth, so that one that was full costs
/// one call of each kind.
pub const RELAYED: usize = 64 * 1024;

/// Access rules that one database is made of: [`RULES_FILE`] has no room for more than these, if each says no more than
/// that somebody is denied.
pub const RULES: usize = 8192;

/// Bytes that are sent to a client before it is known who it is: s6's number.
pub const BANNER: usize = 512;

/// Bytes of a request to sudod: the client's arguments and its environment. A client of s6 cannot send more than what the
/// kernel queues for a socket at once, some 200 KiB; one word has 128 KiB at most.
pub const SUDO_REQUEST: usize = 256 * 1024;

/// Arguments, and variables, of a request to sudod: the protocol's limit.
pub const SUDO_COUNT: usize = 131_072;

/// Words that sudod executes, its own and its client's together; also those of a command that executes a line of others.
/// A pointer each, where only those that are used cost memory.
pub const LINE_WORDS: usize = 8192;

/// Directives of a logger's script. A long one has some thirty.
pub const LOG_DIRECTIVES: usize = 256;

/// Logdirs and rings of one logger: each has a descriptor or three, and [`LOG_PENDING`] of address space.
pub const LOG_DIRS: usize = 32;

/// Bytes that a logger looks at before it decides whether a logdir is full: what s6-log reads at once.
pub const LOG_CHUNK: usize = 8191;

/// Bytes that a logger reads at once: what a pipe holds, in whole chunks.
pub const LOG_INPUT: usize = 8 * LOG_CHUNK;

/// Longest line that a logger does not split, whatever it is told: a line must be in memory as a whole until it is known
/// where it goes. A line of a core's dump in one piece has some hundred kilobytes.
pub const LOG_LINE_MAX: usize = 1024 * 1024;

/// Longest prefix of lines (`pTEXT`).
pub const LOG_PREFIX: usize = 1024;

/// Bytes that wait in the pipe of the catch-all logger while it does not read: a few thousand lines. Only what is used is
/// memory, the kernel's; its default is 65536.
pub const CATCH_ALL_PIPE: usize = 256 * 1024;

/// Bytes that wait for one logdir while it cannot be written to: half a minute of a talkative service. When they are used up
/// the logger reads no more, so that the service waits, and nothing is lost. Only what is used is memory.
pub const LOG_PENDING: usize = 4 * 1024 * 1024;

/// Archives of a logdir that are looked at together to find those that must go: one does at each rotation. Where more
/// must, the directory is read once for each so many of them; each takes 40 bytes of the stack.
pub const LOG_TRIM: usize = 256;

/// Bytes of a time zone's file. The largest of the IANA database have 4 KiB; only what a file has becomes memory.
pub const ZONE_FILE: usize = 64 * 1024;

/// Longest value of the TZ variable that is a path, directory in front included.
pub const ZONE_PATH: usize = 512;

/// Bytes that a command like `tai64n` reads or writes at once: what a pipe holds. Its buffers have as much.
pub const FILTERED: usize = 64 * 1024;

/// Different expressions in one logger's script. A long script has ten.
pub const LOG_EXPRESSIONS: usize = 64;

/// Bytes of address space for one expression of a logger, what it has learnt about lines included: all that its numbers of
/// two bytes reach. Common expressions use less than a page, which is all that they cost.
pub const LOG_EXPRESSION: usize = 128 * 1024;

/// Bytes that a logger may be told to gather in memory before it writes them (`cSIZE`): a quarter of what may wait.
pub const LOG_GATHER: usize = LOG_PENDING / 4;

/// Bytes of the smallest ring in memory (`ram:SIZE`): a page.
pub const LOG_RAM_LEAST: usize = 4096;

/// Bytes of the largest ring in memory: more than boards can spare, and a typing error beyond.
pub const LOG_RAM_MOST: usize = 64 * 1024 * 1024;

/// Logdirs and rings that `linchpin log` reads at a time: each has a few descriptors, and address space for its longest
/// line, of which what is used is memory. A board with more loggers names those that it wants to see.
pub const LOG_SOURCES: usize = 64;

/// Bytes that `linchpin log` reads at once.
pub const LOG_READ: usize = 64 * 1024;

/// Lines that `linchpin log` remembers of services that have a logdir and a ring, so as not to show them twice: more than
/// come in the seconds that one of the two may be behind the other. 24 bytes each, when they are used.
pub const LOG_SEEN: usize = 32768;

/// Longest name of a service that `linchpin log` shows; longer ones are cut.
pub const LOG_NAME: usize = 64;

/// Longest path of a directory that `linchpin log` reads, its NUL included.
pub const LOG_PATH: usize = 512;
/// Bytes after which a logger may split a line at the earliest (`-l`): s6's number, room for two stamps.
pub const LOG_LINE_LEAST: usize = 48;

/// Bytes that are written to a pipe in one piece, whoever else writes to it: the kernel's PIPE_BUF. A pipe that can be
/// written to has room for so many.
pub const PIPE_PIECE: usize = 4096;

/// Bytes that `ucspilogd` reads at once: s6's number. There is one process for each client.
pub const UCSPILOGD_INPUT: usize = 8192;

/// Held sockets that one `s6-socklog` serves: /dev/log, that of a few containers and chroots, and UDP.
pub const SYSLOG_SOCKETS: usize = 16;

/// Longest message of a syslog client that `s6-socklog` may be told to take: s6's number.
pub const SYSLOG_MESSAGE: usize = 1024 * 1024;

/// Messages that `s6-socklog` still prints of its socket's queue when it is told to end, and the socket ends with it: more
/// than a queue has, unless clients go on.
pub const SYSLOG_LEFT: usize = 4096;

/// Longest record of the kernel's log as /dev/kmsg has it: its CONSOLE_EXT_LOG_MAX. It tells nothing of a record to who
/// has less room.
pub const KMSG_RECORD: usize = 8192;

/// Modules that a board loads at boot, `[boot] modules`: what an array of the board config holds. A board whose disk, file
/// systems, network and watchdog are all modules needs about twenty.
pub const BOARD_MODULES: usize = BOARD_ARRAY;

/// Longest file that `linchpin exec` takes a command line from: a run file with a page of comments.
pub const COMMAND_FILE: usize = 16384;

/// Words of such a command line, those that the command itself is given included.
pub const COMMAND_WORDS: usize = 512;

/// Most that `linchpin kmsg` writes into one record of the kernel's log: its own limit was 992 bytes once, and is 1024.
pub const KMSG_LINE: usize = 960;

/// Bytes of the kernel's command line that are read: the kernels of our machines take 2048.
pub const KERNEL_WORDS: usize = 4096;

/// Longest line of modules.dep: forty dependencies with their long paths. The longest of Debian's has a third of that.
pub const MODULES_DEP_LINE: usize = 4096;
