//! What happens once in the life of process 1: from the kernel's hands to the engine ([`init`]), and from the engine
//! back to the kernel ([`shutdown`], [`unmount`]). Everything here is tolerant: what cannot be done is said in one line, and the
//! rest goes on.
//!
//! * [`mounts`]: the kernel's file systems. * [`console`]: where lines can be read. * [`cmdline`]: what the kernel was told.
//! * [`modules`]: what the kernel needs. * [`device`]: disks, and waiting for them. * [`root`], [`switch`]: from an initramfs to the root file system.
//! * [`scandir`]: where services and the fd-holder live. * [`sockets`]: bound before any process exists. * [`run_image`]: service templates to the scan directory.
//! * [`catch_all`]: the pipe of what nobody else logs. * [`hostname`].
//! * [`fault`]: panics. * [`rescue`]: when process 1 has failed too often to go on.

pub mod catch_all;
pub mod cmdline;
pub mod console;
pub mod device;
pub mod fault;
pub mod hostname;
pub mod init;
pub mod modules;
pub mod mounts;
pub mod policy;
pub mod rescue;
pub mod root;
pub mod run_image;
pub mod scandir;
pub mod shutdown;
pub mod sockets;
pub mod switch;
pub mod unmount;

/// How far the boot has come, as the arena's header holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Progress {
    /// The kernel's file systems are mounted, lines can be read.
    Mounted = 1,
    /// Every socket of the board config is bound, or was reported.
    SocketsBound = 2,
    /// The scan directory is filled.
    RunImageCopied = 3,
    /// The engine runs.
    Running = crate::svscan::enter::RUNNING,
    /// Services are stopped, file systems are being unmounted.
    Unmounting = 5,
}
