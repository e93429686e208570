//! Chains of our own commands, in which only the first and the last program are executed: nothing of that can be told from
//! what the last one finds. Everything is run twice, the second time with `LINCHPIN_EXEC=always`.
#![allow(unsafe_code)]

#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use linchpin::applets;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tmp::TempDir;

/// The last program: says all that it finds. What differs from run to run is left out: its pid, numbers of pipes and
/// sockets.
const DUMP: &str = r#"
set -- "$0" "$@"; echo "words: $*"
tr '\0' '\n' </proc/$$/environ | sed "s/^/env /; s/=$$\$/=PID/" | grep -v LINCHPIN_EXEC
for fd in /proc/$$/fd/*; do
    echo "fd ${fd##*/} $(readlink $fd | sed 's/\[.*\]//') $(grep flags /proc/$$/fdinfo/${fd##*/})"
done
echo "cwd $(pwd) root $(readlink /proc/$$/root) umask $(umask) comm $(cat /proc/$$/comm)"
tr '\0' ' ' </proc/$$/cmdline | cut -c1-200
grep -E '^(Name|Umask|Uid|Gid|Groups|Sig(Ign|Cgt)|Cap|NoNewPrivs|Seccomp|Threads)' /proc/$$/status
cat /proc/$$/limits
set -- $(sed 's/.*) //' /proc/$$/stat)
for id in $2 $3 $4; do [ $id = $$ ] && echo "its own" || echo "of others"; done; echo "tty $5 $6"
grep " $$ " /proc/locks | sed "s/^[^ ]*//; s/ $$ / PID /" | sort # in the order of the processors on which they were taken
"#;

/// A directory with a copy of our binary, links to it, and what the chains below need. (A copy: it has one name only.)
struct Stage {
    dir: TempDir,
}

impl Stage {
    fn new() -> Stage {
        let stage = Stage { dir: TempDir::new() };
        std::fs::create_dir(stage.path("bin")).unwrap();
        // cp makes it: no other thread's child can have it open for writing, which would keep it from being executed.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_linchpin")).arg(stage.path("bin/linchpin")).status();
        assert!(copied.unwrap().success());
        std::fs::set_permissions(stage.path("bin/linchpin"), PermissionsExt::from_mode(0o755)).unwrap();
        for applet in applets::all() {
            for prefix in applet.prefixes {
                symlink("linchpin", stage.path("bin").join(format!("{prefix}{}", applet.name))).unwrap();
            }
        }
        stage.file("dump", DUMP);
        for (name, content) in [("A", "1\n"), ("B", "two\nlines"), ("GONE", ""), ("LONG", &"x".repeat(300))] {
            stage.file(&format!("env/{name}"), content);
        }
        stage.file("more/C", "3");
        stage.file("more/A", "");
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin").join(words[0]));
        command.arg0(words[0]).args(&words[1..]).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command.env("GONE", "not yet").env("HOME", "/");
        // A connection, of users and of addresses at once.
        command.env("PROTO", "Q").env("QCONNNUM", "1").env("QREMOTEEUID", "0").env("QREMOTEEGID", "0");
        command
            .env("QLOCALIP", "127.0.0.1")
            .env("QLOCALPORT", "80")
            .env("QREMOTEIP", "127.0.0.1")
            .env("QREMOTEPORT", "9");
        command
    }

    /// Runs a command, and looks at each program that is executed.
    fn run(&self, mut command: Command) -> Outcome {
        for (name, output) in [("out", 1), ("err", 2)] {
            let file = std::fs::File::create(self.path(name)).unwrap();
            if output == 1 {
                command.stdout(file)
            } else {
                command.stderr(file)
            };
        }
        // SAFETY: one system call between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        #[allow(clippy::zombie_processes)] // it is waited for below, as what is traced must be
        let pid = command.spawn().unwrap().id() as i32;
        let mut executed = Vec::new();
        let code = loop {
            let mut status = 0;
            // SAFETY: waits for our own child; the status lives across the call.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            if libc::WIFEXITED(status) {
                break libc::WEXITSTATUS(status);
            }
            if libc::WIFSIGNALED(status) {
                break 1000 + libc::WTERMSIG(status);
            }
            // An execution stops it as a SIGTRAP would.
            let mut signal = libc::WSTOPSIG(status);
            if signal == libc::SIGTRAP {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
                executed.push(name.trim_end().to_owned());
                signal = 0;
            }
            // SAFETY: goes on with our own child, which is stopped.
            unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, signal) };
        };
        let read = |name: &str| String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap()).into_owned();
        Outcome { code, out: read("out"), err: read("err"), executed }
    }

    /// Runs it both ways, which must end alike; answers what was executed: as it is, and always.
    fn both(&self, make: &dyn Fn(&mut Command), words: &[&str]) -> (Outcome, Vec<String>) {
        let [one, always] = [false, true].map(|always| {
            let mut command = self.command(words);
            make(&mut command);
            if always {
                command.env("LINCHPIN_EXEC", "always");
            }
            self.run(command)
        });
        assert_eq!((one.code, &one.err), (always.code, &always.err), "{words:?}");
        for (line, expected) in one.out.lines().zip(always.out.lines()) {
            assert_eq!(line, expected, "{words:?}");
        }
        assert!(one.out == always.out, "{words:?}: one of them finds more");
        (one, always.executed)
    }

    /// The same with the dump as the last program, whose shell is executed.
    fn dumps(&self, words: &[&str]) -> (Outcome, Vec<String>) {
        let (one, always) = self.both(&|_| {}, &[words, &["sh", "dump", "last", "word"]].concat());
        assert_eq!((one.code, one.err.as_str()), (0, ""), "{words:?}");
        assert!(one.out.starts_with("words: ") && one.out.contains("comm sh\n"), "{}", one.out);
        (one, always)
    }
}

struct Outcome {
    code: i32,
    out: String,
    err: String,
    /// Names of the programs that were executed.
    executed: Vec<String>,
}

/// A store of descriptors that is gone with its directory's user.
struct Store(std::process::Child);

impl Store {
    /// At `store`, with a pipe held as `pipe`.
    fn new(stage: &Stage) -> Store {
        stage.file("rules/uid/default/allow", "");
        for right in ["S6_FDHOLDER_STORE_REGEX", "S6_FDHOLDER_RETRIEVE_REGEX"] {
            stage.file(&format!("rules/uid/default/env/{right}"), ".\n");
        }
        let mut command = stage.command(&["s6-fdholder-daemon", "-1", "-i", "rules", "store"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        for (id, file) in [("null", "/dev/null"), ("file", "dump")] {
            let mut store = stage.command(&["s6-fdholder-store", "store", id]);
            store.stdin(std::fs::File::open(stage.path(".").join(file)).unwrap());
            assert!(store.status().unwrap().success());
        }
        Store(child)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A use of each command that chains: after it the next one is entered, for it leaves nothing that an execution would take
/// away. Who becomes somebody else is not among them: see below.
const USES: &[&[&str]] = &[
    &["s6-setsid", "-q"],
    &["s6-setsid", "-b", "-q"],
    &["s6-setlock", "lock"],
    &["s6-setlock", "-r", "-n", "lock"],
    &["s6-setlock", "-t", "1000", "-d", "9", "lock"],
    &["s6-setuidgid", ""],
    &["s6-applyuidgid", "-z"],
    &["s6-envuidgid", "nobody"],
    &["s6-envdir", "env"],
    &["s6-envdir", "-I", "nowhere"],
    &["s6-softlimit", "-o", "100", "-c", "0"],
    &["s6-permafailon", "1", "1", "1"],
    &["exec", "line"],
    &["s6-fdholder-retrieve", "store", "null"],
    &["s6-fdholder-retrieve", "--listen-fds", "store", "null", "file=name", "--"],
    &["s6-fdholder-retrieve", "--s6-fds", "store", "file", "null", "null", "--"],
    &["s6-ipcserver-socketbinder", "socket"],
    &["s6-ipcserver-socketbinder", "-D", "-mb0", "-a", "0600", "datagrams"],
    &["s6-tcpserver-socketbinder", "127.0.0.1", "0"],
    &["udp-socketbinder", "127.0.0.1", "0"],
    &["seqpacket-socketbinder", "socket"],
    &["s6-connlimit"],
    &["s6-ipcserver-access", "-v", "0", "-l", "here", "-i", "access"],
    &["s6-ipcserver-access", "-v", "0", "-l", "here", "-x", "access.cdb"],
    &["s6-tcpserver-access", "-v", "0", "-i", "access"],
    &["s6-tcpserver-access", "-v", "0", "-x", "access.cdb"],
];

#[test]
fn each_command_that_chains_is_entered_and_so_is_the_next_one() {
    let stage = Stage::new();
    let _store = Store::new(&stage);
    // What permafailon reads.
    std::fs::create_dir(stage.path("supervise")).unwrap();
    std::fs::write(stage.path("supervise/death_tally"), "").unwrap();
    for key in ["uid/default", "ip4/127.0.0.0_8"] {
        stage.file(&format!("access/{key}/allow"), "");
        stage.file(&format!("access/{key}/env/RULE"), key);
    }
    let mut make = stage.command(&["s6-accessrules-cdb-from-fs", "access.cdb", "access"]);
    assert!(make.status().unwrap().success());
    stage.file("line", "s6-setsid -q \"$@\"\n");
    for words in USES {
        for chain in [
            [&["s6-setsid", "-q"], *words].concat(),
            [*words, &["s6-setsid", "-q"]].concat(),
            [&["s6-envdir", "more"], *words, *words, &["s6-softlimit", "-f", "1000000"]].concat(),
        ] {
            if chain.iter().filter(|word| word.contains("socketbinder") || **word == "9").count() > 1 {
                continue; // the second one is refused, or waits for the first
            }
            for name in ["socket", "datagrams", "socket.lock", "datagrams.lock", "lock"] {
                let _ = std::fs::remove_file(stage.path(name));
            }
            let changes = |word: &&&str| {
                ["s6-envdir", "s6-envuidgid", "--listen-fds", "--s6-fds", "exec"].contains(word)
                    || word.contains("-access")
            };
            let (one, always) = {
                let words = [&chain[..], &["sh", "dump", "last", "word"]].concat();
                let remove = |_: &mut Command| {
                    for name in ["socket", "datagrams"] {
                        let _ = std::fs::remove_file(stage.path(name));
                    }
                };
                stage.both(&remove, &words)
            };
            assert_eq!((one.code, one.err.as_str()), (0, ""), "{chain:?}");
            let commands = chain.iter().filter(|word| applets::find(word.as_bytes()).is_some()).count();
            // Each file names one more.
            let in_files = chain.iter().filter(|word| **word == "exec").count();
            assert_eq!(always.len(), commands + in_files + 1, "{chain:?}: {always:?}");
            // A process has room for two environments, and for one file.
            if chain.iter().filter(changes).count() <= 1 {
                assert_eq!(
                    one.executed,
                    [chain[0], "sh"].map(|name| name[..name.len().min(15)].to_owned()),
                    "{chain:?}"
                );
            }
        }
    }
    for applet in applets::all().filter(|applet| applet.chains) {
        let is_it = |words: &&[&str]| words[0].strip_prefix("s6-").unwrap_or(words[0]) == applet.name;
        assert!(USES.iter().any(is_it), "{} chains, but is not tried here", applet.name);
    }
}

#[test]
fn long_chains_and_other_ways_to_name_commands_come_to_the_same() {
    let stage = Stage::new();
    for (words, executed) in [
        (&["s6-setsid", "s6-envdir", "env", "s6-softlimit", "-o", "64", "s6-setlock", "lock"][..], 2),
        (&["setsid", "envdir", "env", "softlimit", "-o", "64"], 2),
        (&["linchpin", "setsid", "linchpin", "envdir", "env", "linchpin", "s6-softlimit", "-o", "64"], 2),
        (&["s6-setsid", "./bin/s6-envdir", "env", "bin/../bin/softlimit", "-o", "64"], 2),
        // Two changes of the environment are remembered in one process, the third one is executed.
        (&["s6-envdir", "env", "s6-envdir", "more", "s6-setsid"], 3),
        (&["s6-envdir", "env", "s6-envdir", "more", "s6-envdir", "env", "s6-envdir", "more", "s6-setsid"], 4),
        (&["s6-envuidgid", "nobody", "s6-envdir", "env", "s6-envuidgid", "-u", "root"], 3),
        (&["s6-setlock", "one", "s6-setlock", "-d", "8", "two", "s6-setlock", "-r", "three"], 2),
        // What stays is executed, whatever comes before it.
        (&["s6-setsid", "s6-notify-socket-from-fd", "s6-envdir", "env", "s6-setsid", "-q"], 4),
    ] {
        let (one, _) = stage.dumps(words);
        assert_eq!(one.executed.len(), executed, "{words:?}: {:?}", one.executed);
    }
}

#[test]
fn a_command_is_looked_up_where_it_would_be() {
    let stage = Stage::new();
    // Other commands of these names; that of the third one is to be found, for PATH has changed.
    for name in ["other/s6-softlimit", "other/s6-setsid"] {
        stage.file(name, "#!/bin/sh\necho other\nexec sh dump\n");
        std::fs::set_permissions(stage.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}:/usr/bin:/bin", stage.path("other").display(), stage.path("bin").display());
    stage.file("path/PATH", &path);
    let chain = ["s6-envdir", "path", "s6-softlimit", "-o", "64", "s6-setsid"];
    let (one, _) = stage.both(&|_| {}, &chain);
    assert_eq!((one.code, one.executed), (0, ["s6-envdir", "s6-setsid", "sh"].map(String::from).to_vec()));
    assert!(one.out.starts_with("other\n"), "{}", one.out);
    // The first in PATH cannot be executed: the next one is.
    std::fs::set_permissions(stage.path("other/s6-softlimit"), PermissionsExt::from_mode(0o644)).unwrap();
    let first = |command: &mut Command| {
        command.env("PATH", &path);
    };
    let words = ["s6-envdir", "env", "s6-softlimit", "-o", "64", "sh", "dump"];
    let (one, _) = stage.both(&first, &words);
    assert_eq!((one.code, one.executed.len()), (0, 3), "{:?}", one.executed);
    // No PATH at all.
    let none = |command: &mut Command| {
        command.env_remove("PATH");
    };
    let (one, _) = stage.both(&none, &["s6-setsid", "s6-no-such-command", "x"]);
    assert_eq!(one.code, 127);
}

#[test]
fn failures_are_told_by_who_fails() {
    let stage = Stage::new();
    for (words, code, message) in [
        (&["s6-setsid", "s6-envdir", "nowhere", "true"][..], 111, "s6-envdir: fatal: unable to envdir nowhere"),
        (&["s6-setsid", "s6-envdir"], 100, "s6-envdir: usage: s6-envdir "),
        (&["s6-setsid", "setlock", "-x"], 100, "setlock: usage: setlock "),
        (&["linchpin", "setsid", "linchpin", "setlock"], 100, "setlock: usage: setlock "),
        (&["s6-setsid", "s6-envdir", "env", "./nope"], 127, "s6-envdir: fatal: unable to exec ./nope"),
        (&["s6-setsid", "s6-softlimit", "-o", "x", "true"], 100, "s6-softlimit: usage: "),
        (&["s6-setsid", "s6-envdir", "env", "sh", "-c", "exit 7"], 7, ""),
        (&["s6-setsid", "s6-envdir", "env", "sh", "-c", "kill -9 $$"], 1009, ""),
    ] {
        let (one, _) = stage.both(&|_| {}, words);
        assert_eq!(one.code, code, "{words:?}");
        assert!(one.err.starts_with(message), "{words:?}: {}", one.err);
    }
}

#[test]
fn signals_masks_and_closed_descriptors_are_passed_on() {
    let stage = Stage::new();
    let chain = ["s6-setsid", "s6-envdir", "env", "s6-setlock", "-t", "1000", "lock", "s6-softlimit", "-o", "64"];
    // Shells change masks: here there is none.
    let shown = ["grep", "-E", "^(Name|Umask|Sig(Pnd|Blk|Ign|Cgt)|ShdPnd)", "/proc/self/status"];
    let chain = [&chain[..], &shown].concat();
    let blocked = |command: &mut Command| {
        // SAFETY: system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                libc::signal(libc::SIGALRM, libc::SIG_IGN);
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGUSR1);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
                libc::raise(libc::SIGUSR1);
                libc::umask(0o27);
                Ok(())
            });
        }
    };
    let (one, always) = stage.both(&blocked, &chain);
    assert_eq!((one.code, one.executed.len(), always.len()), (0, 2, 5));
    let line = |name: &str| one.out.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let mask = |name: &str| u64::from_str_radix(line(name).split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_ne!(mask("SigIgn:") & 1, 0, "SIGHUP");
    assert_ne!(mask("SigBlk:") & 1 << (libc::SIGUSR1 - 1), 0);
    assert_ne!((mask("SigPnd:") | mask("ShdPnd:")) & 1 << (libc::SIGUSR1 - 1), 0);
    assert_eq!(line("Umask:"), "Umask:\t0027");
    let closed = |command: &mut Command| {
        // SAFETY: system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::dup2(0, 7);
                libc::close(0);
                Ok(())
            });
        }
    };
    let (one, _) = stage.both(&closed, &["s6-setsid", "s6-envdir", "env", "s6-setlock", "lock", "ls", "/proc/self/fd"]);
    assert_eq!((one.code, one.executed.len()), (0, 2), "{}", one.err);
    assert!(one.out.lines().any(|fd| fd == "7"), "{}", one.out);
}

#[test]
fn after_a_change_of_identity_or_of_limits_for_memory_the_next_one_is_executed() {
    let stage = Stage::new();
    let everybody = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(stage.dir.path(), everybody).unwrap();
    let id = "65534:65534";
    for (words, executed) in [
        (&["s6-envdir", "env", "s6-setuidgid", id, "s6-softlimit", "-o", "64", "s6-setsid"][..], 3),
        (&["s6-setuidgid", id, "s6-envdir", "env", "s6-setsid"], 3),
        (&["s6-applyuidgid", "-u", "65534", "s6-setsid", "s6-envdir", "env"], 3),
        (&["s6-applyuidgid", "-g", "65534", "s6-setsid"], 3),
        (&["s6-applyuidgid", "-G", "1,2", "s6-setsid"], 3),
        (&["s6-envuidgid", "nobody", "s6-applyuidgid", "-Uz", "s6-setsid"], 3),
        (&["s6-softlimit", "-s", "1000000", "s6-setsid", "s6-envdir", "env"], 3),
        (&["s6-softlimit", "-a", "500000000", "s6-setsid"], 3),
        (&["s6-softlimit", "-d", "500000000", "s6-setsid"], 3),
    ] {
        let (one, always) = stage.dumps(words);
        assert_eq!(one.executed.len(), executed, "{words:?}: {:?}", one.executed);
        assert!(always.len() >= executed);
    }
}

#[test]
fn large_environments_are_left_to_the_kernel() {
    let stage = Stage::new();
    let large = |command: &mut Command| {
        command.env("LARGE", "x".repeat(70_000));
    };
    let (one, _) = stage.both(&large, &["s6-setsid", "s6-envdir", "env", "s6-setsid", "-q", "sh", "dump"]);
    assert_eq!(one.executed, ["s6-setsid", "s6-setsid", "sh"], "what fitted once fits; what was changed is asked for");
    // Too large for an execution: the first that would have been executed cannot be.
    stage.file("large/X", &"x".repeat(200_000));
    let words = ["s6-setsid", "s6-envdir", "-L", "large", "s6-softlimit", "-o", "64", "true"];
    let (one, _) = stage.both(&|_| {}, &words);
    assert_eq!(one.code, 126);
    assert_eq!(one.err, "s6-envdir: fatal: unable to exec s6-softlimit: Argument list too long\n");
}

/// What is not quite the file that runs.
#[test]
fn another_file_a_wrapper_and_one_that_gives_privileges_are_executed() {
    let chain = ["s6-setsid", "s6-envdir", "env", "sh", "dump"];
    let linchpin = |stage: &Stage| stage.path("bin/linchpin");
    let set_mode = |stage: &Stage, mode| {
        std::fs::set_permissions(linchpin(stage), PermissionsExt::from_mode(mode)).unwrap();
    };
    let replace = |stage: &Stage, make: &dyn Fn(&std::path::Path)| {
        let name = stage.path("bin/s6-envdir");
        std::fs::remove_file(&name).unwrap();
        make(&name);
    };
    type Prepare<'a> = &'a dyn Fn(&Stage);
    let nothing: Prepare = &|_| {};
    let copy: Prepare = &|stage| {
        replace(stage, &|name| {
            assert!(Command::new("cp").arg(linchpin(stage)).arg(name).status().unwrap().success());
        });
    };
    let hard_link: Prepare = &|stage| replace(stage, &|name| std::fs::hard_link(linchpin(stage), name).unwrap());
    let wrapper: Prepare = &|stage| {
        replace(stage, &|name| {
            std::fs::write(name, "#!/bin/sh\nexec linchpin envdir \"$@\"\n").unwrap();
            std::fs::set_permissions(name, PermissionsExt::from_mode(0o755)).unwrap();
        });
    };
    let setuid: Prepare = &|stage| set_mode(stage, 0o4755);
    let setgid: Prepare = &|stage| set_mode(stage, 0o2755);
    for (what, prepare, executed) in [
        ("nothing", nothing, 2),
        ("a copy", copy, 3),
        ("a second name", hard_link, 3),
        ("a script that goes on as the same", wrapper, 4),
        ("setuid", setuid, 3),
        ("setgid", setgid, 3),
    ] {
        let stage = Stage::new();
        prepare(&stage);
        let (one, _) = stage.both(&|_| {}, &chain);
        assert_eq!((one.code, one.executed.len()), (0, executed), "{what}: {:?} {}", one.executed, one.err);
    }
}

#[test]
fn a_file_with_capabilities_is_executed() {
    let stage = Stage::new();
    // Version 2, nothing effective, CAP_CHOWN permitted.
    let mut value = [0u8; 20];
    value[3] = 2;
    value[4] = 1;
    let path = CString::new(stage.path("bin/linchpin").to_str().unwrap()).unwrap();
    // SAFETY: all three live across the call, and the size is the value's.
    let done = unsafe {
        libc::setxattr(path.as_ptr(), c"security.capability".as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    if done != 0 {
        eprintln!("the file system has no capabilities: not tested");
        return;
    }
    let (one, _) = stage.both(&|_| {}, &["s6-setsid", "s6-envdir", "env", "sh", "dump"]);
    assert_eq!((one.code, one.executed.len()), (0, 3), "{:?}", one.executed);
}

#[test]
fn permissions_and_file_systems_from_which_nothing_may_be_executed_are_respected() {
    let stage = Stage::new();
    let script = "mount --bind bin noexec && mount -o remount,bind,noexec noexec || exit 42
        PATH=$PWD/noexec:$PATH exec s6-setsid s6-envdir env sh dump";
    std::fs::create_dir(stage.path("noexec")).unwrap();
    let runs = |always: bool| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]).current_dir(stage.dir.path());
        command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", stage.path("bin").display()));
        command.envs(always.then_some(("LINCHPIN_EXEC", "always"))).stdin(Stdio::null());
        stage.run(command)
    };
    let (one, always) = (runs(false), runs(true));
    assert_eq!((one.code, one.err.as_str(), always.err.as_str()), (0, "", ""));
    assert!(one.out == always.out);
    let commands = |outcome: &Outcome| outcome.executed.iter().filter(|name| name.starts_with("s6-")).count();
    assert_eq!((commands(&one), commands(&always)), (2, 2), "{:?}", one.executed);
}

#[test]
fn who_may_not_read_the_binary_or_enter_a_directory_executes_it_where_it_can() {
    let stage = Stage::new();
    for dir in ["", "bin"] {
        std::fs::set_permissions(stage.path(dir), PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::fs::create_dir(stage.path("closed")).unwrap();
    symlink("../bin/linchpin", stage.path("closed/s6-envdir")).unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", stage.path("closed").display(), stage.path("bin").display());
    let nobody = |command: &mut Command| {
        command.uid(65534).gid(65534).env("PATH", &path);
    };
    for (binary, closed, executed) in [(0o755, 0o755, 2), (0o755, 0o700, 2), (0o711, 0o755, 3)] {
        for (name, mode) in [("bin/linchpin", binary), ("closed", closed)] {
            std::fs::set_permissions(stage.path(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let (one, _) = stage.both(&nobody, &["s6-setsid", "s6-envdir", "env", "sh", "dump"]);
        assert_eq!((one.code, one.executed.len()), (0, executed), "{binary:o} {closed:o}: {}", one.err);
    }
}

#[test]
fn a_variable_turns_it_off_from_where_it_is_set() {
    let stage = Stage::new();
    stage.file("always/LINCHPIN_EXEC", "always");
    stage.file("other/LINCHPIN_EXEC", "sometimes");
    for (dir, executed) in [("always", 4), ("other", 2)] {
        let words = ["s6-setsid", "s6-envdir", dir, "s6-setsid", "-q", "s6-softlimit", "-o", "64", "sh", "dump"];
        let outcome = stage.run(stage.command(&words));
        assert_eq!((outcome.code, outcome.executed.len()), (0, executed), "{:?}", outcome.executed);
    }
}

fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come true");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_command_that_waits_for_a_lock_is_seen_as_itself() {
    let stage = Stage::new();
    let lock = std::fs::File::create(stage.path("lock")).unwrap();
    let locked = linchpin::sys::Fd(lock.as_raw_fd());
    rustix::fs::fcntl_lock(locked, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    for always in [None, Some(("LINCHPIN_EXEC", "always"))] {
        let words = ["s6-setsid", "s6-envdir", "env", "s6-setlock", "-t", "30000", "lock", "true"];
        let mut child = stage.command(&words).envs(always).spawn().unwrap();
        let read = |what: &str| std::fs::read_to_string(format!("/proc/{}/{what}", child.id())).unwrap();
        eventually(|| read("cmdline") == "s6-setlock\0-t\x0030000\0lock\0true\0" && read("comm") == "s6-setlock\n");
        assert!(read("environ").contains("B=two\0"));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn an_entered_command_has_its_name() {
    let stage = Stage::new();
    let _listener = UnixListener::bind(stage.path("silent")).unwrap();
    for (name, always) in
        [("s6-fdholder-retrieve", false), ("fdholder-retrieve", false), ("s6-fdholder-retrieve", true)]
    {
        let words = ["s6-setsid", "s6-envdir", "env", name, "silent", "id", "true"];
        let mut command = stage.command(&words);
        command.envs(always.then_some(("LINCHPIN_EXEC", "always")));
        let mut child = command.spawn().unwrap();
        let expected = format!("{}\n", &name[..15]);
        eventually(|| std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap() == expected);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Says what it buys: `LINCHPIN_MEASURED` names the binary, if it is not to be that of the tests.
#[test]
#[ignore = "measures, and takes a while"]
fn measure() {
    let stage = Stage::new();
    if let Some(binary) = std::env::var_os("LINCHPIN_MEASURED") {
        std::fs::remove_file(stage.path("bin/linchpin")).unwrap();
        assert!(Command::new("cp").arg(binary).arg(stage.path("bin/linchpin")).status().unwrap().success());
    }
    let path = |name: &str| CString::new(stage.path("bin").join(name).to_str().unwrap()).unwrap();
    let chains: [(&str, Vec<&str>); 4] = [
        ("1 command", vec!["s6-setsid", "-q", "/bin/true"]),
        ("2 commands", vec!["s6-setsid", "-q", "s6-envdir", "env", "/bin/true"]),
        ("3 commands", vec!["s6-setsid", "-q", "s6-envdir", "env", "s6-softlimit", "-o", "64", "/bin/true"]),
        (
            "5 commands",
            vec![
                "s6-setsid",
                "-q",
                "s6-envdir",
                "env",
                "s6-softlimit",
                "-o",
                "64",
                "s6-setlock",
                "lock",
                "s6-setsid",
                "-q",
                "/bin/true",
            ],
        ),
    ];
    std::env::set_current_dir(stage.dir.path()).unwrap();
    for (what, words) in chains {
        let mut argv: Vec<_> = words.iter().map(|word| CString::new(*word).unwrap()).collect();
        argv[0] = path(words[0]);
        let argv: Vec<_> = argv.iter().map(|word| word.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect();
        let mut env = vec![CString::new(format!("PATH={}:/usr/bin:/bin", stage.path("bin").display())).unwrap()];
        env.extend((0..20).map(|i| CString::new(format!("VARIABLE_{i}=with a value of some length")).unwrap()));
        let always = [&env[..], &[c"LINCHPIN_EXEC=always".to_owned()]].concat();
        let envs = [env, always].map(|env| {
            let pointers: Vec<_> =
                env.iter().map(|entry| entry.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect();
            (pointers, env)
        });
        // Processor time: the machine may be busy with other things.
        let run = |env: &[*mut libc::c_char]| {
            let (mut pid, mut status) = (0, 0);
            // SAFETY: null-terminated arrays of C strings that live across the call, and room for what the kernel says.
            let usage = unsafe {
                let (argv, mut usage) = (argv.as_ptr(), std::mem::zeroed::<libc::rusage>());
                let null = std::ptr::null();
                assert_eq!(libc::posix_spawn(&raw mut pid, *argv, null, std::ptr::null(), argv, env.as_ptr()), 0);
                assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut usage), pid);
                usage
            };
            assert_eq!(status, 0);
            [usage.ru_utime, usage.ru_stime].iter().map(|time| time.tv_sec * 1_000_000 + time.tv_usec).sum::<i64>()
        };
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..2000 {
            for (times, (env, _)) in times.iter_mut().zip(&envs) {
                times.push(run(env));
            }
        }
        let [one, all] = times.map(|mut times| {
            times.sort();
            times[times.len() / 2] as f64
        });
        println!("{what}: {one:.0} us, {all:.0} us with every one executed: {:.2}", one / all);
    }
}
