//! A small machine of its own, in which the places, addresses and users of documentation exist: a root directory with the
//! system's programs, networks without cables, and process numbers that all end with it.

use crate::stage::{Maker, end_and_output};
use crate::tmp::TempDir;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Commands of linchpin that documentation uses, for which Debian has others or none.
const COMMANDS: &[&str] = &[
    "accessrules-cdb-from-fs",
    "applyuidgid",
    "connlimit",
    "envdir",
    "envuidgid",
    "fdholder-daemon",
    "fdholder-getdump",
    "fdholder-list",
    "fdholder-retrieve",
    "fdholder-setdump",
    "fdholder-store",
    "fdholderd",
    "ioconnect",
    "ipcclient",
    "ipcserver",
    "ipcserver-access",
    "ipcserver-socketbinder",
    "ipcserverd",
    "notify-fd-from-socket",
    "notify-socket-from-fd",
    "setuidgid",
    "sudo",
    "sudoc",
    "sudod",
    "tcpclient",
    "tcpserver",
    "tcpserver-access",
    "tcpserver-socketbinder",
    "tcpserverd",
];

const PASSWD: &str = "root:x:0:0::/:/bin/sh\nserveruser:x:2001:2001::/:/bin/sh\nclientuser:x:2002:2002::/:/bin/sh\n\
                      otheruser:x:2003:2003::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nserveruser:x:2001:\nclientuser:x:2002:\notheruser:x:2003:\nfriends:x:2010:clientuser\n";

/// Makes the machine in the current directory and runs `/script` in it. (The first process of a place of its own is the
/// shell that does this: when it ends, all others do.)
const BEGIN: &str = r"set -e
mkdir -p hostbin proc dev tmp etc/alternatives usr/bin usr/lib usr/lib64 usr/sbin usr/share command my service
ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64; ln -s usr/sbin sbin; ln -s /usr/bin/execlineb command/execlineb
for place in lib lib64 sbin share; do mount --rbind /usr/$place usr/$place; done
mount --bind /usr/bin hostbin
mount --bind /etc/alternatives etc/alternatives
mount --rbind /dev dev
mount -t proc proc proc
chmod 1777 tmp
ip link set lo up
for address in $ADDRESSES; do ip addr add $address/32 dev lo; done
exec chroot . /hostbin/env -i PATH=/usr/bin:/bin /hostbin/sh -c '/hostbin/cp -rsn /hostbin/. /usr/bin/ && exec sh -e /script'
";

/// What every script may use.
const PRELUDE: &str = "wait_for() { until \"$@\" </dev/null >/dev/null 2>&1; do sleep 0.02; done; }\n";

/// The machine.
pub struct House {
    root: TempDir,
}

impl House {
    /// A new one with the programs of `maker`.
    pub fn new(maker: Maker) -> House {
        let house = House { root: TempDir::new() };
        std::fs::create_dir_all(house.path("usr/bin")).unwrap();
        std::fs::create_dir_all(house.path("etc")).unwrap();
        house.file("/etc/passwd", PASSWD);
        house.file("/etc/group", GROUP);
        house.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\n");
        house.file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
        if maker == Maker::Linchpin {
            // cp makes it: no other thread's child can have it open for writing, which would keep it from being executed.
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_linchpin")).arg(house.path("linchpin")).status();
            assert!(copied.unwrap().success());
            for name in COMMANDS {
                symlink("/linchpin", house.path(&format!("usr/bin/s6-{name}"))).unwrap();
            }
        }
        house
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file, with the directories on the way to it.
    pub fn file(&self, path: &str, content: &str) {
        let path: &Path = &self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Writes a program.
    pub fn program(&self, path: &str, content: &str) {
        self.file(path, content);
        std::fs::set_permissions(self.path(path), PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Runs a shell script with these addresses (besides 127.0.0.1 and ::1) to its end: how it ended, and what it wrote to
    /// its standard output. What it starts ends with it.
    pub fn run(&self, addresses: &str, script: &str) -> String {
        self.file("/script", &format!("{PRELUDE}{script}"));
        let mut command = Command::new("timeout");
        command.args(["60", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", BEGIN]);
        command.current_dir(self.root.path()).env("ADDRESSES", addresses).stdin(Stdio::null());
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let seen = end_and_output(command.stderr(log));
        assert!(seen.starts_with("exit 0: "), "{seen}\n{}", self.log());
        seen["exit 0: ".len()..].to_owned()
    }

    /// What was written to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}
