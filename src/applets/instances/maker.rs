//! `instance-maker`: writes the service directory (or the s6-rc source definitions) of a service whose instances are made
//! of a template; s6-instance-maker(8).
//!
//! The scripts are for /bin/sh and call s6's commands by name, where those of s6 are for execline and have absolute paths:
//! a system with linchpin need not have execline. With `-u` the script of the service first gives `instance` and
//! `instances` to the user (in what s6 makes, the user cannot write there, and its scanner fails).

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::service::instance::{DIRS, SCANDIR, TEMPLATE};
use crate::sys::{Errno, Fd, Result, entry, file, tree};
use crate::text::number::{Decimal, parse_u64};
use crate::text::quote::Printable;
use core::ffi::CStr;
use heapless::Vec;
use rustix::fs::OFlags;

/// What follows the name on a command line.
pub const USAGE: &str = "[-c max] [-u user] [-l loguser] [-L logdir] [-t stamptype] [-n nfiles] [-s filesize] [-S maxsize] \
                         [-P prefix] [-r service[/logger[/pipeline]]] template dir";

/// Bounds of `-c`: s6's.
const INSTANCES: core::ops::RangeInclusive<u32> = 1..=90_000;
/// `-c`, if it is not given.
const INSTANCES_DEFAULT: u32 = 500;

/// Longest script or file: two paths, quoted.
const TEXT: usize = 8192;
type Text = Vec<u8, TEXT>;

/// What is asked for.
struct Request {
    max: u32,
    user: Option<&'static [u8]>,
    log_user: Option<&'static [u8]>,
    log_dir: Option<&'static [u8]>,
    /// 0 none, 1 TAI64N, 2 ISO 8601, 3 both.
    stamp: u32,
    files: u32,
    file_size: u64,
    max_size: u64,
    prefix: Option<&'static [u8]>,
    names: Option<Names>,
}

/// Names of the s6-rc definitions.
#[derive(Clone, Copy)]
struct Names {
    service: &'static [u8],
    logger: Option<&'static [u8]>,
    pipeline: Option<&'static [u8]>,
}

/// `instance-maker [options] template dir`. Exit code: 0, 100, 111 (also if there is a `dir`, but for definitions, which can
/// be added to others). If it fails, no `dir` is left that it has made.
pub fn maker(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut request = Request {
            max: INSTANCES_DEFAULT,
            user: None,
            log_user: None,
            log_dir: None,
            stamp: 1,
            files: 10,
            file_size: 1_000_000,
            max_size: 0,
            prefix: None,
            names: None,
        };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            let Opt::Short(letter) = option else { return Err(WrongUsage) };
            match letter {
                b'c' => request.max = options.number()?.clamp(*INSTANCES.start(), *INSTANCES.end()),
                b'u' => request.user = Some(options.value()?),
                b'l' => request.log_user = Some(options.value()?),
                b'L' => request.log_dir = Some(options.value()?),
                b't' => request.stamp = options.number()?,
                b'n' => request.files = options.number()?,
                b's' => request.file_size = parse_u64(options.value()?).ok_or(WrongUsage)?,
                b'S' => request.max_size = parse_u64(options.value()?).ok_or(WrongUsage)?,
                b'P' => request.prefix = Some(options.value()?),
                b'r' => request.names = Some(names(options.value()?).ok_or(WrongUsage)?),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        if request.stamp > 3 {
            return Ok(cli.refuse("stamptype must be 0, 1, 2 or 3"));
        }
        if request.log_dir.is_some_and(|dir| !dir.starts_with(b"/")) {
            return Ok(cli.refuse("logdir must be absolute"));
        }
        let logger = request.names.and_then(|names| names.logger);
        if logger.is_some() && request.log_dir.is_none() {
            return Ok(cli.refuse("a logger (-r) needs a logdir (-L)"));
        }
        if request.names.is_some() && logger.is_none() && request.log_dir.is_some() {
            return Ok(cli.refuse("a logdir (-L) needs the name of a logger (-r)"));
        }
        let bad = |user: &[u8]| user.is_empty() || user.iter().any(u8::is_ascii_whitespace);
        if [request.user, request.log_user].into_iter().flatten().any(bad) {
            return Ok(cli.refuse("invalid user"));
        }
        let (template, path) = (words.get(0).unwrap_or_default(), words.get(1).unwrap_or_default());
        Ok(make(cli, &request, template, path))
    })
}

/// `service[/logger[/pipeline]]`
fn names(word: &'static [u8]) -> Option<Names> {
    let mut parts = word.split(|byte| *byte == b'/');
    let names = Names { service: parts.next()?, logger: parts.next(), pipeline: parts.next() };
    let fits = |name: &[u8]| !name.is_empty() && !name.starts_with(b".");
    let all = [Some(names.service), names.logger, names.pipeline];
    (parts.next().is_none() && all.into_iter().flatten().all(fits)).then_some(names)
}

fn make(cli: &Cli, request: &Request, template: &CStr, path: &CStr) -> i32 {
    let (shown, from) = (Printable(path.to_bytes()), Printable(template.to_bytes()));
    let mut source = match file::open_dir(Fd::CWD, template) {
        Ok(source) => source,
        Err(e) => return cli.unable(format_args!("open {from}"), e),
    };
    let made = match entry::new_dir(Fd::CWD, path) {
        Ok(()) => Ok(true),
        // Definitions may be added to others.
        Err(Errno::EXIST) if request.names.is_some() => Ok(false),
        Err(e) => Err(cli.unable(format_args!("mkdir {shown}"), e)),
    };
    let code = made.map_or_else(
        |code| code,
        |new| {
            let done = file::with_dir(path, |top| request.fill(top, source)).and_then(|done| done);
            done.map_or_else(
                |e| {
                    if new {
                        let _ = tree::remove(Fd::CWD, path);
                    }
                    cli.unable(format_args!("write {shown}"), e)
                },
                |()| 0,
            )
        },
    );
    source.close();
    code
}

fn put(text: &mut Text, pieces: &[&[u8]]) -> Result<()> {
    pieces.iter().try_for_each(|piece| text.extend_from_slice(piece)).map_err(|()| Errno::NAMETOOLONG)
}

/// A word for the shell: in quotes unless it needs none.
fn put_word(text: &mut Text, word: &[u8]) -> Result<()> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(byte);
    if !word.is_empty() && word.iter().all(plain) {
        return put(text, &[word]);
    }
    put(text, &[b"'"])?;
    for byte in word {
        match byte {
            b'\'' => put(text, &[b"'\\''"])?,
            _ => put(text, &[&[*byte]])?,
        }
    }
    put(text, &[b"'"])
}

fn write(dir: Fd, name: &CStr, text: &[u8], mode: u32) -> Result<()> {
    let mut fd = file::open(dir, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, mode)?;
    let done = file::write_all(fd, text);
    fd.close();
    done
}

fn write_line(dir: Fd, name: &CStr, line: &[u8]) -> Result<()> {
    let mut text = Text::new();
    put(&mut text, &[line, b"\n"])?;
    write(dir, name, &text, 0o666)
}

impl Request {
    /// Fills the new directory `top`.
    fn fill(&self, top: Fd, template: Fd) -> Result<()> {
        let Some(names) = self.names else {
            self.fill_service(top, template, 0o777)?;
            entry::new_dir(top, SCANDIR)?;
            entry::new_dir(top, DIRS)?;
            return match self.log_dir {
                Some(dir) => in_new_dir(top, b"log", |log| self.fill_logger(log, dir, 0o777)),
                None => Ok(()),
            };
        };
        in_new_dir(top, names.service, |service| {
            self.fill_service(service, template, 0o666)?;
            write_line(service, c"type", b"longrun")?;
            names.logger.map_or(Ok(()), |logger| write_line(service, c"producer-for", logger))
        })?;
        let (Some(logger), Some(dir)) = (names.logger, self.log_dir) else { return Ok(()) };
        in_new_dir(top, logger, |log| {
            self.fill_logger(log, dir, 0o666)?;
            write_line(log, c"type", b"longrun")?;
            write_line(log, c"consumer-for", names.service)?;
            names.pipeline.map_or(Ok(()), |pipeline| write_line(log, c"pipeline-name", pipeline))
        })
    }

    fn fill_service(&self, dir: Fd, template: Fd, mode: u32) -> Result<()> {
        write(dir, c"run", &self.run()?, mode)?;
        write_line(dir, c"notification-fd", b"3")?;
        entry::new_dir(dir, TEMPLATE)?;
        let mut to = file::open_dir(dir, TEMPLATE)?;
        let mut failed = Ok(());
        let done = tree::copy(template, to, &mut |_, e| failed = Err(e));
        to.close();
        done.and(failed)
    }

    fn fill_logger(&self, dir: Fd, log_dir: &[u8], mode: u32) -> Result<()> {
        write(dir, c"run", &self.log_run(log_dir)?, mode)?;
        write_line(dir, c"notification-fd", b"3")
    }

    /// The script that runs the scanner of the instances.
    fn run(&self) -> Result<Text> {
        let mut text = Text::new();
        put(&mut text, &[b"#!/bin/sh\nexec 2>&1\n"])?;
        // s6-rc copies the template into the live service directory, but no empty directories.
        if self.names.is_some() {
            put(&mut text, &[b"mkdir -p instance instances\n"])?;
        }
        if let Some(user) = self.user {
            put(&mut text, &[b"chown "])?;
            put_word(&mut text, user)?;
            put(&mut text, &[b" instance instances || exit 111\n"])?;
        }
        put(&mut text, &[b"exec "])?;
        put_user(&mut text, self.user)?;
        put(&mut text, &[b"s6-svscan -d3 "])?;
        // The default number is left to the scanner, so that the script is right for every s6. Another is given by the
        // option of s6 before 2.12, which counts an instance and its logger as one; ours has it too.
        if self.max != INSTANCES_DEFAULT {
            put(&mut text, &[b"-c", Decimal::new(self.max.into()).as_bytes(), b" "])?;
        }
        put(&mut text, &[b"-- instance\n"])?;
        Ok(text)
    }

    /// The script that runs the logger of the scanner and of the instances that have none.
    fn log_run(&self, log_dir: &[u8]) -> Result<Text> {
        let mut text = Text::new();
        put(&mut text, &[b"#!/bin/sh\nexec "])?;
        put_user(&mut text, self.log_user)?;
        put(&mut text, &[b"s6-log -bd3 --"])?;
        for (directive, wanted) in [(&b" t"[..], self.stamp & 1 != 0), (b" T", self.stamp & 2 != 0)] {
            if wanted {
                put(&mut text, &[directive])?;
            }
        }
        put(&mut text, &[b" n", Decimal::new(self.files.into()).as_bytes()])?;
        put(&mut text, &[b" s", Decimal::new(self.file_size).as_bytes()])?;
        if self.max_size > 0 {
            put(&mut text, &[b" S", Decimal::new(self.max_size).as_bytes()])?;
        }
        if let Some(prefix) = self.prefix {
            let mut word = Text::new();
            put(&mut word, &[b"p", prefix])?;
            put(&mut text, &[b" "])?;
            put_word(&mut text, &word)?;
        }
        put(&mut text, &[b" "])?;
        put_word(&mut text, log_dir)?;
        put(&mut text, &[b"\n"])?;
        Ok(text)
    }
}

fn put_user(text: &mut Text, user: Option<&[u8]>) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    put(text, &[b"s6-setuidgid "])?;
    put_word(text, user)?;
    put(text, &[b" "])
}

fn in_new_dir(top: Fd, name: &[u8], body: impl FnOnce(Fd) -> Result<()>) -> Result<()> {
    let name = crate::text::CPath::<256>::of(&[name]);
    entry::new_dir(top, name.path()?)?;
    let mut dir = file::open_dir(top, name.path()?)?;
    let done = body(dir);
    dir.close();
    done
}
