//! Following logs while they are written, over rotations and deaths of their loggers.

use crate::beside::eventually;
use crate::place::{Place, Ran, line, shown};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a line may take on a busy machine.
const LONG: Duration = Duration::from_secs(25);

/// A reader that follows.
pub struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    pub fn start(mut command: Command) -> Follower {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Follower { child, lines }
    }

    /// The next line.
    pub fn next(&self) -> String {
        self.lines.recv_timeout(LONG).expect("no line comes")
    }

    /// So many.
    pub fn take(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next()).collect()
    }

    /// Ends it: everything that it has shown besides, and what it has said.
    pub fn end(mut self) -> (Vec<String>, String) {
        self.child.kill().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        self.child.wait().unwrap();
        (self.lines.iter().collect(), said)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A logger that is fed.
struct Logger {
    child: Child,
    input: Option<ChildStdin>,
}

impl Logger {
    fn start(mut command: Command) -> Logger {
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        Logger { child, input }
    }

    fn feed(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn end(mut self) {
        self.input = None;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What follows the label and the name.
fn text(line: &str) -> &str {
    line.splitn(3, ' ').nth(2).unwrap_or_default()
}

fn numbered(from: usize, to: usize) -> String {
    (from..to).map(|n| format!("line {n} of some length, so that it rotates\n")).collect()
}

/// Follows a logger that gets `total` lines in batches: each line is to come once, in order.
fn follow_over_rotations(logger: impl Fn(&Place, &str) -> Command, script: &str, total: usize, batch: usize) {
    let place = Place::new();
    let mut logger = Logger::start(logger(&place, script));
    eventually(|| place.path().join("web/current").exists());
    let follower = Follower::start(place.command(&["-f", "-n", "all", "-t", "web"]));
    // A processor may leave lines out: who follows sees them if it was there before.
    logger.feed("begin\n");
    assert_eq!(text(&follower.next()), "begin");
    for from in (0..total).step_by(batch) {
        let lines = numbered(from, from + batch);
        logger.feed(&lines);
        let came = follower.take(batch);
        for (came, expected) in came.iter().zip(lines.lines()) {
            assert_eq!(text(came), expected, "{script}");
        }
    }
    logger.end();
    // What has been shown is not shown again when the last rotation is over: what comes next is something new.
    let path = place.path().join("web/current");
    std::fs::File::options().append(true).open(path).unwrap().write_all(line(1, "mark").as_bytes()).unwrap();
    assert_eq!(text(&follower.next()), "mark", "{script}");
    assert_eq!(follower.end(), (vec![], String::new()), "{script}");
}

/// Words of a script.
fn theirs(place: &Place, script: &str) -> Command {
    place.s6_log(&script.split('|').collect::<Vec<_>>())
}

fn ours(place: &Place, script: &str) -> Command {
    place.our_log(&script.split('|').collect::<Vec<_>>())
}

#[test]
fn each_line_is_shown_once_over_rotations() {
    for script in ["n1000|s4096|t|./web", "n1|s4096|t|./web"] {
        follow_over_rotations(theirs, script, 6000, 60);
    }
    follow_over_rotations(ours, "n1000|s4096|t|./web", 6000, 60);
    follow_over_rotations(ours, "n1|s4096|t|./web", 6000, 60);
}

#[test]
fn each_line_is_shown_once_when_a_processor_makes_the_archives() {
    for (script, total) in [
        ("n1000|s4096|?gzip -c|t|./web", 1500),
        ("n1|s4096|?gzip -c|t|./web", 1500),
        ("n1000|s4096|?grep -v 7; :|t|./web", 1500),
        ("n1000|s4096|?cat >/dev/null|t|./web", 600),
        ("n1000|s4096|?gzip -c|./web", 1500),
    ] {
        follow_over_rotations(theirs, script, total, 50);
    }
    follow_over_rotations(ours, "n1000|s4096|?gzip -c|t|./web", 1500, 50);
}

#[test]
fn a_reader_that_is_far_behind_catches_up_without_a_gap() {
    let place = Place::new();
    let total = 60_000;
    let mut logger = Logger::start(place.s6_log(&["n10000", "s20000", "t", "./web"]));
    eventually(|| place.path().join("web/current").exists());
    let follower = Follower::start(place.command(&["-f", "-n", "all", "-t", "web"]));
    // At full speed.
    logger.feed(&numbered(0, total));
    for n in 0..total {
        assert_eq!(text(&follower.next()), format!("line {n} of some length, so that it rotates"));
    }
    logger.end();
    assert_eq!(follower.end(), (vec![], String::new()));
}

#[test]
fn what_is_shown_is_what_is_in_the_files_however_often_the_logger_is_killed() {
    for (whose, kills) in [(theirs as fn(&Place, &str) -> Command, 60), (ours, 40)] {
        let place = Place::new();
        // The pipe is ours, so that the next logger goes on with it; it is fed at full speed.
        let (input, mut feed) = std::io::pipe().unwrap();
        let start = || {
            let mut command = whose(&place, "n10000|s4096|t|./web");
            command.stdin(input.try_clone().unwrap());
            Logger::start(command)
        };
        let mut logger = start();
        eventually(|| place.path().join("web/current").exists());
        let follower = Follower::start(place.command(&["-f", "-n", "all", "-t", "web"]));
        let total = kills * 110;
        let feeder = std::thread::spawn(move || {
            for n in (0..total).step_by(10) {
                feed.write_all(numbered(n, n + 10).as_bytes()).unwrap();
            }
            feed.write_all(b"the last line\n").unwrap();
        });
        let mut shown: Vec<String> = Vec::new();
        for kill in 0..kills {
            // Somewhere in the middle of it. Debian's dies at its start when it finds what one that died in the middle of a
            // rotation has left, and goes on at the next.
            let enough = shown.len() + 1 + kill % 7 * 10;
            eventually(|| {
                let came = follower.lines.recv_timeout(Duration::from_millis(200)).ok();
                if came.is_none() && logger.child.try_wait().unwrap().is_some() {
                    logger = start();
                }
                shown.extend(came);
                shown.len() >= enough || feeder.is_finished()
            });
            drop(logger);
            logger = start();
        }
        eventually(|| {
            if logger.child.try_wait().unwrap().is_some() {
                logger = start();
            }
            feeder.is_finished()
        });
        feeder.join().unwrap();
        while !logger.child.wait().unwrap().success() {
            logger = start();
        }
        drop(input);
        let content = place.content("web");
        let lines: Vec<&str> = content.lines().collect();
        while shown.len() < lines.len() {
            let came = follower.lines.recv_timeout(LONG);
            shown.push(came.unwrap_or_else(|_| panic!("{} of {}", shown.len(), lines.len())));
        }
        for (at, (shown, line)) in shown.iter().zip(&lines).enumerate() {
            // What a killed one has left may end in the middle of the label.
            let (time, text) = shown.split_once(" web ").unwrap();
            let expected = if line.len() < time.len() { text.to_owned() } else { format!("{time} {text}") };
            assert_eq!(expected.trim_end(), line.trim_end(), "{at}");
        }
        assert_eq!(shown.len(), lines.len());
        assert_eq!(follower.end(), (vec![], String::new()));
        println!("{kills} kills: {} of {} lines are in the files", lines.len(), total + 1);
    }
}

#[test]
fn following_begins_with_the_last_lines() {
    let place = Place::new();
    for name in ["db", "web"] {
        let offset = u64::from(name == "db");
        place.file(name, "current", (0..50).map(|n| line(2 * n + offset, &format!("{n}"))).collect::<String>());
    }
    let expect = |words: &[&str], from: u64| {
        println!("{words:?}");
        let follower = Follower::start(place.command(words));
        for n in from..100 {
            let name = if n % 2 == 1 { "db " } else { "web" };
            assert_eq!(format!("{}\n", follower.next()), shown(n, name, &format!("{}", n / 2)));
        }
        // More comes behind it. (Who is to show nothing of what is there shows something only when it has begun.)
        let path = place.path().join("web/current");
        let mut file = std::fs::File::options().append(true).open(&path).unwrap();
        let before = file.metadata().unwrap().len();
        let mut came = None;
        eventually(|| {
            file.write_all(line(1_000_000, "new").as_bytes()).unwrap();
            came = follower.lines.recv_timeout(Duration::from_millis(300)).ok();
            came.is_some()
        });
        assert_eq!(format!("{}\n", came.unwrap()), shown(1_000_000, "web", "new"));
        drop(follower);
        file.set_len(before).unwrap();
    };
    expect(&["-f"], 90);
    expect(&["-f", "-n", "3"], 97);
    expect(&["-f", "-n", "0"], 100);
    expect(&["-f", "-n", "all"], 0);
    expect(&["--follow", "--lines=1", "db", "web"], 99);
}

#[test]
fn a_service_that_starts_later_is_followed_too() {
    let place = Place::new();
    place.file("old", "current", line(0, "old"));
    let follower = Follower::start(place.command(&["-f", "old", "later"]));
    assert_eq!(format!("{}\n", follower.next()), shown(0, "old", "old"));
    let mut logger = Logger::start(place.s6_log(&["t", "./later"]));
    logger.feed("begun\n");
    assert!(follower.next().ends_with(" later begun"));
    logger.feed("goes on\n");
    assert!(follower.next().ends_with(" later goes on"));
    let (more, said) = follower.end();
    let expected = format!("log: warning: no logs of later in {}; waiting for it\n", place.path().display());
    assert_eq!((more, said), (vec![], expected));
    // All that there are.
    let follower = Follower::start(place.command(&["-f", "-n", "1"]));
    assert!(follower.next().ends_with(" goes on"));
    logger.feed("once more\n");
    assert!(follower.next().ends_with(" once more"));
    let mut newest = Logger::start(place.s6_log(&["t", "./newest"]));
    newest.feed("newest\n");
    assert!(follower.next().ends_with(" newest newest"));
    logger.end();
    newest.end();
}

#[test]
fn half_a_line_is_shown_when_it_is_whole() {
    let place = Place::new();
    let path = place.file("web", "current", line(0, "first") + &line(1, "half")[..28]);
    let follower = Follower::start(place.command(&["-f", "web"]));
    assert_eq!(format!("{}\n", follower.next()), shown(0, "web", "first"));
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    file.write_all(b"lf\n").unwrap();
    assert_eq!(format!("{}\n", follower.next()), shown(1, "web", "half"));
    assert_eq!(follower.end(), (vec![], String::new()));
}

#[test]
fn a_follower_ends_when_nobody_reads_it_any_more() {
    let place = Place::new();
    place.file("web", "current", line(0, "first"));
    let mut child = place.command(&["-f", "web"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    drop(out);
    let ran = Ran::from(&child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "nothing new has come meanwhile");
}

#[test]
fn a_logger_that_gathers_lines_and_a_ring_are_followed_without_showing_lines_twice() {
    let place = Place::new();
    let mut logger = Logger::start(place.our_log(&["ram:64k", "t", "./both", "ram:0", "c200ms", "t", "./files"]));
    // One service with a ring and a logdir: they are in one directory.
    eventually(|| place.path().join("files/current").exists() && place.path().join("both/ring").exists());
    for name in ["lock", "current"] {
        let _ = std::fs::remove_file(place.path().join("both").join(name));
        std::os::unix::fs::symlink(place.path().join("files").join(name), place.path().join("both").join(name))
            .unwrap();
    }
    let follower = Follower::start(place.command(&["-f", "-n", "all", "-t", "both"]));
    let started = Instant::now();
    for n in 0..60 {
        logger.feed(&format!("line {n}\nline {n}\n"));
        assert_eq!(text(&follower.next()), format!("line {n}"));
        assert_eq!(text(&follower.next()), format!("line {n}"));
    }
    println!("{} ms until two lines are shown", started.elapsed().as_millis() / 60);
    logger.end();
    let follower_end = follower.end();
    assert_eq!(follower_end, (vec![], String::new()));
    // Nor are they when all is over.
    let out = place.show(&["both"]);
    assert_eq!(out.lines().count(), 120);
    assert_eq!(place.show(&["-n", "5", "both"]).lines().count(), 5);
}
