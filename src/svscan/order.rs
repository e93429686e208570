//! The order in which a stop ends services: who is depended on is told when those that depend on it have ended. Who
//! depends on whom is read once, when the stop begins; services that do not run have nobody to wait for them.
//!
//! Those that wait to be told run on meanwhile, but what dies is not started again. A circle of services that run (its
//! directories were changed after they had started) is told all at once, when nobody else is left that could end.

use super::Plan;
use super::dependencies::each_dependency;
use super::engine::Engine;
use super::stop::Manner;
use crate::limits::DEPENDENCIES;
use crate::service::machine::State;
use crate::service::{extra, kind, label};
use crate::state::Service;
use crate::sys::Fd;
use crate::sys::cell::TakeCell;
use crate::sys::time::Nanos;
use crate::text::errno::Reason;
use crate::{fault_point, warning};
use core::ops::ControlFlow;

/// Who depends on whom, slots both. Made at the beginning of a stop: nothing that has to outlive a fault.
pub struct Edges<const N: usize> {
    len: usize,
    /// Dependant and dependency.
    pairs: [(u16, u16); N],
}

/// The engine's.
pub(super) static EDGES: TakeCell<Edges<DEPENDENCIES>> = TakeCell::new(Edges::new());

impl<const N: usize> Edges<N> {
    /// None; all zero, so a static one costs no memory until it is used.
    pub const fn new() -> Self {
        Edges { len: 0, pairs: [(0, 0); N] }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds one; answers whether there was room for it. Nobody depends on itself.
    pub fn add(&mut self, dependant: usize, dependency: usize) -> bool {
        let (Ok(from), Ok(to)) = (u16::try_from(dependant), u16::try_from(dependency)) else { return false };
        if from == to {
            return true;
        }
        match self.pairs.get_mut(self.len) {
            Some(free) => {
                *free = (from, to);
                self.len += 1;
                true
            }
            None => false,
        }
    }

    fn all(&self) -> &[(u16, u16)] {
        self.pairs.get(..self.len).unwrap_or_default()
    }

    /// Somebody who depends on `slot`.
    pub fn dependant_of(&self, slot: usize) -> Option<usize> {
        self.all().iter().find(|(_, to)| usize::from(*to) == slot).map(|(from, _)| usize::from(*from))
    }

    /// Forgets that `slot` depends on anybody, and that anybody depends on it; answers whether that was so.
    pub fn remove(&mut self, slot: usize) -> bool {
        let mut kept = 0;
        for at in 0..self.len {
            let pair = self.pairs[at];
            if usize::from(pair.0) != slot && usize::from(pair.1) != slot {
                self.pairs[kept] = pair;
                kept += 1;
            }
        }
        let changed = kept < self.len;
        self.len = kept;
        changed
    }

    /// Whether somebody for whom `which` holds depends on anybody.
    pub fn any(&self, which: impl Fn(usize) -> bool) -> bool {
        self.all().iter().any(|(from, _)| which((*from).into()))
    }
}

impl<const N: usize> Default for Edges<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// Tells everybody to end, in order.
    pub(super) fn terminate_in_order(&mut self, manner: Manner, now: Nanos) {
        for slot in 0..self.high {
            if self.tables.services.get(slot).is_some_and(|service| service.used == 0 || self.is_last(service)) {
                continue; // its turn comes when everybody else has ended
            }
            if let Some(service) = self.tables.services.get_mut(slot) {
                service.deferred = manner.number();
            }
        }
        fault_point!("order.deferred");
        self.tell_deferred(now);
    }

    /// Tells those to end that nobody depends on any more.
    pub(super) fn tell_deferred(&mut self, now: Nanos) {
        self.dependant_gone = false;
        for slot in 0..self.high {
            let Some(manner) = self.tables.services.get(slot).and_then(deferred) else { continue };
            match self.ends_later(slot, manner) {
                None => self.tell_to_end(slot, manner, now),
                Some(dependant) => {
                    let Some(service) = self.tables.services.get_mut(slot) else { continue };
                    let dependant = dependant as i32;
                    if core::mem::replace(&mut service.waits_on, dependant) != dependant {
                        self.note_waiting(slot, now);
                    }
                }
            }
        }
        let services = &self.tables.services;
        let waits = |slot: usize| services.get(slot).and_then(deferred).is_some();
        // Who was told and is gone already has freed others.
        if self.dependant_gone || self.edges.any(|slot| !waits(slot)) || !(0..self.high).any(waits) {
            return;
        }
        warning!("services that depend on each other in a circle are stopped all at once");
        self.edges.clear();
        self.dependant_gone = true;
    }

    fn tell_to_end(&mut self, slot: usize, manner: Manner, now: Nanos) {
        let generation = self.tables.services.get(slot).map(|service| service.generation);
        self.terminate_one(slot, manner, now);
        fault_point!("order.told");
        // Its machine has forgotten it, if it has one: who was not told yet is told on entry.
        if let Some(service) =
            self.tables.services.get_mut(slot).filter(|service| Some(service.generation) == generation)
        {
            service.deferred = 0;
        }
        self.note_waiting(slot, now);
    }

    /// Who has to end before this one is told to. A logger that is not to drain its pipe goes with its service.
    fn ends_later(&self, slot: usize, manner: Manner) -> Option<usize> {
        let service = self.tables.services.get(slot)?;
        if service.pid <= 0 || service.supervised == 0 || State::of(service) == Some(State::Down) {
            return None;
        }
        let with = match usize::try_from(service.partner) {
            Ok(partner) if service.kind == kind::LOGGER && manner == Manner::All => Some(partner),
            _ => None,
        };
        let own = self.edges.dependant_of(slot);
        own.or_else(|| with.and_then(|partner| self.edges.dependant_of(partner).and(Some(partner))))
    }

    /// A record is gone: those it depends on may be told.
    pub(super) fn forget_dependant(&mut self, slot: usize) {
        if Plan::of(&self.tables.header) != Plan::Run && self.edges.remove(slot) {
            self.dependant_gone = true;
        }
    }

    /// Reads who depends on whom, of those that run.
    pub(super) fn find_dependants(&mut self) {
        self.edges.clear();
        let mut left_out = 0;
        for slot in 0..self.high {
            // Nobody waits for the one that ends last: what it depends on goes before it.
            if self.tables.services.get(slot).is_none_or(|service| self.is_last(service)) {
                continue;
            }
            let Some(service) = self.tables.services.get_mut(slot) else { continue };
            if service.used == 0 || service.supervised == 0 || service.pid <= 0 {
                continue;
            }
            extra::look(service);
            if service.extras & extra::DEPENDENCIES == 0 {
                continue;
            }
            let dir = Fd(service.dir_fd);
            let mut found = heapless::Vec::<u16, 64>::new();
            let visited = each_dependency(dir, |name| {
                if let Some(other) = self.named(name) {
                    left_out += u32::from(found.push(other as u16).is_err());
                }
                ControlFlow::Continue(())
            });
            for other in found {
                left_out += u32::from(!self.edges.add(slot, other.into()));
            }
            if let (Err(e), Some(service)) = (visited, self.tables.services.get(slot)) {
                warning!("{}: cannot read its dependencies.d: {}; it has none", label(service), Reason(e));
            }
        }
        if left_out > 0 {
            warning!(
                "there are more dependencies than there is room for: the stop does not respect {left_out} of them"
            );
        }
    }
}

fn deferred(service: &Service) -> Option<Manner> {
    if service.used == 0 { None } else { Manner::of(service.deferred) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_that_is_depended_on_is_free_when_its_last_dependant_is_gone() {
        let mut edges = Edges::<4>::new();
        for (from, to) in [(1, 0), (2, 0), (3, 1)] {
            assert!(edges.add(from, to));
        }
        assert_eq!(edges.dependant_of(0), Some(1));
        assert!(edges.remove(1));
        assert_eq!((edges.dependant_of(0), edges.dependant_of(1)), (Some(2), None));
        assert!(edges.remove(2));
        assert!(!edges.remove(2));
        assert_eq!(edges.dependant_of(0), None);
    }

    #[test]
    fn nobody_waits_for_itself_and_there_is_an_end_of_room() {
        let mut edges = Edges::<1>::new();
        assert!(edges.add(7, 7));
        assert_eq!(edges.dependant_of(7), None);
        assert!(edges.add(1, 2));
        assert!(!edges.add(2, 3));
        assert!(!edges.add(70000, 3));
    }

    proptest! {
        #[test]
        fn whatever_the_dependencies_everybody_is_told_once_and_in_order(
            pairs in prop::collection::vec((0usize..12, 0usize..12), 0..60),
        ) {
            let mut edges = Edges::<64>::new();
            for (from, to) in &pairs {
                prop_assert!(edges.add(*from, *to));
            }
            let mut left: Vec<usize> = (0..12).collect();
            while !left.is_empty() {
                let free: Vec<usize> = left.iter().copied().filter(|slot| edges.dependant_of(*slot).is_none()).collect();
                if free.is_empty() {
                    // A circle, and nobody that could end: only then all are told at once.
                    prop_assert!(edges.any(|_| true));
                    edges.clear();
                    continue;
                }
                for slot in free {
                    for (from, to) in &pairs {
                        if *to == slot && from != to && edges.len > 0 {
                            prop_assert!(!left.contains(from) || edges.dependant_of(slot).is_none());
                        }
                    }
                    left.retain(|other| *other != slot);
                    edges.remove(slot);
                }
            }
        }
    }
}
