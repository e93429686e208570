//! From an initramfs to the root file system: the device is waited for, mounted, and if the board config wants it an overlay
//! lies over it, whose two parts stay visible in /run/linchpin. Then the root is switched ([`switch`]) and its init is executed.
//!
//! What goes wrong is said in one sentence, and process 1 goes on in the initramfs: with the services that are there.

use super::cmdline::{Cmdline, Patience};
use super::device::{Ended, Until, Waiting, is_not_ready};
use super::mounts::{is_mount_point, make_parents, split_options};
use super::switch::{self, Next};
use crate::board::{Board, Root, Source};
use crate::sys::args::Env;
use crate::sys::process::Rlimit;
use crate::sys::time::{MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, lines};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{error, fault_point, notice, warning};
use core::ffi::CStr;
use core::fmt;
use core::ops::ControlFlow;
use rustix::fs::Mode;
use rustix::mount::MountFlags;

/// Where the root is mounted before it is the root.
const ROOT: &CStr = c"/sysroot";
/// The parts of an overlay.
const LOWER: &CStr = c"/run/linchpin/lower";
/// See [`LOWER`].
const UPPER: &CStr = c"/run/linchpin/upper";
/// The directories of the upper file system that are used, and what an overlay is told.
const UPPER_DIR: &CStr = c"/run/linchpin/upper/upper";
/// See [`UPPER_DIR`].
const WORK_DIR: &CStr = c"/run/linchpin/upper/work";
/// See [`UPPER_DIR`].
const LAYERS: &CStr =
    c"lowerdir=/run/linchpin/lower,upperdir=/run/linchpin/upper/upper,workdir=/run/linchpin/upper/work";

/// More than `rootdelay=` means to say is not waited.
const LONGEST_DELAY: Nanos = 3600 * SECOND;

/// Why process 1 stays where it is.
enum Trouble<'a> {
    /// Nobody says what the root is.
    NoName,
    /// It is no device.
    BadName(&'a [u8], &'static str),
    /// It did not come in time.
    Late(&'a [u8], Nanos),
    /// It cannot be mounted; as what.
    Mount(&'a [u8], &'a [u8], Errno),
    /// Nor can the overlay.
    Overlay(Errno),
    /// The directories of the upper file system cannot be made.
    Upper(&'a [u8], Errno),
    /// There is nothing to be executed there.
    NoInit(&'a [u8]),
    /// What cannot be done.
    Switch(&'static str, Errno),
    /// Somebody wants the machine to go down.
    Asked,
}

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Trouble::NoName => {
                f.write_str("root: neither [root] device nor root= on the kernel's command line says what it is")
            }
            Trouble::BadName(word, wrong) => write!(f, "root: {} {wrong}", Printable(word)),
            Trouble::Late(word, waited) => write!(
                f,
                "root: {} did not appear within {} ms: its name is wrong, or its driver is not among [boot] modules",
                Printable(word),
                waited / MILLI
            ),
            Trouble::Mount(word, kind, why) => {
                write!(f, "root: cannot mount {}", Printable(word))?;
                if !kind.is_empty() {
                    write!(f, " as {}", Printable(kind))?;
                }
                write!(f, ": {}: ", Reason(why))?;
                f.write_str(match (why, kind.is_empty()) {
                    (Errno::NODEV, _) => "the kernel does not know that file system: name its module in [boot] modules",
                    (Errno::INVAL, true) => {
                        "no file system that the kernel knows is on it: name the module of the right one in [boot] modules"
                    }
                    (Errno::INVAL, false) => "it holds another file system, a damaged one, or does not know these options",
                    (Errno::NOTBLK, _) => "it is no block device",
                    _ => "check the device",
                })
            }
            Trouble::Overlay(why) => {
                write!(f, "root: cannot mount the overlay: {}: ", Reason(why))?;
                f.write_str(match why {
                    Errno::NODEV => "name the module overlay in [boot] modules",
                    _ => "its upper file system must be one that can be written and has extended attributes",
                })
            }
            Trouble::Upper(word, why) => {
                write!(f, "root: cannot make the overlay's directories on {}: {}", Printable(word), Reason(why))
            }
            Trouble::NoInit(word) => {
                write!(
                    f,
                    "root: {} has neither /sbin/init nor a board config: it is another device, or not complete",
                    Printable(word)
                )
            }
            Trouble::Switch(what, why) => write!(f, "root: cannot {what}: {}", Reason(why)),
            Trouble::Asked => f.write_str("root: the machine is to go down: it is not waited for"),
        }
    }
}

/// Whether process 1 is to go on to another root: the board config has a `[root]`, and the root that there is is an
/// initramfs, to which nobody has switched.
pub fn is_wanted(board: &Board<'_>, env: Env) -> bool {
    board.root().wanted && !switch::has_switched(env) && is_in_memory(Fd::CWD, c"/")
}

/// Whether a directory is on a ramfs or a tmpfs.
pub fn is_in_memory(dir: Fd, path: &CStr) -> bool {
    const RAMFS: u32 = 0x8584_58f6;
    const TMPFS: u32 = 0x0102_1994;
    let Ok(mut fd) = file::open_dir(dir, path) else { return false };
    let stat = rustix::fs::fstatfs(fd);
    fd.close();
    stat.is_ok_and(|stat| matches!(stat.f_type as u32, RAMFS | TMPFS))
}

/// Goes there, and does not come back, unless it cannot be done: that is said. `nofile` is what the next program gets back
/// as its limit of descriptors; `started`: when the boot has begun.
#[inline(never)] // its buffers are large
pub fn go(board: &Board<'_>, cmdline: &Cmdline, binary: Fd, nofile: Option<Rlimit>, started: Nanos) {
    let word = board.root().device.map_or(cmdline.root.as_bytes(), str::as_bytes);
    let mut waiting = Waiting::begin(word);
    let prepared = prepare(&board.root(), cmdline, word, &mut waiting);
    let asked = waiting.is_asked();
    waiting.end();
    let trouble = match prepared {
        Ok(_) if asked => Trouble::Asked,
        Ok(next) => match switch::switch(ROOT) {
            Ok(()) => return switch::execute(&next, binary, nofile, started),
            Err((what, why)) => Trouble::Switch(what, why),
        },
        Err(trouble) => trouble,
    };
    if matches!(trouble, Trouble::Asked) {
        notice!("{trouble}");
    } else {
        error!("{trouble}; process 1 goes on in the initramfs");
    }
}

/// All that is there before the root can be switched: what is to be executed then.
fn prepare<'a>(
    root: &Root<'a>,
    cmdline: &'a Cmdline,
    word: &'a [u8],
    waiting: &mut Waiting<'_>,
) -> core::result::Result<Next, Trouble<'a>> {
    if word.is_empty() {
        return Err(Trouble::NoName);
    }
    let source = Source::parse(word).map_err(|wrong| Trouble::BadName(word, wrong))?;
    if cmdline.delay > 0 {
        let until = Until::from_now(cmdline.delay.min(LONGEST_DELAY));
        while waiting.pause(until) != Err(Ended::TimeOut) {
            if waiting.is_asked() {
                return Err(Trouble::Asked);
            }
        }
    }
    let patience = match cmdline.patience {
        Patience::Endless => None,
        Patience::For(wait) => Some(wait),
        Patience::Unsaid => Some(root.timeout),
    };
    let written = cmdline.root_kind.as_bytes();
    let disk = Disk { word, source, kind: root.kind.map_or(written, str::as_bytes), patience };
    let place = if root.overlay.is_some() { LOWER } else { ROOT };
    let options = options(root, cmdline);
    disk.mount(place, options.as_bytes(), waiting)?;
    fault_point!("boot.root");
    if let Some(overlay) = root.overlay {
        mount_overlay(root, overlay, patience, waiting)?;
    }
    find_next(cmdline).ok_or(Trouble::NoInit(word))
}

/// The root's options. `ro` or `rw` is what the board config says last, else what the kernel's command line does, else the
/// former; below an overlay nothing is changed.
fn options(root: &Root<'_>, cmdline: &Cmdline) -> CPath<1024> {
    let all = || {
        let both = [root.options.unwrap_or_default().as_bytes(), cmdline.root_options.as_bytes()];
        both.into_iter().flat_map(|all| all.split(|byte| *byte == b',')).filter(|option| !option.is_empty())
    };
    let is_said = |option: &&[u8]| matches!(*option, b"ro" | b"rw");
    let is_writable = all().rfind(is_said).map_or(cmdline.writable == Some(true), |last| last == b"rw");
    let mut options = CPath::of(&[if is_writable && root.overlay.is_none() { b"rw" } else { b"ro" }]);
    for option in all().filter(|option| !is_said(option)) {
        options.push(b",");
        options.push(option);
    }
    options
}

/// A device, and what is known of the file system on it.
struct Disk<'a> {
    word: &'a [u8],
    source: Source<'a>,
    /// Types to try, with commas between them; empty: all that the kernel knows.
    kind: &'a [u8],
    /// `None`: for ever.
    patience: Option<Nanos>,
}

impl<'a> Disk<'a> {
    /// Waits for it and mounts it, unless something is mounted there already: by an earlier incarnation.
    fn mount(&self, target: &CStr, options: &[u8], waiting: &mut Waiting<'_>) -> core::result::Result<(), Trouble<'a>> {
        make_parents(target.to_bytes());
        let _ = rustix::fs::mkdir(target, Mode::from_raw_mode(0o755));
        if is_mount_point(target) {
            return Ok(());
        }
        let until = self.patience.map_or(Until::Ever, Until::from_now);
        let ended = |ended| match ended {
            Ended::Asked => Trouble::Asked,
            Ended::TimeOut => Trouble::Late(self.word, self.patience.unwrap_or(0)),
        };
        let trouble = |why| Trouble::Mount(self.word, self.kind, why);
        loop {
            let node = waiting.device(&self.source, until).map_err(ended)?;
            let node = node.path().map_err(trouble)?;
            match mount_as_any(node, target, self.kind, options) {
                Ok(kind) => {
                    let (word, options) = (Printable(self.word), Printable(options));
                    notice!(
                        "{word} ({}) is mounted on {}, {options}",
                        Printable(kind.as_bytes()),
                        Printable(target.to_bytes())
                    );
                    return Ok(());
                }
                Err(why) if is_not_ready(why) => match waiting.pause(until) {
                    Ok(()) => {}
                    Err(Ended::TimeOut) => return Err(trouble(why)),
                    Err(Ended::Asked) => return Err(Trouble::Asked),
                },
                Err(why) => return Err(trouble(why)),
            }
        }
    }
}

/// Mounts a device as one of several types; answers which.
fn mount_as_any(node: &CStr, target: &CStr, kinds: &[u8], options: &[u8]) -> Result<CPath<64>> {
    let mut failed = Err(Errno::INVAL);
    let mut try_one = |kind: &[u8]| {
        let kind = CPath::<64>::of(&[kind]);
        match kind.path().and_then(|name| mount_as(node, target, name, options)) {
            Ok(()) => {
                failed = Ok(kind);
                return ControlFlow::Break(());
            }
            // What is said about another file system than the one that is there is no news.
            Err(why) if !matches!(failed, Err(Errno::INVAL)) && why == Errno::INVAL => {}
            Err(why) => failed = Err(why),
        }
        ControlFlow::Continue(())
    };
    if kinds.is_empty() {
        let mut line = [0; 128];
        let mut each = |line: &[u8]| match line.strip_prefix(b"\t") {
            Some(kind) => try_one(kind),
            None => ControlFlow::Continue(()), // it has no device
        };
        lines::visit(c"/proc/filesystems", &mut line, &mut each)?;
    } else {
        for kind in kinds.split(|byte| *byte == b',').filter(|kind| !kind.is_empty()) {
            if try_one(kind).is_break() {
                break;
            }
        }
    }
    failed
}

fn mount_as(node: &CStr, target: &CStr, kind: &CStr, options: &[u8]) -> Result<()> {
    let options = split_options(options);
    let data = options.data.path()?;
    let flags = options.flags | MountFlags::SILENT;
    match rustix::mount::mount(node, target, kind, flags, Some(data)) {
        // It can only be read.
        Err(Errno::ACCESS | Errno::ROFS) => {
            rustix::mount::mount(node, target, kind, flags | MountFlags::RDONLY, Some(data))
        }
        done => done,
    }
}

fn mount_overlay<'a>(
    root: &Root<'a>,
    overlay: &'a str,
    patience: Option<Nanos>,
    waiting: &mut Waiting<'_>,
) -> core::result::Result<(), Trouble<'a>> {
    let word = overlay.as_bytes();
    let options = root.overlay_options.unwrap_or_default().as_bytes();
    if overlay == "tmpfs" {
        mount_tmpfs(options).map_err(|why| Trouble::Mount(word, b"", why))?;
    } else {
        let source = Source::parse(word).map_err(|wrong| Trouble::BadName(word, wrong))?;
        let kind = root.overlay_kind.unwrap_or_default().as_bytes();
        Disk { word, source, kind, patience }.mount(UPPER, options, waiting)?;
    }
    fault_point!("boot.upper");
    for dir in [UPPER_DIR, WORK_DIR] {
        file::make_dir(Fd::CWD, dir, 0o755).map_err(|why| Trouble::Upper(word, why))?;
    }
    let _ = rustix::fs::mkdir(ROOT, Mode::from_raw_mode(0o755));
    if is_mount_point(ROOT) {
        return Ok(());
    }
    rustix::mount::mount(c"overlay", ROOT, c"overlay", MountFlags::empty(), Some(LAYERS)).map_err(Trouble::Overlay)?;
    fault_point!("boot.overlay");
    Ok(())
}

fn mount_tmpfs(options: &[u8]) -> Result<()> {
    make_parents(UPPER.to_bytes());
    let _ = rustix::fs::mkdir(UPPER, Mode::from_raw_mode(0o755));
    if is_mount_point(UPPER) {
        return Ok(());
    }
    let options = split_options(options);
    let data = CPath::<512>::of(&[b"mode=0755,", options.data.as_bytes()]);
    rustix::mount::mount(c"overlay", UPPER, c"tmpfs", options.flags, Some(data.path()?))
}

/// What is to be executed: what the kernel's command line says, else /sbin/init; without those, this binary, if there is a
/// board config for it.
fn find_next(cmdline: &Cmdline) -> Option<Next> {
    let asked = cmdline.init.as_bytes();
    if !asked.is_empty() {
        if is_on_root(asked) {
            return Some(Next(cmdline.init.clone()));
        }
        warning!("root: init={} is not there: it is /sbin/init", Printable(asked));
    }
    if is_on_root(b"/sbin/init") {
        return Some(Next(CPath::of(&[b"/sbin/init"])));
    }
    is_on_root(cmdline.board.as_bytes()).then_some(Next(CPath::new()))
}

/// Whether a path is there on the new root, links followed as it would be there.
fn is_on_root(path: &[u8]) -> bool {
    use rustix::fs::{OFlags, ResolveFlags};
    let path = CPath::<512>::of(&[path]);
    let Some(path) = path.get().filter(|path| path.to_bytes().starts_with(b"/")) else { return false };
    let Ok(mut root) = file::open_dir(Fd::CWD, ROOT) else { return false };
    let opened = rustix::fs::openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT);
    let is_there = match opened {
        Ok(fd) => {
            Fd::from_owned(fd).close();
            true
        }
        // A kernel without that call: a link is believed.
        Err(Errno::NOSYS | Errno::PERM) => {
            let inside = CPath::<600>::of(&[ROOT.to_bytes(), path.to_bytes()]);
            inside.path().and_then(rustix::fs::lstat).is_ok()
        }
        Err(_) => false,
    };
    root.close();
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::load;

    fn told(text: &str, line: &[u8]) -> String {
        let (mut scratch, mut board) = ([0; 64], Board::new());
        assert_eq!(load(&mut board, text.as_bytes(), &mut scratch, &mut |_| ()), 0);
        String::from_utf8(options(&board.root(), &Cmdline::of(line)).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_board_decides_whether_the_root_can_be_written_then_the_command_line() {
        assert_eq!(told("[root]", b""), "ro");
        assert_eq!(told("[root]", b"rw rootflags=data=journal,noatime"), "rw,data=journal,noatime");
        assert_eq!(told("[root]\noptions='noatime'", b"rw"), "rw,noatime");
        assert_eq!(told("[root]\noptions='ro,noatime,'", b"rw rootflags=x"), "ro,noatime,x");
        assert_eq!(told("[root]\noptions='rw'", b"ro"), "rw");
        assert_eq!(told("[root]\noptions='rw'\noverlay='tmpfs'", b"rw"), "ro");
    }

    #[test]
    fn a_directory_on_a_disk_is_not_in_memory() {
        assert!(!is_in_memory(Fd::CWD, c"/proc"));
        assert!(!is_in_memory(Fd::CWD, c"/nonexistent"));
    }

    #[test]
    fn what_is_no_file_system_at_all_is_said_with_the_reason() {
        let null = mount_as_any(c"/dev/null", c"/nonexistent", b"ext4,squashfs", b"ro");
        assert!(null.is_err());
        let sentence = Trouble::Mount(b"/dev/x", b"squashfs", Errno::NODEV).to_string();
        assert!(sentence.starts_with("root: cannot mount /dev/x as squashfs: No such device: "), "{sentence}");
        let sentence = Trouble::Late(b"/dev/x", 3 * SECOND).to_string();
        assert!(sentence.starts_with("root: /dev/x did not appear within 3000 ms: "), "{sentence}");
    }
}
