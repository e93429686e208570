//! `s6-sudo [-q | -Q | -v] [-p bindpath] [-l localname] [-e] [-t timeoutconn] [-T timeoutrun] path [args...]`: has the
//! sudod at the socket `path` run a program. It becomes s6-ipcclient, which becomes s6-sudoc.

use super::line::Line;
use crate::applets::cli::{Cli, Opt, WrongUsage};

/// What follows the name on a command line.
pub const USAGE: &str =
    "[ -q | -Q | -v ] [ -p bindpath ] [ -l localname ] [ -e ] [ -t timeoutconn ] [ -T timeoutrun ] path [ args... ]";

/// The most that `-v` raises the verbosity to.
const LOUDEST: u32 = 4;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut verbosity, mut bind, mut local, mut keep) = (1u32, None, None, false);
        let (mut connect, mut run) = (c"0", c"0");
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'q') => verbosity = verbosity.saturating_sub(1),
                Opt::Short(b'Q') => verbosity = 1,
                Opt::Short(b'v') => verbosity = LOUDEST.min(verbosity + 1),
                Opt::Short(b'p') => bind = Some(options.text()?),
                Opt::Short(b'l') => local = Some(options.text()?),
                Opt::Short(b'e') => keep = true,
                Opt::Short(b't') => connect = options.digits()?,
                Opt::Short(b'T') => run = options.digits()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        let path = words.get(0).ok_or(WrongUsage)?;
        let Some(mut line) = Line::new(cli, c"s6-ipcclient") else { return Err(WrongUsage) };
        match verbosity {
            0 => line.word(c"-Q"),
            n => (1..n).for_each(|_| line.word(c"-v")),
        }
        line.option(c"-p", bind);
        line.option(c"-l", local);
        line.word(c"--");
        line.word(path);
        line.word(c"s6-sudoc");
        if keep {
            line.word(c"-e");
        }
        line.option(c"-t", Some(connect));
        line.option(c"-T", Some(run));
        line.word(c"--");
        words.skip(1).words().for_each(|word| line.word(word));
        Ok(line.exec())
    })
}
