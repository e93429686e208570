//! tai64nlocal: where local time comes from.

use crate::beside::*;
use crate::tmp::TempDir;
use crate::{Numbers, YEAR_2400, filter, label};
use std::process::Command;

/// Times of all years, and some around the changes of 2026.
fn times() -> String {
    let mut numbers = Numbers(1970);
    let random = (0..400).map(|_| 37 + numbers.below(YEAR_2400)).collect::<Vec<_>>();
    let hours = (0..365 * 24).step_by(7).map(|hour| 1_767_225_600 + 37 + hour * 3600);
    random.into_iter().chain(hours).map(|sec| label(sec, 5) + "\n").collect()
}

fn shown(whose: Whose, zone: Option<&str>) -> String {
    let both = Beside::new();
    let mut command = both.command(whose, "tai64nlocal");
    if let Some(zone) = zone {
        command.env("TZ", zone);
    }
    let filtered = filter(&mut command, times().as_bytes());
    assert_eq!(filtered.code, 0);
    String::from_utf8(filtered.out).unwrap()
}

fn differs(zone: &str) -> Option<(String, String)> {
    let (ours, theirs) = (shown(Ours, Some(zone)), shown(Theirs, Some(zone)));
    let pair = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    pair.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()))
}

#[test]
fn the_variable_may_name_a_file_or_be_a_rule() {
    for zone in [
        "UTC",
        "Europe/Berlin",
        ":Europe/Berlin",
        "/usr/share/zoneinfo/Europe/Berlin",
        ":/usr/share/zoneinfo/Europe/Berlin",
        "../zoneinfo/Europe/Berlin",
        "EST5EDT", // a file too
        "Etc/GMT+5",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        ":CET-1CEST,M3.5.0,M10.5.0/3",
        "<+0330>-3:30",
        "<-03>3",
        "AAA0",
        "AAA+12:34:56",
        "AAA-24",
        "NZST-12NZDT,M9.5.0,M4.1.0/3", // summer over the new year
        "XXX3YYY2:30,J60/0,J300/0",
        "XXX3YYY2:30,59/0,299/23:59:59",
        "IST-2IDT,M3.4.4/26,M10.5.0",      // a day later
        "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", // a day before
        "IST-1GMT0,M10.5.0,M3.5.0/1",      // summer is standard, in Ireland
        "right/Europe/London",
    ] {
        assert_eq!(differs(zone), None, "{zone}");
        if zone != "UTC" && zone != "AAA0" {
            assert_ne!(shown(Ours, Some(zone)), shown(Ours, Some("UTC")), "{zone}");
        }
    }
}

#[test]
fn a_rule_without_days_has_those_of_the_united_states() {
    // The C library would take them from a file first that Debian has for that, and get the hours wrong.
    let both = Beside::new();
    let input = (0..365 * 24).map(|hour| label(1_767_225_600 + 37 + hour * 3600, 5) + "\n").collect::<String>();
    for zone in ["CET-1CEST", ":CET-1CEST", "XST5XDT", "XST5XDT3"] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| {
            let mut command = both.command(whose, "tai64nlocal");
            filter(command.env("TZ", zone).env("TZDIR", both.path()), input.as_bytes())
        });
        assert_eq!(ours, theirs, "{zone}");
    }
}

#[test]
fn an_empty_variable_is_utc() {
    for zone in ["", ":"] {
        assert_eq!(shown(Ours, Some(zone)), shown(Theirs, Some("UTC")));
    }
}

#[test]
fn what_is_no_zone_is_told_and_is_utc() {
    let both = Beside::new();
    let times = times();
    for (zone, told) in [
        ("Nowhere/Land", "Nowhere/Land is neither a time zone's file nor a rule for one"),
        (":Nowhere", ":Nowhere is neither"),
        ("AB3", "AB3 is neither"),
        ("CET", ""), // a file
        ("XYZ", "XYZ is neither"),
        ("CET-1garbage!", "CET-1garbage! is neither"), // Debian's takes it for a summer time of Europe's
        ("CET-25", "CET-25 is neither"),               // Debian's takes 24
        ("CET-1CEST,M3.5.0", "is neither"),
        ("Europe", "unable to read the time zone Europe: Is a directory"),
        ("/etc/passwd", "/etc/passwd is neither"),
        ("/dev/zero", "/dev/zero is neither"),
        ("\u{1b}[31m", "is neither"),
    ] {
        let mut command = both.command(Ours, "tai64nlocal");
        let file = both.path().join("told");
        command.env("TZ", zone).stderr(std::fs::File::create(&file).unwrap());
        let filtered = filter(&mut command, times.as_bytes());
        let said = content(&file);
        if told.is_empty() {
            assert_eq!(said, "");
            continue;
        }
        assert!(said.starts_with("s6-tai64nlocal: warning: ") && said.contains(told), "{zone}: {said}");
        assert!(
            said.ends_with(": local time is UTC\n") && said.lines().count() == 1 && !said.contains('\u{1b}'),
            "{said}"
        );
        assert_eq!(String::from_utf8(filtered.out).unwrap(), shown(Theirs, Some("UTC")));
        assert_eq!(filtered.code, 0);
    }
}

#[test]
fn with_g_the_zone_is_not_looked_for() {
    let both = Beside::new();
    let output = both.command(Ours, "tai64nlocal").arg("-g").env("TZ", "Nowhere").output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn zones_may_lie_elsewhere() {
    let directory = TempDir::new();
    std::fs::copy("/usr/share/zoneinfo/Asia/Tokyo", directory.path().join("Office")).unwrap();
    let both = Beside::new();
    let [theirs, ours] = [Theirs, Ours].map(|whose| {
        let mut command = both.command(whose, "tai64nlocal");
        command.env("TZ", "Office").env("TZDIR", directory.path());
        filter(&mut command, times().as_bytes())
    });
    assert_eq!(ours, theirs);
    assert_eq!(String::from_utf8(ours.out).unwrap(), shown(Theirs, Some("Asia/Tokyo")));
}

/// Runs a script as root of a mount namespace of its own, in which /etc/localtime is `file`; what it prints.
fn with_localtime(file: &str, binary: &std::path::Path) -> String {
    let script = format!(
        "mount -t tmpfs none /mnt && cp -a /etc/. /mnt/ && mount --bind /mnt /etc && rm -f /etc/localtime && {file} && \
         printf '@400000006b098bdd2bfa5d34 x\\n' | {}",
        binary.display()
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).env_remove("TZ").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn without_the_variable_the_machines_zone_is_used() {
    let directory = TempDir::new();
    let ours = directory.path().join("s6-tai64nlocal");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linchpin"), &ours).unwrap();
    let zone = "/usr/share/zoneinfo/America/St_Johns";
    let shown = "2026-11-27 10:25:04.737828148 x\n";
    assert_eq!(with_localtime(&format!("ln -s {zone} /etc/localtime"), &ours), shown);
    assert_eq!(with_localtime(&format!("cp {zone} /etc/localtime"), &ours), shown);
    assert_eq!(
        with_localtime("true", &ours),
        "2026-11-27 13:55:04.737828148 x\n",
        "there is none: UTC, and nothing to tell"
    );
    assert_eq!(
        with_localtime("echo garbage >/etc/localtime", &ours),
        "2026-11-27 13:55:04.737828148 x\n\
         s6-tai64nlocal: warning: /etc/localtime is neither a time zone's file nor a rule for one: local time is UTC\n"
    );
}
