//! x
use core::panic::PanicInfo;
/// x
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    crate::error!("{info}");
    crate::sys::process::exit(101)
}
