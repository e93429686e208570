//! `instance-create`, `instance-delete`, `instance-list`, `instance-control`, `instance-status`: the life of an instance;
//! s6-instance-create(8) and so on.

use crate::applets::cli::{Cli, Output, WrongUsage};
use crate::applets::services::svlink::{self, Request};
use crate::applets::services::{svc, svstat};
use crate::service::instance;
use crate::sys::args::Args;
use crate::sys::signal::{self, SignalSet};
use crate::sys::{Errno, Fd, dir, file};
use crate::text::CPath;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::iter::once;
use core::ops::ControlFlow;

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

/// `instance-list servicedir`: the names of the instances, one per line, in no order. Exit code: 0; 1 no scanner, 100,
/// 111.
pub fn list(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let path = options.operands(1)?.get(0).unwrap_or_default();
        let shown = Printable(path.to_bytes());
        if path.is_empty() {
            return Ok(cli.refuse("empty service directory name"));
        }
        let done = file::with_dir(path, |dir| match file::open_dir(dir, instance::SCANDIR) {
            Ok(mut scandir) => {
                let code = list_in(cli, dir, scandir, path);
                scandir.close();
                code
            }
            Err(e) => cli.unable(format_args!("open {shown}/instance"), e),
        });
        Ok(done.unwrap_or_else(|e| cli.unable(format_args!("open {shown}"), e)))
    })
}

fn list_in(cli: &Cli, dir: Fd, scandir: Fd, path: &CStr) -> i32 {
    let code = svlink::check_scanner(cli, scandir, path);
    if code != 0 {
        return code;
    }
    let mut output = Output::new();
    let done = dir::visit(scandir, c".", |name, _| {
        if instance::is_there(dir, name) {
            output.put(name.to_bytes());
            output.put(b"\n");
        }
        ControlFlow::Continue(())
    });
    match done {
        Ok(()) => output.finish(cli),
        Err(e) => cli.unable(format_args!("list the instances of {}", Printable(path.to_bytes())), e),
    }
}

/// Calls `body` with the service directory of an instance, as the scan directory has it; returns the exit code.
fn with_instance(cli: &Cli, words: Args, body: impl FnOnce(&CStr) -> i32) -> i32 {
    let (dir, name) = match operands(cli, words) {
        Ok(both) => both,
        Err(code) => return code,
    };
    let path = CPath::<{ dir::PATH }>::of(&[dir.to_bytes(), b"/instance/", name.to_bytes()]);
    path.path().map_or_else(|e| cli.unable("use so long a path", e), body)
}

/// `instance-control [options of svc] servicedir name`: `svc` for an instance, with its exit codes.
pub fn control(cli: &Cli) -> i32 {
    svc::with_request(cli, 2, |request, words| with_instance(cli, words, |path| request.run(cli, once(path))))
}

/// `instance-status [options of svstat] servicedir name`: `svstat` for an instance, with its exit codes.
pub fn status(cli: &Cli) -> i32 {
    svstat::with_request(cli, 2, |request, words| with_instance(cli, words, |path| request.run(cli, path)))
}
