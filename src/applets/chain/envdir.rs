//! `s6-envdir [-I | -i] [-n] [-f] [-L] [-c nullis] dir prog...`: runs prog with variables that are the files of a
//! directory.
//!
//! Names with a `.` in front or a `=` in them are passed over. An empty file takes its variable out. Otherwise the value
//! is the first line without the blanks at its end (`-n` keeps them); with `-f` it is the whole file without its last
//! newline (`-n` keeps it). NULs become newlines, or the first character of nullis. Without `-L` the first 4095 bytes of
//! a file count; with it a file may be as long as [`ENV_BYTES`](crate::limits::ENV_BYTES) allow.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::sys::envfile::{self, How};
use crate::sys::environment::Environment;
use crate::sys::{Errno, Fd, file};
use crate::text::quote::Printable;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -I | -i ] [ -n ] [ -f ] [ -L ] [ -c nullis ] dir prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut how = How::default();
        let mut missing_is_fine = false;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'I') => missing_is_fine = true,
                Opt::Short(b'i') => missing_is_fine = false,
                Opt::Short(b'n') => how.chomp = false,
                Opt::Short(b'f') => how.verbatim = true,
                Opt::Short(b'L') => how.clamp = false,
                Opt::Short(b'c') => how.null_is = options.value()?.first().copied().unwrap_or(0),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let path = words.get(0).unwrap_or_default();
        let name = Printable(path.to_bytes());
        if how.null_is == 0 {
            return Ok(cli.unable(format_args!("envdir {name}"), Errno::INVAL));
        }
        let mut dir = match file::open_dir(Fd::CWD, path) {
            Ok(dir) => dir,
            Err(Errno::NOENT) if missing_is_fine => return Ok(cli.exec(words.skip(1))),
            Err(e) => return Ok(cli.unable(format_args!("envdir {name}"), e)),
        };
        let env = match Environment::of(cli.env()) {
            Ok(env) => env,
            Err(e) => return Ok(cli.unable("change the environment", e)),
        };
        let walked = envfile::visit(dir, c".", |file| {
            let variable = file.to_bytes();
            env.set_with(variable, |room| envfile::read(dir, file, room, &how))
                .map_err(|e| cli.unable(format_args!("envdir {name}: {}", Printable(variable)), e))
        });
        dir.close();
        Ok(match walked {
            Err(e) => cli.unable(format_args!("envdir {name}"), e),
            Ok(Err(code)) => code,
            Ok(Ok(())) => cli.exec_env(words.skip(1), env.env()),
        })
    })
}
