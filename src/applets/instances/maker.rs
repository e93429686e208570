//! `s6-instance-maker [options] template dir`: makes the service directory `dir`, whose service is a scanner for
//! instances, each a copy of the service directory `template`.
//!
//! Options: `-c` how many instances there may be (500); `-u` the user that the scanner and the instances run as; `-L` the
//! directory in which a logger keeps what they say; and for that logger `-l` its user, `-t` the kind of its stamps (1),
//! `-n` the number of its archived files (10), `-s` and `-S` the size of one (1000000) and of all (0: any), `-P` what it
//! puts in front of lines. With `-r service[/logger[/pipeline]]` it makes source definitions for s6-rc instead, in `dir`.
//!
//! The run scripts are for `/bin/sh` (s6's are in execline). With `-u`, that of the service gives `instance` and
//! `instances` to the user when it starts; in what s6 makes, the user cannot write there, and its scanner fails.
//!
//! Exit code: 0, 100, 111. What has been made before a failure is left.

use super::scripts::{self, Logger, Script};
use crate::applets::cli::{Cli, Opt, USAGE as WRONG, WrongUsage};
use crate::sys::{Errno, Fd, file, tree};
use crate::text::CPath;
use crate::text::number::parse_u64;
use crate::text::quote::Printable;
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};

/// What follows the name on a command line.
pub const USAGE: &str = "[-c max] [-u user] [-l loguser] [-L logdir] [-t stamptype] [-n nfiles] [-s filesize] \
                         [-S maxsize] [-P prefix] [-r service[/logger[/pipeline]]] template dir";

/// s6's limits for the number of instances.
const MAX: core::ops::RangeInclusive<u32> = 1..=90_000;

struct Request {
    max: u32,
    user: Option<&'static [u8]>,
    logger: Option<Logger<'static>>,
    definitions: Option<Definitions>,
}

/// Names for s6-rc.
struct Definitions {
    service: &'static [u8],
    logger: Option<&'static [u8]>,
    pipeline: Option<&'static [u8]>,
}

/// What was wrong has been said; the exit code.
struct Failed(i32);

type Done<T = ()> = Result<T, Failed>;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut max, mut user, mut definitions) = (500, None, None);
        let mut logger = Logger { dir: b"", user: None, stamp: 1, files: 10, size: 1_000_000, total: 0, prefix: b"" };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'c') => max = options.number()?,
                Opt::Short(b'u') => user = Some(options.value()?),
                Opt::Short(b'l') => logger.user = Some(options.value()?),
                Opt::Short(b'L') => logger.dir = options.value()?,
                Opt::Short(b't') => logger.stamp = options.number()?,
                Opt::Short(b'n') => logger.files = options.number()?,
                Opt::Short(b's') => logger.size = parse_u64(options.value()?).ok_or(WrongUsage)?,
                Opt::Short(b'S') => logger.total = parse_u64(options.value()?).ok_or(WrongUsage)?,
                Opt::Short(b'P') => logger.prefix = options.value()?,
                Opt::Short(b'r') => definitions = Some(options.value()?),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let (template, dir) = (words.get(0).unwrap_or_default(), words.get(1).unwrap_or_default());
        let made = check(user, &logger, definitions).map_err(|text| Failed(cli.refuse(text))).and_then(|definitions| {
            let logger = Some(logger).filter(|logger| !logger.dir.is_empty());
            let request = Request { max: max.clamp(*MAX.start(), *MAX.end()), user, logger, definitions };
            Maker { cli }.make(&request, template, dir)
        });
        Ok(made.map_or_else(|Failed(code)| code, |()| 0))
    })
}

/// Reads the value of `-r`; the error is what is wrong with the options.
fn check(
    user: Option<&[u8]>,
    logger: &Logger<'_>,
    definitions: Option<&'static [u8]>,
) -> Result<Option<Definitions>, &'static str> {
    let bad_name = |name: &[u8]| name.is_empty() || name.iter().any(u8::is_ascii_whitespace);
    if user.is_some_and(bad_name) || logger.user.is_some_and(bad_name) {
        return Err("invalid user name");
    }
    if logger.stamp > 3 {
        return Err("the stamp type must be 0, 1, 2 or 3");
    }
    if !logger.dir.is_empty() && !logger.dir.starts_with(b"/") {
        return Err("the log directory must be an absolute path");
    }
    let Some(names) = definitions else { return Ok(None) };
    if names.split(|b| *b == b'/').any(|name| name.starts_with(b".") || bad_name(name)) {
        return Err("invalid name of a service, logger or pipeline");
    }
    let mut names = names.split(|b| *b == b'/');
    let definitions =
        Definitions { service: names.next().unwrap_or_default(), logger: names.next(), pipeline: names.next() };
    match (names.next(), definitions.logger.is_some(), logger.dir.is_empty()) {
        (Some(_), ..) => Err("more than three names"),
        (None, true, true) => Err("a logger (-r) needs a log directory (-L)"),
        (None, false, false) => Err("a log directory (-L) needs the name of a logger (-r)"),
        _ => Ok(Some(definitions)),
    }
}

struct Maker<'a> {
    cli: &'a Cli,
}

impl Maker<'_> {
    fn make(&self, request: &Request, template: &CStr, dir: &CStr) -> Done {
        let name = Printable(template.to_bytes());
        let mut template =
            file::open_dir(Fd::CWD, template).map_err(|e| self.unable(format_args!("open {name}"), e))?;
        let done = match &request.definitions {
            None => self.service_directory(request, template, dir),
            Some(definitions) => self.definitions(request, definitions, template, dir),
        };
        template.close();
        done
    }

    fn service_directory(&self, request: &Request, template: Fd, path: &CStr) -> Done {
        let dir = self.new_dir(Fd::CWD, path)?;
        self.service(dir, request, template, 0o777)?;
        for name in [c"instance", c"instances"] {
            self.new_dir(dir, name)?.close();
        }
        match &request.logger {
            None => Ok(()),
            Some(logger) => self.logger(self.new_dir(dir, c"log")?, logger, 0o777),
        }
    }

    /// s6-rc gives its copies of the run scripts their modes, and makes `instance` and `instances` itself.
    fn definitions(&self, request: &Request, names: &Definitions, template: Fd, path: &CStr) -> Done {
        let name = Printable(path.to_bytes());
        file::make_dir(Fd::CWD, path, 0o755).map_err(|e| self.unable(format_args!("make {name}"), e))?;
        let dir = file::open_dir(Fd::CWD, path).map_err(|e| self.unable(format_args!("open {name}"), e))?;
        let new_dir = |name| {
            let name = CPath::<512>::of(&[name]);
            let name = name.path().map_err(|e| self.unable("make a directory", e))?;
            self.new_dir(dir, name)
        };
        let service = new_dir(names.service)?;
        self.service(service, request, template, 0o666)?;
        self.write_line(service, c"type", b"longrun")?;
        if let (Some(name), Some(logger)) = (names.logger, &request.logger) {
            self.write_line(service, c"producer-for", name)?;
            let dir = new_dir(name)?;
            self.logger(dir, logger, 0o666)?;
            self.write_line(dir, c"type", b"longrun")?;
            self.write_line(dir, c"consumer-for", names.service)?;
            if let Some(pipeline) = names.pipeline {
                self.write_line(dir, c"pipeline-name", pipeline)?;
            }
        }
        Ok(())
    }

    /// What the service directory and the source definition have in common.
    fn service(&self, dir: Fd, request: &Request, template: Fd, mode: u32) -> Done {
        self.script(dir, &scripts::service(request.user, request.max), mode)?;
        self.write_line(dir, c"notification-fd", b"3")?;
        let copy = self.new_dir(dir, c"template")?;
        let mut failed = Ok(());
        let read = tree::copy(template, copy, &mut |path, e| {
            failed = Err(self.unable(format_args!("copy {} of the template", Printable(path)), e));
        });
        failed.and(read.map_err(|e| self.unable("read the template", e)))
    }

    fn logger(&self, dir: Fd, logger: &Logger<'_>, mode: u32) -> Done {
        self.script(dir, &scripts::logger(logger), mode)?;
        self.write_line(dir, c"notification-fd", b"3")
    }

    fn script(&self, dir: Fd, script: &Script, mode: u32) -> Done {
        let text = script.get().ok_or_else(|| {
            self.cli.refuse("the options make the run script too long");
            Failed(WRONG)
        })?;
        self.write(dir, c"run", text, mode)
    }

    fn write_line(&self, dir: Fd, name: &CStr, line: &[u8]) -> Done {
        let text = CPath::<512>::of(&[line, b"\n"]);
        match text.path() {
            Ok(_) => self.write(dir, name, text.as_bytes(), 0o666),
            Err(e) => Err(self.unable(format_args!("write {}", Printable(name.to_bytes())), e)),
        }
    }

    fn write(&self, dir: Fd, name: &CStr, text: &[u8], mode: u32) -> Done {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let written = file::open(dir, name, flags, mode).and_then(|mut fd| {
            let done = file::write_all(fd, text);
            fd.close();
            done
        });
        written.map_err(|e| self.unable(format_args!("write {}", Printable(name.to_bytes())), e))
    }

    /// A directory that was not there; stays open.
    fn new_dir(&self, dir: Fd, path: &CStr) -> Done<Fd> {
        let made = rustix::fs::mkdirat(dir, path, Mode::from_raw_mode(0o755)).and_then(|()| file::open_dir(dir, path));
        made.map_err(|e| self.unable(format_args!("make the directory {}", Printable(path.to_bytes())), e))
    }

    fn unable(&self, what: impl core::fmt::Display, e: Errno) -> Failed {
        Failed(self.cli.unable(what, e))
    }
}
