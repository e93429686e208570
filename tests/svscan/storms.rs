//! Many things at once, and what is left after them: nothing.

use crate::scandir::*;
use linchpin::sys::process;

/// xorshift64*: repeatable from its seed.
struct Random(u64);

impl Random {
    /// From `$LINCHPIN_SEED`, else from the clock. The seed is printed, to be seen when the test fails.
    fn new() -> Random {
        let clock =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
        let seed = std::env::var("LINCHPIN_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
        eprintln!("LINCHPIN_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// The service's process is dead, now.
fn kill(svscan: &Svscan, name: &str) {
    if let Some(pid) = svscan.try_status(name).map(|status| status.pid).filter(|pid| *pid > 0) {
        let _ = process::kill(pid, 9);
    }
}

fn down(svscan: &Svscan, name: &str) -> bool {
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
fn after_ten_thousand_random_orders_every_service_is_what_it_was_last_told_to_be() {
    let mut random = Random::new();
    let names: Vec<_> = (0..20).map(|n| format!("s{n:02}")).collect();
    let kinds: [&[(&str, &str)]; 3] = [
        &[("run", SLEEPER)],
        &[("run", READY), NOTIFIES, ("finish", "#!/bin/sh\nexit 0\n"), ("timeout-kill", "10")],
        &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n")],
    ];
    let services: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.as_str(), kinds[n % 3])).collect();
    let svscan = Svscan::new(&services);
    let letters = b"abqhkti12pcyrlPCKoduDUxOQ";
    for _ in 0..1000 {
        let name = &names[random.below(names.len())];
        let bytes: Vec<u8> = (0..10)
            .map(|_| if random.below(8) == 0 { random.below(256) as u8 } else { letters[random.below(letters.len())] })
            .collect();
        if !svscan.send(name, &bytes) {
            // Between two supervisors: somebody else gets them.
            svscan.send(&names[random.below(names.len())], &bytes);
        }
        if random.below(10) == 0 {
            kill(&svscan, &names[random.below(names.len())]);
        }
    }
    for (n, name) in names.iter().enumerate() {
        let up = random.below(2) == 0;
        // An order given to a supervisor that is on its way out is lost with it: what is so for good is not.
        eventually(|| {
            svscan.send(name, if up { b"cU" } else { b"D" });
            let Some(status) = svscan.try_status(name) else { return false };
            let as_told = match up {
                true => n % 3 == 2 || status.is_up() && status.want_up && !status.paused,
                false => status.pid == 0 && !status.want_up,
            };
            as_told && svscan.path(name).join("down").exists() != up
        });
        if n % 3 != 2 {
            assert_eq!(svscan.status(name).is_up(), up);
        }
    }
    svscan.settle();
    let up = names.iter().filter(|name| svscan.status(name).pid > 0).count();
    eventually(|| svscan.children().len() <= up);
    assert!(!svscan.log().contains("panic"));
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
