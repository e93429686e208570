//! Waiting until services are in a state: what s6-svwait, s6-svlisten, s6-svlisten1 and `s6-svc -w` decide by. Pure: the
//! state of each service comes from its status record, then follows its events.
//!
//! The caller subscribes to the events, reads the status after that, and only then sends commands: so nothing that
//! happens is missed.

use super::status::Status;

/// The state waited for; the byte is the option letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Goal {
    /// Up.
    Up = b'u',
    /// Up, and it has said that it is ready.
    UpReady = b'U',
    /// Not up.
    Down = b'd',
    /// Not up, and `finish` is over.
    DownReady = b'D',
    /// Not up, then up.
    Restarted = b'r',
    /// Not up, then up and ready.
    RestartedReady = b'R',
}

impl Goal {
    /// The goal with this option letter.
    pub fn from_letter(letter: u8) -> Option<Goal> {
        const ALL: [Goal; 6] =
            [Goal::Up, Goal::UpReady, Goal::Down, Goal::DownReady, Goal::Restarted, Goal::RestartedReady];
        ALL.into_iter().find(|goal| *goal as u8 == letter)
    }

    /// The goal that asks for the same without readiness: for services that never say that they are ready.
    pub fn without_readiness(self) -> Goal {
        match self {
            Goal::UpReady => Goal::Up,
            Goal::RestartedReady => Goal::Restarted,
            other => other,
        }
    }

    /// Whether it must be up in the end.
    pub fn wants_up(self) -> bool {
        !matches!(self, Goal::Down | Goal::DownReady)
    }

    /// Whether it must be seen down first.
    pub fn wants_restart(self) -> bool {
        matches!(self, Goal::Restarted | Goal::RestartedReady)
    }
}

/// How many of the services must be in the state, at one time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quorum {
    /// All of them.
    All,
    /// One. (For restarts: all must have been seen down, then one must be up.)
    Any,
}

/// What is known of one service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tracked {
    up: bool,
    ready: bool,
    been_down: bool,
    settled: bool,
}

/// A wait for some services. The services themselves are the caller's: one [`Tracked`] each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    goal: Goal,
    quorum: Quorum,
    finish_first: bool,
    failures: u32,
}

impl Wait {
    /// A wait for `goal`. With `finish_first`, a restart counts only once `finish` is over (s6-svlisten, s6-svlisten1);
    /// without, as soon as the service is not up (s6-svwait).
    pub fn new(goal: Goal, quorum: Quorum, finish_first: bool) -> Wait {
        Wait { goal, quorum, finish_first, failures: 0 }
    }

    /// A service, as its status record shows it. A record that a dead supervisor left is taken at its word.
    pub fn track(&self, status: &Status) -> Tracked {
        let mut service = Tracked { up: status.is_up(), ready: status.ready, been_down: false, settled: false };
        self.note_down(&mut service);
        service
    }

    /// Takes one byte from the service's fifodir. After every byte, ask [`Wait::is_over`]: a state that is reached counts,
    /// however short it lasts.
    ///
    /// `O` (it will not be started again) is a failure where it should come up; `x` (its supervisor exits) is one unless
    /// the goal was reached. After either the service is settled: it keeps nobody waiting, and nothing that it does
    /// later counts. Unknown bytes are ignored.
    pub fn event(&mut self, service: &mut Tracked, byte: u8) {
        if service.settled {
            return;
        }
        match byte {
            b'd' => (service.up, service.ready) = (false, false),
            b'D' => (service.up, service.ready) = (false, true),
            b'u' => (service.up, service.ready) = (true, false),
            b'U' => (service.up, service.ready) = (true, true),
            b'O' if self.goal.wants_up() => {
                service.settled = true;
                self.failures = self.failures.saturating_add(1);
            }
            b'x' => {
                service.settled = true;
                if !self.reached(service) {
                    self.failures = self.failures.saturating_add(1);
                }
            }
            _ => {}
        }
        self.note_down(service);
    }

    /// Nobody waits for this service any more, and that is no failure: it could not be told what to do.
    pub fn abandon(&self, service: &mut Tracked) {
        service.settled = true;
    }

    /// Whether there is nothing left to wait for.
    pub fn is_over(&self, services: &[Tracked]) -> bool {
        let mut done = services.iter().map(|service| service.settled || self.reached(service));
        match self.quorum {
            Quorum::All => done.all(|done| done),
            Quorum::Any => {
                let all_down = services.iter().all(|service| service.settled || service.been_down);
                services.is_empty() || (!self.goal.wants_restart() || all_down) && done.any(|done| done)
            }
        }
    }

    /// Services that failed for good or lost their supervisor before they reached the goal.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn note_down(&self, service: &mut Tracked) {
        service.been_down |= !service.up && (service.ready || !self.finish_first);
    }

    fn reached(&self, service: &Tracked) -> bool {
        match self.goal {
            Goal::Up => service.up,
            Goal::UpReady => service.up && service.ready,
            Goal::Down => !service.up,
            Goal::DownReady => !service.up && service.ready,
            Goal::Restarted => service.been_down && service.up,
            Goal::RestartedReady => service.been_down && service.up && service.ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOALS: [Goal; 6] =
        [Goal::Up, Goal::UpReady, Goal::Down, Goal::DownReady, Goal::Restarted, Goal::RestartedReady];

    fn status(up: bool, ready: bool) -> Status {
        Status { pid: if up { 7 } else { 0 }, ready, ..Status::default() }
    }

    const UP: (bool, bool) = (true, false);
    const DOWN: (bool, bool) = (false, true);

    /// Feeds (service, byte) one after the other; answers after how many the wait was over, and its failures.
    fn run(mut wait: Wait, first: &[(bool, bool)], events: &[(usize, u8)]) -> Option<(usize, u32)> {
        let mut services: Vec<Tracked> = first.iter().map(|(up, ready)| wait.track(&status(*up, *ready))).collect();
        for (taken, (who, byte)) in events.iter().enumerate() {
            if wait.is_over(&services) {
                return Some((taken, wait.failures()));
            }
            wait.event(&mut services[*who], *byte);
        }
        wait.is_over(&services).then(|| (events.len(), wait.failures()))
    }

    /// The same for one service.
    fn one(goal: Goal, first: (bool, bool), events: &[u8]) -> Option<(usize, u32)> {
        let events: Vec<(usize, u8)> = events.iter().map(|byte| (0, *byte)).collect();
        run(Wait::new(goal, Quorum::All, false), &[first], &events)
    }

    #[test]
    fn a_state_that_is_there_already_needs_no_event() {
        assert_eq!(one(Goal::Up, UP, b""), Some((0, 0)));
        assert_eq!(one(Goal::UpReady, (true, true), b""), Some((0, 0)));
        assert_eq!(one(Goal::Down, (false, false), b""), Some((0, 0)));
        assert_eq!(one(Goal::DownReady, DOWN, b""), Some((0, 0)));
    }

    #[test]
    fn ready_means_two_things() {
        assert_eq!(one(Goal::UpReady, DOWN, b""), None);
        assert_eq!(one(Goal::DownReady, (true, true), b""), None);
        assert_eq!(one(Goal::UpReady, DOWN, b"uU"), Some((2, 0)));
        assert_eq!(one(Goal::DownReady, (true, true), b"dD"), Some((2, 0)));
    }

    #[test]
    fn a_service_that_is_finishing_is_not_up() {
        let finishing = Status { pid: 9, finishing: true, ..Status::default() };
        let wait = Wait::new(Goal::Down, Quorum::All, false);
        assert!(wait.is_over(&[wait.track(&finishing)]));
    }

    #[test]
    fn a_service_that_is_up_must_go_down_before_it_is_restarted() {
        assert_eq!(one(Goal::Restarted, UP, b"U"), None);
        assert_eq!(one(Goal::Restarted, UP, b"dDu"), Some((3, 0)));
        assert_eq!(one(Goal::RestartedReady, UP, b"UdDuU"), Some((5, 0)));
    }

    #[test]
    fn a_restart_that_waits_for_finish_does_not_take_the_death_for_it() {
        let wait = Wait::new(Goal::Restarted, Quorum::All, true);
        assert_eq!(run(wait, &[UP], &[(0, b'd'), (0, b'u')]), None);
        assert_eq!(run(wait, &[UP], &[(0, b'd'), (0, b'D'), (0, b'u')]), Some((3, 0)));
    }

    #[test]
    fn each_service_restarts_in_its_own_time() {
        let wait = Wait::new(Goal::Restarted, Quorum::All, false);
        let events = [(0, b'd'), (0, b'D'), (0, b'u'), (1, b'd'), (1, b'D'), (1, b'u')];
        assert_eq!(run(wait, &[UP, UP], &events), Some((6, 0)));
    }

    #[test]
    fn any_restart_needs_all_to_have_been_down() {
        let wait = Wait::new(Goal::Restarted, Quorum::Any, false);
        assert_eq!(run(wait, &[UP, UP], &[(0, b'd'), (0, b'u')]), None);
        assert_eq!(run(wait, &[UP, UP], &[(0, b'd'), (0, b'u'), (1, b'd')]), Some((3, 0)));
    }

    #[test]
    fn all_must_be_there_at_one_time_but_one_is_enough_for_any() {
        let events = [(0, b'u'), (0, b'd'), (1, b'u'), (0, b'u')];
        assert_eq!(run(Wait::new(Goal::Up, Quorum::All, false), &[DOWN, DOWN], &events), Some((4, 0)));
        assert_eq!(run(Wait::new(Goal::Up, Quorum::Any, false), &[DOWN, DOWN], &events), Some((1, 0)));
    }

    #[test]
    fn a_permanent_failure_counts_where_the_service_should_come_up() {
        assert_eq!(one(Goal::Up, DOWN, b"O"), Some((1, 1)));
        assert_eq!(one(Goal::Down, UP, b"OD"), Some((2, 0)));
    }

    #[test]
    fn a_crash_at_start_is_up_for_those_who_only_want_it_up() {
        assert_eq!(one(Goal::Up, DOWN, b"udOD"), Some((1, 0)));
        assert_eq!(one(Goal::UpReady, DOWN, b"udOD"), Some((3, 1)));
    }

    #[test]
    fn a_restart_that_ends_for_good_is_a_failure() {
        assert_eq!(one(Goal::Restarted, UP, b"dOD"), Some((2, 1)));
    }

    #[test]
    fn losing_the_supervisor_is_a_failure_unless_the_goal_was_reached() {
        assert_eq!(one(Goal::UpReady, UP, b"x"), Some((1, 1)));
        assert_eq!(run(Wait::new(Goal::Down, Quorum::All, false), &[DOWN, UP], &[(0, b'x'), (1, b'd')]), Some((2, 0)));
        assert_eq!(one(Goal::Restarted, UP, b"dDx"), Some((3, 1)));
    }

    #[test]
    fn one_that_failed_does_not_keep_the_others_waiting() {
        let events = [(0, b'u'), (0, b'd'), (0, b'O'), (0, b'D'), (1, b'u'), (1, b'U')];
        assert_eq!(run(Wait::new(Goal::UpReady, Quorum::All, false), &[DOWN, DOWN], &events), Some((6, 1)));
    }

    #[test]
    fn an_abandoned_service_is_neither_waited_for_nor_a_failure() {
        let wait = Wait::new(Goal::Up, Quorum::All, false);
        let mut service = wait.track(&status(false, true));
        wait.abandon(&mut service);
        assert!(wait.is_over(&[service]));
        assert_eq!(wait.failures(), 0);
    }

    #[test]
    fn waiting_for_no_service_is_over_at_once() {
        for quorum in [Quorum::All, Quorum::Any] {
            assert!(Wait::new(Goal::Restarted, quorum, true).is_over(&[]));
        }
    }

    #[test]
    fn goals_are_named_by_the_letters_of_s6() {
        for goal in GOALS {
            assert_eq!(Goal::from_letter(goal as u8), Some(goal));
        }
        assert_eq!(Goal::from_letter(b'x'), None);
        assert_eq!(Goal::RestartedReady.without_readiness(), Goal::Restarted);
        assert_eq!(Goal::DownReady.without_readiness(), Goal::DownReady);
    }

    fn any_goal() -> impl Strategy<Value = Goal> {
        proptest::sample::select(&GOALS[..])
    }

    fn any_events(services: usize) -> impl Strategy<Value = Vec<(usize, u8)>> {
        let byte = proptest::sample::select(&b"sudUDOx?"[..]);
        proptest::collection::vec((0..services, byte), 0..40)
    }

    proptest! {
        #[test]
        fn the_last_transition_alone_decides_the_state(first: (bool, bool), events in any_events(1), goal in any_goal()) {
            let mut wait = Wait::new(goal, Quorum::All, false);
            let mut service = wait.track(&status(first.0, first.1));
            let mut expected = first;
            for (_, byte) in events.iter().filter(|(_, byte)| !b"Ox".contains(byte)) {
                wait.event(&mut service, *byte);
                match byte {
                    b'u' => expected = (true, false),
                    b'U' => expected = (true, true),
                    b'd' => expected = (false, false),
                    b'D' => expected = (false, true),
                    _ => {}
                }
                prop_assert_eq!((service.up, service.ready), expected);
            }
            prop_assert_eq!(wait.failures(), 0);
        }

        #[test]
        fn no_service_fails_twice(
            first in proptest::collection::vec(any::<(bool, bool)>(), 3), events in any_events(3), goal in any_goal(),
            any: bool, finish_first: bool,
        ) {
            let mut wait = Wait::new(goal, if any { Quorum::Any } else { Quorum::All }, finish_first);
            let mut services: Vec<Tracked> = first.iter().map(|s| wait.track(&status(s.0, s.1))).collect();
            for (who, byte) in events {
                wait.event(&mut services[who], byte);
                let settled = services.iter().filter(|service| service.settled).count();
                prop_assert!(wait.failures() as usize <= settled);
            }
        }

        #[test]
        fn who_waits_for_all_waits_at_least_as_long_as_who_waits_for_any(
            first in proptest::collection::vec(any::<(bool, bool)>(), 1..4), events in any_events(1), goal in any_goal(),
        ) {
            let all = run(Wait::new(goal, Quorum::All, false), &first, &events);
            let any = run(Wait::new(goal, Quorum::Any, false), &first, &events);
            if let Some((all, _)) = all {
                prop_assert!(any.is_some_and(|(any, _)| any <= all));
            }
        }

        #[test]
        fn when_every_supervisor_is_gone_every_wait_is_over(
            first in proptest::collection::vec(any::<(bool, bool)>(), 3), events in any_events(3), goal in any_goal(),
            any: bool, finish_first: bool,
        ) {
            let quorum = if any { Quorum::Any } else { Quorum::All };
            let end = [(0, b'x'), (1, b'x'), (2, b'x')];
            let events: Vec<_> = events.into_iter().chain(end).collect();
            prop_assert!(run(Wait::new(goal, quorum, finish_first), &first, &events).is_some());
        }
    }
}
