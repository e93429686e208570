//! What people may know of the scanner itself, `.s6-svscan/state`: beside the files of s6, which does not know it. Text,
//! `KEY=VALUE` lines; written whole at the beginning and whenever the program was entered again, shown by `status`.
//!
//! | key | value |
//! | --- | --- |
//! | `pid`, `version` | of the process, of the program |
//! | `incarnation` | how often it was entered again, by a fault or for an upgrade |
//! | `faults`, `upgrades` | how often by the one, how often by the other |
//! | `why` | `start`, `fault` or `upgrade`: how this incarnation came to be |
//! | `started`, `entered` | when the first began, and this one: nanoseconds on the boot-time clock |
//! | `started-wall`, `entered-wall` | the same as seconds since 1970, as the clock stood when this was written |
//! | `records-reset`, `descriptors-closed` | what was found wrong on entering this one |
//! | `back-after` | microseconds that it took from the fault until everything went on; 0: there was none |
//! | `fault-at`, `fault-wall` | when the last fault was; they are there if there was one |
//! | `fault` | what it was; the last line, which may be cut |
//!
//! Readers skip lines that they do not know.

use crate::limits::STATE_FILE;
use crate::log::Line;
use crate::state::{Epitaph, Header, Tables, Why};
use crate::sys::time::{self, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, process};
use crate::text::errno::Reason;
use crate::text::number::{parse_u32, parse_u64};
use crate::text::quote::Printable;
use crate::warning;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

const FILE: &CStr = c".s6-svscan/state";
const SCRATCH: &CStr = c".s6-svscan/state.new";

/// What was found on entering, for [`write`]; all 0 at the first start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Records that were reset.
    pub reset: u32,
    /// Open descriptors that no record named: they were closed.
    pub closed: u32,
    /// Microseconds from the fault until everything went on.
    pub back_after: u64,
}

/// Writes the file. Whoever has no scan directory writes none. That it cannot be written is told once, and is no
/// obstacle.
#[inline(never)] // its buffer would be part of process 1's stack for ever
pub fn write(tables: &Tables, found: Found) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let scandir = Fd(tables.header.scandir_fd);
    if !scandir.is_some() {
        return;
    }
    let mut text = Line::<STATE_FILE>::new();
    let _ = compose(&mut text, &tables.header, &tables.epitaph, found, process::pid(), (time::boot(), time::wall().0));
    if let Err(e) = file::replace(scandir, FILE, SCRATCH, text.finish("\n").as_bytes()) {
        if !TOLD.swap(true, Relaxed) {
            warning!("cannot write .s6-svscan/state: {}", Reason(e));
        }
    }
}

/// Removes the file: nobody scans any more.
pub fn remove(scandir: Fd) {
    let _ = file::remove(scandir, FILE);
}

/// The text, but for the last line feed. `now`: boot time, and the wall clock in seconds.
fn compose(
    out: &mut dyn Write,
    header: &Header,
    epitaph: &Epitaph,
    found: Found,
    pid: i32,
    now: (Nanos, u64),
) -> fmt::Result {
    let wall = |at: Nanos| now.1.saturating_sub(now.0.saturating_sub(at) / SECOND);
    let Header { incarnation, faults, upgrades, started, entered, .. } = *header;
    let entered = entered.max(started); // the first incarnation begins with the arena
    let why = WHYS.iter().find(|row| row.0 as u32 == header.entered_why).map_or("start", |row| row.1);
    writeln!(out, "pid={pid}\nversion={}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "incarnation={incarnation}\nfaults={faults}\nupgrades={upgrades}\nwhy={why}")?;
    writeln!(out, "started={started}\nentered={entered}")?;
    writeln!(out, "started-wall={}\nentered-wall={}", wall(started), wall(entered))?;
    writeln!(out, "records-reset={}\ndescriptors-closed={}", found.reset, found.closed)?;
    write!(out, "back-after={}", found.back_after)?;
    if epitaph.len > 0 {
        let text = epitaph.text.get(..epitaph.len as usize).unwrap_or(&epitaph.text).trim_ascii_end();
        write!(out, "\nfault-at={}\nfault-wall={}\nfault={}", epitaph.time, epitaph.wall, Printable(text))?;
    }
    Ok(())
}

const WHYS: [(Why, &str); 3] = [(Why::Fresh, "start"), (Why::Fault, "fault"), (Why::Asked, "upgrade")];

/// What the file says. Numbers that it does not say are 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published<'a> {
    /// The process.
    pub pid: u32,
    /// Version of the program.
    pub version: &'a [u8],
    /// How often it was entered again.
    pub incarnation: u32,
    /// Faults survived.
    pub faults: u32,
    /// How often it was entered on purpose.
    pub upgrades: u32,
    /// How this incarnation came to be.
    pub why: Why,
    /// When the first incarnation began.
    pub started: Nanos,
    /// When this one did.
    pub entered: Nanos,
    /// What was found on entering this one.
    pub found: Found,
    /// When the last fault was…
    pub fault_at: Nanos,
    /// …and what it was; empty: there was none.
    pub fault: &'a [u8],
}

/// Reads the file of a scan directory. `None`: there is none, as in one of s6's.
pub fn read(scandir: Fd, buf: &mut [u8; STATE_FILE]) -> Result<Option<Published<'_>>> {
    match file::read(scandir, FILE, buf) {
        Ok(text) => Ok(Published::parse(text)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e),
    }
}

impl<'a> Published<'a> {
    /// Reads the content of the file. `None`: it does not even say whose it is.
    pub fn parse(text: &'a [u8]) -> Option<Published<'a>> {
        let found = Found { reset: 0, closed: 0, back_after: 0 };
        let (why, version, fault) = (Why::Fresh, &b"?"[..], &b""[..]);
        let mut said = Published {
            pid: 0,
            version,
            incarnation: 0,
            faults: 0,
            upgrades: 0,
            why,
            started: 0,
            entered: 0,
            found,
            fault_at: 0,
            fault,
        };
        for line in text.split(|byte| *byte == b'\n') {
            let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
            let (Some(key), Some(value)) = (line.get(..at), line.get(at + 1..)) else { continue };
            let (short, long) = (parse_u32(value).unwrap_or_default(), parse_u64(value).unwrap_or_default());
            match key {
                b"pid" => said.pid = short,
                b"version" => said.version = value,
                b"incarnation" => said.incarnation = short,
                b"faults" => said.faults = short,
                b"upgrades" => said.upgrades = short,
                b"why" => {
                    said.why = WHYS.iter().find(|row| row.1.as_bytes() == value).map_or(Why::Fresh, |row| row.0);
                }
                b"started" => said.started = long,
                b"entered" => said.entered = long,
                b"records-reset" => said.found.reset = short,
                b"descriptors-closed" => said.found.closed = short,
                b"back-after" => said.found.back_after = long,
                b"fault-at" => said.fault_at = long,
                b"fault" => said.fault = value,
                _ => {}
            }
        }
        (said.pid > 0).then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use crate::state;
    use crate::sys::args::Env;

    fn tables() -> &'static mut Tables {
        let (arena, _) = state::open(Env::EMPTY).unwrap();
        (arena.tables.header.started, arena.tables.header.entered) = (5 * SECOND, 5 * SECOND);
        arena.tables
    }

    fn fail(epitaph: &mut Epitaph, text: &[u8]) {
        epitaph.len = text.len() as u32;
        epitaph.text[..text.len()].copy_from_slice(text);
        (epitaph.time, epitaph.wall) = (65 * SECOND, 1_000_060);
    }

    fn composed(tables: &Tables, found: Found) -> String {
        let mut text = Line::<STATE_FILE>::new();
        compose(&mut text, &tables.header, &tables.epitaph, found, 7, (105 * SECOND, 1_000_100)).unwrap();
        text.finish("\n").to_owned()
    }

    #[test]
    fn a_first_start_has_no_fault_and_began_when_the_arena_did() {
        let expected = format!(
            "pid=7\nversion={}\nincarnation=0\nfaults=0\nupgrades=0\nwhy=start\nstarted=5000000000\n\
             entered=5000000000\nstarted-wall=1000000\nentered-wall=1000000\nrecords-reset=0\n\
             descriptors-closed=0\nback-after=0\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(composed(tables(), Found::default()), expected);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let tables = tables();
        (tables.header.incarnation, tables.header.faults, tables.header.upgrades) = (3, 2, 1);
        (tables.header.entered, tables.header.entered_why) = (66 * SECOND, Why::Fault as u32);
        fail(&mut tables.epitaph, b"SIGSEGV at 0x10\nin \xff\n");
        let found = Found { reset: 4, closed: 5, back_after: 678 };
        let text = composed(tables, found);
        let said = Published::parse(text.as_bytes()).unwrap();
        assert_eq!((said.pid, said.incarnation, said.faults, said.upgrades), (7, 3, 2, 1));
        assert_eq!((said.why, said.started, said.entered), (Why::Fault, 5 * SECOND, 66 * SECOND));
        assert_eq!((said.found, said.fault_at), (found, 65 * SECOND));
        assert_eq!(said.fault, b"SIGSEGV at 0x10\\nin \\xff");
        assert!(text.contains("\nfault-wall=1000060\n") && text.contains("\nentered-wall=1000061\n"));
    }

    #[test]
    fn the_longest_epitaph_costs_its_own_end_only() {
        let tables = tables();
        (tables.header.incarnation, tables.header.faults, tables.header.upgrades) = (u32::MAX, u32::MAX, u32::MAX);
        (tables.header.started, tables.header.entered) = (u64::MAX, u64::MAX);
        let found = Found { reset: u32::MAX, closed: u32::MAX, back_after: u64::MAX };
        fail(&mut tables.epitaph, &[1; 440]);
        tables.epitaph.len = u32::MAX;
        let text = composed(tables, found);
        let said = Published::parse(text.as_bytes()).unwrap();
        assert_eq!((said.found, said.faults), (found, u32::MAX));
        assert!(text.ends_with("...\n") && said.fault.starts_with(b"\\x01"), "{text}");
    }

    #[test]
    fn what_is_not_known_means_nothing() {
        assert_eq!(Published::parse(b""), None);
        assert_eq!(Published::parse(b"pid=\n=\n\n=x\nversion"), None);
        let said = Published::parse(b"pid=1\nnews=x\nfaults=-1\nwhy=luck\nfault=a=b").unwrap();
        assert_eq!((said.faults, said.why, said.fault), (0, Why::Fresh, &b"a=b"[..]));
    }

    #[test]
    fn the_file_is_replaced_as_a_whole_and_a_missing_directory_is_no_obstacle() {
        let dir = Scratch::new();
        let tables = tables();
        let mut buf = [0; STATE_FILE];
        write(tables, Found::default());
        tables.header.scandir_fd = dir.fd.0;
        write(tables, Found::default());
        assert_eq!(read(dir.fd, &mut buf), Ok(None));
        dir.mkdir(".s6-svscan");
        for reset in [1, 2] {
            write(tables, Found { reset, ..Found::default() });
            assert_eq!(read(dir.fd, &mut buf).unwrap().unwrap().found.reset, reset);
            assert_eq!(dir.names(".s6-svscan"), ["state"]);
        }
        assert_eq!(read(dir.fd, &mut buf).unwrap().unwrap().pid, std::process::id());
        remove(dir.fd);
        assert_eq!(read(dir.fd, &mut buf), Ok(None));
    }
}
