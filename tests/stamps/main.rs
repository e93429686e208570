//! Time stamps in front of lines, beside Debian's tai64n and tai64nlocal, and time zones beside the C library's.
//!
//! The zones are those of tzdata (`scripts/setup` installs it).

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod labels;
mod local;
mod stamping;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod troubles;
mod zones;

use std::io::Write;
use std::process::{Command, Stdio};

/// How a filter ended, and what it wrote.
#[derive(Clone, PartialEq, Eq)]
struct Filtered {
    code: i32,
    out: Vec<u8>,
}

impl std::fmt::Debug for Filtered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {:?}", self.code, String::from_utf8_lossy(&self.out))
    }
}

/// Runs a command on `input`.
fn filter(command: &mut Command, input: &[u8]) -> Filtered {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input); // one that fails reads no more
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Filtered { code: beside::outcome_of(&output).code, out: output.stdout }
}

/// A line's label: of so many seconds after 1970 TAI.
fn label(sec: u64, nano: u32) -> String {
    format!("@{:016x}{nano:08x}", (1u64 << 62) + sec)
}

/// Numbers that look like chance and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) % limit
    }
}

/// The beginning of 2400.
const YEAR_2400: u64 = 13_569_465_600;
