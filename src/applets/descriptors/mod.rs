//! Descriptors: the clients of a fd-holder, and what makes sockets for it.

mod fdholder;
mod fdholder_daemon;
mod fdholderd;
mod ipcserver_socketbinder;
mod seqpacket_socketbinder;
mod socketbinder;
mod tcpserver_socketbinder;
mod udp_socketbinder;

use super::{Applet, own, s6};

/// What one needs to use held descriptors one by one.
pub static BASIC: &[Applet] = &[
    s6(
        "fdholder-store",
        "[ -d fd ] [ -t timeout ] [ -T fdtimeout ] socket id",
        "gives a descriptor to a fd-holder",
        fdholder::single::store,
    ),
    s6(
        "fdholder-retrieve",
        "[ --listen-fds | --s6-fds ] [ -D ] [ -t timeout ] socket id prog... (several: socket id... -- prog...)",
        "runs a program with a held descriptor as its standard input, or with several",
        fdholder::retrieve::retrieve,
    )
    .chains(),
    s6("fdholder-delete", "[ -t timeout ] socket id", "lets a fd-holder close a descriptor", fdholder::single::delete),
    s6("fdholder-list", "[ -t timeout ] socket", "lists what a fd-holder holds", fdholder::list::list),
];

/// All others.
pub static MORE: &[Applet] = &[
    s6(
        "fdholder-getdump",
        "[ -t timeout ] socket prog...",
        "runs a program with all that a fd-holder holds",
        fdholder::dump::get,
    ),
    s6(
        "fdholder-setdump",
        "[ -t timeout ] socket",
        "gives a fd-holder what fdholder-getdump has got",
        fdholder::dump::set,
    ),
    s6(
        "fdholder-transferdump",
        "[ -t timeoutfrom:timeoutto ] socketfrom socketto",
        "gives all that a fd-holder holds to another one too",
        fdholder::dump::transfer,
    ),
    s6(
        "fdholderd",
        fdholderd::USAGE,
        "holds descriptors for others, whose socket is its standard input",
        fdholderd::run,
    ),
    s6(
        "fdholder-daemon",
        fdholder_daemon::USAGE,
        "makes a socket and holds descriptors for those who connect to it",
        fdholder_daemon::run,
    ),
    s6(
        "ipcserver-socketbinder",
        ipcserver_socketbinder::USAGE,
        "makes a unix socket, then runs prog with it as standard input",
        ipcserver_socketbinder::run,
    )
    .chains(),
    s6(
        "tcpserver-socketbinder",
        tcpserver_socketbinder::USAGE,
        "makes an IP socket, then runs prog with it as standard input",
        tcpserver_socketbinder::run,
    )
    .chains(),
    own(
        "udp-socketbinder",
        udp_socketbinder::USAGE,
        "makes a UDP socket, then runs prog with it as standard input",
        udp_socketbinder::run,
    )
    .chains(),
    own(
        "seqpacket-socketbinder",
        seqpacket_socketbinder::USAGE,
        "makes a unix socket that keeps the bounds of messages, then runs prog with it as standard input",
        seqpacket_socketbinder::run,
    )
    .chains(),
];
