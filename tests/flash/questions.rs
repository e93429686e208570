//! What is shown, and what is asked.

use crate::image::{BYTES, filter};
use crate::machine::{Machine, Outcome};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// It with this as standard input.
fn answered(machine: &Machine, answer: &str) -> Outcome {
    let mut command = machine.command(&["disk.img", "/dev/sdb"]);
    machine.file("answer", answer);
    command.stdin(std::fs::File::open(machine.here().join("answer")).unwrap());
    Outcome::of(&mut command)
}

#[test]
fn a_wrong_answer_ends_it_with_nothing_written() {
    let machine = Machine::new();
    let old = machine.fill("sdb");
    machine.image();
    for answer in ["sda\n", "\n", "YES\n", "sdb yes\n"] {
        answered(&machine, answer)
            .is(4, &["type sdb (or yes) to overwrite it", "neither sdb nor yes: nothing was written"]);
        assert!(machine.content("sdb") == old, "{answer:?}");
    }
}

#[test]
fn no_answer_ends_it_with_nothing_written() {
    let machine = Machine::new();
    let old = machine.fill("sdb");
    machine.image();
    machine.flash(&["disk.img", "/dev/sdb"]).is(4, &["no answer: nothing was written"]);
    assert!(machine.content("sdb") == old);
}

#[test]
fn the_name_and_yes_are_answers() {
    let machine = Machine::new();
    let image = machine.image();
    for answer in ["sdb\n", "yes\n", "yes"] {
        machine.fill("sdb");
        answered(&machine, answer).is(0, &["/dev/sdb holds disk.img now"]);
        assert!(machine.content("sdb")[..BYTES] == image, "{answer:?}");
    }
}

#[test]
fn it_shows_what_will_be_overwritten() {
    let machine = Machine::new();
    machine.image();
    machine.partition("sdb", "sdb1", 1 << 20);
    machine.partition("sdb", "sdb2", 1 << 19);
    machine.attribute("sdb", "device/vendor", "Generic ");
    machine.attribute("sdb", "device/model", "Card Reader");
    // Of what is plugged in, three floors up.
    std::fs::write(machine.path("sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/serial"), "C0FFEE\n").unwrap();
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-L", "holiday photos"]).arg(machine.device("sdb1"));
    filter(mke2fs, b"");
    let outcome = machine.flash(&["disk.img", "/dev/sdb"]);
    outcome.is(
        4,
        &[
            "/dev/sdb: 2.1 MB, USB\n",
            "  model    Generic Card Reader\n",
            "  serial   C0FFEE\n",
            "  sdb1     1.0 MB  ext2 \"holiday photos\"\n",
            "  sdb2     0.5 MB  ",
        ],
    );
}

/// Runs it to the question, does something, answers yes.
fn meanwhile(machine: &Machine, action: impl FnOnce()) -> (i32, String) {
    let mut command = machine.command(&["disk.img", "/dev/sdb"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = Vec::new();
    let mut stderr = child.stderr.take().unwrap();
    while !said.ends_with(b"type sdb (or yes) to overwrite it: ") {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    action();
    child.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    stderr.read_to_end(&mut said).unwrap();
    (child.wait().unwrap().code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn what_is_mounted_while_somebody_thinks_is_refused() {
    let machine = Machine::new();
    let old = machine.fill("sdb");
    machine.image();
    let (code, said) = meanwhile(&machine, || machine.mount("sdb", "/media/card"));
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("sdb is mounted on /media/card"), "{said}");
    assert!(machine.content("sdb") == old);
}

#[test]
fn another_card_than_the_one_that_was_shown_is_refused() {
    let machine = Machine::new();
    let old = machine.fill("sdb");
    machine.image();
    machine.attribute("sdb", "diskseq", "11");
    let (code, said) = meanwhile(&machine, || machine.attribute("sdb", "diskseq", "12"));
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("/dev/sdb is another one now"), "{said}");
    assert!(machine.content("sdb") == old);
}
