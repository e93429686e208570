//! The descriptor store that speaks s6's fd-holder protocol.
//!
//! * [`wire`]: what goes over a connection, as bytes. Pure.
//! * [`table`]: the held descriptors. Pure.
//! * `dump`: all of it to one client, much of it from one; `journal`: what is logged of clients.
//! * [`rights`]: what a client may do.
//! * [`session`]: one client of the store: its requests carried out, its answers sent, without ever waiting for it.
//! * [`transfer`]: what is being done, as the arena remembers it.
//! * [`records`]: its part of the arena.
//! * [`server`]: the listener, all clients, deadlines; sits in PID 1's loop.
//! * [`mend`]: what its records can be, and what is made of damaged ones.
//! * [`upgrade`]: what concerns the process: to become another binary.
//! * [`info`]: what a store tells about what it holds, beside s6's protocol. Pure.
//! * [`client`]: the other side, for the applets.
//!
//! Follows s6-fdholderd and s6-fdholder-*(8). Who may connect: root, and the user that the store runs as.

pub mod client;
mod dump;
pub mod info;
pub mod journal;
pub mod mend;
pub mod records;
pub mod rights;
pub mod server;
pub mod session;
pub mod table;
#[cfg(test)]
mod tests;
pub mod transfer;
pub mod upgrade;
pub mod wire;
