//! Process 1, from the kernel's hands to the engine and back. Each step says what it could not do and goes on: a
//! machine with a broken config still boots as far as it can.

use super::{Progress, cmdline, console, mounts, run_image, scandir, shutdown, sockets};
use crate::board::{self, Board, Signals};
use crate::limits::{SERVICE_NAME, SERVICES};
use crate::log::{self, Target};
use crate::state::{self, Arena, Tables};
use crate::svscan::children::JobKind;
use crate::svscan::start::{fill_stdio, raise_nofile, reset_signals};
use crate::svscan::{Config, Dialect, Engine, Plan, Role};
use crate::sys::args::Args;
use crate::sys::fd::close_inherited;
use crate::sys::process::SpawnError;
use crate::sys::signal::SignalSet;
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Fd, Result, file, identity};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{error, notice, warning};
use core::ffi::CStr;
use rustix::system::RebootCommand;

/// What every child may rely on; the kernel gives process 1 HOME and TERM only.
const ENVIRONMENT: [&CStr; 1] = [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/// Runs process 1. Returns only where the kernel does not let it end the machine (a container), or where there is no
/// memory to begin with: the exit code.
pub fn run(args: Args) -> i32 {
    // People ask for a shutdown very early: from here on a signal waits until the engine reads it.
    SignalSet::ALL.block();
    reset_signals();
    fill_stdio();
    close_inherited();
    let nofile = raise_nofile(true);
    identity::set_umask(0o022);
    let arena = state::open(args.env()).map(|(arena, _)| arena);
    if let Ok(arena) = &arena {
        log::set_ring(arena.ring);
    }
    let failures = mounts::mount_early();
    console::open_kmsg();
    let stdio = console::set_stdio();
    notice!("version {}", crate::VERSION);
    failures.report();
    if let Err(e) = stdio {
        warning!("no console: /dev/console: {}", Reason(e));
    }
    let arena = match arena {
        Ok(arena) => arena,
        Err(e) => {
            error!("no memory for the arena: {}", Reason(e));
            return 111;
        }
    };
    progress(arena.tables, Progress::Mounted);
    let _ = rustix::system::reboot(RebootCommand::CadOff); // ctrl-alt-del is SIGINT from now on

    let Some(settled) = settle(args, arena.tables) else { return 111 }; // twice in a process: it cannot be
    let config = Config {
        role: Role::Init(settled.dialect),
        services_max: SERVICES,
        loggers_count: true,
        name_max: SERVICE_NAME,
        rescan: 0,
        stop_timeout: settled.stop_timeout,
        nofile,
    };
    supervise(arena, args, config, &settled)
}

/// What is needed of the board config when everything is prepared; the rest of it is forgotten.
struct Settled {
    dialect: Dialect,
    stop_timeout: Nanos,
    kill_timeout: Nanos,
    /// Empty: there is none.
    init: CPath<512>,
}

/// Reads the board config (without one, everything has its default) and prepares what it asks for.
#[inline(never)] // its buffers would be part of process 1's stack for ever
fn settle(args: Args, tables: &mut Tables) -> Option<Settled> {
    let cmdline = cmdline::read(args);
    let path = cmdline.board.get().unwrap_or_default();
    let shown = Printable(path.to_bytes());
    let prepare_all = |board: &Board<'_>, read: Result<usize>| {
        if let Err(e) = read {
            warning!("board config {shown}: {}: everything has its default", Reason(e));
        }
        prepare(board, tables);
        Settled {
            dialect: match board.signals() {
                Signals::S6 => Dialect::S6,
                Signals::Busybox => Dialect::Busybox,
            },
            stop_timeout: board.timeout(),
            kill_timeout: board.kill_timeout(),
            init: CPath::of(&[board.init().unwrap_or_default().as_bytes()]),
        }
    };
    board::with_file(path, &mut |mistake| warning!("{shown}:{mistake}"), prepare_all)
}

/// All that is there before the first process.
fn prepare(board: &Board<'_>, tables: &mut Tables) {
    if let Some(name) = board.hostname() {
        if let Err(e) = rustix::system::sethostname(name.as_bytes()) {
            warning!("cannot set the host name {name}: {}", Reason(e));
        }
    }
    mounts::mount_board(board.mounts());
    let place = scandir::prepare(board, &mut tables.header);
    sockets::take_rights(board, tables);
    let bound = sockets::bind_all(board, tables);
    notice!("{bound} of {} sockets are held; no process has been started yet", board.sockets().len());
    progress(tables, Progress::SocketsBound);
    if let Some(place) = place {
        let from = CPath::<512>::of(&[board.services().as_bytes()]);
        match from.path().and_then(|from| run_image::copy(from, Fd(tables.header.scandir_fd))) {
            Ok(count) => notice!("{count} services from {} in {place}", board.services()),
            Err(e) => warning!("no service templates in {}: {}", board.services(), Reason(e)),
        }
    }
    progress(tables, Progress::RunImageCopied);
}

fn progress(tables: &mut Tables, progress: Progress) {
    tables.header.boot_progress = progress as u32;
}

fn supervise(arena: Arena, args: Args, config: Config, settled: &Settled) -> i32 {
    let started = arena.tables.header.started;
    let mut engine = match Engine::new(arena, args.env().with_defaults(&ENVIRONMENT), config) {
        Ok(engine) => engine,
        Err(e) => {
            error!("no event loop: {}: rebooting", Reason(e));
            let _ = shutdown::reboot(Plan::Reboot);
            return 111;
        }
    };
    if !settled.init.is_empty() {
        if let Err(why) = start_init_script(&mut engine, &settled.init) {
            let script = Printable(settled.init.as_bytes());
            warning!("cannot run the init script {script}: {}", Reason(why.errno()));
        }
    }
    notice!("booted in {} ms; services are being started", (time::boot() - started) / MILLI);
    engine.set_progress(Progress::Running as u32);
    log::set_target(Target::Running);
    engine.serve();
    console::show_lines(Target::Ending);
    engine.run();
    let (plan, refused) = shutdown::finish(&mut engine, settled.kill_timeout);
    warning!("the kernel does not {}: {}", plan.name(), Reason(refused));
    0
}

/// The board's init script, in a session of its own, in the root directory.
fn start_init_script(engine: &mut Engine, script: &CPath<512>) -> core::result::Result<(), SpawnError> {
    let path = script.path().map_err(SpawnError::Setup)?;
    let mut root = file::open_dir(Fd::CWD, c"/").map_err(SpawnError::Setup)?;
    let started = engine.start_job(JobKind::InitScript, path, root, true);
    root.close();
    started
}
