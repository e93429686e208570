//! A ring whose writer is killed while it stores lines.
#![allow(unsafe_code)] // fork

use crate::tmp::TempDir;
use linchpin::logd::ring::{Got, HEADER, State, View, Writer, look};
use linchpin::sys::{Fd, file, ring};
use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 8192;
const KILLS: u64 = 200;

/// Line number `n`: its length and all its bytes follow from that.
fn text(n: u64, buf: &mut [u8; 300]) -> &[u8] {
    let length = 20 + (n.wrapping_mul(0x9e37_79b9) >> 7) as usize % 200;
    let mut rest = n;
    for (at, byte) in buf.iter_mut().enumerate().take(length) {
        *byte = if at < 18 { b'0' + (rest % 10) as u8 } else { b'a' + ((n + at as u64) % 26) as u8 };
        rest /= if at < 18 { 10 } else { 1 };
    }
    buf[length] = b'\n';
    &buf[..=length]
}

/// Its number.
fn number(line: &[u8]) -> u64 {
    line[..18].iter().rev().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

fn open(dir: &TempDir) -> (Fd, &'static mut [u8]) {
    let path = CString::new(dir.path().join("ring").to_str().unwrap()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CREATE;
    let fd = file::open(Fd::CWD, &path, flags, 0o600).unwrap();
    ring::allocate(fd, (HEADER + CAPACITY) as u64).unwrap();
    (fd, ring::map(fd, HEADER + CAPACITY).unwrap())
}

/// Everything in it, by its reader.
fn lines(fd: Fd) -> Vec<Vec<u8>> {
    let (mut view, mut all, mut buf) = (View::new(&fd).unwrap(), Vec::new(), [0; 1000]);
    loop {
        match view.read(&fd, &mut buf, u64::MAX).unwrap() {
            Got::Bytes(0) => break,
            Got::Bytes(n) => all.extend_from_slice(&buf[..n]),
            Got::Lost(n) => panic!("{n} lines are lost, and nobody writes"),
        }
    }
    all.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn a_writer_that_is_killed_loses_no_line_but_the_one_that_it_was_storing() {
    let dir = TempDir::in_memory();
    let (mut fd, memory) = open(&dir);
    Writer::make(memory, 7, State::default()).unwrap();
    // Where a writer says how many lines it has stored, and in a moment will have.
    let progress = linchpin::sys::memory::map(linchpin::sys::memory::create(c"progress", 4096).unwrap(), 4096).unwrap();
    // SAFETY: aligned, as pages are, and zero is a number.
    let progress = unsafe { &*progress.as_ptr().cast::<AtomicU64>() };
    let mut in_flight = 0;
    for round in 0..KILLS {
        let before = progress.load(Ordering::SeqCst);
        // SAFETY: the child makes system calls and touches memory of its own.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let Ok(mut writer) = Writer::go_on(memory) else { std::process::abort() };
            let mut buf = [0; 300];
            let mut next = writer.state().lines;
            loop {
                let line = text(next, &mut buf);
                let (first, second) = line.split_at(line.len() / 3);
                writer.push(&[first, second]);
                next += 1;
                progress.store(next, Ordering::SeqCst);
            }
        }
        // It is killed when it has stored some more, at any instruction.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while progress.load(Ordering::SeqCst) < before + 20 + round % 7 * 50 {
            assert!(std::time::Instant::now() < deadline, "it stores nothing");
            std::hint::spin_loop();
        }
        // SAFETY: our own child, which has not been waited for.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "it has found no ring");
        }
        let done = progress.load(Ordering::SeqCst);
        let state = look(&fd).unwrap().state;
        assert!(state.lines == done || state.lines == done + 1, "{} of {done} lines", state.lines);
        in_flight += state.lines - done;
        let lines = lines(fd);
        assert_eq!(lines.len() as u64, state.lines - state.gone);
        let mut buf = [0; 300];
        for (n, line) in (state.gone..).zip(&lines) {
            assert_eq!(number(line), n);
            assert_eq!(line, text(n, &mut buf));
        }
        let held: usize = lines.iter().map(Vec::len).sum();
        assert!(held > CAPACITY - 500 || state.gone == 0, "{held} bytes are held");
        progress.store(state.lines, Ordering::SeqCst);
    }
    println!("{KILLS} kills, {} lines, {in_flight} of them stored and not said to be", look(&fd).unwrap().state.lines);
    fd.close();
}

#[test]
fn a_reader_beside_a_writer_at_full_speed_misses_only_lines_that_it_is_told_of() {
    let dir = TempDir::in_memory();
    let (fd, memory) = open(&dir);
    Writer::make(memory, 7, State::default()).unwrap();
    let total = 300_000;
    let mut view = View::new(&fd).unwrap();
    let writer = std::thread::spawn(move || {
        let mut writer = Writer::go_on(memory).unwrap();
        let mut buf = [0; 300];
        for n in 0..total {
            writer.push(&[text(n, &mut buf)]);
            if n % 1000 == 0 {
                std::thread::yield_now();
            }
        }
    });
    let (mut next, mut lost, mut held, mut chunk) = (0, 0, Vec::new(), [0; 3000]);
    let mut expected = [0; 300];
    while next < total {
        match view.read(&fd, &mut chunk, u64::MAX).unwrap() {
            Got::Bytes(n) => held.extend_from_slice(&chunk[..n]),
            Got::Lost(lines) => {
                held.clear();
                (lost, next) = (lost + lines, next + lines);
            }
        }
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            assert_eq!(&held[..=end], text(next, &mut expected));
            held.drain(..=end);
            next += 1;
        }
    }
    writer.join().unwrap();
    println!("{lost} of {total} lines were overwritten");
    assert!(lost < total);
}
