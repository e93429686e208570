//! A root file system as Buildroot makes it for BusyBox init.

use crate::world::World;
use linchpin::sys::Fd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What /bin/sh is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shell {
    Busybox,
    Dash,
}

pub const SHELLS: [Shell; 2] = [Shell::Busybox, Shell::Dash];

/// Files of linchpin's that make an image of BusyBox init's one of linchpin's.
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rootfs/usr/lib/linchpin");

/// What Buildroot's inittab has besides the getty, in its order.
pub const SYSINIT: &str = "\
::sysinit:/bin/mount -t proc proc /proc
::sysinit:/bin/mkdir -p /dev/pts /dev/shm
::sysinit:/bin/mount -a
::sysinit:/bin/mkdir -p /run/lock/subsys
null::sysinit:/bin/ln -sf /proc/self/fd /dev/fd
::sysinit:/bin/hostname -F /etc/hostname
::sysinit:/etc/init.d/rcS
";
pub const SHUTDOWN: &str = "\
::shutdown:/etc/init.d/rcK
::shutdown:/bin/sh -c 'echo after rcK >>/order; cat /proc/1/comm >>/order'
::shutdown:/bin/umount -a -r
";

/// Mounts of a read-only root: what must be writable is in memory.
const FSTAB: &str = "\
/dev/root  /         ext2    rw,noauto                            0 1
proc       /proc     proc    defaults                             0 0
devpts     /dev/pts  devpts  defaults,gid=5,mode=620,ptmxmode=666 0 0
tmpfs      /dev/shm  tmpfs   mode=1777                            0 0
tmpfs      /tmp      tmpfs   mode=1777                            0 0
tmpfs      /run      tmpfs   mode=0755,nosuid,nodev               0 0
sysfs      /sys      sysfs   defaults                             0 0
";

/// Starts, or in reverse order stops, what is in /etc/init.d.
const RC_S: &str = "#!/bin/sh\nfor script in /etc/init.d/S??*; do [ ! -f \"$script\" ] || \"$script\" start; done\n";
const RC_K: &str =
    "#!/bin/sh\nfor script in $(ls -r /etc/init.d/S??*); do [ ! -f \"$script\" ] || \"$script\" stop; done\n";

/// A start script that writes down what it was told.
pub fn start_script(name: &str) -> String {
    format!("#!/bin/sh\necho {name} $1 >>/order\n")
}

/// An image with this /etc/inittab; without one if it is empty.
pub fn image(shell: Shell, inittab: &str) -> World {
    let world = base(shell);
    for file in ["inittab", "bridge.toml"] {
        let mode = if file == "inittab" { 0o755 } else { 0o644 };
        let text = fs::read_to_string(format!("{OURS}/{file}")).unwrap();
        world.file(&format!("usr/lib/linchpin/{file}"), mode, &text);
    }
    world.file("etc/fstab", 0o644, FSTAB);
    world.file("etc/hostname", 0o644, "buildroot\n");
    world.file("etc/init.d/rcS", 0o755, RC_S);
    world.file("etc/init.d/rcK", 0o755, RC_K);
    world.file("etc/init.d/S01first", 0o755, &start_script("S01first"));
    world.file("etc/init.d/S40second", 0o755, &start_script("S40second"));
    if !inittab.is_empty() {
        world.file("etc/inittab", 0o644, inittab);
    }
    let board = fs::read_to_string(format!("{OURS}/bridge.toml")).unwrap();
    world.board(&board)
}

/// A root with a shell, BusyBox for everything else, and linchpin.
pub fn base(shell: Shell) -> World {
    let world = World::new().with_console().with_setup("umount \"$root/usr\"; node /dev/tty tty");
    for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc/init.d", "root", "var"] {
        fs::create_dir_all(world.path(folder)).unwrap();
    }
    symlink("../run", world.path("var/run")).unwrap();
    let busybox = crate::root::root().join("bin/busybox");
    fs::copy(&busybox, world.path("usr/bin/busybox")).unwrap();
    let applets = Command::new(&busybox).arg("--list-full").output().unwrap();
    for applet in String::from_utf8(applets.stdout).unwrap().lines() {
        // What is to be in /sbin is there; linchpin's own names are not: the bridge needs none of them.
        let name = applet.rsplit('/').next().unwrap();
        let place = if applet.contains("sbin/") { format!("sbin/{name}") } else { format!("usr/bin/{name}") };
        if name != "init" && name != "busybox" {
            let _ = fs::remove_file(world.path(&place));
            symlink("/bin/busybox", world.path(&place)).unwrap();
        }
    }
    if shell == Shell::Dash {
        fs::remove_file(world.path("usr/bin/sh")).unwrap();
        take(&world, Path::new("/usr/bin/dash"));
        symlink("dash", world.path("usr/bin/sh")).unwrap();
    }
    world
}

/// A program of the host, or of the tree of daemons, and the libraries that it needs.
pub fn take(world: &World, program: &Path) {
    let tree = crate::root::root();
    let libraries = ["usr/lib", "lib"].map(|dir| tree.join(dir).join(crate::root::multiarch()).display().to_string());
    let listed = Command::new("ldd").arg(program).env("LD_LIBRARY_PATH", libraries.join(":")).output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    for file in text.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new).chain([program]) {
        let place = file.strip_prefix(&tree).or_else(|_| file.strip_prefix("/")).unwrap();
        let target = world.path(place.to_str().unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        // One that others have, or a link to BusyBox, is replaced.
        let _ = fs::remove_file(&target);
        fs::copy(file, target).unwrap();
    }
}

/// The other side of a terminal, as somebody who sits there has it.
pub struct Screen {
    file: File,
    seen: String,
}

impl Screen {
    pub fn of(file: File) -> Screen {
        Screen { file, seen: String::new() }
    }

    /// Waits until it shows this, after what was waited for before.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let deadline = Instant::now() + crate::lines::PATIENCE;
        let mut buf = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            match self.file.read(&mut buf) {
                Ok(n) if n > 0 => self.seen.push_str(&String::from_utf8_lossy(&buf[..n])),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let limit = Timespec { tv_sec: 1, tv_nsec: 0 };
                    let _ = poll(&mut [PollFd::new(&Fd(self.file.as_raw_fd()), PollFlags::IN)], Some(&limit));
                }
                // Nobody has the other side open at the moment.
                _ => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
            assert!(Instant::now() < deadline, "no {text:?} in: {}", self.seen);
        }
    }

    /// Types.
    pub fn say(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
    }
}
