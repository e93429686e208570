//! `supervise`.

use crate::engine::{open_in, returns};
use crate::supervision::*;
use crate::tmp::TempDir;
use linchpin::sys::inject::FIRST_SIGNAL;
use linchpin::sys::process;
use std::process::{Child, Command, Stdio};

struct Alone {
    base: TempDir,
    child: Child,
}

impl Alone {
    /// From the directory above, by a relative name: where it is when it is entered again that name leads nowhere.
    fn new(files: &[(&str, &str)]) -> Alone {
        let base = TempDir::new();
        make_service(&base.path().join("web"), files);
        let mut events = Listener::new(&base.path().join("web"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
        command.args(["supervise", "web"]).current_dir(base.path()).stdin(Stdio::null());
        let log = std::fs::File::create(base.path().join("log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        events.until(b'u');
        Alone { base, child }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.base.path().join("log")).unwrap()
    }

    fn fail(&self) {
        let before = returns(&self.log());
        process::kill(self.child.id() as i32, FIRST_SIGNAL).unwrap();
        eventually(|| returns(&self.log()) > before);
    }

    fn text(&self, command: &str) -> String {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).current_dir(self.base.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}; {}", self.log());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        kill_services(self.base.path());
    }
}

#[test]
fn a_service_alone_keeps_its_process_and_obeys() {
    let mut alone = Alone::new(&[("run", READY), NOTIFIES]);
    alone.text("s6-svwait -U -t 30000 web");
    let (shown, open) = (alone.text("s6-svstat -o up,ready,pid web"), open_in(alone.child.id() as i32));
    for _ in 0..100 {
        alone.fail();
        assert_eq!(open_in(alone.child.id() as i32), open);
    }
    assert_eq!(alone.text("s6-svstat -o up,ready,pid web"), shown);
    alone.text("s6-svc -rwR -T 30000 web");
    assert_ne!(alone.text("s6-svstat -o up,ready,pid web"), shown);
    alone.text("s6-svc -dx web");
    assert_eq!(end_of(&mut alone.child).and_then(|status| status.code()), Some(0), "{}", alone.log());
}

#[test]
fn what_it_was_told_before_it_does_after() {
    let run = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1000; done\n";
    let mut alone = Alone::new(&[("run", run), ("timeout-kill", "1000\n")]);
    alone.text("s6-svc -dx web");
    alone.fail();
    assert_eq!(end_of(&mut alone.child).and_then(|status| status.code()), Some(0), "{}", alone.log());
}
