//! A logger that is killed again and again while somebody writes to it at full speed.

use crate::beside::Whose::{self, Ours, Theirs};
use crate::beside::{Beside, outcome};
use crate::tmp::TempDir;
use crate::work::*;
use linchpin::sys::process;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes of a line.
const LINE: usize = 100;

fn line(number: usize) -> String {
    format!("{number:012} {}\n", "x".repeat(LINE - 14))
}

/// What is in the logs after a storm.
#[derive(Debug, Default)]
struct Found {
    missing: usize,
    repeated: usize,
    /// The most that were repeated after one kill.
    most: usize,
    /// Lines of which only a part was written, at the end of what a killed logger has left, and at another place.
    torn: usize,
    broken: usize,
    disordered: usize,
}

impl Found {
    fn read(dir: &Path, written: usize) -> Found {
        let mut names: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('@'))
            .collect();
        names.sort();
        names.push("current".into());
        let mut found = Found::default();
        let mut seen = vec![false; written];
        let mut next = 0;
        for name in names {
            let text = std::fs::read_to_string(dir.join(&name)).unwrap();
            for text in text.split_inclusive('\n') {
                let number = text.get(..12).and_then(|digits| digits.parse::<usize>().ok());
                let Some(number) = number.filter(|number| *number < written && text == line(*number)) else {
                    if text.ends_with('\n') {
                        found.broken += 1
                    } else {
                        found.torn += 1
                    }
                    continue;
                };
                // A successor may go back to the beginning of a batch, and on from there, line by line.
                if number != next {
                    if number < next && seen[number] {
                        found.most = found.most.max(next - number);
                    } else if number < next {
                        found.disordered += 1;
                    }
                }
                next = number + 1;
                found.repeated += usize::from(std::mem::replace(&mut seen[number], true));
            }
        }
        found.missing = seen.iter().filter(|seen| !**seen).count();
        found
    }
}

/// So many kills with a signal, each after some time between nothing and some milliseconds; lines are written this many
/// bytes at a time.
fn storm(whose: Whose, signal: i32, kills: usize, block: usize) -> Found {
    let both = Beside::new();
    let place = TempDir::in_memory();
    let dir = place.path().join("d");
    let (read, mut write) = pipe();
    let over = AtomicBool::new(false);
    let logger = || {
        let mut command = both.command(whose, "log");
        command.args(["n1000000", "s500000"]).arg(&dir);
        command.stdin(Stdio::from(read.try_clone().unwrap()));
        command
    };
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut number, mut bytes) = (0, Vec::new());
            while !over.load(Relaxed) {
                while bytes.len() < block {
                    bytes.extend(line(number).as_bytes());
                    number += 1;
                }
                write.write_all(&bytes[..block]).unwrap();
                bytes.drain(..block);
            }
            write.write_all(&bytes).unwrap();
            drop(write);
            number
        });
        let mut state = 1u32;
        for _ in 0..kills {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            let mut child = logger().spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_micros(u64::from(state >> 16 & 0x3fff)));
            process::kill(child.id() as i32, signal).unwrap();
            child.wait().unwrap();
        }
        over.store(true, Relaxed);
        // The last one reads what is left.
        assert_eq!(outcome(&mut logger()).code, 0);
        writer.join().unwrap()
    });
    let found = Found::read(&dir, written);
    println!("{whose:?}, {kills} times signal {signal}, {written} lines, {block} bytes at a time: {found:?}");
    assert!(written > 5 * kills);
    found
}

/// With SIGTERM every line is there once; with SIGKILL none is missing, and at most a batch is repeated at each. What Debian's
/// makes of it is only shown.
fn all_storms(kills: usize) {
    // A line at a time; and blocks that end in the middle of a line, of which a part waits in the pipe for the rest.
    for block in [LINE, 1030, 70_010] {
        let found = storm(Ours, libc::SIGTERM, kills, block);
        assert_eq!((found.missing, found.repeated, found.torn, found.broken, found.disordered), (0, 0, 0, 0, 0));
        storm(Theirs, libc::SIGTERM, kills / 10, block);
        let found = storm(Ours, libc::SIGKILL, kills, block);
        assert_eq!((found.missing, found.broken, found.disordered), (0, 0, 0));
        let batch = linchpin::limits::LOG_INPUT / 2 / LINE + 1;
        assert!(found.most <= batch && found.repeated <= kills * batch && found.torn <= kills, "{batch} lines a batch");
        storm(Theirs, libc::SIGKILL, kills / 10, block);
    }
}

#[test]
fn no_line_is_lost_in_a_storm_of_200_kills() {
    all_storms(200);
}

#[test]
#[ignore = "takes minutes"]
fn no_line_is_lost_in_a_storm_of_1000_kills() {
    all_storms(1000);
}
