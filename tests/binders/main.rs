//! The socket binders and setuidgid, beside Debian's s6 where it has them.

#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;

mod ip;
mod life;
mod order;
mod setuidgid;
mod unix;

use linchpin::sys::Fd;
use rustix::net::sockopt;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tmp::TempDir;

const IPC: &str = "s6-ipcserver-socketbinder";
const SEQPACKET: &str = "seqpacket-socketbinder";
const TCP: &str = "s6-tcpserver-socketbinder";
const UDP: &str = "udp-socketbinder";
const SETUIDGID: &str = "s6-setuidgid";

/// A directory with a link to our binary called `name`, and a command that runs it there.
fn ours(name: &str) -> (TempDir, impl Fn() -> Command) {
    let dir = TempDir::new();
    let command = ours_in(&dir, name);
    (dir, command)
}

/// The same in a directory that there is.
fn ours_in(dir: &TempDir, name: &str) -> impl Fn() -> Command + use<> {
    let link = dir.command(&format!(".{name}"));
    let work = dir.path().to_owned();
    let arg0 = name.to_owned();
    move || {
        let mut command = Command::new(&link);
        std::os::unix::process::CommandExt::arg0(&mut command, &arg0);
        command.current_dir(&work).env("PATH", "/usr/bin:/bin");
        command
    }
}

/// The same with Debian's; `None` where s6 is not installed.
fn debians(name: &str) -> Option<(TempDir, impl Fn() -> Command)> {
    let path = Path::new("/usr/bin").join(name);
    if !path.exists() {
        eprintln!("{name} is not installed: not compared");
        return None;
    }
    let dir = TempDir::new();
    let work = dir.path().to_owned();
    let arg0 = name.to_owned();
    Some((dir, move || {
        let mut command = Command::new(&path);
        std::os::unix::process::CommandExt::arg0(&mut command, &arg0);
        command.current_dir(&work).env("PATH", "/usr/bin:/bin");
        command
    }))
}

/// Exit code, standard output and standard error.
fn seen(done: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

/// What a program finds when a binder has run it: the file, flags of descriptor 0, its row in /proc/net/unix, all
/// descriptors, umask.
const LOOK: &str = r#"stat -c '%F %a' "$0"; grep flags /proc/self/fdinfo/0
    i=$(readlink /proc/self/fd/0); i=${i#socket:[}; i=${i%]}
    while read -r _ _ _ flags type state inode name; do
        if [ "$inode" = "$i" ]; then echo "$flags $type $state $name"; fi
    done < /proc/net/unix
    for fd in 0 1 2 3 4 5 6; do if [ -e /proc/$$/fd/$fd ]; then echo "$fd"; fi; done; umask"#;

fn look(command: Command, options: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command;
    seen(command.args(options).args(["p", "/bin/sh", "-c", LOOK, "p"]).output().unwrap())
}

/// A child that goes on until it is killed.
struct Running(Child);

impl Running {
    /// Starts `command` with a program that says `up` once it runs, and waits for that.
    fn start(mut command: Command, program: &str) -> Running {
        let mut child = command.args(["/bin/sh", "-c", program]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        Running(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn binder(command: &impl Fn() -> Command, options: &[&str]) -> Command {
    let mut command = command();
    command.args(options);
    command
}
