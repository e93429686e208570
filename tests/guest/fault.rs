//! Real faults in a process that was not built for it, as a debugger makes them: it goes on at another place, with other
//! registers. What it fails at is put where the program began, which it does not need any more; all other code is as it was,
//! so that a handler that it may have can run. For scripts/peers, on x86_64.
#![allow(unsafe_code)]

use linchpin::arch::syscall6;
use linchpin::sys::{Errno, Fd, file};
use linchpin::text::CPath;
use linchpin::text::number::Decimal;
use rustix::fs::OFlags;

const PTRACE: usize = 101;
const WAIT4: usize = 61;
const GET_REGISTERS: usize = 12;
const SET_REGISTERS: usize = 13;
const DETACH: usize = 17;
const SEIZE: usize = 0x4206;
const INTERRUPT: usize = 0x4207;
/// Where struct user_regs_struct has them, as words.
const ORIG_RAX: usize = 15;
const RIP: usize = 16;
const RSP: usize = 19;
/// The entry of the auxiliary vector that tells where the program began.
const AT_ENTRY: u64 = 9;

/// The ways, with what is executed: `xor eax, eax; mov eax, [rax]`, `ud2`, `xor ecx, ecx; div ecx`, `push rax`; the last with a
/// stack pointer of 0: a handler on that stack cannot run either.
const WAYS: [(&[u8], &[u8]); 4] = [
    (b"null", &[0x31, 0xc0, 0x8b, 0x00]),
    (b"illegal", &[0x0f, 0x0b]),
    (b"division", &[0x31, 0xc9, 0xf7, 0xf1]),
    (b"stack", &[0x50]),
];

/// Makes the process fail now. EINVAL: there is no such way; else see ptrace(2).
pub fn fault(pid: i32, way: &[u8]) -> Result<(), Errno> {
    let (name, code) = WAYS.iter().find(|(name, _)| *name == way).ok_or(Errno::INVAL)?;
    let mut registers = [0u64; 27];
    ptrace(SEIZE, pid, 0)?;
    ptrace(INTERRUPT, pid, 0)?;
    wait_stopped(pid)?;
    ptrace(GET_REGISTERS, pid, registers.as_mut_ptr() as usize)?;
    registers[RIP] = put(pid, code)?;
    registers[ORIG_RAX] = u64::MAX; // it is in no system call that would be started again
    if *name == b"stack" {
        registers[RSP] = 0;
    }
    ptrace(SET_REGISTERS, pid, registers.as_mut_ptr() as usize)?;
    ptrace(DETACH, pid, 0)
}

/// Writes code where the program began; the place.
fn put(pid: i32, code: &[u8]) -> Result<u64, Errno> {
    let pid = Decimal::new(u64::from(pid.unsigned_abs()));
    let of = |name: &[u8]| CPath::<40>::of(&[b"/proc/", pid.as_bytes(), name]);
    let mut vector = [0; 1024];
    let vector = file::read(Fd::CWD, of(b"/auxv").path()?, &mut vector)?;
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).unwrap_or(0);
    let entry = vector.chunks_exact(16).find(|pair| word(&pair[..8]) == AT_ENTRY).ok_or(Errno::NOENT)?;
    let place = word(&entry[8..]);
    let mut mem = file::open(Fd::CWD, of(b"/mem").path()?, OFlags::WRONLY, 0)?;
    let written = rustix::io::pwrite(mem, code, place);
    mem.close();
    written.map(|_| place)
}

fn ptrace(request: usize, pid: i32, data: usize) -> Result<(), Errno> {
    // SAFETY: registers are read from and written to an array of their size; the other requests touch no memory of ours.
    let result = unsafe { syscall6(PTRACE, [request, pid as usize, 0, data, 0, 0]) };
    if result < 0 { Err(Errno::from_raw_os_error(-result as i32)) } else { Ok(()) }
}

fn wait_stopped(pid: i32) -> Result<(), Errno> {
    const ALL: usize = 0x4000_0000; // __WALL
    // SAFETY: nothing is written.
    let result = unsafe { syscall6(WAIT4, [pid as usize, 0, ALL, 0, 0, 0]) };
    if result < 0 { Err(Errno::from_raw_os_error(-result as i32)) } else { Ok(()) }
}
