use super::*;
use crate::service::scratch::Scratch;
use crate::service::supervisor::{Context, drive};
use crate::service::{files, machine, news, tally};
use crate::state::Redo;
use crate::sys::Fd;
use crate::sys::args::Env;
use crate::sys::epoll::{Epoll, Token};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use zerocopy::FromZeros;

/// Children share one stack, in a process that has one thread; tests have several.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MOMENT: Moment = Moment { now: 7 * SECOND, stamp: Stamp { sec: 1 << 62, nano: 5 }, at_once: true };

/// A service directory, the record of its service, and what is on record of an event.
struct World {
    scratch: Scratch,
    epoll: Epoll,
    service: Box<Service>,
    redo: Box<Redo>,
}

impl World {
    fn new(files: &[(&str, &str)]) -> World {
        let scratch = Scratch::new();
        for (name, content) in files {
            scratch.write(name, content);
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(scratch.path.join(name), mode).unwrap();
        }
        files::prepare(scratch.fd).unwrap();
        let mut service = Box::new(Service::new_zeroed());
        service.dir_fd = scratch.fd.0;
        (service.control_fd, service.lock_fd, service.notify_fd, service.pipe_fd) = (-1, -1, -1, -1);
        (service.cgroup_fd, service.partner, service.generation) = (-1, -1, 3);
        (service.used, service.supervised) = (1, 1);
        service.set_name(b"it");
        machine::begin(&mut service, true, 1, Stamp::now());
        World { scratch, epoll: Epoll::new().unwrap(), service, redo: Box::new(Redo::new_zeroed()) }
    }

    fn context<'a>(epoll: &'a Epoll, redo: &'a mut Redo, again: bool) -> Context<'a> {
        Context {
            epoll,
            readiness: Token { kind: 0, slot: 0, generation: 0 },
            notify_kind: 0,
            notify: None,
            env: Env::EMPTY,
            called: None,
            held: None,
            room: None,
            nofile: None,
            null: Fd::NONE,
            console: [Fd::NONE; 2],
            cleared: true,
            now: MOMENT.now,
            stamp: MOMENT.stamp,
            at_once: MOMENT.at_once,
            redo,
            again,
        }
    }

    /// Feeds an event up to the end of what follows from it, but for the note that it is done.
    fn feed(&mut self, event: Event) {
        self.redo.begin(0, &self.service, event, &MOMENT, 0);
        let mut context = World::context(&self.epoll, &mut self.redo, false);
        let _ = drive(&mut context, &mut self.service, event);
    }

    /// Enters again.
    fn feed_again(&mut self) {
        let event = self.redo.event().unwrap();
        assert!(self.redo.is_of(&self.service) && self.redo.try_again());
        self.redo.put_back(&mut self.service);
        let mut context = World::context(&self.epoll, &mut self.redo, true);
        let _ = drive(&mut context, &mut self.service, event);
        news::settle(&mut self.service);
    }

    fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.scratch.path.join(name)).map_or(0, |text| text.lines().count())
    }

    fn until_there_are_lines(&self, name: &str, count: usize) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while self.lines(name) < count {
            assert!(std::time::Instant::now() < deadline, "{name} has {} lines", self.lines(name));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn deaths(&self) -> usize {
        let mut count = 0;
        tally::visit(self.scratch.fd, 100, &mut |_| count += 1).unwrap();
        count
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.service.pid > 0 {
            let _ = process::kill(self.service.pid, 9);
            let _ = process::wait_for(self.service.pid);
        }
        Fd(self.service.notify_fd).close();
    }
}

const RUN_FILE: (&str, &str) = ("run", "#!/bin/sh\necho x >>runs\nexec sleep 1000\n");
const FINISH_FILE: (&str, &str) = ("finish", "#!/bin/sh\necho x >>finishes\nexec sleep 1000\n");

#[test]
fn a_start_that_was_interrupted_after_its_child_had_begun_takes_that_child() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut world = World::new(&[RUN_FILE, ("notification-fd", "3\n")]);
    world.feed(Event::Timer);
    let (pid, pipe) = (world.service.pid, world.service.notify_fd);
    assert!(pid > 0 && pipe >= 0);
    for _ in 0..ATTEMPTS {
        world.feed_again();
        assert_eq!((world.service.pid, world.service.notify_fd, world.service.notifies), (pid, pipe, 1));
        assert_eq!((world.service.starts, State::of(&world.service)), (1, Some(State::Up)));
    }
    assert!(!world.redo.try_again());
    world.until_there_are_lines("runs", 1);
    let status = crate::service::status::read(world.scratch.fd).unwrap();
    assert_eq!((status.pid, status.is_up()), (pid, true));
}

#[test]
fn a_start_that_was_interrupted_before_its_child_has_another_pipe_and_closes_the_first() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut world = World::new(&[RUN_FILE, ("notification-fd", "3\n")]);
    world.redo.begin(0, &world.service, Event::Timer, &MOMENT, 0);
    let (read, _write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    world.service.notify_fd = Fd::from_owned(read).0;
    world.redo.about_to_start(RUN);
    world.feed_again();
    assert!(world.service.pid > 0 && world.service.notify_fd >= 0);
    // Its other end is the child's alone: it is not at its end, nor is there anything in it.
    let mut bytes = [0; 8];
    assert_eq!(rustix::io::read(Fd(world.service.notify_fd), &mut bytes), Err(crate::sys::Errno::AGAIN));
    world.until_there_are_lines("runs", 1);
}

#[test]
fn a_child_that_could_not_execute_its_program_is_no_start_and_no_death() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut world = World::new(&[("run", "no program\n")]);
    world.feed(Event::Timer);
    assert_eq!((world.service.pid, Timer::of(&world.service)), (0, Timer::Start));
    let deadline = world.service.deadline;
    // It had said why, and was not reaped yet.
    let child = process::fork_job(|| 127).unwrap();
    world.redo.pid = child;
    assert!(matches!(world.redo.child(RUN), Child::Failed(SpawnError::Exec(_))));
    assert!(!process::is_child(child), "it is reaped");
    world.feed_again();
    assert_eq!((world.service.pid, world.service.deadline, world.deaths()), (0, deadline, 0));
}

#[test]
fn a_death_whose_finish_had_begun_is_on_the_tally_once_and_finish_runs_once() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut world = World::new(&[RUN_FILE, FINISH_FILE]);
    world.feed(Event::Timer);
    world.redo.end();
    let run = world.service.pid;
    process::kill(run, 9).unwrap();
    let death = process::wait_for(run).unwrap();
    world.service.dead_pid = run;
    world.feed(Event::Died(death.wstat));
    let finish = world.service.pid;
    assert!(finish > 0 && finish != run);
    for _ in 0..2 {
        world.feed_again();
        assert_eq!((world.service.pid, State::of(&world.service)), (finish, Some(State::Finish)));
    }
    world.until_there_are_lines("finishes", 1);
    assert_eq!((world.deaths(), world.lines("finishes"), world.service.wstat), (1, 1, 9));
}

#[test]
fn a_death_after_which_run_was_started_at_once_does_not_run_a_finish_that_came_later() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut world = World::new(&[RUN_FILE]);
    world.feed(Event::Timer);
    world.redo.end();
    world.service.started = 1; // long ago: it comes back at once
    let first = world.service.pid;
    world.until_there_are_lines("runs", 1);
    process::kill(first, 9).unwrap();
    let death = process::wait_for(first).unwrap();
    world.feed(Event::Died(death.wstat));
    let second = world.service.pid;
    assert!(second > 0 && second != first);
    world.scratch.write("finish", FINISH_FILE.1);
    world.feed_again();
    assert_eq!((world.service.pid, State::of(&world.service)), (second, Some(State::Up)));
    assert_eq!((world.deaths(), world.lines("finishes"), world.service.starts), (1, 0, 2));
    world.until_there_are_lines("runs", 2);
}

#[test]
fn what_is_open_is_never_put_back() {
    let mut world = World::new(&[]);
    world.service.notify_fd = 77;
    world.redo.begin(0, &world.service, Event::Ready, &MOMENT, 0);
    world.service.notify_fd = -1; // it was closed
    world.service.cgroup_fd = 78; // it was opened
    (world.service.state, world.service.want_up) = (State::Up as u8, 0);
    world.redo.put_back(&mut world.service);
    assert_eq!((world.service.notify_fd, world.service.cgroup_fd), (-1, 78));
    assert_eq!((world.service.state, world.service.want_up), (State::Down as u8, 1));
    world.service.cgroup_fd = -1;
}

#[test]
fn a_change_that_was_interrupted_is_made_and_one_that_was_not_on_record_yet_is_not() {
    let mut world = World::new(&[]);
    let mut services = [Service::new_zeroed()];
    services[0].as_mut_bytes().copy_from_slice(world.service.as_bytes());
    // Half of it is done.
    let redo = &mut *world.redo;
    redo.change(0, &mut services[0], |service| service.set_name(b"another"));
    assert_eq!((services[0].name_bytes(), redo.valid), (&b"another"[..], 0));
    redo.valid = CHANGE;
    services[0].name = [b'x'; 256];
    complete(redo, &mut services);
    assert_eq!((services[0].name_bytes(), redo.valid), (&b"another"[..], 0));
    services[0].set_name(b"later");
    complete(redo, &mut services);
    assert_eq!(services[0].name_bytes(), b"later");
    // A slot that has another owner is left alone.
    redo.valid = CHANGE;
    services[0].generation = 4;
    complete(redo, &mut services);
    assert_eq!((services[0].name_bytes(), redo.valid), (&b"later"[..], 0));
}

#[test]
fn what_fails_every_time_leaves_a_record_that_is_true() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut world = World::new(&[RUN_FILE]);
    world.feed(Event::Timer);
    let pid = world.service.pid;
    let event = world.redo.event().unwrap();
    world.redo.give_up(event, &mut world.service, 8 * SECOND);
    assert_eq!((world.service.pid, State::of(&world.service)), (pid, Some(State::Up)));
    assert!(news::is_behind(&world.service));
    process::kill(pid, 9).unwrap();
    let death = process::wait_for(pid).unwrap();
    world.redo.begin(0, &world.service, Event::Died(death.wstat), &MOMENT, 0);
    world.redo.give_up(Event::Died(death.wstat), &mut world.service, 8 * SECOND);
    assert_eq!((world.service.pid, State::of(&world.service)), (0, Some(State::Down)));
    assert_eq!((Timer::of(&world.service), world.service.deadline), (Timer::Start, 9 * SECOND));
    news::settle(&mut world.service);
    assert_eq!(world.deaths(), 1);
    world.redo.begin(0, &world.service, Event::Want(Want::Down), &MOMENT, 0);
    world.redo.give_up(Event::Want(Want::Down), &mut world.service, 8 * SECOND);
    assert_eq!((world.service.want_up, Timer::of(&world.service)), (0, Timer::None));
}

proptest! {
    #[test]
    fn every_event_that_comes_from_outside_is_read_back(number in 0u32..30, value: u64) {
        if let Some(event) = decode(number, value) {
            let (number_back, value_back) = encode(event).unwrap();
            prop_assert_eq!(number_back, number);
            prop_assert_eq!(decode(number_back, value_back), Some(event));
        }
    }

    #[test]
    fn any_bytes_are_an_event_of_somebody_or_of_nobody(bytes in prop::collection::vec(any::<u8>(), size_of::<Redo>())) {
        let mut redo = Redo::read_from_bytes(&bytes).unwrap();
        redo.pid = -1; // no child of ours
        let mut service = Service::new_zeroed();
        let _ = (redo.event(), redo.moment(), redo.is_of(&service), redo.child(RUN));
        redo.put_back(&mut service);
        let mut services = [service];
        complete(&mut redo, &mut services);
        prop_assert_eq!(redo.valid == CHANGE, false);
    }
}
