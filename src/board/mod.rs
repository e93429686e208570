//! The board: one machine type, described by one TOML file (`/etc/linchpin/board.toml`). What it says, with defaults,
//! is a [`Board`]; [`with_file`] reads it the same way in PID 1 and in `linchpin check`.
//!
//! A mistake in the file never stops anything: it becomes one [`Diagnostic`], and the rest of the file counts.

pub mod check;
pub mod diagnostic;
mod entries;
pub mod file;
mod keys;
mod line;
pub mod model;
mod reader;
pub mod root;
mod string;
mod syntax;
pub mod users;
mod values;

pub use diagnostic::Diagnostic;
pub use file::with_file;
pub use model::{Allow, Board, Fault, Glob, Id, Mount, Owner, Signals, Socket, Then, Whom};
pub use reader::load;
pub use root::{Root, Source};
