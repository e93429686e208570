//! Sockets of the board: every kind is bound as the config says, and what cannot be bound yet is when it can. Who may use
//! the fd-holder besides root.

use crate::machine::Machine;
use crate::world::{World, is_root};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::collections::HashMap;

const LIST: &str = "s6-fdholder-list /service/fdholder/s";

/// Copies of the sockets that process 1 holds, by their addresses as the kernel tells them (unix: the path, `@` for the NUL
/// of an abstract name; IP: kind, address and port; netlink: family and groups).
fn held_sockets(machine: &mut Machine) -> HashMap<String, OwnedFd> {
    let numbers = machine.descriptors();
    let pid = Pid::from_raw(machine.pid() as i32).unwrap();
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let numbers = numbers.iter().filter_map(|line| line.split_once("=socket:")).map(|(number, _)| number);
    let copy = |number: &str| pidfd_getfd(&pidfd, number.parse().unwrap(), PidfdGetfdFlags::empty()).unwrap();
    numbers.map(copy).map(|fd| (address(&fd), fd)).collect()
}

fn address(fd: &OwnedFd) -> String {
    let mut bytes = [0u8; 128];
    let mut len = 128;
    // SAFETY: the kernel writes at most `len` bytes.
    #[allow(unsafe_code)]
    let done = unsafe { libc::getsockname(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut len) };
    assert_eq!(done, 0);
    let port = || u16::from_be_bytes([bytes[2], bytes[3]]);
    let kind = || if get(fd, libc::SOL_SOCKET, libc::SO_TYPE) == libc::SOCK_DGRAM { "udp" } else { "tcp" };
    match i32::from(u16::from_ne_bytes([bytes[0], bytes[1]])) {
        libc::AF_UNIX => {
            let name = String::from_utf8_lossy(&bytes[2..len as usize]).into_owned();
            name.strip_prefix('\0').map_or_else(|| name.trim_end_matches('\0').to_owned(), |name| format!("@{name}"))
        }
        libc::AF_INET => {
            let ip: [u8; 4] = bytes[4..8].try_into().unwrap();
            format!("{} {}:{}", kind(), std::net::Ipv4Addr::from(ip), port())
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes[8..24].try_into().unwrap();
            let scope = u32::from_ne_bytes(bytes[24..28].try_into().unwrap());
            format!("{} [{}%{scope}]:{}", kind(), std::net::Ipv6Addr::from(ip), port())
        }
        libc::AF_NETLINK => {
            let groups = u32::from_ne_bytes(bytes[8..12].try_into().unwrap());
            format!("netlink {} {groups}", get(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL))
        }
        other => format!("family {other}"),
    }
}

fn get(fd: &OwnedFd, level: i32, option: i32) -> i32 {
    let (mut value, mut len) = (0i32, 4);
    // SAFETY: the value and its length live across the call.
    #[allow(unsafe_code)]
    let done = unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut len) };
    assert_eq!(done, 0);
    value
}

const KINDS: &str = r#"
[[socket]]
name = "unix:/run/stream"
backlog = 3
receive-buffer = 20000
[[socket]]
name = "unix:/run/dgram"
type = "dgram"
pass-credentials = true
[[socket]]
name = "seqpacket"
address = "unix:/run/other/seqpacket"
type = "seqpacket"
nonblocking = false
directory-mode = "0710"
[[socket]]
name = "unix:@abstract"
[[socket]]
name = "tcp:192.0.2.1:80"
nodelay = true
keepalive = true
keepalive-time = "77s"
defer-accept = "1s"
fastopen = 5
[[socket]]
name = "tcp:192.0.2.1:82"
reuseport = true
[[socket]]
name = "another"
address = "tcp:192.0.2.1:82"
reuseport = true
device = "lo"
[[socket]]
name = "tcp:[2001:db8::1]:80"
tos = 16
priority = 5
[[socket]]
name = "tcp:[::]:81"
v6only = false
[[socket]]
name = "udp:0.0.0.0:53"
broadcast = true
[[socket]]
name = "udp:[fe80::1%lo]:53"
dscp = 46
ttl = 3
[[socket]]
name = "netlink:kobject-uevent:1"
"#;

#[test]
fn every_kind_of_socket_is_bound_with_its_options_whether_or_not_an_interface_is_up() {
    use libc::{IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET};
    let mut machine = World::new().board(KINDS).with_console().boot();
    machine.log.until("12 of 12 sockets are held");
    machine.log.until("booted in");
    assert_eq!(machine.log.complaints(), Vec::<String>::new());
    let names = KINDS.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    assert_eq!(machine.text(LIST).lines().collect::<Vec<_>>(), names.collect::<Vec<_>>());

    let sockets = held_sockets(&mut machine);
    let option = |address: &str, level, option| {
        let fd = sockets.get(address).unwrap_or_else(|| panic!("no {address} in {:?}", sockets.keys()));
        get(fd, level, option)
    };
    let listens = |address: &str| option(address, SOL_SOCKET, libc::SO_ACCEPTCONN) == 1;
    for address in [
        "/run/stream",
        "/run/other/seqpacket",
        "@abstract",
        "tcp 192.0.2.1:80",
        "tcp [2001:db8::1%0]:80",
        "tcp [::%0]:81",
    ] {
        assert!(listens(address), "{address}");
    }
    for address in ["/run/dgram", "udp 0.0.0.0:53", "udp [fe80::1%1]:53", "netlink 15 1"] {
        assert!(!listens(address), "{address}");
    }
    for (address, level, name, value) in [
        ("/run/stream", SOL_SOCKET, libc::SO_TYPE, libc::SOCK_STREAM),
        ("/run/stream", SOL_SOCKET, libc::SO_RCVBUF, 40000),
        ("/run/dgram", SOL_SOCKET, libc::SO_TYPE, libc::SOCK_DGRAM),
        ("/run/dgram", SOL_SOCKET, libc::SO_PASSCRED, 1),
        ("/run/other/seqpacket", SOL_SOCKET, libc::SO_TYPE, libc::SOCK_SEQPACKET),
        ("tcp 192.0.2.1:80", IPPROTO_TCP, libc::TCP_NODELAY, 1),
        ("tcp 192.0.2.1:80", SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        ("tcp 192.0.2.1:80", IPPROTO_TCP, libc::TCP_KEEPIDLE, 77),
        ("tcp 192.0.2.1:80", IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 1),
        ("tcp 192.0.2.1:80", IPPROTO_TCP, libc::TCP_FASTOPEN, 5),
        ("tcp 192.0.2.1:80", SOL_SOCKET, libc::SO_REUSEPORT, 0),
        ("tcp 192.0.2.1:82", SOL_SOCKET, libc::SO_REUSEPORT, 1),
        ("tcp [2001:db8::1%0]:80", IPPROTO_IPV6, libc::IPV6_TCLASS, 16),
        ("tcp [2001:db8::1%0]:80", SOL_SOCKET, libc::SO_PRIORITY, 5),
        ("tcp [2001:db8::1%0]:80", IPPROTO_IPV6, libc::IPV6_V6ONLY, 1),
        ("tcp [::%0]:81", IPPROTO_IPV6, libc::IPV6_V6ONLY, 0),
        ("tcp [::%0]:81", IPPROTO_TCP, libc::TCP_NODELAY, 0),
        ("udp 0.0.0.0:53", SOL_SOCKET, libc::SO_BROADCAST, 1),
        ("udp [fe80::1%1]:53", IPPROTO_IPV6, libc::IPV6_TCLASS, 46 << 2),
        ("udp [fe80::1%1]:53", IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, 3),
    ] {
        assert_eq!(option(address, level, name), value, "{address} {level} {name}");
    }
    let nonblocking = |address: &str| {
        let flags = rustix::fs::fcntl_getfl(&sockets[address]).unwrap();
        flags.contains(rustix::fs::OFlags::NONBLOCK)
    };
    assert!(nonblocking("/run/stream") && !nonblocking("/run/other/seqpacket"));
    assert_eq!(machine.text("stat -c %a /run/other /run/other/seqpacket"), "710\n600\n");
}

#[test]
fn two_sockets_share_an_address_if_both_say_so() {
    let mut machine = World::new().board(KINDS).boot().up();
    assert_eq!(machine.text("grep -c ':0052 00000000:0000 0A' /proc/net/tcp"), "2\n");
}

#[test]
fn an_address_that_somebody_else_has_is_taken_when_it_is_free() {
    // The obstacle is there before process 1 is, as its child.
    let obstacle = r#"
        ip link set lo up
        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$root"/sbin/linchpin tcpserver-socketbinder 127.0.0.1 80 sleep 1000 &
        echo $! >"$root/etc/obstacle"
        until grep -q ':0050 00000000:0000 0A' /proc/self/net/tcp; do sleep 0.01; done
    "#;
    let board = "[[socket]]\nname = 'web'\naddress = 'tcp:127.0.0.1:80'\n[[socket]]\nname = 'unix:/run/x'\n";
    let mut machine = World::new().board(board).with_setup(obstacle).boot();
    machine.log.until("socket: unable to bind to web (tcp:127.0.0.1:80): Address already in use: it is tried again");
    machine.log.until("1 of 2 sockets are held");
    assert_eq!(machine.text(LIST), "unix:/run/x\n");
    // Nobody asks for it: it is tried again, and that is said.
    machine.log.until("socket: still unable to bind to web (tcp:127.0.0.1:80): Address already in use: 2 attempts");
    machine.text("kill $(cat /etc/obstacle)");
    machine.log.until("socket web (tcp:127.0.0.1:80) is bound and held after ");
    assert_eq!(machine.text(LIST), "unix:/run/x\nweb\n");
    assert!(held_sockets(&mut machine).contains_key("tcp 127.0.0.1:80"));
}

#[test]
fn an_interface_that_is_not_there_yet_is_waited_for() {
    let board = "[[socket]]\nname = 'udp:0.0.0.0:53'\ndevice = 'later0'\n[[socket]]\nname = 'tcp:[fe80::1%later0]:80'\n\
                 mode = '0600'\n";
    let mut machine = World::new().board(&board.replace("mode = '0600'\n", "")).boot();
    machine
        .log
        .until("socket: unable to find the network interface of udp:0.0.0.0:53: No such device: it is tried again");
    machine.log.until("socket: unable to find the network interface of tcp:[fe80::1%later0]:80: No such device");
    machine.log.until("0 of 2 sockets are held");
    machine.log.until("booted in");
    machine.text("ip link set lo name later0");
    machine.text("s6-svscanctl -a /service");
    machine.log.until("socket udp:0.0.0.0:53 is bound and held after ");
    machine.log.until("socket tcp:[fe80::1%later0]:80 is bound and held after ");
    let sockets = held_sockets(&mut machine);
    assert!(sockets.contains_key("udp 0.0.0.0:53") && sockets.contains_key("tcp [fe80::1%1]:80"));
}

#[test]
fn who_asks_for_a_scan_asks_for_the_sockets_too() {
    let board = "[[socket]]\nname = 'unix:/later/x'\nmode = '0660'\n";
    let mut machine = World::new().board(board).with_setup("ln -s /run/later \"$root/later\"").boot();
    let failure =
        "socket: unable to make the directories of unix:/later/x: No such file or directory: it is tried again";
    machine.log.until(failure);
    machine.log.until("booted in");
    // What is said only at the first attempt after somebody asked.
    machine.text("s6-svscanctl -a /service");
    machine.log.until(failure);
    machine.text("kill -HUP 1");
    machine.log.until(failure);
    machine.text("kill -ALRM 1");
    machine.log.until(failure);
    machine.text("mkdir -m 755 /run/later && s6-svscanctl -h /service");
    machine.log.until("socket unix:/later/x is bound and held after ");
    assert_eq!(machine.text("stat -c %a /run/later/x"), "660\n");
    // It is done with: nothing more is tried.
    machine.text("s6-svscanctl -a /service");
    assert_eq!(machine.text(LIST), "unix:/later/x\n");
}

#[test]
fn what_the_init_script_prepares_is_bound_when_it_has_ended() {
    let board = "[boot]\ninit = '/etc/rc.init'\n[[socket]]\nname = 'unix:/later/x'\n";
    let world = World::new().board(board).with_setup("ln -s /run/later \"$root/later\"");
    world.file("etc/rc.init", 0o755, "#!/bin/sh\nread -r _ </etc/go\nmkdir -m 755 /run/later\n");
    let mut machine = world.with_setup("mkfifo \"$root/etc/go\"").boot();
    // By the second attempt the third one is two seconds off, and the fourth four more: the script's end comes first.
    machine.log.until("socket: still unable to make the directories of unix:/later/x: No such file or directory: 2");
    machine.text("echo >/etc/go");
    machine.log.until("the init script is done");
    machine.log.until("socket unix:/later/x is bound and held after ");
}

#[test]
fn a_name_that_somebody_stored_meanwhile_is_theirs() {
    let board = "[[socket]]\nname = 'x'\naddress = 'unix:/later/x'\n";
    let mut machine = World::new().board(board).with_setup("ln -s /run/later \"$root/later\"").boot();
    machine.log.until("socket: unable to make the directories of x (unix:/later/x): No such file or directory");
    machine.log.until("booted in");
    machine.text("s6-ipcserver-socketbinder /run/mine s6-fdholder-store /service/fdholder/s x");
    machine.text("mkdir -m 755 /run/later && s6-svscanctl -a /service");
    machine.log.until("socket x (unix:/later/x): somebody has stored another one under this name: it is given up");
    let sockets = held_sockets(&mut machine);
    assert!(sockets.contains_key("/run/mine") && !sockets.contains_key("/later/x"));
}

#[test]
fn what_cannot_be_set_is_said_and_does_without() {
    // Marks and high priorities are for root of the network namespace, which process 1 is; so nothing is refused but what
    // the kernel does not allow at all.
    let board = "[[socket]]\nname = 'tcp:127.0.0.1:80'\nttl = 0\n";
    let mut machine = World::new().board(board).boot();
    machine.log.until("socket tcp:127.0.0.1:80: ttl cannot be set: Invalid argument");
    machine.log.until("socket tcp:127.0.0.1:80 is bound and held");
}

#[test]
fn entries_let_others_use_the_fdholder_for_what_they_say() {
    if !is_root() {
        return; // there is nobody else then
    }
    let board = r#"
        [[socket]]
        name = "unix:/run/a"
        [[socket]]
        name = "unix:/run/b"
        [[fdholder.allow]]
        user = "hello"
        list = "unix:/run/*"
        retrieve = ["tcp:*", "unix:/run/a"]
        [[fdholder.allow]]
        group = 8
        store = "mine"
        list = "mine"
        [[fdholder.allow]]
        user = "ghost"
        list = "*"
    "#;
    let mut machine = World::new().board(board).with_console().boot().up();
    assert_eq!(
        machine.log.complaints(),
        ["[[fdholder.allow]] in line 14: there is no such user: the entry is left out"]
    );
    let hello = |machine: &mut Machine, command: &str| {
        machine.sh(&format!("/sbin/s6-setuidgid hello /sbin/s6-fdholder-{command}"))
    };
    let holder = "/run/service/fdholder/s";
    assert!(hello(&mut machine, &format!("store -d 0 {holder} mine true </dev/null")).status.success());
    machine.text(&format!("s6-fdholder-store -d 0 {holder} roots true </dev/null"));
    assert_eq!(machine.text(LIST), "unix:/run/a\nunix:/run/b\nmine\nroots\n");
    let listed = hello(&mut machine, &format!("list {holder}"));
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "unix:/run/a\nunix:/run/b\nmine\n");
    assert!(hello(&mut machine, &format!("retrieve {holder} unix:/run/a true")).status.success());
    for refused in [
        format!("retrieve {holder} unix:/run/b true"),
        format!("retrieve {holder} roots true"),
        format!("delete {holder} mine"),
        format!("store -d 0 {holder} other true </dev/null"),
    ] {
        assert!(!hello(&mut machine, &refused).status.success(), "{refused}");
    }
    let nobody = machine.sh(&format!("/sbin/s6-setuidgid nobody /sbin/s6-fdholder-list {holder}"));
    assert!(!nobody.status.success());
}
