//! Fifodirs: directories (`event/`) in which listeners make FIFOs and into whose FIFOs the notifier writes what
//! happens, one byte per event. Both sides are here: making and notifying for the supervisor, [`Subscription`] for
//! clients. No name but those of the form `ftrig1:@TAI64N:RANDOM`, exactly 39 bytes, is ever touched.
//!
//! The notifier may be PID 1 and a listener anybody: nothing here waits for a listener, and only FIFOs are written to
//! (s6 follows a symbolic link of the right name, which in a public fifodir lets anybody have any file written).

use crate::limits::FIFODIR_ENTRIES;
use crate::sys::entry::FileType;
use crate::sys::{Errno, Fd, Result, dir, entry, file, process, random};
use crate::text::tai::Stamp;
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;

const PREFIX: &[u8] = b"ftrig1:@";
const NAME_LEN: usize = 39;

/// Who may listen in a fifodir.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Everybody: mode 1733.
    Public,
    /// Members of a group: mode 3730.
    Group(u32),
}

impl Access {
    /// What supervisors make: our own effective group.
    pub fn own_group() -> Access {
        Access::Group(process::effective_group())
    }
}

/// Makes the fifodir `path` in `dir`, where it is missing; one that is there is left as it is. Says whether it made it.
/// A dangling symbolic link is followed, and what it points to is made. ENOTDIR: something else has that name.
pub fn make(dir: Fd, path: &CStr, access: Access) -> Result<bool> {
    if !entry::make_dir(dir, path)? {
        return Ok(false);
    }
    set_access(dir, path, access).map(|()| true)
}

/// Changes who may listen in a fifodir.
pub fn set_access(dir: Fd, path: &CStr, access: Access) -> Result<()> {
    // The group first: changing it may clear the set-group-ID bit.
    let mode = match access {
        Access::Public => 0o1733,
        Access::Group(group) => {
            entry::set_group(dir, path, group)?;
            0o3730
        }
    };
    entry::set_mode(dir, path, mode)
}

/// What became of a notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notified {
    /// Listeners that got it.
    pub told: u32,
    /// Listeners whose FIFO was full: they lost it.
    pub lost: u32,
    /// FIFOs of listeners that are gone, removed.
    pub removed: u32,
    /// There were more than [`FIFODIR_ENTRIES`] entries; the rest was not looked at.
    pub cut: bool,
}

/// Tells all listeners in the fifodir `path` of `dir`: writes `events` into each FIFO, in one write. Never waits. FIFOs
/// that nobody reads are removed. SIGPIPE must be blocked or handled. An error means that nobody was told: the fifodir
/// cannot be read.
pub fn notify(dir: Fd, path: &CStr, events: &[u8]) -> Result<Notified> {
    sweep(dir, path, events)
}

/// Removes the FIFOs of listeners that are gone from the fifodir `path` of `dir`.
pub fn clean(dir: Fd, path: &CStr) -> Result<Notified> {
    sweep(dir, path, b"")
}

fn sweep(dir: Fd, path: &CStr, events: &[u8]) -> Result<Notified> {
    let mut fifodir = file::open_dir(dir, path)?;
    let mut result = Notified::default();
    let mut left = FIFODIR_ENTRIES;
    let done = dir::visit(fifodir, c".", |name, kind| {
        let Some(fewer) = left.checked_sub(1) else {
            result.cut = true;
            return ControlFlow::Break(());
        };
        left = fewer;
        if is_listener(name.to_bytes()) && matches!(kind, FileType::Fifo | FileType::Unknown) {
            match tell(fifodir, name, events) {
                Ok(()) => result.told += 1,
                Err(Errno::AGAIN) => result.lost += 1,
                Err(Errno::NXIO | Errno::PIPE) => {
                    if entry::remove(fifodir, name).is_ok() {
                        result.removed += 1;
                    }
                }
                Err(_) => {}
            }
        }
        ControlFlow::Continue(())
    });
    fifodir.close();
    done.map(|()| result)
}

/// ENXIO, EPIPE: nobody reads it. EAGAIN: it is full.
fn tell(fifodir: Fd, name: &CStr, events: &[u8]) -> Result<()> {
    let mut fifo = file::open(fifodir, name, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW, 0)?;
    let done = match entry::kind_of(fifo) {
        Ok(FileType::Fifo) => file::write_all(fifo, events),
        Ok(_) => Err(Errno::INVAL),
        Err(e) => Err(e),
    };
    fifo.close();
    done
}

fn is_listener(name: &[u8]) -> bool {
    name.len() == NAME_LEN && name.starts_with(PREFIX)
}

/// A listener's FIFO in a fifodir. It must be given up with [`Subscription::close`]; if the process dies instead, the
/// notifier removes the FIFO at the next event.
pub struct Subscription {
    fifodir: Fd,
    fifo: Fd,
    /// The hidden name: a dot, the name, a NUL.
    name: [u8; NAME_LEN + 2],
}

impl Subscription {
    /// Begins to listen in the fifodir `path` of `dir`: events from now on are kept until they are read (those that do
    /// not fit the FIFO, 64 KiB, are lost). To miss nothing, subscribe first and read the status after. EACCES: not
    /// allowed to listen here.
    pub fn open(dir: Fd, path: &CStr) -> Result<Subscription> {
        let mut fifodir = file::open_dir(dir, path)?;
        for _ in 0..8 {
            let name = hidden_name();
            match make_listener(fifodir, &name) {
                Ok(fifo) => return Ok(Subscription { fifodir, fifo, name }),
                Err(Errno::EXIST) => {}
                Err(e) => {
                    fifodir.close();
                    return Err(e);
                }
            }
        }
        fifodir.close();
        Err(Errno::EXIST)
    }

    /// What to wait on: readable when there are events.
    pub fn fd(&self) -> Fd {
        self.fifo
    }

    /// Takes events that have come; `None` when there are none.
    pub fn read(&self, buf: &mut [u8]) -> Result<Option<usize>> {
        file::read_fifo(self.fifo, buf)
    }

    /// Ends it: removes the FIFO.
    pub fn close(&mut self) {
        if let Ok((_, name)) = names(&self.name) {
            let _ = entry::remove(self.fifodir, name);
        }
        self.fifo.close();
        self.fifodir.close();
    }
}

/// The hidden name and the final one, which is the same without the dot.
fn names(name: &[u8; NAME_LEN + 2]) -> Result<(&CStr, &CStr)> {
    let c_str = |bytes| CStr::from_bytes_with_nul(bytes).map_err(|_| Errno::INVAL);
    Ok((c_str(&name[..])?, c_str(&name[1..])?))
}

fn hidden_name() -> [u8; NAME_LEN + 2] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0; 6];
    random::fill(&mut random);
    let mut name = [0; NAME_LEN + 2];
    name[..8].copy_from_slice(b".ftrig1:");
    name[8..33].copy_from_slice(&Stamp::now().to_text());
    name[33] = b':';
    for (to, byte) in name[34..40].iter_mut().zip(random) {
        *to = ALPHABET[usize::from(byte % 64)];
    }
    name
}

/// Makes the FIFO under its hidden name and shows it once it has a reader, so that a notifier never takes it for one
/// that nobody reads. Opened for writing too: it never ends.
fn make_listener(fifodir: Fd, name: &[u8; NAME_LEN + 2]) -> Result<Fd> {
    let (hidden, shown) = names(name)?;
    entry::make_fifo(fifodir, hidden, 0o600)?;
    let done = file::open(fifodir, hidden, OFlags::RDWR | OFlags::NONBLOCK, 0).and_then(|mut fifo| {
        // The notifier may be another user than the listener.
        let done =
            entry::set_mode(fifodir, hidden, 0o622).and_then(|()| entry::rename(fifodir, hidden, shown)).map(|()| fifo);
        if done.is_err() {
            fifo.close();
        }
        done
    });
    if done.is_err() {
        let _ = entry::remove(fifodir, hidden);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    /// As a listener that was killed leaves it.
    const STALE: &str = "event/ftrig1:@4000000000000000000000ab:abcdef";

    fn fifodir() -> Scratch {
        let scratch = Scratch::new();
        assert_eq!(make(scratch.fd, c"event", Access::own_group()), Ok(true));
        scratch
    }

    fn notified(scratch: &Scratch, events: &[u8]) -> Notified {
        notify(scratch.fd, c"event", events).unwrap()
    }

    fn mkfifo(scratch: &Scratch, name: &str) {
        let name = std::ffi::CString::new(name).unwrap();
        entry::make_fifo(scratch.fd, &name, 0o600).unwrap();
    }

    fn taken(subscription: &Subscription) -> Vec<u8> {
        let mut buf = [0; 64];
        let n = subscription.read(&mut buf).unwrap().unwrap_or(0);
        buf[..n].to_vec()
    }

    #[test]
    fn a_new_fifodir_has_the_mode_of_its_kind() {
        let scratch = Scratch::new();
        assert_eq!(make(scratch.fd, c"restricted", Access::own_group()), Ok(true));
        assert_eq!(make(scratch.fd, c"public", Access::Public), Ok(true));
        assert_eq!(scratch.mode("restricted"), 0o3730);
        assert_eq!(scratch.mode("public"), 0o1733);
    }

    #[test]
    fn a_fifodir_that_is_there_keeps_its_mode() {
        let scratch = Scratch::new();
        assert_eq!(make(scratch.fd, c"event", Access::Public), Ok(true));
        assert_eq!(make(scratch.fd, c"event", Access::own_group()), Ok(false));
        assert_eq!(scratch.mode("event"), 0o1733);
        scratch.write("file", "");
        assert_eq!(make(scratch.fd, c"file", Access::Public), Err(Errno::NOTDIR));
    }

    #[test]
    fn a_dangling_link_is_made_real() {
        let scratch = Scratch::new();
        scratch.mkdir("sub");
        symlink("there", scratch.path.join("sub/event")).unwrap();
        symlink(scratch.path.join("absolute"), scratch.path.join("event")).unwrap();
        symlink("missing/there", scratch.path.join("deep")).unwrap();
        assert_eq!(make(scratch.fd, c"sub/event", Access::own_group()), Ok(true));
        assert_eq!(scratch.mode("sub/there"), 0o3730);
        assert_eq!(make(scratch.fd, c"event", Access::Public), Ok(true));
        assert_eq!(scratch.mode("absolute"), 0o1733);
        assert_eq!(make(scratch.fd, c"deep", Access::Public), Err(Errno::NOENT));
    }

    #[test]
    fn every_listener_gets_every_event_in_order() {
        let scratch = fifodir();
        let mut one = Subscription::open(scratch.fd, c"event").unwrap();
        assert_eq!(notified(&scratch, b"s"), Notified { told: 1, ..Notified::default() });
        let mut two = Subscription::open(scratch.fd, c"event").unwrap();
        assert_eq!(notified(&scratch, b"OD"), Notified { told: 2, ..Notified::default() });
        assert_eq!((taken(&one), taken(&two)), (b"sOD".to_vec(), b"OD".to_vec()));
        assert_eq!(one.read(&mut [0; 8]), Ok(None));
        one.close();
        two.close();
        assert_eq!(scratch.names("event"), [] as [&str; 0]);
    }

    #[test]
    fn a_listeners_fifo_has_s6s_name_and_lets_others_write() {
        let scratch = fifodir();
        let mut subscription = Subscription::open(scratch.fd, c"event").unwrap();
        let names = scratch.names("event");
        let [name] = &names[..] else { panic!("{names:?}") };
        assert_eq!(name.len(), 39);
        let (stamp, random) = name.strip_prefix("ftrig1:@").unwrap().split_once(':').unwrap();
        assert!(stamp.len() == 24 && stamp.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
        assert!(random.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)));
        assert_eq!(scratch.mode(&format!("event/{name}")), 0o622);
        subscription.close();
    }

    #[test]
    fn a_full_fifo_loses_the_event_and_stays() {
        let scratch = fifodir();
        let mut subscription = Subscription::open(scratch.fd, c"event").unwrap();
        rustix::pipe::fcntl_setpipe_size(subscription.fd(), 4096).unwrap();
        assert_eq!(notified(&scratch, &[b'u'; 4096]).told, 1);
        assert_eq!(notified(&scratch, b"d"), Notified { lost: 1, ..Notified::default() });
        assert_eq!(scratch.names("event").len(), 1);
        subscription.close();
    }

    #[test]
    fn a_fifo_that_nobody_reads_is_removed_by_the_next_event() {
        let scratch = fifodir();
        mkfifo(&scratch, STALE);
        assert_eq!(notified(&scratch, b"u"), Notified { removed: 1, ..Notified::default() });
        assert_eq!(scratch.names("event"), [] as [&str; 0]);
    }

    #[test]
    fn cleaning_removes_stale_fifos_and_tells_nobody() {
        let scratch = fifodir();
        let mut subscription = Subscription::open(scratch.fd, c"event").unwrap();
        mkfifo(&scratch, STALE);
        assert_eq!(clean(scratch.fd, c"event").unwrap().removed, 1);
        assert_eq!(scratch.names("event").len(), 1);
        assert_eq!(taken(&subscription), b"");
        subscription.close();
    }

    #[test]
    fn other_names_are_left_alone() {
        let scratch = fifodir();
        let others = [
            &format!("{STALE}gh"),
            &STALE[..STALE.len() - 1],
            &STALE.replace("ftrig1", "ftrig2"),
            &STALE.replace("event/ftrig1:", "event/.ftrig1"),
        ];
        for name in others {
            mkfifo(&scratch, name);
        }
        assert_eq!(notified(&scratch, b"u"), Notified::default());
        assert_eq!(scratch.names("event").len(), others.len());
    }

    #[test]
    fn nothing_but_fifos_is_written_to() {
        let scratch = fifodir();
        scratch.write("precious", "kept");
        symlink("../precious", scratch.path.join(STALE)).unwrap();
        scratch.write(&STALE.replace("abcdef", "file00"), "kept");
        let _socket = UnixListener::bind(scratch.path.join(STALE.replace("abcdef", "socket"))).unwrap();
        assert_eq!(notified(&scratch, b"u"), Notified::default());
        assert_eq!(std::fs::read(scratch.path.join("precious")).unwrap(), b"kept");
        assert_eq!(std::fs::read(scratch.path.join(STALE.replace("abcdef", "file00"))).unwrap(), b"kept");
    }

    #[test]
    fn a_crowded_fifodir_does_not_hold_the_notifier() {
        let scratch = fifodir();
        for i in 0..=FIFODIR_ENTRIES {
            scratch.write(&format!("event/{i}"), "");
        }
        assert!(notified(&scratch, b"u").cut);
    }

    #[test]
    fn a_fifodir_that_is_gone_is_an_error() {
        let scratch = Scratch::new();
        assert_eq!(notify(scratch.fd, c"event", b"u"), Err(Errno::NOENT));
        assert_eq!(Subscription::open(scratch.fd, c"event").map(|_| ()), Err(Errno::NOENT));
    }
}
