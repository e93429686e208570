//! sudo, sudoc and sudod, beside Debian's and with them: both speak the same over a connection, so each client has to work
//! with each server. And both against others that say something else.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod environment;
mod hostile_clients;
mod hostile_servers;
mod pairs;
mod program;
mod side;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod wrapper;
