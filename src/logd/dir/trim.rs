//! Which archives go: those of the smallest names, until there are no more than may be.

use super::names::{Name, of_archive};
use super::place::Place;
use super::{Report, Settings};
use crate::limits::LOG_TRIM;
use crate::sys::{Errno, append, dir, entry};
use crate::text::CPath;
use crate::text::errno::Reason;
use core::ops::ControlFlow;
use heapless::Vec;

/// What trimming needs of a directory.
trait Archives {
    /// Calls `visit` with the name and the bytes of every archive, in any order.
    fn each(&mut self, visit: &mut dyn FnMut(Name, u64)) -> Result<(), Errno>;

    /// Removes one; false: its bytes are still there.
    fn remove(&mut self, name: &Name) -> bool;
}

/// Removes archives so that no more are left than `settings` allow. Says what goes wrong. The error is why the directory
/// could not be read.
pub fn trim(place: &Place, settings: &Settings, report: &Report<'_>) -> Result<(), Errno> {
    struct There<'a> {
        place: &'a Place,
        sizes: bool,
        report: &'a Report<'a>,
    }
    impl Archives for There<'_> {
        fn each(&mut self, visit: &mut dyn FnMut(Name, u64)) -> Result<(), Errno> {
            dir::visit(self.place.dir, c".", |file, _| {
                if let Some(name) = of_archive(file.to_bytes()) {
                    let status = if self.sizes { append::status(self.place.dir, file) } else { Ok(None) };
                    visit(name, status.ok().flatten().map_or(0, |status| status.size));
                }
                ControlFlow::Continue(())
            })
        }

        fn remove(&mut self, name: &Name) -> bool {
            let path = CPath::<32>::of(&[name]);
            let removed = crate::fault_errno!("log.trim").and_then(|()| entry::remove(self.place.dir, path.path()?));
            if let Err(e) = removed {
                let name = core::str::from_utf8(name).unwrap_or_default();
                self.report.warn(format_args!("unable to unlink {}/{name}: {}", self.place, Reason(e)));
            }
            crate::fault_point!("log.trimmed");
            removed.is_ok() || removed == Err(Errno::NOENT)
        }
    }
    let mut there = There { place, sizes: settings.total > 0, report };
    trim_archives::<LOG_TRIM>(&mut there, settings.archives.into(), settings.total)
}

/// As [`trim`]: at most `most` archives, of at most `total` bytes together (0: any number), with a table of `N`. What could
/// not be removed counts as gone, as in s6; its bytes do not.
fn trim_archives<const N: usize>(archives: &mut dyn Archives, most: u64, total: u64) -> Result<(), Errno> {
    let (mut count, mut bytes) = (0u64, 0u64);
    let mut oldest = Oldest::<N>::new();
    archives.each(&mut |name, size| {
        count += 1;
        bytes = bytes.saturating_add(size);
        oldest.offer(name, size);
    })?;
    loop {
        for (name, size) in &oldest.kept {
            if count <= most && (total == 0 || bytes <= total) {
                return Ok(());
            }
            count = count.saturating_sub(1);
            if archives.remove(name) {
                bytes = bytes.saturating_sub(*size);
            }
        }
        // Each turn goes on behind the last name of the one before.
        if !oldest.go_on() {
            return Ok(());
        }
        archives.each(&mut |name, size| oldest.offer(name, size))?;
    }
}

/// The first of many names, in their order.
struct Oldest<const N: usize> {
    kept: Vec<(Name, u64), N>,
    /// Only those behind this one are wanted.
    behind: Option<Name>,
}

impl<const N: usize> Oldest<N> {
    fn new() -> Oldest<N> {
        Oldest { kept: Vec::new(), behind: None }
    }

    fn offer(&mut self, name: Name, size: u64) {
        if self.behind.is_some_and(|behind| name <= behind) {
            return;
        }
        if self.kept.is_full() {
            if self.kept.last().is_some_and(|(last, _)| name > *last) {
                return;
            }
            self.kept.pop();
        }
        let at = self.kept.partition_point(|(kept, _)| *kept < name);
        let _ = self.kept.insert(at, (name, size));
    }

    /// Forgets those that it has, for those that follow. False: there are none.
    fn go_on(&mut self) -> bool {
        let full = self.kept.is_full();
        self.behind = self.kept.last().map(|(name, _)| *name);
        self.kept.clear();
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    struct Fake {
        there: std::vec::Vec<(Name, u64)>,
        /// Names that cannot be removed.
        stubborn: BTreeSet<Name>,
        removed: std::vec::Vec<Name>,
        reads: usize,
    }

    impl Archives for Fake {
        fn each(&mut self, visit: &mut dyn FnMut(Name, u64)) -> Result<(), Errno> {
            self.reads += 1;
            self.there.iter().for_each(|(name, size)| visit(*name, *size));
            Ok(())
        }

        fn remove(&mut self, name: &Name) -> bool {
            self.removed.push(*name);
            let stays = self.stubborn.contains(name);
            self.there.retain(|(there, _)| there != name || stays);
            !stays
        }
    }

    fn name(number: u64) -> Name {
        format!("@{number:024x}.s").into_bytes().try_into().unwrap()
    }

    /// What s6 does: sort, remove from the front.
    fn expected(fake: &Fake, most: u64, total: u64) -> std::vec::Vec<Name> {
        let mut sorted = fake.there.clone();
        sorted.sort();
        let (mut count, mut bytes) = (sorted.len() as u64, sorted.iter().map(|(_, size)| size).sum::<u64>());
        let mut removed = std::vec::Vec::new();
        for (name, size) in sorted {
            if count <= most && (total == 0 || bytes <= total) {
                break;
            }
            removed.push(name);
            count -= count.min(1);
            bytes -= if fake.stubborn.contains(&name) { 0 } else { size };
        }
        removed
    }

    proptest! {
        #[test]
        fn the_same_go_as_if_all_were_sorted_however_small_the_table(
            files in proptest::collection::btree_map(0u64..500, 0u64..1000, 0..60),
            stubborn in proptest::collection::btree_set(0u64..500, 0..40),
            order in any::<u64>(),
            most in 0u64..70,
            total in prop_oneof![Just(0), 0u64..40_000],
        ) {
            let mut there: std::vec::Vec<_> = files.into_iter().map(|(number, size)| (name(number), size)).collect();
            let key = |name: &Name| name.iter().fold(order, |sum, byte| sum.wrapping_mul(31).rotate_left(7) ^ u64::from(*byte));
            there.sort_by_key(|(name, _)| key(name));
            let stubborn = stubborn.into_iter().map(name).collect();
            let mut fake = Fake { there, stubborn, removed: vec![], reads: 0 };
            let wanted = expected(&fake, most, total);
            trim_archives::<4>(&mut fake, most, total).unwrap();
            prop_assert_eq!(&fake.removed, &wanted);
            prop_assert!(fake.reads <= 2 + wanted.len() / 4);
        }
    }

    #[test]
    fn ten_thousand_archives_are_brought_down_to_ten() {
        let there = (0..10_000u64).map(|number| (name(number * 7919 % 10_007), 1)).collect();
        let mut fake = Fake { there, stubborn: BTreeSet::new(), removed: vec![], reads: 0 };
        trim_archives::<LOG_TRIM>(&mut fake, 10, 0).unwrap();
        let mut left: std::vec::Vec<_> = fake.there.iter().map(|(name, _)| *name).collect();
        left.sort();
        assert_eq!((left.len(), fake.removed.len()), (10, 9990));
        assert!(left.iter().all(|left| left > fake.removed.last().unwrap()));
    }
}
