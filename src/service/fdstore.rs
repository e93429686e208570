//! What services have stored through their notification sockets (`FDSTORE=1`): held descriptors, in the fd-holder's table,
//! so that they are seen and survive like all others. Each belongs to a service, by slot and generation.
//!
//! The identifier is `fdstore:SERVICE:FDNAME`; where that is taken, or FDNAME itself ends so, with `#N` after it.

use crate::fdholder::records::Now;
use crate::fdholder::server::far_limit;
use crate::fdholder::table::{self, New, Origin, Table};
use crate::limits::HELD_NAME;
use crate::state::Held;
use crate::state::slot::Handle;
use crate::sys::message::Sender;
use crate::sys::{Errno, Fd, file, poll};
use crate::text::notify::UNNAMED;
use crate::text::number::{Decimal, parse_u64};

/// The beginning of every identifier.
const PREFIX: &[u8] = b"fdstore:";

/// Whose descriptors.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Slot and generation of the service's record.
    pub handle: Handle,
    /// Its name.
    pub name: &'a [u8],
}

impl Owner<'_> {
    fn owns(&self, held: &Held) -> bool {
        owned_by(self.handle, held)
    }
}

fn owned_by(service: Handle, held: &Held) -> bool {
    Origin::of(held) == Origin::Service
        && usize::try_from(held.service) == Ok(service.slot)
        && held.service_generation == service.generation
}

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Gift<'a> {
    /// The descriptor; it is the caller's unless it is [`Outcome::Stored`].
    pub fd: Fd,
    /// What it is called.
    pub name: &'a [u8],
    /// It is to be let go of when its other side is gone.
    pub polled: bool,
    /// Who sent it.
    pub sender: Sender,
}

/// What has become of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is held, in this slot.
    Stored(usize),
    /// The same open file is held for the service already.
    Twice,
}

/// Holds a descriptor for a service. EDQUOT: the service has `most` already. ENAMETOOLONG: there is no identifier for it.
/// ENFILE: the table is full.
pub fn store(
    held: &mut Table<'_>,
    owner: Owner<'_>,
    most: usize,
    gift: &Gift<'_>,
    now: &Now,
) -> Result<Outcome, Errno> {
    let identity = file::identity(gift.fd).unwrap_or((0, 0));
    let (mut count, mut last) = (0, 0);
    for (slot, other) in held.iter().filter(|(_, other)| owner.owns(other)) {
        count += 1;
        if other.fd == gift.fd.0 {
            return Ok(Outcome::Stored(slot)); // before a fault
        }
        if (other.dev, other.ino) == identity && file::is_same(Fd(other.fd), gift.fd) {
            return Ok(Outcome::Twice);
        }
        let (name, number) = split(name_of(other, owner.name));
        if name == gift.name {
            last = last.max(number);
        }
    }
    if count >= most {
        return Err(Errno::DQUOT);
    }
    // Somebody else may have taken an identifier of this form.
    for number in last.saturating_add(1)..=last.saturating_add(16) {
        let id = identifier(owner.name, gift.name, number).ok_or(Errno::NAMETOOLONG)?;
        let new = New {
            id: &id,
            limit: far_limit(now),
            fd: gift.fd,
            origin: Origin::Service,
            pid: gift.sender.pid,
            uid: gift.sender.uid,
            now: now.boot,
            identity,
            owner: Some((owner.handle, gift.polled)),
        };
        match held.store(&new) {
            Err(Errno::BUSY) => {}
            Err(e) => return Err(e),
            Ok(slot) => return Ok(Outcome::Stored(slot)),
        }
    }
    Err(Errno::BUSY)
}

/// Lets go of what a service calls `name`: each descriptor is given to `close`.
pub fn remove(held: &mut Table<'_>, owner: Owner<'_>, name: &[u8], close: &mut dyn FnMut(Fd)) {
    for slot in 0..held.top() {
        let is_it = |held: &Held| owner.owns(held) && split(name_of(held, owner.name)).0 == name;
        if held.get(slot).is_some_and(is_it) {
            held.remove(slot).into_iter().for_each(&mut *close);
        }
    }
}

/// Lets go of all that a service has stored.
pub fn remove_all(held: &mut Table<'_>, service: Handle, close: &mut dyn FnMut(Fd)) {
    for slot in 0..held.top() {
        if held.get(slot).is_some_and(|held| owned_by(service, held)) {
            held.remove(slot).into_iter().for_each(&mut *close);
        }
    }
}

/// What a service has stored.
pub fn count(held: &Table<'_>, service: Handle) -> usize {
    held.iter().filter(|(_, held)| owned_by(service, held)).count()
}

/// The generation of a held descriptor, for a token: no two that follow each other in a slot have the same.
pub fn generation(held: &Held) -> u32 {
    held.checksum ^ held.stored as u32 ^ held.fd as u32
}

/// Lets go of the descriptor that an event on it is about, if it is that, and its other side is gone (or it reports an
/// error); `None`: it is not.
pub fn remove_hung_up(held: &mut Table<'_>, slot: usize, of_generation: u32) -> Option<Fd> {
    let known = held.get(slot)?;
    let is_it = known.polled != 0 && Origin::of(known) == Origin::Service && generation(known) == of_generation;
    if is_it && poll::is_hung_up(Fd(known.fd)) { held.remove(slot) } else { None }
}

/// The name that the service of this name gave what it has stored.
pub fn name<'a>(held: &'a Held, service: &[u8]) -> &'a [u8] {
    match split(name_of(held, service)).0 {
        b"" => UNNAMED,
        name => name,
    }
}

/// The name that the service gave it, and the number: what is left of the identifier without what is in
/// front of them.
fn name_of<'a>(held: &'a Held, service: &[u8]) -> &'a [u8] {
    let id = table::name(held).strip_prefix(PREFIX);
    id.and_then(|id| id.strip_prefix(service)).and_then(|id| id.strip_prefix(b":")).unwrap_or_default()
}

/// A name and the number behind it, which is 1 if there is none.
fn split(name: &[u8]) -> (&[u8], u64) {
    let Some(at) = name.iter().rposition(|byte| *byte == b'#') else { return (name, 1) };
    let number = name.get(at + 1..).and_then(parse_u64);
    number.map_or((name, 1), |number| (name.get(..at).unwrap_or_default(), number))
}

/// `None`: it is longer than an identifier may be.
fn identifier(service: &[u8], name: &[u8], number: u64) -> Option<heapless::Vec<u8, HELD_NAME>> {
    let mut id = heapless::Vec::new();
    for part in [PREFIX, service, b":", name] {
        id.extend_from_slice(part).ok()?;
    }
    // Who reads it takes a number off.
    if number > 1 || split(name) != (name, 1) {
        id.push(b'#').ok()?;
        id.extend_from_slice(Decimal::new(number).as_bytes()).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::notify::is_fd_name;
    use proptest::prelude::*;
    use zerocopy::FromZeros;

    const SENDER: Sender = Sender { pid: 7, uid: 8, gid: 9 };
    const WEB: Owner<'static> = Owner { handle: Handle { slot: 3, generation: 5 }, name: b"web" };

    struct Held64 {
        slots: Vec<Held>,
        top: u32,
    }

    impl Held64 {
        fn new() -> Held64 {
            Held64 { slots: (0..64).map(|_| Held::new_zeroed()).collect(), top: 0 }
        }

        fn table(&mut self) -> Table<'_> {
            Table::new(&mut self.slots, &mut self.top)
        }

        /// Stores one side of a new pipe; the other is closed.
        fn store(&mut self, owner: Owner<'_>, name: &str) -> Result<Outcome, Errno> {
            let (read, mut write) = Fd::pipe().unwrap();
            write.close();
            self.store_fd(owner, name, read)
        }

        fn store_fd(&mut self, owner: Owner<'_>, name: &str, fd: Fd) -> Result<Outcome, Errno> {
            let gift = Gift { fd, name: name.as_bytes(), polled: true, sender: SENDER };
            store(&mut self.table(), owner, 10, &gift, &Now::read())
        }

        fn ids(&mut self) -> Vec<String> {
            self.table().iter().map(|(_, held)| String::from_utf8(table::name(held).to_vec()).unwrap()).collect()
        }

        fn remove(&mut self, owner: Owner<'_>, name: &str) {
            remove(&mut self.table(), owner, name.as_bytes(), &mut |mut fd| {
                assert!(fd.is_open());
                fd.close();
            });
        }
    }

    impl Drop for Held64 {
        fn drop(&mut self) {
            self.table().iter().for_each(|(_, held)| Fd(held.fd).close());
        }
    }

    #[test]
    fn each_has_an_identifier_of_its_own_and_remembers_whose_it_is() {
        let mut held = Held64::new();
        for name in ["a", "a", "b", "a#2", "a", "x#"] {
            assert!(matches!(held.store(WEB, name), Ok(Outcome::Stored(_))), "{name}");
        }
        let expected = ["web:a", "web:a#2", "web:b", "web:a#2#1", "web:a#3", "web:x#"];
        assert_eq!(held.ids(), expected.map(|id| format!("fdstore:{id}")));
        assert_eq!(count(&held.table(), WEB.handle), 6);
        assert_eq!(count(&held.table(), Handle { slot: 3, generation: 6 }), 0);
        let first = &held.slots[0];
        assert_eq!((first.uid, first.pid, first.polled), (8, 7, 1));
    }

    #[test]
    fn a_name_is_let_go_of_with_all_its_numbers_and_no_other() {
        let mut held = Held64::new();
        let other = Owner { handle: Handle { slot: 4, generation: 5 }, name: b"web:a" };
        for (owner, name) in [(WEB, "a"), (WEB, "a"), (WEB, "a#2"), (WEB, "ab"), (other, "a")] {
            held.store(owner, name).unwrap();
        }
        held.remove(WEB, "a");
        assert_eq!(held.ids(), ["fdstore:web:a#2#1", "fdstore:web:ab", "fdstore:web:a:a"]);
        held.remove(WEB, "a#2");
        assert_eq!(held.ids(), ["fdstore:web:ab", "fdstore:web:a:a"]);
        remove_all(&mut held.table(), WEB.handle, &mut |mut fd| fd.close());
        assert_eq!(held.ids(), ["fdstore:web:a:a"]);
    }

    #[test]
    fn the_same_open_file_is_held_once_and_another_one_of_the_same_inode_is_held_too() {
        let mut held = Held64::new();
        let open = || file::open(Fd::CWD, c"/dev/null", rustix::fs::OFlags::RDONLY, 0).unwrap();
        let (first, mut other) = (open(), open());
        let mut same = first.duplicate(0).unwrap();
        assert!(matches!(held.store_fd(WEB, "a", first), Ok(Outcome::Stored(_))));
        assert_eq!(held.store_fd(WEB, "b", same), Ok(Outcome::Twice));
        same.close();
        match held.store_fd(WEB, "a", other) {
            Ok(Outcome::Stored(_)) => {}
            Ok(Outcome::Twice) => panic!("two open files of one inode are two"),
            Err(_) => other.close(),
        }
        assert_eq!(held.ids(), ["fdstore:web:a", "fdstore:web:a#2"]);
    }

    #[test]
    fn a_service_has_so_many_and_no_more_and_others_have_theirs() {
        let mut held = Held64::new();
        for _ in 0..10 {
            held.store(WEB, "a").unwrap();
        }
        let mut fd = file::open(Fd::CWD, c"/dev/null", rustix::fs::OFlags::RDONLY, 0).unwrap();
        assert_eq!(held.store_fd(WEB, "a", fd), Err(Errno::DQUOT));
        assert!(fd.is_open(), "it is the caller's still");
        fd.close();
        let other = Owner { handle: Handle { slot: 4, generation: 5 }, name: b"web" };
        held.store(other, "a").unwrap();
        assert_eq!(held.ids().last().unwrap(), "fdstore:web:a#11");
    }

    #[test]
    fn a_name_that_makes_the_identifier_too_long_is_refused() {
        let mut held = Held64::new();
        let longest = HELD_NAME - "fdstore:web:".len();
        held.store(WEB, &"n".repeat(longest)).unwrap();
        let (mut read, mut write) = Fd::pipe().unwrap();
        for name in ["n".repeat(longest), "n".repeat(longest + 1)] {
            assert_eq!(held.store_fd(WEB, &name, read), Err(Errno::NAMETOOLONG));
        }
        read.close();
        write.close();
    }

    #[test]
    fn who_has_hung_up_is_let_go_of_but_not_on_an_event_for_another() {
        let mut held = Held64::new();
        let Ok(Outcome::Stored(slot)) = held.store(WEB, "gone") else { panic!("not stored") };
        let (read, mut write) = Fd::pipe().unwrap();
        let Ok(Outcome::Stored(alive)) = held.store_fd(WEB, "alive", read) else { panic!("not stored") };
        let (of_gone, of_alive) = (generation(&held.slots[slot]), generation(&held.slots[alive]));
        assert_eq!(remove_hung_up(&mut held.table(), slot, of_alive), None);
        assert_eq!(remove_hung_up(&mut held.table(), alive, of_alive), None);
        let mut fd = remove_hung_up(&mut held.table(), slot, of_gone).unwrap();
        assert!(fd.is_open());
        fd.close();
        assert_eq!(held.ids(), ["fdstore:web:alive"]);
        write.close();
    }

    proptest! {
        #[test]
        fn a_name_is_found_again_in_its_identifier(
            service in "[a-z:#0-9]{1,12}", name in "[a#:0-9 ]{1,12}", number in 1u64..1000,
        ) {
            prop_assume!(is_fd_name(name.as_bytes()));
            let id = identifier(service.as_bytes(), name.as_bytes(), number).unwrap();
            let mut held = Box::new(Held::new_zeroed());
            held.name[..id.len()].copy_from_slice(&id);
            held.name_len = id.len() as u8;
            prop_assert_eq!(split(name_of(&held, service.as_bytes())), (name.as_bytes(), number));
        }
    }
}
