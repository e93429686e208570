//! Asking a service again and again whether it is ready: when to ask, when to stop. Pure; s6-notifyoncheck(8) is the
//! shell around it.

use crate::sys::time::Nanos;

/// How to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Before the first check.
    pub initial: Nanos,
    /// Between the end of a check and the next one.
    pub pause: Nanos,
    /// Checks at most; 0: any number.
    pub tries: u32,
    /// What one check may take; 0: any time.
    pub each: Nanos,
    /// What all may take; 0: any time.
    pub all: Nanos,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// Time has passed.
    Time,
    /// The check has ended: it says that the service is ready, or not. Also if it could not be started.
    Checked(bool),
    /// The service has died.
    Died,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A check has said that the service is ready.
    Ready,
    /// No check is left.
    Exhausted,
    /// The service has died.
    Died,
    /// There is no time left.
    TimedOut,
}

/// What to do now. Whatever it is: a check that still runs but is not to be waited for is to be killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Start a check.
    Check,
    /// Wait for the check that runs; until this time, if there is one.
    Await(Option<Nanos>),
    /// Wait, with no check running, until this time.
    Sleep(Nanos),
    /// Stop.
    Over(Verdict),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Sleeping(Nanos),
    Checking(Option<Nanos>),
}

/// A poll of one service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Poll {
    plan: Plan,
    phase: Phase,
    deadline: Option<Nanos>,
    failed: u32,
}

/// `limit` after `now`; 0: never.
fn after(now: Nanos, limit: Nanos) -> Option<Nanos> {
    (limit != 0).then(|| now.saturating_add(limit))
}

impl Poll {
    /// A poll that begins now.
    pub fn new(plan: Plan, now: Nanos) -> Poll {
        let phase = Phase::Sleeping(now.saturating_add(plan.initial));
        Poll { plan, phase, deadline: after(now, plan.all), failed: 0 }
    }

    /// What happened, and what to do then. After [`Step::Check`] a check runs, until [`Input::Checked`].
    pub fn step(&mut self, input: Input, now: Nanos) -> Step {
        match (input, self.phase) {
            (Input::Died, _) => return Step::Over(Verdict::Died),
            (Input::Checked(true), Phase::Checking(_)) => return Step::Over(Verdict::Ready),
            (Input::Checked(false), Phase::Checking(_)) => self.fail(now),
            (Input::Time, Phase::Checking(Some(limit))) if limit <= now => self.fail(now),
            // A check that ends after it was given up is no news.
            (Input::Time, _) | (Input::Checked(_), Phase::Sleeping(_)) => {}
        }
        if self.failed == self.plan.tries && self.failed != 0 {
            return Step::Over(Verdict::Exhausted);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Step::Over(Verdict::TimedOut);
        }
        match self.phase {
            Phase::Sleeping(until) if until <= now => {
                self.phase = Phase::Checking(after(now, self.plan.each));
                Step::Check
            }
            Phase::Sleeping(until) => Step::Sleep(self.deadline.map_or(until, |deadline| deadline.min(until))),
            Phase::Checking(limit) => Step::Await(limit.into_iter().chain(self.deadline).min()),
        }
    }

    fn fail(&mut self, now: Nanos) {
        // With any number of tries only that there was one matters.
        self.failed = self.failed.saturating_add(1);
        self.phase = Phase::Sleeping(now.saturating_add(self.plan.pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAN: Plan = Plan { initial: 10, pause: 1000, tries: 7, each: 0, all: 0 };

    #[test]
    fn the_first_check_is_after_the_initial_sleep() {
        let mut poll = Poll::new(PLAN, 5);
        assert_eq!(poll.step(Input::Time, 5), Step::Sleep(15));
        assert_eq!(poll.step(Input::Time, 14), Step::Sleep(15));
        assert_eq!(poll.step(Input::Time, 15), Step::Check);
        assert_eq!(poll.step(Input::Time, 15), Step::Await(None));
    }

    #[test]
    fn without_an_initial_sleep_it_is_at_once() {
        assert_eq!(Poll::new(Plan { initial: 0, ..PLAN }, 5).step(Input::Time, 5), Step::Check);
    }

    #[test]
    fn a_check_that_succeeds_ends_it() {
        let mut poll = Poll::new(PLAN, 0);
        assert_eq!(poll.step(Input::Time, 10), Step::Check);
        assert_eq!(poll.step(Input::Checked(true), 20), Step::Over(Verdict::Ready));
    }

    #[test]
    fn the_next_check_is_after_a_pause() {
        let mut poll = Poll::new(PLAN, 0);
        poll.step(Input::Time, 10);
        assert_eq!(poll.step(Input::Checked(false), 20), Step::Sleep(1020));
        assert_eq!(poll.step(Input::Time, 1020), Step::Check);
    }

    #[test]
    fn after_so_many_tries_it_gives_up_without_another_pause() {
        let mut poll = Poll::new(Plan { initial: 0, pause: 0, tries: 2, ..PLAN }, 0);
        assert_eq!(poll.step(Input::Time, 0), Step::Check);
        assert_eq!(poll.step(Input::Checked(false), 0), Step::Check);
        assert_eq!(poll.step(Input::Checked(false), 0), Step::Over(Verdict::Exhausted));
    }

    #[test]
    fn without_a_limit_of_tries_it_does_not_give_up() {
        let mut poll = Poll::new(Plan { initial: 0, pause: 0, tries: 0, ..PLAN }, 0);
        assert_eq!(poll.step(Input::Time, 0), Step::Check);
        for _ in 0..1000 {
            assert_eq!(poll.step(Input::Checked(false), 0), Step::Check);
        }
    }

    #[test]
    fn a_check_that_takes_too_long_is_a_failed_one() {
        let mut poll = Poll::new(Plan { each: 30, tries: 2, ..PLAN }, 0);
        assert_eq!(poll.step(Input::Time, 10), Step::Check);
        assert_eq!(poll.step(Input::Time, 39), Step::Await(Some(40)));
        assert_eq!(poll.step(Input::Time, 40), Step::Sleep(1040));
        assert_eq!(poll.step(Input::Checked(true), 50), Step::Sleep(1040));
        assert_eq!(poll.step(Input::Time, 1040), Step::Check);
        assert_eq!(poll.step(Input::Time, 1070), Step::Over(Verdict::Exhausted));
    }

    #[test]
    fn the_limit_for_all_holds_in_sleep_and_in_a_check() {
        let mut poll = Poll::new(Plan { each: 300, all: 500, ..PLAN }, 0);
        assert_eq!(poll.step(Input::Time, 300), Step::Check);
        assert_eq!(poll.step(Input::Time, 310), Step::Await(Some(500)));
        assert_eq!(poll.step(Input::Checked(false), 320), Step::Sleep(500));
        assert_eq!(poll.step(Input::Time, 500), Step::Over(Verdict::TimedOut));
    }

    #[test]
    fn a_check_that_succeeds_at_the_last_moment_counts() {
        let mut poll = Poll::new(Plan { all: 500, ..PLAN }, 0);
        assert_eq!(poll.step(Input::Time, 10), Step::Check);
        assert_eq!(poll.step(Input::Checked(true), 600), Step::Over(Verdict::Ready));
    }

    #[test]
    fn the_death_of_the_service_ends_it_at_any_time() {
        let mut poll = Poll::new(PLAN, 0);
        assert_eq!(poll.step(Input::Died, 0), Step::Over(Verdict::Died));
        assert_eq!(poll.step(Input::Time, 10), Step::Check);
        assert_eq!(poll.step(Input::Died, 11), Step::Over(Verdict::Died));
    }

    proptest! {
        #[test]
        fn it_never_asks_to_wait_for_what_is_over(
            initial in 0u64..50, pause in 0u64..50, tries in 0u32..4, each in 0u64..50, all in 0u64..200,
            inputs in proptest::collection::vec((0u64..40, 0u8..3), 0..60),
        ) {
            let mut poll = Poll::new(Plan { initial, pause, tries, each, all }, 0);
            let (mut now, mut checks) = (0, 0);
            for (elapsed, input) in inputs {
                now += elapsed;
                let input = [Input::Time, Input::Checked(false), Input::Time][usize::from(input)];
                match poll.step(input, now) {
                    Step::Check => checks += 1,
                    Step::Sleep(until) | Step::Await(Some(until)) => prop_assert!(until > now),
                    Step::Await(None) => prop_assert!(each == 0 && all == 0),
                    Step::Over(_) => break,
                }
            }
            prop_assert!(tries == 0 || checks <= tries);
        }
    }
}
