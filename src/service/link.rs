//! Adding a service to a live scan directory, and taking it away again: s6-svlink(8), s6-svunlink(8). Whoever asks waits
//! until the supervisors of the service and of its logger run, or are gone.

use super::client;
use super::event::{self, Access, Subscription};
use super::files;
use crate::sys::entry::{self, FileType};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, file, poll};
use core::ffi::CStr;

/// Whether the service comes up at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// As its `down` file says.
    AsIs,
    /// It stays down (`-d`): it has a `down` file until its supervisor has seen it.
    Down,
    /// It stays down for good (`-D`): it keeps the `down` file.
    DownForGood,
}

/// How to add a service.
#[derive(Clone, Copy, Debug)]
pub struct Linking<'a> {
    /// The scan directory.
    pub scandir: Fd,
    /// The service directory.
    pub service: Fd,
    /// Name of the link in the scan directory.
    pub name: &'a CStr,
    /// Text of the link.
    pub target: &'a CStr,
    /// Whether it comes up.
    pub start: Start,
    /// Who may listen to its events.
    pub access: Access,
    /// Whether that holds for fifodirs that are there already.
    pub force: bool,
    /// When to give up, on the boot-time clock.
    pub deadline: Option<Nanos>,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Linked {
    /// The supervisors run.
    Started,
    /// They ran already.
    AlreadySupervised,
}

/// Why a service could not be added. Nothing of the attempt is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkError {
    /// It is no service directory: what is wrong with it.
    Unfit(&'static str),
    /// A system call failed: what could not be done ("unable to …").
    System(&'static str, Errno),
    /// No supervisor came in time.
    TimedOut,
}

/// A service or its logger.
struct Part {
    dir: Fd,
    subscription: Option<Subscription>,
    /// The `down` file is ours.
    made_down: bool,
}

/// The service, and its logger if it has one.
struct Parts {
    service: Part,
    logger: Option<Part>,
}

impl Part {
    /// Takes the directory `dir`.
    fn new(dir: Fd) -> Part {
        Part { dir, subscription: None, made_down: false }
    }

    fn close(&mut self) {
        if let Some(mut subscription) = self.subscription.take() {
            subscription.close();
        }
        self.dir.close();
    }

    /// Waits until the event `wanted` comes. ETIMEDOUT: it did not.
    fn until(&self, wanted: u8, deadline: Option<Nanos>) -> Result<()> {
        let Some(subscription) = &self.subscription else { return Ok(()) };
        let mut buf = [0; 64];
        loop {
            poll::readable(subscription.fd(), deadline)?;
            let n = subscription.read(&mut buf)?.unwrap_or(0);
            if buf.iter().take(n).any(|byte| *byte == wanted) {
                return Ok(());
            }
        }
    }

    /// Makes the fifodir, the `down` file, and listens.
    fn prepare(&mut self, how: &Linking<'_>) -> core::result::Result<(), LinkError> {
        let system = |what| move |e| LinkError::System(what, e);
        if how.start != Start::AsIs {
            self.made_down = !file::exists(self.dir, c"down").map_err(system("look for the down file"))?;
            files::set_down(self.dir, true).map_err(system("make the down file"))?;
        }
        let made = event::make(self.dir, c"event", how.access).map_err(system("make the fifodir"))?;
        if !made && how.force {
            event::set_access(self.dir, c"event", how.access).map_err(system("change the fifodir"))?;
        }
        let subscription = Subscription::open(self.dir, c"event").map_err(system("subscribe to the events"))?;
        self.subscription = Some(subscription);
        Ok(())
    }
}

impl Parts {
    /// Opens both. ENOTDIR: `log` is something else than a directory.
    fn open(service: Fd) -> Result<Parts> {
        let service = Part::new(file::open_dir(service, c".")?);
        let logger = match file::open_dir(service.dir, c"log") {
            Ok(dir) => Some(Part::new(dir)),
            Err(Errno::NOENT) => None,
            Err(e) => {
                Parts { service, logger: None }.close();
                return Err(e);
            }
        };
        Ok(Parts { service, logger })
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Part> {
        core::iter::once(&mut self.service).chain(&mut self.logger)
    }

    fn close(&mut self) {
        self.each().for_each(Part::close);
    }
}

fn check_run(dir: Fd, missing: &'static str, unfit: &'static str) -> core::result::Result<(), LinkError> {
    let attributes = entry::attributes(dir, c"run").map_err(|e| LinkError::System(missing, e))?;
    if attributes.mode & 0o100 == 0 { Err(LinkError::Unfit(unfit)) } else { Ok(()) }
}

/// Adds a service and waits until its supervisors run. If they run already, only the link is made.
pub fn link(how: &Linking<'_>) -> core::result::Result<Linked, LinkError> {
    let mut parts = Parts::open(how.service).map_err(|e| match e {
        Errno::NOTDIR => LinkError::Unfit("log is not a directory"),
        e => LinkError::System("open the service directory", e),
    })?;
    let done = link_parts(how, &mut parts);
    parts.close();
    done
}

fn link_parts(how: &Linking<'_>, parts: &mut Parts) -> core::result::Result<Linked, LinkError> {
    let system = |what| move |e| LinkError::System(what, e);
    check_run(parts.service.dir, "stat run", "run is not executable")?;
    let supervised = client::is_supervised(parts.service.dir).map_err(system("check the service"))?;
    if let Some(logger) = &parts.logger {
        check_run(logger.dir, "stat log/run", "log/run is not executable")?;
        if client::is_supervised(logger.dir).map_err(system("check the logger"))? != supervised {
            return Err(LinkError::System("use a service of which half is supervised", Errno::INVAL));
        }
    }
    if supervised {
        let there = || entry::kind_of_link(how.scandir, how.name) == Ok(FileType::Symlink);
        match entry::make_link(how.scandir, how.name, how.target) {
            Err(Errno::EXIST) if there() => {}
            done => done.map_err(system("make the link"))?,
        }
        let _ = client::command_scanner(how.scandir, b"a");
        return Ok(Linked::AlreadySupervised);
    }
    let done = start(how, parts);
    if done.is_err() || how.start == Start::Down {
        for part in parts.each() {
            if done.is_ok() || part.made_down {
                let _ = files::set_down(part.dir, false);
            }
        }
    }
    done.map(|()| Linked::Started)
}

/// Makes the link and waits; if that fails, the link is gone again.
fn start(how: &Linking<'_>, parts: &mut Parts) -> core::result::Result<(), LinkError> {
    for part in parts.each() {
        part.prepare(how)?;
    }
    entry::make_link(how.scandir, how.name, how.target).map_err(|e| LinkError::System("make the link", e))?;
    let done = match client::command_scanner(how.scandir, b"a") {
        Ok(()) => parts.each().try_for_each(|part| part.until(b's', how.deadline)).map_err(|e| match e {
            Errno::TIMEDOUT => LinkError::TimedOut,
            e => LinkError::System("wait for the supervisor", e),
        }),
        Err(client::SendError::NotListening) => Err(LinkError::System("tell the scanner", Errno::NXIO)),
        Err(client::SendError::Odd(e) | client::SendError::System(e)) => Err(LinkError::System("tell the scanner", e)),
    };
    if done.is_err() {
        let _ = entry::remove(how.scandir, how.name);
        let _ = client::command_scanner(how.scandir, b"an");
        // Supervisors that came after all: the service goes down, its logger when it has read everything.
        let quiet = how.start != Start::AsIs;
        let _ = client::command_supervisor(parts.service.dir, if quiet { b"x" } else { b"xd" });
        if let Some(logger) = &parts.logger {
            let _ = client::command_supervisor(logger.dir, if quiet { b"x" } else { b"xo" });
        }
    }
    done
}

/// Takes the entry `name` away from a scan directory, has its supervisors ended and, with `wait`, waits until they are
/// gone or `deadline` has passed. What is not there, or not supervised, is not waited for, nor is it an error.
pub fn unlink(
    scandir: Fd,
    name: &CStr,
    wait: bool,
    deadline: Option<Nanos>,
) -> core::result::Result<(), (&'static str, Errno)> {
    let mut parts = None;
    if wait {
        // By descriptor: the path is gone with the link.
        parts = file::open_dir(scandir, name)
            .and_then(|mut dir| {
                let parts = Parts::open(dir);
                dir.close();
                parts
            })
            .ok();
    }
    let done = unlink_parts(scandir, name, parts.as_mut(), deadline);
    parts.iter_mut().for_each(Parts::close);
    done
}

fn unlink_parts(
    scandir: Fd,
    name: &CStr,
    mut parts: Option<&mut Parts>,
    deadline: Option<Nanos>,
) -> core::result::Result<(), (&'static str, Errno)> {
    for part in parts.iter_mut().flat_map(|parts| parts.each()) {
        if client::is_supervised(part.dir) == Ok(true) {
            part.subscription =
                Some(Subscription::open(part.dir, c"event").map_err(|e| ("subscribe to the events", e))?);
        }
    }
    match entry::remove(scandir, name) {
        Ok(()) | Err(Errno::NOENT | Errno::ISDIR | Errno::NOTDIR) => {}
        Err(e) => return Err(("remove the link", e)),
    }
    if client::command_scanner(scandir, b"an").is_ok() {
        for part in parts.iter_mut().flat_map(|parts| parts.each()) {
            match part.until(b'x', deadline) {
                Ok(()) | Err(Errno::TIMEDOUT) => {}
                Err(e) => return Err(("wait for the supervisor", e)),
            }
        }
    }
    Ok(())
}
