//! `sockets`, asked without a word: what the machine's fd-holder holds, and what is not bound yet.

use crate::machine::eventually;
use crate::world::World;

#[test]
fn the_table_shows_what_is_bound_and_why_the_rest_is_not() {
    let board = "[[socket]]\nname = 'unix:/run/x'\nbacklog = 3\n[[socket]]\nname = 'dns'\naddress = 'udp:0.0.0.0:53'\n\
                 device = 'later0'\n";
    let mut machine = World::new().board(board).boot();
    machine.log.until("1 of 2 sockets are held");
    machine.log.until("booted in");
    let table = machine.text("/sbin/linchpin sockets");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    let cells = |line: &str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let dns = cells(lines[1]);
    assert_eq!(dns[..5], ["dns", "-", "waiting", "-", "-"], "{table}");
    assert!(dns[6..].starts_with(&["never".to_owned(), "board config".to_owned()]), "{table}");
    assert!(dns.last().unwrap().starts_with("No such device; tried "), "{table}");
    let x = cells(lines[2]);
    assert_eq!(x[..5], ["unix:/run/x", "unix-stream", "listening", "0/3", "-"], "{table}");
    assert_eq!(x[7..], ["board config", "0", "-", "-", "unix:/run/x"], "{table}");
    let json = machine.text("/sbin/linchpin sockets --json");
    assert!(json.contains("\"name\":\"dns\",\"kind\":null,\"state\":\"waiting\""), "{json}");
    assert!(json.contains("\"waits_because\":\"No such device\",\"tried_times\":"), "{json}");

    machine.text("ip link set lo name later0");
    machine.text("s6-svscanctl -a /service");
    machine.log.until("socket dns (udp:0.0.0.0:53) is bound and held after ");
    eventually(|| {
        machine.text("/sbin/linchpin sockets --json").contains("\"name\":\"dns\",\"kind\":\"udp\",\"state\":\"bound\"")
    });
}
