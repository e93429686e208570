//! The store's part of the arena, with what is asked of all clients together.

use super::session;
use super::table::Table;
use crate::limits::{FDHOLDER_LARGE, FDHOLDER_PATIENCE};
use crate::state::{Allow, Client, Pending, Tables, Transfer};
use crate::sys::memory;
use crate::sys::time::{self, Nanos};
use crate::text::tai::Stamp;
use core::ffi::CStr;
use zerocopy::IntoBytes;

/// The time, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Boot-time clock, for deadlines.
    pub boot: Nanos,
    /// Wall clock, for the limits of held descriptors.
    pub wall: Stamp,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Now {
        Now::at(time::boot())
    }

    /// Reads the wall clock; on the boot-time clock it was `boot` a moment ago.
    pub fn at(boot: Nanos) -> Now {
        Now { boot, wall: Stamp::now() }
    }
}

/// The store's part of the arena.
pub struct Records<'a> {
    /// Held descriptors.
    pub held: Table<'a>,
    /// Clients, and the number of those slots that are, or lie below, used ones: the others are not looked at, so that
    /// they cost no memory.
    pub clients: &'a mut [Client],
    /// See above.
    pub top: &'a mut u32,
    /// The generation of the next client.
    pub next_generation: &'a mut u32,
    /// What the board config says of users and groups.
    pub allows: &'a [Allow],
    /// The board config's directory of access rules.
    pub rules: Option<&'a CStr>,
    /// Its sockets that could not be bound yet.
    pub pending: &'a [Pending],
    /// What is being done for one of the clients.
    pub transfer: &'a mut Transfer,
}

impl<'a> Records<'a> {
    /// Of the arena's tables.
    pub fn of(tables: &'a mut Tables) -> Records<'a> {
        let header = &mut tables.header;
        header.clients_top = header.clients_top.min(tables.clients.len() as u32);
        Records {
            held: Table::new(&mut tables.held, &mut header.held_top),
            clients: &mut tables.clients,
            top: &mut header.clients_top,
            next_generation: &mut header.next_generation,
            allows: &tables.allows,
            rules: match header.fdholder_rules_len {
                0 => None,
                _ => CStr::from_bytes_until_nul(&header.fdholder_rules).ok(),
            },
            pending: tables.pending.get(..header.pending_top as usize).unwrap_or_default(),
            transfer: &mut tables.transfer,
        }
    }

    /// The fault that interrupted the process was none of its own instructions, but somebody's wish: what was being done is
    /// not to blame.
    pub fn forgive(&mut self) {
        self.transfer.attempts = 0;
        for client in self.clients.iter_mut().take(*self.top as usize).filter(|client| client.used != 0) {
            session::forgive(client);
        }
    }

    /// The clients there are.
    pub(super) fn connected(&self) -> impl Iterator<Item = (usize, &Client)> {
        self.clients.iter().enumerate().take(*self.top as usize).filter(|(_, client)| client.used != 0)
    }

    /// Looks no more at slots above the highest client.
    pub(super) fn lower_top(&mut self) {
        let unused = self.clients.iter().take(*self.top as usize).rev().take_while(|client| client.used == 0).count();
        *self.top -= unused as u32;
    }

    /// Gives back the memory of the free slots below `touched`. The others have none, and looking would bring it.
    pub(super) fn give_back(&mut self, touched: usize) {
        let slots = self.clients.get_mut(..touched).unwrap_or_default();
        for run in slots.chunk_by_mut(|a, b| a.used == b.used) {
            if run.first().is_some_and(|client| client.used == 0) {
                memory::release(run.as_mut_bytes());
            }
        }
    }

    /// How many descriptors are held, and how many clients are connected.
    pub fn counts(&self) -> (usize, usize) {
        (self.held.count(), self.connected().count())
    }

    /// Who is the next to make room, if that is needed, and when, unless something comes from it until then. Those who are
    /// owed nothing have `silence` nanoseconds.
    pub(super) fn longest_waited_for(&self, silence: Nanos) -> Option<(usize, Nanos)> {
        let until = |client: &Client| {
            client.since.saturating_add(if session::busy(client) { FDHOLDER_PATIENCE } else { silence })
        };
        self.connected().map(|(slot, client)| (slot, until(client))).min_by_key(|(_, until)| *until)
    }

    /// Whether as many clients as may have a large answer waiting for them.
    pub(super) fn burdened(&self) -> bool {
        // Seldom are there so many clients at all.
        *self.top as usize > FDHOLDER_LARGE
            && self.connected().filter(|(_, client)| session::waits_for_much(client)).count() >= FDHOLDER_LARGE
    }

    pub(super) fn free(&self, max: usize) -> Option<usize> {
        let top = *self.top as usize;
        let free = self.clients.iter().take(top).position(|client| client.used == 0).unwrap_or(top);
        (free < self.clients.len() && self.connected().count() < max).then_some(free)
    }
}
