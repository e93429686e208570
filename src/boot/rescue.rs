//! What follows when process 1 (or `svscan`) has failed too often to go on, or cannot be entered again: the machine is
//! rebooted, or process 1 becomes as little as it can be. That little is done by a new image of the program, which has
//! nothing of the old one's state, and so none of what is wrong with it.

use super::console;
use crate::error;
use crate::state::leave::{self, GiveUp, Then};
use crate::svscan::start::{fill_stdio, reset_signals};
use crate::sys::args::{Args, Argv, Env};
use crate::sys::process::{self, Spawn};
use crate::sys::signal::{self, SignalSet, number as sig};
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, again, file, poll};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use rustix::fs::OFlags;
use rustix::system::RebootCommand;

/// The environment variable by which the new image knows what it is to be: the path of the rescue command, or nothing.
const VARIABLE: &CStr = c"LINCHPIN_RESCUE";

/// Disks have this long to take what was written; one that hangs does not keep the machine from rebooting.
const SYNC: Nanos = 10 * SECOND;

/// The rescue command is started again at most that often.
const PAUSE: Nanos = SECOND;

/// See [`give_up`].
pub static GIVE_UP: GiveUp = give_up;

/// Does what is to follow.
fn give_up(then: Then, command: &CStr) -> ! {
    let command = if then == Then::Rescue { command } else { c"" };
    match then {
        Then::Reboot => reboot(),
        Then::Exit => {
            error!("giving up: exit 111; services are left as they are");
            again::end()
        }
        Then::Rescue | Then::Reap => {
            let variable = CPath::<320>::of(&[VARIABLE.to_bytes(), b"=", command.to_bytes()]);
            if let (Ok(variable), Ok(binary)) = (variable.path(), again::open_own_binary()) {
                let why = again::exec_bare(binary, variable);
                error!("cannot be executed anew: {}", Reason(why));
            }
            keep_reaping(command)
        }
    }
}

/// Syncs, for no longer than [`SYNC`], and reboots. Where the kernel refuses that, the process ends.
fn reboot() -> ! {
    error!("process {} cannot go on: rebooting", process::pid());
    let mut child = 0;
    match process::fork_job_on_record(sync, &mut child) {
        Ok(()) => {
            let limit = time::boot() + SYNC;
            while time::boot() < limit && matches!(process::reap_ended(child), Ok(None)) {
                pause(10 * MILLI);
            }
        }
        // The kernel does it on its own, while we wait.
        Err(_) if ask_kernel(b"s") => pause(SYNC / 5),
        Err(_) => {}
    }
    let refused = rustix::system::reboot(RebootCommand::Restart).err().unwrap_or(Errno::INVAL);
    error!("the kernel does not reboot: {}", Reason(refused));
    again::end()
}

fn sync() -> i32 {
    rustix::fs::sync();
    0
}

fn ask_kernel(what: &[u8]) -> bool {
    let Ok(mut fd) = file::open(Fd::CWD, c"/proc/sysrq-trigger", OFlags::WRONLY, 0) else { return false };
    let done = file::write_all(fd, what).is_ok();
    fd.close();
    done
}

fn pause(time: Nanos) {
    poll::until(time::boot() + time);
}

/// What process 1 is told to be by the image that gave up; empty: nothing but a reaper.
pub fn asked(args: Args) -> Option<&'static CStr> {
    args.env().get(VARIABLE.to_bytes())
}

/// Process 1, executed by the image that gave up. Does not come back.
pub fn run(command: &CStr) -> ! {
    SignalSet::ALL.block();
    reset_signals();
    fill_stdio();
    leave::arm(&GIVE_UP); // there is no arena: a fault is a reboot
    console::open_kmsg();
    let _ = console::set_stdio(); // it may be a pipe that nobody reads any more
    keep_reaping(command)
}

/// Process 1 as it is after it has given up: reaps what ends, and runs the command, again when it has ended. Signals are
/// not looked at: there is no other way out of this than the command's (`reboot -f`), or the watchdog's.
pub fn keep_reaping(command: &CStr) -> ! {
    if command.is_empty() {
        error!("process 1 has given up: it reaps what ends, and does nothing else");
    } else {
        error!("process 1 has given up: it runs {} and reaps what ends", Printable(command.to_bytes()));
    }
    let deaths = signal::open_signalfd(SignalSet::of(&[sig::CHLD])).unwrap_or(Fd::NONE);
    let mut pid = 0;
    let mut next = 0;
    loop {
        while let Some(death) = process::peek_death() {
            process::reap(death.pid);
            if death.pid == pid {
                pid = 0;
            }
        }
        let now = time::boot();
        if !command.is_empty() && pid == 0 && next <= now {
            next = now + PAUSE;
            start(command, &mut pid);
        }
        let due = (pid == 0 && !command.is_empty()).then_some(next);
        match deaths.is_some() && poll::readable(deaths, due) != Err(Errno::BADF) {
            true => while let Ok(Some(_)) = signal::read_signalfd(deaths) {},
            false => pause(PAUSE / 4), // there was no descriptor left for it
        }
    }
}

/// On the console, in a session of its own.
fn start(command: &CStr, pid: &mut i32) {
    let flags = OFlags::RDWR | OFlags::NONBLOCK;
    let mut console = file::open(Fd::CWD, c"/dev/console", flags, 0).unwrap_or(Fd::NONE);
    if console.is_some() {
        let _ = console.set_nonblocking(false);
    }
    let argv = Argv::<2>::new(&[command]);
    let spawn = Spawn {
        path: command,
        argv: &argv,
        env: Env::EMPTY.with_defaults(&super::init::ENVIRONMENT),
        given: None,
        dir: Fd::NONE,
        stdio: [console; 3],
        extra: &[],
        session: true,
        new_pidns: false,
        cgroup: Fd::NONE,
        nofile: None,
    };
    if let Err(why) = spawn.start(pid) {
        error!("cannot run {}: {}", Printable(command.to_bytes()), Reason(why.errno()));
    }
    console.close();
}
