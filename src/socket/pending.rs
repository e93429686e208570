//! A socket of the board as a record of the arena: what it takes to bind it, now or later, and when that is tried again.

use super::address::Address;
use super::bind::{Access, Failure, Options, Step, bind_telling};
use super::options::{Known, Values};
use crate::limits::SOCKET_OPTIONS;
use crate::state::Pending;
use crate::sys::listener::Kind;
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Errno, Fd};
use core::sync::atomic::{Ordering, compiler_fence};

/// The longest time between two attempts.
const LONGEST_PAUSE: Nanos = 60 * SECOND;

/// What is to be bound.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its identifier in the fd-holder.
    pub name: &'a str,
    /// Its address, as it is written.
    pub address: &'a str,
    /// How it delivers.
    pub kind: Kind,
    /// O_NONBLOCK
    pub nonblocking: bool,
    /// For listen(2).
    pub backlog: u32,
    /// Permissions of a path.
    pub mode: u16,
    /// Permissions of the directories above it that are not there.
    pub directory_mode: u16,
    /// Owner of a path.
    pub uid: Option<u32>,
    /// See above.
    pub gid: Option<u32>,
    /// The network interface that it is for; empty for any.
    pub device: &'a str,
    /// Further options.
    pub values: Values,
}

/// Fills a record, which becomes valid last. ENAMETOOLONG: the name, the address or the device does not fit.
pub fn fill(record: &mut Pending, wanted: &Wanted<'_>, now: Nanos) -> Result<(), Errno> {
    record.used = 0;
    compiler_fence(Ordering::SeqCst);
    record.kind = wanted.kind as u8;
    record.nonblocking = wanted.nonblocking.into();
    record.name_len = put(&mut record.name, wanted.name)?;
    record.address_len = put(&mut record.address, wanted.address)?;
    record.device_len = put(&mut record.device, wanted.device)?;
    record.mode = wanted.mode;
    record.directory_mode = wanted.directory_mode;
    record.backlog = wanted.backlog;
    record.uid = wanted.uid.unwrap_or(u32::MAX);
    record.gid = wanted.gid.unwrap_or(u32::MAX);
    record.attempts = 0;
    record.asked = wanted.values.asked;
    record.options = wanted.values.of;
    record.since = now;
    record.deadline = now;
    compiler_fence(Ordering::SeqCst);
    record.used = 1;
    Ok(())
}

fn put(room: &mut [u8], text: &str) -> Result<u8, Errno> {
    let len = u8::try_from(text.len()).map_err(|_| Errno::NAMETOOLONG)?;
    room.get_mut(..text.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(text.as_bytes());
    Ok(len)
}

/// The identifier.
pub fn name(record: &Pending) -> &[u8] {
    record.name.get(..record.name_len.into()).unwrap_or_default()
}

/// The address, as it is written.
pub fn address(record: &Pending) -> &[u8] {
    record.address.get(..record.address_len.into()).unwrap_or_default()
}

/// Binds the socket. `report` hears of each option that cannot be set.
pub fn bind(record: &Pending, report: &mut dyn FnMut(&'static Known, Errno)) -> Result<Fd, Failure> {
    // What a board config says has been read already; a damaged record has not.
    let address = Address::parse(address(record)).map_err(|_| Failure { step: Step::Create, errno: Errno::INVAL })?;
    let own = |id| (id != u32::MAX).then_some(id);
    let options = Options {
        kind: match record.kind {
            1 => Kind::Datagram,
            2 => Kind::SeqPacket,
            _ => Kind::Stream,
        },
        backlog: record.backlog,
        nonblocking: record.nonblocking != 0,
        reuse: true,
        access: Access::Exact { mode: record.mode.into(), uid: own(record.uid), gid: own(record.gid) },
        parents: Some(record.directory_mode.into()),
        device: record.device.get(..record.device_len.into()).unwrap_or_default(),
        values: Values { asked: record.asked, of: record.options },
    };
    bind_telling(&address, &options, report)
}

/// An attempt has failed: notes when the next one is, after one second at first, then twice as long each time, but never
/// more than a minute. Answers whether to say so: the first time, then each time when there have been twice as many.
pub fn failed(record: &mut Pending, now: Nanos) -> bool {
    record.attempts = record.attempts.saturating_add(1);
    let pause = SECOND.checked_shl(record.attempts - 1).filter(|pause| record.attempts < 7 && *pause < LONGEST_PAUSE);
    record.deadline = now.saturating_add(pause.unwrap_or(LONGEST_PAUSE));
    record.attempts.is_power_of_two()
}

/// Somebody asks for it: it is tried at once, and what comes of it is said.
pub fn ask(record: &mut Pending, now: Nanos) {
    record.attempts = 0;
    record.deadline = now;
}

const _: () = {
    assert!(Kind::Stream as u8 == 0 && Kind::Datagram as u8 == 1 && Kind::SeqPacket as u8 == 2);
    assert!(SOCKET_OPTIONS == Values::NONE.of.len());
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::options;
    use std::os::unix::fs::MetadataExt;
    use zerocopy::FromZeros;

    fn wanted(address: &str) -> Wanted<'_> {
        Wanted {
            name: "a name",
            address,
            kind: Kind::SeqPacket,
            nonblocking: false,
            backlog: 7,
            mode: 0o622,
            directory_mode: 0o711,
            uid: None,
            gid: None,
            device: "",
            values: Values::NONE,
        }
    }

    fn filled(wanted: &Wanted<'_>) -> Box<Pending> {
        let mut record = Box::new(Pending::new_zeroed());
        fill(&mut record, wanted, 5).unwrap();
        record
    }

    #[test]
    fn a_record_binds_what_was_wanted() {
        let dir = format!("/tmp/linchpin-pending-{}", std::process::id());
        let _ = std::fs::remove_dir_all(&dir);
        let path = format!("{dir}/deep/x");
        let text = format!("unix:{path}");
        let record = filled(&wanted(&text));
        assert_eq!((name(&record), address(&record)), (&b"a name"[..], text.as_bytes()));
        let mut fd = bind(&record, &mut |_, _| ()).unwrap();
        let (socket, parent) = (std::fs::metadata(&path).unwrap(), std::fs::metadata(format!("{dir}/deep")).unwrap());
        assert_eq!((socket.mode() & 0o7777, parent.mode() & 0o7777), (0o622, 0o711));
        assert!(!rustix::fs::fcntl_getfl(fd).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
        assert_eq!(rustix::net::sockopt::socket_type(fd), Ok(rustix::net::SocketType::SEQPACKET));
        fd.close();
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn options_and_device_are_in_the_record() {
        let options = Values::NONE.with(options::FREEBIND, 1);
        let address = "tcp:192.0.2.1:0";
        let stream = Wanted { kind: Kind::Stream, ..wanted(address) };
        assert_eq!(bind(&filled(&stream), &mut |_, _| ()).unwrap_err().errno, Errno::ADDRNOTAVAIL);
        bind(&filled(&Wanted { values: options, ..stream }), &mut |_, _| ()).unwrap().close();
        let elsewhere = filled(&Wanted { values: options, device: "none-such", ..stream });
        assert_eq!(bind(&elsewhere, &mut |_, _| ()).unwrap_err().step, Step::Interface);
    }

    #[test]
    fn what_does_not_fit_makes_no_record() {
        let mut record = Box::new(Pending::new_zeroed());
        let (long, longer) = ("x".repeat(129), "x".repeat(257));
        for bad in [
            Wanted { name: &longer, ..wanted("") },
            Wanted { address: &long, ..wanted("") },
            Wanted { device: &long, ..wanted("") },
        ] {
            assert_eq!(fill(&mut record, &bad, 0), Err(Errno::NAMETOOLONG));
            assert_eq!(record.used, 0);
        }
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let mut record = filled(&wanted("unix:@x"));
        record.address[0] = 0xff;
        assert_eq!(bind(&record, &mut |_, _| ()), Err(Failure { step: Step::Create, errno: Errno::INVAL }));
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_so_do_the_reports() {
        let mut record = filled(&wanted("unix:@x"));
        let mut pauses = Vec::new();
        let mut said = Vec::new();
        for attempt in 1..=40 {
            if failed(&mut record, 100) {
                said.push(attempt);
            }
            pauses.push((record.deadline - 100) / SECOND);
        }
        assert_eq!(pauses[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(pauses[8..].iter().all(|pause| *pause == 60));
        assert_eq!(said, [1, 2, 4, 8, 16, 32]);
        ask(&mut record, 1000);
        assert_eq!(record.deadline, 1000);
        assert!(failed(&mut record, 1000));
        assert_eq!(record.deadline, 1000 + SECOND);
    }
}
