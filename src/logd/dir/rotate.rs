//! A rotation: `current` becomes an archive, a new one takes its place. One step after the other; a step that fails is tried
//! again, and after the death of the logger the next one recovers, whichever step it was.

use super::archive::End;
use super::place::{Doing, Failed};
use super::processor::{self, Ended};
use super::{Logdir, Report};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, append, entry, file};
use crate::{fault_errno, fault_point};
use core::ffi::CStr;
use rustix::fs::OFlags;

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// What has been written to `current` is put on its disk.
    Sync,
    /// `current` becomes `previous`.
    Rename,
    /// There is a new `current`.
    Create,
    /// `previous` is marked as complete.
    Mark,
    /// Those names are put on their disk.
    SyncNames,
    /// `previous` becomes an archive. The end, without a processor.
    Archive,
    /// The processor is started.
    Process,
    /// It runs.
    Wait,
    /// `processed` is put on its disk and marked as complete.
    SyncOutput,
    /// `newstate` is put on its disk.
    SyncState,
    /// The names of both are.
    SyncOutputNames,
    /// `previous` goes.
    Drop,
    /// `newstate` becomes `state`.
    KeepState,
    /// `processed` becomes an archive. The end.
    ArchiveOutput,
}

/// What kind of rotation it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Archives are processed.
    pub processed: bool,
    /// It must survive a power cut at any step: names are synced too, not only content.
    pub durable: bool,
}

impl Step {
    /// What follows; `None`: that was all.
    pub fn next(self, kind: Kind) -> Option<Step> {
        let next = match self {
            Step::Sync => Step::Rename,
            Step::Rename => Step::Create,
            Step::Create => Step::Mark,
            Step::Mark => Step::SyncNames,
            Step::SyncNames if kind.processed => Step::Process,
            Step::SyncNames => Step::Archive,
            Step::Process => Step::Wait,
            Step::Wait => Step::SyncOutput,
            Step::SyncOutput => Step::SyncState,
            Step::SyncState => Step::SyncOutputNames,
            Step::SyncOutputNames => Step::Drop,
            Step::Drop => Step::KeepState,
            Step::KeepState => Step::ArchiveOutput,
            Step::Archive | Step::ArchiveOutput => return None,
        };
        let is_needless = matches!(next, Step::SyncNames | Step::SyncOutputNames) && !kind.durable;
        if is_needless { next.next(kind) } else { Some(next) }
    }

    /// Whether `current` is the new one already, to which lines can be written.
    pub fn has_new_current(self) -> bool {
        !matches!(self, Step::Sync | Step::Rename | Step::Create | Step::Mark | Step::SyncNames)
    }
}

impl Logdir {
    /// Does the next step of a rotation, if there is one and it is time. Answers whether it is done.
    pub(super) fn advance(&mut self, now: Nanos, report: &Report<'_>) -> bool {
        let Some(step) = self.step.filter(|step| *step != Step::Wait && now >= self.step_retry) else { return false };
        match self.perform(step, now, report) {
            Ok(()) => {
                self.step = step.next(self.kind());
                self.step_retry = 0;
                true
            }
            Err(failed) => {
                report.warn(self.place.unable(&failed));
                self.step_retry = now.saturating_add(self.pause());
                // A processor that has left nothing has failed, whatever it says.
                if step == Step::SyncOutput && failed.why == Errno::NOENT {
                    self.step = Some(Step::Process);
                }
                false
            }
        }
    }

    fn kind(&self) -> Kind {
        Kind { processed: self.settings.processor.is_some(), durable: self.settings.gathers() }
    }

    fn perform(&mut self, step: Step, now: Nanos, report: &Report<'_>) -> Result<(), Failed> {
        let dir = self.place.dir;
        match step {
            Step::Sync => {
                let done = fault_errno!("log.sync").and_then(|()| file::sync(self.current));
                done.doing(&["fsync", "/current"])?;
                self.unsynced = false;
                fault_point!("log.synced");
            }
            Step::Rename => self.rename(report)?,
            Step::Create => {
                let made = fault_errno!("log.create").and_then(|()| append::open(dir, c"current"));
                let current = made.doing(&["open", "/current"])?;
                self.current.close();
                self.current = current;
                self.size = 0;
                self.since = now;
                fault_point!("log.created");
            }
            Step::Mark => {
                let complete = self.place.complete();
                let done = fault_errno!("log.mark").and_then(|()| entry::set_mode(dir, c"previous", complete));
                done.doing(&["chmod", "/previous"])?;
                fault_point!("log.marked");
            }
            Step::SyncNames | Step::SyncOutputNames => {
                let done = fault_errno!("log.names").and_then(|()| append::sync_dir(dir, c"."));
                done.doing(&["fsync", "/"])?;
            }
            Step::Archive => {
                let done = self.archiver.archive(&self.place, c"previous", End::Rotated, &self.settings, report);
                done.doing(&["finish previous .s to logdir", "/"])?;
            }
            Step::Process => {
                if let Some((interpreter, command)) = self.settings.processor {
                    self.processor = processor::start(&self.place, interpreter, command, report.cli.env())?;
                }
                fault_point!("log.spawned");
            }
            Step::Wait => {}
            Step::SyncOutput => {
                let complete = self.place.complete();
                let done = fault_errno!("log.output");
                done.and_then(|()| sync(dir, c"processed", Some(complete))).doing(&["fsync", "/processed"])?;
                fault_point!("log.output.synced");
            }
            Step::SyncState => {
                match sync(dir, c"newstate", None) {
                    // Somebody has removed it: the state stays as it is.
                    Err(Errno::NOENT) => Ok(()),
                    done => done.doing(&["fsync", "/newstate"]),
                }?;
                fault_point!("log.newstate");
            }
            Step::Drop => {
                let done = fault_errno!("log.drop").and_then(|()| entry::remove(dir, c"previous"));
                ignore_missing(done).doing(&["unlink", "/previous"])?;
                fault_point!("log.dropped");
            }
            Step::KeepState => {
                let done = entry::rename(dir, c"newstate", c"state");
                ignore_missing(done).doing(&["rename", "/newstate", "to", "/state"])?;
                fault_point!("log.kept");
            }
            Step::ArchiveOutput => {
                let done = self.archiver.archive(&self.place, c"processed", End::Rotated, &self.settings, report);
                done.doing(&["finish processed .s to logdir", "/"])?;
            }
        }
        Ok(())
    }

    fn rename(&mut self, report: &Report<'_>) -> Result<(), Failed> {
        const WHAT: &[&str] = &["rename", "/current", "to", "/previous"];
        let dir = self.place.dir;
        let rename = || fault_errno!("log.rename").and_then(|()| append::rename_new(dir, c"current", c"previous"));
        let mut done = rename();
        if done == Err(Errno::EXIST) {
            // None of a rotation of ours. s6 would write over it.
            let archived = self.archiver.archive(&self.place, c"previous", End::Unclean, &self.settings, report);
            archived.doing(&["finish previous .u to logdir", "/"])?;
            done = rename();
        }
        done.doing(WHAT)?;
        fault_point!("log.renamed");
        Ok(())
    }

    /// The processor has ended so.
    pub(super) fn processed(&mut self, ended: Ended, now: Nanos, report: &Report<'_>) {
        fault_point!("log.processed");
        self.processor = 0;
        match ended {
            Ended::Well => {
                self.step = Step::Wait.next(self.kind());
                return;
            }
            Ended::Failed => report.warn(format_args!("processor failed in {}", self.place)),
            Ended::Crashed => report.warn(format_args!("processor crashed in {}", self.place)),
        }
        self.step = Some(Step::Process);
        self.step_retry = now.saturating_add(self.pause());
    }
}

/// Puts a file on its disk, and gives it permissions, if there are any to give.
fn sync(dir: Fd, name: &CStr, mode: Option<u32>) -> Result<(), Errno> {
    let mut fd = file::open(dir, name, OFlags::WRONLY | OFlags::NONBLOCK, 0)?;
    let done = file::sync(fd).and_then(|()| mode.map_or(Ok(()), |mode| append::set_mode(fd, mode)));
    fd.close();
    done
}

fn ignore_missing(done: Result<(), Errno>) -> Result<(), Errno> {
    if done == Err(Errno::NOENT) { Ok(()) } else { done }
}

#[cfg(test)]
mod tests {
    use super::Step::*;
    use super::*;

    fn steps(processed: bool, durable: bool) -> Vec<Step> {
        let kind = Kind { processed, durable };
        std::iter::successors(Some(Sync), |step| step.next(kind)).collect()
    }

    #[test]
    fn a_rotation_has_these_steps() {
        assert_eq!(steps(false, false), [Sync, Rename, Create, Mark, Archive]);
        assert_eq!(steps(false, true), [Sync, Rename, Create, Mark, SyncNames, Archive]);
        let processed =
            [Sync, Rename, Create, Mark, Process, Wait, SyncOutput, SyncState, Drop, KeepState, ArchiveOutput];
        assert_eq!(steps(true, false), processed);
        let durable = [
            Sync,
            Rename,
            Create,
            Mark,
            SyncNames,
            Process,
            Wait,
            SyncOutput,
            SyncState,
            SyncOutputNames,
            Drop,
            KeepState,
            ArchiveOutput,
        ];
        assert_eq!(steps(true, true), durable);
    }

    #[test]
    fn what_is_written_during_a_rotation_never_gets_into_the_log_that_is_archived() {
        let (before, after): (Vec<_>, Vec<_>) = steps(true, true).into_iter().partition(|step| !step.has_new_current());
        assert_eq!((before.len(), after[0]), (5, Process));
        assert!(steps(false, false)[4].has_new_current());
    }
}
