//! The root directory of a machine to be: what process 1 finds when it is started.

use crate::lines::Lines;
use crate::machine::Machine;
use crate::pty;
use crate::tmp::TempDir;
use linchpin::sys::Fd;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// User 0 of the namespaces is this one outside (if we are root ourselves; otherwise it is us).
const SHIFT: u32 = 100_000;

/// Runs as process 1 of the new namespaces, as their root, and goes on as the binary. Everything that it mounts is seen
/// in these namespaces only.
const SETUP: &str = r#"
set -eu
root=$1 kmsg=$2 console=$3 extra=$4
shift 4
node() {
    : >"$root/dev/$2"
    mount --bind "$1" "$root/dev/$2"
}
mount --bind "$root" "$root"
mount -t tmpfs -o mode=0755 dev "$root/dev"
for name in null zero full random urandom; do node /dev/$name $name; done
[ -z "$kmsg" ] || node "$kmsg" kmsg
[ -z "$console" ] || node "$console" console
mount --bind /usr "$root/usr"
umask 022
# Without a map of groups there is no group tty, which process 1 would ask for.
if ! grep -q 65536 /proc/self/gid_map; then
    mkdir "$root/dev/pts"
    mount -t devpts -o ptmxmode=666 devpts "$root/dev/pts"
fi
eval "$extra"
exec env -u PATH /usr/sbin/chroot "$root" /sbin/init "$@"
"#;

/// A root directory, and what else the machine starts with.
pub struct World {
    dir: TempDir,
    board: bool,
    has_kmsg: bool,
    pub console: Option<(File, PathBuf)>,
    extra: String,
    args: Vec<String>,
}

impl World {
    /// A root with the host's programs in /usr, our commands in /sbin, users root, hello (uid 7) and nobody, an empty folder of service templates and
    /// no board config. /dev has the usual nodes, a kmsg that the test reads, and no console.
    pub fn new() -> World {
        let dir = TempDir::new();
        let world = World { dir, board: false, has_kmsg: true, console: None, extra: String::new(), args: Vec::new() };
        for path in ["usr", "sbin", "dev", "proc", "sys", "run", "tmp", "etc/linchpin/service"] {
            fs::create_dir_all(world.path(path)).unwrap();
        }
        for name in ["bin", "lib", "lib64"] {
            if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
                symlink(target, world.path(name)).unwrap();
            }
        }
        world.file("etc/passwd", 0o644, "root:x:0:0::/:/bin/sh\nhello:x:7:8::/:/bin/sh\nnobody:x:65534:65534::/:\n");
        world.file("etc/group", 0o644, "root:x:0:\nhello:x:8:\n");
        let binary = env!("CARGO_BIN_EXE_linchpin");
        let copy = world.path("sbin/linchpin");
        fs::hard_link(binary, &copy).or_else(|_| fs::copy(binary, &copy).map(drop)).unwrap();
        let mut install = Command::new(binary);
        assert!(install.arg("--install").arg(world.path("sbin")).arg("/sbin/linchpin").status().unwrap().success());
        let mut fifo = Command::new("mkfifo");
        assert!(fifo.args(["-m", "666"]).arg(world.dir.path().join("kmsg")).status().unwrap().success());
        world
    }

    /// Where `path` of the machine is on the host.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    /// Makes a file, and the directories above it.
    pub fn file(&self, path: &str, mode: u32, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// Writes the board config.
    pub fn board(mut self, text: &str) -> World {
        self.file("etc/linchpin/board.toml", 0o644, text);
        self.board = true;
        self
    }

    /// Makes a service template with this `run`.
    pub fn service(self, name: &str, run: &str) -> World {
        self.file(&format!("etc/linchpin/service/{name}/run"), 0o755, &format!("#!/bin/sh\n{run}\n"));
        self
    }

    /// There is no /dev/kmsg.
    pub fn without_kmsg(mut self) -> World {
        self.has_kmsg = false;
        self
    }

    /// The console is a pseudo-terminal, of which the test has the other side.
    pub fn with_console(mut self) -> World {
        self.console = Some(pty::open());
        self
    }

    /// Shell commands that are run in the namespaces just before process 1 is; `$root` is its root to be.
    pub fn with_setup(mut self, commands: &str) -> World {
        self.extra.push_str(commands);
        self.extra.push('\n');
        self
    }

    /// A further argument of process 1.
    pub fn with_argument(mut self, argument: &str) -> World {
        self.args.push(argument.to_owned());
        self
    }

    /// Starts the machine.
    pub fn boot(self) -> Machine {
        if !self.board {
            // What is no test's subject is no line of its log.
            self.file("etc/linchpin/board.toml", 0o644, "");
        }
        self.boot_as_it_is()
    }

    /// Starts the machine, even without a board config.
    pub fn boot_as_it_is(self) -> Machine {
        let World { dir, has_kmsg, console, extra, args, .. } = self;
        let root = dir.path().join("root");
        let fifo = dir.path().join("kmsg");
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        let kmsg = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&fifo).unwrap();
        rustix::pipe::fcntl_setpipe_size(Fd(kmsg.as_raw_fd()), 1 << 20).unwrap();
        let terminal = console.as_ref().map_or(PathBuf::new(), |(_, path)| path.clone());
        let keeper = is_root().then(Keeper::new);
        if keeper.is_some() {
            shift_owners(&root);
            if console.is_some() {
                chown(&terminal, Some(SHIFT), Some(SHIFT)).unwrap();
            }
        }
        let mut command = Command::new("nsenter");
        match &keeper {
            Some(keeper) => command.args(["-S", "0", "-G", "0"]).arg(keeper.option()),
            None => command.args(["unshare", "--user", "--map-root-user"]),
        };
        // Whatever happens to us, nothing of it stays behind.
        command.args([
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--pid",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--fork",
            "--kill-child",
        ]);
        command.args(["sh", "-c", SETUP, "setup"]).arg(&root);
        command.arg(if has_kmsg { fifo } else { PathBuf::new() }).arg(&terminal).arg(extra).args(args);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/").env("TERM", "linux");
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("util-linux is needed");
        Machine::new(dir, process, Lines::of(kmsg), console.map(|(ours, _)| ours), keeper.map(|keeper| keeper.0))
    }
}

/// Whether this user id can be given away: by root only.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A process that sits in a new user namespace, for others to enter it. (unshare(1) itself needs further helpers to
/// map more than one user.)
struct Keeper(Child);

impl Keeper {
    fn new() -> Keeper {
        let mut command = Command::new("unshare");
        command.args(["--user", "sh", "-c", "echo; read -r _"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("util-linux is needed");
        let there = process.stdout.as_mut().unwrap().read(&mut [0; 1]).unwrap();
        assert_eq!(there, 1, "user namespaces are needed");
        for map in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{}/{map}", process.id()), format!("0 {SHIFT} 65536")).unwrap();
        }
        Keeper(process)
    }

    fn option(&self) -> String {
        format!("--user=/proc/{}/ns/user", self.0.id())
    }
}

/// Gives everything to the same users as seen from the namespace.
fn shift_owners(path: &Path) {
    let meta = fs::symlink_metadata(path).unwrap();
    if meta.nlink() > 1 && meta.is_file() {
        return; // the binary, which has other links
    }
    lchown(path, Some(meta.uid() + SHIFT), Some(meta.gid() + SHIFT)).unwrap();
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            shift_owners(&entry.unwrap().path());
        }
    }
    if !meta.is_symlink() {
        // A change of owner clears some bits.
        fs::set_permissions(path, meta.permissions()).unwrap();
    }
}
