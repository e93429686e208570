//! A broken world: the machine boots all the same, says in one line each what is wrong, and everything else works.

use crate::machine::{End, Machine};
use crate::world::World;
use std::os::unix::fs::symlink;

const GOOD: &str = "[[socket]]\nname = \"unix:/run/good.sock\"\n";

/// A machine with a service that must be started and a socket that must be held, whatever else there is.
fn world() -> World {
    World::new().service("witness", "exec sleep 1000").with_console()
}

/// All complaints of a machine up to the start of the witness; then everything else is shown to work.
#[track_caller]
fn complaints(world: World) -> Vec<String> {
    let mut machine = world.boot_as_it_is();
    machine.log.until("service witness started");
    works(machine)
}

#[track_caller]
fn works(mut machine: Machine) -> Vec<String> {
    let complaints = machine.log.complaints();
    let holder = machine.text("ls -d /run/service/fdholder/s /dev/shm/service/fdholder/s 2>/dev/null | head -n 1");
    assert_eq!(machine.text(&format!("s6-fdholder-list {holder}")), "unix:/run/good.sock\n");
    machine.ask("/sbin/poweroff");
    machine.log.until("poweroff now");
    assert_eq!(machine.end(), End::Down);
    complaints
}

#[test]
fn every_mistake_of_a_board_config_is_named_with_its_place() {
    let board = "[board]\nhostname = pin\n[[socket]]\nname = \"unix:/run/good.sock\"\nmoed = \"0660\"\n\
                 [[socket]]\nname = \"nonsense\"\n[nonsense]\nx = 1\n[shutdown]\ntimeout = \"soon\"\n";
    let complaints = complaints(world().board(board));
    let places: Vec<&str> = complaints.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let file = "/etc/linchpin/board.toml";
    let expected: Vec<String> =
        ["2:12:", "5:1:", "7:8:", "8:1:", "11:11:"].iter().map(|place| format!("{file}:{place}")).collect();
    assert_eq!(places, expected, "{complaints:#?}");
}

#[test]
fn without_a_board_config_everything_has_its_default() {
    let mut machine = world().boot_as_it_is();
    machine.log.until("service witness started");
    let complaints = machine.log.complaints();
    let missing = "board config /etc/linchpin/board.toml: No such file or directory: everything has its default";
    assert_eq!(complaints, [missing]);
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "");
}

#[test]
fn without_service_templates_there_are_no_services() {
    let world = World::new().with_console().board(GOOD);
    std::fs::remove_dir(world.path("etc/linchpin/service")).unwrap();
    let machine = world.boot().up();
    assert_eq!(works(machine), ["no service templates in /etc/linchpin/service: No such file or directory"]);
}

#[test]
fn a_template_that_cannot_be_copied_costs_only_itself() {
    let world = world().board(GOOD);
    let deep = "etc/linchpin/service/deep/".to_owned() + &"d/".repeat(17);
    world.file(&(deep + "file"), 0o644, "");
    let socket = world.path("etc/linchpin/service/odd.sock");
    let _odd = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let mut machine = world.boot();
    machine.log.until("service deep cannot be started");
    machine.supervised("witness");
    let mut complaints = works(machine);
    complaints.sort();
    let deepest = "d/".repeat(15) + "d";
    assert_eq!(
        complaints,
        [
            format!("run image: cannot copy deep/{deepest}: Too many levels of symbolic links"),
            "run image: cannot copy odd.sock: Operation not supported".to_owned(),
            "service deep cannot be started: ./run: No such file or directory; tried again every 60 s".to_owned(),
        ]
    );
}

#[test]
fn a_service_without_run_is_named() {
    let world = world().board(GOOD);
    std::fs::create_dir(world.path("etc/linchpin/service/empty")).unwrap();
    world.file("etc/linchpin/service/text/run", 0o644, "");
    world.file("etc/linchpin/service/loader/run", 0o755, "#!/no/such/interpreter\n");
    let mut machine = world.boot();
    for _ in 0..3 {
        machine.log.until("cannot be started");
    }
    machine.supervised("witness");
    let mut complaints = works(machine);
    complaints.sort();
    let line =
        |name: &str, why: &str| format!("service {name} cannot be started: ./run: {why}; tried again every 60 s");
    let missing = "No such file or directory";
    assert_eq!(complaints, [line("empty", missing), line("loader", missing), line("text", "Permission denied")]);
}

#[test]
fn without_a_console_children_write_to_the_null_device() {
    let mut machine = World::new().board(GOOD).service("witness", "exec sleep 1000").boot();
    let started = machine.log.until("service witness started, pid ");
    let pid = started.rsplit(' ').next().unwrap();
    assert_eq!(machine.text(&format!("readlink /proc/{pid}/fd/1 /proc/{pid}/fd/2")), "/dev/null\n/dev/null\n");
    assert_eq!(works(machine), ["no console: /dev/console: No such file or directory"]);
}

/// All complaints but those about further attempts to bind what could not be bound: their number depends on the time.
fn first_complaints(machine: &mut Machine) -> Vec<String> {
    let mut complaints = machine.log.complaints();
    complaints.retain(|line| !line.starts_with("socket: still unable to "));
    complaints
}

#[test]
fn sockets_that_cannot_be_bound_are_named_one_by_one() {
    let board = r#"
        [[socket]]
        name = "tcp:0.0.0.0:80"
        [[socket]]
        name = "tcp:127.0.0.1:80"
        [[socket]]
        name = "tcp:192.0.2.1:81"
        freebind = false
        [[socket]]
        name = "unix:/etc/linchpin"
        [[socket]]
        name = "unix:/etc/passwd/x.sock"
        [[socket]]
        name = "unix:/run/good.sock"
        "#;
    // As long as no interface has any address, the kernel takes all of them for local.
    let mut machine = world().board(board).with_setup("ip link set lo up").boot();
    machine.log.until("2 of 6 sockets are held");
    machine.log.until("service witness started");
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "tcp:0.0.0.0:80\nunix:/run/good.sock\n");
    assert_eq!(
        first_complaints(&mut machine),
        [
            "socket: unable to bind to tcp:127.0.0.1:80: Address already in use: it is tried again",
            "socket: unable to bind to tcp:192.0.2.1:81: Cannot assign requested address: it is tried again",
            "socket: unable to bind to unix:/etc/linchpin: Address already in use: it is tried again",
            "socket: unable to make the directories of unix:/etc/passwd/x.sock: Not a directory: it is tried again",
        ]
    );
}

#[test]
fn a_socket_whose_owner_is_not_known_belongs_to_root() {
    let owner =
        "owner = \"ghost:hello\"\nmode = \"0666\"\n[[socket]]\nname = \"unix:/run/g.sock\"\nowner = \":ghosts\"\n";
    let mut machine = world().board(&format!("{GOOD}{owner}")).boot();
    machine.log.until("2 of 2 sockets are held");
    machine.log.until("service witness started");
    assert_eq!(
        machine.log.complaints(),
        [
            "socket unix:/run/good.sock: there is no such user: it belongs to root",
            "socket unix:/run/g.sock: there is no such group: it belongs to root",
        ]
    );
    assert_eq!(machine.text("stat -c '%u:%g %a' /run/good.sock /run/g.sock"), "0:0 666\n0:0 600\n");
}

#[test]
fn a_read_only_root_is_enough() {
    let world = world().board(GOOD).with_setup("mount -o remount,bind,ro \"$root\"");
    symlink("run/service", world.path("service")).unwrap();
    assert_eq!(complaints(world), Vec::<String>::new());
}

#[test]
fn a_read_only_root_without_the_link_lacks_only_the_link() {
    let world = world().board(GOOD).with_setup("mount -o remount,bind,ro \"$root\"");
    assert_eq!(complaints(world), ["no link /service to /run/service: Read-only file system"]);
}

#[test]
fn without_run_services_live_elsewhere() {
    let world =
        world().board("[[socket]]\nname = \"unix:/run/x.sock\"\n").with_setup("mount -o remount,bind,ro \"$root\"");
    std::fs::remove_dir(world.path("run")).unwrap();
    symlink("dev/shm/service", world.path("service")).unwrap();
    let mut machine = world.boot();
    machine.log.until("service witness started");
    assert_eq!(
        first_complaints(&mut machine),
        [
            "cannot mount tmpfs on /run: No such file or directory",
            "scan directory /run/service: unable to make it: No such file or directory: it is /dev/shm/service",
            "no fd-holder at /run/service/fdholder/s: No such file or directory",
            "socket: unable to make the directories of unix:/run/x.sock: Read-only file system: it is tried again",
        ]
    );
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "");
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn a_scan_directory_that_is_none_is_replaced() {
    let world = world().board(&format!("{GOOD}[boot]\nscandir = \"/etc/passwd\"\n[fdholder]\npath = \"/run/h/o/s\"\n"));
    let mut machine = world.boot();
    machine.log.until("service witness started");
    let complaint = "scan directory /etc/passwd: unable to make it: Not a directory: it is /run/service";
    assert_eq!(machine.log.complaints(), [complaint]);
    assert_eq!(machine.text("s6-fdholder-list /run/h/o/s"), "unix:/run/good.sock\n");
}

#[test]
fn a_scan_directory_where_another_svscan_runs_is_left_to_it() {
    let other = "mkdir -p $root/var/service
        s6-svscan -d 4 $root/var/service 4>$root/tmp/ready 2>/dev/null &
        while [ ! -s $root/tmp/ready ]; do :; done";
    let board = format!("{GOOD}[boot]\nscandir = \"/var/service\"\n[fdholder]\npath = \"/run/service/fdholder/s\"\n");
    let complaint = "scan directory /var/service: unable to lock .s6-svscan/lock: Resource temporarily unavailable: \
                     it is /run/service";
    assert_eq!(complaints(world().board(&board).with_setup(other)), [complaint]);
}

#[test]
fn a_path_of_the_fd_holder_that_cannot_be_is_replaced() {
    let world = world().board(&format!("{GOOD}[fdholder]\npath = \"/proc/none/s\"\n"));
    assert_eq!(complaints(world), ["no fd-holder at /proc/none/s: No such file or directory"]);
}

#[test]
fn mounts_that_fail_are_named_one_by_one() {
    let board = format!(
        "{GOOD}[[mount]]\ntarget = \"/data\"\nsource = \"/dev/none\"\ntype = \"ext4\"\n\
         [[mount]]\ntarget = \"/data\"\ntype = \"tmpfs\"\noptions = \"nonsense=1\"\n"
    );
    let complaints = complaints(world().board(&board));
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(complaints[0].starts_with("cannot mount /dev/none on /data: "), "{complaints:#?}");
    assert_eq!(complaints[1], "cannot mount tmpfs on /data: Invalid argument");
}

#[test]
fn an_init_script_that_cannot_be_run_is_named() {
    let complaints = complaints(world().board(&format!("{GOOD}[boot]\ninit = \"/etc/rc.none\"\n")));
    assert_eq!(complaints, ["cannot run the init script /etc/rc.none: No such file or directory"]);
}

#[test]
fn process_1_may_be_started_without_descriptors() {
    let world = world().board(GOOD).with_setup("exec <&- >&- 2>&-");
    assert_eq!(complaints(world), Vec::<String>::new());
}

#[test]
fn words_for_process_1_that_are_too_long_or_unknown_are_passed_over() {
    let long = "x".repeat(100_000);
    let mut world = world().board(GOOD).with_argument("single").with_argument(&long);
    for word in [format!("linchpin.board=/{long}"), "linchpin.bord=/etc/x".to_owned(), "svc".to_owned()] {
        world = world.with_argument(&word);
    }
    let complaints = complaints(world);
    assert_eq!(complaints.len(), 2, "{complaints:#?}");
    assert!(complaints[0].starts_with("kernel command line: linchpin.board=/xxx") && complaints[0].ends_with("..."));
    assert_eq!(complaints[1], "kernel command line: linchpin.bord=/etc/x is ignored: not known, or too long");
}

#[test]
fn services_for_which_there_are_no_descriptors_left_are_named_and_the_machine_can_be_ended() {
    let mut world = world().board(GOOD).with_setup("ulimit -n 24");
    for i in 0..10 {
        world = world.service(&format!("s{i}"), "exec sleep 1000");
    }
    let mut machine = world.boot().up();
    machine.log.until("Too many open files; tried again");
    machine.log.until(" started, pid");
    machine.ask("kill -USR1 1");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn a_machine_that_cannot_even_wait_for_events_says_so_and_reboots() {
    let mut machine = world().board(GOOD).with_setup("ulimit -n 12").boot();
    machine.log.until("no event loop: Too many open files: rebooting");
    assert_eq!(machine.end(), End::Reboot);
}
