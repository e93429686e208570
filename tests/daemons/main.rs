//! Other people's daemons, as Debian has them, on held sockets: each answers, is killed, and answers again on the same
//! socket, and whoever calls in between is not refused but served by the next one.
//!
//! scripts/setup unpacks them; `LINCHPIN_DAEMONS` names the place if it is another one.

mod connections;
mod datagrams;
#[allow(dead_code)] // other tests use the rest
#[path = "../handover/holder.rs"]
mod holder;
mod listeners;
mod place;
mod root;
#[allow(dead_code)] // other tests use the rest
#[path = "../svscan/scandir.rs"]
mod scandir;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
