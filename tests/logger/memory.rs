//! Memory does not depend on what comes.

use crate::beside::{Ours, eventually};
use crate::work::*;

/// The most that it has ever had resident, and what is its own of that, in KiB.
fn memory(logger: &Logger) -> [usize; 2] {
    let status = std::fs::read_to_string(format!("/proc/{}/status", logger.child.id())).unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    [of("VmHWM:"), of("RssAnon:")]
}

/// A line of so many MiB, and what that took.
fn line(megabytes: usize, words: &[&str]) -> [usize; 2] {
    let mut logger = Logger::start(Ours, words);
    for _ in 0..megabytes {
        logger.write(&"x".repeat(1 << 20));
    }
    logger.feed("x\n");
    // What a long line has used is given back.
    let mut last = [0; 2];
    eventually(|| {
        last = memory(&logger);
        last[1] < 1024
    });
    logger.close();
    assert_eq!(logger.wait().code, 0);
    last
}

#[test]
fn a_line_of_100_megabytes_takes_no_more_memory_than_one_of_4() {
    for words in [["-l0", "n2", "s1000000", "./d"], ["-l8192", "n2", "s1000000", "./d"]] {
        let [[few, few_own], [many, many_own]] = [4, 100].map(|size| line(size, &words));
        println!("{words:?}: 4 MiB: {few} KiB at most, {few_own} at the end; 100 MiB: {many}, {many_own}");
        assert!(many <= few + 256 && many < 8192, "{many} KiB, {few} KiB");
    }
}

#[test]
fn a_stuck_place_takes_no_more_memory_than_it_is_allowed() {
    let (read, write) = pipe();
    let mut logger = Logger::start_with(Ours, &["p:", "1"], |command| {
        command.stdout(write);
    });
    let mut input = logger.input.take().unwrap();
    let mut taken = 0;
    loop {
        let before = taken;
        taken += fill(&mut input, &b"0123456789abcdef\n".repeat(60), 1 << 20);
        if taken == before {
            // Full; or the logger is slow.
            std::thread::sleep(std::time::Duration::from_millis(200));
            if unread(&logger.rest) > 60_000 && fill(&mut input, b"x\n", 2) == 0 {
                break;
            }
        }
        assert!(taken < 64 << 20, "{taken} bytes were read and nowhere to go");
    }
    let [_, own] = memory(&logger);
    println!("{taken} bytes taken, {own} KiB of its own");
    assert!(taken > 3 << 20 && own < 5000, "{own} KiB");
    drop(read);
    drop(input);
    assert_eq!(logger.wait().code, 0);
}
