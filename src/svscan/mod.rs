//! Many services: scan, logger pipes, control commands, the engine that PID 1 runs.

pub mod index;
pub mod timers;
