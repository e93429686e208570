//! Going on as another binary, when a client of the fd-holder asks for it (`linchpin reexec`): at the end of a turn of the
//! loop, when nothing is in progress, all that must survive is handed over, and the binary is executed. If it cannot be,
//! nothing has changed. What the client is told then, it is told by the binary that goes on.

use super::engine::Engine;
use super::start::inherited;
use crate::fault_point;
use crate::fdholder::records::{Now, Records};
use crate::fdholder::upgrade::{self, Asked};
use crate::has::UPGRADE;
use crate::state::handover::{self, Asker, NOBODY_GOES_ON};
use crate::sys::fd::close_all_on_exec;
use crate::sys::{Errno, Fd, Result, elf};
use crate::text::errno::Reason;
use crate::{notice, warning};

impl Engine {
    /// Does what clients have asked of the process as a whole.
    pub(super) fn grant_wishes(&mut self) {
        while let Some(holder) = self.holder.as_mut().filter(|_| UPGRADE) {
            let Some((slot, asked)) = holder.take_asker(&Records::of(self.tables)) else { return };
            let answer = match asked {
                Asked::HandOver => handover::make(self.tables, Fd(self.tables.header.exe_fd), Asker::NONE),
                Asked::Enter(binary) => Err(self.go_on_as(slot, binary)),
            };
            self.answer_asker(slot, answer);
            if let Ok(mut handover) = answer {
                handover.close();
            }
        }
    }

    fn answer_asker(&mut self, slot: usize, answer: Result<Fd>) {
        if let Some(holder) = &mut self.holder {
            holder.answer_asker(slot, answer, &mut Records::of(self.tables), &self.epoll, &Now::read());
        }
    }

    /// Goes on as `binary`, asked by the client in `slot`. Comes back with the reason if that cannot be.
    fn go_on_as(&mut self, slot: usize, binary: Fd) -> Errno {
        if !binary.is_some() {
            return Errno::MFILE;
        }
        let Some(client) = self.tables.clients.get(slot) else { return Errno::INVAL };
        let (pid, uid) = (client.pid, client.uid);
        let asker = Asker { place: slot as u32 + 1, generation: client.generation };
        if let Err(unfit) = elf::examine(binary) {
            warning!("not going on as the binary that client pid {pid} uid {uid} has sent: {unfit}");
            return Errno::NOEXEC;
        }
        notice!("going on as another binary: client pid {pid} uid {uid} asks for it");
        fault_point!("upgrade.asked");
        let why = handover::enter(self.tables, binary, asker, &[self.epoll.fd(), self.signals]);
        close_all_on_exec(inherited(&self.tables.header));
        self.config.role.blocked().block();
        warning!("not going on as another binary: {}", Reason(why));
        why
    }

    /// Tells the client that has asked for this binary that it goes on.
    pub(super) fn tell_asker(&mut self) {
        if !UPGRADE {
            return;
        }
        let header = &self.tables.header;
        let (place, generation) = (header.asker, header.asker_generation);
        if place == NOBODY_GOES_ON {
            return self.refuse_askers();
        }
        let Some(slot) = (place as usize).checked_sub(1) else { return };
        if self.tables.clients.get(slot).is_some_and(|client| client.used != 0 && client.generation == generation) {
            fault_point!("upgrade.telling");
            self.answer_asker(slot, Ok(Fd::NONE));
        }
        self.tables.header.asker = 0;
    }

    /// The other binary could not take what it was handed: this one goes on, and so nothing has changed.
    fn refuse_askers(&mut self) {
        for slot in 0..self.tables.header.clients_top as usize {
            let client = self.tables.clients.get(slot);
            if matches!(client.and_then(upgrade::next), Some(Asked::Enter(_))) {
                self.answer_asker(slot, Err(Errno::NOEXEC));
            }
        }
        self.tables.header.asker = 0;
    }
}
