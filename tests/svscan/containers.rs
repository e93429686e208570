//! `svscan` as process 1 of a pid namespace (a container), as somebody's child among others, and as an ordinary user.

use crate::scandir::*;
use crate::tmp::TempDir;
use linchpin::sys::process::kill;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// nobody
const USER: u32 = 65534;

/// Starts the engine in a new pid namespace, as its process 1.
const UNSHARE: &str = "exec unshare --pid --fork --kill-child --mount-proc \"$@\"";
/// Starts it as an ordinary user.
const SETPRIV: &str = "exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";

/// A scan directory whose engine was started in an unusual way. Pids in its status files may be those of a namespace:
/// nobody here sends them signals.
struct Setting {
    base: TempDir,
    child: Child,
    /// Clients run as this: one that root has started cannot hear what an ordinary user's supervisor tells, in Debian's s6.
    prefix: &'static str,
}

impl Setting {
    /// The engine runs on `services` when this returns; `script` starts it, as `"$@"`.
    fn new(script: &str, services: &[Service<'_>]) -> Setting {
        let base = TempDir::new();
        let scan = base.path().join("scan");
        fs::create_dir(&scan).unwrap();
        // An ordinary user may not be able to reach the place where it was built.
        let binary = base.path().join("linchpin");
        fs::copy(env!("CARGO_BIN_EXE_linchpin"), &binary).unwrap();
        for (name, files) in services {
            make_service(&scan.join(name), files);
        }
        if script == SETPRIV {
            give_away(base.path().to_owned());
        }
        let mut events: Vec<_> = services
            .iter()
            .filter(|(name, _)| !name.starts_with('.'))
            .map(|(name, _)| Listener::new(&scan.join(name)))
            .collect();
        if script == SETPRIV {
            give_away(base.path().to_owned());
        }
        let stderr = fs::File::create(base.path().join("stderr")).unwrap();
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&binary)
            .arg("svscan")
            .arg(&scan)
            .env("BASE", base.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        events.iter_mut().for_each(|events| events.until(b's'));
        let prefix = if script == SETPRIV { "setpriv --reuid=65534 --regid=65534 --clear-groups " } else { "" };
        Setting { base, child, prefix }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// The engine's pid, as we see it.
    fn engine(&self) -> i32 {
        let own = self.child.id() as i32;
        let exe = fs::read_link(format!("/proc/{own}/exe")).unwrap();
        let pid = if exe.ends_with("linchpin") { own } else { children(own)[0] };
        assert!(pid > 1);
        pid
    }

    fn ok(&self, command: &str) {
        let command = format!("{}{command}", self.prefix);
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).current_dir(self.path("scan")).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}; {}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// What a script has written to a file, as soon as the whole line is there.
    fn said(&self, name: &str) -> String {
        let mut text = String::new();
        eventually(|| {
            text = fs::read_to_string(self.path(name)).unwrap_or_default();
            text.ends_with('\n')
        });
        text.trim_end().to_owned()
    }

    /// The exit code of what we started, which is that of the engine.
    fn wait(&mut self) -> Option<i32> {
        eventually(|| self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the engine said:\n{}", self.log());
        }
        if self.child.try_wait().unwrap().is_none() {
            for pid in children(self.engine()).into_iter().filter(|pid| *pid > 1) {
                let _ = kill(pid, 9);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn give_away(path: PathBuf) {
    chown(&path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_away(entry.unwrap().path()));
    }
}

/// Children of a process, the dead ones included.
fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Leaves a process behind, which waits at `$BASE/gate`.
const PARENT: &str = "#!/bin/sh\n(cat $BASE/gate &)\necho >&3\nexec 3>&-\nexec sleep 1000\n";

fn orphans_are_reaped(script: &str) {
    let setting = Setting::new(script, &[("a", &[("run", PARENT), NOTIFIES, DOWN])]);
    make_fifo(&setting.path("gate"));
    setting.ok("s6-svc -wU -T 20000 -u a");
    // Its child and that child's orphan.
    eventually(|| children(setting.engine()).len() == 2);
    fs::write(setting.path("gate"), "").unwrap();
    eventually(|| children(setting.engine()).len() == 1);
    setting.ok("s6-svstat a");
    setting.ok("s6-svc -wD -T 20000 -d a");
    eventually(|| children(setting.engine()).is_empty());
}

#[test]
fn as_process_1_of_a_container_it_reaps_every_orphan() {
    orphans_are_reaped(UNSHARE);
}

#[test]
fn as_an_ordinary_process_it_reaps_the_orphans_that_its_services_leave() {
    orphans_are_reaped("exec \"$@\"");
}

#[test]
fn as_process_1_it_restarts_stops_and_ends_as_its_finish_script_which_is_process_1() {
    let finish = "#!/bin/sh\necho $$ $# >$BASE/finish\nexit 7\n";
    let mut container = Setting::new(
        UNSHARE,
        &[
            ("a", &[("run", READY), NOTIFIES]),
            ("b", &[("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat >/dev/null\n")]),
            (".s6-svscan", &[("finish", finish)]),
        ],
    );
    container.ok("s6-svwait -U -t 20000 a");
    container.ok("s6-svwait -u -t 20000 b b/log");
    container.ok("s6-svc -wR -T 20000 -k a");
    container.ok("s6-svscanctl -t .");
    assert_eq!(container.wait(), Some(7));
    assert_eq!(container.said("finish"), "1 0");
    assert_eq!(container.log(), "svscan: info: stop: stopping 3 services\n");
}

#[test]
fn as_process_1_it_ends_with_0_if_there_is_no_finish_script() {
    let mut container = Setting::new(UNSHARE, &[("a", &[("run", SLEEPER)])]);
    kill(container.engine(), 15).unwrap();
    assert_eq!(container.wait(), Some(0));
}

#[test]
fn as_process_1_it_is_not_impressed_by_signals_that_mean_nothing_to_it() {
    let container = Setting::new(UNSHARE, &[("a", &[("run", SLEEPER)])]);
    for signal in [10, 12, 28, 30, 34, 64] {
        kill(container.engine(), signal).unwrap();
    }
    container.ok("s6-svc -wd -T 20000 -d a");
    container.ok("s6-svc -wu -T 20000 -u a");
}

#[test]
fn what_takes_its_place_does_not_get_the_orphans() {
    let finish = "#!/bin/sh\n(sh -c 'echo $$ >$BASE/orphan; exec cat $BASE/gate' &)\nread line <$BASE/go\n";
    let mut setting = Setting::new("exec \"$@\"", &[("a", &[("run", SLEEPER)]), (".s6-svscan", &[("finish", finish)])]);
    make_fifo(&setting.path("gate"));
    make_fifo(&setting.path("go"));
    setting.ok("s6-svscanctl -t .");
    let orphan: i32 = setting.said("orphan").parse().unwrap();
    let finish = setting.child.id() as i32;
    let parent = || {
        let stat = fs::read_to_string(format!("/proc/{orphan}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse::<i32>().unwrap()
    };
    // The subshell between the two goes away, and then nobody here is its parent.
    eventually(|| parent() != finish && !children(finish).contains(&parent()));
    fs::write(setting.path("gate"), "").unwrap();
    fs::write(setting.path("go"), "\n").unwrap();
    setting.wait();
}

#[test]
fn an_ordinary_user_has_services_and_loggers_and_a_finish_script_too() {
    let talks = "#!/bin/sh\nid -u\necho >&3\nexec 3>&-\nexec sleep 1000\n";
    let finish = "#!/bin/sh\nid -u >$BASE/finish\n";
    let mut setting = Setting::new(
        SETPRIV,
        &[
            ("a", &[("run", talks), NOTIFIES, ("log/run", "#!/bin/sh\nexec cat >$BASE/logged\n")]),
            ("b", &[("run", SLEEPER), ("finish", "#!/bin/sh\nexit 125\n"), ("lock-fd", "4\n")]),
            (".s6-svscan", &[("finish", finish)]),
        ],
    );
    setting.ok("s6-svwait -U -t 20000 a");
    setting.ok("s6-svwait -u -t 20000 b a/log");
    for path in ["a/event", "a/supervise/status", ".s6-svscan/control"] {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(setting.path("scan").join(path)).unwrap().uid(), USER, "{path}");
    }
    assert_eq!(fs::metadata(setting.path("scan/b/event")).unwrap().permissions().mode() & 0o7777, 0o3730);
    setting.ok("s6-svc -k b");
    setting.ok("s6-svwait -D -t 20000 b");
    setting.ok("s6-svscanctl -t .");
    assert_eq!(setting.wait(), Some(0));
    assert_eq!(setting.said("logged"), "65534");
    assert_eq!(setting.said("finish"), "65534");
}

#[test]
fn what_an_ordinary_user_may_not_do_is_said_and_holds_nobody_up() {
    let setting =
        Setting::new(SETPRIV, &[("a", &[("run", SLEEPER)]), ("spaced", &[("run", SLEEPER), ("flag-newpidns", "")])]);
    setting.ok("s6-svwait -u -t 20000 a");
    eventually(|| setting.log().contains("svscan: warning: service spaced cannot be started: "));
    setting.ok("s6-svc -x spaced");
}
