//! Clients as people have them: logger(1) and syslog(3), over datagrams and streams.

use crate::beside::*;
use crate::server::*;
use crate::tmp::TempDir;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

fn has(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(program).exists());
    if !found {
        println!("skipped: there is no {program} here");
    }
    found
}

fn logger(socket: &Path, words: &[&str]) {
    let status = Command::new("logger").arg("-u").arg(socket).args(words).status().unwrap();
    assert!(status.success());
}

#[test]
fn logger_is_understood() {
    if !has("logger") {
        return;
    }
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let mut server = Server::at_log(&both, whose, &[]);
        logger(&log(&both), &["-p", "local3.err", "-t", "me", "it is broken"]);
        client(&both).send(b"end").unwrap();
        let line = String::from_utf8(server.lines_until("end")).unwrap();
        assert!(line.starts_with("local3.err: ") && line.ends_with(" me: it is broken\n"), "{whose:?}: {line}");
        server.signal(libc::SIGTERM);
        server.end();
    }
}

/// `s6-ipcserver log ucspilogd -2` in a directory; whoever ends, ends with it.
struct Stream {
    child: std::process::Child,
    dir: TempDir,
}

impl Stream {
    fn start(words: &[&str]) -> Stream {
        let dir = TempDir::new();
        let server = dir.command("s6-ipcserver");
        let ucspilogd = dir.command("ucspilogd");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"exec "$0" "$@" 2>&1"#]).arg(server);
        command.arg(dir.path().join("log")).arg(ucspilogd).arg("-2").args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).current_dir(dir.path());
        let stream = Stream { child: command.spawn().unwrap(), dir };
        eventually(|| UnixStream::connect(stream.dir.path().join("log")).is_ok());
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::with_capacity(1, self.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        linchpin::sys::process::kill(self.child.id() as i32, libc::SIGTERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn clients_that_want_a_stream_have_ipcserver_and_ucspilogd() {
    let mut stream = Stream::start(&["PROTO"]);
    let mut client = UnixStream::connect(stream.dir.path().join("log")).unwrap();
    client.write_all(b"<13>one\0<14>two\n<15>half").unwrap();
    assert_eq!(stream.line(), "IPC: user.notice: one\n");
    assert_eq!(stream.line(), "IPC: user.info: two\n");
    drop(client);
    assert_eq!(stream.line(), "IPC: user.debug: half\n");
    if has("logger") {
        logger(&stream.dir.path().join("log"), &["-p", "mail.crit", "-t", "me", "over a stream"]);
        let line = stream.line();
        assert!(line.starts_with("IPC: mail.crit: ") && line.ends_with(" me: over a stream\n"), "{line}");
    }
}

/// Runs `body` in a thread for which `/dev/log` is this socket.
#[allow(unsafe_code)]
fn with_dev_log<T: Send>(socket: &Path, body: impl FnOnce() -> T + Send) -> T {
    let dev = TempDir::new();
    std::os::unix::fs::symlink(socket, dev.path().join("log")).unwrap();
    let place = std::ffi::CString::new(dev.path().to_str().unwrap()).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let check = |done: i32| assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
            let none = std::ptr::null();
            // SAFETY: system calls with C strings that live as long as they do. The mount is this thread's alone.
            unsafe {
                check(libc::unshare(libc::CLONE_NEWNS));
                check(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()));
                check(libc::mount(place.as_ptr(), c"/dev".as_ptr(), none, libc::MS_BIND, none.cast()));
            }
            body()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[allow(unsafe_code)]
fn syslog(priority: i32, text: &std::ffi::CStr) {
    // SAFETY: C strings that live as long as they are used; closelog forgets the first one.
    unsafe {
        libc::openlog(c"tester".as_ptr(), libc::LOG_PID, libc::LOG_DAEMON);
        libc::syslog(priority, c"%s".as_ptr(), text.as_ptr());
        libc::closelog();
    }
}

#[test]
fn the_c_library_is_understood_over_datagrams_and_streams() {
    let both = Beside::new();
    let mut server = Server::at_log(&both, Ours, &[]);
    let mut stream = Stream::start(&[]);
    with_dev_log(&log(&both), || {
        syslog(libc::LOG_WARNING, c"two\nlines");
        syslog(libc::LOG_LOCAL7 | libc::LOG_DEBUG, c"end");
    });
    with_dev_log(&stream.dir.path().join("log"), || syslog(libc::LOG_ERR, c"over a stream"));
    let me = format!(" tester[{}]: ", std::process::id());
    let line = |server: &mut Server| {
        let mut line = String::new();
        BufReader::with_capacity(1, server.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line
    };
    let first = line(&mut server);
    assert!(first.starts_with("daemon.warn: ") && first.ends_with(&format!("{me}two~lines\n")), "{first}");
    let second = line(&mut server);
    assert!(second.starts_with("local7.debug: ") && second.ends_with(&format!("{me}end\n")), "{second}");
    let third = stream.line();
    assert!(third.starts_with("daemon.err: ") && third.ends_with(&format!("{me}over a stream\n")), "{third}");
    server.signal(libc::SIGTERM);
    server.end();
}
