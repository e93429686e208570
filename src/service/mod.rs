//! (room)

pub mod client;
pub mod command;
pub mod event;
pub mod files;
#[cfg(test)]
mod scratch;
pub mod status;
pub mod tally;
pub mod wait;
pub mod watch;
