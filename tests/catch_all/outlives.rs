//! What the pipe outlives: the logger, again and again, faults of process 1 wherever they are, an upgrade in place.

use crate::machine::{End, Machine, eventually};
use crate::world::World;
use crate::{CAT, ECHO, logged, say, with_logger};
use linchpin::limits::LOG_INPUT;
use linchpin::sys::inject::FIRST_SIGNAL;
use linchpin::sys::process;
use std::path::Path;

/// A machine of which process 1 may fail as often as it does.
fn world() -> World {
    with_logger(CAT).service("web", ECHO).with_setup("export LINCHPIN_FAULT_LIMIT=0")
}

fn fail(machine: &mut Machine) {
    let pid = machine.pid() as i32;
    process::kill(pid, FIRST_SIGNAL).unwrap();
    machine.log.until("back after");
}

/// The lines that begin with a number, in their order.
fn numbers(machine: &mut Machine) -> Vec<u32> {
    machine.read("tmp/log").lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn lines_that_are_written_while_it_is_away_are_in_its_log_once() {
    let mut machine = world().boot().up();
    machine.await_line("tmp/reads");
    let mut next = 0;
    for round in 0..20 {
        // Nobody reads: what is said waits.
        machine.text("s6-svc -wd -T 20000 -k -d /service/s6-svscan-log");
        for _ in 0..10 {
            say(&mut machine, "web", &next.to_string());
            next += 1;
        }
        if round % 3 == 0 {
            fail(&mut machine);
        }
        if round == 10 {
            let pid = machine.pid() as i32;
            process::kill(pid, libc::SIGSEGV).unwrap();
            machine.log.until("back after");
        }
        machine.text("s6-svc -wu -T 20000 -u /service/s6-svscan-log");
        logged(&mut machine, &(next - 1).to_string());
    }
    assert_eq!(numbers(&mut machine), (0..next).collect::<Vec<u32>>());
    assert_eq!(machine.log.with("service s6-svscan-log started").len(), 21);
}

#[test]
fn the_pipe_is_the_same_after_any_number_of_faults_and_no_descriptor_is_lost_or_left() {
    let mut machine = world().with_console().boot().up();
    machine.await_line("tmp/reads");
    machine.await_line("tmp/web.up");
    let before = machine.descriptors();
    for _ in 0..10 {
        fail(&mut machine);
    }
    say(&mut machine, "web", "after");
    logged(&mut machine, "after");
    assert_eq!(machine.descriptors(), before);
    // And not one is handed on.
    machine.text("s6-svc -wr -T 20000 -k /service/web && ls /proc/$(s6-svstat -o pid /service/web)/fd >/tmp/fds");
    let pipes = |machine: &mut Machine| machine.text("readlink /proc/1/fd/1 /proc/1/fd/2 | uniq | wc -l");
    assert_eq!(pipes(&mut machine), "1\n");
}

#[test]
fn another_binary_in_the_place_of_process_1_goes_on_with_it() {
    let mut machine = world().boot().up();
    machine.await_line("tmp/reads");
    say(&mut machine, "web", "before");
    let pipe = machine.text("readlink /proc/1/fd/1");
    machine.text("linchpin reexec");
    machine.log.until("entered again as asked");
    assert_eq!(machine.text("readlink /proc/1/fd/1"), pipe);
    machine.text("s6-svc -wr -T 20000 -k /service/s6-svscan-log");
    machine.text("s6-svc -wr -T 20000 -k /service/web");
    say(&mut machine, "web", "after");
    logged(&mut machine, "after");
    assert!(machine.read("tmp/log").starts_with("before\n"));
}

/// A line that s6-log has written, without its stamp.
fn stamped(line: &str) -> u32 {
    line.split_once(' ')
        .and_then(|(stamp, text)| text.parse().ok().filter(|_| stamp.len() == 25))
        .unwrap_or_else(|| panic!("{line:?}"))
}

/// The lines of a log. A kill in the middle of a write may have torn the last one, which then comes again in the next.
fn whole_lines(path: &Path) -> String {
    let mut text = std::fs::read_to_string(path).unwrap();
    let whole = text.rfind('\n').map_or(0, |newline| newline + 1);
    let is_unclean = path.extension().is_some_and(|end| end == "u");
    assert!(whole == text.len() || is_unclean, "{path:?} ends in {:?}", &text[whole..]);
    text.truncate(whole);
    text
}

#[test]
fn kills_of_the_real_logger_and_faults_of_process_1_lose_no_line() {
    const KILLS: u32 = 20;
    let writer =
        "i=0; until [ -e /tmp/enough ]; do i=$((i + 1)); echo $i >&2; done; echo $i >/tmp/last; exec sleep 1000";
    let log = "exec /sbin/s6-log -b -p -d 3 n1000 t /tmp/logdir";
    let world = with_logger(log).service("web", writer).with_setup("export LINCHPIN_FAULT_LIMIT=0");
    world.file("etc/linchpin/service/s6-svscan-log/notification-fd", 0o644, "3\n");
    let mut machine = world.with_console().boot().up();
    machine.text("s6-svwait -U -t 20000 /service/s6-svscan-log");
    for kill in 0..KILLS {
        machine.text("s6-svc -wd -T 20000 -k /service/s6-svscan-log");
        if kill % 4 == 1 {
            fail(&mut machine);
        }
        machine.text("s6-svc -wU -T 20000 -u /service/s6-svscan-log");
    }
    machine.text("touch /tmp/enough");
    let last: u32 = machine.await_line("tmp/last").trim().parse().unwrap();
    // SIGTERM is not for it; the end is.
    machine.ask("linchpin poweroff");
    assert_eq!(machine.end(), End::Down);
    let mut files: Vec<_> = std::fs::read_dir(machine.root("tmp/logdir")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.retain(|path| path.file_name().is_some_and(|name| name == "current" || name.as_encoded_bytes()[0] == b'@'));
    let text: String = files.iter().map(|path| whole_lines(path)).collect();
    let (mut next, mut repeated) = (1, 0);
    for number in text.lines().map(stamped) {
        assert!(number <= next, "{number} comes after {}", next - 1);
        repeated += u32::from(number < next);
        next += u32::from(number == next);
    }
    println!("{last} lines, {KILLS} kills: {repeated} lines are there twice");
    assert_eq!(next, last + 1);
    // What was in flight is one batch at most; the shortest line has two bytes.
    assert!(repeated as usize <= KILLS as usize * LOG_INPUT / 2);
    let unclean = files.iter().filter(|path| path.extension().is_some_and(|end| end == "u")).count();
    assert!(unclean >= KILLS as usize, "{unclean}: each kill leaves such an archive");
}

/// What is to be the same, wherever the boot was interrupted.
fn seen(machine: &mut Machine) -> Vec<String> {
    logged(machine, "the script");
    machine.text("s6-svwait -u -t 20000 /service/s6-svscan-log /service/web");
    say(machine, "web", "a word");
    logged(machine, "a word");
    let pid = machine.text("s6-svstat -o pid /service/s6-svscan-log").trim().to_owned();
    let pipe = machine.text("readlink /proc/1/fd/1");
    let mut open: Vec<String> = Vec::new();
    for line in machine.descriptors() {
        let (number, what) = line.split_once('=').unwrap();
        let kind = if what == pipe.trim() { "the pipe" } else { what.split(':').next().unwrap() };
        if ["0", "1", "2"].contains(&number) {
            assert_eq!(kind == "the pipe", number != "0", "{line}");
        }
        open.push(kind.rsplit('/').next().unwrap().to_owned());
    }
    open.sort();
    let ends = machine.text(&format!("readlink /proc/{pid}/fd/0 /proc/{pid}/fd/2"));
    open.extend(ends.lines().map(|end| if end == pipe.trim() { "reads it".to_owned() } else { end.to_owned() }));
    open.push(machine.read("tmp/log").matches("the script").count().to_string());
    open
}

#[test]
fn a_boot_that_is_interrupted_makes_one_pipe() {
    let boot = |plan: &str| {
        let world = world().board("[boot]\ninit = '/etc/rc.init'\n[fault]\nlimit = 0\n").with_console();
        world.file("etc/rc.init", 0o755, "#!/bin/sh\necho the script\n");
        world.with_setup(&format!("export LINCHPIN_FAULTS={plan}")).boot()
    };
    let expected = seen(&mut boot("-"));
    assert_eq!(expected[expected.len() - 3..], ["reads it", "/dev/console", "1"]);
    for point in ["boot.copied", "boot.pipe", "boot.laid", "boot.pipe,boot.laid,boot.script", "boot.script", "turn"] {
        let mut machine = boot(point);
        assert_eq!(seen(&mut machine), expected, "{point}:\n{}", machine.log.with("").join("\n"));
        eventually(|| machine.log.with("which is survived").len() == point.split(',').count());
        machine.ask("linchpin reboot");
        assert_eq!(machine.end(), End::Reboot, "{point}");
    }
}

#[test]
fn who_fails_too_often_runs_the_rescue_command_on_the_console() {
    let board = "[fault]\nlimit = 1\nthen = 'rescue'\nrescue = '/etc/rescue'\n";
    let world = with_logger(CAT).board(board).with_console();
    world.file(
        "etc/rescue",
        0o755,
        "#!/bin/sh\nreadlink /proc/1/fd/1 /proc/1/fd/2 >/tmp/new\nmv /tmp/new /tmp/rescued\n",
    );
    let mut machine = world.boot().up();
    machine.await_line("tmp/reads");
    let pid = machine.pid() as i32;
    for _ in 0..2 {
        process::kill(pid, FIRST_SIGNAL).unwrap();
        eventually(|| machine.log.with("back after").len() == 1 || machine.log.with("has given up").len() == 1);
    }
    assert_eq!(machine.await_line("tmp/rescued"), "/dev/console\n/dev/console\n");
}
