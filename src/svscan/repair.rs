//! What is opened again that a record has lost: mending leaves -1 where no open descriptor is what the record means. Names
//! lead to most of it: the scan directory and what is in it, a service's directory, its control FIFO, its lock.

use super::Role;
use super::engine::{Engine, token};
use super::start::reopen_scandir;
use crate::service::{files, label, supervisor};
use crate::state::Service;
use crate::sys::epoll::{Flags, Token};
use crate::sys::memory::commit;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::errno::Reason;
use crate::{notice, warning};

impl Engine {
    /// Opens again what is missing; what nobody names is closed already, so that no lock of ours is in its way.
    pub(super) fn repair(&mut self) {
        if !matches!(self.config.role, Role::Supervise(_)) {
            self.repair_scandir();
        }
        let scandir = Fd(self.tables.header.scandir_fd);
        for slot in 0..self.high {
            let is_whole = |service: &Service| service.dir_fd >= 0 && service.control_fd >= 0 && service.lock_fd >= 0;
            let lacks = |service: &&mut Service| service.used != 0 && service.supervised != 0 && !is_whole(service);
            let Some(service) = self.tables.services.get_mut(slot).filter(lacks) else { continue };
            let alone = self.config.role.only_service().is_some();
            match reopen(service, scandir, alone) {
                Ok(()) => notice!("{}: what its record had lost is open again", label(service)),
                Err(e) => warning!("{}: cannot open again what its record has lost: {}", label(service), Reason(e)),
            }
            self.derive(slot);
        }
    }

    fn repair_scandir(&mut self) {
        let header = &mut self.tables.header;
        if header.scandir_fd >= 0 && header.control_fd >= 0 && header.lock_fd >= 0 && header.null_fd >= 0 {
            return;
        }
        let had_control = header.control_fd >= 0;
        match reopen_scandir(header) {
            Ok(()) => notice!("what the arena's header had lost is open again"),
            Err(e) => warning!("cannot open again what the arena's header has lost: {}", Reason(e)),
        }
        let control = Fd(header.control_fd);
        if !had_control && control.is_some() {
            let token = Token { kind: token::CONTROL, slot: 0, generation: 0 };
            if let Err(e) = self.epoll.add(control, token, Flags::IN) {
                warning!("cannot watch .s6-svscan/control: {}", Reason(e));
            }
        }
    }
}

/// Opens what a supervised service lacks. ENOENT: another directory has its name.
fn reopen(service: &mut Service, scandir: Fd, alone: bool) -> Result<()> {
    if service.dir_fd < 0 {
        let path = supervisor::name(service);
        let mut dir = if alone { file::open_dir(Fd::CWD, c".")? } else { file::open_dir(scandir, path.path()?)? };
        let stat = rustix::fs::fstat(dir)?;
        if (stat.st_dev as u64, stat.st_ino as u64) != (service.dev, service.ino) {
            dir.close();
            return Err(Errno::NOENT);
        }
        service.dir_fd = dir.0;
        commit(service);
    }
    let dir = Fd(service.dir_fd);
    if service.lock_fd < 0 {
        service.lock_fd = file::lock(dir, c"supervise/lock", 0o644)?.0;
        commit(service);
    }
    if service.control_fd < 0 {
        service.control_fd = files::open_control(dir)?.0;
        commit(service);
    }
    Ok(())
}
