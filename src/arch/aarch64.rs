//! aarch64: system call instruction, child entry, process entry.

use core::arch::{asm, global_asm};

/// One system call with six arguments; unused ones are zero. Returns the kernel's raw answer (`-errno` on failure).
///
/// # Safety
/// The number and arguments must be a call whose effects the caller accounts for.
#[inline(always)]
pub unsafe fn syscall6(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the caller vouches for the call; the kernel preserves every register but x0.
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") a[0] as isize => ret, in("x1") a[1], in("x2") a[2], in("x3") a[3],
            in("x4") a[4], in("x5") a[5], options(nostack));
    }
    ret
}

// fn(flags: x0, stack_top: x1, parent_tid: x2, entry: x3, arg: x4) -> pid or -errno
global_asm!(
    ".globl linchpin_clone",
    ".hidden linchpin_clone",
    ".type linchpin_clone,%function",
    "linchpin_clone:",
    "mov x9, x3",
    "mov x10, x4",
    "mov x3, xzr",
    "mov x4, xzr",
    "mov x8, #220",
    "svc 0",
    "cbz x0, 1f",
    "ret",
    "1: mov x29, xzr",
    "mov x30, xzr",
    "mov x0, x10",
    "blr x9",
    "mov x8, #93",
    "svc 0",
    "brk #1",
    ".size linchpin_clone, . - linchpin_clone",
);

/// Where the kernel's ucontext has the registers of what a signal has interrupted: program counter, stack pointer and, where
/// there is one, link register.
pub const REGISTERS: [Option<usize>; 3] = [Some(440), Some(432), Some(424)];

/// The process entry point: hands the initial stack pointer to `linchpin_start`.
#[macro_export]
#[doc(hidden)]
macro_rules! arch_start {
    () => {
        core::arch::global_asm!(
            ".globl _start",
            ".type _start,%function",
            "_start:",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, sp",
            "and sp, x0, #-16",
            "bl linchpin_start",
            "brk #1",
        );
    };
}
