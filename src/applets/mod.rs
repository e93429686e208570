//! The commands: one small file each, which turns options into calls of the room that does the work. They lie in
//! groups, each with its table; this file puts those together and picks the command that was asked for.

#[cfg(feature = "chain")]
pub mod chain;
pub mod cli;
#[cfg(feature = "connections")]
pub mod connections;
#[cfg(feature = "descriptors-basic")]
pub mod descriptors;
mod enter;
#[cfg(feature = "events")]
pub mod events;
mod help;
pub mod identity;
mod install;
#[cfg(feature = "instances")]
pub mod instances;
#[cfg(feature = "logs-basic")]
pub mod logs;
pub mod machine;
#[cfg(feature = "services-basic")]
pub mod services;
#[cfg(feature = "upgrade")]
pub mod upgrade;
#[cfg(not(feature = "upgrade"))]
#[path = "upgrade/none.rs"]
mod upgrade;

pub(crate) use help::usage;

use crate::sys::args::Args;
use cli::{Cli, SYSTEM};
use enter::GO_ON;

/// One command.
pub struct Applet {
    /// Its short name.
    pub name: &'static str,
    /// What may stand in front of that, where it is called: nothing, or `s6-`.
    pub prefixes: &'static [&'static str],
    /// What follows its name on a command line.
    pub usage: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// It changes something about the process, at once, and then goes on as prog: from one such command to the next
    /// nothing needs to be executed ([`enter`]). It leaves no descriptor that closes on exec, no handler of a signal, and
    /// no static of its own that is taken: it may run again in the same process. Nothing follows when it has returned
    /// what [`Cli::exec`] answers.
    pub chains: bool,
    /// One that chains and takes a static of its own all the same: only one of these runs in a process.
    pub once: bool,
    /// Runs it; returns the exit code.
    pub run: fn(&Cli) -> i32,
}

impl Applet {
    /// The same, as one that chains: see [`Applet::chains`].
    pub const fn chains(self) -> Applet {
        Applet { chains: true, ..self }
    }

    /// The same, as one that chains, and of which only one runs in a process: see [`Applet::once`].
    pub const fn chains_once(self) -> Applet {
        Applet { once: true, ..self.chains() }
    }
}

/// A command that s6 has too, by its short name and by its s6 name.
pub const fn s6(name: &'static str, usage: &'static str, summary: &'static str, run: fn(&Cli) -> i32) -> Applet {
    Applet { name, prefixes: &["", "s6-"], usage, summary, chains: false, once: false, run }
}

/// A command that only linchpin has.
pub const fn own(name: &'static str, usage: &'static str, summary: &'static str, run: fn(&Cli) -> i32) -> Applet {
    Applet { name, prefixes: &[""], usage, summary, chains: false, once: false, run }
}

/// One that has its s6 name only: its short name is another command.
pub const fn s6_only(name: &'static str, usage: &'static str, summary: &'static str, run: fn(&Cli) -> i32) -> Applet {
    Applet { name, prefixes: &["s6-"], usage, summary, chains: false, once: false, run }
}

/// Commands of one kind, which have a folder of their own here and a feature of that name in `Cargo.toml`: a build without
/// it has none of them, or the most important ones.
pub struct Group {
    /// The name of the folder, and of the feature.
    pub name: &'static str,
    /// How `help` heads them.
    pub title: &'static str,
    /// The commands.
    pub applets: &'static [Applet],
}

/// Every group that this build has, in the order in which `help` lists them. A group may come in two pieces.
#[rustfmt::skip] // one a line
pub static GROUPS: &[Group] = &[
    Group { name: "machine", title: "The machine", applets: machine::BASIC },
    #[cfg(feature = "views")]
    Group { name: "machine", title: "The machine", applets: machine::VIEWS },
    #[cfg(feature = "upgrade")]
    Group { name: "upgrade", title: "Going on as another binary", applets: upgrade::APPLETS },
    #[cfg(feature = "services-basic")]
    Group { name: "services", title: "Services", applets: services::BASIC },
    #[cfg(feature = "services")]
    Group { name: "services", title: "Services", applets: services::MORE },
    #[cfg(feature = "instances")]
    Group { name: "instances", title: "Instances of a service", applets: instances::APPLETS },
    #[cfg(feature = "events")]
    Group { name: "events", title: "Events", applets: events::APPLETS },
    #[cfg(feature = "descriptors-basic")]
    Group { name: "descriptors", title: "Held descriptors and sockets", applets: descriptors::BASIC },
    #[cfg(feature = "descriptors")]
    Group { name: "descriptors", title: "Held descriptors and sockets", applets: descriptors::MORE },
    #[cfg(feature = "connections")]
    Group { name: "connections", title: "Connections", applets: connections::APPLETS },
    #[cfg(feature = "logs-basic")]
    Group { name: "logs", title: "Logs", applets: logs::BASIC },
    #[cfg(feature = "logs")]
    Group { name: "logs", title: "Logs", applets: logs::MORE },
    #[cfg(feature = "chain")]
    Group { name: "chain", title: "Chain loaders", applets: chain::APPLETS },
];

/// Every command.
pub fn all() -> impl Iterator<Item = &'static Applet> {
    GROUPS.iter().flat_map(|group| group.applets)
}

/// Finds a command by the name it was called by, a path or `s6-` in front included.
pub fn find(name: &[u8]) -> Option<&'static Applet> {
    let base = name.rsplit(|b| *b == b'/').next().unwrap_or(name);
    let (prefix, bare) = base.split_at(if base.starts_with(b"s6-") { 3 } else { 0 });
    let may_have = |applet: &Applet| applet.prefixes.iter().any(|known| known.as_bytes() == prefix);
    all().find(|applet| applet.name.as_bytes() == bare && may_have(applet))
}

/// Runs the command that `args` name: by the name the binary was called by, else by the first argument; and those that it
/// goes on as. Returns the exit code. A process 1 that is not told to be `svscan` is `init`: words that the kernel passes
/// on from its command line must not turn it into something that ends.
pub fn run(args: Args) -> i32 {
    if crate::sys::process::pid() == 1 {
        return run_first(args);
    }
    let mut code = match enter::named(args) {
        Some((applet, name, words)) => (applet.run)(&Cli::new(applet, name, words)),
        None => return help::no_command(args),
    };
    // Each takes at least one word off, but for one that comes once.
    while code == GO_ON {
        let Some((words, lookup)) = enter::take() else { return SYSTEM };
        let Some((applet, name, rest)) = enter::named(words) else { return SYSTEM };
        code = (applet.run)(&Cli::new(applet, name, rest).entered(words, lookup));
    }
    code
}

/// Runs process 1.
fn run_first(args: Args) -> i32 {
    let called = args.iter().next().unwrap_or(b"linchpin");
    let first = args.iter().nth(1).unwrap_or(b"");
    for (name, rest) in [(called, args), (first, args.skip(1))] {
        if let Some(applet) = find(name).filter(|applet| applet.name == "svscan") {
            return (applet.run)(&Cli::new(applet, name, rest));
        }
    }
    match find(b"init") {
        Some(applet) => (applet.run)(&Cli::new(applet, called, args)),
        None => help::no_command(args),
    }
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
        for applet in all() {
            for prefix in applet.prefixes {
                assert!(core::ptr::eq(find(format!("{prefix}{}", applet.name).as_bytes()).unwrap(), applet));
            }
        }
    }
}
