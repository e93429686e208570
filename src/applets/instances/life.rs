//! `instance-create`, `instance-delete`: the life of an instance; s6-instance-create(8), s6-instance-delete(8).

use crate::applets::cli::Cli;
use crate::applets::services::svlink::{self, Request};
use crate::service::instance;
use crate::sys::args::Args;
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Errno, Fd, file};
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the names on a command line.
pub const CREATE: &str = "[-d | -D] [-f] [-P] [-t timeout] servicedir name";
/// See above.
pub const DELETE: &str = "[-X] [-t timeout] servicedir name";

/// The service directory and the name of an instance, if that can be one; else the exit code, and it has been said.
fn operands(cli: &Cli, words: Args) -> Result<(&'static CStr, &'static CStr), i32> {
    let name = words.get(1).unwrap_or_default();
    match instance::is_name(name.to_bytes()) {
        true => Ok((words.get(0).unwrap_or_default(), name)),
        false => Err(cli.refuse(format_args!("invalid instance name: {}", Printable(name.to_bytes())))),
    }
}

/// `instance-create [-d | -D] [-f] [-P] [-t ms] servicedir name`: makes an instance of the template and starts it.
///
/// Exit code: 0; 1 no scanner, 99 timed out, 100 there is one of that name or there cannot be, 111.
pub fn create(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let request = Request::read(&mut options)?;
        let (path, name) = match operands(cli, options.operands(2)?) {
            Ok(both) => both,
            Err(code) => return Ok(code),
        };
        SignalSet::of(&[signal::number::PIPE]).block();
        let done = file::with_dir(path, |dir| match file::open_dir(dir, instance::SCANDIR) {
            Ok(mut scandir) => {
                let code = create_in(cli, &request, dir, scandir, path, name);
                scandir.close();
                code
            }
            Err(e) => cli.unable(format_args!("open {}/instance", Printable(path.to_bytes())), e),
        });
        Ok(done.unwrap_or_else(|e| cli.unable(format_args!("open {}", Printable(path.to_bytes())), e)))
    })
}

fn create_in(cli: &Cli, request: &Request, dir: Fd, scandir: Fd, path: &CStr, name: &CStr) -> i32 {
    let code = svlink::check_scanner(cli, scandir, path);
    if code != 0 {
        return code;
    }
    let target = instance::target(name);
    let Some(target) = target.get() else { return cli.refuse("the instance name is too long") };
    let shown = Printable(name.to_bytes());
    let mut service = match instance::make(dir, name) {
        Ok(service) => service,
        Err(Errno::EXIST) => return cli.refuse(format_args!("instance {shown} exists already")),
        Err(e) => return cli.unable(format_args!("copy the template for instance {shown}"), e),
    };
    let code = request.link(cli, scandir, service, name, target);
    service.close();
    if code != 0 {
        let _ = instance::remove(dir, name);
    }
    code
}

/// `instance-delete [-X] [-t ms] servicedir name`: stops an instance and removes its service directory. Exit code: 0, also
/// if there is none; 100 there cannot be, 111.
pub fn delete(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let (wait, timeout) = svlink::read_unlink(&mut options)?;
        let (path, name) = match operands(cli, options.operands(2)?) {
            Ok(both) => both,
            Err(code) => return Ok(code),
        };
        let done = file::with_dir(path, |dir| {
            let code = match file::open_dir(dir, instance::SCANDIR) {
                Ok(mut scandir) => {
                    let code = svlink::unlink(cli, scandir, name, wait, timeout);
                    scandir.close();
                    code
                }
                Err(Errno::NOENT) => 0,
                Err(e) => cli.unable(format_args!("open {}/instance", Printable(path.to_bytes())), e),
            };
            match instance::remove(dir, name) {
                Ok(()) | Err(Errno::NOENT) => code,
                Err(e) => cli.unable(format_args!("remove instance {}", Printable(name.to_bytes())), e),
            }
        });
        Ok(done.unwrap_or_else(|e| cli.unable(format_args!("open {}", Printable(path.to_bytes())), e)))
    })
}
