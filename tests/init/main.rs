//! Process 1, without a machine: the binary runs as process 1 of namespaces of its own (user, pid, mount, uts, ipc,
//! net), in a root directory that the test makes. What happens there cannot touch the host: its user 0 is nobody
//! outside, so it may neither write the host's sysctls nor remount its file systems.
//!
//! Needs util-linux, and root or unprivileged user namespaces.

#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;

mod binding;
mod boots;
mod broken;
mod console;
mod forever;
mod handover;
mod lines;
mod machine;
mod modules;
mod pty;
mod root;
mod rules;
mod shutdown;
mod sockets;
mod stop_script;
mod table;
mod world;
