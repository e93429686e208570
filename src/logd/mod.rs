//! s6-log's logger, and what reads what it has written. Only the processes of those commands are ever in here; process 1
//! is not.
//!
//! * [`script`]: what the command line says: selections, control directives, actions. Pure.
//! * `engine`: the loop: signals, deadlines, the end. `input`: what comes; `lines`: where lines end. `output`: where they
//!   go, with `stdout` and `status`.
//! * [`dir`]: a logdir: start-up and recovery, writing, rotation, processors, trimming.
//! * [`ring`]: the other kind of place for lines: a file of fixed size in memory that keeps the last ones.
//! * [`stamp`]: time stamps in front of lines.
//! * [`read`]: reading logdirs and rings again, merged by time.

pub mod dir;
mod engine;
mod input;
mod lines;
mod output;
pub mod read;
pub mod ring;
pub mod script;
pub mod stamp;
mod status;
mod stdout;

pub use engine::{Settings, run};
