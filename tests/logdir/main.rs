//! Logdirs: recovery of whatever a logger may have left, rotation, trimming, processors, errors, death at every step. Beside
//! Debian's s6-log, where that has it; where ours differs from it on purpose, the test says so.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
#[cfg(feature = "faults")]
mod deaths;
#[cfg(feature = "faults")]
mod failing;
mod gathering;
mod house;
mod logger;
mod processors;
mod recovery;
mod rotation;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod trouble;
