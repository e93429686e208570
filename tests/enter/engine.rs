//! An engine that is made to fail, and what is to be the same before and after.

use crate::scandir::Svscan;
use crate::supervision::*;
use linchpin::sys::inject::FIRST_SIGNAL;
use linchpin::sys::process;

/// How often a process has come back, as it says itself.
pub fn returns(log: &str) -> usize {
    log.matches("back after").count()
}

/// What it complains about, but for the faults that were asked for.
pub fn complaints(log: &str) -> Vec<&str> {
    let is = |line: &&str| line.contains(": warning: ") || line.contains(": error: ");
    log.lines().filter(is).filter(|line| !line.contains("which is survived")).collect()
}

impl Svscan {
    /// Makes it fail, and waits until it is back.
    pub fn fail(&self) {
        let before = returns(&self.log());
        self.signal(FIRST_SIGNAL);
        eventually(|| returns(&self.log()) > before);
    }

    /// What it has open, without the numbers, in order: what it makes for itself has others each time.
    pub fn open(&self) -> Vec<String> {
        open_in(self.pid())
    }

    /// Makes it fail while it is stopped, so that what `meanwhile` does comes between two incarnations.
    pub fn fail_while(&self, meanwhile: impl FnOnce()) {
        let before = returns(&self.log());
        self.signal(19);
        eventually(|| state_of(self.pid()) == 'T');
        meanwhile();
        self.signal(FIRST_SIGNAL);
        self.signal(18);
        eventually(|| returns(&self.log()) > before);
    }
}

/// The letter of proc_pid_stat(5).
pub fn state_of(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).unwrap_or('-')
}

/// What a process has open, without the numbers, in order.
pub fn open_in(pid: i32) -> Vec<String> {
    let link = |entry: std::fs::DirEntry| std::fs::read_link(entry.path()).unwrap_or_default();
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut all: Vec<String> = entries.map(|entry| link(entry.unwrap()).to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

/// Descriptors of a process that its children would inherit: numbers from 3 on.
pub fn inheritable(pid: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let numbers = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().parse::<i32>().unwrap());
    let is = |number: &i32| {
        let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("02000000");
        *number > 2 && i32::from_str_radix(flags.trim(), 8).unwrap() & 0o2000000 == 0
    };
    numbers.filter(is).collect()
}

/// Whether there is such a process, and it has not ended.
pub fn lives(pid: i32) -> bool {
    process::kill(pid, 0).is_ok() && state_of(pid) != 'Z'
}
