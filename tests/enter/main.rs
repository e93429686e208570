//! Entering again: `svscan`, `supervise` and process 1 of a namespace fail, are executed again by themselves, and go on as if
//! nothing had been: same processes, same descriptors, same orders under way.
//!
//! Needs s6's clients, util-linux, and root or unprivileged user namespaces.
#![cfg(feature = "faults")]

mod again;
mod boots;
mod engine;
mod init;
#[allow(dead_code)] // other tests use the rest
#[path = "../init/lines.rs"]
mod lines;
#[allow(dead_code)]
#[path = "../init/machine.rs"]
mod machine;
#[allow(dead_code)]
#[path = "../init/pty.rs"]
mod pty;
#[allow(dead_code)]
#[path = "../svscan/scandir.rs"]
mod scandir;
mod stop_script;
mod strangers;
mod supervise;
#[allow(dead_code)]
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)]
#[path = "../common/tmp.rs"]
mod tmp;
#[allow(dead_code)]
#[path = "../init/world.rs"]
mod world;
