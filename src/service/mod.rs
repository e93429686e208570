//! One service: its directory, its state machine, its status, tally and events.

pub mod machine;
pub mod supervisor;
