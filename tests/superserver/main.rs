//! ipcserverd and tcpserverd: what a child finds, limits, lines, signals, faults, load. The first beside Debian's s6, which
//! has no other; where ours differ from it on purpose (s6's later version does, or Debian's is wrong), the test says so.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod child;
mod faults;
mod limits;
mod lines;
mod load;
#[allow(dead_code)] // some are for one module only
mod server;
mod start;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
