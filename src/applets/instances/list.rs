//! `s6-instance-list servicedir`: prints the names of the instances, one per line, in no order.
//!
//! Exit code: 0; 1 the scanner of the instances does not run; 111 there are none.

use super::enter_running;
use crate::applets::cli::{Cli, Output, WrongUsage};
use crate::service::instance;
use crate::sys::{Fd, dir};
use crate::text::quote::Printable;
use core::ops::ControlFlow;

/// What follows the name on a command line.
pub const USAGE: &str = "servicedir";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let service = options.operands(1)?.get(0).unwrap_or_default();
        if let Err(code) = enter_running(cli, service) {
            return Ok(code);
        }
        let mut output = Output::new();
        let listed = dir::visit(Fd::CWD, c".", |name, _| {
            if instance::is_seen(name) {
                output.put(name.to_bytes());
                output.put(b"\n");
            }
            ControlFlow::Continue(())
        });
        Ok(match listed {
            Ok(()) => output.finish(cli),
            Err(e) => cli.unable(format_args!("read {}/instance", Printable(service.to_bytes())), e),
        })
    })
}
