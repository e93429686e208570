//! System calls that rustix does not offer (or offers without something we need), one line each.

use super::{Errno, Result};
use crate::arch::syscall6;
use core::ffi::c_void;
use linux_raw_sys::general as nr;

/// Pads the arguments of a call to six words.
macro_rules! syscall {
    ($nr:ident $(, $a:expr)* $(,)?) => {{
        let given = [$($a as usize),*];
        let mut words = [0usize; 6];
        words[..given.len()].copy_from_slice(&given);
        decode(syscall6(nr::$nr as usize, words))
    }};
}

/// The kernel's answer: -4095..-1 is an errno.
fn decode(answer: isize) -> Result<usize> {
    if (-4095..0).contains(&answer) { Err(Errno::from_raw_os_error(-answer as i32)) } else { Ok(answer as usize) }
}

/// The kernel's signal set: bit `signal - 1`.
pub type KernelSigset = u64;
const SIGSET_SIZE: usize = size_of::<KernelSigset>();

pub fn exit_group(code: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { syscall!(__NR_exit_group, code) };
    }
}

/// execve(2). Returns only on failure.
///
/// # Safety
/// `argv` and `envp` must be null-terminated arrays of C strings.
pub unsafe fn execve(path: *const u8, argv: *const *const u8, envp: *const *const u8) -> Errno {
    // SAFETY: by contract.
    match unsafe { syscall!(__NR_execve, path, argv, envp) } {
        Err(e) => e,
        Ok(_) => Errno::INVAL,
    }
}

/// execveat(2) of an open file. Returns only on failure.
///
/// # Safety
/// As for [`execve`].
pub unsafe fn execve_open(fd: i32, argv: *const *const u8, envp: *const *const u8) -> Errno {
    // SAFETY: by contract.
    match unsafe { syscall!(__NR_execveat, fd, c"".as_ptr(), argv, envp, nr::AT_EMPTY_PATH) } {
        Err(e) => e,
        Ok(_) => Errno::INVAL,
    }
}

/// rt_sigprocmask(SIG_SETMASK); returns the previous mask.
pub fn set_mask(mask: KernelSigset) -> KernelSigset {
    let mut old: KernelSigset = 0;
    const SIG_SETMASK: usize = 2;
    // SAFETY: both sets live across the call and have the size that is passed.
    let _ = unsafe { syscall!(__NR_rt_sigprocmask, SIG_SETMASK, &raw const mask, &raw mut old, SIGSET_SIZE) };
    old
}

/// The mask as it is.
pub fn mask() -> KernelSigset {
    let mut old: KernelSigset = 0;
    // SAFETY: the set lives across the call and has the size that is passed.
    let _ = unsafe { syscall!(__NR_rt_sigprocmask, 0, 0, &raw mut old, SIGSET_SIZE) };
    old
}

/// A handler that is none.
const SIG_IGN: usize = 1;

/// rt_sigaction(SIG_DFL).
pub fn default_action(signal: i32) {
    set_action(signal, 0);
}

/// rt_sigaction(SIG_IGN), which forgets one that is pending too.
pub fn ignore(signal: i32) {
    set_action(signal, SIG_IGN);
}

fn set_action(signal: i32, handler: usize) {
    // The kernel's struct sigaction on all our targets: handler, flags, restorer, mask; all zero is SIG_DFL.
    let mut action = [0usize; 3 + SIGSET_SIZE / size_of::<usize>()];
    action[0] = handler;
    // SAFETY: a kernel sigaction of full size, without a handler.
    let _ = unsafe { syscall!(__NR_rt_sigaction, signal, &raw const action, 0, SIGSET_SIZE) };
}

/// rt_sigaction: whether the action of `signal` is to ignore it.
pub fn is_ignored(signal: i32) -> bool {
    let mut action = [0usize; 3 + SIGSET_SIZE / size_of::<usize>()];
    // SAFETY: a kernel sigaction of full size, which lives across the call.
    let _ = unsafe { syscall!(__NR_rt_sigaction, signal, 0, &raw mut action, SIGSET_SIZE) };
    action[0] == SIG_IGN
}

/// rt_sigaction: `handler` runs at each `signal`, and a system call that waits then ends with EINTR.
pub fn on_signal(signal: i32, handler: extern "C" fn(i32)) {
    let mut action = [0usize; 3 + SIGSET_SIZE / size_of::<usize>()];
    action[0] = handler as *const () as usize;
    // Elsewhere the kernel brings its own way back from a handler.
    #[cfg(target_arch = "x86_64")]
    {
        action[1] = nr::SA_RESTORER as usize;
        action[2] = crate::arch::linchpin_signal_return as *const () as usize;
    }
    // SAFETY: a kernel sigaction of full size, whose handler lives as long as the process.
    let _ = unsafe { syscall!(__NR_rt_sigaction, signal, &raw const action, 0, SIGSET_SIZE) };
}

/// rt_sigaction: `handler` runs at each `signal`, on the alternate stack, with `mask` blocked, but `signal` itself is not;
/// system calls that can go on do.
pub fn on_fault(signal: i32, handler: extern "C" fn(i32, *const c_void, *const c_void), mask: KernelSigset) {
    let mut action = [0usize; 3 + SIGSET_SIZE / size_of::<usize>()];
    action[0] = handler as *const () as usize;
    action[1] = (nr::SA_SIGINFO | nr::SA_ONSTACK | nr::SA_NODEFER | nr::SA_RESTART) as usize;
    // Elsewhere the kernel brings its own way back from a handler.
    #[cfg(target_arch = "x86_64")]
    {
        action[1] |= nr::SA_RESTORER as usize;
        action[2] = crate::arch::linchpin_signal_return as *const () as usize;
    }
    let words = SIGSET_SIZE / size_of::<usize>();
    for (i, word) in action[3..].iter_mut().enumerate().take(words) {
        *word = (mask >> (i * 8 * size_of::<usize>())) as usize;
    }
    // SAFETY: a kernel sigaction of full size, whose handler lives as long as the process.
    let _ = unsafe { syscall!(__NR_rt_sigaction, signal, &raw const action, 0, SIGSET_SIZE) };
}

/// sigaltstack(2): signal handlers that ask for it run on this stack.
///
/// # Safety
/// The memory must be used for nothing else, for ever.
pub unsafe fn set_alternate_stack(base: *mut u8, size: usize) -> Result<()> {
    // The kernel's stack_t: the flags are an int, followed by a gap where pointers are larger.
    let stack = [base as usize, 0, size];
    // SAFETY: a full stack_t; the memory is the caller's to give.
    unsafe { syscall!(__NR_sigaltstack, &raw const stack, 0) }.map(drop)
}

/// setitimer(ITIMER_REAL): SIGALRM after `first` milliseconds, then every `then`; 0 and 0 end it.
pub fn set_alarm(first: u32, then: u32) {
    const ITIMER_REAL: usize = 0;
    let [then, first] = [then, first].map(|millis| [millis / 1000, millis % 1000 * 1000].map(|word| word as usize));
    let timer = [then, first];
    // SAFETY: struct itimerval is four words, and lives across the call.
    let _ = unsafe { syscall!(__NR_setitimer, ITIMER_REAL, &raw const timer, 0) };
}

/// signalfd4(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK).
pub fn signalfd(mask: KernelSigset) -> Result<i32> {
    let flags = nr::O_CLOEXEC | nr::O_NONBLOCK; // SFD_CLOEXEC and SFD_NONBLOCK are these
    // SAFETY: the set lives across the call.
    unsafe { syscall!(__NR_signalfd4, -1i32 as usize, &raw const mask, SIGSET_SIZE, flags) }.map(|fd| fd as i32)
}

/// getsid(2): 0 when the leader is outside our pid namespace, which rustix's type of a pid has no value for.
pub fn getsid(pid: i32) -> Result<i32> {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_getsid, pid) }.map(|session| session as i32)
}

/// waitid(2) with a buffer for the kernel's siginfo; `idtype` as in the man page.
pub fn waitid(idtype: u32, id: i32, info: &mut [i32; 32], options: u32) -> Result<()> {
    // SAFETY: siginfo_t is 128 bytes on every Linux.
    unsafe { syscall!(__NR_waitid, idtype, id, info.as_mut_ptr(), options, 0) }.map(drop)
}

/// The kernel's struct mmsghdr, as words: the name and its length, the parts and their number, the ancillary data and their
/// length, the flags that come back, the length of the message. The last two have 32 bits; the others of their words mean
/// nothing.
pub type MessageHeader = [usize; 8];

/// recvmmsg(2) of one message, with MSG_DONTWAIT and MSG_CMSG_CLOEXEC. The kernel notes in `header` what came.
pub fn receive_message(
    fd: i32,
    header: &mut MessageHeader,
    part: &mut [usize; 2],
    bytes: &mut [u8],
    control: &mut [u8],
) -> Result<()> {
    let flags = linux_raw_sys::net::MSG_DONTWAIT | linux_raw_sys::net::MSG_CMSG_CLOEXEC;
    *part = [bytes.as_mut_ptr() as usize, bytes.len()];
    let words = [0, 0, part.as_mut_ptr() as usize, 1, control.as_mut_ptr() as usize, control.len()];
    header[..6].copy_from_slice(&words);
    // SAFETY: header, part and both buffers live across the call, and have the sizes that they say.
    let done = unsafe { syscall!(__NR_recvmmsg, fd, header.as_mut_ptr(), 1, flags, 0) };
    #[cfg(target_pointer_width = "32")]
    // SAFETY: as above. (A kernel may be without the call that has a timeout of 32 bits.)
    let done = done.or_else(|e| match e {
        Errno::NOSYS => unsafe { syscall!(__NR_recvmmsg_time64, fd, header.as_mut_ptr(), 1, flags, 0) },
        e => Err(e),
    });
    done.map(drop)
}

/// sendmmsg(2) of one message, with MSG_DONTWAIT and MSG_NOSIGNAL. The kernel notes in `header` how much was sent.
pub fn send_message(
    fd: i32,
    header: &mut MessageHeader,
    part: &mut [usize; 2],
    bytes: &[u8],
    control: &[u8],
) -> Result<()> {
    let flags = linux_raw_sys::net::MSG_DONTWAIT | linux_raw_sys::net::MSG_NOSIGNAL;
    *part = [bytes.as_ptr() as usize, bytes.len()];
    let words = [0, 0, part.as_mut_ptr() as usize, 1, control.as_ptr() as usize, control.len()];
    header[..6].copy_from_slice(&words);
    // SAFETY: header, part and both buffers live across the call, and have the sizes that they say; of the buffers the
    // kernel only reads.
    unsafe { syscall!(__NR_sendmmsg, fd, header.as_mut_ptr(), 1, flags) }.map(drop)
}

/// kcmp(2), KCMP_FILE: whether two of our descriptors are the same open file. ENOSYS: the kernel does not tell.
pub fn is_same_file(a: i32, b: i32) -> Result<bool> {
    const KCMP_FILE: u32 = 0;
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: touches no memory.
    unsafe { syscall!(__NR_kcmp, own, own, KCMP_FILE, a, b) }.map(|order| order == 0)
}

/// getcwd(2): bytes of the path, its NUL included.
pub fn getcwd(buf: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most the given length.
    unsafe { syscall!(__NR_getcwd, buf.as_mut_ptr(), buf.len()) }
}

/// close(2). Its errors are of no use: the number is closed after each of them, also if it was not open before (EBADF), which
/// rustix takes for a mistake.
pub fn close(fd: i32) {
    // SAFETY: closes a number, which has no owner in the type system.
    let _ = unsafe { syscall!(__NR_close, fd) };
}

/// close_range(2) from `first` to `last`. ENOSYS: a kernel before 5.9.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: touches no memory; that nobody owns those numbers is the caller's word.
    unsafe { syscall!(__NR_close_range, first, last, 0) }.map(drop)
}

/// Sets close-on-exec on what is open from `first` to `last`. ENOSYS, EINVAL: a kernel before 5.11.
pub fn cloexec_range(first: u32, last: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: touches no memory.
    unsafe { syscall!(__NR_close_range, first, last, CLOSE_RANGE_CLOEXEC) }.map(drop)
}

/// Gives this process (which shares its descriptor table with another) a table of its own, without those from `first` on:
/// close_range(2) with CLOSE_RANGE_UNSHARE, which copies no more than what stays; where there is no such call, or it may
/// not be used, unshare(2), which copies all.
pub fn cut_table(first: u32) -> Result<()> {
    const CLOSE_RANGE_UNSHARE: u32 = 2;
    // SAFETY: touches no memory; numbers that are gone afterwards are still open in the other process.
    let cut = unsafe { syscall!(__NR_close_range, first, u32::MAX, CLOSE_RANGE_UNSHARE) };
    // SAFETY: touches no memory.
    cut.or_else(|_| unsafe { syscall!(__NR_unshare, nr::CLONE_FILES) }).map(drop)
}

/// kill(2) with any pid and signal, 0 and negative ones included.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: touches no memory of ours.
    unsafe { syscall!(__NR_kill, pid, signal) }.map(drop)
}

/// Lock operations on a whole file, fcntl(2): those of the process and those of the open file description.
pub fn file_lock(fd: i32, command: u32, kind: u32) -> Result<u32> {
    let mut lock: nr::flock64 = nr::flock64 { l_type: kind as _, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    #[cfg(target_pointer_width = "32")]
    // SAFETY: a full struct flock64 that lives across the call.
    unsafe { syscall!(__NR_fcntl64, fd, command, &raw mut lock) }?;
    #[cfg(target_pointer_width = "64")]
    // SAFETY: a full struct flock64 that lives across the call.
    unsafe { syscall!(__NR_fcntl, fd, command, &raw mut lock) }?;
    Ok(lock.l_type as u32)
}

/// setsockopt(2), for any option.
pub fn set_socket_option(fd: i32, level: u32, option: u32, value: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads the given number of bytes.
    unsafe { syscall!(__NR_setsockopt, fd, level, option, value.as_ptr(), value.len()) }.map(drop)
}

/// getsockopt(SOL_SOCKET, SO_PEERCRED): pid, uid, gid. (rustix's type cannot hold the pid 0 of a peer that lives
/// outside our pid namespace.)
pub fn peer_credentials(fd: i32) -> Result<[u32; 3]> {
    let mut cred = [0u32; 3];
    const SOL_SOCKET: u32 = 1;
    const SO_PEERCRED: u32 = 17;
    socket_option(fd, SOL_SOCKET, SO_PEERCRED, &mut cred)?;
    Ok(cred)
}

/// getsockopt(2) for an option that is made of 32-bit words: how many it has.
pub fn socket_option(fd: i32, level: u32, option: u32, words: &mut [u32]) -> Result<usize> {
    let mut len = size_of_val(words) as u32;
    // SAFETY: the kernel writes at most the given length; both live across the call.
    unsafe { syscall!(__NR_getsockopt, fd, level, option, words.as_mut_ptr(), &raw mut len) }?;
    Ok(len as usize / 4)
}

/// getsockname(2), or getpeername(2): how many bytes the address has.
pub fn socket_name(fd: i32, peer: bool, room: &mut [u8; 128]) -> Result<usize> {
    let mut len = room.len() as u32;
    // SAFETY: the kernel writes at most the given length; both live across the call.
    let done = unsafe {
        match peer {
            true => syscall!(__NR_getpeername, fd, room.as_mut_ptr(), &raw mut len),
            false => syscall!(__NR_getsockname, fd, room.as_mut_ptr(), &raw mut len),
        }
    };
    done.map(|_| len as usize)
}

/// accept4(2): the descriptor, and how many bytes the address of the other end has.
pub fn accept(fd: i32, flags: u32, room: &mut [u8; 128]) -> Result<(i32, usize)> {
    let mut len = room.len() as u32;
    // SAFETY: the kernel writes at most the given length; both live across the call.
    let new = unsafe { syscall!(__NR_accept4, fd, room.as_mut_ptr(), &raw mut len, flags) }?;
    Ok((new as i32, len as usize))
}
