//! Modules of the kernel that the board config asks for, loaded in its order, each with its parameters and what it needs.
//!
//! Where a module is: at the path that is its name; in /lib/modules, as an initramfs with a few of them has it; or where
//! /lib/modules/VERSION/modules.dep says. What the kernel has already, built in or loaded, is passed over.

use super::cmdline::Cmdline;
use crate::board::root::module;
use crate::limits::MODULES_DEP_LINE;
use crate::sys::{Errno, Fd, Result, dir, file, lines};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::modules::{dependencies, is_same, of_file};
use crate::text::quote::Printable;
use crate::{fault_point, info, notice, warning};
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;

/// MODULE_INIT_COMPRESSED_FILE of finit_module(2).
const COMPRESSED: i32 = 4;

/// What became of a module.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is loaded, or cannot be; that has been said.
    Done,
    /// There is none of this name.
    Missing,
}

/// All modules of a board.
pub struct Modules<'m, 'a> {
    wanted: &'m [&'a str],
    cmdline: &'m Cmdline,
    /// A bit for each that was not found.
    missing: u64,
}
const _: () = assert!(crate::limits::BOARD_MODULES <= u64::BITS as usize);

impl<'m, 'a> Modules<'m, 'a> {
    /// Loads those that are there; what goes wrong is said, but for those that are not there.
    pub fn load(wanted: &'m [&'a str], cmdline: &'m Cmdline) -> Modules<'m, 'a> {
        let mut modules = Modules { wanted, cmdline, missing: 0 };
        for (i, words) in wanted.iter().enumerate() {
            let Some((name, _)) = module(words) else { continue };
            if modules.load_one(name.as_bytes()) == Outcome::Missing {
                modules.missing |= 1 << i;
            }
            fault_point!("boot.module");
        }
        modules
    }

    /// Says which were not there.
    pub fn report(&self) {
        let missing = self.wanted.iter().enumerate().filter(|(i, _)| self.missing & 1 << i != 0);
        for (name, _) in missing.filter_map(|(_, words)| module(words)) {
            if name.starts_with('/') {
                warning!("module {name}: there is no such file");
            } else {
                let release = rustix::system::uname();
                let release = Printable(release.release().to_bytes());
                warning!(
                    "module {name}: not in /lib/modules, nor in /lib/modules/{release}/modules.dep: build it in or install it"
                );
            }
        }
    }

    fn load_one(&self, name: &[u8]) -> Outcome {
        if name.starts_with(b"/") {
            let path = CPath::<512>::of(&[name]);
            return self.load_file(Fd::CWD, path.get().unwrap_or_default());
        }
        if is_there(name) {
            return Outcome::Done;
        }
        let mut flat = Outcome::Missing;
        if let Ok(mut top) = file::open_dir(Fd::CWD, c"/lib/modules") {
            let mut found = CPath::<256>::new();
            let _ = dir::visit(top, c".", |entry, _| {
                if of_file(entry.to_bytes()).is_some_and(|(module, _)| is_same(module, name)) {
                    found = CPath::of(&[entry.to_bytes()]);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            if let Some(entry) = found.get().filter(|entry| !entry.is_empty()) {
                flat = self.load_file(top, entry);
            }
            top.close();
        }
        if flat == Outcome::Done { flat } else { self.load_installed(name) }
    }

    /// As depmod(8) has left it.
    fn load_installed(&self, name: &[u8]) -> Outcome {
        let uname = rustix::system::uname();
        let top = CPath::<256>::of(&[b"/lib/modules/", uname.release().to_bytes()]);
        let Ok(mut top) = top.path().and_then(|top| file::open_dir(Fd::CWD, top)) else { return Outcome::Missing };
        let mut line = [0; MODULES_DEP_LINE];
        let outcome = match find_line(top, c"modules.dep", &mut line, |line| dependencies(line, name).is_some()) {
            Ok(Some(len)) => self.load_line(top, line.get(..len).unwrap_or_default(), name),
            _ => {
                let is_it = |line: &[u8]| of_file(line).is_some_and(|(module, _)| is_same(module, name));
                match find_line(top, c"modules.builtin", &mut line, is_it) {
                    Ok(Some(_)) => Outcome::Done,
                    _ => Outcome::Missing,
                }
            }
        };
        top.close();
        outcome
    }

    /// What the module needs, the last first, and the module.
    fn load_line(&self, top: Fd, line: &[u8], name: &[u8]) -> Outcome {
        let Some((path, needed)) = dependencies(line, name) else { return Outcome::Missing };
        for path in needed.rev().chain([path]) {
            let is_loaded = of_file(path).is_some_and(|(module, _)| is_there(module));
            let file = CPath::<512>::of(&[path]);
            if !is_loaded && self.load_file(top, file.get().unwrap_or_default()) == Outcome::Missing {
                warning!("module {}: {} is missing", Printable(name), Printable(path));
            }
        }
        Outcome::Done
    }

    fn load_file(&self, dir: Fd, path: &CStr) -> Outcome {
        let Ok(mut fd) = file::open(dir, path, OFlags::RDONLY | OFlags::NONBLOCK, 0) else { return Outcome::Missing };
        let (name, compressed) = of_file(path.to_bytes()).unwrap_or((path.to_bytes(), false));
        let parameters = self.parameters(name, path.to_bytes());
        let flags = if compressed { COMPRESSED } else { 0 };
        let done = parameters.path().and_then(|parameters| rustix::system::finit_module(fd, parameters, flags));
        fd.close();
        tell(name, compressed, done);
        Outcome::Done
    }

    /// What the board config and the kernel's command line say to a module, be it asked for or needed by another.
    fn parameters(&self, name: &[u8], path: &[u8]) -> CPath<1024> {
        let asked = self.wanted.iter().filter_map(|words| module(words));
        let own = asked.filter(|(asked, _)| is_same(asked.as_bytes(), name) || asked.as_bytes() == path);
        let mut parameters =
            CPath::of(&[own.map(|(_, own)| own).find(|own| !own.is_empty()).unwrap_or_default().as_bytes()]);
        self.cmdline.add_parameters(name, &mut parameters);
        parameters
    }
}

/// Whether the kernel has a module already.
fn is_there(name: &[u8]) -> bool {
    let mut path = CPath::<128>::of(&[b"/sys/module/"]);
    name.iter().for_each(|byte| path.push(&[if *byte == b'-' { b'_' } else { *byte }]));
    path.get().is_some_and(|path| file::exists(Fd::CWD, path) == Ok(true))
}

/// Copies the first line that `is_it` to the beginning of `room`; answers its length.
fn find_line(dir: Fd, path: &CStr, room: &mut [u8], is_it: impl Fn(&[u8]) -> bool) -> Result<Option<usize>> {
    let mut fd = file::open(dir, path, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    let mut found = None;
    let mut buf = [0; MODULES_DEP_LINE];
    let done = lines::visit_fd(fd, &mut buf, &mut |line| {
        if !is_it(line) {
            return ControlFlow::Continue(());
        }
        if let Some(room) = room.get_mut(..line.len()) {
            room.copy_from_slice(line);
            found = Some(line.len());
        }
        ControlFlow::Break(())
    });
    fd.close();
    done.map(|_| found)
}

/// What the kernel's answer means.
fn tell(name: &[u8], compressed: bool, done: Result<()>) {
    let name = Printable(name);
    let why = match done {
        Ok(()) => return info!("module {name} is loaded"),
        Err(Errno::EXIST) => return,
        Err(Errno::NODEV) => return notice!("module {name}: there is no such device here"),
        Err(Errno::NOENT) => "a module that it needs is not loaded: name that before it",
        Err(Errno::NOSYS) => "this kernel takes none: build it in",
        Err(Errno::NOEXEC) => "it was made for another kernel",
        Err(Errno::OPNOTSUPP | Errno::INVAL) if compressed => "this kernel takes no compressed modules: unpack it",
        Err(Errno::INVAL) => "it was made for another kernel, or has no such parameter",
        Err(Errno::NAMETOOLONG) => "its parameters are too long",
        Err(e) => return warning!("module {name} cannot be loaded: {}", Reason(e)),
    };
    warning!("module {name} cannot be loaded: {why}");
}
