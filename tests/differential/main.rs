//! The same scenarios under s6 and under linchpin, with s6's clients and with linchpin's (Debian's packages `s6` and
//! `execline` are needed): what can be observed must be the same, but for what `known` lists. `coverage` maps the
//! traps of the specification to the scenarios that show them.

mod chain;
mod clients;
mod compare;
mod coverage;
mod known;
mod listener;
mod processes;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/supervision.rs"]
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod world;

mod alone;
mod descriptors;
mod ending;
mod failing;
mod finishing;
mod listeners;
mod loggers;
mod modes;
mod orders;
mod readiness;
mod scanning;
mod signals;
mod starting;
mod tally;
mod timers;
