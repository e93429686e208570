//! Commands for the inside of a service (`permafailon`, `notifyoncheck`), and those for its instances, beside Debian's:
//! the same words, the same exit code, the same effect. Where ours differ on purpose, the test says so.

#[path = "../common/beside.rs"]
#[allow(dead_code)] // other tests use the rest
mod beside;
mod instances;
mod notifyoncheck;
mod permafailon;
#[path = "../common/supervision.rs"]
#[allow(dead_code)] // other tests use the rest
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
#[path = "../supervision_clients/tree.rs"]
#[allow(dead_code)] // other tests use the rest
mod tree;
