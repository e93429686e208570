//! Statics for a single-threaded process.

use core::cell::UnsafeCell;
use core::convert::Infallible;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A value in `.bss` or `.data` that is handed out once, as the only reference to it. Large tables live in such
/// statics: what is never touched costs no memory.
pub struct TakeCell<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `take` gives the value to one caller only.
unsafe impl<T> Sync for TakeCell<T> {}

impl<T> TakeCell<T> {
    /// A cell holding `value`.
    pub const fn new(value: T) -> Self {
        TakeCell { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Whether somebody has the value.
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// The value, at the first call; `None` ever after.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: the flag lets one caller through, so the reference is unique.
        Some(unsafe { &mut *self.value.get() })
    }
}

/// A value in `.bss` or `.data` that is lent to one caller at a time.
pub struct LendCell<T> {
    lent: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `lend` gives the value to one caller at a time.
unsafe impl<T: Send> Sync for LendCell<T> {}

impl<T> LendCell<T> {
    /// A cell holding `value`.
    pub const fn new(value: T) -> Self {
        LendCell { lent: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// What `body` makes of the value; `None`: somebody else has it. (A `body` that panics keeps it.)
    pub fn lend<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.lent.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag lets one caller through until it is cleared, after the reference is gone.
        let result = body(unsafe { &mut *self.value.get() });
        self.lent.store(false, Ordering::Release);
        Some(result)
    }
}

/// A reference that becomes known during start-up.
pub struct LateRef<T>(AtomicPtr<T>);

impl<T: Sync> LateRef<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        LateRef(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Makes `target` known.
    pub fn set(&self, target: &'static T) {
        self.0.store(core::ptr::from_ref(target).cast_mut(), Ordering::Release);
    }

    /// Forgets the target.
    pub fn clear(&self) {
        self.0.store(core::ptr::null_mut(), Ordering::Release);
    }

    /// The target, once it is known.
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: only `set` stores here, and it stores shared references that live for ever.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

impl<T: Sync> Default for LateRef<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A value that its owner goes on using, until code takes it that never gives control back to the owner: what runs when
/// the process has failed, up to the execution of another program.
pub struct SeizeCell<T>(AtomicPtr<T>);

impl<T: 'static> SeizeCell<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        SeizeCell(AtomicPtr::new(core::ptr::null_mut()))
    }

    /// Makes the value known, and gives it back to its owner.
    pub fn lend(&self, owner: &'static mut T) -> &'static mut T {
        self.0.store(owner, Ordering::Release);
        owner
    }

    /// Whether there is a value.
    pub fn is_known(&self) -> bool {
        !self.0.load(Ordering::Relaxed).is_null()
    }

    /// Takes the value from whoever has it. `None`: it is not known.
    #[allow(unreachable_code)] // for Rust 1.85 the match comes after what does not return
    pub fn seize(&self, body: impl FnOnce(Option<&'static mut T>) -> Infallible) -> ! {
        // SAFETY: the value lives for ever. Whoever has the other reference is below us on the stack of the only thread,
        // or was interrupted, and never runs again.
        match body(unsafe { self.0.load(Ordering::Acquire).as_mut() }) {}
    }
}

impl<T: 'static> Default for SeizeCell<T> {
    fn default() -> Self {
        Self::new()
    }
}
