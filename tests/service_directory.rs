//! Our side of a service directory, without an engine behind it, as the clients of s6 see it (Debian's package `s6`):
//! what the codecs write is what those read, and what those write is read.

use linchpin::service::event::{self, Access};
use linchpin::service::files::{self, Prepared};
use linchpin::service::status::{self, Status};
use linchpin::service::tally::{self, Record};
use linchpin::service::{client, command};
use linchpin::sys::{Fd, file};
use linchpin::text::tai::Stamp;
use std::ffi::CString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A service directory that this process supervises.
struct Service {
    path: PathBuf,
    dir: Fd,
    held: Prepared,
}

impl Service {
    fn new() -> Service {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("linchpin-directory-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        let dir = file::open_dir(Fd::CWD, &CString::new(path.to_str().unwrap()).unwrap()).unwrap();
        let held = files::prepare(dir).unwrap();
        Service { path, dir, held }
    }

    /// A client of s6 with the service directory as its last word: exit code and output.
    fn s6(&self, command: &str) -> (i32, String) {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap())
            .args(words)
            .arg(&self.path)
            .stderr(Stdio::null())
            .output()
            .expect("the clients of the package s6 are needed for this test");
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    /// Commands that have come.
    fn commands(&self) -> Vec<u8> {
        let mut buf = [0; 64];
        let n = file::read_fifo(self.held.control, &mut buf).unwrap().unwrap_or(0);
        buf[..n].to_vec()
    }

    /// Waits until somebody listens.
    fn until_listener(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let listens = || {
            std::fs::read_dir(self.path.join("event"))
                .unwrap()
                .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("ftrig1:@"))
        };
        while !listens() {
            assert!(Instant::now() < deadline, "nobody listens");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.held.lock.close();
        self.held.control.close();
        self.dir.close();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[test]
fn s6_svok_sees_our_lock() {
    let mut service = Service::new();
    assert_eq!(service.s6("s6-svok").0, 0);
    // Opening and closing the lock file again, as our own clients do, must not lose it.
    assert_eq!(client::is_supervised(service.dir), Ok(true));
    assert_eq!(service.s6("s6-svok").0, 0);
    service.held.lock.close();
    assert_eq!(service.s6("s6-svok").0, 1);
}

#[test]
fn s6_svc_reaches_our_control_fifo() {
    let service = Service::new();
    assert_eq!(service.s6("s6-svc -abqhkti12pcyroduDUxOQ").0, 0);
    let sent = service.commands();
    assert_eq!(sent, b"abqhkti12pcyroduDUxOQ");
    assert!(sent.iter().all(|byte| command::Command::from_byte(*byte).is_some()));
    assert_eq!(service.s6("s6-svc").0, 0);
    assert_eq!(service.commands(), b"");
}

#[test]
fn s6_svstat_reads_our_status() {
    let service = Service::new();
    let stamp = Stamp::now();
    let up = Status { stamp, ready_stamp: stamp, pid: 4711, want_up: true, ready: true, ..Status::default() };
    status::write(service.dir, &up).unwrap();
    assert_eq!(service.s6("s6-svstat -o up,wantedup,ready,paused,pid").1, "true true true false 4711\n");
    let text = String::from_utf8(stamp.to_text().to_vec()).unwrap();
    assert_eq!(service.s6("s6-svstat -o updownsince,readysince").1, format!("{text} {text}\n"));
    let killed = Status { pid: 0, wstat: 9, ..up };
    status::write(service.dir, &killed).unwrap();
    assert_eq!(service.s6("s6-svstat -o up,exitcode,signal,signum").1, "false -1 SIGKILL 9\n");
    let finishing = Status { pid: 4712, finishing: true, ready: false, wstat: 3 << 8, ..up };
    status::write(service.dir, &finishing).unwrap();
    assert_eq!(service.s6("s6-svstat -o up,pid,exitcode").1, "false -1 3\n");
    // Fresh from us (s6-svstat takes a second or two to be another age).
    assert!((0..3).any(|age| service.s6("s6-svstat -t").1 == format!("{age}\n")));
}

#[test]
fn s6_svdt_reads_our_tally() {
    let service = Service::new();
    tally::clear(service.dir).unwrap();
    assert_eq!(service.s6("s6-svdt"), (0, String::new()));
    let stamp = Stamp::from_unix(1_795_339_528, 0);
    for wstat in [0, 7 << 8, 9, 0x8b] {
        tally::append(service.dir, &Record::new(stamp, wstat), 3).unwrap();
    }
    let text = String::from_utf8(stamp.to_text().to_vec()).unwrap();
    let expected = format!("{text} exitcode 7\n{text} signal SIGKILL\n{text} signal SIGSEGV\n");
    assert_eq!(service.s6("s6-svdt"), (0, expected));
}

#[test]
fn s6_ftrig_wait_hears_our_events() {
    let service = Service::new();
    let listener = Command::new("s6-ftrig-wait")
        .args(["-t", "20000"])
        .arg(service.path.join("event"))
        .arg("U")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    service.until_listener();
    assert_eq!(event::notify(service.dir, c"event", b"uU").unwrap().told, 1);
    assert_eq!(listener.wait_with_output().unwrap().stdout, b"U\n");
}

#[test]
fn s6_svwait_follows_our_status_and_events() {
    let service = Service::new();
    let down = Status { ready: true, ..Status::default() };
    status::write(service.dir, &down).unwrap();
    let mut waiting = Command::new("s6-svwait").args(["-U", "-t", "20000"]).arg(&service.path).spawn().unwrap();
    service.until_listener();
    event::notify(service.dir, c"event", b"u").unwrap();
    event::notify(service.dir, c"event", b"U").unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
    status::write(service.dir, &down).unwrap();
    assert_eq!(service.s6("s6-svwait -D -t 20000").0, 0);
}

#[test]
fn our_subscription_hears_s6_ftrig_notify() {
    let service = Service::new();
    let mut subscription = event::Subscription::open(service.dir, c"event").unwrap();
    let done = Command::new("s6-ftrig-notify").arg(service.path.join("event")).arg("uUd").status().unwrap();
    assert!(done.success());
    let mut buf = [0; 8];
    assert_eq!(subscription.read(&mut buf), Ok(Some(3)));
    assert_eq!(&buf[..3], b"uUd");
    subscription.close();
}

#[test]
fn s6_makes_fifodirs_as_we_do() {
    let service = Service::new();
    event::make(service.dir, c"public", Access::Public).unwrap();
    assert!(Command::new("s6-mkfifodir").arg(service.path.join("theirs")).status().unwrap().success());
    let mode = |name| std::os::unix::fs::MetadataExt::mode(&service.path.join(name).metadata().unwrap());
    assert_eq!(mode("public"), mode("theirs"));
}
