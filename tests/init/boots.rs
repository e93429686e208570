//! A machine whose config is in order.

use crate::machine::{End, eventually};
use crate::world::{World, is_root};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::process::Command;

#[test]
fn the_kernels_file_systems_are_mounted() {
    let mut machine = World::new().boot().up();
    let mounts = machine.text("cat /proc/self/mounts");
    for (target, kind) in [
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/run", "tmpfs"),
    ] {
        assert!(mounts.contains(&format!(" {target} {kind} ")), "{target} in:\n{mounts}");
    }
    assert_eq!(machine.text("stat -c %a /run /dev/shm; readlink /dev/fd"), "755\n1777\n/proc/self/fd\n");
}

#[test]
fn process_1_is_this_binary() {
    let mut machine = World::new().boot().up();
    machine.text("cmp /proc/1/exe /sbin/linchpin");
    assert_eq!(machine.text("cat /proc/1/comm"), "init\n");
}

#[test]
fn a_machine_in_order_has_no_complaints_and_says_how_far_it_is() {
    let world = World::new().board("[board]\nhostname = \"pin\"\n").service("web", "exec sleep 1000").with_console();
    let mut machine = world.boot();
    machine.log.until("linchpin: version ");
    machine.log.until("0 of 0 sockets are held; no process has been started yet");
    machine.log.until("1 services from /etc/linchpin/service in /run/service");
    machine.log.until("booted in ");
    machine.log.until("service web started");
    assert_eq!(machine.log.complaints(), Vec::<String>::new());
    assert_eq!(machine.text("hostname"), "pin\n");
}

#[test]
fn the_host_name_is_that_of_its_file_unless_the_board_config_has_one() {
    for (board, text, name) in
        [("", "# ours\n\n  box \nother\n", "box\n"), ("[board]\nhostname = \"pin\"\n", "box\n", "pin\n")]
    {
        let world = World::new().board(board).with_console();
        world.file("etc/hostname", 0o644, text);
        let mut machine = world.boot().up();
        assert_eq!(machine.text("hostname"), name);
        assert_eq!(machine.log.complaints(), Vec::<String>::new());
    }
    let world = World::new().with_console();
    world.file("etc/hostname", 0o644, &"x".repeat(65));
    let mut machine = world.boot().up();
    let complaints = machine.log.complaints();
    assert!(complaints[0].ends_with("x is longer than 64 bytes: it is ignored"), "{complaints:?}");
}

#[test]
fn the_board_config_is_where_the_command_line_says() {
    let world = World::new().with_argument("linchpin.board=/boot/other.toml").with_argument("quiet");
    world.file("boot/other.toml", 0o644, "[board]\nhostname = \"other\"\n");
    let mut machine = world.boot().up();
    assert_eq!(machine.text("hostname"), "other\n");
}

#[test]
fn sockets_are_there_with_mode_and_owner_and_held_before_the_first_process() {
    let world = World::new().service("web", "exec sleep 1000").board(
        r#"
        [boot]
        init = "/etc/rc.init"
        [[socket]]
        name = "unix:/run/deep/er/hello.sock"
        mode = "0660"
        owner = "0:GROUP"
        [[socket]]
        name = "tcp:127.0.0.1:80"
        "#
        .replace("GROUP", if is_root() { "hello" } else { "0" })
        .as_str(),
    );
    world.file("etc/rc.init", 0o755, "#!/bin/sh\nexit 3\n");
    let mut machine = world.boot();
    let group = if is_root() { 8 } else { 0 };
    let line = format!("socket unix:/run/deep/er/hello.sock is bound and held: mode 0660, owner 0:{group}");
    machine.log.until(&line);
    machine.log.until("socket tcp:127.0.0.1:80 is bound and held");
    machine.log.until("2 of 2 sockets are held; no process has been started yet");
    machine.log.until("the init script exited with 3");
    assert_eq!(machine.log.with("started, pid").len(), 1);
    let meta = machine.path("run/deep/er/hello.sock").symlink_metadata().unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.mode() & 0o7777, 0o660);
    assert_eq!(machine.text("stat -c %u:%g /run/deep/er/hello.sock"), format!("0:{group}\n"));
    let held = machine.text("/sbin/fdholder-list /service/fdholder/s");
    assert_eq!(held, "unix:/run/deep/er/hello.sock\ntcp:127.0.0.1:80\n");
    // 0050 is port 80, 0A is LISTEN.
    assert!(machine.text("cat /proc/net/tcp").contains(" 0100007F:0050 00000000:0000 0A "));
}

#[test]
fn the_run_image_is_copied_with_modes_owners_links_and_fifos() {
    let world = World::new().service("web", "exec sleep 1000").service("web/log", "exec cat >/dev/null");
    let web = |name: &str| format!("etc/linchpin/service/web/{name}");
    world.file(&web("data/secret"), 0o4751, "x");
    world.file(&web("empty"), 0o604, "");
    world.file(&web("big"), 0o600, &"0123456789".repeat(10_000));
    symlink("data/secret", world.path(&web("link"))).unwrap();
    let mut fifo = Command::new("mkfifo");
    assert!(fifo.args(["-m", "622"]).arg(world.path(&web("fifo"))).status().unwrap().success());
    if is_root() {
        std::os::unix::fs::chown(world.path(&web("empty")), Some(7), Some(8)).unwrap();
    }
    let mut machine = world.boot().up();
    let list = |dir: &str| format!("cd {dir}/web && stat -c '%n %f %u:%g' . data data/* empty big link log/run");
    let original = machine.text(&list("/etc/linchpin/service"));
    assert_eq!(machine.text(&list("/run/service")), original);
    machine.text("cmp /etc/linchpin/service/web/big /run/service/web/big");
    assert_eq!(machine.text("cd /service/web; readlink link; stat -c '%F %a' fifo"), "data/secret\nfifo 622\n");
    assert_eq!(machine.text("readlink /service"), "/run/service\n");
}

#[test]
fn children_have_a_path_a_console_and_nothing_of_process_1() {
    let run = "echo $$ >/tmp/web; exec sleep 1000";
    let world = World::new().service("web", run).board("[boot]\ninit = \"/etc/rc.init\"\n").with_console();
    world.file("etc/rc.init", 0o755, "#!/bin/sh\necho $$ >/tmp/init; exec sleep 1000\n");
    let mut machine = world.boot().up();
    for (name, dir) in [("web", "/run/service/web"), ("init", "/")] {
        let pid = machine.await_line(&format!("tmp/{name}")).trim().to_owned();
        eventually(|| machine.read(&format!("proc/{pid}/comm")) == "sleep\n");
        let links = machine.text(&format!("cd /proc/{pid}; readlink cwd fd/*; tr '\\0' '\\n' <environ"));
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let lines: Vec<&str> = links.lines().filter(|line| !line.starts_with("PWD=")).collect();
        assert_eq!(lines, [dir, "/dev/null", "/dev/console", "/dev/console", "HOME=/", "TERM=linux", path], "{name}");
        let status = machine.read(&format!("proc/{pid}/status"));
        for line in ["Umask:\t0022", "SigBlk:\t0000000000000000", &format!("NSsid:\t{pid}")] {
            assert!(status.contains(line), "{name} has no {line} in:\n{status}");
        }
    }
}

#[test]
fn file_systems_of_the_board_are_mounted_in_order_and_their_directories_made() {
    let world = World::new().board(
        r#"
        [[mount]]
        target = "/data/scratch"
        source = "scratch"
        type = "tmpfs"
        options = "noexec,size=64k,mode=0700"
        [[mount]]
        target = "/data/scratch/again"
        source = "/etc"
        type = "none"
        options = "bind,ro"
        [[mount]]
        target = "/data/scratch"
        type = "tmpfs"
        options = "remount,ro"
        "#,
    );
    let mut machine = world.with_console().boot().up();
    assert_eq!(machine.log.complaints(), Vec::<String>::new());
    let mounts = machine.text("grep /data /proc/self/mounts");
    assert!(mounts.starts_with("scratch /data/scratch tmpfs ro,"), "{mounts}");
    assert!(mounts.contains(",size=64k,mode=700"), "{mounts}");
    assert!(!machine.sh("echo >/data/scratch/again/x").status.success());
    machine.text("cmp /etc/passwd /data/scratch/again/passwd");
}

#[test]
fn a_data_file_system_is_unmounted_at_the_end() {
    let world = World::new().board(
        "[[mount]]\ntarget = \"/data\"\ntype = \"overlay\"\noptions = \"lowerdir=/etc:/tmp\"\n[shutdown]\ntimeout = \"5s\"\n",
    );
    let mut machine = world.with_console().boot().up();
    assert!(machine.text("cat /proc/self/mounts").contains("overlay /data overlay"));
    machine.ask("/sbin/poweroff");
    machine.log.until("syncing and unmounting file systems");
    machine.log.until("poweroff now");
    assert_eq!(machine.end(), End::Down);
    assert_eq!(machine.log.complaints(), Vec::<String>::new());
}
