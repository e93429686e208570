//! armv7, ARM (not Thumb) mode: system call instruction, child entry, process entry.

use core::arch::{asm, global_asm};

/// One system call with six arguments; unused ones are zero. Returns the kernel's raw answer (`-errno` on failure).
///
/// # Safety
/// The number and arguments must be a call whose effects the caller accounts for.
#[inline(always)]
pub unsafe fn syscall6(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the caller vouches for the call; the kernel preserves every register but r0.
    unsafe {
        asm!("mov {save}, r7", "mov r7, {nr}", "svc 0", "mov r7, {save}", nr = in(reg) nr, save = out(reg) _,
            inlateout("r0") a[0] as isize => ret, in("r1") a[1], in("r2") a[2], in("r3") a[3],
            in("r4") a[4], in("r5") a[5], options(nostack));
    }
    ret
}

// fn(flags: r0, stack_top: r1, parent_tid: r2, entry: r3, arg: [sp]) -> pid or -errno
global_asm!(
    ".globl linchpin_clone",
    ".hidden linchpin_clone",
    ".type linchpin_clone,%function",
    ".arm",
    "linchpin_clone:",
    "ldr r12, [sp]",
    "push {{r4, r5, r6, r7}}",
    "mov r5, r3",
    "mov r6, r12",
    "mov r3, #0",
    "mov r4, #0",
    "mov r7, #120",
    "svc 0",
    "cmp r0, #0",
    "beq 1f",
    "pop {{r4, r5, r6, r7}}",
    "bx lr",
    "1: mov r11, #0",
    "bic sp, sp, #7",
    "mov r0, r6",
    "blx r5",
    "mov r7, #1",
    "svc 0",
    "udf #0",
    ".size linchpin_clone, . - linchpin_clone",
);

/// Where the kernel's ucontext has the registers of what a signal has interrupted: program counter, stack pointer and, where
/// there is one, link register.
pub const REGISTERS: [Option<usize>; 3] = [Some(92), Some(84), Some(88)];

/// The process entry point: hands the initial stack pointer to `linchpin_start`.
#[macro_export]
#[doc(hidden)]
macro_rules! arch_start {
    () => {
        core::arch::global_asm!(
            ".globl _start",
            ".type _start,%function",
            ".arm",
            "_start:",
            "mov r11, #0",
            "mov lr, #0",
            "mov r0, sp",
            "bic sp, sp, #7",
            "bl linchpin_start",
            "udf #0",
        );
    };
}

/// Personality symbols that precompiled `core` refers to on ARM when nothing is optimised away. Never called:
/// there is no unwinding.
#[macro_export]
#[doc(hidden)]
macro_rules! arch_eabi_symbols {
    () => {
        core::arch::global_asm!(
            ".weak __aeabi_unwind_cpp_pr0",
            ".weak __aeabi_unwind_cpp_pr1",
            ".weak __aeabi_unwind_cpp_pr2",
            "__aeabi_unwind_cpp_pr0:",
            "__aeabi_unwind_cpp_pr1:",
            "__aeabi_unwind_cpp_pr2:",
            "bx lr",
        );
    };
}
