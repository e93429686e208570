//! A log becomes an archive: it gets the archive's name, loses its own, and the oldest archives go.

use super::names::{Names, of_archive};
use super::place::Place;
use super::{Report, Settings, trim};
use crate::sys::{Errno, append, dir, entry};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::{fault_errno, fault_point};
use core::ffi::CStr;
use core::ops::ControlFlow;

/// Names that are tried: each one that is taken is that of an archive that came from elsewhere meanwhile.
const TRIES: usize = 1000;

/// How a log ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It was complete, and has been processed if anything is.
    Rotated,
    /// Its logger died.
    Unclean,
}

/// What archiving needs to know of a logdir.
pub struct Archiver {
    names: Names,
    /// Whether the archives that there were have been looked at.
    looked: bool,
}

impl Archiver {
    /// For one logdir.
    pub fn new() -> Archiver {
        Archiver { names: Names::new(), looked: false }
    }

    /// Makes `file` an archive, if it is there. One that has a second name was made one already, by a logger that died
    /// before it could take the first one away. Trims then; that this fails is said, but is no error.
    pub fn archive(
        &mut self,
        place: &Place,
        file: &CStr,
        end: End,
        settings: &Settings,
        report: &Report<'_>,
    ) -> Result<(), Errno> {
        let Some(status) = append::status(place.dir, file)? else { return Ok(()) };
        let moved = !status.linked && self.name(place, file, end)?;
        fault_point!("log.linked");
        if !moved {
            entry::remove(place.dir, file)?;
        }
        fault_point!("log.unlinked");
        if let Err(e) = trim::trim(place, settings, report) {
            report.warn(format_args!("unable to trim logdir {place}: {}", Reason(e)));
        }
        fault_point!("log.archived");
        Ok(())
    }

    /// Gives `file` the name of an archive; true: instead of its own one.
    fn name(&mut self, place: &Place, file: &CStr, end: End) -> Result<bool, Errno> {
        if !self.looked {
            dir::visit(place.dir, c".", |file, _| {
                if let Some(name) = of_archive(file.to_bytes()) {
                    self.names.seen(&name);
                }
                ControlFlow::Continue(())
            })?;
            self.looked = true;
        }
        for _ in 0..TRIES {
            let suffix: &[u8] = if end == End::Rotated { b".s" } else { b".u" };
            let name = CPath::<32>::of(&[&self.names.next().to_text(), suffix]);
            let linked = fault_errno!("log.link").and_then(|()| append::link(place.dir, file, name.path()?));
            match linked {
                Ok(()) => return Ok(false),
                Err(Errno::EXIST) => {}
                // A file system without second names, or a file of somebody else's.
                Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                    match append::rename_new(place.dir, file, name.path()?) {
                        Err(Errno::EXIST) => {}
                        done => return done.map(|()| true),
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Err(Errno::EXIST)
    }
}
