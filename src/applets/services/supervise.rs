//! `supervise`: supervises one service, s6-supervise(8), for those who want a process per service.

use crate::applets::cli::{Cli, USAGE, WrongUsage};
use crate::boot::rescue;
use crate::limits::SERVICE_NAME;
use crate::log;
use crate::state::{self, leave};
use crate::svscan::enter::{check, has_begun};
use crate::svscan::start::{begin, fill_stdio, reset_signals};
use crate::svscan::{Config, Engine, Role};
use crate::sys::{Errno, Fd, file, memory, time};
use crate::text::quote::Printable;
use core::ffi::CStr;

/// `supervise servicedir`. Exit code: 0 when told to exit, or 100: somebody else supervises it, or something else has
/// the name of one of its files; 111.
pub fn supervise(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let dir = options.operands(1)?.get(0).ok_or(WrongUsage)?;
        Ok(run(cli, dir))
    })
}

fn run(cli: &Cli, dir: &'static CStr) -> i32 {
    fill_stdio();
    // Who is entered again is there already.
    let is_there = state::is_given(cli.env());
    if let Err(e) = if is_there { Ok(()) } else { change_into(dir) } {
        return cli.unable(format_args!("change into {}", Printable(dir.to_bytes())), e);
    }
    let cli = cli.about(dir);
    log::set_speaker(format_args!("{}", cli.speaker()));
    let role = Role::Supervise(dir);
    role.blocked().block();
    reset_signals();
    leave::arm(&rescue::GIVE_UP);
    let (arena, why) = match state::open(cli.env()) {
        Ok(opened) => opened,
        Err(e) => return cli.unable("make the arena", e),
    };
    let nofile = begin(arena.tables, why, role);
    check(arena.tables, why, role);
    let begun = has_begun(&arena.tables.header);
    let config = Config {
        role,
        services_max: 1,
        loggers_count: false,
        name_max: SERVICE_NAME,
        rescan: 0,
        stop_timeout: 0,
        nofile,
    };
    let mut engine = match Engine::new(arena, cli.env(), config) {
        Ok(engine) => engine,
        Err(e) => return cli.unable("set up the event loop", e),
    };
    if !begun {
        match engine.supervise_here(time::boot()) {
            Ok(()) => {}
            Err((_, Errno::AGAIN)) => return cli.refuse("another supervisor is already running"),
            Err((what, e)) => {
                let code = cli.unable(what, e);
                return if matches!(e, Errno::NOTDIR | Errno::EXIST) { USAGE } else { code };
            }
        }
    }
    engine.begin(None);
    engine.resume();
    memory::forget_seldom();
    engine.run();
    0
}

fn change_into(dir: &CStr) -> Result<(), Errno> {
    let mut fd = file::open_dir(Fd::CWD, dir)?;
    let done = rustix::process::fchdir(fd);
    fd.close();
    done
}
