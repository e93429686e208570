//! The arena: one fixed-size, position-independent structure of plain data in a memfd, in which everything lives that
//! must outlive a crash of the process that uses it. See [`layout`] for what is in it, [`arena`] for how it comes
//! to be, and [`leave`] for how it is left when the process fails. What can be derived from it (timer heap, pid index, epoll set) is not in it.

pub mod arena;
pub mod check;
pub mod claims;
pub mod handover;
pub mod layout;
pub mod leave;
pub mod ledger;
pub mod schema;
pub mod slot;
pub mod stream;

pub use arena::{Arena, Why, is_given, open};
pub use layout::{Allow, Client, Epitaph, Header, Held, Inbox, Job, Notify, Pending, Redo, Service, Tables, Transfer};
