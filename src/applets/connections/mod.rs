//! Connections: programs that accept them and run another for each, that make them, filter them, or run between them and
//! a supervisor. Their option letters, messages and exit codes are s6's and s6-networking's.

mod accessrules_cdb_from_fs;
mod accessrules_fs_from_cdb;
mod admit;
mod connlimit;
mod ident;
mod ioconnect;
mod ipcclient;
mod ipcserver;
mod ipcserver_access;
mod ipcserverd;
mod line;
mod notify_fd_from_socket;
mod notify_socket_from_fd;
mod notify_watch;
mod proto;
mod resolve;
mod server_chain;
mod sudo;
mod sudoc;
mod sudod;
mod tcpclient;
mod tcpserver;
mod tcpserver_access;
mod tcpserverd;

use super::{Applet, s6};

/// Its commands.
pub static APPLETS: &[Applet] = &[
    s6("ipcserver", ipcserver::USAGE, "makes a unix socket and runs prog for each connection", ipcserver::run),
    s6("tcpserver", tcpserver::USAGE, "makes a TCP socket and runs prog for each connection", tcpserver::run),
    s6("ipcserverd", ipcserverd::USAGE, "runs prog for each connection to its standard input", ipcserverd::run),
    s6("tcpserverd", tcpserverd::USAGE, "runs prog for each TCP connection to its standard input", tcpserverd::run),
    s6("ipcserver-access", ipcserver_access::USAGE, "runs prog if its client may connect", ipcserver_access::run)
        .chains_once(),
    s6("tcpserver-access", tcpserver_access::USAGE, "runs prog if its TCP client may connect", tcpserver_access::run)
        .chains_once(),
    s6(
        "accessrules-cdb-from-fs",
        accessrules_cdb_from_fs::USAGE,
        "makes a file of access rules of a directory of them",
        accessrules_cdb_from_fs::run,
    ),
    s6(
        "accessrules-fs-from-cdb",
        accessrules_fs_from_cdb::USAGE,
        "makes a directory of access rules of a file of them",
        accessrules_fs_from_cdb::run,
    ),
    s6("connlimit", connlimit::USAGE, "runs prog unless its client has too many connections", connlimit::run).chains(),
    s6("ipcclient", ipcclient::USAGE, "connects to a unix socket and runs prog with that", ipcclient::run),
    s6("tcpclient", tcpclient::USAGE, "connects to a TCP port and runs prog with that", tcpclient::run),
    s6("ioconnect", ioconnect::USAGE, "copies between standard input and output and a connection", ioconnect::run),
    s6("sudo", sudo::USAGE, "has a sudod run a program", sudo::run),
    s6("sudoc", sudoc::USAGE, "has the sudod at the other end of its connection run a program", sudoc::run),
    s6("sudod", sudod::USAGE, "runs a program for the sudoc at the other end of its connection", sudod::run),
    s6(
        "notify-fd-from-socket",
        notify_fd_from_socket::USAGE,
        "runs a daemon that says by sd_notify that it is ready, and tells a supervisor",
        notify_fd_from_socket::run,
    ),
    s6(
        "notify-socket-from-fd",
        notify_socket_from_fd::USAGE,
        "runs a daemon that writes a line when it is ready, and tells who speaks sd_notify",
        notify_socket_from_fd::run,
    ),
];
