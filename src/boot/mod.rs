//! x
pub mod fault;
