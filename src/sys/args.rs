//! The process's arguments and environment as the kernel left them on the stack.

use super::{Errno, Result};
use crate::limits::COMMAND_WORDS;
use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// argv. Words live as long as the process.
#[derive(Clone, Copy)]
pub struct Args {
    argc: usize,
    argv: *const *const c_char,
    envp: *const *const c_char,
}

/// envp.
#[derive(Clone, Copy)]
pub struct Env(pub(super) *const *const c_char);

/// Reads the initial stack (argc, argv…, NULL, envp…, NULL, auxv…) and tells rustix about its auxv.
///
/// # Safety
/// `stack` must be the stack pointer the kernel set up for this process. Called once, first.
pub unsafe fn from_stack(stack: *const usize) -> Args {
    // SAFETY: the layout is the kernel's ABI: argc, then argc + 1 pointers, then the environment.
    unsafe {
        let argc = *stack;
        let argv = stack.add(1).cast::<*const c_char>();
        let envp = argv.add(argc + 1);
        rustix::param::init(envp as *mut *mut u8);
        let args = Args { argc, argv, envp };
        remember(args);
        args
    }
}

/// A place for arguments: where they are, how many, and the environment.
struct Kept(AtomicPtr<*const c_char>, AtomicUsize, AtomicPtr<*const c_char>);

impl Kept {
    const fn nothing() -> Kept {
        Kept(AtomicPtr::new(ptr::null_mut()), AtomicUsize::new(0), AtomicPtr::new(ptr::null_mut()))
    }

    fn put(&self, args: Args) {
        self.0.store(args.argv.cast_mut(), Relaxed);
        self.1.store(args.argc, Relaxed);
        self.2.store(args.envp.cast_mut(), Relaxed);
    }

    fn get(&self) -> Option<Args> {
        let (argv, envp) = (self.0.load(Relaxed), self.2.load(Relaxed));
        (!argv.is_null()).then_some(Args { argc: self.1.load(Relaxed), argv, envp })
    }
}

/// What the kernel gave us.
static ORIGINAL: Kept = Kept::nothing();

/// What the process is to go on with; and the same words with the environment in which they were looked up.
static NEXT: [Kept; 2] = [Kept::nothing(), Kept::nothing()];

pub(super) fn remember(args: Args) {
    ORIGINAL.put(args);
}

/// The arguments with which this process was executed. `None`: there is a C library that knows them.
pub fn original() -> Option<Args> {
    ORIGINAL.get()
}

/// Leaves words for the command that the process goes on as, with its environment; and the environment in which they were
/// looked up. See [`take_next`].
pub fn leave_next(words: Args, lookup: Env) {
    let [next, before] = &NEXT;
    next.put(words);
    before.put(words.with_env(lookup));
}

/// What [`leave_next`] has left, once.
pub fn take_next() -> Option<(Args, Env)> {
    let [next, before] = &NEXT;
    let taken = next.get().zip(before.get().map(Args::env));
    next.0.store(ptr::null_mut(), Relaxed);
    taken
}

/// Whether the kernel takes so many words and variables for an execution: because it did, or because they and their
/// pointers are less than its ARG_MAX, so that they fit however small the limit for the stack is.
pub fn always_fit(words: Args, env: Env) -> bool {
    const BYTES: usize = 64 * 1024;
    const COUNT: usize = 4096;
    if original().is_some_and(|given| given.ends_with(words) && ptr::eq(given.envp, env.0)) {
        return true; // words are a part of those that were given
    }
    let mut left = (BYTES, COUNT);
    words.words().chain(env.iter()).all(|word| {
        let bytes = left.0.checked_sub(word.to_bytes_with_nul().len());
        match (bytes, left.1.checked_sub(1)) {
            (Some(bytes), Some(count)) => {
                left = (bytes, count);
                true
            }
            _ => false,
        }
    })
}

impl Args {
    /// No words, and no variables.
    pub const EMPTY: Args =
        Args { argc: 0, argv: (&raw const EMPTY_ENV.0).cast(), envp: (&raw const EMPTY_ENV.0).cast() };

    /// Number of words, argv[0] included. The kernel allows 0.
    pub fn len(self) -> usize {
        self.argc
    }

    /// No word at all, not even argv[0].
    pub fn is_empty(self) -> bool {
        self.argc == 0
    }

    /// Word `i`, if there is one.
    pub fn get(self, i: usize) -> Option<&'static CStr> {
        // SAFETY: below argc every pointer is a C string that lives as long as the process.
        (i < self.argc).then(|| unsafe { CStr::from_ptr(*self.argv.add(i)) })
    }

    /// The words from `i` on (none if there are fewer).
    pub fn skip(self, i: usize) -> Args {
        let n = i.min(self.argc);
        // SAFETY: at most argc, so the pointer stays inside the array (its NULL included).
        Args { argc: self.argc - n, argv: unsafe { self.argv.add(n) }, envp: self.envp }
    }

    /// The words as bytes, without their NULs.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'static [u8]> + Clone {
        (0..self.argc).map(move |i| self.get(i).map_or(&b""[..], CStr::to_bytes))
    }

    /// The words.
    pub fn words(self) -> impl ExactSizeIterator<Item = &'static CStr> + Clone {
        (0..self.argc).map(move |i| self.get(i).unwrap_or_default())
    }

    /// The environment.
    pub fn env(self) -> Env {
        Env(self.envp)
    }

    /// Whether these are the last ones of our words: the same array.
    fn ends_with(self, words: Args) -> bool {
        ptr::eq(self.skip(self.argc.saturating_sub(words.argc)).argv, words.argv)
    }

    /// The words in `before`, each of which ends with a NUL, then ours, then those in `after`; with our environment. E2BIG:
    /// that are more than [`COMMAND_WORDS`], or it was asked for before. EINVAL: one has no NUL.
    pub fn between(self, before: &'static [u8], after: &'static [u8]) -> Result<Args> {
        let room = JOINED.take().ok_or(Errno::TOOBIG)?;
        let mut argc = 0;
        let words = |text: &'static [u8]| text.split_inclusive(|byte| *byte == 0).map(CStr::from_bytes_with_nul);
        for word in words(before).chain(self.words().map(Ok)).chain(words(after)) {
            // The last place stays null.
            let place = room.0.get_mut(argc).filter(|_| argc < COMMAND_WORDS).ok_or(Errno::TOOBIG)?;
            *place = word.map_err(|_| Errno::INVAL)?.as_ptr();
            argc += 1;
        }
        Ok(Args { argc, argv: room.0.as_ptr(), envp: self.envp })
    }

    /// The same words with another environment.
    pub fn with_env(self, env: Env) -> Args {
        Args { envp: env.0, ..self }
    }

    /// The words as a null-terminated array, for exec.
    pub(super) fn as_ptr(self) -> *const *const u8 {
        self.argv.cast()
    }
}

impl Env {
    /// An environment without variables.
    pub const EMPTY: Env = Env((&raw const EMPTY_ENV.0).cast());

    /// The value of `name`: the first match, as getenv(3) does.
    pub fn get(self, name: &[u8]) -> Option<&'static CStr> {
        self.iter().find_map(|entry| {
            let bytes = entry.to_bytes_with_nul();
            let value = bytes.strip_prefix(name)?.strip_prefix(b"=")?;
            CStr::from_bytes_with_nul(value).ok()
        })
    }

    /// This environment and, for names that it lacks, the given `NAME=VALUE` entries. Can be called once; an
    /// environment of more than 120 entries loses those beyond.
    pub fn with_defaults(self, defaults: &[&'static CStr]) -> Env {
        let Some(room) = EXTENDED_ENV.take() else { return self };
        let lacks = |entry: &&&'static CStr| {
            let name = entry.to_bytes().split(|b| *b == b'=').next().unwrap_or(b"");
            self.get(name).is_none()
        };
        let added = defaults.iter().filter(lacks).copied();
        for (slot, entry) in room.0[..EXTENDED_ENV_SIZE - 1].iter_mut().zip(self.iter().chain(added)) {
            *slot = entry.as_ptr();
        }
        Env(room.0.as_ptr())
    }

    /// All entries, `NAME=VALUE`.
    pub fn iter(self) -> impl Iterator<Item = &'static CStr> + Clone {
        let mut at = self.0;
        core::iter::from_fn(move || {
            // SAFETY: the array ends with NULL, at which the walk stops; entries live as long as the process.
            unsafe {
                let entry = *at;
                if entry.is_null() {
                    return None;
                }
                at = at.add(1);
                Some(CStr::from_ptr(entry))
            }
        })
    }

    /// Takes all entries of `name` out of the process's environment, for good.
    pub fn remove(self, name: &[u8]) {
        let is_it = |entry: &CStr| entry.to_bytes().strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='));
        let (mut from, mut to) = (self.0, self.0.cast_mut());
        // SAFETY: both walk the same array, which ends with NULL; nothing is written unless an entry was left out, and
        // then the array is the kernel's, on our stack, or that of `with_defaults` or of an `Environment` that was given
        // up for it, which all may be written. No reference into it exists, only copies of its pointers.
        unsafe {
            loop {
                let entry = *from;
                let kept = entry.is_null() || !is_it(CStr::from_ptr(entry));
                if kept && !core::ptr::eq(from, to) {
                    *to = entry;
                }
                if entry.is_null() {
                    return;
                }
                from = from.add(1);
                if kept {
                    to = to.add(1);
                }
            }
        }
    }

    pub(super) fn as_ptr(self) -> *const *const u8 {
        self.0.cast()
    }
}

const EXTENDED_ENV_SIZE: usize = 128;

struct ExtendedEnv([*const c_char; EXTENDED_ENV_SIZE]);
static EXTENDED_ENV: super::cell::TakeCell<ExtendedEnv> =
    super::cell::TakeCell::new(ExtendedEnv([ptr::null(); EXTENDED_ENV_SIZE]));

/// For [`Args::between`].
struct Joined([*const c_char; COMMAND_WORDS + 1]);
static JOINED: super::cell::TakeCell<Joined> = super::cell::TakeCell::new(Joined([ptr::null(); COMMAND_WORDS + 1]));

struct EmptyEnv([*const c_char; 1]);
// SAFETY: a constant null pointer.
unsafe impl Sync for EmptyEnv {}
static EMPTY_ENV: EmptyEnv = EmptyEnv([ptr::null()]);

/// A null-terminated argument vector of at most `N - 1` words for a child.
pub struct Argv<'a, const N: usize> {
    words: [*const u8; N],
    len: usize,
    _lives: core::marker::PhantomData<&'a CStr>,
}

impl<'a, const N: usize> Argv<'a, N> {
    /// The given words; those beyond the capacity are left out.
    pub fn new(words: &[&'a CStr]) -> Self {
        let mut argv = Argv::empty();
        for word in words {
            argv.push(word);
        }
        argv
    }

    /// No word yet.
    pub const fn empty() -> Self {
        Argv { words: [ptr::null(); N], len: 0, _lives: core::marker::PhantomData }
    }

    /// Appends a word; false if there is no room.
    pub fn push(&mut self, word: &'a CStr) -> bool {
        if self.len + 1 >= N {
            return false;
        }
        self.words[self.len] = word.as_ptr().cast();
        self.len += 1;
        true
    }

    pub(super) fn as_ptr(&self) -> *const *const u8 {
        self.words.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    /// Words, or an environment, of these; for ever.
    fn array(strings: &[CString]) -> *const *const c_char {
        let forever = strings.iter().map(|string| string.clone().into_raw().cast_const());
        let pointers: Vec<_> = forever.chain([ptr::null()]).collect();
        Box::leak(pointers.into_boxed_slice()).as_ptr()
    }

    #[test]
    fn words_and_variables_fit_up_to_a_size_and_a_number() {
        let fit = |words: &[CString], variables: &[CString]| {
            let args = Args { argc: words.len(), argv: array(words), envp: array(&[]) };
            always_fit(args, Env(array(variables)))
        };
        let string = |length: usize| CString::new("x".repeat(length)).unwrap();
        assert!(fit(&[], &[]));
        assert!(fit(&[string(30_000)], &[string(32_768), string(2765)]));
        assert!(!fit(&[string(30_000)], &[string(32_768), string(2766)]));
        let many = |number: usize| vec![string(1); number];
        assert!(fit(&many(96), &many(4000)));
        assert!(!fit(&many(97), &many(4000)));
    }

    #[test]
    fn words_that_were_read_stand_around_those_that_were_given() {
        let given = [c"x".to_owned(), c"".to_owned()];
        let args = Args { argc: 2, argv: array(&given), envp: array(&[c"A=1".to_owned()]) };
        let joined = args.between(b"a\0\0b c\0", b"d\0").unwrap();
        assert_eq!(joined.words().collect::<Vec<_>>(), [c"a", c"", c"b c", c"x", c"", c"d"]);
        assert_eq!(joined.env().get(b"A"), Some(c"1"));
        // SAFETY: as many as there are words, and one more.
        assert!(unsafe { (*joined.argv.add(6)).is_null() });
        assert!(args.ends_with(args.skip(1)) && args.ends_with(args) && !args.ends_with(joined));
        assert_eq!(args.between(b"a\0", b"").err(), Some(Errno::TOOBIG));
    }

    #[test]
    fn what_is_left_for_the_next_command_is_taken_once() {
        let words = [c"a".to_owned(), c"b".to_owned()];
        let args = Args { argc: 2, argv: array(&words), envp: array(&[c"NEW=1".to_owned()]) };
        leave_next(args, Env(array(&[c"OLD=1".to_owned()])));
        let (next, lookup) = take_next().unwrap();
        assert_eq!(next.words().collect::<Vec<_>>(), [c"a", c"b"]);
        assert_eq!((next.env().get(b"NEW"), lookup.get(b"OLD")), (Some(c"1"), Some(c"1")));
        assert!(take_next().is_none());
    }
}
