//! What the program asks of the kernel for its memory.

#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tmp::TempDir;

struct Scanner(Child);

impl Drop for Scanner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A mapping of /proc/PID/smaps: its size in KiB, and its flags.
fn mappings(smaps: &str) -> Vec<(u64, String)> {
    let (mut found, mut size) = (Vec::new(), 0);
    for line in smaps.lines() {
        if let Some(number) = line.strip_prefix("Size:") {
            size = number.trim().trim_end_matches(" kB").parse().unwrap();
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            found.push((size, format!("{} ", flags.trim())));
        }
    }
    found
}

#[test]
fn no_table_is_given_huge_pages() {
    if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        println!("skipped: this kernel has no huge pages");
        return;
    }
    let dir = TempDir::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    command.args(["svscan"]).arg(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let scanner = Scanner(command.spawn().unwrap());
    let since = Instant::now();
    while !dir.path().join(".s6-svscan/control").exists() {
        assert!(since.elapsed() < Duration::from_secs(30), "the scanner did not start");
        sleep(Duration::from_millis(5));
    }
    let smaps = fs::read_to_string(format!("/proc/{}/smaps", scanner.0.id())).unwrap();
    // Into smaller ones no huge page fits. The arena is shared memory, for which the kernel has another setting: never.
    let is_table = |flags: &str| flags.contains("wr ") && !flags.contains("sh ");
    let large = mappings(&smaps).into_iter().filter(|(size, flags)| *size >= 2048 && is_table(flags));
    let large: Vec<_> = large.collect();
    assert!(!large.is_empty(), "there is no large table: is this test of any use?\n{smaps}");
    for (size, flags) in large {
        assert!(flags.contains("nh "), "{size} KiB: {flags}");
    }
}
