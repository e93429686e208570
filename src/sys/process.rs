//! Processes: start, exec, wait, kill.

use super::args::{Args, Argv, Env};
use super::environment::{Environment, OWN_PIDS, PID_BYTES};
use super::fd::own_from;
use super::{Errno, Fd, Result, file, raw, signal};
use crate::arch::linchpin_clone;
use crate::fault_point;
use crate::limits::HANDED;
use crate::text::CPath;
use crate::text::number::{Decimal, parse_u32};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::ptr;
use linux_raw_sys::general as linux;

pub use super::wait::{Death, has_children, is_child, peek_death, reap, reap_any, reap_ended, wait_for};
pub use rustix::process::Rlimit;

/// Most descriptors that [`Spawn::extra`] may hand over: held ones, a lock, a readiness pipe.
pub const EXTRA_FDS: usize = HANDED + 2;

/// A child to start. It has no signal blocked; those that we ignore are ignored in it too.
pub struct Spawn<'a, const N: usize> {
    /// Program, resolved in `dir`.
    pub path: &'a CStr,
    /// Its arguments.
    pub argv: &'a Argv<'a, N>,
    /// Its environment…
    pub env: Env,
    /// …unless it is given this one, in which it writes its own pid where that is asked for.
    pub given: Option<&'a mut Environment>,
    /// Its working directory; `NONE` keeps ours.
    pub dir: Fd,
    /// Its descriptors 0, 1 and 2; `NONE` keeps ours.
    pub stdio: [Fd; 3],
    /// Further descriptors and the numbers they get (EBADF if the system has no such number); at most [`EXTRA_FDS`].
    pub extra: &'a [(Fd, i32)],
    /// Run it in a session (and so a process group) of its own: setsid(2).
    pub session: bool,
    /// Run it in a new pid namespace (needs CAP_SYS_ADMIN).
    pub new_pidns: bool,
    /// `cgroup.procs` of the control group that it joins, or `NONE`. Without a place there it runs in ours.
    pub cgroup: Fd,
    /// RLIMIT_NOFILE to give back to it, if ours was raised.
    pub nofile: Option<Rlimit>,
}

/// Why a child could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpawnError {
    /// clone(2) failed: EAGAIN (limits), ENOMEM.
    Fork(Errno),
    /// The child could not be set up (directory, descriptors, session).
    Setup(Errno),
    /// execve(2) failed: ENOENT, EACCES, ENOEXEC (no `#!`), E2BIG…
    Exec(Errno),
}

impl SpawnError {
    /// The errno inside.
    pub fn errno(self) -> Errno {
        match self {
            SpawnError::Fork(e) | SpawnError::Setup(e) | SpawnError::Exec(e) => e,
        }
    }

    /// As a number that is not 0, for a record.
    pub fn note(self) -> u16 {
        let (kind, e) = match self {
            SpawnError::Fork(e) => (1, e),
            SpawnError::Setup(e) => (2, e),
            SpawnError::Exec(e) => (3, e),
        };
        kind << NOTE_KIND | (e.raw_os_error() as u16 & NOTE_ERRNO)
    }

    /// What a record says; `None` for 0.
    pub fn of_note(note: u16) -> Option<SpawnError> {
        let e = Errno::from_raw_os_error(i32::from((note & NOTE_ERRNO).max(1)));
        match note >> NOTE_KIND {
            _ if note == 0 => None,
            1 => Some(SpawnError::Fork(e)),
            2 => Some(SpawnError::Setup(e)),
            _ => Some(SpawnError::Exec(e)),
        }
    }
}

/// Where in a note the kind is…
const NOTE_KIND: u32 = 12;
/// …and the errno: the kernel's are below 4096.
const NOTE_ERRNO: u16 = 0xfff;

const STACK_SIZE: usize = 32 * 1024;

#[repr(align(4096))] // so that few pages are touched
struct ChildStack(UnsafeCell<[u8; STACK_SIZE]>);
// SAFETY: the process has one thread, and it is suspended while a child uses the stack.
unsafe impl Sync for ChildStack {}
static CHILD_STACK: ChildStack = ChildStack(UnsafeCell::new([0; STACK_SIZE]));

/// Whether a stack pointer is that of a child that shares our memory.
pub(super) fn is_child_stack(at: usize) -> bool {
    let start = CHILD_STACK.0.get() as usize;
    (start..=start + STACK_SIZE).contains(&at)
}

struct ChildPlan<'a> {
    path: *const u8,
    argv: *const *const u8,
    env: *const *const u8,
    /// Where it writes its pid, or null.
    own_pid: [*mut u8; OWN_PIDS],
    dir: Fd,
    /// The descriptor table is the parent's still; of its own one the child needs what is below this number.
    cut: Option<i32>,
    stdio: [Fd; 3],
    extra: &'a [(Fd, i32)],
    session: bool,
    cgroup: Fd,
    nofile: Option<Rlimit>,
    /// Where it says why it could not execute anything.
    failed: *mut u16,
}

impl ChildPlan<'_> {
    /// What becomes which number.
    fn wanted(&self) -> impl Iterator<Item = (Fd, i32)> {
        let stdio = self.stdio.into_iter().zip(0..).filter(|(fd, _)| fd.is_some());
        stdio.chain(self.extra.iter().copied())
    }
}

impl<const N: usize> Spawn<'_, N> {
    /// Starts the child and returns once it runs its own program (or could not): clone(2) with CLONE_VM and
    /// CLONE_VFORK, so nothing is copied. The kernel stores the child's pid into `pid` before the child exists to
    /// anyone. If the program cannot be executed the child is reaped and `pid` is 0 again.
    pub fn start(self, pid: &mut i32) -> core::result::Result<(), SpawnError> {
        self.start_on_record(pid, &mut 0)
    }

    /// As [`Spawn::start`], for a record that outlives the process: the child itself says in `failed` why it could not
    /// execute the program ([`SpawnError::note`]), before its pid is gone; 0 if it did.
    pub fn start_on_record(self, pid: &mut i32, failed: &mut u16) -> core::result::Result<(), SpawnError> {
        (*pid, *failed) = (0, 0);
        if self.extra.len() > EXTRA_FDS {
            return Err(SpawnError::Setup(Errno::TOOBIG));
        }
        // The kernel's own bound for them is far below; here it keeps the child's arithmetic, and ours, out of trouble.
        if self.extra.iter().any(|(_, number)| !(0..i32::MAX).contains(number)) {
            return Err(SpawnError::Setup(Errno::BADF));
        }
        let mut own_pid = [ptr::null_mut(); OWN_PIDS];
        let env = match self.given {
            Some(given) => {
                own_pid = given.own_pid_places();
                given.as_ptr()
            }
            None => self.env.as_ptr(),
        };
        let mut plan = ChildPlan {
            path: self.path.as_ptr().cast(),
            argv: self.argv.as_ptr(),
            env,
            own_pid,
            dir: self.dir,
            cut: None,
            stdio: self.stdio,
            extra: self.extra,
            session: self.session,
            cgroup: self.cgroup,
            nofile: self.nofile,
            failed,
        };
        let needed = plan.wanted().map(|(fd, number)| fd.0.max(number)).max().unwrap_or(0);
        plan.cut = own_from().map(|own| own.max(needed.saturating_add(1)));
        let mut flags = linux::CLONE_VM | linux::CLONE_VFORK | linux::CLONE_PARENT_SETTID | linux::SIGCHLD;
        if self.new_pidns {
            flags |= linux::CLONE_NEWPID;
        }
        if plan.cut.is_some() {
            flags |= linux::CLONE_FILES;
        }
        // SAFETY: the stack is used by this child only (the caller is suspended until it execs or exits), `pid` and
        // `plan` outlive that moment.
        let answer = unsafe {
            let top = CHILD_STACK.0.get().cast::<u8>().add(STACK_SIZE);
            linchpin_clone(flags as usize, top.cast(), pid, run_child, (&raw mut plan).cast())
        };
        if answer < 0 {
            return Err(SpawnError::Fork(Errno::from_raw_os_error(-answer as i32)));
        }
        // SAFETY: it is lent to us; volatile because the child wrote it behind the compiler's back.
        match SpawnError::of_note(unsafe { plan.failed.read_volatile() }) {
            None => Ok(()),
            Some(why) => {
                fault_point!("spawn.failed");
                // It has let go of our memory, so it is in exit(2) already: this wait is of microseconds.
                let _ = wait_for(answer as i32);
                fault_point!("spawn.failed.reaped");
                *pid = 0;
                Err(why)
            }
        }
    }
}

/// The child between clone and exec. Shares all memory with the suspended parent: it may only make system calls and
/// write to its plan.
unsafe extern "C" fn run_child(arg: *mut c_void) -> i32 {
    // SAFETY: `arg` is the plan that the suspended parent holds for us.
    let plan = unsafe { &mut *arg.cast::<ChildPlan<'_>>() };
    let why = match set_up_child(plan) {
        Err(e) => SpawnError::Setup(e),
        // SAFETY: argv and env are null-terminated by construction (Argv, Env).
        Ok(()) => SpawnError::Exec(unsafe { raw::execve(plan.path, plan.argv, plan.env) }),
    };
    // SAFETY: the suspended parent has lent it.
    unsafe { plan.failed.write_volatile(why.note()) };
    127
}

fn set_up_child(plan: &mut ChildPlan<'_>) -> Result<()> {
    for place in plan.own_pid.into_iter().filter(|place| !place.is_null()) {
        let number = Decimal::new(pid() as u64);
        let digits = number.as_bytes();
        let length = digits.len().min(PID_BYTES - 1);
        // SAFETY: the place is PID_BYTES long, in an environment that the suspended parent has lent.
        unsafe {
            ptr::copy_nonoverlapping(digits.as_ptr(), place, length);
            place.add(length).write(0);
        }
    }
    if plan.session {
        rustix::process::setsid()?;
    }
    if plan.cgroup.is_some() {
        let _ = rustix::io::write(plan.cgroup, b"0");
    }
    if plan.dir.is_some() {
        rustix::process::fchdir(plan.dir)?;
    }
    if let Some(from) = plan.cut {
        raw::cut_table(from as u32)?;
    }
    // Two passes, so that no source is overwritten before it was placed: first all out of the way, then into place.
    let floor = 1 + plan.wanted().map(|(_, number)| number).max().unwrap_or(0).max(2);
    let mut aside = [Fd::NONE; 3 + EXTRA_FDS];
    for ((fd, _), aside) in plan.wanted().zip(&mut aside) {
        *aside = fd.duplicate(floor)?;
    }
    for ((_, number), aside) in plan.wanted().zip(&aside) {
        aside.place(number)?;
    }
    if let Some(limit) = plan.nofile.take() {
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?;
    }
    signal::SignalSet::EMPTY.block();
    Ok(())
}

/// Starts a child that shares our memory until it executes something, and returns its pid: vfork(2). `exec` runs in the
/// child, inherits everything and must do nothing but try to execute; what it returns is why that failed, and becomes
/// the error. For clients, whose programs inherit what they have.
pub fn spawn_with(exec: &mut dyn FnMut() -> Errno) -> Result<i32> {
    struct Plan<'a> {
        exec: &'a mut dyn FnMut() -> Errno,
        failed: Option<Errno>,
    }
    unsafe extern "C" fn run(arg: *mut c_void) -> i32 {
        // SAFETY: `arg` is the plan that the suspended parent holds for us.
        let plan = unsafe { &mut *arg.cast::<Plan<'_>>() };
        plan.failed = Some((plan.exec)());
        127
    }
    let mut plan = Plan { exec, failed: None };
    let flags = linux::CLONE_VM | linux::CLONE_VFORK | linux::SIGCHLD;
    // SAFETY: the stack is used by this child only (the caller is suspended until it execs or exits), and `plan`
    // outlives that moment.
    let answer = unsafe {
        let top = CHILD_STACK.0.get().cast::<u8>().add(STACK_SIZE);
        linchpin_clone(flags as usize, top.cast(), ptr::null_mut(), run, (&raw mut plan).cast())
    };
    if answer < 0 {
        return Err(Errno::from_raw_os_error(-answer as i32));
    }
    // SAFETY: `plan` is still ours; volatile because the child wrote it behind the compiler's back.
    match unsafe { ptr::read_volatile(&raw const plan.failed) } {
        None => Ok(answer as i32),
        Some(why) => {
            let _ = wait_for(answer as i32);
            Err(why)
        }
    }
}

/// As [`fork_job`], for `work` that holds on to something: the child has a copy of that.
pub fn fork_with(work: &mut dyn FnMut() -> i32) -> Result<i32> {
    unsafe extern "C" fn run(arg: *mut c_void) -> i32 {
        // SAFETY: `arg` is the reference on the stack of our copy of the parent's memory, whose frame we never leave.
        let work = unsafe { &mut *arg.cast::<&mut dyn FnMut() -> i32>() };
        work()
    }
    let mut work = work;
    // SAFETY: memory is copied, so the child goes on with the caller's own stack.
    let answer = unsafe {
        linchpin_clone(linux::SIGCHLD as usize, ptr::null_mut(), ptr::null_mut(), run, (&raw mut work).cast())
    };
    if answer < 0 { Err(Errno::from_raw_os_error(-answer as i32)) } else { Ok(answer as i32) }
}

/// Runs `work` in a forked copy of the process (fork(2), no exec) and returns its pid: for something that may block,
/// such as unmounting, which PID 1 must not do itself. The child exits with what `work` returns.
pub fn fork_job(work: fn() -> i32) -> Result<i32> {
    let mut pid = 0;
    fork_job_on_record(work, &mut pid).map(|()| pid)
}

/// As [`fork_job`], for a record that outlives the process: the kernel stores the child's pid into `pid` before it exists
/// to anyone.
pub fn fork_job_on_record(work: fn() -> i32, pid: &mut i32) -> Result<()> {
    unsafe extern "C" fn run(arg: *mut c_void) -> i32 {
        // SAFETY: `arg` is the function pointer that fork_job passed.
        let work: fn() -> i32 = unsafe { core::mem::transmute(arg) };
        work()
    }
    let flags = linux::CLONE_PARENT_SETTID | linux::SIGCHLD;
    // SAFETY: memory is copied, so the child goes on with the caller's own stack, whose frame it never leaves.
    let answer = unsafe { linchpin_clone(flags as usize, ptr::null_mut(), pid, run, work as *mut c_void) };
    if answer < 0 { Err(Errno::from_raw_os_error(-answer as i32)) } else { Ok(()) }
}

/// Replaces this process by `path`. Returns only on failure.
pub fn exec_path(path: &CStr, argv: Args, env: Env) -> Errno {
    // SAFETY: Args and Env are null-terminated arrays of C strings.
    unsafe { raw::execve(path.as_ptr().cast(), argv.as_ptr(), env.as_ptr()) }
}

/// As [`exec_path`], with an environment that is changed between the children that get it.
pub fn exec_given(path: &CStr, argv: Args, env: &Environment) -> Errno {
    // SAFETY: Args and Environment are null-terminated arrays of C strings.
    unsafe { raw::execve(path.as_ptr().cast(), argv.as_ptr(), env.as_ptr()) }
}

/// As [`exec_path`], with an argument vector made here.
pub fn exec_argv<const N: usize>(path: &CStr, argv: &Argv<'_, N>, env: Env) -> Errno {
    // SAFETY: Argv and Env are null-terminated arrays of C strings.
    unsafe { raw::execve(path.as_ptr().cast(), argv.as_ptr(), env.as_ptr()) }
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    raw::exit_group(code)
}

/// kill(2). `pid` -1: every process but ourselves and PID 1; a negative one: the process group. ESRCH: nobody there.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    raw::kill(pid, signal)
}

/// Our own pid.
pub fn pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Whether we live in the kernel's first pid namespace, whose process 1 answers for the machine; that of another one
/// answers for a container. A kernel without namespaces, or without /proc, has the first only.
pub fn owns_machine() -> bool {
    const FIRST: &[u8] = b"pid:[4026531836]"; // PROC_PID_INIT_INO
    let mut buf = [core::mem::MaybeUninit::<u8>::uninit(); 32];
    rustix::fs::readlinkat_raw(Fd::CWD, c"/proc/self/ns/pid", &mut buf[..]).map_or(true, |(name, _)| name == FIRST)
}

/// Our own effective user.
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes us the leader of a process group of our own: setpgid(2).
pub fn lead_group() -> Result<()> {
    rustix::process::setpgid(None, None)
}

/// Our own effective group.
pub fn effective_group() -> u32 {
    rustix::process::getegid().as_raw()
}

/// The session of a process, getsid(2); 0: its leader is outside our pid namespace. ESRCH: there is no such process.
pub fn session(pid: i32) -> Result<i32> {
    if pid > 0 { raw::getsid(pid) } else { Err(Errno::SRCH) }
}

/// The parent of a process, as /proc tells; 0: outside our pid namespace. `None`: there is no such process.
pub fn parent(pid: i32) -> Option<i32> {
    let path = CPath::<32>::of(&[b"/proc/", Decimal::new(pid.unsigned_abs().into()).as_bytes(), b"/stat"]);
    let mut buf = [0; 128];
    let text = file::read(Fd::CWD, path.path().ok()?, &mut buf).ok()?;
    // `PID (NAME) STATE PARENT …`, where NAME, of 15 bytes at most, may hold anything.
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let field = text.get(end + 1..)?.split(|byte| *byte == b' ').nth(2)?;
    i32::try_from(parse_u32(field)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn the_parent_and_the_session_of_a_process_are_known_until_it_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let number = child.id() as i32;
        assert_eq!(parent(number), Some(pid()));
        assert_eq!(session(number), session(pid()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((parent(number), session(number)), (None, Err(Errno::SRCH)));
    }

    #[test]
    fn a_session_whose_leader_is_outside_of_our_pid_namespace_is_0() {
        let mut inside = std::process::Command::new("unshare");
        inside.args(["--pid", "--fork"]).arg(std::env::current_exe().unwrap());
        inside.args(["--exact", "--ignored", "sys::process::tests::asks_for_a_session_in_another_namespace"]);
        let said = inside.output().unwrap();
        assert!(said.status.success(), "{said:?}");
    }

    /// Run by the test above.
    #[test]
    #[ignore = "needs a pid namespace that its session is not part of"]
    fn asks_for_a_session_in_another_namespace() {
        assert_eq!((session(pid()), session(0), session(-1)), (Ok(0), Err(Errno::SRCH), Err(Errno::SRCH)));
    }

    /// Children share one stack, in a process that has one thread; tests have several.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[test]
    fn a_spawned_child_gets_its_descriptors_and_its_death_is_seen_once() {
        let _alone = ONE_AT_A_TIME.lock();
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let write = Fd::from_owned(write);
        let argv = Argv::<4>::new(&[c"sh", c"-c", c"echo to five >&5; exit 7"]);
        let spawn = Spawn {
            path: c"/bin/sh",
            argv: &argv,
            env: Env::EMPTY,
            given: None,
            dir: Fd::NONE,
            stdio: [Fd::NONE; 3],
            extra: &[(write, 5)],
            session: true,
            new_pidns: false,
            cgroup: Fd::NONE,
            nofile: None,
        };
        let mut pid = 0;
        spawn.start(&mut pid).unwrap();
        assert!(pid > 0);
        let mut buf = [0u8; 64];
        let n = rustix::io::read(&read, &mut buf).unwrap();
        assert_eq!(&buf[..n], b"to five\n");
        assert_eq!(wait_for(pid).unwrap(), Death { pid, wstat: 7 << 8 });
        let mut write = write;
        write.close();
    }

    #[test]
    fn a_child_finds_its_own_pid_in_the_environment_that_it_is_given() {
        let _alone = ONE_AT_A_TIME.lock();
        let mut given = Box::new(Environment::new());
        let script = c"test \"$PID\" = $$ && test \"$PID\" = \"$OTHER\" && test \"$C\" = x";
        for _ in 0..2 {
            given.begin(Env::EMPTY).unwrap();
            given.set_own_pid(b"PID").unwrap();
            given.set(b"C", b"x").unwrap();
            given.set_own_pid(b"OTHER").unwrap();
            let argv = Argv::<4>::new(&[c"sh", c"-c", script]);
            let spawn = Spawn {
                path: c"/bin/sh",
                argv: &argv,
                env: Env::EMPTY,
                given: Some(&mut given),
                dir: Fd::NONE,
                stdio: [Fd::NONE; 3],
                extra: &[],
                session: false,
                new_pidns: false,
                cgroup: Fd::NONE,
                nofile: None,
            };
            let mut pid = 0;
            spawn.start(&mut pid).unwrap();
            assert_eq!(wait_for(pid).unwrap(), Death { pid, wstat: 0 });
        }
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_known_at_once_and_leaves_no_child() {
        let _alone = ONE_AT_A_TIME.lock();
        let argv = Argv::<2>::new(&[c"nope"]);
        let spawn = Spawn {
            path: c"/nonexistent/nope",
            argv: &argv,
            env: Env::EMPTY,
            given: None,
            dir: Fd::NONE,
            stdio: [Fd::NONE; 3],
            extra: &[],
            session: false,
            new_pidns: false,
            cgroup: Fd::NONE,
            nofile: None,
        };
        let mut pid = 99;
        assert_eq!(spawn.start(&mut pid), Err(SpawnError::Exec(Errno::NOENT)));
        assert_eq!(pid, 0);
    }

    #[test]
    fn a_descriptor_number_that_cannot_be_is_an_error_of_the_set_up() {
        let _alone = ONE_AT_A_TIME.lock();
        let argv = Argv::<2>::new(&[c"true"]);
        for number in [-1, i32::MAX, i32::MAX - 1] {
            let spawn = Spawn {
                path: c"/bin/true",
                argv: &argv,
                env: Env::EMPTY,
                given: None,
                dir: Fd::NONE,
                stdio: [Fd::NONE; 3],
                extra: &[(Fd::STDIN, number)],
                session: false,
                new_pidns: false,
                cgroup: Fd::NONE,
                nofile: None,
            };
            let mut pid = 99;
            assert!(matches!(spawn.start(&mut pid), Err(SpawnError::Setup(_))), "{number}");
            assert_eq!(pid, 0);
        }
    }

    #[test]
    fn a_child_that_inherits_everything_runs_or_says_why_not() {
        let _alone = ONE_AT_A_TIME.lock();
        let argv = Argv::<4>::new(&[c"sh", c"-c", c"exit 9"]);
        let pid = spawn_with(&mut || exec_argv(c"/bin/sh", &argv, Env::EMPTY)).unwrap();
        assert_eq!(wait_for(pid).unwrap().wstat, 9 << 8);
        assert_eq!(spawn_with(&mut || exec_argv(c"/nonexistent/sh", &argv, Env::EMPTY)), Err(Errno::NOENT));
    }

    #[test]
    fn a_forked_copy_has_what_its_work_holds() {
        let code = std::hint::black_box(43);
        let pid = fork_with(&mut || code).unwrap();
        assert_eq!(wait_for(pid).unwrap().wstat, 43 << 8);
    }

    #[test]
    fn a_forked_job_returns_its_exit_code() {
        let pid = fork_job(|| 42).unwrap();
        assert_eq!(wait_for(pid).unwrap().wstat, 42 << 8);
    }
}
