//! The header: what concerns the whole. No field of it is worth more than the services: each that is wrong gets the value
//! with which they go on.

use crate::rules;
use crate::state::check::{Bound, Check, FAR, Rule};
use crate::state::leave::Then;
use crate::state::ledger::What;
use crate::state::{Header, Tables};
use crate::svscan::enter::{RUNNING, has_begun};
use crate::svscan::stop_script::Stage;
use crate::svscan::{Plan, Role};
use crate::sys::Fd;
use crate::sys::time::{Nanos, SECOND};
use core::fmt;
use zerocopy::IntoBytes;

const RULES: &[Rule] = rules!(Header:
    started Bound::Past,
    entered Bound::Past,
    boot_progress Bound::Most(5, 4),
    plan Bound::Most(Plan::Halt as u32, Plan::Run as u32),
    scan_deadline Bound::Near(1),
    pending_deadline Bound::Near(1),
    dialect Bound::Most(1, 0),
    fault_then Bound::Most(Then::Exit as u32, Then::Reap as u32),
    init_started Bound::Most(1, 1),
    entered_why Bound::Most(2, 1),
    stop_timeout Bound::Near(0),
    stop_manner Bound::Most(2, 1),
);

/// How long a stop has from now on whose deadline is lost.
const STOP_LATER: Nanos = 60 * SECOND;

const WHO: &str = "the arena's header";

fn called(_: &[u8], _: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(WHO)
}

/// Checks the fields that stand for themselves.
pub fn fields(header: &mut Header, role: Role, check: &mut Check<'_>) {
    check.fields(header.as_mut_bytes(), 0, RULES, called);
    for time in &mut header.fault_times {
        if *time > check.now && check.wrong(0, &WHO, "the time of a fault is damaged: it is forgotten") {
            *time = 0;
        }
    }
    let possible = match Plan::of(header) {
        Plan::Run => true,
        Plan::Finish | Plan::Leave => !matches!(role, Role::Init(_)),
        Plan::Poweroff | Plan::Reboot | Plan::Halt => matches!(role, Role::Init(_)),
    };
    if !possible && check.wrong(0, &WHO, "its plan is not one of ours: everything goes on") {
        header.plan = Plan::Run as u32;
    }
    let deadline = header.stop_deadline;
    if Plan::of(header) == Plan::Run {
        if deadline != 0 && check.wrong(0, &WHO, "it has the deadline of a stop, and there is none") {
            header.stop_deadline = 0;
        }
    } else if deadline != u64::MAX
        && deadline > check.now.saturating_add(FAR)
        && check.wrong(0, &WHO, "the deadline of the stop is damaged: it has a minute")
    {
        header.stop_deadline = check.now.saturating_add(STOP_LATER);
    }
    if header.kill_timeout > FAR && check.wrong(0, &WHO, "its kill-timeout is damaged: it is three seconds") {
        header.kill_timeout = 3 * SECOND;
    }
    if header.next_generation == 0 && check.wrong(0, &WHO, "its next generation is none: it is 1") {
        header.next_generation = 1;
    }
    let rules = header.fdholder_rules.get(..header.fdholder_rules_len as usize);
    let is_path = |path: &[u8]| path.is_empty() || path.starts_with(b"/") && !path.contains(&0);
    let ends = header.fdholder_rules.get(header.fdholder_rules_len as usize) == Some(&0);
    if !(rules.is_some_and(is_path) && (ends || header.fdholder_rules_len == 0))
        && check.wrong(0, &WHO, "the path of the fd-holder's rules is damaged: there are none")
    {
        header.fdholder_rules_len = 0;
    }
    if !header.rescue.contains(&0) && check.wrong(0, &WHO, "its rescue command is damaged: there is none") {
        header.rescue = [0; 256];
    }
    if !header.stop_script.contains(&0) && check.wrong(0, &WHO, "its shutdown script is damaged: there is none") {
        header.stop_script = [0; 256];
    }
    if header.stop_script_timeout > FAR && check.wrong(0, &WHO, "its script-timeout is damaged: it is half a minute") {
        header.stop_script_timeout = 30 * SECOND;
    }
    let asked = matches!(role, Role::Init(_)) && matches!(header.stop_plan, 3..=5);
    if header.stop_stage > Stage::Told as u32
        && check.wrong(0, &WHO, "how far the shutdown script has come is damaged: it is over, if there was one")
    {
        header.stop_stage = match (Plan::of(header), asked) {
            (Plan::Run, true) => Stage::Ended,
            (Plan::Run, false) => Stage::Idle,
            _ => Stage::Told,
        } as u32;
    }
    if matches!(Stage::of(header), Stage::Asked | Stage::Started | Stage::Ended)
        && !asked
        && check.wrong(0, &WHO, "it has a shutdown script that runs, and no shutdown: everything goes on")
    {
        (header.stop_stage, header.stop_plan) = (0, 0);
    }
}

/// Checks how far the boot has come: whoever has services has scanned, and does nothing again that comes before that.
pub fn progress(tables: &mut Tables, role: Role, check: &mut Check<'_>) {
    let Tables { header, services, .. } = tables;
    let mut known = services.iter().take(header.services_top as usize);
    if !matches!(role, Role::Supervise(_))
        && !has_begun(header)
        && known.any(|service| service.used != 0)
        && check.wrong(0, &WHO, "how far the boot has come is damaged: it is done")
    {
        header.boot_progress = RUNNING;
    }
}

/// Checks the descriptors that can be found by their names.
pub fn descriptors(header: &mut Header, check: &mut Check<'_>) {
    let here = identity(check, header.scandir_fd, Fd::CWD.0, c".");
    let why = "the scan directory's descriptor is not that";
    let scandir = check.descriptor(header.scandir_fd, What::Directory, here, why, 0, &WHO);
    let control = identity(check, header.control_fd, scandir, c".s6-svscan/control");
    let why = "the descriptor of .s6-svscan/control is not that";
    let control = check.descriptor(header.control_fd, What::Pipe, control, why, 0, &WHO);
    let lock = identity(check, header.lock_fd, scandir, c".s6-svscan/lock");
    let why = "the descriptor of .s6-svscan/lock is not that";
    let lock = check.descriptor(header.lock_fd, What::File, lock, why, 0, &WHO);
    if check.mends {
        (header.scandir_fd, header.control_fd, header.lock_fd) = (scandir, control, lock);
    }
}

/// What a descriptor should be, if it is to be known.
fn identity(check: &mut Check<'_>, fd: i32, dir: i32, path: &core::ffi::CStr) -> Option<(u64, u64)> {
    if check.mends && fd != -1 { check.ledger.at(dir, path) } else { None }
}

/// Checks the others, when everybody else has what he can prove to be his.
pub fn late_descriptors(header: &mut Header, check: &mut Check<'_>) {
    let fd = header.fdholder_fd;
    if fd != -1
        && !check.claim(fd, What::Listener, None)
        && check.wrong(0, &WHO, "the fd-holder's socket is not that: it is looked for")
    {
        header.fdholder_fd = check.find_only(What::Listener);
    }
    for (fd, what) in [
        (&mut header.exe_fd, "the descriptor of the binary is not that of a file"),
        (&mut header.null_fd, "the descriptor of the null device is not open, or another's"),
        (&mut header.console_fd, "the descriptor of the console is not open, or another's"),
    ] {
        let is_open = check.ledger.look(*fd).is_some();
        if *fd != -1 && !(is_open && check.claims.take(*fd)) && check.wrong(0, &WHO, what) {
            *fd = -1;
        }
    }
}
