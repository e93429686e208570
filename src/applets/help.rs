//! `help`, `--help`, `--version`, and what the bare binary says.

use super::cli::{Cli, USAGE};
use super::{Applet, GROUPS};
use crate::log::Line;
use crate::sys::args::Args;
use crate::sys::{Fd, file};
use core::fmt::Write;

const HEAD: &str = "\
PID 1 for embedded Linux: supervision, fd-holding and early sockets the s6 way.

  linchpin COMMAND ...         (or through a link called COMMAND or s6-COMMAND)
  linchpin --install DIR [PATH] makes all links in DIR, to PATH (default: this binary)
  linchpin help COMMAND        the usage of a command
";

/// `help [command]`
pub fn help(cli: &Cli) -> i32 {
    match cli.args().iter().nth(1) {
        None => overview(Fd::STDOUT),
        Some(name) => match super::find(name) {
            Some(applet) => usage(applet),
            None => cli.refuse(format_args!("no command {}", crate::text::quote::Printable(name))),
        },
    }
}

/// The binary was called by its own name: `--help`, `--version`, `--install`, or a mistake.
pub fn no_command(args: Args) -> i32 {
    match args.iter().nth(1) {
        Some(b"--help" | b"-h") => overview(Fd::STDOUT),
        Some(b"--install") if (3..=4).contains(&args.len()) => match args.get(2) {
            Some(dir) => match super::find(b"help") {
                Some(applet) => super::install::install(&Cli::new(applet, b"linchpin", args), dir, args.get(3)),
                None => USAGE,
            },
            None => USAGE,
        },
        Some(b"--version" | b"-V") => version(),
        _ => {
            overview(Fd::STDERR);
            USAGE
        }
    }
}

fn overview(to: Fd) -> i32 {
    write(to, HEAD);
    let mut title = "";
    for group in GROUPS {
        if group.title != title {
            title = group.title;
            let mut line = Line::<160>::new();
            let _ = write!(line, "\n{title}:");
            write(to, line.finish("\n"));
        }
        for applet in group.applets {
            let mut line = Line::<160>::new();
            let s6 = applet.prefixes.last().unwrap_or(&"");
            let _ = write!(line, "  {s6:>3}{:<26} {}", applet.name, applet.summary);
            write(to, line.finish("\n"));
        }
    }
    0
}

/// The usage of a command, and what it does.
pub fn usage(applet: &Applet) -> i32 {
    let mut line = Line::<512>::new();
    let s6 = applet.prefixes.last().unwrap_or(&"");
    let _ = write!(line, "usage: {s6}{} {}\n{}", applet.name, applet.usage, applet.summary);
    write(Fd::STDOUT, line.finish("\n"))
}

/// The usage of a command, and `more` behind it.
pub fn usage_and(applet: &Applet, more: &str) -> i32 {
    match usage(applet) {
        0 => write(Fd::STDOUT, more),
        code => code,
    }
}

fn version() -> i32 {
    let mut line = Line::<64>::new();
    let _ = write!(line, "linchpin {}", crate::VERSION);
    write(Fd::STDOUT, line.finish("\n"))
}

fn write(to: Fd, text: &str) -> i32 {
    match file::write_all(to, text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => super::cli::SYSTEM,
    }
}
