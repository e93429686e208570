//! Executing the binary again, with the arguments and the environment that it was given: the last that a process does that
//! has failed. No memory is asked for, and nothing is relied on that could have been damaged without a second way.

use super::args::{self, Env};
use super::{Errno, Fd, Result, file, process, raw};
use crate::limits::ENV_ENTRIES;
use crate::text::CPath;
use crate::text::number::Decimal;
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ptr;
use rustix::fs::{AtFlags, FileType, OFlags};

/// Words of the arguments that are kept in a second place, and bytes of them.
const WORDS: usize = 16;
const BYTES: usize = 1024;

/// The pointers that exec gets.
struct Pointers {
    /// The variable that is added, all others, null.
    env: [*const u8; ENV_ENTRIES + 2],
    /// Copies of the first arguments, null.
    argv: [*const u8; WORDS + 1],
}

/// A copy of the first arguments.
struct Words {
    len: usize,
    ends: [usize; WORDS],
    text: [u8; BYTES],
}

struct Room<T>(UnsafeCell<T>);
// SAFETY: used by the only thread, and never twice at a time: by what runs last in the process, which does not come back.
unsafe impl<T> Sync for Room<T> {}
static EXEC_POINTERS: Room<Pointers> =
    Room(UnsafeCell::new(Pointers { env: [ptr::null(); ENV_ENTRIES + 2], argv: [ptr::null(); WORDS + 1] }));
static EXEC_WORDS: Room<Words> = Room(UnsafeCell::new(Words { len: 0, ends: [0; WORDS], text: [0; BYTES] }));

/// The binary, to be executed again: a descriptor that reads nothing, close-on-exec. Before there is a /proc it is found by
/// the path that the kernel was told. ENOENT: there is no way to it.
pub fn open_own_binary() -> Result<Fd> {
    let flags = OFlags::PATH;
    file::open(Fd::CWD, c"/proc/self/exe", flags, 0).or_else(|e| file::open(Fd::CWD, told_path().ok_or(e)?, flags, 0))
}

/// Whether `fd` is the file that this process executes. Where nobody can tell, it is if it is a file.
pub fn is_own_binary(fd: Fd) -> bool {
    let Ok(stat) = rustix::fs::fstat(fd) else { return false };
    match rustix::fs::statat(Fd::CWD, c"/proc/self/exe", AtFlags::empty()) {
        Ok(own) => (own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino),
        Err(_) => FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
    }
}

/// The path that the kernel was told, if that is in a directory.
fn told_path() -> Option<&'static CStr> {
    args::original()?;
    let path = rustix::param::linux_execfn();
    path.to_bytes().contains(&b'/').then_some(path)
}

/// Keeps a copy of the first arguments: those that say what this process is.
pub fn keep_arguments() {
    let Some(args) = args::original() else { return };
    // SAFETY: no other reference to the room exists: exec is the last that happens.
    let words = unsafe { &mut *EXEC_WORDS.0.get() };
    let mut used = 0;
    words.len = 0;
    for (word, end) in args.words().zip(&mut words.ends) {
        let bytes = word.to_bytes_with_nul();
        let Some(room) = words.text.get_mut(used..used + bytes.len()) else { break };
        room.copy_from_slice(bytes);
        used += bytes.len();
        *end = used;
        words.len += 1;
    }
}

/// The name that `ps` shows becomes what it was: a program that was executed by descriptor has the number of that.
pub fn restore_name() {
    let Some(name) = args::original().and_then(|args| args.get(0)) else { return };
    let base = name.to_bytes_with_nul().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if let Ok(base) = CStr::from_bytes_with_nul(base) {
        let _ = rustix::thread::set_name(base);
    }
}

/// How much of what we were given is given on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// All arguments, all variables.
    All,
    /// The first arguments, from the copy; no variable.
    Least,
}

/// Executes the binary again, with `variable` (`NAME=VALUE`) added to its environment, before all others. Returns only on
/// failure: why the first of several ways did not lead there. Every signal is blocked then.
pub fn exec(binary: Fd, variable: &CStr, given: Given) -> Errno {
    let (argv, envp) = prepare(variable, given);
    let numbered = numbered(binary);
    // SAFETY: both arrays are made of C strings and end with null.
    unsafe {
        let why = raw::execve_open(binary.0, argv, envp);
        for path in [numbered.path().ok(), Some(c"/proc/self/exe"), told_path()].into_iter().flatten() {
            raw::execve(path.as_ptr().cast(), argv, envp);
        }
        why
    }
}

/// Executes another binary, and no other than that, as [`exec`] does. Returns only on failure: why. Every signal is blocked
/// then.
pub fn exec_other(binary: Fd, variable: &CStr) -> Errno {
    let (argv, envp) = prepare(variable, Given::All);
    // SAFETY: both arrays are made of C strings and end with null.
    match unsafe { raw::execve_open(binary.0, argv, envp) } {
        Errno::NOSYS => match numbered(binary).path() {
            // SAFETY: as above.
            Ok(path) => unsafe { raw::execve(path.as_ptr().cast(), argv, envp) },
            Err(e) => e,
        },
        why => why,
    }
}

/// Executes the program at `path`, as the kernel would start it as process 1: with our arguments but for the first, which
/// becomes its path, with our environment and `variable`, and no signal blocked. Returns only on failure: why. Every signal
/// is blocked then.
pub fn exec_program(path: &CStr, variable: &CStr) -> Errno {
    /// The kernel gives process 1 no more than 32 words.
    const MOST: usize = 40;
    let (_, envp) = prepare(variable, Given::All);
    let mut argv = [ptr::null(); MOST + 1];
    argv[0] = path.as_ptr().cast::<u8>();
    let words = args::original().into_iter().flat_map(|args| args.skip(1).words());
    for (slot, word) in argv[1..MOST].iter_mut().zip(words) {
        *slot = word.as_ptr().cast();
    }
    super::signal::SignalSet::EMPTY.block();
    // SAFETY: both arrays are made of C strings and end with null.
    let why = unsafe { raw::execve(path.as_ptr().cast(), argv.as_ptr(), envp) };
    super::signal::SignalSet::ALL.block();
    why
}

fn numbered(binary: Fd) -> CPath<32> {
    CPath::of(&[b"/proc/self/fd/", Decimal::new(binary.0.unsigned_abs().into()).as_bytes()])
}

/// Blocks every signal, and makes the arguments and the environment.
fn prepare(variable: &CStr, given: Given) -> (*const *const u8, *const *const u8) {
    // What is sent meanwhile waits for the program that comes.
    super::signal::SignalSet::ALL.block();
    // SAFETY: no other reference to the rooms exists: of those who come here nobody keeps one when he goes on.
    let (pointers, words) = unsafe { (&mut *EXEC_POINTERS.0.get(), &*EXEC_WORDS.0.get()) };
    let [first, others @ ..] = &mut pointers.env;
    *first = variable.as_ptr().cast();
    others[0] = ptr::null();
    let mut argv = copied(&mut pointers.argv, words);
    if given == Given::All {
        if let Some(args) = args::original() {
            argv = args.as_ptr();
            add(others, args.env());
        }
    }
    (argv, pointers.env.as_ptr())
}

/// Executes the binary again with nothing of what it was given but its name, and this environment of one variable.
/// Returns only on failure.
pub fn exec_bare(binary: Fd, variable: &CStr) -> Errno {
    let argv = [c"linchpin".as_ptr().cast(), ptr::null()];
    let envp = [variable.as_ptr().cast(), ptr::null()];
    // SAFETY: both arrays are made of C strings and end with null.
    unsafe { raw::execve_open(binary.0, argv.as_ptr(), envp.as_ptr()) }
}

fn copied(argv: &mut [*const u8; WORDS + 1], words: &Words) -> *const *const u8 {
    let mut start = 0;
    let mut count = 0;
    for end in words.ends.iter().take(words.len) {
        let Some(word) = words.text.get(start..*end) else { break };
        argv[count] = word.as_ptr();
        (start, count) = (*end, count + 1);
    }
    if count == 0 {
        argv[0] = c"linchpin".as_ptr().cast();
        count = 1;
    }
    argv[count] = ptr::null();
    argv.as_ptr()
}

/// Adds the variables that there is room for, and null.
fn add(room: &mut [*const u8], env: Env) {
    let last = room.len() - 1;
    let mut used = 0;
    let mut at = env.as_ptr();
    while used < last {
        // SAFETY: the array ends with null, at which the walk stops.
        let entry = unsafe { at.read() };
        if entry.is_null() {
            break;
        }
        room[used] = entry;
        // SAFETY: as above.
        at = unsafe { at.add(1) };
        used += 1;
    }
    room[used] = ptr::null();
}

/// Ends the process without a word: nothing else is left to do.
pub fn end() -> ! {
    process::exit(111)
}
