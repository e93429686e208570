//! What commands share that read lines from standard input and write them to standard output.

use crate::applets::cli::Cli;
use crate::limits::FILTERED;
use crate::sys::{Errno, Fd, Result, file, pages, poll};
use crate::text::find;
use core::ops::ControlFlow;

/// Both descriptors, with a buffer for each. They may be non-blocking, as a logger leaves what it shares with others.
pub struct Filter<'c> {
    cli: &'c Cli,
    input: &'static mut [u8],
    /// Bytes of `input` that have been read: the beginning of a line.
    held: usize,
    /// The line that is held has begun before: it is longer than the buffer.
    goes_on: bool,
    /// An unterminated last line gets its newline.
    completes: bool,
    output: Output,
}

/// What is to be written.
pub struct Output {
    buffer: &'static mut [u8],
    used: usize,
    failed: Option<Errno>,
}

/// A line, or a part of one that is longer than [`FILTERED`].
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// With its newline, if it has one.
    pub bytes: &'a [u8],
    /// It is the beginning of a line.
    pub begins: bool,
}

impl<'c> Filter<'c> {
    /// Of one command. The error is its exit code; it is told then.
    pub fn new(cli: &'c Cli) -> core::result::Result<Filter<'c>, i32> {
        let room = || pages::reserve(FILTERED).map_err(|e| cli.unable("get memory", e));
        let output = Output { buffer: room()?, used: 0, failed: None };
        Ok(Filter { cli, input: room()?, held: 0, goes_on: false, completes: false, output })
    }

    /// The same, which ends an unterminated last line.
    pub fn completing(self) -> Self {
        Filter { completes: true, ..self }
    }

    /// Gives every line to `change`, in parts if it is long, until the input ends; `read` is called before those that have come
    /// at once. What `change` puts into the output is written before it is waited for more. Returns the exit code: 0, or
    /// 111 with a message.
    pub fn run<S>(mut self, state: &mut S, read: fn(&mut S), change: fn(&mut S, Part<'_>, &mut Output)) -> i32 {
        loop {
            let done = read_some(&mut self.input[self.held..]);
            read(state);
            // An error is an end too: what has come before it is not lost.
            let turn = self.turn(done.unwrap_or(0), &mut |part, output| change(state, part, output));
            self.output.flush();
            if let Some(e) = self.output.failed {
                return self.cli.unable("write to standard output", e);
            }
            if let Err(e) = done {
                return self.cli.unable("read from standard input", e);
            }
            if turn.is_break() {
                return 0;
            }
        }
    }

    /// Takes what has just been read behind what is held. Nothing is the end.
    fn turn(&mut self, read_now: usize, change: &mut dyn FnMut(Part<'_>, &mut Output)) -> ControlFlow<()> {
        let (mut from, end) = (0, self.held + read_now);
        let mut searched = self.held;
        while let Some(newline) = find::first(&self.input[searched..end], b'\n') {
            searched += newline + 1;
            change(Part { bytes: &self.input[from..searched], begins: !self.goes_on }, &mut self.output);
            self.goes_on = false;
            from = searched;
        }
        let is_over = read_now == 0;
        let is_long = self.goes_on || end - from == self.input.len();
        if from < end && (is_over || is_long) {
            change(Part { bytes: &self.input[from..end], begins: !self.goes_on }, &mut self.output);
            self.goes_on = true;
            from = end;
        }
        self.input.copy_within(from..end, 0);
        self.held = end - from;
        if is_over && self.goes_on && self.completes {
            self.output.put(b"\n");
        }
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Output {
    /// Appends bytes.
    pub fn put(&mut self, mut bytes: &[u8]) {
        while bytes.len() > self.buffer.len() - self.used {
            let (now, later) = bytes.split_at(self.buffer.len() - self.used);
            self.buffer[self.used..].copy_from_slice(now);
            self.used = self.buffer.len();
            self.flush();
            bytes = later;
        }
        self.buffer[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    fn flush(&mut self) {
        let mut rest = &self.buffer[..self.used];
        while !rest.is_empty() && self.failed.is_none() {
            match write_some(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) => self.failed = Some(e),
            }
        }
        self.used = 0;
    }
}

fn read_some(buffer: &mut [u8]) -> Result<usize> {
    loop {
        match file::read_some(Fd::STDIN, buffer) {
            Err(Errno::AGAIN) => poll::readable(Fd::STDIN, None)?,
            done => return done,
        }
    }
}

fn write_some(bytes: &[u8]) -> Result<usize> {
    loop {
        match rustix::io::write(Fd::STDOUT, bytes) {
            Err(Errno::AGAIN) => poll::writable(Fd::STDOUT, None)?,
            Err(Errno::INTR) => {}
            Ok(0) => return Err(Errno::IO),
            done => return done,
        }
    }
}
