//! Instances of one service definition: `s6-instance-*`.

mod control;
mod life;
mod list;
mod maker;
mod scripts;
mod status;

use super::{Applet, s6};
use crate::applets::cli::{Cli, SYSTEM};
use crate::service::instance::is_name;
use crate::sys::args::Args;
use crate::sys::{Errno, Fd, file};
use crate::text::quote::Printable;
use core::ffi::CStr;
use rustix::fs::OFlags;

pub(super) static APPLETS: &[Applet] = &[
    s6("instance-maker", maker::USAGE, "makes a service that has instances, from a template", maker::run),
    s6("instance-create", life::CREATE, "makes and starts an instance", life::create),
    s6("instance-delete", life::DELETE, "stops and removes an instance", life::delete),
    s6("instance-control", control::USAGE, "sends commands to the supervisors of instances (svc)", control::run),
    s6("instance-status", status::USAGE, "tells the status of an instance (svstat)", status::run),
    s6("instance-list", list::USAGE, "lists the instances of a service", list::run),
];

/// The scanner of the instances does not run.
const NOT_RUNNING: i32 = 1;

/// Goes where the service directories of instances are: from `servicedir name...`, to `name...` in `servicedir/instance`.
/// Errors are exit codes; what went wrong has been said. `missing`: the exit code if there is no such directory.
fn enter(cli: &Cli, words: Args, missing: i32) -> Result<Args, i32> {
    let (service, names) = (words.get(0).unwrap_or_default(), words.skip(1));
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(cli.refuse(format_args!("invalid instance name: {}", Printable(name))));
    }
    change_into(cli, service).map(|()| names).map_err(|e| if e == Errno::NOENT { missing } else { SYSTEM })
}

/// Goes into `servicedir/instance`, whose scanner must be running. Errors as with [`enter`].
fn enter_running(cli: &Cli, service: &CStr) -> Result<(), i32> {
    if service.is_empty() {
        return Err(cli.refuse("empty service directory name"));
    }
    change_into(cli, service).map_err(|_| SYSTEM)?;
    let lock = file::open(Fd::CWD, c".s6-svscan/lock", OFlags::RDONLY | OFlags::NONBLOCK, 0);
    let locked = lock.and_then(|mut lock| {
        let locked = file::is_locked(lock);
        lock.close();
        locked
    });
    let name = Printable(service.to_bytes());
    match locked {
        Ok(true) => Ok(()),
        Ok(false) => {
            cli.refuse(format_args!("no scanner runs on {name}/instance"));
            Err(NOT_RUNNING)
        }
        Err(e) => Err(cli.unable(format_args!("read {name}/instance/.s6-svscan/lock"), e)),
    }
}

fn change_into(cli: &Cli, service: &CStr) -> Result<(), Errno> {
    rustix::process::chdir(service).and_then(|()| rustix::process::chdir(c"instance")).inspect_err(|e| {
        cli.unable(format_args!("change into {}/instance", Printable(service.to_bytes())), *e);
    })
}
