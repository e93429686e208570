//! The machine: what cannot be said in portable Rust. System call stubs and the child side of `clone` live here for
//! the whole crate; `entry.rs` (process entry, memory routines, panic handler) is compiled into the binary only, so
//! that the library can be linked into ordinary test programs.
//!
//! # Safety
//! Everything here is `unsafe`; `sys/` is the only caller and gives it safe faces.

use core::ffi::c_void;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "arm")]
mod arm;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{REGISTERS, syscall6};
#[cfg(target_arch = "arm")]
pub use arm::{REGISTERS, syscall6};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{REGISTERS, syscall6};

unsafe extern "C" {
    /// clone(2): the child runs `entry(arg)` on `stack_top` (or, if null and memory is not shared, on a copy of the
    /// caller's stack) and exits with what it returns. Returns the child's pid, or `-errno`.
    ///
    /// # Safety
    /// With `CLONE_VM` the stack must be unused memory and the caller must be suspended (`CLONE_VFORK`) while
    /// `entry` runs; `parent_tid` must be valid for `CLONE_PARENT_SETTID`.
    pub fn linchpin_clone(
        flags: usize,
        stack_top: *mut c_void,
        parent_tid: *mut i32,
        entry: unsafe extern "C" fn(*mut c_void) -> i32,
        arg: *mut c_void,
    ) -> isize;
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    /// rt_sigreturn(2): where the kernel lets a signal handler return to. Not to be called.
    pub fn linchpin_signal_return();
}

/// Executes an instruction that there is not.
#[cfg(feature = "faults")]
pub fn illegal_instruction() {
    // SAFETY: the kernel sends SIGILL; nothing else happens.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        core::arch::asm!("ud2");
        #[cfg(not(target_arch = "x86_64"))]
        core::arch::asm!("udf #0");
    }
}

/// Divides by zero, which only some machines trap.
#[cfg(feature = "faults")]
pub fn divide_by_zero() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel sends SIGFPE; nothing else happens.
    unsafe {
        core::arch::asm!("div {0:e}", in(reg) 0u32, inout("eax") 1u32 => _, inout("edx") 0u32 => _);
    }
}
