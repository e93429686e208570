//! s6-log's loop: options, input, where lines go, signals, the end, and a storm of kills. Beside Debian's s6 where it behaves
//! so; where ours differs on purpose (s6's later version does, or Debian's is wrong), the test says so.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod input;
mod memory;
mod options;
mod signals;
mod stdout;
mod storm;
mod targets;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod work;
