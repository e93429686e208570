//! The arena, as it was found by a program that was entered again: every field of every record is checked, alone, against
//! the others, and against what the kernel says. What is wrong is reset to the safest truth, in the smallest unit that the
//! rest can be believed without, and told. No system call but through the [`Ledger`]: the same code runs on the host on
//! arenas that nothing ever wrote.
//!
//! While nothing is wrong, nothing is written: first everything is only looked at. A record that is believed wrongly costs
//! less than a healthy service that is started again; what may be half-done is believed.
//!
//! * [`header`]: what concerns the whole. The rooms of the other records have the rest, in their files `mend.rs`.

mod header;

use super::inbox::source;
use super::{Plan, Role};
use crate::fdholder;
use crate::limits::{FDHOLDER_CLIENTS, SERVICES};
use crate::rules;
use crate::service;
use crate::service::mend::Hints;
use crate::socket;
use crate::state::check::{Bound, Check, Rule, Violation};
use crate::state::claims::{Claims, Of};
use crate::state::layout::State;
use crate::state::ledger::Ledger;
use crate::state::{Epitaph, Held, Inbox, Job, Redo, Tables, Transfer};
use crate::sys::cell::LendCell;
use core::fmt::{self, Arguments};
use core::mem::offset_of;
use zerocopy::{FromZeros, IntoBytes};

/// Memory of a check.
static CLAIMS: LendCell<Claims> = LendCell::new(Claims::new());

/// After so many rounds of mending what is still not as it can be is given up as a whole. (One that is given up may leave
/// others without what they refer to.)
const GENTLE: usize = 4;
/// Rounds, at most.
const ROUNDS: usize = 16;

const REDO_RULES: &[Rule] = rules!(Redo:
    valid Bound::Most(service::redo::CHANGE, 0),
    spawned Bound::Most(service::redo::FINISH, 0),
    stamp_nano Bound::Most(999_999_999, 0),
    now Bound::Past,
);

const EPITAPH_RULES: &[Rule] = rules!(Epitaph:
    len Bound::Most(440, 0),
    signal Bound::Most(64, 0),
    time Bound::Past,
);

const JOB_RULES: &[Rule] = rules!(Job:
    used Bound::Most(1, 1),
    kind Bound::Most(4, 1),
    started Bound::Past,
    deadline Bound::Near(0),
);

/// Checks all of the arena and mends what is wrong; each thing is told to `say`, by its name.
pub fn mend(tables: &mut Tables, role: Role, ledger: &mut dyn Ledger, say: &mut dyn FnMut(Arguments<'_>)) {
    CLAIMS.lend(|claims| {
        mend_with(claims, tables, role, ledger, say);
        claims.discard();
    });
}

/// As [`mend`], with memory of the caller's.
pub fn mend_with(
    claims: &mut Claims,
    tables: &mut Tables,
    role: Role,
    ledger: &mut dyn Ledger,
    say: &mut dyn FnMut(Arguments<'_>),
) {
    tidy(tables, ledger);
    for round in 0..ROUNDS {
        let Some(violation) = violation(claims, tables, role, ledger) else { return };
        walk(tables, role, &mut Check::new(ledger, claims, true, say));
        if round >= GENTLE {
            give_up(tables, &violation, say);
        }
    }
}

/// What is wrong with the arena: the first thing that is found. There is nothing after [`mend`]. Nothing is changed.
pub fn violation(claims: &mut Claims, tables: &mut Tables, role: Role, ledger: &mut dyn Ledger) -> Option<Violation> {
    let say = &mut |_: Arguments<'_>| {};
    let mut check = Check::new(ledger, claims, false, say);
    walk(tables, role, &mut check);
    check.found
}

/// What was interrupted half-way and means nothing.
fn tidy(tables: &mut Tables, ledger: &mut dyn Ledger) {
    let Tables { header, services, held, redo, .. } = tables;
    if redo.valid == service::redo::CHANGE && service::mend::is_certain(&redo.before) {
        service::redo::complete(redo, services);
    }
    services.iter_mut().take(header.services_top as usize).for_each(service::mend::tidy);
    for held in held.iter_mut().take(header.held_top as usize) {
        fdholder::mend::tidy(held, ledger);
    }
}

/// All of it, in the order in which things are proven: who can prove what is his has it before others claim it.
fn walk(tables: &mut Tables, role: Role, check: &mut Check<'_>) {
    check.claims.take(tables.header.arena_fd); // we live in it
    header::fields(&mut tables.header, role, check);
    tops(tables, check);
    header::progress(tables, role, check);
    let in_progress = in_progress(tables, check);
    let stopping = Plan::of(&tables.header) != Plan::Run;
    let Tables { header, epitaph, inbox, transfer, jobs, services, held, notifies, allows, pending, clients, .. } =
        tables;
    let top = (header.services_top as usize).min(services.len());
    let services = services.get_mut(..top).unwrap_or_default();
    let held = held.get_mut(..header.held_top as usize).unwrap_or_default();

    for slot in 0..top {
        if in_progress != Some(slot) {
            service::mend::identity(services, slot, &Hints { notifies, held }, check);
        }
    }
    for slot in 0..top {
        let is_free = |slot: usize| in_progress == Some(slot);
        let partner = services.get(slot).and_then(|service| usize::try_from(service.partner).ok());
        if !is_free(slot) && !partner.is_some_and(is_free) {
            service::mend::link(services, slot, check);
        }
    }
    for (slot, service) in services.iter_mut().enumerate().filter(|(_, service)| service.used != 0) {
        service::mend::values(service, slot, header.services_top, check);
        service::mend::directory(service, slot, check);
    }
    header::descriptors(header, check);
    for (slot, held) in held.iter_mut().enumerate() {
        fdholder::mend::held(held, slot, check);
    }
    for (slot, service) in services.iter_mut().enumerate().filter(|(_, service)| service.used != 0) {
        service::mend::named_descriptors(service, slot, check);
    }
    // Those that are connected prove each other's ends before others claim them.
    let mut paired = [0u32; SERVICES / 32];
    for slot in 0..top {
        let partner = services.get(slot).and_then(|service| usize::try_from(service.partner).ok());
        let said = partner.is_some_and(|partner| partner < slot && paired[partner / 32] >> (partner % 32) & 1 != 0);
        if service::mend::pair(services, slot, said, check) {
            paired[slot / 32] |= 1 << (slot % 32);
        }
    }
    for slot in 0..top {
        let partner = services.get(slot).and_then(|service| usize::try_from(service.partner).ok());
        let other = partner.and_then(|partner| services.get(partner)).map_or(-1, |other| other.pipe_fd);
        let Some(service) = services.get_mut(slot).filter(|service| service.used != 0) else { continue };
        service::mend::descriptors(service, slot, paired[slot / 32] >> (slot % 32) & 1 != 0, other, check);
    }
    for (slot, service) in services.iter_mut().enumerate().filter(|(_, service)| service.used != 0) {
        if in_progress != Some(slot) {
            service::mend::process(service, slot, stopping, check);
            if service.notified != 0 || service.extras & service::extra::NOTIFY != 0 {
                if let Some(notify) = notifies.get_mut(slot) {
                    service::mend::notify(service, notify, slot, check);
                }
            }
        }
    }
    for (slot, client) in clients.iter_mut().enumerate().take(header.clients_top as usize) {
        let busy = client.serving != 0 || transfer.kind != 0 && transfer.slot as usize == slot;
        fdholder::mend::client(client, slot, busy, check);
    }
    header::late_descriptors(header, check);
    for (slot, job) in jobs.iter_mut().enumerate().filter(|(_, job)| job.used != 0) {
        let name = |_: &[u8], slot: usize, f: &mut fmt::Formatter<'_>| write!(f, "job in slot {slot}");
        check.fields(job.as_mut_bytes(), slot, JOB_RULES, name);
        let lives =
            job.pid > 0 && check.ledger.is_child(job.pid) && check.claims.take_key(Of::Process, &[job.pid.as_bytes()]);
        const GONE: &str = "its process is no child of ours: it is forgotten";
        // One that has no pid yet was not started.
        if job.pid != 0 && !lives && check.wrong(slot, &format_args!("job in slot {slot}"), GONE) {
            (job.used, job.pid) = (0, 0);
        }
    }
    for (slot, pending) in pending.iter_mut().enumerate().take(header.pending_top as usize) {
        socket::mend::pending(pending, slot, check);
    }
    for (slot, allow) in allows.iter_mut().enumerate() {
        if is_written(check, offset_of!(Tables, allows) + slot * size_of_val(allow)) {
            fdholder::mend::allow(allow, slot, check);
        }
    }
    progress(epitaph, inbox, transfer, check);
}

/// Whether anything may have been written at this offset of the tables.
fn is_written(check: &mut Check<'_>, at: usize) -> bool {
    let page = (offset_of!(State, tables) + at) / PAGE * PAGE;
    check.ledger.written(page).is_some_and(|data| data / PAGE * PAGE == page)
}

const PAGE: usize = 4096;

/// One more than the highest slot, `from` or above, of which `is_used` says that it is certainly in use; `from`, if there is
/// none. `base`: where the table begins. What was never written is not touched.
fn highest<T>(table: &[T], base: usize, from: usize, is_used: impl Fn(&T) -> bool, ledger: &mut dyn Ledger) -> usize {
    let (base, mut top, mut slot) = (offset_of!(State, tables) + base, from, from);
    while let Some(record) = table.get(slot) {
        let at = base + slot * size_of::<T>();
        match ledger.written(at) {
            None => break,
            Some(data) if data >= at + size_of::<T>() => slot = (data - base) / size_of::<T>(),
            // It begins in a page that was never written: that it is not in use is known without touching that.
            Some(data) if data > at => slot += 1,
            Some(_) => {
                slot += 1;
                top = if is_used(record) { slot } else { top };
            }
        }
    }
    top
}

/// Checks the numbers of slots that are looked at.
fn tops(tables: &mut Tables, check: &mut Check<'_>) {
    let Tables { header, services, held, clients, pending, .. } = tables;
    let start = |top: u32, len: usize| if top as usize > len { 0 } else { top as usize };
    let from = start(header.services_top, services.len());
    let services = highest(services, offset_of!(Tables, services), from, service::mend::is_certain, check.ledger);
    let from = start(header.held_top, held.len());
    let is_used = |held: &Held| held.used == 1 && fdholder::table::is_named(held);
    let held = highest(held, offset_of!(Tables, held), from, is_used, check.ledger);
    let from = start(header.clients_top, clients.len());
    let clients = highest(clients, offset_of!(Tables, clients), from, fdholder::mend::is_certain, check.ledger);
    let from = start(header.pending_top, pending.len());
    let pending = highest(pending, offset_of!(Tables, pending), from, |pending| pending.used == 1, check.ledger);
    for (top, right) in [
        (&mut header.services_top, services),
        (&mut header.held_top, held),
        (&mut header.clients_top, clients),
        (&mut header.pending_top, pending),
    ] {
        if *top as usize != right
            && check.wrong(0, &"the arena's header", "the number of its records is damaged: they are counted")
        {
            *top = right as u32;
        }
    }
}

/// The slot of the service of which an event, or a change, is on record. Its record may be anything between before and after.
fn in_progress(tables: &mut Tables, check: &mut Check<'_>) -> Option<usize> {
    let Tables { header, redo, services, .. } = tables;
    if redo.valid == 0 {
        return None;
    }
    let name = |_: &[u8], _: usize, f: &mut fmt::Formatter<'_>| f.write_str("the event in progress");
    check.fields(redo.as_mut_bytes(), 0, REDO_RULES, name);
    let slot = redo.slot as usize;
    let is_one = slot < header.services_top as usize && services.get(slot).is_some_and(|service| service.used == 1);
    if !(is_one && service::mend::is_certain(&redo.before))
        && check.wrong(0, &"the event in progress", "its record is damaged: it is given up")
    {
        redo.valid = 0;
    }
    if redo.valid == 0 {
        return None;
    }
    service::mend::values(&mut redo.before, slot, header.services_top, check);
    Some(slot)
}

/// Checks what was in progress besides.
fn progress(epitaph: &mut Epitaph, inbox: &mut Inbox, transfer: &mut Transfer, check: &mut Check<'_>) {
    let name = |_: &[u8], _: usize, f: &mut fmt::Formatter<'_>| f.write_str("the record of the last fault");
    check.fields(epitaph.as_mut_bytes(), 0, EPITAPH_RULES, name);
    let done = inbox.bytes.get(..inbox.done as usize);
    if inbox.source != 0
        && (inbox.source > source::READINESS || inbox.slot as usize >= SERVICES || done.is_none())
        && check.wrong(0, &"the input in progress", "its record is damaged: it is given up")
    {
        inbox.source = 0;
    }
    let is_slot = (transfer.slot as usize) < SERVICES.max(FDHOLDER_CLIENTS);
    if transfer.kind != 0
        && (!fdholder::transfer::intact(transfer) || !is_slot)
        && check.wrong(0, &"the message in progress", "its record is damaged: it is given up")
    {
        transfer.kind = 0;
    }
}

/// Gives up what could not be mended.
fn give_up(tables: &mut Tables, violation: &Violation, say: &mut dyn FnMut(Arguments<'_>)) {
    let Violation { what, slot } = *violation;
    say(format_args!("the records in slot {slot} are given up: {what}"));
    if let Some(service) = tables.services.get_mut(slot) {
        service.zero();
    }
    if let Some(held) = tables.held.get_mut(slot) {
        held.used = 0;
    }
    if let Some(client) = tables.clients.get_mut(slot) {
        client.used = 0;
    }
    (tables.redo.valid, tables.inbox.source, tables.transfer.kind) = (0, 0, 0);
}
