//! Orders: bytes on the control FIFOs, and signals.

use super::children::JobKind;
use super::engine::Engine;
use super::stop::Manner;
use super::{Dialect, Plan, Role, shutdown_signal};
use crate::service::command::{Command, Delivery, ScanCommand, Signal};
use crate::service::machine::{Event, Want};
use crate::service::{files, label};
use crate::state::leave;
use crate::sys::process::SpawnError;
use crate::sys::signal::{self, Received, number as sig};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::{info, notice, warning};

impl Engine {
    /// A byte of a service's control FIFO.
    pub(super) fn order(&mut self, slot: usize, byte: u8, now: Nanos) {
        let Some(command) = Command::from_byte(byte) else { return };
        if let Some(down) = command.down_file() {
            self.change_down_file(slot, down);
        }
        let event = match (command.delivery(), command) {
            (Some(Delivery { signal: Signal::Number(signal), group: false }), _) => Event::Signal(signal),
            (Some(Delivery { signal: Signal::Number(signal), group: true }), _) => Event::SignalGroup(signal),
            (Some(Delivery { signal: Signal::Down, .. }), _) => Event::Restart,
            (Some(Delivery { signal: Signal::Reload, .. }), _) => Event::Reload,
            (None, Command::Up | Command::UpForGood) => Event::Want(Want::Up),
            (None, Command::Down | Command::DownForGood) => Event::Want(Want::Down),
            (None, Command::Once) => Event::Want(Want::Once),
            (None, Command::AtMostOnce | Command::AtMostOnceForGood) => Event::Want(Want::AtMostOnce),
            (None, Command::Exit) => Event::Exit,
            (None, _) => return, // all others deliver a signal
        };
        self.drive(slot, event, now);
    }

    /// `U`, `D`, `Q`: the order outlives the supervisor.
    fn change_down_file(&self, slot: usize, down: bool) {
        if let Some(service) = self.tables.services.get(slot) {
            if let Err(e) = files::set_down(Fd(service.dir_fd), down) {
                warning!("{}: cannot change its file down: {}", label(service), Reason(e));
            }
        }
    }

    /// Bytes of the scan directory's control FIFO.
    pub(super) fn obey(&mut self, bytes: &[u8], now: Nanos) {
        let mut nuke = None;
        // The last plan counts, and so does the last manner: `tb` tells everybody to end, and waits for nobody.
        let (mut plan, mut manner) = (None, None);
        for byte in bytes.iter().filter(|byte| **byte != 0) {
            match ScanCommand::from_byte(*byte) {
                Some(ScanCommand::Reap) => self.more_deaths = true,
                Some(ScanCommand::Scan) => self.look_again(now),
                Some(ScanCommand::Rescan) => {
                    self.look_again(now);
                    nuke = Some(Manner::LoggersDrain);
                }
                Some(ScanCommand::Nuke) => nuke = Some(Manner::LoggersDrain),
                Some(ScanCommand::NukeAll) => nuke = Some(Manner::All),
                Some(ScanCommand::Terminate | ScanCommand::Interrupt) => {
                    (plan, manner) = (Some(self.leaving_plan()), Some(Manner::LoggersDrain));
                }
                Some(ScanCommand::Quit) => (plan, manner) = (Some(self.leaving_plan()), Some(Manner::All)),
                Some(ScanCommand::Abandon) => plan = self.leave_plan().or(plan),
                None => warning!("unknown byte {byte:#04x} on the control FIFO: ignored"),
            }
        }
        // Killing comes after scanning, whatever their order was.
        if nuke.is_some() && self.tables.header.scan_deadline == 1 {
            self.scan(now);
        }
        if let Some(manner) = nuke {
            self.nuke(manner, now);
        }
        if let Some(plan) = plan {
            self.stop(plan, manner, now);
        }
    }

    /// `b` and SIGABRT.
    fn leave_plan(&self) -> Option<Plan> {
        match self.config.role {
            Role::Svscan | Role::Supervise(_) => Some(Plan::Leave),
            Role::Init(_) => {
                warning!("process 1 does not leave its loop: the order is ignored");
                None
            }
        }
    }

    /// What follows when the scan directory is told to end.
    fn leaving_plan(&self) -> Plan {
        match self.config.role {
            Role::Svscan | Role::Supervise(_) => Plan::Finish,
            Role::Init(_) => Plan::Reboot,
        }
    }

    /// A signal.
    pub(super) fn signal(&mut self, received: Received, now: Nanos) {
        let signal = received.signal;
        #[cfg(feature = "faults")]
        if crate::sys::inject::ask(signal) {
            return;
        }
        match signal {
            sig::CHLD => self.more_deaths = true,
            _ if self.config.role.only_service().is_some() => self.supervise_signal(signal, now),
            sig::ALRM => self.look_again(now),
            // By this a program says that it has failed. To `svscan` it has another meaning.
            sig::ABRT if matches!(self.config.role, Role::Init(_)) => leave::leave_soon(&received),
            sig::ABRT => {
                if let Some(plan) = self.leave_plan() {
                    self.stop(plan, None, now);
                }
            }
            _ if self.divert(signal) => {}
            _ => match self.config.role {
                Role::Svscan | Role::Supervise(_) => self.svscan_signal(signal, now),
                Role::Init(dialect) => self.init_signal(dialect, received, now),
            },
        }
    }

    /// Somebody has changed something.
    fn look_again(&mut self, now: Nanos) {
        self.scan_soon();
        self.ask_for_sockets(now);
    }

    fn svscan_signal(&mut self, signal: i32, now: Nanos) {
        match signal {
            sig::HUP => {
                self.scan(now);
                self.nuke(Manner::LoggersDrain, now);
            }
            sig::INT | sig::TERM => self.stop(Plan::Finish, Some(Manner::LoggersDrain), now),
            sig::QUIT => self.stop(Plan::Finish, Some(Manner::All), now),
            _ => {}
        }
    }

    fn init_signal(&mut self, dialect: Dialect, received: Received, now: Nanos) {
        let plan = match (received.signal, dialect) {
            (shutdown_signal::HALT, _) | (sig::USR2, Dialect::S6) | (sig::USR1, Dialect::Busybox) => Plan::Halt,
            (shutdown_signal::POWEROFF, _) | (sig::USR1 | sig::PWR, Dialect::S6) => Plan::Poweroff,
            (sig::USR2 | sig::PWR, Dialect::Busybox) => Plan::Poweroff,
            (shutdown_signal::REBOOT | sig::INT, _) | (sig::TERM, Dialect::Busybox) => Plan::Reboot,
            (sig::HUP, _) => {
                self.ask_for_sockets(now);
                self.scan(now);
                return self.nuke(Manner::LoggersDrain, now);
            }
            _ => return info!("SIG{} from pid {}: ignored", signal::name(received.signal), received.pid),
        };
        if received.pid == 0 {
            notice!("{}: asked for by the kernel (ctrl-alt-del, power)", plan.name());
        } else {
            notice!("{}: asked for by pid {}, uid {}", plan.name(), received.pid, received.uid);
        }
        self.stop(plan, Some(Manner::LoggersDrain), now);
    }

    /// Runs `.s6-svscan/SIGxxx` in place of the built-in action, if there is one that can be run.
    fn divert(&mut self, signal: i32) -> bool {
        let name = signal::name(signal);
        let path = CPath::<32>::of(&[b".s6-svscan/SIG", name.as_bytes()]);
        let Ok(path) = path.path() else { return false };
        let scandir = Fd(self.tables.header.scandir_fd);
        match self.start_job(JobKind::SignalHandler, &[path], scandir, false, 0) {
            Ok(()) => true,
            Err(SpawnError::Exec(Errno::NOENT)) => false,
            // Whoever has a script for a signal does not want the built-in action.
            Err(why @ SpawnError::Setup(Errno::NFILE)) if file::exists(scandir, path) == Ok(true) => {
                warning!("cannot run .s6-svscan/SIG{name}: {}; the signal is ignored", Reason(why.errno()));
                true
            }
            Err(why) => {
                warning!("cannot run .s6-svscan/SIG{name}: {}; the built-in action is taken", Reason(why.errno()));
                false
            }
        }
    }
}
