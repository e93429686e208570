//! `s6-setsid [-s | -b | -f | -g] [-i | -I | -q] [-d fd] prog...`: runs prog in a new session (`-s`, the default), or
//! in a new process group: in the background (`-b`), in the foreground (`-f`), or in the foreground by force (`-g`).
//!
//! The terminal is the controlling one, or the descriptor that `-d` names. What cannot be done is warned of (`-I`, the
//! default), not mentioned (`-q`), or fatal (`-i`): 111.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::sys::{Errno, Fd, session};
use crate::text::errno::Reason;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -s | -b | -f | -g ] [ -i | -I | -q ] [ -d ctty ] prog...";

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Session,
    Background,
    Foreground { grab: bool },
}

enum Failure {
    Fatal,
    Warned,
    Silent,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut what, mut failure, mut terminal) = (What::Session, Failure::Warned, Fd::NONE);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b's') | Opt::Long(b"session") => what = What::Session,
                Opt::Short(b'b') | Opt::Long(b"process-group" | b"background-process-group") => what = What::Background,
                Opt::Short(b'f') | Opt::Long(b"foreground" | b"foreground-process-group") => {
                    what = What::Foreground { grab: false };
                }
                Opt::Short(b'g') | Opt::Long(b"grab" | b"foreground-process-group-grab") => {
                    what = What::Foreground { grab: true };
                }
                Opt::Short(b'i') | Opt::Long(b"strict") => failure = Failure::Fatal,
                Opt::Short(b'I') | Opt::Long(b"no-strict") => failure = Failure::Warned,
                Opt::Short(b'q') | Opt::Long(b"quiet") => failure = Failure::Silent,
                Opt::Short(b'd') | Opt::Long(b"ctty") => terminal = options.descriptor()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        let opens = matches!(what, What::Foreground { .. }) && terminal == Fd::NONE;
        if opens {
            terminal = match session::terminal() {
                Ok(terminal) => terminal,
                Err(e) => return Ok(cli.unable("open the controlling terminal", e)),
            };
        }
        let changed = change(what, terminal);
        if opens {
            terminal.close();
        }
        match (changed, failure) {
            (Err((what, e)), Failure::Fatal) => return Ok(cli.unable(what, e)),
            (Err((what, e)), Failure::Warned) => cli.warn(format_args!("unable to {what}: {}", Reason(e))),
            _ => {}
        }
        Ok(cli.exec(words))
    })
}

fn change(what: What, terminal: Fd) -> Result<(), (&'static str, Errno)> {
    if what == What::Session {
        return session::new_session().map_err(|e| ("setsid", e));
    }
    let group = session::new_group().map_err(|e| ("setpgid", e))?;
    match what {
        What::Foreground { grab } => session::set_foreground(terminal, group, grab).map_err(|e| ("tcsetpgrp", e)),
        _ => Ok(()),
    }
}
