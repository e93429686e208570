//! What must hold whatever the bytes are: each check makes of them what one part of the crate may meet, and asserts. Tests
//! feed them by proptest (`main.rs` beside this), `scripts/fuzz` by libFuzzer (`fuzz/`).

use linchpin::access::{self, Answer, Detail, Ids};
use linchpin::board;
use linchpin::fdholder::info::{Entry, Page};
use linchpin::fdholder::wire::{self, Framed, Request};
use linchpin::limits::{BOARD_MISTAKES, BOARD_SCRATCH, DEATH_TALLY, FDHOLDER_GLOBS};
use linchpin::service::command::{Command, ScanCommand, Signal};
use linchpin::service::delay::Rule;
use linchpin::service::machine::{self, Action, Event, State, Timer, Want};
use linchpin::service::status::Status;
use linchpin::service::wait::{Goal, Quorum, Wait};
use linchpin::service::{extra, files, tally};
use linchpin::socket::{Address, pending};
use linchpin::state::{Pending, Service};
use linchpin::sudo::request;
use linchpin::sys::time::{MILLI, SECOND};
use linchpin::sys::{Errno, Fd, file};
use linchpin::text::cdb::Cdb;
use linchpin::text::glob;
use linchpin::text::notify::{self, Message};
use linchpin::text::tai::Stamp;
use std::collections::HashSet;
use std::ffi::CString;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use zerocopy::FromZeros;

/// Bytes as a source of decisions; zeros when there are no more.
struct Decisions<'a>(&'a [u8]);

impl Decisions<'_> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }
}

/// The longest time that a file can ask for.
const LONG: u64 = u32::MAX as u64 * MILLI;
const STAMP: Stamp = Stamp { sec: (1 << 62) + 1000, nano: 5 };

/// One service and the world around it, as far as the machine can tell.
struct Life {
    service: Box<Service>,
    now: u64,
    next_pid: i32,
    /// The readiness pipe is open.
    listening: bool,
    /// What listeners were told last of run and finish.
    told: u8,
}

/// The machine of a service: whatever happens to it, and when, it asks for what can be done, tells of it in order, and
/// when its supervisor is to end it does.
pub fn machine(data: &[u8]) {
    let mut decisions = Decisions(data);
    let mut life =
        Life { service: Box::new(Service::new_zeroed()), now: 10, next_pid: 100, listening: false, told: b'D' };
    machine::begin(&mut life.service, decisions.byte() % 2 == 0, life.now, STAMP);
    while !decisions.is_over() {
        life.now += u64::from(decisions.byte()) * 10 * MILLI;
        if let Some(event) = life.event(&mut decisions) {
            life.happens(event, &mut decisions);
        }
    }
    life.happens(Event::Terminate, &mut decisions);
    for _ in 0..4 {
        if life.service.pid > 0 && life.state() != State::Gone {
            life.happens(Event::Died(9), &mut decisions);
        }
    }
    assert_eq!(life.state(), State::Gone, "its supervisor has been told to end");
}

impl Life {
    fn state(&self) -> State {
        State::of(&self.service).expect("a state")
    }

    /// Something that can happen now.
    fn event(&mut self, decisions: &mut Decisions<'_>) -> Option<Event> {
        let gone = self.state() == State::Gone;
        Some(match decisions.byte() % 25 {
            0..=2 if self.service.deadline > 0 => {
                self.now = self.now.max(self.service.deadline);
                Event::Timer
            }
            3..=5 if self.service.pid > 0 && !gone => {
                Event::Died(u32::from(decisions.of(&[0u16, 256, 15, 9, 125 << 8, 111 << 8, 0x8b])))
            }
            6 | 7 if self.listening && self.service.pid > 0 => Event::Ready,
            8 => Event::Want(Want::Up),
            9 => Event::Want(Want::Down),
            10 => Event::Want(Want::Once),
            11 => Event::Want(Want::AtMostOnce),
            12 => Event::Signal(decisions.of(&[1, 9, 15, 18, 19, 28])),
            13 => Event::SignalGroup(decisions.of(&[9, 18, 19])),
            14 => Event::Restart,
            15 => Event::Reload,
            16 => Event::Exit,
            17 => Event::Terminate,
            18 => Event::Hangup,
            19 => Event::Drain,
            20 if decisions.byte() < 32 => Event::Quit,
            21 if decisions.byte() < 32 => Event::Interrupt,
            22 if self.service.waits != 0 => Event::Release,
            23 => decisions.of(&[Event::Alive, Event::Wrong, Event::Extend(SECOND), Event::Extend(LONG)]),
            24 if self.state() == State::Up => {
                self.service.watchdog = decisions.of(&[0, MILLI, SECOND]);
                Event::Alive
            }
            _ => return None,
        })
    }

    fn happens(&mut self, event: Event, decisions: &mut Decisions<'_>) {
        let mut queue = std::collections::VecDeque::from([event]);
        let mut steps = 0;
        while let Some(event) = queue.pop_front() {
            steps += 1;
            assert!(steps < 16, "one thing leads to another for ever: {event:?}");
            let was_gone = self.state() == State::Gone;
            let actions = machine::step(&mut self.service, event, self.now, STAMP);
            assert!(!actions.is_full(), "{event:?}: {actions:?}");
            assert!(!was_gone || actions.is_empty(), "after its end: {actions:?}");
            for action in actions {
                queue.extend(self.perform(action, decisions));
            }
        }
        self.is_consistent(event);
    }

    fn new_process(&mut self) {
        assert_eq!(self.service.pid, 0, "two processes at a time");
        self.service.pid = self.next_pid;
        self.next_pid += 1;
    }

    fn perform(&mut self, action: Action, decisions: &mut Decisions<'_>) -> Option<Event> {
        match action {
            Action::Start => {
                assert_eq!(self.state(), State::Down);
                return Some(match decisions.byte() % 6 {
                    0 => Event::StartFailed(decisions.of(&[SECOND, 60 * SECOND, LONG])),
                    1 => Event::Held,
                    _ => {
                        self.new_process();
                        self.listening = true;
                        Event::Started
                    }
                });
            }
            Action::Finish => {
                assert!(matches!(self.state(), State::Finish | State::LastFinish));
                if decisions.byte() % 3 == 0 {
                    return Some(Event::NoFinish);
                }
                self.new_process();
                return Some(Event::FinishStarted(decisions.of(&[0, MILLI, 5 * SECOND, LONG])));
            }
            Action::ArmKill => return Some(Event::KillAfter(decisions.of(&[0, MILLI, 5 * SECOND, LONG]))),
            Action::Delay => {
                let rule = decisions.of(&[&b"1s"[..], b"0s", b"1s 5m 10%", b"1ms 2ms 100%"]);
                let rule = Rule::parse(rule).unwrap_or(Rule::DEFAULT);
                return Some(Event::Delay(rule, u32::from(decisions.byte()) << 24));
            }
            Action::Abort { .. } => {
                assert!(self.service.pid > 0, "{action:?} to nobody");
                return Some(Event::KillAfter(decisions.of(&[MILLI, 5 * SECOND, LONG])));
            }
            Action::Signal(_) | Action::SignalGroup(_) | Action::SignalDown | Action::SignalReload | Action::Kill => {
                assert!(self.service.pid > 0, "{action:?} to nobody");
            }
            Action::CloseNotify => self.listening = false,
            Action::Tell(events) => events.iter().for_each(|event| self.hear(*event)),
            _ => {}
        }
        None
    }

    /// The order in which things are told.
    fn hear(&mut self, event: u8) {
        let after: &[u8] = match event {
            b'u' => b"D",
            b'U' => b"u",
            b'd' => b"uU",
            b'O' | b'D' => b"dO",
            b'x' => b"uUdD",
            _ => panic!("{event:#x} is no event"),
        };
        assert!(after.contains(&self.told), "{} after {}", char::from(event), char::from(self.told));
        self.told = event;
    }

    fn is_consistent(&self, after: Event) {
        let service = &self.service;
        let (state, timer) = (self.state(), Timer::of(service));
        assert_eq!(timer == Timer::None, service.deadline == 0, "{after:?}: {timer:?}");
        match state {
            State::Up | State::LastUp | State::Finish | State::LastFinish => assert!(service.pid > 0, "{after:?}"),
            State::Down => assert_eq!(service.pid, 0, "{after:?}"),
            State::Gone => assert_eq!(timer, Timer::None, "{after:?}"),
        }
        // One that is held was wanted, or was to be started once.
        if state == State::Down && service.waits == 0 {
            assert_eq!(timer == Timer::Start, service.want_up != 0, "{after:?}: wanted {}", service.want_up);
        }
        assert!(state == State::Down || timer != Timer::Start, "{after:?}");
        let of_a_run = matches!(timer, Timer::Kill | Timer::Watchdog);
        assert!(matches!(state, State::Up | State::LastUp) || !of_a_run, "{after:?}");
        assert!(service.paused == 0 || matches!(state, State::Up | State::LastUp | State::Gone), "{after:?}");
    }
}

/// A service directory that is nobody's.
pub struct Scratch {
    path: PathBuf,
    fd: Fd,
}

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("linchpin-properties-{}-{count}", std::process::id()));
        std::fs::create_dir_all(path.join("supervise")).unwrap();
        let name = CString::new(path.to_str().unwrap()).unwrap();
        let fd = file::open_dir(Fd::CWD, &name).unwrap();
        Scratch { path, fd }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.fd.close();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The first line of a number's file, as a reader that knows no shortcuts understands it.
fn number_in(content: &[u8]) -> Option<u32> {
    let content = &content[..content.len().min(11)];
    let end = content.iter().position(|byte| matches!(byte, b'\n' | 0)).unwrap_or(content.len());
    let digits = std::str::from_utf8(&content[..end]).ok()?;
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

/// The files of a service directory: what their readers make of any content.
pub fn service_files(scratch: &Scratch, data: &[u8]) {
    let Some((which, content)) = data.split_first() else { return };
    let names = [
        "notification-fd",
        "lock-fd",
        "timeout-kill",
        "timeout-finish",
        "max-death-tally",
        "down-signal",
        "reload-signal",
        "restart-delay",
    ];
    let name = names[usize::from(*which) % names.len()];
    let path = scratch.path.join(name);
    std::fs::write(&path, content).unwrap();
    let number = number_in(content);
    let optional = |reading: files::Reading<Option<u32>>| {
        assert_eq!(reading.value, number);
        assert_eq!(reading.problem, if number.is_none() { Some(files::Problem::Invalid) } else { None });
    };
    let with_default = |reading: files::Reading<u32>, default: u32, most: u32| {
        assert_eq!(reading.value, number.unwrap_or(default).min(most));
        assert_eq!(reading.problem.is_some(), number.is_none());
    };
    let signal = |reading: files::Reading<i32>, default: i32| {
        assert!((1..=64).contains(&reading.value));
        assert!(reading.problem.is_none() || reading.value == default);
    };
    match name {
        "notification-fd" => optional(files::notification_fd(scratch.fd)),
        "lock-fd" => optional(files::lock_fd(scratch.fd)),
        "timeout-kill" => with_default(files::timeout_kill(scratch.fd), 0, u32::MAX),
        "timeout-finish" => with_default(files::timeout_finish(scratch.fd), 5000, u32::MAX),
        "max-death-tally" => with_default(files::max_death_tally(scratch.fd), 100, DEATH_TALLY as u32),
        "down-signal" => signal(files::down_signal(scratch.fd), 15),
        "reload-signal" => signal(files::reload_signal(scratch.fd), 1),
        _ => {
            let reading = extra::restart_delay(scratch.fd);
            assert!(reading.problem.is_none() || reading.value == Rule::DEFAULT);
            for failures in [0, 1, 7, u8::MAX] {
                let delay = reading.value.delay(failures);
                let (next, _) = reading.value.next(failures, 0, u32::from(*which) << 24);
                let _ = (delay.checked_add(next), reading.value.is_random());
            }
        }
    }
    std::fs::remove_file(path).unwrap();
}

/// A status file: what is read is what was written, and what is no record is not taken for one.
pub fn status(data: &[u8]) {
    match Status::decode(data) {
        Some(status) => {
            let encoded = status.encode();
            assert_eq!(encoded[..34], data[..34]);
            assert_eq!(encoded[34], data[34] & 0x0f);
            assert_eq!(Status::decode(&encoded), Some(status));
            let _ = (status.is_up(), status.never_started(), status.end());
        }
        None => assert!(data.len() < Status::SIZE || data[24..29] != [0; 5] || data[28] >= 0x80),
    }
}

/// A death tally with any content, and one more death.
pub fn death_tally(scratch: &Scratch, data: &[u8]) {
    let mut decisions = Decisions(data);
    let limit = u32::from(decisions.byte() % 8);
    let content = decisions.0;
    let path = scratch.path.join("supervise/death_tally");
    std::fs::write(&path, content).unwrap();
    let last = tally::Record::new(STAMP, u16::from_be_bytes([content.first().copied().unwrap_or(0), 0]));
    tally::append(scratch.fd, &last, limit).unwrap();
    let known = if content.len() % tally::Record::SIZE == 0 { content.len() / tally::Record::SIZE } else { 0 };
    let mut seen = Vec::new();
    tally::visit(scratch.fd, u32::MAX, &mut |record| seen.push(*record)).unwrap();
    if limit == 0 {
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert_eq!(seen.len(), known.min(DEATH_TALLY));
        return;
    }
    assert_eq!(seen.len(), known.min(limit as usize - 1) + 1);
    assert_eq!(seen.last(), Some(&last));
    assert_eq!(tally::is_sound(scratch.fd), Ok(true));
    assert_eq!(tally::count(scratch.fd), Ok(seen.len() as u64));
    let kept = content[..known * tally::Record::SIZE].chunks_exact(tally::Record::SIZE).skip(known - (seen.len() - 1));
    for (record, bytes) in seen.iter().zip(kept) {
        assert_eq!(record.encode(), bytes);
    }
}

/// Bytes on the control FIFOs.
pub fn control(data: &[u8]) {
    for byte in data {
        if let Some(command) = Command::from_byte(*byte) {
            assert_eq!(command.byte(), *byte);
            if let Some(Signal::Number(signal)) = command.delivery().map(|delivery| delivery.signal) {
                assert!((1..=64).contains(&signal));
                assert!(command.down_file().is_none());
            }
        }
        assert!(ScanCommand::from_byte(*byte).is_none_or(|command| command.byte() == *byte));
    }
}

/// A message on a notification socket: whatever is in it, what is understood is in it too, and is within bounds.
pub fn notification(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    for value in [message.status, message.name].into_iter().flatten() {
        assert!(data.windows(value.len() + 1).any(|part| part == [b"=", value].concat()), "{value:?}");
        assert!(!value.contains(&b'\n') && !value.contains(&0));
    }
    assert!(message.name.is_none_or(|name| notify::is_fd_name(name) && name.len() <= notify::FD_NAME));
    let silent = Message { barrier: true, ..Message::default() };
    assert!(!message.barrier || message == silent, "a barrier says nothing else");
    let again = [b"X_FIRST=1\n", data].concat();
    assert!(message.barrier || Message::parse(&again) == Ok(message));
}

/// Waiting for services: nobody fails twice, and what is over for all stays so once they are settled.
pub fn wait(data: &[u8]) {
    let mut decisions = Decisions(data);
    let goal = Goal::from_letter(decisions.of(b"uUdDrR")).expect("a goal");
    let quorum = decisions.of(&[Quorum::All, Quorum::Any]);
    let mut wait = Wait::new(goal, quorum, decisions.byte() % 2 == 0);
    let mut services = Vec::new();
    for _ in 0..decisions.byte() % 5 {
        let bits = decisions.byte();
        let status =
            Status { pid: i32::from(bits & 1), ready: bits & 2 != 0, finishing: bits & 4 != 0, ..Status::default() };
        services.push(wait.track(&status));
    }
    assert!(!services.is_empty() || wait.is_over(&services));
    while !decisions.is_over() && !services.is_empty() {
        let who = usize::from(decisions.byte()) % services.len();
        let before = wait.failures();
        wait.event(&mut services[who], decisions.of(b"sudUDOx?"));
        assert!(wait.failures() - before <= 1);
        assert!(wait.failures() as usize <= services.len());
        let _ = wait.is_over(&services);
    }
    for service in &mut services {
        wait.abandon(service);
    }
    assert!(services.iter().all(|service| wait.is_over(&[*service]) || goal.wants_restart()));
}

/// A request to sudod: one that is understood is written so that it is the same, byte for byte, whatever its strings are.
pub fn sudo(data: &[u8]) {
    // As it came, and what comes behind the banner: a fuzzer finds the banner late.
    let banner = [linchpin::sudo::CLIENT, data].concat();
    for payload in [data, &banner] {
        match request::Request::parse(payload) {
            Ok(request) => {
                let env: Vec<CString> = request
                    .variables()
                    .map(|(name, value)| CString::new([name, b"=", value].concat()).unwrap())
                    .collect();
                let mut out = vec![0; wire::HEADER + payload.len()];
                let written = request::encode(&mut out, request.args(), env.iter().map(CString::as_c_str)).unwrap();
                assert_eq!(wire::header(written), Some((payload.len(), linchpin::sudo::FDS)));
                assert_eq!(&written[wire::HEADER..], payload);
                assert_eq!(request.args().count(), request.argc());
            }
            Err(why) => assert!(!why.text().is_empty()),
        }
    }
}

/// The fd-holder's wire: a request that is understood is written so that it means the same; answers are read without surprise.
pub fn fdholder(data: &[u8]) {
    match wire::frame(data) {
        Ok(Framed::Whole(payload, fds)) => {
            assert!(wire::HEADER + payload.len() <= data.len());
            if let Ok(request) = Request::decode(payload, fds) {
                assert_eq!(request.fds(), fds);
                let mut out = vec![0; data.len() + 64];
                // Any byte but 0 means yes in a request to retrieve: what it means is written, not what it was.
                if let Some(bytes) = request.encode(&mut out) {
                    assert_eq!(bytes.len(), wire::HEADER + payload.len());
                    assert_eq!(Request::decode(&bytes[wire::HEADER..], fds), Ok(request));
                }
            }
        }
        Ok(Framed::Partial(wanted, _)) => assert!(wanted > data.len()),
        Err(violation) => assert!(!violation.text().is_empty()),
    }
    if let Ok(rest) = wire::answer(data) {
        if let Ok(names) = wire::identifiers(rest) {
            assert!(names.map(|name| name.len() + 1).sum::<usize>() <= rest.len());
        }
        if let Ok(page) = Page::decode(rest, 7) {
            assert!(page.next.is_none_or(|next| next > 7), "a client would ask for ever");
            assert!(page.iter().map(|entry: Entry<'_>| entry.id.len() + 1).sum::<usize>() <= rest.len());
        }
    }
}

/// A board config: mistakes are told, each at a place in the file; the rest can be shown, and is the same every time.
pub fn board(data: &[u8]) {
    let mut shown = Vec::new();
    for _ in 0..2 {
        let mut scratch = vec![0; BOARD_SCRATCH];
        let mut board = Box::new(board::Board::new());
        let mut told = String::new();
        let mut count = 0;
        let mistakes = board::load(&mut board, data, &mut scratch, &mut |diagnostic| {
            count += 1;
            let _ = writeln!(told, "{diagnostic}");
        });
        assert!(count <= BOARD_MISTAKES + 1 && count <= mistakes + 1);
        assert_eq!(count == 0, mistakes == 0);
        let _ = write!(told, "{}", board::check::Summary(&board));
        let mut names = HashSet::new();
        for socket in board.sockets() {
            assert!(names.insert(socket.name), "two sockets have one name");
            let mut record = Pending::new_zeroed();
            assert_eq!(pending::fill(&mut record, &socket.wanted((None, None)), 1), Ok(()));
            assert_eq!(
                (pending::name(&record), pending::address(&record)),
                (socket.name.as_bytes(), socket.at.as_bytes())
            );
            assert_eq!(Address::parse(socket.at.as_bytes()), Ok(socket.address));
        }
        for allow in board.allows() {
            let globs = board.globs(allow);
            assert!(allow.rights != 0 || !globs.is_empty());
            assert!(globs.iter().all(|glob| glob::is_sound(glob.pattern.as_bytes())));
            assert!(globs.iter().map(|glob| glob.pattern.len() + 2).sum::<usize>() <= FDHOLDER_GLOBS);
        }
        shown.push(told);
    }
    assert_eq!(shown[0], shown[1]);
}

/// Access rules in a database, whatever is in it: where the tables lead, and what is found there.
pub fn rules(data: &[u8]) {
    const TABLES: usize = 2048;
    let mut decisions = Decisions(data);
    let mut file = vec![0; TABLES];
    for table in file.chunks_mut(8) {
        let (place, slots) = (TABLES + usize::from(decisions.byte() % 64), decisions.byte() % 8);
        table[..2].copy_from_slice(&(place as u16).to_le_bytes());
        table[4] = slots;
        if decisions.is_over() {
            break;
        }
    }
    file.extend(data);
    let Ok(cdb) = Cdb::new(&file) else { return };
    let ask = || {
        let mut told = 0;
        let answer =
            access::look_up(access::Rules::Database(cdb), Ids { uid: 7, gid: 8 }.keys(Ids::own()), &mut |detail| {
                told += match detail {
                    Detail::Variable(name, value) => name.len() + value.map_or(0, |value| value.len() + 1) + 1,
                    Detail::Exec(what) => what.len(),
                };
            });
        assert!(told <= file.len(), "more was told than is in the file");
        (answer, told)
    };
    assert_eq!(ask(), ask());
}

/// One rule of a database, whatever is in its record.
pub fn rule(data: &[u8]) {
    let hash = b"uid/7".iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(*byte));
    let word = |n: usize| (n as u32).to_le_bytes();
    let mut file = vec![0; 2048];
    file.extend([&word(5)[..], &word(data.len()), b"uid/7", data].concat());
    let table = [word(file.len()), word(1)].concat();
    let at = hash as usize % 256 * 8;
    file[at..at + 8].copy_from_slice(&table);
    file.extend([word(hash as usize), word(2048)].concat());
    let cdb = Cdb::new(&file).unwrap();
    let (mut env, mut exec) = (Vec::new(), Vec::new());
    let answer = access::rule(access::Rules::Database(cdb), c"uid/7", &mut |detail| match detail {
        Detail::Variable(name, value) => {
            assert!(!name.contains(&b'=') && !name.contains(&0));
            env.extend_from_slice(name);
            env.extend(value.iter().flat_map(|value| [b"=", *value].concat()));
            env.push(0);
        }
        Detail::Exec(what) => exec.extend_from_slice(what),
    });
    match answer {
        Ok(Answer::Allow) => {
            // Written again, it is the same.
            let length = |part: &[u8]| (part.len() as u16).to_be_bytes();
            let again = [b"A", &length(&env)[..], &env, &length(&exec), &exec].concat();
            assert_eq!(again, data);
        }
        Ok(Answer::Deny) => assert_eq!(data, b"D"),
        Ok(Answer::Nothing) => panic!("it is there"),
        Err(trouble) => assert_eq!(trouble.errno, Errno::PROTO),
    }
}
