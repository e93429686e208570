//! Process 1, from the kernel's hands to the engine and back. Each step says what it could not do and goes on: a
//! machine with a broken config still boots as far as it can.

use super::cmdline::Cmdline;
use super::modules::Modules;
use super::{
    Progress, catch_all, cmdline, console, hostname, mounts, policy, rescue, root, run_image, scandir, shutdown,
    sockets, switch,
};
use crate::board::{self, Board, Signals};
use crate::has;
use crate::limits::{SERVICE_NAME, SERVICES};
use crate::log::{self, Target};
use crate::state::{self, Arena, Header, Tables, leave};
use crate::svscan::children::JobKind;
use crate::svscan::enter::{check, has_begun};
use crate::svscan::start::{begin, fill_stdio, reset_signals};
use crate::svscan::{Config, Dialect, Engine, Plan, Role};
use crate::sys::args::Args;
use crate::sys::process::{Rlimit, SpawnError};
use crate::sys::signal::SignalSet;
use crate::sys::time::{self, MILLI};
use crate::sys::{Fd, Result, file, identity};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{error, fault_point, notice, warning};
use core::ffi::CStr;
use rustix::system::RebootCommand;

/// What every child may rely on; the kernel gives process 1 HOME and TERM only.
pub(super) const ENVIRONMENT: [&CStr; 1] = [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/// Runs process 1. Returns only where the kernel does not let it end the machine (a container), or where there is no
/// memory to begin with: the exit code.
pub fn run(args: Args) -> i32 {
    if let Some(command) = rescue::asked(args) {
        rescue::run(command);
    }
    // People ask for a shutdown very early: from here on a signal waits until the engine reads it.
    SignalSet::ALL.block();
    reset_signals();
    fill_stdio();
    leave::arm(&rescue::GIVE_UP);
    identity::set_umask(0o022);
    let mut arena = state::open(args.env());
    let (begun, nofile) = match &mut arena {
        Ok((arena, why)) => {
            log::set_ring(arena.ring);
            let started = &mut arena.tables.header.started;
            *started = switch::began(args.env()).unwrap_or(*started).min(*started);
            (has_begun(&arena.tables.header), begin(arena.tables, *why, Role::Init(Dialect::S6)))
        }
        Err(_) => (false, None),
    };
    fault_point!("boot.arena");
    let failures = mounts::mount_early();
    if let Ok((arena, _)) = &mut arena {
        leave::find_binary(&mut arena.tables.header); // there was no /proc before
    }
    console::open_kmsg();
    let stdio = if begun { console::open_for_lines() } else { console::set_stdio() };
    if begun {
        log::set_target(Target::Running);
    } else {
        notice!("version {}", crate::VERSION);
        failures.report();
        if let Err(e) = stdio {
            warning!("no console: /dev/console: {}", Reason(e));
        }
    }
    let (arena, why) = match arena {
        Ok(opened) => opened,
        Err(e) => {
            error!("no memory for the arena: {}", Reason(e));
            return 111;
        }
    };
    let role = Role::Init(Dialect::of(&arena.tables.header));
    check(arena.tables, why, role);
    fault_point!("boot.early");
    let mut init = CPath::new();
    if !begun {
        let _ = rustix::system::reboot(RebootCommand::CadOff); // ctrl-alt-del is SIGINT from now on
        match settle(args, arena.tables, nofile) {
            Some(script) => init = script,
            None => return 111, // twice in a process: it cannot be
        }
    }
    let header = &arena.tables.header;
    let config = Config {
        role: Role::Init(Dialect::of(header)),
        services_max: SERVICES,
        loggers_count: true,
        name_max: SERVICE_NAME,
        rescan: 0,
        stop_timeout: header.stop_timeout,
        nofile,
    };
    supervise(arena, args, config, &init)
}

/// Reads the board config (without one, everything has its default) and prepares what it asks for. What is needed of it when
/// that is done goes into the header; the rest of it is forgotten. Answers the path of the init script; empty: there is none.
#[inline(never)] // its buffers would be part of process 1's stack for ever
fn settle(args: Args, tables: &mut Tables, nofile: Option<Rlimit>) -> Option<CPath<512>> {
    let cmdline = cmdline::read(args);
    let path = cmdline.board.get().unwrap_or_default();
    let shown = Printable(path.to_bytes());
    let prepare_all = |board: &Board<'_>, read: Result<usize>| {
        if let Err(e) = read {
            warning!("board config {shown}: {}: everything has its default", Reason(e));
        }
        let dialect = match board.signals() {
            Signals::S6 => Dialect::S6,
            Signals::Busybox => Dialect::Busybox,
        };
        let header = &mut tables.header;
        header.dialect = dialect.number();
        header.stop_timeout = board.timeout();
        header.kill_timeout = board.kill_timeout();
        progress(tables, Progress::Mounted);
        policy::take(board, &mut tables.header);
        find_root(board, &cmdline, args, nofile, &tables.header);
        prepare(board, tables);
        CPath::of(&[board.init().unwrap_or_default().as_bytes()])
    };
    board::with_file(path, &mut |mistake| warning!("{shown}:{mistake}"), prepare_all)
}

/// Loads the kernel's modules, and goes on to the root file system if this is an initramfs that wants one: then it does not
/// come back. An earlier incarnation may have done a part of it: what it has loaded and mounted is there.
fn find_root(board: &Board<'_>, cmdline: &Cmdline, args: Args, nofile: Option<Rlimit>, header: &Header) {
    if !has::ROOT {
        if board.root().wanted || !board.modules().is_empty() {
            warning!(
                "this build of linchpin can neither load modules nor go on to another root: it goes on in this one"
            );
        }
        return;
    }
    let modules = Modules::load(board.modules(), cmdline);
    if root::is_wanted(board, args.env()) {
        // What this root lacks the other one may have.
        root::go(board, cmdline, Fd(header.exe_fd), nofile, header.started);
    }
    modules.report();
}

/// All that is there before the first process. An earlier incarnation may have done a part of it: each step is one that can
/// be done again, or that knows how far it came.
fn prepare(board: &Board<'_>, tables: &mut Tables) {
    hostname::set(board);
    mounts::mount_board(board.mounts(), &mut tables.header.mounts_done);
    let place = scandir::prepare(board, &mut tables.header);
    sockets::take_rights(board, tables);
    fault_point!("boot.rights");
    let bound = sockets::bind_all(board, tables);
    notice!("{bound} of {} sockets are held; no process has been started yet", board.sockets().len());
    fault_point!("boot.sockets");
    progress(tables, Progress::SocketsBound);
    if let Some(place) = place.filter(|_| tables.header.boot_progress < Progress::RunImageCopied as u32) {
        let from = CPath::<512>::of(&[board.services().as_bytes()]);
        match from.path().and_then(|from| run_image::copy(from, Fd(tables.header.scandir_fd))) {
            Ok(count) => notice!("{count} services from {} in {place}", board.services()),
            Err(e) => warning!("no service templates in {}: {}", board.services(), Reason(e)),
        }
    }
    fault_point!("boot.copied");
    catch_all::prepare(tables);
    progress(tables, Progress::RunImageCopied);
}

/// Notes that the boot has come so far; it never goes back.
fn progress(tables: &mut Tables, progress: Progress) {
    let header = &mut tables.header;
    header.boot_progress = header.boot_progress.max(progress as u32);
}

fn supervise(arena: Arena, args: Args, config: Config, init: &CPath<512>) -> i32 {
    let (started, begun) = (arena.tables.header.started, has_begun(&arena.tables.header));
    switch::forget(args.env());
    let mut engine = match Engine::new(arena, args.env().with_defaults(&ENVIRONMENT), config) {
        Ok(engine) => engine,
        Err(e) => {
            error!("no event loop: {}: rebooting", Reason(e));
            let _ = shutdown::reboot(Plan::Reboot);
            return 111;
        }
    };
    if !begun {
        engine.publish();
        if !init.is_empty() {
            if let Err(why) = start_init_script(&mut engine, init) {
                let script = Printable(init.as_bytes());
                warning!("cannot run the init script {script}: {}", Reason(why.errno()));
            }
        }
        notice!("booted in {} ms; services are being started", (time::boot() - started) / MILLI);
    }
    engine.begin(None);
    fault_point!("boot.begun");
    log::set_target(Target::Running);
    engine.resume();
    engine.serve();
    console::show_lines(Target::Ending);
    engine.run();
    let grace = engine.kill_timeout();
    let (plan, refused) = shutdown::finish(&mut engine, grace);
    warning!("the kernel does not {}: {}", plan.name(), Reason(refused));
    0
}

/// The board's init script, in a session of its own, in the root directory; once, whatever happens to us.
fn start_init_script(engine: &mut Engine, script: &CPath<512>) -> core::result::Result<(), SpawnError> {
    if engine.has_started_init() {
        return Ok(());
    }
    let path = script.path().map_err(SpawnError::Setup)?;
    let mut root = file::open_dir(Fd::CWD, c"/").map_err(SpawnError::Setup)?;
    let started = engine.start_job(JobKind::InitScript, &[path], root, true, 0);
    fault_point!("boot.script");
    engine.note_started_init();
    root.close();
    started
}
