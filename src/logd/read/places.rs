//! Where the logs of a service are: where its logger has them open, or in the usual directories under its name.

use crate::limits::LOG_PATH;
use crate::service::{client, status};
use crate::sys::entry::{self, FileType};
use crate::sys::{Errno, Fd, Result, dir, file};
use crate::text::CPath;
use crate::text::number::Decimal;
use core::ffi::CStr;
use core::ops::ControlFlow;

/// Where a scan directory is looked for, as `status` does.
pub const SCANDIRS: [&CStr; 2] = [c"/run/service", c"/service"];
/// Where logdirs usually are.
pub const USUAL: [&CStr; 2] = [c"/run/log", c"/var/log"];

/// The path of a directory.
pub type Path = CPath<LOG_PATH>;

/// Where to look.
pub struct Places<'a> {
    /// `-s`: the scan directory; otherwise the first of [`SCANDIRS`] that is there.
    pub scandir: Option<&'a CStr>,
    /// `-d`: where logdirs are, instead of anywhere else.
    pub directory: Option<&'a CStr>,
}

/// What is told of each directory that is found: the service's name, and the directory.
pub type Found<'a> = &'a mut dyn FnMut(&[u8], &CStr);

impl Places<'_> {
    /// The directories of a service; of a word with a slash, the directory that it is.
    pub fn of_service(&self, word: &CStr, found: Found<'_>) {
        let bytes = word.to_bytes();
        if bytes.contains(&b'/') {
            return found(name_of(bytes), word);
        }
        let mut usual = |parent: &CStr| {
            let path = Path::of(&[parent.to_bytes(), b"/", bytes]);
            if let Some(path) = path.get().filter(|path| is_directory(Fd::CWD, path)) {
                found(bytes, path);
            }
        };
        match self.directory {
            Some(parent) => usual(parent),
            None => {
                USUAL.iter().for_each(|parent| usual(parent));
                let _ = self.with_scandir(|scandir| of_logger(scandir, word, found));
            }
        }
    }

    /// The directories of all services.
    pub fn of_all(&self, found: Found<'_>) {
        let parents = self.directory.as_ref().map_or(&USUAL[..], core::slice::from_ref);
        for parent in parents {
            let walked = dir::visit(Fd::CWD, parent, |name, kind| {
                let path = Path::of(&[parent.to_bytes(), b"/", name.to_bytes()]);
                let may_be = matches!(kind, FileType::Directory | FileType::Symlink | FileType::Unknown);
                if let Some(path) = path.get().filter(|path| may_be && looks_like_logs(path, self.directory.is_none()))
                {
                    found(name.to_bytes(), path);
                }
                ControlFlow::Continue(())
            });
            let _ = walked;
        }
        if self.directory.is_none() {
            let _ = self.with_scandir(|scandir| {
                dir::visit(scandir, c".", |name, _| {
                    if !name.to_bytes().starts_with(b".") {
                        of_logger(scandir, name, found);
                    }
                    ControlFlow::Continue(())
                })
            });
        }
    }

    /// The path of the scan directory.
    pub fn scandir(&self) -> Option<&CStr> {
        match self.scandir {
            Some(path) => Some(path),
            None => SCANDIRS.into_iter().find(|path| is_directory(Fd::CWD, path)),
        }
    }

    fn with_scandir<T>(&self, body: impl FnOnce(Fd) -> T) -> Result<T> {
        file::with_dir(self.scandir().ok_or(Errno::NOENT)?, body)
    }
}

/// The name of the service that a word stands for: of a directory, its last part.
pub fn name_of(word: &[u8]) -> &[u8] {
    let end = word.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    let path = word.get(..end).unwrap_or_default();
    path.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty()).unwrap_or(word)
}

fn is_directory(dir: Fd, path: &CStr) -> bool {
    // Links are followed.
    let opened = file::open_dir(dir, path);
    opened.is_ok_and(|mut fd| {
        fd.close();
        true
    })
}

/// Whether a directory has logs; if it `is_locked`, only if a logger has locked it once, for others may have a file of the
/// same name. One of which that cannot be told has.
fn looks_like_logs(path: &CStr, is_locked: bool) -> bool {
    let looked = file::with_dir(path, |dir| {
        let has_lock = !is_locked || file::exists(dir, c"lock") != Ok(false);
        has_lock && contents(dir) != Ok((false, false))
    });
    looked == Ok(true)
}

/// The directories that the running logger of a service has open. A service without one may be a logger itself.
fn of_logger(scandir: Fd, name: &CStr, found: Found<'_>) {
    let logger = CPath::<LOG_PATH>::of(&[name.to_bytes(), b"/log"]);
    let has_logger = logger.get().is_some_and(|logger| is_directory(scandir, logger));
    let service = if has_logger { logger.get() } else { Some(name) };
    let pid = service.and_then(|service| {
        let mut dir = file::open_dir(scandir, service).ok()?;
        let supervised = client::is_supervised(dir) == Ok(true);
        let status = status::read(dir).ok().filter(|status| supervised && status.is_up());
        dir.close();
        status.map(|status| status.pid)
    });
    if let Some(pid) = pid {
        let _ = of_process(pid, &mut |path| found(name.to_bytes(), path));
    }
}

/// The directories of the logs that a process has open, as its links in /proc tell.
fn of_process(pid: i32, found: &mut dyn FnMut(&CStr)) -> Result<()> {
    let Ok(pid) = u64::try_from(pid) else { return Ok(()) };
    let links = CPath::<32>::of(&[b"/proc/", Decimal::new(pid).as_bytes(), b"/fd"]);
    let links = links.path()?;
    file::with_dir(links, |dir| {
        dir::visit(dir, c".", |name, _| {
            let mut text = [0; LOG_PATH];
            let read = rustix::fs::readlinkat_raw(dir, name, &mut text[..]).map_or(0, |n| n);
            let target = text.get(..read).unwrap_or_default();
            let parent = [&b"/current"[..], b"/ring"].iter().find_map(|end| target.strip_suffix(*end));
            if let Some(parent) = parent {
                let path = Path::of(&[if parent.is_empty() { b"/" } else { parent }]);
                let is_logs =
                    |path: &&CStr| file::with_dir(path, |dir| file::exists(dir, c"lock") != Ok(false)) == Ok(true);
                if let Some(path) = path.get().filter(is_logs) {
                    found(path);
                }
            }
            ControlFlow::Continue(())
        })
    })?
}

/// What a directory has: a logdir, a ring; and whether it can be read.
pub fn contents(dir: Fd) -> Result<(bool, bool)> {
    // Whoever may not list a directory learns here why.
    let mut has_archive = false;
    dir::visit(dir, c".", |name, _| {
        has_archive = super::archive::Archive::of(name).is_some();
        if has_archive { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let is_there = |name: &CStr| entry::kind(dir, name).is_ok();
    Ok((has_archive || is_there(c"current") || is_there(c"previous"), is_there(c"ring")))
}
