//! klog: records of a file in place of the kernel's, and the kernel's own where it may be read.

use crate::beside::{content, eventually};
use crate::server::{fill, number, pipe, small_pipe};
use crate::tmp::TempDir;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = TempDir::new();
        dir.command("klog");
        Place { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.file("klog"));
        command.args(words).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// What it prints of these records, to the end.
    fn printed(&self, words: &[&str], records: &str) -> String {
        std::fs::write(self.file("records"), records).unwrap();
        let output = self.command(&[words, &["-f", "records"]].concat()).output().unwrap();
        said(&output)
    }
}

fn said(output: &Output) -> String {
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(0), "".into()));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn boot() -> String {
    content("/proc/sys/kernel/random/boot_id".as_ref()).trim().to_owned()
}

fn records(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("6,{n},{n}000000,-;record {n}\n")).collect()
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("kern.info: [{n:>5}.000000] record {n}\n")).collect()
}

const MIXED: &str = "5,0,0,-;Linux version 7\n\
    6,1,123456,-,caller=T1;pci 0000:00:01.0: found\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:01.0\n\
    30,2,12345678,-;linchpin: it runs\n\
    3,3,99999999999,c;two\\x0alines\\x0a\n\
    12,4,100000000000,-;caf\\xc3\\xa9 \\x1b[1m \\x5c \\x09.\n";

#[test]
fn records_become_lines() {
    let place = Place::new();
    let expected = "kern.notice: [    0.000000] Linux version 7\n\
        kern.info: [    0.123456] pci 0000:00:01.0: found\n\
        daemon.info: [   12.345678] linchpin: it runs\n\
        kern.err: [99999.999999] two\n\
        kern.err: [99999.999999] lines\n\
        user.warn: [100000.000000] caf\u{e9} \\x1b[1m \\ \t.\n";
    for words in [&[][..], &["-n"]] {
        assert_eq!(place.printed(words, MIXED), expected);
    }
}

#[test]
fn what_is_not_the_kernels_may_be_left_out_and_devices_be_shown() {
    let place = Place::new();
    let expected = "kern.notice: [    0.000000] Linux version 7\n\
        kern.info: [    0.123456] pci 0000:00:01.0: found\n\
        kern.info: [    0.123456]  SUBSYSTEM=pci\n\
        kern.info: [    0.123456]  DEVICE=+pci:0000:00:01.0\n\
        kern.err: [99999.999999] two\n\
        kern.err: [99999.999999] lines\n";
    assert_eq!(place.printed(&["-k", "-d"], MIXED), expected);
    let others = "30,0,0,-;not the kernel's\n SUBSYSTEM=none\n6,1,0,-;the kernel's\n";
    assert_eq!(place.printed(&["-k", "-d"], others), "kern.info: [    0.000000] the kernel's\n");
}

#[test]
fn what_was_overwritten_is_counted_in_its_place() {
    let place = Place::new();
    let printed = place.printed(&[], "6,2,0,-;a\n6,3,0,-;b\n6,10,0,-;c\n30,12,0,-;d\n");
    let lost = |what| {
        format!(
            "syslog.warn: klog: here {what} missing, which the kernel had overwritten before it was asked for them\n"
        )
    };
    let line = |text| format!("kern.info: [    0.000000] {text}\n");
    let expected = [
        lost("2 records are"),
        line("a"),
        line("b"),
        lost("6 records are"),
        line("c"),
        lost("1 record is"),
        "daemon.info: [    0.000000] d\n".to_owned(),
    ];
    assert_eq!(printed, expected.concat());
}

#[test]
fn what_is_no_record_is_printed_as_it_is() {
    let place = Place::new();
    let long = "x".repeat(50_000);
    let printed = place.printed(&[], &format!("hello\n6,0,0,-;a\n\n{long}\n6,1,0,-;{long}\nend\\x00"));
    // A line longer than any record comes in pieces.
    assert_eq!(printed.matches('x').count(), 100_000 + 1);
    assert!(printed.starts_with("hello\nkern.info: [    0.000000] a\n\nxxx"));
    assert!(printed.ends_with("x\nend\\x00\n"));
}

#[test]
fn it_goes_on_where_the_last_one_ended() {
    let place = Place::new();
    for words in [&["-s", "state"][..], &["-n", "-s", "state"]] {
        let _ = std::fs::remove_file(place.file("state"));
        assert_eq!(place.printed(words, &records(0..5)), lines(0..5));
        assert_eq!(content(&place.file("state")), format!("{} 4\n", boot()));
        assert_eq!(place.printed(words, &records(0..5)), "");
        assert_eq!(place.printed(words, &records(0..8)), lines(5..8));
        // Of the records that would have come next, some are gone.
        let printed = place.printed(words, &records(10..12));
        assert!(printed.starts_with("syslog.warn: klog: here 2 records are missing"), "{printed}");
        assert!(printed.ends_with(&lines(10..12)));
        assert_eq!(content(&place.file("state")), format!("{} 11\n", boot()));
        assert!(!place.file("state.new").exists());
    }
}

#[test]
fn another_boot_and_a_file_that_makes_no_sense_begin_anew() {
    let place = Place::new();
    let state = |text: &str| std::fs::write(place.file("state"), text).unwrap();
    let run = || {
        std::fs::write(place.file("records"), records(0..3)).unwrap();
        let output = place.command(&["-n", "-s", "state", "-f", "records"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(content(&place.file("state")), format!("{} 2\n", boot()));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), lines(0..3));
        String::from_utf8(output.stderr).unwrap()
    };
    state("00000000-0000-0000-0000-000000000000 1\n");
    assert_eq!(run(), "");
    for damaged in ["", "x", &boot(), &format!("{} 1", boot()), &format!("{} 1\nx", boot())] {
        state(damaged);
        assert_eq!(run(), "klog: warning: state is damaged: all records are printed\n", "{damaged:?}");
    }
    state(&format!("{} 77\n", boot()));
    assert_eq!(run(), "klog: warning: the state file tells of records that do not exist: all are printed again\n");
}

#[test]
fn a_state_file_that_cannot_be_written_is_told_once_and_nothing_else_is_different() {
    let place = Place::new();
    std::fs::write(place.file("records"), records(0..2000)).unwrap();
    let output = place.command(&["-s", "none/state", "-f", "records"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines(0..2000));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "klog: warning: unable to write none/state: No such file or directory\n");
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = Place::new();
    let run = |words: &[&str]| {
        let output = place.command(words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let missing = "klog: fatal: unable to open none: No such file or directory\n".to_owned();
    assert_eq!(run(&["-f", "none"]), (Some(111), missing));
    assert_eq!(run(&["-f", "."]), (Some(111), "klog: fatal: unable to read .: Is a directory\n".to_owned()));
    assert_eq!(run(&["-x"]).0, Some(100));
    assert_eq!(run(&["-s"]).0, Some(100));
}

/// A klog that reads a FIFO, to which records can be written, and whose end never comes.
struct Following {
    child: Child,
    feed: File,
}

impl Following {
    fn start(place: &Place, words: &[&str], output: Stdio) -> Following {
        let fifo = place.file("fifo");
        if !fifo.exists() {
            assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        }
        let feed = File::options().read(true).write(true).open(&fifo).unwrap();
        let child = place.command(&[words, &["-f", "fifo"]].concat()).stdout(output).spawn().unwrap();
        Following { child, feed }
    }

    fn end(mut self) -> i32 {
        linchpin::sys::process::kill(self.child.id() as i32, libc::SIGTERM).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn lines_come_as_records_do_and_the_state_file_follows() {
    let place = Place::new();
    let mut klog = Following::start(&place, &["-s", "state"], Stdio::piped());
    let mut output = BufReader::new(klog.child.stdout.take().unwrap());
    for n in 0..5 {
        klog.feed.write_all(records(n..n + 1).as_bytes()).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, lines(n..n + 1));
        if n == 0 || n == 4 {
            eventually(|| content(&place.file("state")) == format!("{} {n}\n", boot()));
        }
    }
    assert_eq!(klog.end(), 0);
}

#[test]
fn the_state_file_is_written_seldom_while_it_is_busy() {
    let place = Place::new();
    let mut klog = Following::start(&place, &["-s", "state"], Stdio::piped());
    let mut output = BufReader::new(klog.child.stdout.take().unwrap());
    let begun = std::time::Instant::now();
    let (mut seen, mut last) = (0, String::new());
    for n in 0..3000 {
        klog.feed.write_all(records(n..n + 1).as_bytes()).unwrap();
        output.read_line(&mut String::new()).unwrap();
        let now = content(&place.file("state"));
        seen += usize::from(now != last);
        last = now;
    }
    let seconds = begun.elapsed().as_secs() as usize;
    println!("state file written {seen} times in {seconds} s and 3000 records");
    assert!((1..=seconds + 2).contains(&seen), "{seen} times in {seconds} s");
    assert_eq!(klog.end(), 0);
    assert_eq!(content(&place.file("state")), format!("{} 2999\n", boot()));
}

#[test]
fn told_to_end_while_nobody_reads_it_leaves_the_rest_to_the_next() {
    let place = Place::new();
    const COUNT: usize = 3000;
    std::fs::write(place.file("records"), records(0..COUNT)).unwrap();
    let (mut read, write) = small_pipe();
    let words = ["-s", "state", "-f", "records"];
    let mut all = String::new();
    for _ in 0..3 {
        let output = Stdio::from(write.try_clone().unwrap());
        let mut klog = place.command(&words).stdout(output).spawn().unwrap();
        // The pipe is full when it waits.
        eventually(|| is_full(&write));
        linchpin::sys::process::kill(klog.id() as i32, libc::SIGTERM).unwrap();
        assert_eq!(klog.wait().unwrap().code(), Some(0));
        let mut piece = vec![0; 8192];
        let n = read.read(&mut piece).unwrap();
        all.push_str(std::str::from_utf8(&piece[..n]).unwrap());
    }
    assert!(all.ends_with('\n'), "a line was cut");
    let mut klog = place.command(&words).stdout(Stdio::from(write)).spawn().unwrap();
    read.read_to_string(&mut all).unwrap();
    assert_eq!(klog.wait().unwrap().code(), Some(0));
    assert_eq!(all, lines(0..COUNT));
}

fn is_full(pipe: &File) -> bool {
    let fd = number(pipe);
    let mut asked = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::OUT)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut asked, Some(&now)).unwrap() == 0
}

#[test]
fn without_a_reader_it_fails_and_one_that_only_prints_just_ends() {
    let place = Place::new();
    std::fs::write(place.file("records"), records(0..5000)).unwrap();
    for (words, code) in [(&["-f", "records"][..], Some(111)), (&["-n", "-f", "records"], None)] {
        // It is full: nothing can be written while another thread's child still has the other end for a moment.
        let (read, write) = small_pipe();
        fill(&write);
        drop(read);
        let output = place.command(words).stdout(Stdio::from(write)).stderr(Stdio::null()).status().unwrap();
        assert_eq!(output.code(), code, "{words:?}");
    }
}

/// The kernel's log, if it may be read and written to here.
fn kernel() -> bool {
    let read = File::open("/dev/kmsg").and_then(|mut file| file.read(&mut [0; 8192]));
    let write = File::options().write(true).open("/dev/kmsg");
    match (read, write) {
        (Ok(_), Ok(_)) => true,
        (read, write) => {
            println!("skipped: /dev/kmsg is not to be had here: {:?}, {:?}", read.err(), write.err());
            false
        }
    }
}

/// What no other line has: what was said in earlier runs is still there.
fn tag(what: &str) -> String {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    format!("klog {what} {}.{}", std::process::id(), since.as_nanos())
}

/// Writes a line to the kernel's log, with its newline, without which the kernel shows it later; each by itself, because of those of one who has it open the kernel takes few.
fn say(text: &str) {
    File::options().write(true).open("/dev/kmsg").unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
}

#[test]
fn the_kernels_own_log_is_printed() {
    if !kernel() {
        return;
    }
    let place = Place::new();
    let tag = tag("test");
    say(&format!("<30>{tag}: one\ttwo \\ caf\u{e9}\u{1b}"));
    say(&format!("<0>{tag}: nobody but the kernel is the kernel\nor says kern.emerg"));
    let all = said(&place.command(&["-n"]).output().unwrap());
    let ours: Vec<&str> = all.lines().filter(|line| line.contains(&tag)).collect();
    let text = |line: &str| line.split_once("] ").unwrap().1.to_owned();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert!(ours[0].starts_with("daemon.info: ["), "{}", ours[0]);
    assert_eq!(text(ours[0]), format!("{tag}: one\ttwo \\ caf\u{e9}\\x1b"));
    assert!(ours[1].starts_with("user.emerg: ["), "{}", ours[1]);
    assert!(all.lines().any(|line| line.starts_with("user.emerg: [") && line.ends_with("] or says kern.emerg")));
    let kernels = said(&place.command(&["-n", "-k"]).output().unwrap());
    assert!(!kernels.contains(&tag) && kernels.lines().any(|line| line.starts_with("kern.")));
}

/// Killed over and over while the kernel's log grows: with its state file it misses nothing.
#[test]
fn no_record_of_the_kernel_is_missed_when_it_is_killed() {
    if !kernel() {
        return;
    }
    const KILLS: usize = 10;
    const SAID: usize = 100;
    let place = Place::new();
    let tag = tag("kills");
    // What was there before is none of our business.
    said(&place.command(&["-n", "-s", "state"]).output().unwrap());
    let (read, write) = pipe();
    let lines = std::thread::scope(|scope| {
        let end = format!("{tag} end");
        let begin = format!("{tag} ");
        let reader = scope.spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(read).lines().map(Result::unwrap) {
                if line.ends_with(&end) {
                    break;
                }
                if let Some((_, number)) = line.split_once(&begin) {
                    lines.push(number.parse::<usize>().expect("lines are whole"));
                }
            }
            lines
        });
        for kill in 0..KILLS {
            let output = Stdio::from(write.try_clone().unwrap());
            let mut klog = place.command(&["-s", "state"]).stdout(output).spawn().unwrap();
            for n in 0..SAID / KILLS {
                say(&format!("{tag} {}", kill * SAID / KILLS + n));
            }
            // Some are killed before they have begun.
            if kill % 3 != 0 {
                let before = content(&place.file("state"));
                eventually(|| content(&place.file("state")) != before);
            }
            klog.kill().unwrap();
            klog.wait().unwrap();
        }
        say(&format!("{tag} end"));
        let mut klog = place.command(&["-s", "state"]).stdout(Stdio::from(write)).spawn().unwrap();
        let lines = reader.join().unwrap();
        linchpin::sys::process::kill(klog.id() as i32, libc::SIGTERM).unwrap();
        assert_eq!(klog.wait().unwrap().code(), Some(0));
        lines
    });
    let mut count: HashMap<usize, usize> = HashMap::new();
    lines.iter().for_each(|number| *count.entry(*number).or_default() += 1);
    let missing: Vec<usize> = (0..SAID).filter(|number| !count.contains_key(number)).collect();
    println!("{SAID} records, {KILLS} kills: {} missing, {} repeated", missing.len(), lines.len() - count.len());
    assert!(missing.is_empty(), "{missing:?}");
}
