//! The arena: one fixed-size, position-independent structure of plain data in a memfd, in which everything lives that
//! must outlive a crash of the process that uses it. See [`layout`] for what is in it and [`arena`] for how it comes
//! to be. What can be derived from it (timer heap, pid index, epoll set) is not in it.

pub mod arena;
pub mod layout;
pub mod slot;

pub use arena::{Arena, open};
pub use layout::{Allow, Client, Header, Held, Job, Notify, Pending, Service, Tables};
