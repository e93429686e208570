//! One service with `notify-socket` in a scan directory, and its processes.

use crate::client::{self, Meeting, Process};
use crate::scandir::{ScanDir, Svscan};
use crate::supervision::*;
use std::ops::Deref;
use std::path::PathBuf;

/// The engine, with a service `web` that its test speaks through.
pub struct Talking {
    svscan: Svscan,
    meeting: Meeting,
}

impl Deref for Talking {
    type Target = Svscan;

    fn deref(&self) -> &Svscan {
        &self.svscan
    }
}

impl Talking {
    /// `notify-socket` says `settings`.
    pub fn new(settings: &str) -> Talking {
        Talking::with(settings, &[], &[])
    }

    /// The same with more files, and with more services.
    pub fn with(settings: &str, files: &[(&str, &str)], others: &[Service<'_>]) -> Talking {
        let run = client::run();
        let mut own = vec![("run", run.as_str()), ("notify-socket", settings)];
        own.retain(|(name, _)| files.iter().all(|(other, _)| other != name));
        own.extend_from_slice(files);
        let services = [&[("web", &own[..])], others].concat();
        let dir = ScanDir::new(&services);
        let mut listeners: Vec<_> = services.iter().map(|(name, _)| Listener::new(&dir.path().join(name))).collect();
        let talking = Talking::start(dir);
        listeners.iter_mut().for_each(|listener| listener.until(b's'));
        talking
    }

    pub fn start(dir: ScanDir) -> Talking {
        let meeting = Meeting::new(dir.path().parent().unwrap());
        Talking { svscan: dir.start(""), meeting }
    }

    /// The next process of the service.
    pub fn next(&self) -> Process {
        self.meeting.next()
    }

    /// What `status` says of the service at the end of its line; empty, if nothing.
    pub fn shown(&self) -> String {
        let output = self.run(&format!("{} status . web", env!("CARGO_BIN_EXE_linchpin")));
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().nth(1).unwrap_or_else(|| panic!("no service: {text}")).to_owned();
        // The number of deaths is the last column that is always there.
        let cells: Vec<_> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        cells.get(6).map_or(String::new(), |cell| (*cell).to_owned())
    }

    /// Waits until [`Talking::shown`] is this.
    pub fn until_shown(&self, expected: &str) {
        let mut shown = String::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            shown = self.shown();
            if shown == expected {
                return;
            }
        }
        assert_eq!(shown, expected);
    }

    /// The socket of the service, and whatever else is there.
    pub fn sockets(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path("web/notify")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// What the fd-holder of the engine lists, in the order of the names.
    pub fn held(&self) -> Vec<String> {
        let list = self.text("s6-fdholder-list fdholder/s");
        let mut list: Vec<_> = list.lines().map(str::to_owned).collect();
        list.sort();
        list
    }

    /// Waits until a service is seen to be ready. (Of one that was started again that may be a little after it said so.)
    pub fn until_ready(&self, name: &str) {
        eventually(|| self.status(name).ready);
    }

    /// Open descriptors of the engine when it has told all there is to tell of a start.
    pub fn fds_at_rest(&self, process: &Process) -> usize {
        eventually(|| self.try_status("web").is_some_and(|status| status.pid == process.pid));
        process.barrier();
        self.fds()
    }

    /// Ends one process, and waits for the next.
    pub fn restart(&self, process: Process) -> Process {
        process.kill(9);
        drop(process);
        self.next()
    }
}
