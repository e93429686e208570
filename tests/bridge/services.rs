//! The ready service directories, in an image that has BusyBox, linchpin and the daemon.

use crate::image::{Screen, Shell, base, take};
use crate::machine::{End, Machine, eventually};
use crate::world::World;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// An image with these services and programs of the tree of daemons.
fn image(services: &[&str], programs: &[&str]) -> World {
    let world = base(Shell::Busybox);
    let mut board = String::from("[boot]\nsignals = \"busybox\"\n");
    for name in services {
        let common = Path::new(ROOT).join("board/common/services");
        copy(&common.join(name), &world.path(&format!("etc/linchpin/service/{name}")));
        board += &fs::read_to_string(common.join(format!("{name}.toml"))).unwrap_or_default();
    }
    for program in programs {
        take(&world, &crate::root::root().join(program));
    }
    let logger = fs::read_to_string(Path::new(ROOT).join("rootfs/etc/linchpin/logger")).unwrap();
    world.file("etc/linchpin/logger", 0o755, &logger);
    world.file(
        "etc/passwd",
        0o644,
        "root::0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nlog:x:100:100::/:/bin/false\n",
    );
    world.file("etc/group", 0o644, "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\nlog:x:100:\n");
    world.file("var/www/index.html", 0o644, "a page of the image\n");
    world.board(&board)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_symlink() {
            symlink(fs::read_link(&path).unwrap(), &target).unwrap();
        } else {
            fs::copy(&path, &target).unwrap();
            let mode = if path.metadata().unwrap().permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

fn pid_of(machine: &mut Machine, name: &str) -> String {
    let mut pid = String::new();
    eventually(|| {
        pid = machine.text(&format!("linchpin svstat -o pid /run/service/{name}")).trim().to_owned();
        pid != "-1"
    });
    pid
}

/// What is in the log of a service.
fn log_has(machine: &mut Machine, name: &str, text: &str) {
    eventually(|| machine.sh(&format!("cat /run/log/{name}/current")).stdout_has(text));
}

trait Has {
    fn stdout_has(&self, text: &str) -> bool;
}

impl Has for std::process::Output {
    fn stdout_has(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.stdout).contains(text)
    }
}

/// The web server `name` answers on a held socket: while it is away callers wait, and when it was killed the next one serves.
fn serves_pages(mut machine: Machine, name: &str) {
    machine.text("ifconfig lo up");
    let page = "wget -q -O - http://127.0.0.1/index.html";
    eventually(|| machine.sh(page).stdout == b"a page of the image\n");
    for _ in 0..2 {
        let pid = pid_of(&mut machine, name);
        // All of its processes: one that lives a moment longer might still accept somebody.
        machine.text(&format!("kill -9 -{pid}"));
        assert_eq!(machine.text(page), "a page of the image\n");
        eventually(|| pid_of(&mut machine, name) != pid);
    }
    machine.text(&format!("linchpin svc -wD -T 20000 -d /run/service/{name}"));
    assert_eq!(machine.text("ps -o comm | grep -c '^lighttpd\\|^nginx' || :"), "0\n");
    // Nobody is there who could refuse it.
    let waits = machine.command(&["sh", "-c", page]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    machine.text(&format!("linchpin svc -u /run/service/{name}"));
    assert_eq!(waits.wait_with_output().unwrap().stdout, b"a page of the image\n");
    assert_eq!(machine.log.complaints(), [""; 0]);
}

#[test]
fn lighttpd_serves_with_the_configuration_of_the_image() {
    let world = image(&["lighttpd"], &["usr/sbin/lighttpd"]);
    // As it comes: a user of its own, a log of its own, and includes with and without a path.
    world.file(
        "etc/lighttpd/lighttpd.conf",
        0o644,
        "var.conf_dir = \"/etc/lighttpd\"\ninclude conf_dir + \"/modules.conf\"\ninclude \"mime.conf\"\nserver.port = 80\n\
         server.username = \"www-data\"\nserver.groupname = \"www-data\"\nserver.document-root = \"/var/www\"\n\
         server.pid-file = \"/run/lighttpd.pid\"\nserver.upload-dirs = (\"/tmp\")\n",
    );
    world.file("etc/lighttpd/modules.conf", 0o644, "server.modules = ()\n");
    world.file("etc/lighttpd/mime.conf", 0o644, "mimetype.assign = (\".html\" => \"text/html\")\n");
    serves_pages(world.boot().up(), "lighttpd");
}

#[test]
fn lighttpd_may_say_itself_that_it_takes_sockets() {
    let world = image(&["lighttpd"], &["usr/sbin/lighttpd"]);
    let conf = "server.systemd-socket-activation = \"enable\"\nserver.port = 80\nserver.modules = ()\n\
                server.document-root = \"/var/www\"\nserver.upload-dirs = (\"/tmp\")\n";
    world.file("etc/lighttpd/lighttpd.conf", 0o644, conf);
    serves_pages(world.boot().up(), "lighttpd");
}

#[test]
fn nginx_serves_with_the_configuration_of_the_image() {
    for daemon in ["", "daemon off;\n"] {
        let world = image(&["nginx"], &["usr/sbin/nginx"]);
        fs::create_dir_all(world.path("var/lib/nginx")).unwrap();
        let conf = "user www-data www-data;\nworker_processes 1;\nevents { worker_connections 64; }\n\
                    http { access_log off; server { listen 80; root /var/www; } }\n";
        world.file("etc/nginx/nginx.conf", 0o644, &format!("{daemon}{conf}"));
        serves_pages(world.boot().up(), "nginx");
    }
}

/// An image with dropbear, root's key and Buildroot's link to where the host keys are.
fn dropbear() -> World {
    let programs = ["usr/sbin/dropbear", "usr/bin/dropbearkey", "usr/bin/dbclient"];
    let world = image(&["dropbear"], &programs);
    symlink("/var/run/dropbear", world.path("etc/dropbear")).unwrap();
    world.file("etc/shells", 0o644, "/bin/sh\n");
    world
}

/// Runs a command through a connection, with a key that is made for it.
const LOGIN: &str = "set -e; ifconfig lo up; umask 077; mkdir -p /tmp/ssh /tmp/home/.ssh; \
                     [ -e /tmp/key ] || dropbearkey -t ed25519 -f /tmp/key >/dev/null 2>&1; \
                     dropbearkey -y -f /tmp/key | grep ^ssh- >/tmp/home/.ssh/authorized_keys; \
                     HOME=/tmp/ssh exec dbclient -y -y -i /tmp/key root@127.0.0.1 ";

fn root_is_at_home_in_tmp(world: &World) {
    let users = fs::read_to_string(world.path("etc/passwd")).unwrap();
    world.file("etc/passwd", 0o644, &users.replace(":/root:", ":/tmp/home:"));
}

#[test]
fn dropbear_answers_each_connection_and_who_is_logged_in_stays_when_the_service_dies() {
    let world = dropbear();
    root_is_at_home_in_tmp(&world);
    let mut machine = world.boot().up();
    assert_eq!(machine.log.with("socket ssh (tcp:0.0.0.0:22) is bound and held").len(), 1);
    let login = |command: &str| format!("{LOGIN}'{command}'");
    assert_eq!(machine.text(&login("echo hello")), "hello\n");
    log_has(&mut machine, "dropbear", "a new host key: /etc/dropbear/dropbear_ed25519_host_key");
    // The root can be written: the link was made a directory, and the key stays.
    assert_eq!(machine.text("[ ! -L /etc/dropbear ]; stat -c %a /etc/dropbear/dropbear_ed25519_host_key"), "600\n");
    let key = fs::read(machine.path("etc/dropbear/dropbear_ed25519_host_key")).unwrap();

    let session = "echo here >/tmp/there; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo still there";
    let session = machine.command(&["sh", "-c", &login(session)]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    machine.await_line("tmp/there");
    let pid = pid_of(&mut machine, "dropbear");
    machine.text(&format!("kill -9 {pid}"));
    assert_eq!(machine.text(&login("echo again")), "again\n");
    assert_ne!(pid_of(&mut machine, "dropbear"), pid);
    machine.text("echo >/tmp/go");
    assert_eq!(session.wait_with_output().unwrap().stdout, b"still there\n");
    assert_eq!(fs::read(machine.path("etc/dropbear/dropbear_ed25519_host_key")).unwrap(), key);
    assert_eq!(machine.text("linchpin failed"), "");
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn dropbear_has_its_keys_in_memory_where_the_root_cannot_be_written() {
    for is_link in [true, false] {
        let world = dropbear();
        root_is_at_home_in_tmp(&world);
        if !is_link {
            fs::remove_file(world.path("etc/dropbear")).unwrap();
            fs::create_dir(world.path("etc/dropbear")).unwrap();
        }
        fs::create_dir_all(world.path("service")).unwrap();
        let board = fs::read_to_string(world.path("etc/linchpin/board.toml")).unwrap();
        let tmp = "[[mount]]\ntarget = \"/tmp\"\ntype = \"tmpfs\"\noptions = \"mode=1777\"\n";
        let world = world.board(&format!("{board}{tmp}")).with_setup("mount -o remount,bind,ro \"$root\"");
        let mut machine = world.boot().up();
        let output = machine.sh(&format!("{LOGIN} 'echo hello'"));
        let log = machine.sh("cat /run/log/dropbear/current");
        assert!(output.stdout == b"hello\n", "{is_link}: {output:?} {}", String::from_utf8_lossy(&log.stdout));
        log_has(&mut machine, "dropbear", "the host keys are in memory: clients see others after each boot");
        assert_eq!(machine.text("stat -c %a /run/dropbear/dropbear_ed25519_host_key"), "600\n");
    }
}

#[test]
fn syslog_takes_what_was_said_before_it_was_there() {
    let world = image(&["syslog"], &[]);
    world.file("etc/linchpin/service/syslog/down", 0o644, "");
    let mut machine = world.boot().up();
    machine.text("logger -t early said before");
    eventually(|| machine.sh("linchpin svok /run/service/syslog").status.success());
    machine.text("linchpin svc -wU -T 20000 -u /run/service/syslog");
    log_has(&mut machine, "syslog", "said before");
    let pid = pid_of(&mut machine, "syslog");
    machine.text(&format!("kill -STOP {pid}; logger -t mid while it hangs; kill -9 {pid}; logger -t late and after"));
    log_has(&mut machine, "syslog", "while it hangs");
    log_has(&mut machine, "syslog", "and after");
    // Root's own, in memory, and not for everybody.
    assert_eq!(machine.text("stat -c '%a %u' /run/log/syslog"), "2750 100\n");
}

#[test]
fn getty_asks_for_a_login_on_the_terminal_of_its_conf_and_says_if_there_is_none() {
    let world = image(&["getty"], &[]);
    let other = world.path("etc/linchpin/service/getty-ttyS9");
    copy(&world.path("etc/linchpin/service/getty"), &other);
    fs::write(other.join("conf"), "TTY=ttyS9\n").unwrap();
    world.file("etc/hostname", 0o644, "buildroot\n");
    let mut machine = world.boot().up();
    let mut screen = Screen::of(machine.console.take().unwrap());
    screen.until("buildroot login: ");
    screen.until("there is no terminal /dev/ttyS9"); // again and again, ever later
    screen.say("root\n");
    screen.until("# ");
    // A service that ends when it is told to, shell and all.
    eventually(|| machine.sh("linchpin failed").stdout_has("getty-ttyS9: down for "));
    assert_eq!(machine.sh("linchpin svc -wD -T 20000 -d /run/service/getty").status.code(), Some(0));
}

#[test]
fn network_is_ready_when_all_interfaces_are_up_and_takes_them_down_at_the_stop() {
    let world = image(&["network"], &[]);
    world.file(
        "etc/network/interfaces",
        0o644,
        "auto lo\niface lo inet loopback\n\nauto late\niface late inet static\n  address 192.0.2.7\n  netmask 255.255.255.0\n\
         \x20 down echo down >>/order\n",
    );
    for folder in ["if-pre-up.d", "if-up.d", "if-down.d", "if-post-down.d"] {
        fs::create_dir_all(world.path(&format!("etc/network/{folder}"))).unwrap();
    }
    let mut machine = world.boot().up();
    log_has(&mut machine, "network", "not all interfaces are up: trying again in 5 s");
    assert_eq!(machine.text("linchpin svstat -o up,ready /run/service/network"), "true false\n");
    machine.text("ip addr show lo | grep 127.0.0.1");
    let mut link = std::process::Command::new("nsenter");
    if !crate::world::is_root() {
        link.arg("--preserve-credentials");
    }
    // BusyBox makes none.
    link.args(["-U", "-n", "-t", &machine.pid().to_string(), "ip", "link", "add", "late", "type", "veth"]);
    assert!(link.status().unwrap().success());
    machine.text("linchpin svwait -U -t 20000 /run/service/network");
    machine.text("ip addr show late | grep 192.0.2.7");
    assert_eq!(machine.text("linchpin failed"), "");
    // Killed, it finds all as it was.
    let pid = pid_of(&mut machine, "network");
    machine.text(&format!("kill -9 {pid}"));
    eventually(|| pid_of(&mut machine, "network") != pid);
    machine.text("linchpin svwait -U -t 20000 /run/service/network");
    assert!(!machine.root("order").exists());
    machine.ask("/sbin/poweroff");
    machine.log.until("service network stopped");
    assert_eq!(machine.end(), End::Down);
    assert_eq!(fs::read_to_string(machine.root("order")).unwrap(), "down\n");
}

#[test]
fn without_a_table_of_interfaces_only_lo_is_brought_up() {
    let mut machine = image(&["network"], &[]).boot().up();
    eventually(|| machine.sh("linchpin svok /run/service/network").status.success());
    machine.text("linchpin svwait -U -t 20000 /run/service/network");
    machine.text("ip addr show lo | grep 127.0.0.1");
    log_has(&mut machine, "network", "there is no /etc/network/interfaces: only lo is up");
}
