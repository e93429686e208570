//! Processes of scenarios, and the process that runs them.

use crate::supervision::PATIENCE;
use linchpin::sys::{Fd, process};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

/// Living processes that have this in their environment. All are below this process: it is their subreaper.
pub fn marked(mark: &str) -> Vec<i32> {
    let is = |pid: i32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let mut below = children(std::process::id() as i32);
    let mut at = 0;
    while let Some(pid) = below.get(at) {
        below.extend(children(*pid));
        at += 1;
    }
    below.into_iter().filter(|pid| *pid > 1 && is(*pid)).collect()
}

/// Children of all threads of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let mut children = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    children
}

/// Sends a signal to one process, which is not process 1.
pub fn kill(pid: i32, signal: i32) {
    assert!(pid > 1, "{pid} is nobody to be killed");
    let _ = process::kill(pid, signal);
}

/// Whether a process is there and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    !matches!(state_of(pid), 'X' | 'Z')
}

/// A process's state letter; X if there is none.
pub fn state_of(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).unwrap_or('X')
}

/// Names of linchpin's commands that s6 has too.
pub fn available() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let output = Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        help.split_whitespace().filter(|word| word.starts_with("s6-")).map(str::to_owned).collect()
    })
}

/// A number that is not used twice.
pub fn unique() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Whoever runs the tests may have given them descriptors: no scenario is to see them. And what a scenario leaves
/// behind is to be found.
pub fn prepare_process() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
            let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            if number > 2 {
                let _ = Fd(number).set_cloexec(true);
            }
        }
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    });
}

/// Waits for the end of a child, which must come.
pub fn wait_for(child: &mut Child, what: &str) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "{what}: does not end");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Exit code of a shell that waited for it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// How it ended, in words.
pub fn ended(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit {}", code(status)),
    }
}
