//! `svscan`: the supervision tree, not as process 1 of a machine (or as process 1 of a container).

use crate::applets::cli::{Cli, Opt, USAGE, WrongUsage};
use crate::boot::rescue;
use crate::fdholder::server;
use crate::limits::{FILE_NAME, SERVICE_NAME, SERVICES};
use crate::state::{self, Header, leave};
use crate::svscan::enter::{check, has_begun};
use crate::svscan::scan::FDHOLDER;
use crate::svscan::start::{begin, fill_stdio, forget_inherited, inherited, make_dir, open_scandir, reset_signals};
use crate::svscan::{Config, Engine, Role};
use crate::sys::time::{MILLI, Nanos};
use crate::sys::{Errno, Fd, file, process, reaper};
use crate::text::CPath;
use crate::{fault_point, warning};
use core::ffi::CStr;

/// Usage line.
pub const USAGE_LINE: &str =
    "[-C services_max | -c services_max] [-L name_max] [-t rescan_ms] [-d notification_fd] [-X console_fd] scandir";

struct Parsed {
    scandir: &'static CStr,
    services_max: usize,
    loggers_count: bool,
    name_max: usize,
    rescan: Nanos,
    ready: Option<Fd>,
    console: Option<Fd>,
}

/// `svscan [options] scandir`
pub fn svscan(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let parsed = parse(cli)?;
        Ok(run(cli, &parsed))
    })
}

fn parse(cli: &Cli) -> Result<Parsed, WrongUsage> {
    let mut parsed = Parsed {
        scandir: c".",
        services_max: 1000,
        loggers_count: true,
        name_max: SERVICE_NAME,
        rescan: 0,
        ready: None,
        console: None,
    };
    let mut options = cli.options();
    while let Some(option) = options.option()? {
        match option {
            Opt::Short(b'C') | Opt::Long(b"services-max") => {
                (parsed.services_max, parsed.loggers_count) = (options.number()? as usize, true);
            }
            // Before s6 2.13 a service and its logger counted as one.
            Opt::Short(b'c') => (parsed.services_max, parsed.loggers_count) = (options.number()? as usize, false),
            Opt::Short(b'L') | Opt::Long(b"name-max") => parsed.name_max = options.number()? as usize,
            Opt::Short(b't') | Opt::Long(b"timeout") => parsed.rescan = Nanos::from(options.number()?) * MILLI,
            Opt::Short(b'd') | Opt::Long(b"notification-fd") => parsed.ready = Some(descriptor(options.number()?)),
            Opt::Short(b'X') | Opt::Long(b"console-holder") => parsed.console = Some(descriptor(options.number()?)),
            _ => return Err(WrongUsage),
        }
    }
    parsed.scandir = options.operands(1)?.get(0).ok_or(WrongUsage)?;
    parsed.services_max = parsed.services_max.clamp(if parsed.loggers_count { 4 } else { 2 }, SERVICES);
    parsed.name_max = parsed.name_max.clamp(11, FILE_NAME);
    Ok(parsed)
}

/// A number as a descriptor; one that is too large is the largest, which is never open.
fn descriptor(number: u32) -> Fd {
    Fd(i32::try_from(number).unwrap_or(i32::MAX))
}

fn run(cli: &Cli, parsed: &Parsed) -> i32 {
    fill_stdio();
    let role = Role::Svscan;
    reset_signals();
    leave::arm(&rescue::GIVE_UP);
    role.blocked().block();
    let (arena, why) = match state::open(cli.env()) {
        Ok(opened) => opened,
        Err(e) => return cli.unable("make the arena", e),
    };
    let nofile = begin(arena.tables, why, role);
    check(arena.tables, why, role);
    let begun = has_begun(&arena.tables.header);
    if !begun {
        if let Err(code) = prepare(cli, parsed, &mut arena.tables.header) {
            return code;
        }
    }
    let ready = parsed.ready.filter(|fd| !begun && inherited(&arena.tables.header).has(fd.0));
    let config = Config {
        role,
        services_max: parsed.services_max,
        loggers_count: parsed.loggers_count,
        name_max: parsed.name_max,
        rescan: parsed.rescan,
        stop_timeout: 0,
        nofile,
    };
    let mut engine = match Engine::new(arena, cli.env(), config) {
        Ok(engine) => engine,
        Err(e) => return cli.unable("set up the event loop", e),
    };
    if !begun {
        engine.publish();
    }
    if let Some(ready) = ready {
        let _ = file::write_all(ready, b"\n");
    }
    fault_point!("svscan.ready");
    engine.begin(ready);
    engine.resume();
    // Process 1 has them anyway. What a service leaves behind is reaped here, where it belongs, and not lost to whoever is
    // process 1.
    let adopts = process::pid() != 1 && reaper::adopt_orphans().is_ok();
    engine.run();
    if adopts {
        // What takes our place has not asked for them.
        let _ = reaper::leave_orphans();
    }
    engine.leave()
}

/// What is done before the loop runs for the first time; an earlier incarnation may have done a part of it. Errors: the exit
/// code.
fn prepare(cli: &Cli, parsed: &Parsed, header: &mut Header) -> Result<(), i32> {
    let given = inherited(header);
    // Who was entered again may have used them up.
    let are_new = header.incarnation == 0;
    for (fd, name) in [(parsed.ready, "notification"), (parsed.console, "console")].into_iter().filter(|_| are_new) {
        if fd.is_some_and(|fd| fd.0 < 3 || fd.0 != header.console_fd && !(given.has(fd.0) && fd.is_open())) {
            return Err(cli.refuse(format_args!("the {name} descriptor must be 3 or more, and open")));
        }
    }
    if let Err((what, e)) = open_scandir(header, parsed.scandir) {
        let code = cli.unable(what, e);
        // Another svscan is here, or something else has the name of one of its files.
        let refused = header.scandir_fd >= 0 && matches!(e, Errno::AGAIN | Errno::EXIST | Errno::NOTDIR);
        return Err(if refused { USAGE } else { code });
    }
    if let Some(console) = parsed.console.filter(|fd| given.has(fd.0)) {
        header.console_fd = console.0;
        forget_inherited(header, console);
        let _ = console.set_cloexec(true);
    }
    if header.fdholder_fd < 0 {
        header.fdholder_fd = open_holder(Fd(header.scandir_fd)).0;
    }
    Ok(())
}

/// The in-process fd-holder, unless the directory has a service of that name.
fn open_holder(scandir: Fd) -> Fd {
    if file::exists(scandir, c"fdholder/run").unwrap_or(true) {
        return Fd::NONE;
    }
    let opened = make_dir(scandir, c"fdholder", 0o755).and_then(|()| {
        let path = CPath::<32>::of(&[FDHOLDER, b"/s"]); // we are in the scan directory
        server::listen(path.path()?)
    });
    opened.unwrap_or_else(|e| {
        warning!("no fd-holder: fdholder/s: {}", crate::text::errno::Reason(e));
        Fd::NONE
    })
}
