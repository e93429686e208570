//! `svok`: whether a service is supervised, s6-svok(8).

use crate::applets::cli::{Cli, WrongUsage};
use crate::service::client;
use crate::sys::{Errno, file};
use crate::text::quote::Printable;

/// `svok servicedir`. Exit code: 0 it is, 1 it is not, 111.
pub fn svok(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let path = options.operands(1)?.get(0).unwrap_or_default();
        Ok(match file::with_dir(path, client::is_supervised).and_then(|answer| answer) {
            Ok(true) => 0,
            Ok(false) | Err(Errno::NOENT) => 1,
            Err(e) => cli.unable(format_args!("check {}", Printable(path.to_bytes())), e),
        })
    })
}
