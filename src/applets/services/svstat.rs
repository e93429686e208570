//! `svstat`: tells the status of a service, s6-svstat(8).

use crate::applets::cli::{self, Cli, Opt, WrongUsage};
use crate::service::client;
use crate::service::status::{self, End, Status};
use crate::sys::args::Args;
use crate::sys::{Errno, Fd, Result, file, signal};
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::ffi::CStr;
use heapless::Vec;

/// The service has no supervisor.
pub const NOT_SUPERVISED: i32 = 1;
/// Most fields in one line: s6-svstat's limit.
const FIELDS: usize = 16;
/// Longest line: sixteen stamps, of 26 bytes with their blank.
const LINE: usize = 512;

/// What may be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Up,
    WantedUp,
    NormallyUp,
    Ready,
    Paused,
    Pid,
    ExitCode,
    Signal,
    SignalNumber,
    Since,
    ReadySince,
    For,
    ReadyFor,
}

/// The fields with their names and (where they have one) option letters. The process group of a service is its pid.
const NAMES: [(&str, u8, Field); 14] = [
    ("up", b'u', Field::Up),
    ("wantedup", b'w', Field::WantedUp),
    ("normallyup", b'N', Field::NormallyUp),
    ("ready", b'r', Field::Ready),
    ("paused", 0, Field::Paused),
    ("pid", b'p', Field::Pid),
    ("pgid", b'g', Field::Pid),
    ("exitcode", b'e', Field::ExitCode),
    ("signal", b's', Field::Signal),
    ("signum", 0, Field::SignalNumber),
    ("updownsince", 0, Field::Since),
    ("readysince", 0, Field::ReadySince),
    ("updownfor", b't', Field::For),
    ("readyfor", 0, Field::ReadyFor),
];

/// What the line is made of.
struct Facts {
    status: Status,
    /// There is no `down` file.
    normally_up: bool,
    now: Stamp,
    /// Signals by number.
    numeric: bool,
}

/// `svstat [-uwNrpgest | -o field,...] [-n] servicedir`. Exit code: 0; 1 not supervised; 111.
pub fn svstat(cli: &Cli) -> i32 {
    tell(cli, 1, Ok)
}

/// The same for the service directory that `locate` finds from at least `min` operands; if it fails, with its exit code.
pub fn tell(cli: &Cli, min: usize, locate: impl FnOnce(Args) -> core::result::Result<Args, i32>) -> i32 {
    cli.with_usage(|| {
        let mut fields = Vec::<Field, FIELDS>::new();
        let mut numeric = false;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            let fits = match option {
                Opt::Short(b'n') => {
                    numeric = true;
                    true
                }
                Opt::Short(b'o') => match options.value()? {
                    b"" => true,
                    list => {
                        let mut fits = true;
                        for name in list.split(|b| *b == b',') {
                            let Some(field) = find(|row| row.0.as_bytes() == name) else {
                                return Ok(cli.refuse(format_args!("unknown field {}", Printable(name))));
                            };
                            fits &= fields.push(field).is_ok();
                        }
                        fits
                    }
                },
                Opt::Short(letter) if letter != 0 => {
                    fields.push(find(|row| row.1 == letter).ok_or(WrongUsage)?).is_ok()
                }
                _ => return Err(WrongUsage),
            };
            if !fits {
                return Ok(cli.refuse(format_args!("more than {FIELDS} fields")));
            }
        }
        let path = match locate(options.operands(min)?) {
            Ok(words) => words.get(0).unwrap_or_default(),
            Err(code) => return Ok(code),
        };
        let name = Printable(path.to_bytes());
        Ok(match look(path, numeric) {
            Err(e) => cli.unable(format_args!("read status of {name}"), e),
            Ok(None) => {
                cli.refuse(format_args!("{name} is not supervised"));
                NOT_SUPERVISED
            }
            Ok(Some(facts)) => {
                let mut line = Vec::<u8, LINE>::new();
                match fields.is_empty() {
                    true => facts.tell(&mut line),
                    false => facts.list(&fields, &mut line),
                }
                put(&mut line, b"\n");
                cli::print(cli, &line)
            }
        })
    })
}

fn find(which: impl Fn(&(&str, u8, Field)) -> bool) -> Option<Field> {
    NAMES.iter().find(|row| which(row)).map(|row| row.2)
}

/// The facts; `None`: nobody supervises it.
fn look(path: &CStr, numeric: bool) -> Result<Option<Facts>> {
    let mut dir = match file::open_dir(Fd::CWD, path) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    let facts = client::is_supervised(dir).and_then(|supervised| {
        if !supervised {
            return Ok(None);
        }
        let (status, down) = (status::read(dir)?, file::exists(dir, c"down")?);
        Ok(Some(Facts { status, normally_up: !down, now: Stamp::now(), numeric }))
    });
    dir.close();
    facts
}

type Line = Vec<u8, LINE>;

/// All that is put fits: see [`LINE`].
fn put(line: &mut Line, text: &[u8]) {
    let _ = line.extend_from_slice(text);
}

fn put_number(line: &mut Line, n: u64) {
    put(line, Decimal::new(n).as_bytes());
}

fn put_pid(line: &mut Line, pid: i32) {
    put_number(line, pid.unsigned_abs().into());
}

fn put_bool(line: &mut Line, value: bool) {
    put(line, if value { b"true" } else { b"false" });
}

fn put_signal(line: &mut Line, signal: u8) {
    put(line, b"SIG");
    put(line, signal::name(signal.into()).as_bytes());
}

impl Facts {
    /// The line for people.
    fn tell(&self, line: &mut Line) {
        let status = &self.status;
        let (up, fresh) = (status.is_up(), status.never_started());
        if up {
            put(line, b"up (pid ");
            put_pid(line, status.pid);
            put(line, b" pgid ");
            put_pid(line, status.pid);
        } else {
            put(line, b"down (");
            match status.end() {
                _ if fresh => put(line, b"not started yet"),
                End::Exited(code) => {
                    put(line, b"exitcode ");
                    put_number(line, code.into());
                }
                End::Killed(signal) => {
                    put(line, b"signal ");
                    match self.numeric {
                        true => put_number(line, signal.into()),
                        false => put_signal(line, signal),
                    }
                }
            }
        }
        put(line, b") ");
        if !fresh {
            self.put_age(line, status.stamp);
        }
        if up && !self.normally_up {
            put(line, b", normally down");
        }
        if !up && self.normally_up {
            put(line, b", normally up");
        }
        if up && status.paused {
            put(line, b", paused");
        }
        if !up && status.want_up {
            put(line, b", want up");
        }
        if up && !status.want_up {
            put(line, b", want down");
        }
        if status.ready && !fresh {
            put(line, b", ready ");
            self.put_age(line, status.ready_stamp);
        }
    }

    fn put_age(&self, line: &mut Line, since: Stamp) {
        put_number(line, self.now.seconds_since(since));
        put(line, b" seconds");
    }

    /// The line for programs.
    fn list(&self, fields: &[Field], line: &mut Line) {
        for (i, field) in fields.iter().enumerate() {
            if i > 0 {
                put(line, b" ");
            }
            self.put_field(*field, line);
        }
    }

    fn put_field(&self, field: Field, line: &mut Line) {
        let status = &self.status;
        // How run ended, where that is to be told: not of a run that is not over or never was.
        let end = if status.is_up() || status.never_started() { None } else { Some(status.end()) };
        match field {
            Field::Up => put_bool(line, status.is_up()),
            Field::WantedUp => put_bool(line, status.want_up),
            Field::NormallyUp => put_bool(line, self.normally_up),
            Field::Ready => put_bool(line, status.pid != 0 && status.ready),
            Field::Paused => put_bool(line, status.pid != 0 && status.paused),
            Field::Pid if status.is_up() => put_pid(line, status.pid),
            Field::ExitCode if matches!(end, Some(End::Exited(_))) => put_number(line, u64::from(status.wstat >> 8)),
            Field::Signal | Field::SignalNumber => match (end, field) {
                (Some(End::Killed(signal)), Field::Signal) => put_signal(line, signal),
                (Some(End::Killed(signal)), _) => put_number(line, signal.into()),
                (_, Field::Signal) => put(line, b"NA"),
                _ => put(line, b"-1"),
            },
            Field::Pid | Field::ExitCode => put(line, b"-1"),
            Field::Since => put(line, &status.stamp.to_text()),
            Field::ReadySince => put(line, &status.ready_stamp.to_text()),
            Field::For => put_number(line, self.now.seconds_since(status.stamp)),
            Field::ReadyFor => put_number(line, self.now.seconds_since(status.ready_stamp)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp { sec: 1000, nano: 5 };

    fn since(seconds: u64) -> Stamp {
        Stamp { sec: 1000 - seconds, nano: 0 }
    }

    fn told(status: Status, normally_up: bool) -> String {
        let mut line = Line::new();
        Facts { status, normally_up, now: NOW, numeric: false }.tell(&mut line);
        String::from_utf8(line.to_vec()).unwrap()
    }

    fn listed(status: Status, names: &str) -> String {
        let fields: std::vec::Vec<Field> = names.split(' ').map(|name| find(|row| row.0 == name).unwrap()).collect();
        let mut line = Line::new();
        Facts { status, normally_up: true, now: NOW, numeric: false }.list(&fields, &mut line);
        String::from_utf8(line.to_vec()).unwrap()
    }

    fn up() -> Status {
        Status { stamp: since(9), ready_stamp: since(4), pid: 77, want_up: true, wstat: 15, ..Status::default() }
    }

    fn down() -> Status {
        Status { pid: 0, ready: true, want_up: false, ..up() }
    }

    #[test]
    fn a_service_that_is_up() {
        assert_eq!(told(up(), true), "up (pid 77 pgid 77) 9 seconds");
        let ready = Status { ready: true, ..up() };
        assert_eq!(told(ready, false), "up (pid 77 pgid 77) 9 seconds, normally down, ready 4 seconds");
        let paused = Status { paused: true, want_up: false, ..up() };
        assert_eq!(told(paused, true), "up (pid 77 pgid 77) 9 seconds, paused, want down");
    }

    #[test]
    fn a_service_that_is_down() {
        assert_eq!(told(down(), false), "down (signal SIGTERM) 9 seconds, ready 4 seconds");
        let exited = Status { wstat: 3 << 8, want_up: true, ..down() };
        assert_eq!(told(exited, true), "down (exitcode 3) 9 seconds, normally up, want up, ready 4 seconds");
        let finishing = Status { finishing: true, ready: false, ..up() };
        assert_eq!(told(finishing, true), "down (signal SIGTERM) 9 seconds, normally up, want up");
        assert_eq!(told(Status { wstat: 40, ..down() }, false), "down (signal SIG???) 9 seconds, ready 4 seconds");
    }

    #[test]
    fn a_service_that_was_never_started() {
        let fresh = Status { wstat: 0, paused: true, want_up: true, ..down() };
        assert_eq!(told(fresh, true), "down (not started yet) , normally up, want up");
        assert_eq!(listed(fresh, "paused ready pid exitcode signal signum"), "false false -1 -1 NA -1");
    }

    #[test]
    fn a_stamp_in_the_future_is_no_age() {
        let status = Status { stamp: Stamp { sec: 2000, nano: 0 }, ..up() };
        assert_eq!(told(status, true), "up (pid 77 pgid 77) 0 seconds");
    }

    #[test]
    fn fields_of_a_service_that_is_up() {
        let names = "up wantedup normallyup ready paused pid pgid exitcode signal signum updownfor readyfor";
        let status = Status { paused: true, ready: true, ..up() };
        assert_eq!(listed(status, names), "true true true true true 77 77 -1 NA -1 9 4");
    }

    #[test]
    fn fields_of_a_service_that_is_down() {
        let names = "up wantedup ready pid exitcode signal signum";
        assert_eq!(listed(down(), names), "false false false -1 -1 SIGTERM 15");
        assert_eq!(listed(Status { wstat: 111 << 8, ..down() }, names), "false false false -1 111 NA -1");
    }

    #[test]
    fn stamps_are_told_as_they_are_on_disk() {
        assert_eq!(
            listed(up(), "updownsince readysince"),
            format!(
                "{} {}",
                core::str::from_utf8(&since(9).to_text()).unwrap(),
                core::str::from_utf8(&since(4).to_text()).unwrap()
            )
        );
    }

    #[test]
    fn the_longest_line_fits() {
        let mut line = Line::new();
        let status = Status { wstat: 40, ..down() };
        let facts = Facts { status, normally_up: true, now: NOW, numeric: false };
        facts.list(&[Field::Since; FIELDS], &mut line);
        assert!(line.len() < LINE);
    }
}
