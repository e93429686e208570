//! Process 1, from the kernel's hands to the engine and back. Each step says what it could not do and goes on: a
//! machine with a broken config still boots as far as it can.

use super::{Progress, cmdline, console, mounts, run_image, shutdown, sockets};
use crate::board::{self, Board, Signals};
use crate::fdholder::server;
use crate::limits::{SERVICE_NAME, SERVICES};
use crate::state::{self, Arena, Tables};
use crate::svscan::children::JobKind;
use crate::svscan::start::{fill_stdio, make_dir, open_scandir, raise_nofile, reset_signals};
use crate::svscan::{Config, Dialect, Engine, Role};
use crate::sys::args::Args;
use crate::sys::signal::SignalSet;
use crate::sys::{Errno, Fd, process};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{error, log, notice, warning};
use core::ffi::CStr;
use rustix::fs::Mode;
use rustix::system::RebootCommand;

/// What every child may rely on; the kernel gives process 1 HOME and TERM only.
const ENVIRONMENT: [&CStr; 1] = [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/// Runs process 1. Returns only where the kernel does not let it end the machine (a container): the exit code.
pub fn run(args: Args) -> i32 {
    // People ask for a shutdown very early: from here on a signal waits until the engine reads it.
    SignalSet::ALL.block();
    reset_signals();
    fill_stdio();
    let arena = match state::open() {
        Ok(arena) => arena,
        Err(e) => {
            error!("no memory for the arena: {}", Reason(e));
            return 111;
        }
    };
    log::set_ring(arena.ring);
    log::set_target(log::Target::KernelAndConsole);
    progress(arena.tables, Progress::Started);
    mounts::mount_early();
    console::open_kmsg();
    console::set_stdio();
    notice!("version {}, process {}", env!("CARGO_PKG_VERSION"), process::pid());
    progress(arena.tables, Progress::Mounted);
    let _ = rustix::system::reboot(RebootCommand::CadOff); // ctrl-alt-del is SIGINT from now on
    let nofile = raise_nofile(true);

    let Some(board) = load_board(&cmdline::read(args)) else { return 111 }; // read twice: it cannot be
    if let Some(name) = board.hostname() {
        if let Err(e) = rustix::system::sethostname(name.as_bytes()) {
            warning!("cannot set the host name {name}: {}", Reason(e));
        }
    }
    mount_all(board);
    prepare_scandir(board, arena.tables);
    let bound = sockets::bind_all(board, arena.tables);
    notice!("{bound} of {} sockets are held; no process has been started yet", board.sockets().len());
    progress(arena.tables, Progress::SocketsBound);
    copy_run_image(board, arena.tables);
    progress(arena.tables, Progress::RunImageCopied);

    let dialect = match board.signals() {
        Signals::S6 => Dialect::S6,
        Signals::Busybox => Dialect::Busybox,
    };
    let config = Config {
        role: Role::Init(dialect),
        services_max: SERVICES,
        name_max: SERVICE_NAME,
        rescan: 0,
        stop_timeout: board.timeout(),
        nofile,
    };
    supervise(arena, args, config, board)
}

fn supervise(arena: Arena, args: Args, config: Config, board: &Board<'_>) -> i32 {
    let mut engine = match Engine::new(arena, args.env().with_defaults(&ENVIRONMENT), config) {
        Ok(engine) => engine,
        Err(e) => {
            error!("no event loop: {}: rebooting", Reason(e));
            let _ = shutdown::reboot(crate::svscan::Plan::Reboot);
            return 111;
        }
    };
    start_init_script(&mut engine, board);
    engine.set_progress(Progress::Running as u32);
    log::set_target(log::Target::Kernel);
    let plan = engine.run();
    let refused = shutdown::finish(&mut engine, plan, board.kill_timeout());
    warning!("the kernel does not {}: {}", plan.name(), Reason(refused));
    0
}

fn progress(tables: &mut Tables, progress: Progress) {
    tables.header.boot_progress = progress as u32;
}

/// Reads the board config; without one, everything has its default.
fn load_board(cmdline: &cmdline::Cmdline) -> Option<&'static Board<'static>> {
    let path = cmdline.board.path().unwrap_or(c"");
    let shown = Printable(path.to_bytes());
    let (board, read) = board::load_file(path, &mut |mistake| warning!("{shown}:{mistake}"))?;
    if let Err(e) = read {
        warning!("board config {shown}: {}: everything has its default", Reason(e));
    }
    Some(board)
}

fn mount_all(board: &Board<'_>) {
    for mount in board.mounts() {
        let path = |text: &str| CPath::<512>::of(&[text.as_bytes()]);
        let (source, target, kind) = (path(mount.source), path(mount.target), path(mount.kind));
        match (source.path(), target.path(), kind.path()) {
            (Ok(source), Ok(target), Ok(kind)) => mounts::mount_board(source, target, kind, mount.options.as_bytes()),
            _ => warning!("cannot mount on {}: a word is too long", mount.target),
        }
    }
}

/// Makes the scan directory, the link /service to it, and the fd-holder's socket in it.
fn prepare_scandir(board: &Board<'_>, tables: &mut Tables) {
    let scandir = CPath::<512>::of(&[board.scandir().as_bytes()]);
    let Ok(path) = scandir.path() else { return error!("the path of the scan directory is too long") };
    make_parents(scandir.as_bytes());
    if let Err(e) = make_dir(Fd::CWD, path, 0o755) {
        warning!("cannot make {}: {}", board.scandir(), Reason(e));
    }
    if let Err((what, e)) = open_scandir(&mut tables.header, path) {
        error!("scan directory {}: unable to {what}: {}", board.scandir(), Reason(e));
    }
    match rustix::fs::symlink(path, c"/service") {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => notice!("no link /service to {}: {}", board.scandir(), Reason(e)),
    }
    let socket = board.fdholder();
    make_parents(socket.as_bytes());
    match socket.path().and_then(server::listen) {
        Ok(fd) => tables.header.fdholder_fd = fd.0,
        Err(e) => error!("no fd-holder at {}: {}", Printable(socket.as_bytes()), Reason(e)),
    }
}

/// Makes the directories above a path, mode 0755.
fn make_parents(path: &[u8]) {
    for (at, _) in path.iter().enumerate().filter(|(at, byte)| *at > 0 && **byte == b'/') {
        let above = CPath::<512>::of(&[path.get(..at).unwrap_or_default()]);
        if let Ok(above) = above.path() {
            let _ = rustix::fs::mkdir(above, Mode::from_raw_mode(0o755));
        }
    }
}

fn copy_run_image(board: &Board<'_>, tables: &Tables) {
    let from = CPath::<512>::of(&[board.services().as_bytes()]);
    match from.path().and_then(|from| run_image::copy(from, Fd(tables.header.scandir_fd))) {
        Ok(count) => notice!("{count} services from {}", board.services()),
        Err(e) => warning!("no service templates in {}: {}", board.services(), Reason(e)),
    }
}

fn start_init_script(engine: &mut Engine, board: &Board<'_>) {
    let Some(script) = board.init() else { return };
    let path = CPath::<512>::of(&[script.as_bytes()]);
    let started = path
        .path()
        .map_err(process::SpawnError::Setup)
        .and_then(|path| engine.start_job(JobKind::InitScript, path, &[path], true));
    if let Err(why) = started {
        warning!("cannot run the init script {script}: {}", Reason(why.errno()));
    }
}
