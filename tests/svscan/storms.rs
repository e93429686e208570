//! Many things at once, and what is left after them: nothing.

use crate::scandir::*;
use linchpin::sys::process;

/// xorshift64*: repeatable from its seed.
pub struct Random(u64);

impl Random {
    /// From `$LINCHPIN_SEED`, else from the clock. The seed is printed, to be seen when the test fails.
    pub fn new() -> Random {
        let clock =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
        let seed = std::env::var("LINCHPIN_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
        eprintln!("LINCHPIN_SEED={seed}");
        Random(seed)
    }

    /// A number less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// The service's process is dead, now. (It may be so already, and somebody else may have its pid.)
pub fn kill(svscan: &Svscan, name: &str) {
    let Some(pid) = svscan.try_status(name).map(|status| status.pid).filter(|pid| *pid > 1) else { return };
    if std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(svscan.base(""))) {
        let _ = process::kill(pid, 9);
    }
}

/// Whether a service is down, wanted so, and has its supervisor.
pub fn down(svscan: &Svscan, name: &str) -> bool {
    svscan.try_status(name).is_some_and(|status| status.pid == 0 && !status.want_up)
        && svscan.code(&format!("s6-svok {name}")) == 0
}

#[test]
fn after_a_storm_every_descriptor_and_every_child_is_accounted_for() {
    let mut random = Random::new();
    let plain: &[(&str, &str)] = &[("run", READY), NOTIFIES, DOWN, ("lock-fd", "4")];
    let logged: &[(&str, &str)] = &[
        ("run", "#!/bin/sh\necho started\nexec sleep 1000\n"),
        ("finish", "#!/bin/sh\nexit 0\n"),
        DOWN,
        ("log/run", "#!/bin/sh\nexec cat >/dev/null\n"),
        ("log/down", ""),
    ];
    let names: Vec<_> = (0..10).map(|n| format!("s{n}")).collect();
    let services: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (name.as_str(), if n % 2 == 0 { plain } else { logged })).collect();
    let svscan = Svscan::new(&services);
    let loggers: Vec<_> = names.iter().skip(1).step_by(2).map(|name| format!("{name}/log")).collect();
    let all = || names.iter().chain(&loggers);
    eventually(|| all().all(|name| down(&svscan, name)));
    svscan.settle();
    let before = svscan.fds();
    let order = |name: &str, bytes: &[u8]| {
        svscan.send(name, bytes); // there may be nobody at the moment
    };
    for _ in 0..600 {
        let name = names[random.below(names.len())].clone();
        let logger = format!("{name}/log");
        match random.below(12) {
            0..=3 => order(&name, b"u"),
            4 => order(&logger, b"u"),
            5 => order(&name, b"d"),
            6 => order(&logger, b"x"),
            7 => order(&name, b"xk"),
            8 => {
                kill(&svscan, &name);
                kill(&svscan, &logger);
            }
            9 if svscan.path(&name).exists() => {
                svscan.hide(&name);
                svscan.ok(["s6-svscanctl -an .", "s6-svscanctl -a .", "s6-svscanctl -aN ."][random.below(3)]);
            }
            10 if !svscan.path(&name).exists() => {
                svscan.unhide(&name);
                svscan.ok("s6-svscanctl -a .");
            }
            _ => svscan.ok("s6-svscanctl -zan ."),
        }
    }
    for name in names.iter().filter(|name| !svscan.path(name).exists()) {
        svscan.unhide(name);
    }
    svscan.ok("s6-svscanctl -a .");
    eventually(|| all().all(|name| svscan.send(name, b"d") && down(&svscan, name)));
    eventually(|| svscan.children().is_empty());
    eventually(|| svscan.fds() == before);
    // And all of it is still of use.
    for name in all() {
        svscan.ok(&format!("s6-svc -wu -T 20000 -u {name}"));
    }
    assert_eq!(svscan.children().len(), names.len() + loggers.len());
}

#[test]
fn thousands_of_restarts_leave_nothing_behind() {
    let svscan = Svscan::new(&[("a", &[("run", "#!/bin/sh\nexit 0\n"), DOWN, ("max-death-tally", "4096"), NOTIFIES])]);
    let mut events = svscan.listen("a");
    svscan.settle();
    let before = svscan.fds();
    for _ in 0..1000 {
        assert!(svscan.send("a", b"o"));
        events.until(b'D');
    }
    eventually(|| svscan.fds() == before);
    assert!(svscan.children().is_empty());
    assert_eq!(svscan.deaths("a").len(), 1000);
}
