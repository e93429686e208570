//! One fault at each point at which a service's message can be interrupted.

use crate::client::{self, Meeting};
use crate::scandir::{ScanDir, Svscan};
use crate::supervision::*;
use linchpin::sys::inject::{KINDS, POINTS};
use linchpin::sys::{fd, file};

fn held(svscan: &Svscan) -> String {
    svscan.text("s6-fdholder-list fdholder/s")
}

/// A service says everything that there is to say; answers how many faults that met. So many descriptors are open in
/// the end as when nothing fails.
fn speak(plan: &str, open: &mut Option<usize>) -> usize {
    eprintln!("LINCHPIN_FAULTS={plan}");
    let run = client::run();
    let dir = ScanDir::new(&[("web", &[("run", run.as_str()), ("notify-socket", "watchdog=1000s")])]);
    let meeting = Meeting::new(dir.path().parent().unwrap());
    let svscan = dir.start_by(&format!("LINCHPIN_FAULTS={plan} exec \"$@\""), "");
    let web = meeting.next();
    web.barrier();
    let open = *open.get_or_insert_with(|| svscan.fds());
    web.say("STATUS=begins");
    let (read, mut write) = fd::pipe().unwrap();
    web.say_with("FDSTORE=1\nFDNAME=pipe", &[read]);
    assert_eq!(held(&svscan), "fdstore:web:pipe", "{}", svscan.log());
    // What is let go of and stored under the same name in one message is there afterwards.
    let other = file::open(linchpin::sys::Fd::CWD, c"/dev/zero", rustix::fs::OFlags::RDONLY, 0).unwrap();
    web.say_with("FDSTOREREMOVE=1\nFDSTORE=1\nFDNAME=pipe", &[other]);
    assert_eq!(held(&svscan), "fdstore:web:pipe", "{}", svscan.log());
    let what = svscan.text("s6-fdholder-retrieve fdholder/s fdstore:web:pipe readlink /proc/self/fd/0");
    assert_eq!(what, "/dev/zero", "{}", svscan.log());
    assert!(!svscan.status("web").ready);
    web.say("READY=1\nSTATUS=serves\nWATCHDOG=1");
    eventually(|| svscan.status("web").ready);
    web.say("FDSTOREREMOVE=1\nFDNAME=pipe");
    assert_eq!(held(&svscan), "", "{}", svscan.log());
    for mut fd in [read, other] {
        fd.close();
    }
    // Nobody has the other end of the pipe any more.
    assert!(linchpin::sys::poll::is_hung_up(write), "{}", svscan.log());
    write.close();
    assert_eq!(svscan.status("web").pid, web.pid);
    eventually(|| svscan.fds() == open);
    svscan.log().matches("which is survived").count()
}

#[test]
fn what_a_service_says_is_heard_once() {
    let points = POINTS.iter().flat_map(|group| group.iter()).filter(|name| name.starts_with("notify."));
    let mut open = None;
    assert_eq!(speak("-", &mut open), 0);
    for (number, point) in points.enumerate() {
        for nth in 1..=3 {
            let faults = speak(&format!("{point}:{nth}:{}", KINDS[(number + nth) % KINDS.len()].0), &mut open);
            // What is stored is stored twice.
            assert_eq!(faults, usize::from(*point != "notify.stored" || nth < 3));
        }
    }
}
