//! Logs: the logger, what reads what it has written, stamps, and where lines come from that no service writes to its
//! standard output. Names, options, messages and exit codes are s6's where it has the command.

mod datagrams;
mod filter;
mod klog;
mod logger;
mod reader;
mod socklog;
mod tai64n;
mod tai64nlocal;
mod ucspilogd;
mod whole;

use super::{Applet, own, s6, s6_only};

/// What writes logs.
pub static BASIC: &[Applet] =
    &[s6_only("log", logger::USAGE, "writes lines into logdirs that it keeps small", logger::run)];

/// What reads them, and what makes them of what is no standard output of a service.
pub static MORE: &[Applet] = &[
    own("log", reader::USAGE, "shows the logs of services, merged by time", reader::run),
    s6("tai64n", tai64n::USAGE, "puts a time stamp in front of each line", tai64n::run),
    s6("tai64nlocal", tai64nlocal::USAGE, "makes time stamps readable", tai64nlocal::run),
    s6("socklog", socklog::USAGE, "prints what is sent to the syslog socket", socklog::run),
    own("ucspilogd", ucspilogd::USAGE, "prints what syslog clients write to standard input", ucspilogd::run),
    own("klog", klog::USAGE, "prints the kernel's log", klog::run),
];
