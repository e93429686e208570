//! The commands: one small file each, which turns options into calls of the room that does the work. This file is
//! the table of them and picks the one that was asked for.

mod check;
pub mod cli;
mod fdholder;
mod help;
mod init;
mod install;
mod ipcserver_socketbinder;
mod setuidgid;
mod shutdown;
mod svc;
mod svscan;
mod svscanctl;
mod svstat;
mod tcpserver_socketbinder;

use crate::sys::args::Args;
use cli::Cli;

/// One command.
pub struct Applet {
    /// Its short name; `s6-NAME` is accepted too where [`Applet::s6`] says so.
    pub name: &'static str,
    /// Whether s6 has it: then it has a link `s6-NAME`.
    pub s6: bool,
    /// What follows its name on a command line.
    pub usage: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Runs it; returns the exit code.
    pub run: fn(&Cli) -> i32,
}

const fn s6(name: &'static str, usage: &'static str, summary: &'static str, run: fn(&Cli) -> i32) -> Applet {
    Applet { name, s6: true, usage, summary, run }
}

const fn own(name: &'static str, usage: &'static str, summary: &'static str, run: fn(&Cli) -> i32) -> Applet {
    Applet { name, s6: false, usage, summary, run }
}

/// Every command, in the order in which `help` lists them.
pub static APPLETS: &[Applet] = &[
    own("init", "[linchpin.board=PATH]", "process 1: boots the board, supervises, holds its sockets", init::init),
    s6("svscan", svscan::USAGE_LINE, "supervises the services of a directory", svscan::svscan),
    s6("svc", svc::USAGE, "sends commands to supervisors, and waits for what comes of them", svc::svc),
    s6("svstat", "[-uwNrpgest | -o field,...] [-n] servicedir", "tells the status of a service", svstat::svstat),
    s6("svscanctl", "[-zabhtiqnN] scandir", "sends commands to the scanner of a scan directory", svscanctl::svscanctl),
    s6(
        "fdholder-store",
        "[ -d fd ] [ -t timeout ] [ -T fdtimeout ] socket id",
        "gives a descriptor to a fd-holder",
        fdholder::store,
    ),
    s6(
        "fdholder-retrieve",
        "[ -D ] [ -t timeout ] socket id prog...",
        "runs a program with a held descriptor as its standard input",
        fdholder::retrieve,
    ),
    s6("fdholder-delete", "[ -t timeout ] socket id", "lets a fd-holder close a descriptor", fdholder::delete),
    s6("fdholder-list", "[ -t timeout ] socket", "lists what a fd-holder holds", fdholder::list),
    s6(
        "ipcserver-socketbinder",
        "[ -d | -D ] [ -b backlog ] [ -M | -m ] [ -a perms ] [ -B ] path prog...",
        "makes a unix socket, then runs prog with it as standard input",
        ipcserver_socketbinder::run,
    ),
    s6(
        "tcpserver-socketbinder",
        "[ -d | -D ] [ -b backlog ] [ -M | -m ] [ -B ] [ --freebind ] [ --reuseport ] ip port prog...",
        "makes an IP socket, then runs prog with it as standard input",
        tcpserver_socketbinder::run,
    ),
    s6("setuidgid", "account prog...", "runs prog as another user (name, or uid:gid)", setuidgid::run),
    own("poweroff", shutdown::USAGE_LINE, "stops everything and powers the machine off", shutdown::poweroff),
    own("reboot", shutdown::USAGE_LINE, "stops everything and reboots", shutdown::reboot),
    own("halt", shutdown::USAGE_LINE, "stops everything and halts", shutdown::halt),
    own("check", "file", "tells what is wrong with a board config, and what it says", check::check),
    own("help", "[command]", "lists the commands, or tells the usage of one", help::help),
];

/// Finds a command by the name it was called by, a path or `s6-` in front included.
pub fn find(name: &[u8]) -> Option<&'static Applet> {
    let base = name.rsplit(|b| *b == b'/').next().unwrap_or(name);
    let (bare, prefixed) = match base.strip_prefix(b"s6-") {
        Some(bare) => (bare, true),
        None => (base, false),
    };
    APPLETS.iter().find(|applet| applet.name.as_bytes() == bare && (applet.s6 || !prefixed))
}

/// Runs the command that `args` name: by the name the binary was called by, else by the first argument. Returns the
/// exit code. A process 1 that is not told to be `svscan` is `init`: words that the kernel passes on from its command
/// line must not turn it into something that ends.
pub fn run(args: Args) -> i32 {
    let called = args.iter().next().unwrap_or(b"linchpin");
    let first = args.iter().nth(1).unwrap_or(b"");
    if crate::sys::process::pid() == 1 {
        for (name, rest) in [(called, args), (first, args.skip(1))] {
            if let Some(applet) = find(name).filter(|applet| applet.name == "svscan") {
                return (applet.run)(&Cli::new(applet, name, rest));
            }
        }
        if let Some(applet) = find(b"init") {
            return (applet.run)(&Cli::new(applet, called, args));
        }
    }
    if let Some(applet) = find(called) {
        return (applet.run)(&Cli::new(applet, called, args));
    }
    if let Some(applet) = find(first) {
        return (applet.run)(&Cli::new(applet, first, args.skip(1)));
    }
    help::no_command(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_answer_to_their_short_name_and_where_s6_has_them_to_its() {
        assert!(find(b"help").is_some());
        assert!(find(b"/usr/bin/help").is_some());
        assert!(find(b"s6-help").is_none());
        assert!(find(b"").is_none());
        for applet in APPLETS {
            assert_eq!(find(applet.name.as_bytes()).unwrap().name, applet.name);
        }
    }
}
