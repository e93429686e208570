//! `notify-socket`, a file of a service directory that s6 does not know: `run` gets a socket, in `NOTIFY_SOCKET`, to which
//! it can say what sd_notify(3) is for. Unmodified daemons do. `READY=1` is as good as a newline on `notification-fd`.
//!
//! The file may be empty, or hold words, between blanks or newlines:
//!
//! | word | meaning |
//! | --- | --- |
//! | `access=main` | only `run` itself may speak for the service (the default) |
//! | `access=all` | its children may, those that they left behind in its control group, and others in its session |
//! | `watchdog=TIME` | it is to say `WATCHDOG=1` at least so often, from when it is ready, or has said so once; else it is aborted: SIGABRT, then SIGKILL after `timeout-kill`, or ten seconds. TIME as in `restart-delay`: `10s`, `500ms`, or milliseconds |
//! | `fdstore-max=N` | it may have N descriptors stored (`FDSTORE=1`): 0 to 128, 64 if it does not say |
//! | `ready=no` | it does not say when it is ready: nobody is to wait for that |
//!
//! The socket is in `notify/`, which the supervisor makes as it makes `event/`, under a name that nobody can guess and
//! nobody can list: who may send is decided by the kernel's word on who sent, but others cannot even get in the way. The
//! service's user must be able to reach that directory. Where it cannot be made, or its path is longer than the address
//! of a socket, the socket has an abstract name, which is said.
//!
//! What the service says of itself is shown in `supervise/notify-status`: lines `reloading`, `stopping`, `errno NUMBER`,
//! `status TEXT`, each only if it was said.

use super::files::{Problem, Reading};
use super::{cgroup, delay, label};
use crate::has;
use crate::limits::{FIFODIR_ENTRIES, NOTIFY_PAUSE, NOTIFY_QUIET, NOTIFY_STATUS, STORED, STORED_MOST};
use crate::state::{Notify, Service};
use crate::sys::datagram;
use crate::sys::entry::{self, FileType};
use crate::sys::environment::Environment;
use crate::sys::memory::commit;
use crate::sys::message::Sender;
use crate::sys::time::Nanos;
use crate::sys::unix::MAX_PATH;
use crate::sys::{Errno, Fd, Result, dir, file, process, random};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::notify::Message;
use crate::text::number::{Decimal, parse_u32};
use crate::{info, warning};
use core::ffi::CStr;
use core::fmt;
use core::ops::ControlFlow;
use zerocopy::FromZeros;

const FILE: &CStr = c"notify-socket";
const DIR: &CStr = c"notify";
const SHOWN: &CStr = c"supervise/notify-status";
const SHOWN_SCRATCH: &CStr = c"supervise/notify-status.new";

/// [`Notify::state`]: it reads its configuration again.
pub const RELOADING: u8 = 1;
/// [`Notify::state`]: it is about to end.
pub const STOPPING: u8 = 2;

/// Generations between a process and the `run` that it descends from, at most: a bound for bugs.
pub const ANCESTORS: usize = 32;

/// Who may speak for a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Access {
    /// `run` itself.
    Main = 0,
    /// All of its processes.
    All = 1,
}

impl Access {
    /// That of a record; a number that is none is `Main`.
    pub fn of(notify: &Notify) -> Access {
        if notify.access == Access::All as u8 { Access::All } else { Access::Main }
    }
}

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Who may speak for the service.
    pub access: Access,
    /// How often it is to say that it is alive; 0: never.
    pub watchdog: Nanos,
    /// How many descriptors it may have stored.
    pub stored_max: u32,
    /// It says when it is ready.
    pub ready: bool,
}

impl Settings {
    /// What holds without words.
    pub const DEFAULT: Settings =
        Settings { access: Access::Main, watchdog: 0, stored_max: STORED as u32, ready: true };

    /// Reads the content of the file; `None`: it is not valid.
    pub fn parse(text: &[u8]) -> Option<Settings> {
        let mut settings = Settings::DEFAULT;
        for word in core::str::from_utf8(text).ok()?.split_ascii_whitespace() {
            match word.split_once('=')? {
                ("access", "main") => settings.access = Access::Main,
                ("access", "all") => settings.access = Access::All,
                ("ready", "yes") => settings.ready = true,
                ("ready", "no") => settings.ready = false,
                ("watchdog", time) => settings.watchdog = delay::time(time)?,
                ("fdstore-max", number) => {
                    settings.stored_max = parse_u32(number.as_bytes()).filter(|n| *n as usize <= STORED_MOST)?;
                }
                _ => return None,
            }
        }
        Some(settings)
    }
}

/// `notify-socket`.
pub fn settings(dir: Fd) -> Reading<Settings> {
    if !has::NOTIFY {
        let value = Settings { ready: false, ..Settings::DEFAULT };
        return Reading { value, problem: Some(Problem::Unreadable(Errno::OPNOTSUPP)) };
    }
    let mut buf = [0; 257];
    let (value, problem) = match file::read(dir, FILE, &mut buf) {
        Ok(text) if text.len() == 257 => (None, Some(Problem::Invalid)),
        Ok(text) => match Settings::parse(text) {
            None => (None, Some(Problem::Invalid)),
            settings => (settings, None),
        },
        Err(Errno::NOENT) => (None, None),
        Err(e) => (None, Some(Problem::Unreadable(e))),
    };
    Reading { value: value.unwrap_or(Settings::DEFAULT), problem }
}

/// Whether the service of a service directory says when it is ready, as far as this file tells: for clients.
pub fn says_when_ready(dir: Fd) -> bool {
    file::exists(dir, FILE) == Ok(true) && settings(dir).value.ready
}

/// Longest value of `NOTIFY_SOCKET`, and a NUL: the address of a socket, which for an abstract one begins with `@`.
pub type Address = CPath<{ MAX_PATH + 1 }>;

/// Gives a service that is to be started the socket that it had, or a new one (which is not watched yet: answers
/// whether it is new), and forgets what an earlier run said. `notify` is of its slot.
pub fn open(notify: &mut Notify, service: &mut Service, settings: &Settings) -> Result<(Address, bool)> {
    if notify.used != 0 && !is_of(notify, service) {
        close(notify, service); // somebody else's: it cannot be
    }
    if notify.used == 0 {
        notify.zero();
        notify.fd = -1;
        notify.generation = service.generation;
    }
    service.notified = 1;
    notify.access = settings.access as u8;
    notify.stored_max = settings.stored_max;
    forget(notify, service);
    if notify.used != 0 {
        if let Ok(address) = address(notify, service) {
            return Ok((address, false));
        }
        close(notify, service);
    }
    service.notified = 1; // it may have been closed above
    let opened = open_hidden(notify, service).or_else(|e| {
        let fd = datagram::anywhere()?;
        notify.fd = fd.0;
        notify.hidden = 0;
        let length = datagram::abstract_name(fd, &mut notify.name)?;
        notify.name_len = length as u32;
        warning!("{}: its notification socket has an abstract name, none in notify/: {}", label(service), Reason(e));
        Ok(())
    });
    opened.and_then(|()| {
        commit(notify);
        notify.used = 1;
        commit(notify);
        address(notify, service).map(|address| (address, true))
    })
}

/// Tells of the socket in the environment of a run, sd_notify(3), sd_watchdog_enabled(3): `NOTIFY_SOCKET`; with a watchdog
/// `WATCHDOG_USEC` and `WATCHDOG_PID`; `FDSTORE`, the number of descriptors that may be stored, unless it is 0.
pub fn describe(notify: &Notify, service: &Service, address: &Address, env: &mut Environment) -> Result<()> {
    for name in VARIABLES {
        env.unset(name);
    }
    env.set(b"NOTIFY_SOCKET", address.as_bytes())?;
    if notify.stored_max > 0 {
        env.set(b"FDSTORE", Decimal::new(notify.stored_max.into()).as_bytes())?;
    }
    if service.watchdog > 0 {
        env.set(b"WATCHDOG_USEC", Decimal::new(service.watchdog / 1000).as_bytes())?;
        env.set_own_pid(b"WATCHDOG_PID")?;
    }
    Ok(())
}

/// The variables that tell of a notification socket: those of whoever supervises it are not the service's.
pub const VARIABLES: [&[u8]; 4] = [b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID", b"FDSTORE"];

/// Whether the record is that of a socket of this service. It may have been made by a start that the service does not know
/// of, because the process failed meanwhile.
pub fn is_of(notify: &Notify, service: &Service) -> bool {
    notify.used != 0 && notify.generation == service.generation
}

/// Lets go of the socket.
pub fn close(notify: &mut Notify, service: &mut Service) {
    if notify.used != 0 && notify.hidden != 0 {
        remove_name(notify, service);
    }
    notify.used = 0;
    service.notified = 0;
    commit(notify);
    Fd(core::mem::replace(&mut notify.fd, -1)).close();
}

fn name(notify: &Notify) -> &[u8] {
    notify.name.get(..notify.name_len as usize).unwrap_or_default()
}

/// Makes the socket in `notify/`.
fn open_hidden(notify: &mut Notify, service: &Service) -> Result<()> {
    let service_dir = Fd(service.dir_fd);
    if entry::make_dir(service_dir, DIR)? {
        entry::set_mode(service_dir, DIR, 0o711)?;
    }
    let mut dir = file::open_dir(service_dir, DIR)?;
    let made = make_socket(notify, dir);
    dir.close();
    made?;
    address(notify, service).map(drop).inspect_err(|_| {
        remove_name(notify, service);
        Fd(core::mem::replace(&mut notify.fd, -1)).close();
    })
}

fn remove_name(notify: &Notify, service: &Service) {
    let path = CPath::<64>::of(&[DIR.to_bytes(), b"/", name(notify)]);
    let _ = path.path().and_then(|path| entry::remove(Fd(service.dir_fd), path));
}

fn make_socket(notify: &mut Notify, dir: Fd) -> Result<()> {
    remove_sockets(dir);
    let mut random = [0; 8];
    random::fill(&mut random);
    for (pair, byte) in notify.name.chunks_exact_mut(2).zip(random) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = b"0123456789abcdef".get(usize::from(value)).copied().unwrap_or_default();
        }
    }
    notify.name_len = 16;
    notify.hidden = 1;
    // Through the descriptor its address is short; and the kernel, which shows it to everybody, does not know the name
    // that it has in the end.
    let first = CPath::<64>::of(&[b"/proc/self/fd/", Decimal::new(dir.0 as u64).as_bytes(), b"/new"]);
    let mut fd = datagram::at(first.path()?)?;
    let last = CPath::<32>::of(&[name(notify)]);
    let done = entry::set_mode(dir, c"new", 0o666).and_then(|()| entry::rename(dir, c"new", last.path()?));
    match done {
        Ok(()) => notify.fd = fd.0,
        Err(_) => {
            let _ = entry::remove(dir, c"new");
            fd.close();
        }
    }
    done
}

/// Removes what an earlier supervisor left.
fn remove_sockets(dir: Fd) {
    let mut left = FIFODIR_ENTRIES;
    let _ = dir::visit(dir, c".", |name, kind| {
        if matches!(kind, FileType::Socket | FileType::Unknown)
            && entry::kind_of_link(dir, name) == Ok(FileType::Socket)
        {
            let _ = entry::remove(dir, name);
        }
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
}

/// What `NOTIFY_SOCKET` is to say. The service directory may have another path since the last start.
fn address(notify: &Notify, service: &Service) -> Result<Address> {
    if notify.hidden == 0 {
        return Ok(Address::of(&[b"@", name(notify)]));
    }
    let mut dir = file::open_dir(Fd(service.dir_fd), DIR)?;
    let last = CPath::<32>::of(&[name(notify)]);
    let there = last.path().and_then(|name| entry::kind_of_link(dir, name));
    let mut buf = [0; MAX_PATH];
    let path = there.and_then(|_| file::path_of(dir, &mut buf));
    dir.close();
    let address = Address::of(&[path?, b"/", name(notify)]);
    address.path()?;
    Ok(address)
}

/// Forgets what an earlier run said.
fn forget(notify: &mut Notify, service: &Service) {
    (notify.state, notify.errno, notify.status_len, notify.due, notify.written) = (0, 0, 0, 0, 0);
    remove_shown(Fd(service.dir_fd));
}

/// Nothing is shown (any more) of what the service said. It may have been so already.
pub fn remove_shown(dir: Fd) {
    let _ = entry::remove(dir, SHOWN);
}

/// Whether `sender` may speak for the service, whose run runs.
pub fn may_speak(notify: &Notify, service: &Service, sender: Option<Sender>) -> bool {
    // 0: it is outside our pid namespace, and could be anybody.
    let Some(sender) = sender.filter(|sender| sender.pid > 0) else { return false };
    let Ok(pid) = i32::try_from(sender.pid) else { return false };
    pid == service.pid || Access::of(notify) == Access::All && is_one_of(notify, service, pid, sender.uid)
}

fn is_one_of(notify: &Notify, service: &Service, pid: i32, uid: u32) -> bool {
    match process::session(pid) {
        Ok(session) if session > 0 && session == service.pid => return true,
        // It said something and has ended: that it knew the name must do, and that it was a user who could have spoken.
        Err(Errno::SRCH) => return notify.hidden != 0 && is_trusted(service, uid),
        _ => {}
    }
    let mut ancestor = Some(pid);
    for _ in 0..ANCESTORS {
        ancestor = ancestor.and_then(process::parent).filter(|pid| *pid > 1);
        if ancestor == Some(service.pid) {
            return true;
        }
    }
    service.cgroup_fd >= 0 && cgroup::has(Fd(service.cgroup_fd), pid)
}

/// Whether `uid` is root, we, or who `run` is now.
fn is_trusted(service: &Service, uid: u32) -> bool {
    let run = CPath::<32>::of(&[b"/proc/", Decimal::new(service.pid.unsigned_abs().into()).as_bytes()]);
    let owner = run.path().and_then(|run| entry::owner(Fd::CWD, run));
    uid == 0 || uid == process::effective_user() || owner == Ok(uid)
}

/// Takes into the record what a message says of the service itself; it is shown later.
pub fn take(notify: &mut Notify, message: &Message<'_>, now: Nanos) {
    let before = (notify.state, notify.errno);
    if message.reloading {
        notify.state |= RELOADING;
    }
    if message.ready {
        notify.state &= !RELOADING;
    }
    if message.stopping {
        notify.state |= STOPPING;
    }
    if let Some(number) = message.errno {
        notify.errno = number;
    }
    let mut new = before != (notify.state, notify.errno);
    if let Some(status) = message.status {
        let status = cut(status);
        if notify.status.get(..notify.status_len as usize) != Some(status) {
            new = true;
            for (to, from) in notify.status.iter_mut().zip(status) {
                *to = *from;
            }
            notify.status_len = status.len() as u32;
        }
    }
    if new && notify.due == 0 {
        notify.due = now.max(notify.written.saturating_add(NOTIFY_PAUSE)).max(1);
    }
}

/// As much as there is room for, in whole characters.
fn cut(status: &[u8]) -> &[u8] {
    let Some(mut kept) = status.get(..NOTIFY_STATUS).filter(|kept| kept.len() < status.len()) else { return status };
    let is_inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte & 0xc0 == 0x80);
    for _ in 0..3 {
        if is_inside(status.get(kept.len())) {
            kept = kept.split_last().map_or(kept, |(_, rest)| rest);
        }
    }
    kept
}

/// Shows what the service says of itself, if that is due.
pub fn show(notify: &mut Notify, service: &Service, now: Nanos) {
    if notify.due == 0 || notify.due > now {
        return;
    }
    (notify.due, notify.written) = (0, now);
    let mut text = heapless::Vec::<u8, { NOTIFY_STATUS + 64 }>::new();
    let mut put = |parts: &[&[u8]]| parts.iter().all(|part| text.extend_from_slice(part).is_ok());
    if notify.state & RELOADING != 0 {
        put(&[b"reloading\n"]);
    }
    if notify.state & STOPPING != 0 {
        put(&[b"stopping\n"]);
    }
    if notify.errno != 0 {
        put(&[b"errno ", Decimal::new(notify.errno.into()).as_bytes(), b"\n"]);
    }
    let status = notify.status.get(..notify.status_len as usize).unwrap_or_default();
    if !status.is_empty() {
        put(&[b"status ", status, b"\n"]);
    }
    let dir = Fd(service.dir_fd);
    if text.is_empty() {
        return remove_shown(dir);
    }
    if let Err(e) = file::replace(dir, SHOWN, SHOWN_SCRATCH, &text) {
        tell(notify, now, format_args!("{}: cannot show what it says of itself: {}", label(service), Reason(e)));
    }
}

/// What a service said of itself, as far as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shown<'a> {
    /// It reads its configuration again.
    pub reloading: bool,
    /// It is about to end.
    pub stopping: bool,
    /// Why it failed, or 0.
    pub errno: u32,
    /// Its status line, perhaps empty.
    pub status: &'a [u8],
}

/// Bytes of the file that shows it.
pub const SHOWN_MOST: usize = NOTIFY_STATUS + 64;

/// Reads what the service of the service directory `dir` said of itself; nothing, if there is no such file.
pub fn shown(dir: Fd, buf: &mut [u8; SHOWN_MOST]) -> Result<Shown<'_>> {
    match file::read(dir, SHOWN, buf) {
        Ok(text) => Ok(Shown::parse(text)),
        Err(Errno::NOENT) => Ok(Shown::default()),
        Err(e) => Err(e),
    }
}

impl<'a> Shown<'a> {
    /// Reads the content of the file. Lines that are not known mean nothing.
    pub fn parse(text: &'a [u8]) -> Shown<'a> {
        let mut shown = Shown::default();
        for line in text.split(|byte| *byte == b'\n') {
            match line {
                b"reloading" => shown.reloading = true,
                b"stopping" => shown.stopping = true,
                _ => {
                    if let Some(number) = line.strip_prefix(b"errno ").and_then(parse_u32) {
                        shown.errno = number;
                    } else if let Some(status) = line.strip_prefix(b"status ") {
                        shown.status = status;
                    }
                }
            }
        }
        shown
    }
}

/// Logs a line about what comes through a socket, unless there was one a moment ago.
pub fn tell(notify: &mut Notify, now: Nanos, what: fmt::Arguments<'_>) {
    if notify.logged != 0 && now < notify.logged.saturating_add(NOTIFY_QUIET) {
        notify.unlogged = notify.unlogged.saturating_add(1);
        return;
    }
    if notify.unlogged > 0 {
        info!("notification sockets: {} more lines like the last were left out", notify.unlogged);
    }
    (notify.logged, notify.unlogged) = (now, 0);
    warning!("{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use crate::sys::time::{MILLI, SECOND};
    use proptest::prelude::*;

    #[test]
    fn the_file_may_be_empty_or_hold_words() {
        let default = Settings { access: Access::Main, watchdog: 0, stored_max: 64, ready: true };
        assert_eq!(Settings::parse(b""), Some(default));
        assert_eq!(Settings::parse(b" \n\n"), Some(default));
        let all = Settings { access: Access::All, watchdog: 30 * SECOND, stored_max: 128, ready: false };
        assert_eq!(Settings::parse(b"access=all\nwatchdog=30s\tfdstore-max=128 ready=no\n"), Some(all));
        assert_eq!(Settings::parse(b"watchdog=250"), Some(Settings { watchdog: 250 * MILLI, ..default }));
        assert_eq!(Settings::parse(b"access=all access=main fdstore-max=0").unwrap().stored_max, 0);
    }

    #[test]
    fn words_that_mean_nothing_are_not_valid() {
        for bad in [
            "yes",
            "access",
            "access=",
            "access=none",
            "Access=all",
            "watchdog=0",
            "watchdog=1h",
            "watchdog=",
            "ready=1",
            "fdstore-max=129",
            "fdstore-max=-1",
            "fdstore-max=",
            "access=all,watchdog=1s",
            "\u{e9}=1",
            "\0",
        ] {
            assert_eq!(Settings::parse(bad.as_bytes()), None, "{bad:?}");
        }
        let scratch = Scratch::new();
        assert_eq!(settings(scratch.fd), Reading { value: Settings::DEFAULT, problem: None });
        scratch.write("notify-socket", "ready=no ".repeat(29));
        let wrong = |problem| Reading { value: Settings::DEFAULT, problem: Some(problem) };
        assert_eq!(settings(scratch.fd), wrong(Problem::Invalid), "it is too long");
        std::fs::remove_file(scratch.path.join("notify-socket")).unwrap();
        scratch.mkdir("notify-socket");
        assert_eq!(settings(scratch.fd), wrong(Problem::Unreadable(Errno::ISDIR)));
    }

    fn records(scratch: &Scratch) -> (Box<Notify>, Box<Service>) {
        scratch.mkdir("supervise");
        let (mut notify, mut service) = (Box::new(Notify::new_zeroed()), Box::new(Service::new_zeroed()));
        (notify.fd, service.dir_fd, service.cgroup_fd) = (-1, scratch.fd.0, -1);
        service.generation = 7;
        (notify, service)
    }

    #[test]
    fn a_socket_is_made_once_kept_and_removed() {
        let scratch = Scratch::new();
        let (mut notify, mut service) = records(&scratch);
        let (first, is_new) = open(&mut notify, &mut service, &Settings::DEFAULT).unwrap();
        assert!(is_new && first.as_bytes().starts_with(scratch.path.to_str().unwrap().as_bytes()));
        assert_eq!((notify.used, notify.hidden, notify.generation, service.notified), (1, 1, 7, 1));
        assert_eq!(scratch.names("notify"), [str::from_utf8(name(&notify)).unwrap()]);
        let (again, is_new) = open(&mut notify, &mut service, &Settings::DEFAULT).unwrap();
        assert!(!is_new && again.as_bytes() == first.as_bytes());
        // Somebody has removed it: there is another.
        std::fs::remove_dir_all(scratch.path.join("notify")).unwrap();
        let (other, is_new) = open(&mut notify, &mut service, &Settings::DEFAULT).unwrap();
        assert!(is_new && other.as_bytes() != first.as_bytes());
        assert_eq!(scratch.names("notify").len(), 1);
        close(&mut notify, &mut service);
        assert_eq!((notify.used, notify.fd, service.notified), (0, -1, 0));
        assert_eq!(scratch.names("notify"), [""; 0]);
    }

    #[test]
    fn who_may_speak_is_decided_by_what_the_kernel_says() {
        let scratch = Scratch::new();
        let (mut notify, mut service) = records(&scratch);
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let (ours, its) = (process::pid(), child.id() as i32);
        let sender = |pid: i32, uid| Some(Sender { pid: pid as u32, uid, gid: 0 });
        service.pid = ours;
        assert!(may_speak(&notify, &service, sender(ours, 0)));
        assert!(!may_speak(&notify, &service, sender(its, 0)));
        assert!(!may_speak(&notify, &service, sender(0, 0)) && !may_speak(&notify, &service, sender(-1, 0)));
        assert!(!may_speak(&notify, &service, None));
        notify.access = Access::All as u8;
        assert!(may_speak(&notify, &service, sender(its, 0)), "a child");
        assert!(!may_speak(&notify, &service, sender(0, 0)) && !may_speak(&notify, &service, None));
        service.pid = its;
        assert!(!may_speak(&notify, &service, sender(ours, 0)), "a parent");
        service.pid = process::session(ours).unwrap();
        let seen = service.pid > 0; // 0: these tests run in a pid namespace that their session is not part of
        assert_eq!(may_speak(&notify, &service, sender(ours, 0)), seen, "one of its session");
        child.kill().unwrap();
        child.wait().unwrap();
        service.pid = ours;
        assert!(!may_speak(&notify, &service, sender(its, 0)), "it is gone, and everybody could know the name");
        notify.hidden = 1;
        assert!(may_speak(&notify, &service, sender(its, 0)));
        assert!(!may_speak(&notify, &service, sender(its, 12_345)), "it was somebody else");
    }

    #[test]
    fn what_a_service_says_is_shown_at_once_and_then_not_too_often() {
        let scratch = Scratch::new();
        let (mut notify, service) = records(&scratch);
        let file = || std::fs::read_to_string(scratch.path.join("supervise/notify-status")).ok();
        let mut say = |text: &str, now| {
            take(&mut notify, &Message::parse(text.as_bytes()).unwrap(), now);
            show(&mut notify, &service, now);
            notify.due
        };
        assert_eq!((say("X=1", SECOND), file()), (0, None));
        assert_eq!((say("STATUS=a", SECOND), file().as_deref()), (0, Some("status a\n")));
        assert_eq!((say("STATUS=b", SECOND + 1), file().as_deref()), (SECOND + NOTIFY_PAUSE, Some("status a\n")));
        assert_eq!(say("STATUS=c\nSTOPPING=1", SECOND + 2), SECOND + NOTIFY_PAUSE);
        assert_eq!((say("STATUS=c", 2 * SECOND), file().as_deref()), (0, Some("stopping\nstatus c\n")));
        assert_eq!((say("STATUS=c", 3 * SECOND), say("ERRNO=5\nRELOADING=1\nSTATUS=", 3 * SECOND)), (0, 0));
        assert_eq!(file().as_deref(), Some("reloading\nstopping\nerrno 5\n"));
        let mut buf = [0; SHOWN_MOST];
        let expected = Shown { reloading: true, stopping: true, errno: 5, status: b"" };
        assert_eq!(shown(scratch.fd, &mut buf), Ok(expected));
    }

    proptest! {
        #[test]
        fn a_status_is_cut_to_whole_characters(text in "\\PC{0,200}") {
            let kept = cut(text.as_bytes());
            prop_assert!(kept.len() <= NOTIFY_STATUS && text.as_bytes().starts_with(kept));
            prop_assert!(std::str::from_utf8(kept).is_ok());
            prop_assert!(kept.len() == text.len() || kept.len() + 4 > NOTIFY_STATUS);
        }

        #[test]
        fn any_file_is_shown_without_harm(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let shown = Shown::parse(&text);
            prop_assert!(!shown.status.contains(&b'\n'));
        }
    }
}
