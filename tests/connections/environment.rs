//! What the environment of a handler tells of its client.

use crate::compare::{differ, everywhere, over_tcp};
use crate::stage::{Proto, Stage, end_and_output, owned};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A handler that waits for a line and then prints the environment that it was started with. (A shell's own changes it.)
const PRINT_LATER: &[&str] = &["sh", "-c", "echo up; read x; tr '\\0' '\\n' </proc/$$/environ"];

#[test]
fn a_handler_learns_who_its_client_is() {
    everywhere(|stage| {
        stage.serve(&[], &["env"]);
        let client = stage.connect();
        stage.environment("first", &client, 1, &[]);
        stage.finish();
        stage.log_tells("log", &[]);
    });
}

#[test]
fn connections_of_a_client_are_counted_from_one() {
    everywhere(|stage| {
        stage.serve(&["-v2"], PRINT_LATER);
        let [first, second, third] = [2, 3, 4].map(|status| {
            let client = stage.connect_up();
            stage.settled(status);
            client
        });
        second.say("\n");
        stage.environment("second", &second, 2, &[]);
        stage.settled(5);
        // Two are left.
        let fourth = stage.connect_up();
        stage.settled(6);
        for (label, client, number) in [("first", first, 1), ("third", third, 3), ("fourth", fourth, 3)] {
            client.say("\n");
            stage.environment(label, &client, number, &[]);
        }
        stage.settled(9);
        let fifth = stage.connect_up();
        fifth.say("\n");
        stage.environment("fifth", &fifth, 1, &[]);
        stage.finish();
    });
}

#[test]
fn what_the_server_inherits_of_another_connection_is_replaced() {
    everywhere(|stage| {
        let stale = match stage.proto {
            Proto::Ipc => &["PROTO", "IPCREMOTEEUID", "IPCREMOTEEGID", "IPCREMOTEPATH", "IPCCONNNUM"][..],
            _ => &["PROTO", "TCPREMOTEIP", "TCPREMOTEPORT", "TCPLOCALIP", "TCPLOCALPORT", "TCPCONNNUM"],
        };
        for name in stale {
            stage.set(name, "99");
        }
        stage.serve(&[], &["env"]);
        let client = stage.connect();
        stage.environment("client", &client, 1, &[]);
        stage.finish();
    });
}

#[test]
fn what_the_server_does_not_know_it_leaves_alone() {
    everywhere(|stage| {
        let left = match stage.proto {
            Proto::Ipc => ["IPCLOCALPATH=old", "TCPREMOTEIP=old", "IPCCONNMAX=old"],
            _ => ["TCPREMOTEHOST=old", "TCPREMOTEINFO=old", "TCPLOCALHOST=old"],
        };
        for (name, value) in left.iter().filter_map(|variable| variable.split_once('=')) {
            stage.set(name, value);
        }
        stage.set("EMPTY", "");
        stage.set("OTHER", "a=b c");
        stage.serve(&[], &["env"]);
        let client = stage.connect();
        stage.environment("client", &client, 1, &left);
        stage.finish();
    });
}

#[test]
fn the_local_address_is_the_one_that_the_server_is_bound_to() {
    over_tcp(|stage| {
        let any = if stage.proto == Proto::Tcp4 { "0.0.0.0" } else { "::" };
        let listener = TcpListener::bind((any, 0)).unwrap();
        stage.placed(&listener);
        let mut command = stage.server_command(&["-v2"], &["sh", "-c", "echo $TCPLOCALIP $TCPREMOTEIP"]);
        command.stdin(OwnedFd::from(listener));
        stage.start(command);
        let wanted = format!("{any} {}\n", stage.proto.ip());
        let said = stage.connect().rest();
        stage.spec("addresses", said, &wanted);
        stage.settled(3);
        let bound = format!("s6-tcpserverd: info: starting - bound to ip {any} port PORT");
        stage.finish();
        let log = stage.log();
        stage.spec("log", log.lines().next().unwrap_or_default(), &bound);
    });
}

/// The lines of a handler's `env` that belong to the protocol.
fn own(printed: &str) -> String {
    let mut lines: Vec<_> =
        printed.lines().filter(|line| line.starts_with("PROTO") || line.starts_with("IPC")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn without_credentials_nobody_is_named_and_nothing_is_counted() {
    differ(|stage| {
        stage.set("IPCREMOTEEUID", "99");
        stage.set("IPCREMOTEEGID", "99");
        stage.set("IPCCONNNUM", "99");
        stage.serve(&["-P", "-v2"], &["env"]);
        let client = stage.connect();
        stage.spec("environment", own(&client.rest()), "IPCCONNNUM=\nIPCREMOTEPATH=\nPROTO=IPC");
        stage.settled(3);
        stage.finish();
        let log = "starting|status: 0/40|allow ?:? pid A count ?/40|status: 1/40|end pid A uid ? exitcode 0|status: 0/40|\
                   received SIGTERM, quitting|exiting";
        let log: Vec<_> = log.split('|').map(|line| format!("s6-ipcserverd: info: {line}")).collect();
        stage.spec("log", stage.log(), &log.join("\n"));
    });
}

#[test]
fn the_last_of_two_opposite_options_counts() {
    differ(|stage| {
        stage.serve(&["-Pp"], &["env"]);
        let environment = own(&stage.connect().rest());
        stage.spec("-Pp", environment, "IPCCONNNUM=1\nIPCREMOTEEGID=0\nIPCREMOTEEUID=0\nIPCREMOTEPATH=\nPROTO=IPC");
        stage.finish();
        std::fs::remove_file(stage.path("s")).unwrap();
        stage.serve(&["-p", "-P"], &["env"]);
        let environment = own(&stage.connect().rest());
        stage.spec("-pP", environment, "IPCCONNNUM=\nIPCREMOTEPATH=\nPROTO=IPC");
        stage.finish();
    });
}

fn named(path: &Path) -> SocketAddrUnix {
    SocketAddrUnix::new(path.as_os_str().as_bytes()).unwrap()
}

/// What the handler of a client that is bound to `name` finds.
fn bound(stage: &Stage, name: &SocketAddrUnix) -> String {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, name).unwrap();
    rustix::net::connect(&socket, &named(&stage.path("s"))).unwrap();
    let printed = std::io::read_to_string(UnixStream::from(owned(socket))).unwrap();
    let path = printed.lines().find(|line| line.starts_with("IPCREMOTEPATH"));
    path.unwrap_or("nothing").replace(&stage.here().display().to_string(), "HERE")
}

#[test]
fn the_path_of_a_client_is_told() {
    differ(|stage| {
        stage.serve(&[], &["env"]);
        let path = named(&stage.path("client"));
        stage.spec("a path", bound(stage, &path), "IPCREMOTEPATH=HERE/client");
        let mut client = stage.bare("/usr/bin/s6-ipcclient");
        let said = end_and_output(client.args(["-p", "relative", "s", "sh", "-c", "cat <&6"]));
        let told = said.lines().find(|line| line.starts_with("IPCREMOTEPATH")).unwrap_or("nothing");
        stage.spec("a relative path", told, "IPCREMOTEPATH=relative");
        // An abstract name is no path.
        let name = format!("linchpin-{}-{:?}", std::process::id(), stage.maker);
        let name = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        stage.spec("an abstract name", bound(stage, &name), "IPCREMOTEPATH=");
        stage.finish();
    });
}

#[test]
fn the_longest_path_of_a_client_is_told() {
    differ(|stage| {
        stage.serve(&[], &["env"]);
        for length in [106, 107, 108] {
            let room = length - stage.here().to_str().unwrap().len() - 1;
            let path = named(&stage.path(&"x".repeat(room)));
            let told = bound(stage, &path);
            let told = told.strip_prefix("IPCREMOTEPATH=HERE/").map_or(0, |told| told.len() + length - room);
            stage.note(&format!("of {length} bytes"), told);
        }
        stage.finish();
    });
}

#[test]
fn users_are_told_apart() {
    differ(|stage| {
        stage.serve(&["-v2"], PRINT_LATER);
        let root = stage.connect_up();
        stage.settled(2);
        let nobody = stage.nobody("read up <&6; echo >&7; cat <&6").wait_with_output().unwrap();
        stage.settled(4);
        root.say("\n");
        let user = |id| format!("IPCCONNNUM=1\nIPCREMOTEEGID={id}\nIPCREMOTEEUID={id}\nIPCREMOTEPATH=\nPROTO=IPC");
        stage.spec("nobody", own(&String::from_utf8(nobody.stdout).unwrap()), &user("65534"));
        stage.spec("root", own(&root.rest()), &user("0"));
        stage.settled(5);
        stage.finish();
        let log = "starting|status: 0/40|allow 0:0 pid A count 1/40|status: 1/40|allow 65534:65534 pid B count 1/40|\
                   status: 2/40|end pid B uid 65534 exitcode 0|status: 1/40|end pid A uid 0 exitcode 0|status: 0/40|\
                   received SIGTERM, quitting|exiting";
        let log: Vec<_> = log.split('|').map(|line| format!("s6-ipcserverd: info: {line}")).collect();
        stage.spec("log", stage.log(), &log.join("\n"));
    });
}
