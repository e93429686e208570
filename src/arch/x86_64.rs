//! x86_64: system call instruction, child entry, process entry.

use core::arch::{asm, global_asm};

/// One system call with six arguments; unused ones are zero. Returns the kernel's raw answer (`-errno` on failure).
///
/// # Safety
/// The number and arguments must be a call whose effects the caller accounts for.
#[inline(always)]
pub unsafe fn syscall6(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the caller vouches for the call; the kernel clobbers rax, rcx and r11 only.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => ret, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

// fn(flags: rdi, stack_top: rsi, parent_tid: rdx, entry: rcx, arg: r8) -> pid or -errno
global_asm!(
    ".globl linchpin_clone",
    ".hidden linchpin_clone",
    ".type linchpin_clone,@function",
    "linchpin_clone:",
    "mov r9, rcx",
    "xor r10d, r10d",
    "mov eax, 56",
    "syscall",
    "test eax, eax",
    "jz 1f",
    "ret",
    "1: xor ebp, ebp",
    "and rsp, -16",
    "mov rdi, r8",
    "call r9",
    "mov edi, eax",
    "mov eax, 60",
    "syscall",
    "ud2",
    ".size linchpin_clone, . - linchpin_clone",
);

// Where a signal handler returns to.
global_asm!(
    ".globl linchpin_signal_return",
    ".hidden linchpin_signal_return",
    ".type linchpin_signal_return,@function",
    "linchpin_signal_return:",
    "mov eax, 15",
    "syscall",
    "ud2",
    ".size linchpin_signal_return, . - linchpin_signal_return",
);

/// Where the kernel's ucontext has the registers of what a signal has interrupted: program counter, stack pointer and, where
/// there is one, link register.
pub const REGISTERS: [Option<usize>; 3] = [Some(168), Some(160), None];

/// The process entry point: hands the initial stack pointer to `linchpin_start`.
#[macro_export]
#[doc(hidden)]
macro_rules! arch_start {
    () => {
        core::arch::global_asm!(
            ".globl _start",
            ".type _start,@function",
            "_start:",
            "xor ebp, ebp",
            "mov rdi, rsp",
            "and rsp, -16",
            "call linchpin_start",
            "ud2",
        );
    };
}
