//! Ten thousand random orders, with deaths and changed files between them: afterwards every service is what it was last
//! told to be, and nothing is left over. `LINCHPIN_SEED` repeats a run.

use crate::scandir::*;
use crate::storms::{Random, down, kill};
use linchpin::sys::Fd;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

/// Every letter of s6-svc.
const LETTERS: &[u8] = b"abqhkti12pcyrlPCKoduDUxOQ";
const BYTES: usize = 10_000;

/// What may be in a file of a service directory; `None`: there is no such file.
type Choices = (&'static str, &'static [Option<&'static str>]);

/// No script here has children: a SIGKILL leaves nobody behind.
const CHANGES: &[Choices] = &[
    (
        "run",
        &[
            Some(SLEEPER),
            Some("#!/bin/sh\nexec 2>/dev/null\necho >&3\nexec 3>&-\nexec sleep 1000\n"),
            Some("#!/bin/sh\nprintf half 2>/dev/null >&3\nexec sleep 1000\n"),
            Some("#!/bin/sh\ntrap '' TERM HUP INT\nexec sleep 1000\n"),
            Some("#!/bin/sh\nexit 1\n"),
            Some("#!/bin/sh\nexit 0\n"),
            Some("#!/nonexistent\n"),
            Some("no program\n"),
            None,
        ],
    ),
    (
        "finish",
        &[
            Some("#!/bin/sh\nexit 0\n"),
            Some("#!/bin/sh\nexit 125\n"),
            Some("#!/bin/sh\nexec sleep 0.01\n"),
            Some("#!/bin/sh\nexec sleep 1000\n"), // as long as it may
            Some("no program\n"),
            None,
        ],
    ),
    ("timeout-finish", &[Some("1\n"), Some("20\n"), Some("junk\n")]),
    ("notification-fd", &[Some("3\n"), Some("1\n"), Some("0\n"), Some("4294967295\n"), Some("three\n"), None]),
    ("lock-fd", &[Some("4\n"), Some("3\n"), Some("\n"), None]),
    ("timeout-kill", &[Some("1\n"), Some("50\n"), Some("-1\n"), None]),
    ("down-signal", &[Some("SIGKILL\n"), Some("usr1\n"), Some("99\n"), None]),
    ("reload-signal", &[Some("INT\n"), Some("SIGNOTHING\n"), None]),
    ("max-death-tally", &[Some("3\n"), Some("0\n"), Some("9999\n"), Some("many\n"), None]),
    ("down", &[Some(""), None]),
    ("flag-timeout-killpg", &[Some(""), None]),
    ("restart-delay", &[Some("10 100 50\n"), Some("soon\n"), Some(""), None]),
];

/// Puts a file in place, whole.
fn put(svscan: &Svscan, service: &str, name: &str, content: Option<&str>) {
    let path = svscan.path(service).join(name);
    let Some(content) = content else {
        let _ = fs::remove_file(path);
        return;
    };
    let new = svscan.base("new");
    fs::write(&new, content).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// The files of a service that does what it is told, and waits until it is.
fn make_docile(svscan: &Svscan, service: &str) {
    for (name, _) in CHANGES {
        let content = match *name {
            "run" => Some(SLEEPER),
            "down" => Some(""),
            // Orders come while it runs, too.
            "finish" => Some("#!/bin/sh\nexec sleep 0.05\n"),
            _ => None,
        };
        put(svscan, service, name, content);
    }
}

/// Waits until everything that was said so far has been heard.
fn until_heard(svscan: &Svscan, services: &[String]) {
    for service in services {
        let fifo = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(svscan.path(service).join("supervise/control"))
            .unwrap();
        eventually(|| rustix::io::ioctl_fionread(Fd(fifo.as_raw_fd())).unwrap() == 0);
    }
    svscan.settle();
}

/// Waits until all are down and wanted so, whatever they were told before.
fn bring_down(svscan: &Svscan, services: &[String]) {
    for service in services {
        eventually(|| svscan.send(service, b"dk") && down(svscan, service));
    }
    eventually(|| svscan.children().is_empty());
}

#[test]
fn after_ten_thousand_orders_deaths_and_changes_every_service_is_what_it_was_last_told_to_be() {
    let mut random = Random::new();
    let mut services: Vec<String> = (0..12).map(|n| format!("s{n:02}")).collect();
    let plain: &[(&str, &str)] = &[("run", SLEEPER), DOWN, ("timeout-finish", "20\n")];
    let logged: &[(&str, &str)] =
        &[("run", SLEEPER), DOWN, ("log/run", SLEEPER), ("log/down", ""), ("log/timeout-finish", "20\n")];
    let made: Vec<_> =
        services.iter().enumerate().map(|(n, name)| (name.as_str(), if n % 3 == 0 { logged } else { plain })).collect();
    let svscan = Svscan::new(&made);
    let loggers: Vec<_> = services.iter().step_by(3).map(|name| format!("{name}/log")).collect();
    services.extend(loggers);
    svscan.settle();
    let before = svscan.fds();

    let mut sent = 0;
    while sent < BYTES {
        let service = &services[random.below(services.len())];
        match random.below(20) {
            0 => kill(&svscan, service),
            1..=4 => {
                let (name, choices) = CHANGES[random.below(CHANGES.len())];
                put(&svscan, service, name, choices[random.below(choices.len())]);
            }
            5 => {
                // Not those that end it.
                let bytes = b"zanhN\0?z";
                let from = random.below(bytes.len());
                svscan.write(".s6-svscan/control", &bytes[from..]);
                sent += bytes.len() - from;
            }
            _ => {
                let mut bytes: Vec<u8> = (0..1 + random.below(16)).map(|_| LETTERS[random.below(25)]).collect();
                if random.below(8) == 0 {
                    bytes.push(random.below(256) as u8);
                }
                // There may be nobody at the moment: then they are lost, as they are to be.
                svscan.send(service, &bytes);
                sent += bytes.len();
            }
        }
    }

    until_heard(&svscan, &services);
    services.iter().for_each(|service| make_docile(&svscan, service));
    bring_down(&svscan, &services);
    eventually(|| svscan.fds() == before);

    // From here on all of them are there to listen: what is said once is enough.
    // (No `x` among it, and much that starts and kills.)
    let steady: Vec<u8> =
        b"uuuuUUokkkkkktthir".iter().chain(LETTERS).copied().filter(|letter| *letter != b'x').collect();
    let asked: Vec<_> = services
        .iter()
        .map(|service| {
            let mut orders: Vec<u8> = (0..random.below(30)).map(|_| steady[random.below(steady.len())]).collect();
            let up = random.below(2) == 0;
            orders.push(if up { b'u' } else { b'd' });
            let for_good = orders.iter().rev().find(|order| b"UDQ".contains(order));
            (service, up, for_good.is_none_or(|order| *order != b'U'), orders)
        })
        .collect();
    // Some at a time, with time between for something to come of them: so they meet runs and finishes.
    for round in 0..31 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        for (service, .., orders) in &asked {
            if let Some(some) = orders.chunks(2).nth(round) {
                assert!(svscan.send(service, some));
            }
        }
    }
    for (service, up, down_file, orders) in &asked {
        let as_told = || {
            let status = svscan.status(service);
            let there = svscan.path(service).join("down").exists();
            status.want_up == *up && status.is_up() == *up && (*up || status.pid == 0) && there == *down_file
        };
        let shown = String::from_utf8_lossy(orders);
        let deadline = std::time::Instant::now() + PATIENCE;
        while !as_told() {
            assert!(std::time::Instant::now() < deadline, "{service}: {shown}: {:?}", svscan.status(service));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    let up = asked.iter().filter(|(_, up, ..)| *up).count();
    eventually(|| svscan.children().len() == up);

    bring_down(&svscan, &services);
    eventually(|| svscan.fds() == before);
}
