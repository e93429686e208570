//! What is above the table: of the scanner itself, how long it has run, and what it has survived. Pure but for [`show`].

use crate::applets::machine::columns::Span;
use crate::limits::STATE_FILE;
use crate::state::Why;
use crate::svscan::published::{self, Published};
use crate::sys::time::{self, Nanos, SECOND};
use crate::sys::{Fd, Result};
use crate::text::date::Date;
use crate::text::quote::Printable;
use core::fmt::{self, Write};

/// Tells what the scanner of this directory says of itself. `false`: nothing, as s6's does.
pub fn show(out: &mut dyn Write, scandir: Fd) -> Result<bool> {
    let mut buf = [0; STATE_FILE];
    let now = (time::boot(), time::wall().0);
    // One that began later than now was another machine's, or before a reboot.
    let said = published::read(scandir, &mut buf)?.filter(|said| said.started <= now.0);
    if let Some(said) = &said {
        let _ = tell(out, said, now);
    }
    Ok(said.is_some())
}

/// `now`: boot time, and the wall clock in seconds.
fn tell(out: &mut dyn Write, said: &Published<'_>, now: (Nanos, u64)) -> fmt::Result {
    let ago = |at: Nanos| now.0.saturating_sub(at) / SECOND;
    let since = |at: Nanos| Date(now.1.saturating_sub(ago(at)));
    let version = Printable(said.version);
    match said.pid {
        1 => write!(out, "process 1 is linchpin {version}")?,
        pid => write!(out, "svscan is linchpin {version}, process {pid}")?,
    }
    writeln!(out, ", up for {}, since {}", Span(ago(said.started)), since(said.started))?;
    if said.incarnation > 0 {
        let why = if said.why == Why::Fault { "after a fault" } else { "for an upgrade" };
        let (entered, run) = (since(said.entered), Span(ago(said.entered)));
        write!(out, "this incarnation has run for {run}, since {entered}: entered {why}")?;
        if said.found.back_after > 0 {
            write!(out, ", back after {} us", said.found.back_after)?;
        }
        for (number, one, more) in [
            (said.found.reset, "record was reset", "records were reset"),
            (said.found.closed, "stray descriptor was closed", "stray descriptors were closed"),
        ] {
            match number {
                0 => {}
                1 => write!(out, "; 1 {one}")?,
                _ => write!(out, "; {number} {more}")?,
            }
        }
        out.write_char('\n')?;
        let plural = |number| if number == 1 { "" } else { "s" };
        let (faults, upgrades) = (said.faults, said.upgrades);
        writeln!(out, "{faults} fault{} survived, {upgrades} upgrade{}", plural(faults), plural(upgrades))?;
    }
    if !said.fault.is_empty() {
        writeln!(out, "last fault {} ago: {}", Span(ago(said.fault_at)), Printable(said.fault))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svscan::published::Found;

    const NOW: (Nanos, u64) = (10_000 * SECOND, 1_795_799_101);

    fn told(text: &str) -> String {
        let mut out = String::new();
        tell(&mut out, &Published::parse(text.as_bytes()).unwrap(), NOW).unwrap();
        out
    }

    #[test]
    fn who_never_failed_has_one_line() {
        let text = "pid=1\nversion=0.1.0\nstarted=1000000000\nentered=1000000000\nwhy=start\n";
        assert_eq!(told(text), "process 1 is linchpin 0.1.0, up for 2 h, since 2026-11-27 14:18:22 UTC\n");
        let text = text.replace("pid=1", "pid=77");
        assert!(told(&text).starts_with("svscan is linchpin 0.1.0, process 77, up for 2 h, since "));
    }

    #[test]
    fn who_failed_says_how_often_when_and_why() {
        let text = "pid=1\nversion=0.1.0\nincarnation=3\nfaults=2\nupgrades=1\nwhy=fault\nstarted=1000000000\n\
                    entered=9990000000000\nback-after=812\nrecords-reset=1\ndescriptors-closed=2\n\
                    fault-at=9990000000000\nfault=SIGSEGV, address 0x0";
        let expected = "process 1 is linchpin 0.1.0, up for 2 h, since 2026-11-27 14:18:22 UTC\n\
                        this incarnation has run for 10 s, since 2026-11-27 17:04:51 UTC: entered after a fault, \
                        back after 812 us; 1 record was reset; 2 stray descriptors were closed\n\
                        2 faults survived, 1 upgrade\n\
                        last fault 10 s ago: SIGSEGV, address 0x0\n";
        assert_eq!(told(text), expected);
    }

    #[test]
    fn who_was_upgraded_says_so() {
        let text = "pid=1\nversion=0.2.0\nincarnation=1\nupgrades=1\nwhy=upgrade\nstarted=0\nentered=9999000000000\n";
        let out = told(text);
        assert!(out.contains("\nthis incarnation has run for 1 s, since "), "{out}");
        assert!(out.ends_with(" UTC: entered for an upgrade\n0 faults survived, 1 upgrade\n"), "{out}");
    }

    #[test]
    fn a_directory_of_s6_says_nothing() {
        let dir = crate::service::scratch::Scratch::new();
        dir.mkdir(".s6-svscan");
        let mut out = String::new();
        assert_eq!((show(&mut out, dir.fd), out.as_str()), (Ok(false), ""));
        dir.write(".s6-svscan/state", "pid=1\nstarted=18446744073709551615\n");
        assert_eq!((show(&mut out, dir.fd), out.as_str()), (Ok(false), ""));
        dir.write(".s6-svscan/state", "pid=1\nstarted=1\n");
        assert_eq!(show(&mut out, dir.fd), Ok(true));
        assert_eq!(Published::parse(b"pid=1").map(|said| said.found), Some(Found::default()));
    }
}
