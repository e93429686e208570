//! `svscan`: the supervision tree, not as process 1 of a machine (or as process 1 of a container).

use super::cli::{Cli, Opt, USAGE, WrongUsage};
use crate::fdholder::server;
use crate::limits::{SERVICE_NAME, SERVICES};
use crate::state;
use crate::svscan::scan::FDHOLDER;
use crate::svscan::start::{fill_stdio, leave, make_dir, open_scandir, raise_nofile};
use crate::svscan::{Config, Engine, Role};
use crate::sys::signal::{self, number as sig};
use crate::sys::time::{MILLI, Nanos};
use crate::sys::{Errno, Fd, file};
use crate::text::CPath;
use crate::warning;
use core::ffi::CStr;

/// Usage line.
pub const USAGE_LINE: &str =
    "[-C services_max] [-L name_max] [-t rescan_ms] [-d notification_fd] [-X console_fd] scandir";

struct Parsed {
    scandir: &'static CStr,
    services_max: usize,
    name_max: usize,
    rescan: Nanos,
    ready: Fd,
    console: Fd,
}

/// `svscan [options] scandir`
pub fn svscan(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let parsed = parse(cli)?;
        for (fd, name) in [(parsed.ready, "notification"), (parsed.console, "console")] {
            if fd.is_some() && !(fd.0 >= 3 && fd.is_open()) {
                return Ok(cli.refuse(format_args!("the {name} descriptor must be 3 or more, and open")));
            }
        }
        Ok(run(cli, &parsed))
    })
}

fn parse(cli: &Cli) -> Result<Parsed, WrongUsage> {
    let mut parsed = Parsed {
        scandir: c".",
        services_max: 1000,
        name_max: SERVICE_NAME,
        rescan: 0,
        ready: Fd::NONE,
        console: Fd::NONE,
    };
    let mut options = cli.options();
    while let Some(option) = options.option()? {
        match option {
            Opt::Short(b'C' | b'c') | Opt::Long(b"services-max") => parsed.services_max = options.number()? as usize,
            Opt::Short(b'L') | Opt::Long(b"name-max") => parsed.name_max = options.number()? as usize,
            Opt::Short(b't') | Opt::Long(b"timeout") => parsed.rescan = Nanos::from(options.number()?) * MILLI,
            Opt::Short(b'd') | Opt::Long(b"notification-fd") => parsed.ready = Fd(options.number()? as i32),
            Opt::Short(b'X') | Opt::Long(b"console-holder") => parsed.console = Fd(options.number()? as i32),
            _ => return Err(WrongUsage),
        }
    }
    parsed.scandir = options.operands(1)?.get(0).ok_or(WrongUsage)?;
    parsed.services_max = parsed.services_max.clamp(4, SERVICES);
    parsed.name_max = parsed.name_max.clamp(11, SERVICE_NAME);
    Ok(parsed)
}

fn run(cli: &Cli, parsed: &Parsed) -> i32 {
    fill_stdio();
    let role = Role::Svscan;
    signal::reset_action(sig::PIPE);
    role.blocked().block();
    let nofile = raise_nofile(false);
    let arena = match state::open() {
        Ok(arena) => arena,
        Err(e) => return cli.unable("make the arena", e),
    };
    let header = &mut arena.tables.header;
    if let Err((what, e)) = open_scandir(header, parsed.scandir) {
        let code = cli.unable(what, e);
        return if e == Errno::AGAIN || e == Errno::EXIST || e == Errno::NOTDIR { USAGE } else { code };
    }
    header.console_fd = parsed.console.0;
    if parsed.console.is_some() {
        let _ = parsed.console.set_cloexec(true);
    }
    header.fdholder_fd = open_holder(Fd(header.scandir_fd)).0;
    let config = Config {
        role,
        services_max: parsed.services_max,
        name_max: parsed.name_max,
        rescan: parsed.rescan,
        stop_timeout: 0,
        nofile,
    };
    let mut engine = match Engine::new(arena, cli.env(), config) {
        Ok(engine) => engine,
        Err(e) => return cli.unable("set up the event loop", e),
    };
    if parsed.ready.is_some() {
        let mut ready = parsed.ready;
        let _ = file::write_all(ready, b"\n");
        ready.close();
    }
    engine.run();
    leave(cli.env(), nofile)
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
