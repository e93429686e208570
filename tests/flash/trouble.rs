//! What goes wrong after the first byte was written.

use crate::image::{BLOCK, BYTES, MAPPED};
use crate::machine::{Machine, Outcome};
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is on the card is neither the one nor the other.
const LOST: &str = "what was on /dev/sdb before is lost, and the image is not complete there";
const DD: &str = "/usr/bin/dd";

/// `command` may make files of so many bytes and no more.
fn limit_files(command: &mut Command, bytes: u64, ignore: bool) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: both are allowed between fork and exec.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            if ignore {
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            }
            match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

#[test]
fn an_error_in_the_middle_is_told_with_its_place() {
    let machine = Machine::new();
    machine.fill("sdb");
    let image = machine.image();
    let end = 200 * BLOCK + 512;
    let mut command = machine.command(&["--yes", "disk.img", "/dev/sdb"]);
    limit_files(&mut command, end as u64, true);
    let outcome = Outcome::of(&mut command);
    let words = format!("writing /dev/sdb failed at byte {end}, after 0.8 of 1.2 MB: File too large");
    outcome.is(5, &[&words, LOST]);
    assert!(!outcome.said.contains("holds"), "{}", outcome.said);
    assert!(machine.content("sdb")[..end] == image[..end]);
}

#[test]
fn a_full_file_system_is_told_with_its_place_in_the_image() {
    // A file with a hole where the file system has no room for it: the mapped blocks get so far.
    let machine = Machine::new();
    machine.mapped_image();
    let room = 100 * BLOCK;
    let mounted = machine.path("mnt");
    fs::create_dir(&mounted).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={room} none {0} && truncate -s {BYTES} {0}/card && exec \"$@\"",
        mounted.display()
    );
    let card = format!("{}/card", mounted.display());
    let flash = machine.command(&["--yes", "disk.img", &card]);
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", &script, "sh"]).arg(flash.get_program());
    command.args(flash.get_args()).current_dir(machine.here()).stdin(Stdio::null());
    command.env("LINCHPIN_FLASH_SYSTEM", machine.path("")).env("HOME", machine.here());
    let outcome = Outcome::of(&mut command);
    // Ten blocks go before the long range, whose first ninety get in.
    let words = format!("writing {card} failed at byte {}, after 0.4 of 0.6 MB: No space left on device", 190 * BLOCK);
    outcome.is(5, &[&words]);
    assert_eq!((*MAPPED[3].start(), MAPPED[..3].iter().map(|r| r.clone().count()).sum()), (100, 10usize));
}

#[test]
fn a_writer_that_is_killed_is_told_too() {
    let machine = Machine::new();
    machine.fill("sdb");
    machine.image();
    let mut command = machine.command(&["--yes", "disk.img", "/dev/sdb"]);
    limit_files(&mut command, 40 * BLOCK as u64, false);
    Outcome::of(&mut command).is(5, &["writing /dev/sdb failed at byte ", "dd was ended by the signal XFSZ", LOST]);
}

#[test]
fn a_file_that_could_not_be_made_complete_is_removed() {
    let machine = Machine::new();
    machine.image();
    // It may become that large, but not be written there.
    let path = machine.program(
        "dd",
        &format!("#!/bin/sh\ncase $* in *notrunc*) exec {DD} \"$@\" 1>/dev/full ;; esac\nexec {DD} \"$@\"\n"),
    );
    let mut command = machine.command(&["--create", "disk.img", "new"]);
    Outcome::of(command.env("PATH", path))
        .is(5, &["writing new failed at byte 0", "No space left on device", "new is removed again"]);
    assert!(!machine.here().join("new").exists());
}

#[test]
fn a_card_that_forgets_is_found_out() {
    // After all is written and before it is read back, a byte of the card changes.
    for (map, spoiled, first, last) in
        [(true, 64 * BLOCK + 100, 64 * BLOCK, 65 * BLOCK - 1), (false, BYTES - 1, 0, BYTES - 1)]
    {
        let machine = Machine::new();
        machine.fill("sdb");
        machine.mapped_image();
        let card = machine.device("sdb");
        let script = format!(
            "#!/bin/sh\ncase $* in *if=*bs=*)\nprintf '\\0' | {DD} of={0} bs=1 seek={spoiled} conv=notrunc 2>/dev/null ;;\nesac\nexec {DD} \"$@\"\n",
            card.display()
        );
        let path = machine.program("dd", &script);
        let words: &[&str] =
            if map { &["--yes", "disk.img", "/dev/sdb"] } else { &["--yes", "--no-bmap", "disk.img", "/dev/sdb"] };
        let outcome = Outcome::of(machine.command(words).env("PATH", path));
        let expected = format!("bytes {first} to {last} of /dev/sdb read back differently from what was written");
        outcome.is(6, &[&expected, "worn out", LOST]);
        assert!(!outcome.said.contains("holds"), "{}", outcome.said);
    }
}

#[test]
fn a_card_that_cannot_be_read_back_is_told() {
    let machine = Machine::new();
    machine.fill("sdb");
    machine.image();
    // Reading a directory fails: dd is given that in place of the card.
    let path = machine.program(
        "dd",
        &format!("#!/bin/sh\ncase $* in if=/dev/fd/4' 'bs=*) exec {DD} \"$@\" if=/ ;; esac\nexec {DD} \"$@\"\n"),
    );
    let outcome = Outcome::of(machine.command(&["--yes", "disk.img", "/dev/sdb"]).env("PATH", path));
    outcome.is(6, &["of /dev/sdb cannot be read back: Is a directory", LOST]);
}

#[test]
fn an_image_that_becomes_shorter_meanwhile_is_told() {
    let machine = Machine::new();
    machine.fill("sdb");
    machine.image();
    let image = machine.here().join("disk.img");
    let script =
        format!("#!/bin/sh\ncase $* in *notrunc*) truncate -s 8192 {} ;; esac\nexec {DD} \"$@\"\n", image.display());
    let path = machine.program("dd", &script);
    let outcome = Outcome::of(machine.command(&["--yes", "disk.img", "/dev/sdb"]).env("PATH", path));
    outcome.is(5, &["failed at byte 8192", "the image cannot be read any more", LOST]);
}

/// Starts it, with a `dd` that stops at the first words that fit `pattern`, and waits for that.
fn stopped_at(machine: &Machine, pattern: &str, words: &[&str]) -> Child {
    let there = machine.path("there");
    let script = format!(
        "#!/bin/sh\ncase $* in {pattern}) : >{0}.new; mv {0}.new {0}; exec sleep 60 ;; esac\nexec {DD} \"$@\"\n",
        there.display()
    );
    let path = machine.program("dd", &script);
    let mut command = machine.command(words);
    let child = command.env("PATH", path).stderr(Stdio::piped()).spawn().unwrap();
    let limit = Instant::now() + Duration::from_secs(30);
    while !there.exists() {
        assert!(Instant::now() < limit, "it did not come so far");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

/// What a terminal does at Ctrl-C: the signal goes to all of them.
#[track_caller]
fn interrupt(mut child: Child, signal: i32) -> (Option<i32>, String) {
    let group = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
    rustix::process::kill_process_group(group, signal).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn ctrl_c_says_that_the_card_is_half_written() {
    for (signal, name, code) in [(libc::SIGINT, "INT", 130), (libc::SIGTERM, "TERM", 143), (libc::SIGHUP, "HUP", 129)] {
        let machine = Machine::new();
        machine.fill("sdb");
        machine.mapped_image();
        // In the third range.
        let child = stopped_at(&machine, "*notrunc*count=4096", &["--yes", "disk.img", "/dev/sdb"]);
        let (ended, said) = interrupt(child, signal);
        assert_eq!(ended, Some(code), "{said}");
        assert!(
            said.contains(&format!("interrupted by SIG{name} after 0.0 of 0.6 MB: /dev/sdb is half written")),
            "{said}"
        );
        assert!(said.contains(LOST) && !said.contains("failed"), "{said}");
    }
}

#[test]
fn ctrl_c_before_says_that_nothing_was_written() {
    let machine = Machine::new();
    let old = machine.fill("sdb");
    machine.mapped_image();
    let child = stopped_at(&machine, "*skip=0*", &["--yes", "disk.img", "/dev/sdb"]);
    let (ended, said) = interrupt(child, libc::SIGINT);
    assert_eq!(ended, Some(130), "{said}");
    assert!(said.ends_with("interrupted by SIGINT: nothing was written\n"), "{said}");
    assert!(machine.content("sdb") == old);
}

#[test]
fn ctrl_c_while_reading_back_says_that_it_is_written() {
    let machine = Machine::new();
    machine.fill("sdb");
    machine.mapped_image();
    let child = stopped_at(&machine, "*if=/dev/fd/4*bs=*", &["--yes", "disk.img", "/dev/sdb"]);
    let (ended, said) = interrupt(child, libc::SIGINT);
    assert_eq!(ended, Some(130), "{said}");
    assert!(
        said.ends_with("interrupted by SIGINT: all is written to /dev/sdb, but not all of it was read back\n"),
        "{said}"
    );
}

#[test]
fn two_at_a_time_do_not_write_to_one_card() {
    let machine = Machine::new();
    machine.fill("sdb");
    machine.mapped_image();
    let first = stopped_at(&machine, "*notrunc*", &["--yes", "disk.img", "/dev/sdb"]);
    machine
        .flash(&["--yes", "disk.img", "/dev/sdb"])
        .is(3, &["another program has locked /dev/sdb", "nothing was written"]);
    interrupt(first, libc::SIGKILL);
}

#[test]
fn nothing_is_left_in_the_directory_for_temporary_files() {
    let machine = Machine::new();
    machine.mapped_image();
    let tmp = machine.path("tmp");
    fs::create_dir(&tmp).unwrap();
    Outcome::of(machine.command(&["--yes", "disk.img", "/dev/sdb"]).env("TMPDIR", &tmp)).is(0, &[]);
    Outcome::of(machine.command(&["disk.img", "/dev/sdb"]).env("TMPDIR", &tmp)).is(4, &[]);
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
}
