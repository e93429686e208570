//! The machine's table, row by row, and what holds over the whole product of states and events.

use super::*;
use proptest::prelude::*;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const STAMP: Stamp = Stamp { sec: (1 << 62) + 1000, nano: 5 };
const SIGTERM_DEATH: u32 = 15;

fn fresh(want_up: bool) -> Box<Service> {
    let mut service = Box::new(Service::new_zeroed());
    begin(&mut service, want_up, 10, STAMP);
    service
}

fn go(service: &mut Service, event: Event) -> Vec<Action> {
    step(service, event, 10, STAMP).to_vec()
}

fn at(state: State) -> Box<Service> {
    let mut service = fresh(true);
    if state == State::Down {
        return service;
    }
    service.pid = 100;
    go(&mut service, Event::Started);
    match state {
        State::Finish => drop(go(&mut service, Event::Died(0))),
        State::LastUp => drop(go(&mut service, Event::Exit)),
        State::LastFinish => {
            go(&mut service, Event::Exit);
            go(&mut service, Event::Died(0));
        }
        State::Gone => drop(go(&mut service, Event::Quit)),
        State::Up | State::Down => {}
    }
    assert_eq!(State::of(&service), Some(state));
    service
}

fn events() -> Vec<Event> {
    let mut all = vec![
        Event::Timer,
        Event::Started,
        Event::StartFailed(60 * SECOND),
        Event::Lacks(60 * SECOND),
        Event::Died(0),
        Event::Died(SIGTERM_DEATH),
        Event::Died(125 << 8),
        Event::FinishStarted(5 * SECOND),
        Event::FinishStarted(0),
        Event::NoFinish,
        Event::Ready,
        Event::KillAfter(0),
        Event::KillAfter(300),
        Event::Alive,
        Event::Wrong,
        Event::Extend(7 * SECOND),
        Event::Held,
        Event::Release,
        Event::Delay(Rule::DEFAULT, 0),
        Event::Delay(Rule::parse(b"1s 5m 10%").unwrap(), u32::MAX),
        Event::Restart,
        Event::Reload,
        Event::Exit,
        Event::Terminate,
        Event::Hangup,
        Event::Drain,
        Event::Quit,
        Event::Interrupt,
    ];
    all.extend([Want::Up, Want::Down, Want::Once, Want::AtMostOnce].map(Event::Want));
    all.extend([sig::HUP, sig::KILL, sig::STOP, sig::CONT].map(Event::Signal));
    all.extend([sig::KILL, sig::STOP, sig::CONT].map(Event::SignalGroup));
    all
}

/// An environment that does what the actions ask: whatever it answers, the machine must get along with it.
fn answer(action: Action, executable: bool) -> Option<Event> {
    match action {
        Action::Start if executable => Some(Event::Started),
        Action::Start => Some(Event::StartFailed(60 * SECOND)),
        Action::Finish if executable => Some(Event::FinishStarted(5 * SECOND)),
        Action::Finish => Some(Event::NoFinish),
        Action::ArmKill | Action::Abort { .. } => Some(Event::KillAfter(3)),
        Action::Delay => Some(Event::Delay(Rule::DEFAULT, 0)),
        _ => None,
    }
}

#[test]
fn a_wanted_service_starts_at_once_and_an_unwanted_one_does_not() {
    let mut up = fresh(true);
    assert_eq!((Timer::of(&up), up.deadline), (Timer::Start, 10));
    assert_eq!(go(&mut up, Event::Timer), [Action::Start]);
    let down = fresh(false);
    assert_eq!((Timer::of(&down), down.deadline), (Timer::None, 0));
}

#[test]
fn a_start_is_published_before_it_is_told() {
    let mut service = fresh(true);
    assert_eq!(go(&mut service, Event::Started), [Action::Publish, Action::Tell(b"u")]);
    assert_eq!((service.ready, service.fresh), (0, 0));
}

#[test]
fn a_program_that_cannot_be_executed_is_not_a_death() {
    let mut service = fresh(true);
    go(&mut service, Event::Timer);
    assert_eq!(go(&mut service, Event::StartFailed(60 * SECOND)), []);
    assert_eq!(State::of(&service), Some(State::Down));
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Start, 10 + 60 * SECOND));
    assert_eq!(go(&mut service, Event::Want(Want::Up)), [Action::Publish, Action::Start]);
}

#[test]
fn a_death_is_tallied_before_finish_is_started() {
    let mut service = at(State::Up);
    assert_eq!(go(&mut service, Event::Died(3 << 8)), [Action::CloseNotify, Action::Tally, Action::Finish]);
    assert_eq!(service.wstat, 3 << 8);
    assert_eq!(go(&mut service, Event::FinishStarted(SECOND)), [Action::Publish, Action::Tell(b"d")]);
    assert_eq!(go(&mut service, Event::Died(0)), [Action::Publish, Action::Tell(b"D")]);
    assert_eq!((service.ready, service.pid), (1, 0));
}

#[test]
fn without_finish_both_events_come_in_one_write() {
    let mut service = at(State::Finish);
    assert_eq!(go(&mut service, Event::NoFinish), [Action::Publish, Action::Tell(b"dD")]);
}

#[test]
fn finish_may_say_that_it_should_not_be_started_again() {
    let mut service = at(State::Finish);
    assert_eq!(go(&mut service, Event::Died(125 << 8)), [Action::Publish, Action::Tell(b"OD")]);
    assert_eq!((service.want_up, Timer::of(&service)), (0, Timer::None));
}

#[test]
fn the_second_between_starts_counts_from_start_to_start() {
    let mut service = at(State::Up);
    service.started = 10;
    step(&mut service, Event::Died(0), 10 + 400_000_000, STAMP);
    step(&mut service, Event::NoFinish, 10 + 400_000_000, STAMP);
    assert_eq!(service.deadline, 10 + SECOND);
    let mut old = at(State::Up);
    old.started = 10;
    step(&mut old, Event::Died(0), 10 + 7 * SECOND, STAMP);
    step(&mut old, Event::NoFinish, 10 + 7 * SECOND, STAMP);
    assert_eq!(old.deadline, 10 + 7 * SECOND);
}

#[test]
fn going_down_signals_continues_and_arms_the_kill() {
    let mut service = at(State::Up);
    let expected = [Action::SignalDown, Action::Signal(sig::CONT), Action::Publish, Action::ArmKill];
    assert_eq!(go(&mut service, Event::Want(Want::Down)), expected);
    go(&mut service, Event::KillAfter(300));
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Kill, 310));
    assert_eq!(go(&mut service, Event::Timer), [Action::Kill]);
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Kill, 10 + 5 * SECOND));
}

/// A service with a watchdog of five seconds, ready at 10 ns.
fn watched() -> Box<Service> {
    let mut service = at(State::Up);
    service.watchdog = 5 * SECOND;
    assert_eq!(Timer::of(&service), Timer::None, "the watchdog begins when it is ready");
    assert_eq!(go(&mut service, Event::Ready), [Action::CloseNotify, Action::Publish, Action::Tell(b"U")]);
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Watchdog, 10 + 5 * SECOND));
    service
}

#[test]
fn a_service_that_does_not_say_that_it_is_alive_is_aborted_and_then_killed() {
    let mut service = watched();
    step(&mut service, Event::Alive, 4 * SECOND, STAMP);
    assert_eq!(service.deadline, 9 * SECOND);
    let actions = step(&mut service, Event::Timer, 9 * SECOND, STAMP);
    assert_eq!(actions, [Action::Abort { late: true }]);
    step(&mut service, Event::KillAfter(SECOND), 9 * SECOND, STAMP);
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Kill, 10 * SECOND));
    // Whatever it says now.
    for event in [Event::Alive, Event::Wrong, Event::Ready, Event::Extend(SECOND)] {
        assert_eq!(step(&mut service, event, 9 * SECOND, STAMP), [], "{event:?}");
        assert_eq!((Timer::of(&service), service.deadline), (Timer::Kill, 10 * SECOND), "{event:?}");
    }
    assert_eq!(step(&mut service, Event::Timer, 10 * SECOND, STAMP), [Action::Kill]);
    step(&mut service, Event::Died(9), 11 * SECOND, STAMP);
    step(&mut service, Event::NoFinish, 11 * SECOND, STAMP);
    assert_eq!((Timer::of(&service), service.want_up), (Timer::Start, 1));
}

#[test]
fn a_service_that_says_that_it_is_alive_before_it_is_ready_is_watched_from_then_on() {
    let mut service = at(State::Up);
    service.watchdog = 5 * SECOND;
    assert_eq!(go(&mut service, Event::Alive), []);
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Watchdog, 10 + 5 * SECOND));
}

#[test]
fn a_service_without_a_watchdog_may_say_that_it_is_alive_and_that_something_is_wrong() {
    let mut service = at(State::Up);
    assert_eq!(go(&mut service, Event::Alive), []);
    assert_eq!(Timer::of(&service), Timer::None);
    assert_eq!(go(&mut service, Event::Wrong), [Action::Abort { late: false }]);
}

#[test]
fn a_watchdog_may_get_another_time_or_none() {
    let mut service = watched();
    service.watchdog = SECOND;
    go(&mut service, Event::Alive);
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Watchdog, 10 + SECOND));
    service.watchdog = 0;
    go(&mut service, Event::Alive);
    assert_eq!(Timer::of(&service), Timer::None);
}

#[test]
fn a_service_that_is_stopped_is_not_expected_to_say_that_it_is_alive() {
    let mut service = watched();
    go(&mut service, Event::Signal(sig::STOP));
    assert_eq!(step(&mut service, Event::Timer, 5 * SECOND, STAMP), []);
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Watchdog, 10 * SECOND));
    step(&mut service, Event::Signal(sig::CONT), 9 * SECOND, STAMP);
    assert_eq!(service.deadline, 14 * SECOND);
    assert_eq!(step(&mut service, Event::Timer, 14 * SECOND, STAMP), [Action::Abort { late: true }]);
}

#[test]
fn on_its_way_down_a_service_may_ask_for_time_but_not_for_less() {
    let mut service = watched();
    go(&mut service, Event::Want(Want::Down));
    assert_eq!(Timer::of(&service), Timer::Watchdog, "without timeout-kill it is still to say that it is alive");
    go(&mut service, Event::KillAfter(2 * SECOND));
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Kill, 10 + 2 * SECOND));
    go(&mut service, Event::Extend(7 * SECOND));
    assert_eq!(service.deadline, 10 + 7 * SECOND);
    go(&mut service, Event::Extend(SECOND));
    assert_eq!(service.deadline, 10 + 7 * SECOND);
    go(&mut service, Event::Alive);
    assert_eq!((Timer::of(&service), service.deadline), (Timer::Kill, 10 + 7 * SECOND));
}

#[test]
fn a_restart_order_is_the_down_signal_and_nothing_else() {
    let mut service = at(State::Up);
    assert_eq!(go(&mut service, Event::Restart), [Action::SignalDown]);
    assert_eq!((service.want_up, Timer::of(&service)), (1, Timer::None));
}

#[test]
fn signals_are_ignored_unless_run_is_running() {
    for state in [State::Down, State::Finish, State::LastFinish, State::Gone] {
        for event in [Event::Signal(sig::KILL), Event::SignalGroup(sig::KILL), Event::Restart, Event::Reload] {
            assert_eq!(go(&mut at(state), event), [], "{state:?} {event:?}");
        }
    }
}

#[test]
fn an_order_that_changes_nothing_is_not_published_again() {
    let mut service = at(State::Up);
    assert!(go(&mut service, Event::Want(Want::Up)).contains(&Action::Publish), "nothing ever was");
    service.published = service.sequence;
    for event in
        [Event::Want(Want::AtMostOnce), Event::Want(Want::Up), Event::Want(Want::Down), Event::Signal(sig::STOP)]
    {
        assert!(go(&mut service, event).contains(&Action::Publish), "{event:?}");
        service.published = service.sequence;
        assert!(!go(&mut service, event).contains(&Action::Publish), "{event:?}");
    }
}

#[test]
fn a_pause_is_published_but_not_told() {
    let mut service = at(State::Up);
    assert_eq!(go(&mut service, Event::Signal(sig::STOP)), [Action::Signal(sig::STOP), Action::Publish]);
    assert_eq!(service.paused, 1);
    assert_eq!(go(&mut service, Event::SignalGroup(sig::CONT)), [Action::SignalGroup(sig::CONT), Action::Publish]);
    assert_eq!(service.paused, 0);
}

#[test]
fn exit_waits_for_the_next_death_whatever_is_wanted() {
    let mut service = at(State::Up);
    assert_eq!(go(&mut service, Event::Exit), [Action::CloseStdio]);
    go(&mut service, Event::Want(Want::Up));
    go(&mut service, Event::Died(0));
    let expected = [Action::Publish, Action::Tell(b"dD"), Action::CloseNotify, Action::Tell(b"x"), Action::Gone];
    assert_eq!(go(&mut service, Event::NoFinish), expected);
}

#[test]
fn a_logger_that_runs_drains_its_pipe_and_then_its_supervisor_exits() {
    let mut service = at(State::Up);
    assert_eq!(go(&mut service, Event::Drain), [Action::CloseStdio, Action::ClosePipe]);
    assert_eq!(State::of(&service), Some(State::LastUp));
    go(&mut service, Event::Died(0));
    assert_eq!(go(&mut service, Event::NoFinish).last(), Some(&Action::Gone));
}

#[test]
fn a_logger_between_two_runs_is_started_once_more_to_drain_its_pipe() {
    let mut waiting = at(State::Finish);
    go(&mut waiting, Event::NoFinish);
    assert_eq!(Timer::of(&waiting), Timer::Start);
    let mut finishing = at(State::Finish);
    assert_eq!(go(&mut finishing, Event::Drain), []);
    let mut last = at(State::LastFinish);
    last.stdio_closed = 1;
    assert_eq!(go(&mut last, Event::Drain), []);
    assert_eq!(last.stdio_closed, 0);
    for (mut service, event) in
        [(waiting, Event::Drain), (finishing, Event::Died(0)), (last, Event::Died(0)), (fresh(true), Event::Drain)]
    {
        assert_eq!(go(&mut service, event).last(), Some(&Action::Start));
        assert!(State::is_leaving(&service));
        let expected = [Action::Publish, Action::Tell(b"u"), Action::CloseStdio, Action::ClosePipe];
        assert_eq!(go(&mut service, Event::Started), expected);
        go(&mut service, Event::Died(0));
        assert_eq!(go(&mut service, Event::NoFinish).last(), Some(&Action::Gone));
    }
}

#[test]
fn a_logger_that_is_not_wanted_or_cannot_be_executed_does_not_drain() {
    assert_eq!(go(&mut fresh(false), Event::Drain).last(), Some(&Action::Gone));
    let mut service = fresh(true);
    go(&mut service, Event::Drain);
    assert_eq!(go(&mut service, Event::StartFailed(SECOND)).last(), Some(&Action::Gone));
    let mut service = at(State::Finish);
    go(&mut service, Event::Drain);
    go(&mut service, Event::Want(Want::Down));
    assert_eq!(go(&mut service, Event::Died(0)).last(), Some(&Action::Gone));
}

#[test]
fn an_order_to_terminate_ends_the_draining() {
    for state in [State::Finish, State::LastFinish] {
        let mut service = at(state);
        go(&mut service, Event::Drain);
        go(&mut service, Event::Terminate);
        assert_eq!(go(&mut service, Event::Died(0)).last(), Some(&Action::Gone), "{state:?}");
    }
}

#[test]
fn quit_leaves_the_process_alone_and_interrupt_signals_its_group() {
    assert!(!go(&mut at(State::Up), Event::Quit).iter().any(|a| matches!(a, Action::Signal(_))));
    assert_eq!(go(&mut at(State::Up), Event::Interrupt)[0], Action::SignalGroup(sig::INT));
}

/// Every state with every combination of what else a record may say there.
fn every_record() -> Vec<Service> {
    let mut all = Vec::new();
    let flags = |bits: u32, n: u32| u8::from(bits >> n & 1 != 0);
    for state in State::ALL {
        for bits in 0..256 {
            let mut service = at(state);
            if flags(bits, 7) == 1 && matches!(state, State::Up | State::LastUp) {
                service.watchdog = 5 * SECOND;
                arm(&mut service, Timer::Watchdog, 10 + 5 * SECOND);
            }
            service.want_up = flags(bits, 0);
            service.paused = flags(bits, 1);
            service.drains = flags(bits, 2);
            service.stdio_closed = flags(bits, 3);
            service.extras = flags(bits, 4) * (extra::RESTART_DELAY | extra::KILL_LEFTOVERS);
            service.waits = flags(bits, 5) * Waits::Dependency as u8;
            service.published = if flags(bits, 6) == 1 { service.sequence } else { service.sequence.wrapping_sub(2) };
            if service.want_up == 0 && Timer::of(&service) == Timer::Start {
                disarm(&mut service);
            }
            all.push(*service);
        }
    }
    all
}

#[test]
fn the_whole_product_of_states_and_events_keeps_its_promises() {
    for record in every_record() {
        for event in events() {
            let before = State::of(&record).unwrap();
            let mut service = Box::new(Service::read_from_bytes(record.as_bytes()).unwrap());
            let actions = step(&mut service, event, 10, STAMP);
            let what = format!("{before:?} {event:?} {actions:?}");
            assert!(actions.len() < actions.capacity(), "{what}");
            let after = State::of(&service).expect(&what);
            for flag in [service.want_up, service.paused, service.ready, service.drains, service.stdio_closed] {
                assert!(flag <= 1, "{what}");
            }
            assert!(service.waits <= Waits::Descriptor as u8 && service.failures <= 63, "{what}");
            // A deadline is armed when there is a timer, and only then.
            assert_eq!(service.deadline != 0, Timer::of(&service) != Timer::None, "{what}");
            // Who is told something reads the status that belongs to it.
            for (at, action) in actions.iter().enumerate() {
                if matches!(action, Action::Tell(told) if *told != b"x") {
                    assert_eq!(actions.get(at - 1), Some(&Action::Publish), "{what}");
                }
            }
            // Starts and finishes only when nothing runs, signals only when something does.
            assert!(!actions.contains(&Action::Start) || after == State::Down, "{what}");
            let signals = actions.iter().any(|a| matches!(a, Action::Signal(_) | Action::SignalGroup(_)));
            assert!(!signals || !matches!(before, State::Down | State::Gone), "{what}");
            // Who is gone has said so, does nothing more and waits for nothing.
            assert_eq!(actions.last() == Some(&Action::Gone), before != State::Gone && after == State::Gone, "{what}");
            assert!(before != State::Gone || actions.is_empty(), "{what}");
            assert!(
                after != State::Gone || before == State::Gone || (service.deadline, service.waits) == (0, 0),
                "{what}"
            );
            // Nothing but an order, and finish's last word, changes what is wanted.
            let orders = matches!(event, Event::Want(_) | Event::Terminate | Event::Died(PERMANENT_FAILURE));
            assert!(orders || service.want_up == record.want_up, "{what}");
        }
    }
}

#[test]
fn terminate_reaches_gone_from_every_state_after_at_most_three_deaths() {
    for record in every_record() {
        for executable in [true, false] {
            let before = State::of(&record).unwrap();
            let mut service = Box::new(Service::read_from_bytes(record.as_bytes()).unwrap());
            let mut queue = vec![Event::Terminate];
            let mut deaths = 0;
            while State::of(&service) != Some(State::Gone) {
                let event = queue.pop().unwrap_or_else(|| {
                    deaths += 1;
                    Event::Died(SIGTERM_DEATH)
                });
                assert!(deaths <= 3, "{before:?}");
                queue.extend(go(&mut service, event).into_iter().filter_map(|a| answer(a, executable)));
            }
        }
    }
}

#[test]
fn the_back_off_starts_later_each_time_and_a_start_by_order_forgets_it() {
    let rule = Rule::parse(b"1s 1m").unwrap();
    let mut service = at(State::Up);
    service.extras = extra::RESTART_DELAY;
    let mut now = service.started;
    for expected in [1, 2, 4, 8, 1] {
        step(&mut service, Event::Died(0), now, STAMP);
        let actions = step(&mut service, Event::NoFinish, now, STAMP);
        assert_eq!(actions.last(), Some(&Action::Delay));
        step(&mut service, Event::Delay(rule, 0), now, STAMP);
        assert_eq!((Timer::of(&service), service.deadline), (Timer::Start, now + expected * SECOND));
        now = service.deadline;
        if expected == 8 {
            assert_eq!(go(&mut service, Event::Want(Want::Up)).last(), Some(&Action::Start));
        }
        step(&mut service, Event::Started, now, STAMP);
    }
    // A run that lasted: at once.
    now += 7 * SECOND;
    step(&mut service, Event::Died(0), now, STAMP);
    step(&mut service, Event::NoFinish, now, STAMP);
    step(&mut service, Event::Delay(rule, 0), now, STAMP);
    assert_eq!((service.deadline, service.failures), (now, 0));
}

#[test]
fn what_a_dead_process_left_behind_is_killed_first_if_that_is_asked_for() {
    for state in [State::Up, State::LastUp, State::Finish, State::LastFinish] {
        let mut service = at(state);
        service.extras = extra::KILL_LEFTOVERS;
        assert_eq!(go(&mut service, Event::Died(0))[0], Action::KillLeftovers, "{state:?}");
        assert!(!go(&mut at(state), Event::Died(0)).contains(&Action::KillLeftovers), "{state:?}");
    }
}

#[test]
fn a_service_that_is_held_starts_when_it_is_released_even_if_it_is_wanted_once() {
    for want in [Want::Up, Want::Once] {
        let mut service = fresh(false);
        assert_eq!(go(&mut service, Event::Want(want)).last(), Some(&Action::Start));
        assert_eq!(go(&mut service, Event::Held), []);
        assert_eq!((Waits::of(&service), Timer::of(&service)), (Waits::Unknown, Timer::None));
        assert_eq!(go(&mut service, Event::Release), [Action::Start]);
        go(&mut service, Event::Started);
        assert_eq!(Waits::of(&service), Waits::Nothing);
    }
}

#[test]
fn a_service_that_lacks_a_descriptor_starts_when_there_is_one_or_in_a_while_even_if_it_is_wanted_once() {
    for (want, event) in [(Want::Up, Event::Release), (Want::Once, Event::Release), (Want::Once, Event::Timer)] {
        let mut service = fresh(false);
        assert_eq!(go(&mut service, Event::Want(want)).last(), Some(&Action::Start));
        assert_eq!(go(&mut service, Event::Lacks(60 * SECOND)), []);
        assert_eq!((Waits::of(&service), Timer::of(&service)), (Waits::Descriptor, Timer::Start));
        assert_eq!(go(&mut service, event), [Action::Start]);
        go(&mut service, Event::Started);
        assert_eq!((Waits::of(&service), Timer::of(&service)), (Waits::Nothing, Timer::None));
    }
    let mut draining = fresh(true);
    go(&mut draining, Event::Drain);
    assert_eq!(go(&mut draining, Event::Lacks(SECOND)).last(), Some(&Action::Gone));
}

#[test]
fn a_service_that_is_held_obeys_orders() {
    waiting_obeys_orders(Event::Held);
}

#[test]
fn a_service_that_lacks_a_descriptor_obeys_orders() {
    waiting_obeys_orders(Event::Lacks(60 * SECOND));
}

fn waiting_obeys_orders(why: Event) {
    let held = || {
        let mut service = fresh(true);
        go(&mut service, why);
        service
    };
    for event in [Event::Want(Want::Down), Event::Want(Want::AtMostOnce)] {
        let mut service = held();
        go(&mut service, event);
        assert_eq!((Waits::of(&service), service.want_up), (Waits::Nothing, 0));
        assert_eq!(go(&mut service, Event::Release), []);
    }
    for event in [Event::Terminate, Event::Exit, Event::Hangup, Event::Quit, Event::Interrupt] {
        assert_eq!(go(&mut held(), event).last(), Some(&Action::Gone), "{event:?}");
    }
    // It is looked at once more, by whoever releases it.
    assert_eq!(go(&mut held(), Event::Want(Want::Up)).last(), Some(&Action::Start));
    assert_eq!(go(&mut held(), Event::Timer), [Action::Start]);
}

proptest! {
    #[test]
    fn whatever_happens_the_machine_is_consistent(
        wanted: bool, executable: bool, script in prop::collection::vec((0usize..64, 0u64..3_000_000_000), 0..60),
    ) {
        let all = events();
        let mut service = fresh(wanted);
        let mut now = 10;
        for (which, pause) in script {
            now += pause;
            let mut queue = vec![all[which % all.len()]];
            while let Some(event) = queue.pop() {
                let actions = step(&mut service, event, now, STAMP);
                // A start is only ever asked for when nothing is running.
                if actions.contains(&Action::Start) {
                    prop_assert_eq!(State::of(&service), Some(State::Down));
                }
                prop_assert!(!actions.contains(&Action::Gone) || State::of(&service) == Some(State::Gone));
                prop_assert!(service.deadline != 0 || Timer::of(&service) == Timer::None);
                queue.extend(actions.into_iter().filter_map(|a| answer(a, executable)));
            }
            // Down and wanted always has a date, or is looked after by somebody.
            if State::of(&service) == Some(State::Down) && service.want_up == 1 && service.waits == 0 {
                prop_assert_ne!(service.deadline, 0);
            }
        }
    }
}
