//! fork(2) for clients: a copy of the process that goes on with something of its own, without exec.

use super::{Errno, Result};
use crate::arch::linchpin_clone;
use core::ffi::c_void;
use core::ptr;
use linux_raw_sys::general as linux;

/// Runs `work` in a forked copy of the process and returns its pid. The child has a copy of all that `work` holds on to,
/// and exits with what it returns. EAGAIN, ENOMEM: there is no child.
pub fn fork_with(work: &mut dyn FnMut() -> i32) -> Result<i32> {
    unsafe extern "C" fn run(arg: *mut c_void) -> i32 {
        // SAFETY: `arg` is the copy of the reference below, in our copy of the memory that it points into.
        let work = unsafe { &mut *arg.cast::<&mut dyn FnMut() -> i32>() };
        work()
    }
    let mut work = work;
    let arg = (&raw mut work).cast();
    // SAFETY: memory is copied, so the child goes on with the caller's own stack, whose frame it never leaves.
    let answer = unsafe { linchpin_clone(linux::SIGCHLD as usize, ptr::null_mut(), ptr::null_mut(), run, arg) };
    if answer < 0 { Err(Errno::from_raw_os_error(-answer as i32)) } else { Ok(answer as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;

    #[test]
    fn a_forked_child_has_a_copy_of_what_its_work_holds_and_exits_with_its_answer() {
        let mut held = 7;
        let pid = fork_with(&mut || {
            held += 35;
            held
        })
        .unwrap();
        assert_eq!(process::wait_for(pid).unwrap().wstat, 42 << 8);
        assert_eq!(held, 7);
    }
}
