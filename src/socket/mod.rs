//! Addresses, and sockets bound to them: early by PID 1 from the board config, later by the binder commands.

pub mod address;
pub mod bind;
pub mod mend;
pub mod options;
pub mod pending;

pub use address::Address;
pub use bind::bind;
