//! The status record of a service, `supervise/status`: 35 bytes, big-endian, the same in all versions of s6 that
//! matter. Written by the supervisor, read by everybody who asks (s6-svstat, s6-svwait).
//!
//! | offset | size | field |
//! | ---: | ---: | --- |
//! | 0 | 12 | stamp: last start or death of `run` |
//! | 12 | 12 | ready stamp: last readiness, or end of `finish` |
//! | 24 | 8 | pid |
//! | 32 | 2 | wait(2) status of the last `run` |
//! | 34 | 1 | flags |

use crate::sys::{Errno, Fd, Result, file};
use crate::text::tai::Stamp;

/// What a supervisor tells about its service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// When `run` was last started or died; at first, when the supervisor was started.
    pub stamp: Stamp,
    /// When the service last became ready or was last done with `finish`; at first, as `stamp`.
    pub ready_stamp: Stamp,
    /// Pid of `run`, or of `finish` while `finishing`; 0 if neither runs.
    pub pid: i32,
    /// How `run` last ended, in wait(2)'s encoding; kept while the next one runs. 0 before the first death.
    pub wstat: u16,
    /// Stopped by a control command. With pid 0 and not `finishing`: never started since the supervisor was.
    pub paused: bool,
    /// `finish` runs.
    pub finishing: bool,
    /// The supervisor starts `run` again when it has died.
    pub want_up: bool,
    /// Up: the service has said that it is ready. Down: `finish` is over.
    pub ready: bool,
}

const PAUSED: u8 = 1;
const FINISHING: u8 = 2;
const WANT_UP: u8 = 4;
const READY: u8 = 8;

impl Status {
    /// Size of the record.
    pub const SIZE: usize = 35;

    /// Whether `run` runs.
    pub fn is_up(&self) -> bool {
        self.pid != 0 && !self.finishing
    }

    /// Whether `run` has never been started since the supervisor was. Supervisors before s6 2.12 do not tell.
    pub fn never_started(&self) -> bool {
        self.paused && self.pid == 0 && !self.finishing
    }

    /// How `run` last ended; not meaningful while it is up or never started.
    pub fn end(&self) -> End {
        End::of(self.wstat)
    }

    /// The record.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        out[..12].copy_from_slice(&self.stamp.to_bytes());
        out[12..24].copy_from_slice(&self.ready_stamp.to_bytes());
        out[24..32].copy_from_slice(&(self.pid as u64).to_be_bytes());
        out[32..34].copy_from_slice(&self.wstat.to_be_bytes());
        out[34] = flag(self.paused, PAUSED)
            | flag(self.finishing, FINISHING)
            | flag(self.want_up, WANT_UP)
            | flag(self.ready, READY);
        out
    }

    /// Reads the first 35 bytes. `None`: there are fewer, or the pid is none.
    pub fn decode(bytes: &[u8]) -> Option<Status> {
        let (stamp, rest) = bytes.split_first_chunk()?;
        let (ready_stamp, rest) = rest.split_first_chunk()?;
        let (pid, rest) = rest.split_first_chunk()?;
        let (wstat, rest) = rest.split_first_chunk()?;
        let flags = *rest.first()?;
        Some(Status {
            stamp: Stamp::from_bytes(stamp),
            ready_stamp: Stamp::from_bytes(ready_stamp),
            pid: i32::try_from(u64::from_be_bytes(*pid)).ok()?,
            wstat: u16::from_be_bytes(*wstat),
            paused: flags & PAUSED != 0,
            finishing: flags & FINISHING != 0,
            want_up: flags & WANT_UP != 0,
            ready: flags & READY != 0,
        })
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It exited with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
}

impl End {
    /// From wait(2)'s encoding; the core dump flag is ignored.
    pub fn of(wstat: u16) -> End {
        match (wstat & 0x7f) as u8 {
            0 => End::Exited((wstat >> 8) as u8),
            signal => End::Killed(signal),
        }
    }
}

/// Replaces the status file of the service directory `dir`: readers see the old record or the new one.
pub fn write(dir: Fd, status: &Status) -> Result<()> {
    file::replace(dir, c"supervise/status", c"supervise/status.new", &status.encode())
}

/// Reads the status file of the service directory `dir`. ENOENT: never supervised. EINVAL: not a status record.
pub fn read(dir: Fd) -> Result<Status> {
    let mut buf = [0; Status::SIZE];
    Status::decode(file::read(dir, c"supervise/status", &mut buf)?).ok_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use proptest::prelude::*;

    /// A life of a service, as a supervisor of s6 wrote it: started with `down`, notification-fd 3 and a slow finish.
    const STARTED: [u8; 35] = [
        0x40, 0x00, 0x00, 0x00, 0x6b, 0x02, 0xb5, 0x2d, 0x01, 0x26, 0xb9, 0x74, 0x40, 0x00, 0x00, 0x00, //
        0x6b, 0x02, 0xb5, 0x2c, 0x30, 0x37, 0xdb, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x66, //
        0x00, 0x00, 0x04,
    ];
    const READY_NOW: [u8; 35] = [
        0x40, 0x00, 0x00, 0x00, 0x6b, 0x02, 0xb5, 0x2d, 0x01, 0x26, 0xb9, 0x74, 0x40, 0x00, 0x00, 0x00, //
        0x6b, 0x02, 0xb5, 0x2d, 0x19, 0x82, 0x0e, 0x27, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x66, //
        0x00, 0x00, 0x0c,
    ];
    const IN_FINISH: [u8; 35] = [
        0x40, 0x00, 0x00, 0x00, 0x6b, 0x02, 0xb5, 0x2d, 0x33, 0x2d, 0x61, 0xdb, 0x40, 0x00, 0x00, 0x00, //
        0x6b, 0x02, 0xb5, 0x2d, 0x19, 0x82, 0x0e, 0x27, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0xbf, //
        0x00, 0x0f, 0x02,
    ];
    const FINISHED: [u8; 35] = [
        0x40, 0x00, 0x00, 0x00, 0x6b, 0x02, 0xb5, 0x2d, 0x33, 0x2d, 0x61, 0xdb, 0x40, 0x00, 0x00, 0x00, //
        0x6b, 0x02, 0xb5, 0x2e, 0x15, 0xf9, 0x0a, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, //
        0x00, 0x0f, 0x08,
    ];

    #[test]
    fn a_service_that_was_started_but_is_not_ready() {
        let status = Status::decode(&STARTED).unwrap();
        let started = Stamp::from_unix(1_795_339_528, 19_315_060);
        assert_eq!(status.stamp, started);
        assert_eq!(status.ready_stamp, Stamp { sec: started.sec - 1, nano: 0x3037_db05 });
        assert_eq!(status.pid, 4198);
        assert!(status.is_up() && status.want_up && !status.ready && !status.paused && !status.finishing);
    }

    #[test]
    fn becoming_ready_changes_the_flag_and_the_ready_stamp_only() {
        let before = Status::decode(&STARTED).unwrap();
        let after = Status::decode(&READY_NOW).unwrap();
        assert_eq!(after, Status { ready: true, ready_stamp: after.ready_stamp, ..before });
        assert_eq!(after.ready_stamp.nano, 0x1982_0e27);
    }

    #[test]
    fn while_finish_runs_the_pid_is_finishs_and_the_service_is_not_up() {
        let status = Status::decode(&IN_FINISH).unwrap();
        assert_eq!((status.pid, status.is_up(), status.finishing), (4287, false, true));
        assert_eq!(status.end(), End::Killed(15));
    }

    #[test]
    fn down_and_ready_means_that_finish_is_over() {
        let status = Status::decode(&FINISHED).unwrap();
        assert!(!status.is_up() && status.ready && !status.finishing && !status.never_started());
    }

    #[test]
    fn records_of_s6_are_written_byte_for_byte() {
        for record in [STARTED, READY_NOW, IN_FINISH, FINISHED] {
            assert_eq!(Status::decode(&record).unwrap().encode(), record);
        }
    }

    #[test]
    fn paused_without_a_process_means_never_started() {
        let fresh = Status { paused: true, want_up: true, ready: true, ..Status::default() };
        assert_eq!(fresh.encode()[34], 0x0d);
        assert!(fresh.never_started());
        assert!(!Status { pid: 7, ..fresh }.never_started());
        assert!(!Status { paused: false, ..fresh }.never_started());
    }

    #[test]
    fn a_core_dump_is_a_death_by_its_signal() {
        assert_eq!(End::of(0x008b), End::Killed(11));
        assert_eq!(End::of(0x7d00), End::Exited(125));
    }

    #[test]
    fn short_records_and_impossible_pids_are_refused() {
        for len in 0..Status::SIZE {
            assert_eq!(Status::decode(&STARTED[..len]), None);
        }
        let mut record = STARTED;
        record[24] = 1;
        assert_eq!(Status::decode(&record), None);
    }

    #[test]
    fn the_file_is_replaced_as_a_whole() {
        let scratch = Scratch::new();
        assert_eq!(read(scratch.fd), Err(Errno::NOENT));
        scratch.mkdir("supervise");
        let status = Status { pid: 4, want_up: true, ..Status::default() };
        write(scratch.fd, &status).unwrap();
        assert_eq!(read(scratch.fd), Ok(status));
        assert_eq!(scratch.names("supervise"), ["status"]);
        scratch.write("supervise/status", "short");
        assert_eq!(read(scratch.fd), Err(Errno::INVAL));
    }

    proptest! {
        #[test]
        fn a_record_reads_back(
            stamps: (u64, u32, u64, u32), pid in 0..i32::MAX, wstat: u16, flags: (bool, bool, bool, bool),
        ) {
            let status = Status {
                stamp: Stamp { sec: stamps.0, nano: stamps.1 },
                ready_stamp: Stamp { sec: stamps.2, nano: stamps.3 },
                pid, wstat, paused: flags.0, finishing: flags.1, want_up: flags.2, ready: flags.3,
            };
            let record = status.encode();
            prop_assert_eq!(record[34] & 0xf0, 0);
            prop_assert_eq!(Status::decode(&record), Some(status));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(status) = Status::decode(&bytes) {
                prop_assert_eq!(&status.encode()[..34], &bytes[..34]);
            }
        }
    }
}
