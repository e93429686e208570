//! The fd-holder under attack, in the process that it is meant for: svscan, with services that are to live on.
//!
//! * [`world`]: the process, its services, and what must be as it was when an attack is over.
//! * [`attacks`]: what hostile clients do.
//! * [`honest`]: a client that measures how long it waits.
//! * [`sieges`]: each attack against all of that. * [`scarcity`]: the same with too few descriptors, or errors of the
//!   kernel. * [`strangers`]: clients that may not connect.

mod attacks;
mod honest;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
mod scarcity;
mod sieges;
mod strangers;
#[allow(dead_code)]
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)]
#[path = "../common/tmp.rs"]
mod tmp;
mod world;
