//! `svscanctl`: sends commands to the scanner of a scan directory, s6-svscanctl(8).

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::service::client::{self, SendError};
use crate::service::command::ScanCommand;
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Fd, file};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use heapless::Vec;

/// s6-svscanctl's limit.
const COMMANDS: usize = 64;

/// `svscanctl [-zabhtiqnN] scandir`. Exit code: 0; 100 nobody listens, or odd `.s6-svscan` directory; 111.
pub fn svscanctl(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut commands = Vec::<u8, COMMANDS>::new();
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            let Opt::Short(letter) = option else { return Err(WrongUsage) };
            let command = ScanCommand::from_byte(letter).ok_or(WrongUsage)?;
            if commands.push(command.byte()).is_err() {
                return Ok(cli.refuse(format_args!("more than {COMMANDS} commands")));
            }
        }
        let path = options.operands(1)?.get(0).unwrap_or_default();
        SignalSet::of(&[signal::number::PIPE]).block();
        let sent = match file::open_dir(Fd::CWD, path) {
            Ok(mut dir) => {
                let sent = client::command_scanner(dir, &commands);
                dir.close();
                sent
            }
            Err(e) => Err(SendError::System(e)),
        };
        let name = Printable(path.to_bytes());
        Ok(match sent {
            Ok(()) => 0,
            Err(SendError::NotListening) => {
                cli.refuse(format_args!("unable to control {name}: supervisor not listening"))
            }
            Err(SendError::Odd(e)) => {
                cli.refuse(format_args!("something is wrong with the {name}/.s6-svscan directory: {}", Reason(e)))
            }
            Err(SendError::System(e)) => cli.unable(format_args!("control {name}"), e),
        })
    })
}
