//! When an instruction of ours fails: the kernel sends a signal, and what handles it runs on a stack of its own, so that a
//! full one is survived too. This room decodes what the kernel tells; what is to be done is its caller's
//! (`state::leave`).
//!
//! The same signals may be sent by anybody who may; then nothing of ours has failed.

use super::cell::LateRef;
use super::signal::{SignalSet, number as sig};
use super::{process, raw};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The signals by which an instruction fails. They must not be blocked: then the kernel would kill the process.
pub const SIGNALS: [i32; 6] = [4, 5, 7, 8, 11, 31];
/// SIGTRAP.
pub const TRAP: i32 = 5;

/// The set of [`SIGNALS`].
pub const SET: SignalSet = SignalSet::of(&SIGNALS);

/// What the kernel tells of a signal and of what it has interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Signal number.
    pub signal: i32,
    /// si_code.
    pub code: i32,
    /// Sender's pid and user, if it was sent.
    pub sender: i32,
    /// See above.
    pub uid: u32,
    /// The address that was accessed, or of the instruction; 0 if it was sent.
    pub address: u64,
    /// The instruction that was interrupted.
    pub instruction: u64,
    /// Stack pointer.
    pub stack: u64,
    /// Link register; 0 where there is none.
    pub link: u64,
}

impl Fault {
    /// Whether somebody sent the signal: nothing has failed. The kernel lets nobody pretend otherwise to others.
    pub fn is_sent(&self) -> bool {
        self.code <= 0
    }
}

/// What is to be done. It comes back if the signal was sent and may be left for later.
pub type Handler = fn(&Fault);

/// Room for the largest frame that a kernel pushes (with all of AVX-512, SVE or AMX some 11 KiB) and for what a handler
/// needs, twice: it may fail itself. What is not touched costs nothing.
const STACK_SIZE: usize = 64 * 1024;

#[repr(align(4096))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);
// SAFETY: only the kernel uses it, for the handlers of the only thread.
unsafe impl Sync for Stack {}
static HANDLER_STACK: Stack = Stack(UnsafeCell::new([0; STACK_SIZE]));

static HANDLER: LateRef<Handler> = LateRef::new();
static OWNER: AtomicI32 = AtomicI32::new(0);

/// From here on `handler` is called when this process fails, and when somebody sends it one of [`SIGNALS`]. Those stay
/// blocked if they are: see [`unblock`].
pub fn install(handler: &'static Handler) {
    HANDLER.set(handler);
    OWNER.store(process::pid(), Relaxed);
    // SAFETY: nothing else uses that memory.
    let _ = unsafe { raw::set_alternate_stack(HANDLER_STACK.0.get().cast(), STACK_SIZE) };
    for signal in SIGNALS {
        raw::on_fault(signal, on_fault, SignalSet::ALL.less(SET).bits());
    }
}

/// Lets the signals come.
pub fn unblock() {
    SignalSet::blocked().less(SET).block();
}

/// Whether this is the process that has called [`install`], and not a child that shares its memory, or has a copy of it.
pub fn is_owner() -> bool {
    let here = 0u8;
    is_owner_at(&raw const here as usize)
}

fn is_owner_at(stack: usize) -> bool {
    // Process 1 of a new pid namespace has the pid of process 1, but runs on the stack for children.
    process::pid() == OWNER.load(Relaxed) && !process::is_child_stack(stack)
}

/// Wakes the loop: it gets a signal that it waits for.
pub fn wake() {
    let _ = raw::kill(process::pid(), sig::CHLD);
}

extern "C" fn on_fault(signal: i32, info: *const c_void, context: *const c_void) {
    // SAFETY: the kernel gives the handler whole siginfo_t and ucontext structures.
    let fault = unsafe { decode(signal, info.cast(), context.cast()) };
    if !is_owner_at(fault.stack as usize) {
        // A child before it has executed its program: it shares our memory, and must not touch it. (Nor dump it: we
        // might be waiting.)
        raw::exit_group(127);
    }
    match HANDLER.get() {
        Some(handler) => handler(&fault),
        None => raw::exit_group(127),
    }
    if !fault.is_sent() {
        raw::exit_group(127); // going back would fail for ever
    }
}

/// # Safety
/// Both must point to what the kernel gives to a signal handler.
unsafe fn decode(signal: i32, info: *const u8, context: *const u8) -> Fault {
    /// siginfo_t: signo, errno, code, then (aligned to a pointer) pid and uid, or an address.
    const DETAILS: usize = if cfg!(target_pointer_width = "64") { 16 } else { 12 };
    // SAFETY: by contract; all offsets are inside the structures and aligned.
    unsafe {
        let code = info.add(8).cast::<i32>().read();
        let register = |at: Option<usize>| at.map_or(0, |at| context.add(at).cast::<usize>().read() as u64);
        let [instruction, stack, link] = crate::arch::REGISTERS.map(register);
        let mut fault = Fault { signal, code, sender: 0, uid: 0, address: 0, instruction, stack, link };
        if fault.is_sent() {
            fault.sender = info.add(DETAILS).cast::<i32>().read();
            fault.uid = info.add(DETAILS + 4).cast::<u32>().read();
        } else {
            fault.address = info.add(DETAILS).cast::<usize>().read() as u64;
        }
        fault
    }
}
