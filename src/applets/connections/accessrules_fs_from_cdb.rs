//! `s6-accessrules-fs-from-cdb dir cdbfile`: makes a directory of the access rules in a constant database.
//!
//! `dir` must not be there before. If something fails, it is removed again. Made into a database again, it has the same
//! rules. 100: a record says what a directory cannot say. 111: something cannot be read or written, or the database is
//! damaged.

use crate::access::ruleset::{self, Why};
use crate::access::{Answer, Detail, KeyPath, Rules, rule};
use crate::applets::cli::{Cli, WrongUsage};
use crate::sys::envfile::CLAMP;
use crate::sys::{Errno, Fd, Result, entry, file, tree};
use crate::text::CPath;
use crate::text::cdb::Cdb;
use crate::text::quote::Printable;
use core::ffi::CStr;
use rustix::fs::OFlags;

/// What follows the name on a command line.
pub const USAGE: &str = "dir cdbfile";

/// Of every directory, whatever the umask.
const MODE: u32 = 0o755;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(2)?;
        let (to, from) = (words.get(0).unwrap_or_default(), words.get(1).unwrap_or_default());
        let (name, source) = (Printable(to.to_bytes()), Printable(from.to_bytes()));
        let cdb = match ruleset::read(from) {
            Ok(cdb) => cdb,
            Err(e) => return Ok(cli.fail(format_args!("unable to read {source}: {}", Why(e)))),
        };
        if let Err(e) = new_dir(Fd::CWD, to) {
            return Ok(cli.unable(format_args!("mkdir {name}"), e));
        }
        let filled = file::open_dir(Fd::CWD, to).map_err(|e| cli.unable(format_args!("open {name}"), e));
        let filled = filled.and_then(|mut dir| {
            let filled = fill(cli, &source, dir, cdb);
            dir.close();
            filled
        });
        if filled.is_err() {
            let _ = tree::remove(Fd::CWD, to);
        }
        Ok(filled.err().unwrap_or(0))
    })
}

fn new_dir(dir: Fd, path: &CStr) -> Result<()> {
    entry::new_dir(dir, path)?;
    entry::set_mode(dir, path, MODE)
}

/// Makes all rules. What is wrong is said; the error is the exit code.
fn fill(cli: &Cli, source: &Printable<'_>, dir: Fd, cdb: Cdb<'static>) -> core::result::Result<(), i32> {
    for record in cdb.records() {
        let damaged = |_| cli.fail(format_args!("unable to read {source}: {}", Why(Errno::PROTO)));
        let (key, _) = record.map_err(damaged)?;
        let printed = Printable(key);
        make(dir, cdb, key).map_err(|failure| match failure {
            Failure::Unsayable => cli.refuse(format_args!("{source} has a rule that no directory can have: {printed}")),
            Failure::Rule(e) => cli.fail(format_args!("unable to check {source}: {printed}: {}", Why(e))),
            Failure::Write(e) => cli.unable(format_args!("make the rule {printed}"), e),
        })?;
    }
    Ok(())
}

enum Failure {
    /// A directory cannot say this.
    Unsayable,
    /// The rule cannot be read.
    Rule(Errno),
    /// Something cannot be written.
    Write(Errno),
}

/// Makes one rule. Of two records with the same key the first counts, and is there already.
fn make(dir: Fd, cdb: Cdb<'static>, key: &[u8]) -> core::result::Result<(), Failure> {
    let (kind, name) = key
        .iter()
        .position(|byte| *byte == b'/')
        .and_then(|at| {
            let (kind, rest) = key.split_at_checked(at)?;
            Some((kind, rest.get(1..)?))
        })
        .ok_or(Failure::Unsayable)?;
    if !is_name(kind) || !is_name(name) {
        return Err(Failure::Unsayable);
    }
    let (kind, key) = (KeyPath::of(&[kind]), KeyPath::of(&[key]));
    let (Some(kind), Some(key)) = (kind.get(), key.get()) else { return Err(Failure::Unsayable) };
    match new_dir(dir, kind) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => return Err(Failure::Write(e)),
    }
    match new_dir(dir, key) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(e) => return Err(Failure::Write(e)),
    }
    let mut making = Making { dir, key, has_env: false, done: Ok(()) };
    let answer = rule(Rules::Database(cdb), key, &mut |detail| {
        if making.done.is_ok() {
            making.done = making.detail(detail);
        }
    });
    making.done?;
    match answer {
        Ok(Answer::Allow) => write(dir, &path(key, b"/allow"), &[]),
        Ok(Answer::Deny) => write(dir, &path(key, b"/deny"), &[]),
        // It is among the records, but nobody who looks for it finds it.
        Ok(Answer::Nothing) => Err(Failure::Rule(Errno::PROTO)),
        Err(trouble) => Err(Failure::Rule(trouble.errno)),
    }
}

/// Whether a directory of rules can have an entry of this name, and whoever reads it sees it.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b".") && !name.contains(&b'/') && !name.contains(&0)
}

type Path = CPath<{ 272 + 8 + 256 }>;

fn path(key: &CStr, rest: &[u8]) -> Path {
    Path::of(&[key.to_bytes(), rest])
}

fn write(dir: Fd, path: &Path, pieces: &[&[u8]]) -> core::result::Result<(), Failure> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    let written = path.path().and_then(|path| file::open(dir, path, flags, 0o666)).and_then(|mut fd| {
        let written = pieces.iter().try_for_each(|piece| file::write_all(fd, piece));
        fd.close();
        written
    });
    written.map_err(Failure::Write)
}

struct Making<'a> {
    dir: Fd,
    key: &'a CStr,
    has_env: bool,
    done: core::result::Result<(), Failure>,
}

impl Making<'_> {
    fn detail(&mut self, detail: Detail<'_>) -> core::result::Result<(), Failure> {
        let (name, value) = match detail {
            Detail::Exec(content) => return write(self.dir, &path(self.key, b"/exec"), &[content]),
            Detail::Variable(name, value) => (name, value),
        };
        if !core::mem::replace(&mut self.has_env, true) {
            let env = path(self.key, b"/env");
            env.path().and_then(|env| new_dir(self.dir, env)).map_err(Failure::Write)?;
        }
        if !is_name(name) {
            return Err(Failure::Unsayable);
        }
        let mut file = path(self.key, b"/env/");
        file.push(name);
        let Some(value) = value else { return write(self.dir, &file, &[]) };
        // What is read back is the first line, of so many bytes, without the blanks at its end, and with newlines for NULs.
        let mut line = [0; CLAMP];
        let line = line.get_mut(..value.len()).ok_or(Failure::Unsayable)?;
        if matches!(value, [.., b' ' | b'\t' | b'\r']) {
            return Err(Failure::Unsayable);
        }
        for (to, from) in line.iter_mut().zip(value) {
            *to = if *from == b'\n' { 0 } else { *from };
        }
        write(self.dir, &file, &[line, b"\n"])
    }
}
