//! What is on the console, and that nothing of it can stop process 1.

use crate::lines::Lines;
use crate::machine::{End, Machine};
use crate::world::World;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// A board config with more mistakes than are reported one by one, and hundreds of sockets that cannot be bound.
fn talkative() -> String {
    let mut text = String::new();
    for i in 0..100 {
        text += &format!("[[socket]]\nname = \"unix:/proc/none/{i}\"\nmistake = 1\n");
    }
    text
}

/// The machine's console, to be read.
fn console(machine: &mut Machine) -> Lines {
    Lines::of(machine.console.take().unwrap())
}

#[test]
fn without_kmsg_the_boot_and_the_end_can_be_read_on_the_console() {
    let world = World::new().without_kmsg().with_console().service("web", "echo hello; exec sleep 1000");
    let mut machine = world.boot();
    let mut console = console(&mut machine);
    let line = console.until("linchpin: version ");
    assert!(line.starts_with('[') && line.contains('.') && line.contains("] linchpin: "), "{line}");
    console.until("linchpin: 0 of 0 sockets are held; no process has been started yet");
    console.until("linchpin: 1 services from /etc/linchpin/service in /run/service");
    console.until("linchpin: booted in");
    console.until("hello");
    machine.ask("/sbin/poweroff");
    console.until("linchpin: syncing and unmounting file systems");
    console.until("linchpin: poweroff now");
    assert_eq!(machine.end(), End::Down);
}

/// Whether the kernel of this host prints lines of this level on the console itself.
fn kernel_prints(level: u32) -> bool {
    let levels = std::fs::read_to_string("/proc/sys/kernel/printk").unwrap();
    level < levels.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn with_kmsg_the_console_gets_only_what_is_wrong_and_the_steps_to_the_end() {
    let world = World::new().with_console().board("nonsense = 1\n").service("web", "echo hello; exec sleep 1000");
    let mut machine = world.boot().up();
    let mut console = console(&mut machine);
    console.until("hello");
    let complaint = if kernel_prints(4) { 0 } else { 1 };
    assert_eq!(console.with("board.toml:1:1").len(), complaint);
    assert_eq!(console.with("linchpin").len(), complaint);
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
    let steps = if kernel_prints(5) { 0 } else { 2 };
    assert_eq!(console.with("syncing and unmounting").len() + console.with("poweroff now").len(), steps);
}

/// Boots with a console that takes nothing more, and shuts down again.
fn boots_although(world: World, stuck: impl FnOnce(&mut World)) {
    let mut world = world.without_kmsg().with_console().board(&talkative());
    world = world.service("web", "exec 1>/dev/null 2>&1; echo up >/tmp/web; exec sleep 1000");
    stuck(&mut world);
    let mut machine = world.boot();
    machine.await_line("tmp/web");
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn a_console_that_nobody_reads_stops_nothing() {
    boots_although(World::new(), |world| {
        let (_, path) = world.console.as_ref().unwrap();
        let mut open = OpenOptions::new();
        let mut theirs = open.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).unwrap();
        while theirs.write(&[b'x'; 512]).is_ok() {}
    });
}

#[test]
fn a_console_that_is_paused_stops_nothing() {
    boots_although(World::new(), |world| {
        let (ours, path) = world.console.as_mut().unwrap();
        // Somebody has typed control-S. The terminal remembers it as long as somebody has it open.
        let theirs = OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open(path).unwrap();
        ours.write_all(&[0x13]).unwrap();
        std::mem::forget(theirs);
    });
}

#[test]
fn a_console_that_hangs_up_stops_nothing() {
    let world = World::new().with_console().service("web", "exec sleep 1000");
    let mut machine = world.boot().up();
    drop(machine.console.take());
    machine.log.until("service web started");
    machine.ask("/sbin/poweroff");
    machine.log.until("poweroff now");
    assert_eq!(machine.end(), End::Down);
}
