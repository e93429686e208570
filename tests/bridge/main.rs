//! Images that are made for BusyBox init, booted by linchpin: `rootfs/usr/lib/linchpin`. Each has BusyBox and nothing else;
//! the shell is BusyBox's or dash. And the service directories of `board/common/services` in images without an init of their
//! own, with Debian's daemons.
//!
//! Needs what `tests/init` needs, and the BusyBox and the daemons that scripts/setup has unpacked.

mod boots;
mod ends;
mod image;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/lines.rs"]
mod lines;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/machine.rs"]
mod machine;
#[path = "../init/pty.rs"]
mod pty;
#[allow(dead_code)] // other tests use the rest
#[path = "../daemons/root.rs"]
mod root;
mod services;
mod terminals;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/world.rs"]
mod world;
