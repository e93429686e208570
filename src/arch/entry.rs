//! What a program without libc must bring: process entry, the memory routines that the compiler calls, the panic
//! handler. Compiled into the binary (`main.rs`), not into the library.
#![allow(unsafe_code)]

use core::ffi::{c_char, c_int};

linchpin::arch_start!();
#[cfg(target_arch = "arm")]
linchpin::arch_eabi_symbols!();

unsafe extern "C" {
    // From the link script: code that is seldom run.
    static linchpin_seldom_start: u8;
    static linchpin_seldom_end: u8;
    // The tables that are zero at first.
    static linchpin_tables_start: u8;
    static linchpin_tables_end: u8;
}

/// First Rust code of the process, called by `_start` with the initial stack: argc, argv, envp, auxv.
#[unsafe(no_mangle)]
unsafe extern "C" fn linchpin_start(stack: *const usize) -> ! {
    // SAFETY: `_start` passes the stack pointer that the kernel set up, once, before anything else runs.
    let args = unsafe { linchpin::sys::args::from_stack(stack) };
    let (start, end) = (&raw const linchpin_seldom_start as usize, &raw const linchpin_seldom_end as usize);
    // SAFETY: the link script puts code between the two.
    unsafe { linchpin::sys::memory::set_seldom(start, end) };
    let (start, end) = (&raw const linchpin_tables_start as usize, &raw const linchpin_tables_end as usize);
    linchpin::sys::memory::keep_sparse(start, end);
    linchpin::sys::process::exit(crate::main(args))
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    linchpin::boot::fault::panicked(info)
}

/// Precompiled `core` names it; with panic = abort nothing calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// memcpy(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's contract is memcpy's.
    unsafe { forward(dst, src, n) };
    dst
}

/// memmove(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's contract is memmove's; the direction is chosen so that no byte is overwritten unread.
    unsafe {
        if (dst as usize).wrapping_sub(src as usize) >= n {
            forward(dst, src, n);
        } else {
            backward(dst, src, n);
        }
    }
    dst
}

/// memset(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(dst: *mut u8, byte: c_int, n: usize) -> *mut u8 {
    // SAFETY: the caller's contract is memset's.
    unsafe { fill(dst, byte as u8, n) };
    dst
}

/// memcmp(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    for i in 0..n {
        // SAFETY: both areas hold n bytes (memcmp's contract).
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
    }
    0
}

/// bcmp(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: same contract.
    unsafe { memcmp(a, b, n) }
}

/// strlen(3)
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(s: *const c_char) -> usize {
    let mut n = 0;
    // SAFETY: s is NUL-terminated (strlen's contract). Volatile, so that the loop is not turned into a call of itself.
    while unsafe { s.add(n).read_volatile() } != 0 {
        n += 1;
    }
    n
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn forward(dst: *mut u8, src: *const u8, n: usize) {
    // SAFETY: the areas hold n bytes; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") n => _, inout("rdi") dst => _, inout("rsi") src => _, options(nostack, preserves_flags))
    };
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fill(dst: *mut u8, byte: u8, n: usize) {
    // SAFETY: the area holds n bytes; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") n => _, inout("rdi") dst => _, in("al") byte, options(nostack, preserves_flags))
    };
}

/// Copies upwards, to a word at a time: stores are aligned, loads are as they come, which these processors can do. Volatile
/// stores keep the compiler from recognising the loop as memcpy and calling it from inside itself.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn forward(dst: *mut u8, src: *const u8, n: usize) {
    const W: usize = size_of::<usize>();
    let mut i = 0;
    // SAFETY: every access is below n in both areas, and words are stored on word boundaries.
    unsafe {
        if n >= 2 * W {
            while (dst as usize + i) % W != 0 {
                dst.add(i).write_volatile(*src.add(i));
                i += 1;
            }
            while i + W <= n {
                dst.add(i).cast::<usize>().write_volatile(src.add(i).cast::<usize>().read_unaligned());
                i += W;
            }
        }
        while i < n {
            dst.add(i).write_volatile(*src.add(i));
            i += 1;
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn fill(dst: *mut u8, byte: u8, n: usize) {
    const W: usize = size_of::<usize>();
    // Not an array of them: that is filled by memset where nothing is optimised.
    let word = usize::MAX / 255 * usize::from(byte);
    let mut i = 0;
    // SAFETY: every access is below n, and word accesses happen on word boundaries.
    unsafe {
        while i < n && (dst as usize + i) % W != 0 {
            dst.add(i).write_volatile(byte);
            i += 1;
        }
        while i + W <= n {
            dst.add(i).cast::<usize>().write_volatile(word);
            i += W;
        }
        while i < n {
            dst.add(i).write_volatile(byte);
            i += 1;
        }
    }
}

/// Copies downwards, for overlapping areas whose destination lies above the source.
unsafe fn backward(dst: *mut u8, src: *const u8, n: usize) {
    let mut i = n;
    while i > 0 {
        i -= 1;
        // SAFETY: i < n.
        unsafe { dst.add(i).write_volatile(src.add(i).read_volatile()) };
    }
}
