//! A scan directory in which everything happens that supervision knows, once; and what must be so afterwards.

use crate::scandir::*;
use std::collections::BTreeMap;
use std::fs;

/// Notes that it runs, says so to its logger, is ready, and ends when it is told to.
const WEB: &str = "#!/bin/sh\necho $$ >>$BASE/runs.web\necho line $$\necho >&3\nexec 3>&-\nexec sleep 1000\n";
const FINISH: &str = "#!/bin/sh\necho $4 >>$BASE/finishes.web\n";
const LOGGER: &str = "#!/bin/sh\nexec cat >>$BASE/log.web\n";
const PLAIN: &str = "#!/bin/sh\necho $$ >>$BASE/runs.plain\nexec sleep 1000 4>&-\n";
const NEEDY: &str = "#!/bin/sh\necho $$ >>$BASE/runs.needy\nexec sleep 1000\n";
const STUBBORN: &str = "#!/bin/sh\ntrap '' TERM\necho $$ >>$BASE/runs.stubborn\nwhile :; do sleep 1000; done\n";
const LATE: &str = "#!/bin/sh\necho $$ >>$BASE/runs.late\nexec sleep 1000\n";
const HANDLER: &str = "#!/bin/sh\necho x >>$BASE/handled\n";

const AT_ONCE: (&str, &str) = ("restart-delay", "1");

/// The engine, and what it has been made to do.
pub struct World {
    pub svscan: Svscan,
    /// Deaths of runs that were brought about.
    deaths: BTreeMap<&'static str, usize>,
}

impl World {
    /// Everything is up. `faults`: what the environment says of faults.
    pub fn new(faults: &str) -> World {
        let services: &[Service<'_>] = &[
            (
                "web",
                &[("run", WEB), ("finish", FINISH), NOTIFIES, AT_ONCE, ("log/run", LOGGER), ("log/restart-delay", "1")],
            ),
            ("plain", &[("run", PLAIN), ("lock-fd", "4"), AT_ONCE, ("finish", "no program\n")]),
            ("needy", &[("run", NEEDY), AT_ONCE, ("dependencies.d/web", "")]),
            ("stubborn", &[("run", STUBBORN), AT_ONCE]),
            ("broken", &[("run", "#!/nonexistent\n"), AT_ONCE]),
        ];
        let dir = ScanDir::new(services).script("SIGUSR1", HANDLER).script("stop-timeout", "300");
        let svscan = dir.start_by(&format!("LINCHPIN_FAULTS={faults} exec \"$@\""), "");
        let world = World { svscan, deaths: BTreeMap::new() };
        world.until_runs(&["web", "web/log", "plain", "needy", "stubborn"]);
        world
    }

    /// Services of which a run runs that they know.
    fn until_runs(&self, services: &[&str]) {
        let mut missing: Vec<&str> = Vec::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            missing.clear();
            missing.extend(services.iter().copied().filter(|name| !self.is_up(name)));
            if missing.is_empty() {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{missing:?} are not up: {}", self.svscan.log());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn is_up(&self, service: &str) -> bool {
        let Some(status) = self.svscan.try_status(service) else { return false };
        let waits = service == "web" && !status.ready;
        status.is_up() && !waits && self.has_run(service, status.pid)
    }

    /// Whether a run has noted its pid; those that note nothing have.
    fn has_run(&self, service: &str, pid: i32) -> bool {
        match self.lines(&format!("runs.{service}")) {
            lines if lines.is_empty() => service.ends_with("/log"),
            lines => lines.contains(&pid.to_string()),
        }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.svscan.base(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn kill(&mut self, service: &'static str) {
        let pid = self.svscan.status(service).pid;
        linchpin::sys::process::kill(pid, 9).unwrap();
        *self.deaths.entry(service).or_default() += 1;
        eventually(|| self.svscan.status(service).pid != pid);
    }

    fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "{what}: {}", self.svscan.log());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Everything happens.
    pub fn live(&mut self) {
        let mut events = self.svscan.listen("web");
        self.kill("web");
        events.until(b'd');
        events.until(b'D');
        events.until(b'u');
        events.until(b'U');
        self.until_runs(&["web"]);
        // What a logger has read it has lost, if it is killed before it has written it.
        self.until("the log is whole", || self.lines("log.web").len() == self.lines("runs.web").len());
        self.kill("web/log");
        self.until_runs(&["web/log"]);
        self.kill("plain");
        self.until_runs(&["plain"]);
        // Orders.
        self.svscan.ok("s6-svc -d web");
        events.until(b'D');
        *self.deaths.entry("web").or_default() += 1;
        let down = |world: &World, name: &str| {
            let status = world.svscan.status(name);
            status.pid == 0 && !status.want_up && status.ready
        };
        self.until("web is down", || down(self, "web"));
        self.svscan.send("web", b"ou");
        events.until(b'U');
        self.svscan.send("plain", b"dpcu");
        *self.deaths.entry("plain").or_default() += 1;
        self.until("plain is there again", || self.lines("runs.plain").len() > self.deaths["plain"]);
        self.until_runs(&["web", "plain"]);
        // A handler of a signal.
        self.svscan.signal(linchpin::sys::signal::number::USR1);
        self.until("the handler has run", || !self.lines("handled").is_empty());
        // Entries that come, get another name, and go.
        self.svscan.add("late", &[("run", LATE), AT_ONCE, ("log/run", "#!/bin/sh\nexec cat\n")]);
        self.svscan.ok("s6-svscanctl -a .");
        self.until_runs(&["late", "late/log"]);
        fs::rename(self.svscan.path("late"), self.svscan.path("later")).unwrap();
        self.svscan.ok("s6-svscanctl -a .");
        self.until("it has its name", || self.svscan.code("s6-svok later") == 0);
        let (run, logger) = (self.svscan.status("later").pid, self.svscan.status("later/log").pid);
        self.svscan.hide("later");
        self.svscan.ok("s6-svscanctl -an .");
        let gone = |pid: i32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
        self.until("it is gone", || gone(run) && gone(logger));
        self.until("it has no supervisor", || self.svscan.code("s6-svok .later") != 0);
        self.until("its logger has none", || self.svscan.code("s6-svok .later/log") != 0);
        // A supervisor that is told to exit is followed by another.
        let mut events = self.svscan.listen("plain");
        self.svscan.ok("s6-svc -dx plain");
        *self.deaths.entry("plain").or_default() += 1;
        events.until(b's');
        self.until_runs(&["plain"]);
    }

    /// All is as it must be.
    pub fn check(&self) {
        self.svscan.settle();
        let services = ["web", "web/log", "plain", "needy", "stubborn"];
        self.until_runs(&services);
        let mut pids: Vec<_> = services.iter().map(|name| self.svscan.status(name).pid).collect();
        pids.sort_unstable();
        let children = || {
            let mut children = self.svscan.children();
            children.sort_unstable();
            children
        };
        let deadline = std::time::Instant::now() + PATIENCE;
        while children() != pids {
            let whole = || std::process::Command::new("ps").args(["-o", "pid,ppid,stat,args", "-A"]).output().unwrap();
            assert!(
                std::time::Instant::now() < deadline,
                "children {:?}, services {pids:?}: {}{}",
                children(),
                self.svscan.log(),
                String::from_utf8_lossy(&whole().stdout)
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let broken = self.svscan.status("broken");
        assert_eq!((broken.pid, broken.want_up), (0, true));
        // Each run was started once, each finish of a run that ended too, and no line of a log is missing.
        let runs = self.lines("runs.web");
        assert_eq!(runs.len(), self.deaths["web"] + 1, "runs of web: {}", self.svscan.log());
        assert_eq!(self.lines("finishes.web"), runs[..runs.len() - 1], "finishes of web: {}", self.svscan.log());
        let lines: Vec<_> = runs.iter().map(|pid| format!("line {pid}")).collect();
        self.until("the log is whole", || self.lines("log.web") == lines);
        assert_eq!(self.lines("runs.plain").len(), self.deaths["plain"] + 1, "runs of plain: {}", self.svscan.log());
        for (name, starts) in [("needy", 1), ("stubborn", 1), ("late", 1)] {
            assert_eq!(self.lines(&format!("runs.{name}")).len(), starts, "runs of {name}: {}", self.svscan.log());
        }
        // The tally is exact: that of `plain` has begun anew with its supervisor.
        for (name, deaths) in [("web", self.deaths["web"]), ("web/log", 1), ("plain", 0), ("needy", 0)] {
            assert_eq!(self.svscan.deaths(name).len(), deaths, "deaths of {name}: {}", self.svscan.log());
        }
        assert_eq!(self.lines("handled").len(), 1, "{}", self.svscan.log());
        let names = fs::read_dir(self.svscan.path("web/supervise")).unwrap();
        let left: Vec<_> = names.map(|name| name.unwrap().file_name()).filter(|name| *name == "waiting").collect();
        assert!(left.is_empty());
    }

    /// What is open in the engine, by what it is.
    pub fn open(&self) -> BTreeMap<String, usize> {
        let mut open = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.svscan.pid())).unwrap() {
            let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
            let target = target.to_string_lossy().replace(&*self.svscan.base("").to_string_lossy(), "");
            let kind = target.split(':').next().unwrap_or_default().to_owned();
            *open.entry(kind).or_default() += 1;
        }
        open
    }

    /// Everything ends.
    pub fn stop(&mut self) {
        self.svscan.ok("s6-svscanctl -t .");
        let status = self.svscan.wait();
        assert_eq!(status.code(), Some(0), "{status}: {}", self.svscan.log());
        for service in ["web", "web/log", "plain", "needy", "stubborn", "broken"] {
            assert_eq!(self.svscan.status(service).pid, 0, "{service}: {}", self.svscan.log());
        }
        let runs = self.lines("runs.web");
        assert_eq!((runs.len(), self.lines("finishes.web")), (self.deaths["web"] + 1, runs.clone()));
        assert_eq!(self.lines("log.web").len(), runs.len());
    }

    /// Faults that were survived.
    pub fn faults(&self) -> usize {
        self.svscan.log().matches("which is survived").count()
    }
}
