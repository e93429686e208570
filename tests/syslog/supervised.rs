//! socklog as a service whose socket is held for it.

use crate::beside::content;
use crate::holder::{AT_ONCE, engine};
use crate::scandir::eventually;
use std::os::unix::net::UnixDatagram;

#[test]
fn a_service_serves_the_socket_that_its_file_names_and_loses_nothing_when_it_dies() {
    let run = format!("#!/bin/sh\nexec {} socklog >>$BASE/lines\n", env!("CARGO_BIN_EXE_linchpin"));
    for (sockets, words) in [("0 unix:/dev/log\n", ""), ("unix:/dev/log\n", ""), ("0 unix:/dev/log\n", " -0")] {
        let run = run.replace(" >>", &format!("{words} >>"));
        let svscan = engine(&[("syslog", &[("run", &run), ("sockets", sockets), AT_ONCE])]);
        let (path, lines) = (svscan.base("log"), svscan.base("lines"));
        svscan.store("unix:/dev/log", UnixDatagram::bind(&path).unwrap());
        let client = UnixDatagram::unbound().unwrap();
        client.connect(&path).unwrap();
        let mut expected = String::new();
        for death in 0..4 {
            let pid = svscan.pid_of("syslog");
            for n in 0..5 {
                client.send(format!("<30>{death}.{n}").as_bytes()).unwrap();
                expected.push_str(&format!("daemon.info: {death}.{n}\n"));
            }
            eventually(|| content(&lines) == expected);
            // The last one is out of the queue when it waits for the next; before that it could come twice.
            eventually(|| content(format!("/proc/{pid}/stat").as_ref()).contains(") S "));
            linchpin::sys::process::kill(pid, if death % 2 == 0 { 9 } else { 15 }).unwrap();
            // While nobody serves the socket.
            for n in 5..8 {
                client.send(format!("<30>{death}.{n}").as_bytes()).unwrap();
                expected.push_str(&format!("daemon.info: {death}.{n}\n"));
            }
            eventually(|| svscan.try_status("syslog").is_some_and(|status| status.is_up() && status.pid != pid));
        }
        eventually(|| content(&lines) == expected);
    }
}
