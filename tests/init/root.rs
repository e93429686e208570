//! From an initramfs (a tmpfs that is the root) to another root file system (an overlay: what can be mounted in a namespace).

use crate::machine::{End, Machine, eventually};
use crate::world::World;
use std::fs;
use std::os::unix::fs::symlink;

/// Makes a tmpfs the root, with the files of the world in it, and shows the world itself as /real, for the root to come. The
/// host's programs are below /run, which moves along; /run/old is the tmpfs, so that it can be seen afterwards.
const INITRAMFS: &str = r#"
real=$root root=/mnt
mount -t tmpfs -o mode=0755 initramfs $root
mkdir $root/proc $root/sys $root/run $root/tmp $root/dev $root/real $root/second
cp -a "$real/etc" "$real/sbin" $root/
echo initramfs >$root/etc/where
mount -t tmpfs -o mode=0755 run $root/run
mkdir $root/run/usr $root/run/old
mount --bind /usr $root/run/usr
mount --bind $root $root/run/old
umount "$real/usr"
rmdir "$real/usr"
for top in $root "$real"; do
    ln -s run/usr "$top/usr"
    for name in bin lib lib64; do [ -L "$top/$name" ] || [ ! -L /$name ] || ln -s usr/$name "$top/$name"; done
done
mount --bind "$real" $root/real
mount -t tmpfs second $root/second
mount -n --move "$real/dev" $root/dev
"#;

const BOARD: &str = "[root]\ndevice = \"real\"\ntype = \"overlay\"\noptions = \"lowerdir=/real:/second\"\n";

fn initramfs(board: &str) -> World {
    let world = World::new().board(board).with_console().service("witness", "exec sleep 1000").with_setup(INITRAMFS);
    world.file("etc/where", 0o644, "root\n");
    symlink("/run/service", world.path("service")).unwrap(); // it cannot be made where nothing can
    world
}

/// Waits until the services are there: those of the root, or of the initramfs.
#[track_caller]
fn is_in(machine: &mut Machine, place: &str) {
    machine.log.until("service witness started");
    assert_eq!(machine.text("cat /etc/where"), format!("{place}\n"));
}

#[track_caller]
fn goes_down(mut machine: Machine) {
    machine.ask("/sbin/poweroff");
    machine.log.until("poweroff now");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn process_1_goes_on_to_the_root_and_gives_the_memory_of_the_initramfs_back() {
    let mut machine = initramfs(BOARD).boot();
    machine.log.until("real (overlay) is mounted on /sysroot");
    machine.log.until("going on with /sbin/init of the root file system");
    is_in(&mut machine, "root");
    assert_eq!(machine.log.complaints(), [""; 0]);
    assert_eq!(machine.text("find /run/old -xdev ! -type d"), "");
    assert_eq!(machine.text("ls /run/old"), "real\nsecond\n");
    // What was mounted early has moved along, once.
    let mounts = machine.text("cut -d ' ' -f 2 /proc/mounts");
    for target in ["/proc", "/sys", "/dev", "/dev/pts", "/run"] {
        assert_eq!(mounts.lines().filter(|line| *line == target).count(), 1, "{target} in {mounts}");
    }
    assert!(
        machine.descriptors().iter().all(|line| !line.contains("deleted") || line.contains("memfd:")),
        "{:?}",
        machine.descriptors()
    );
    goes_down(machine);
}

#[test]
fn nothing_of_it_happens_without_a_table_or_where_the_root_is_no_initramfs() {
    let mut machine = initramfs("").boot();
    is_in(&mut machine, "initramfs");
    goes_down(machine);
    let mut machine = World::new().board(BOARD).with_console().service("witness", "exec sleep 1000").boot();
    machine.log.until("service witness started");
    assert_eq!(machine.log.complaints(), [""; 0]);
    goes_down(machine);
}

#[test]
fn an_overlay_takes_the_changes_and_both_its_parts_stay_visible() {
    let board = format!("{BOARD}overlay = \"tmpfs\"\noverlay-options = \"size=1m\"\n");
    let mut machine = initramfs(&board).boot();
    is_in(&mut machine, "root");
    assert_eq!(machine.log.complaints(), [""; 0]);
    machine.text("echo changed >/etc/where");
    assert_eq!(
        machine.text("cat /run/linchpin/lower/etc/where /run/linchpin/upper/upper/etc/where"),
        "root\nchanged\n"
    );
    assert_eq!(machine.text("stat -c %a /"), "755\n");
    let size = machine.text("grep ' /run/linchpin/upper ' /proc/mounts");
    assert!(size.contains("size=1024k"), "{size}");
    goes_down(machine);
}

#[test]
fn the_kernels_command_line_says_what_the_board_does_not() {
    let mut machine = initramfs("[root]\n")
        .with_argument("root=real")
        .with_argument("rootfstype=overlay")
        .with_argument("rootflags=lowerdir=/real:/second")
        .boot();
    is_in(&mut machine, "root");
    assert_eq!(machine.log.complaints(), [""; 0]);
    // The arguments are the next program's too.
    assert!(machine.read("proc/1/cmdline").contains("root=real"));
    goes_down(machine);
}

#[test]
fn the_start_of_the_machine_is_that_of_the_first_program_and_no_services_variable() {
    let world = initramfs(BOARD).service("shows", "echo started=$LINCHPIN_STARTED. >/run/shown; exec sleep 1000");
    let mut machine = world.boot();
    let began = machine.log.until("version ");
    let next = machine.log.until("version ");
    assert_eq!(began, next);
    let booted = machine.log.until("booted in");
    machine.log.until("service shows started");
    assert_eq!(machine.await_line("run/shown"), "started=.\n");
    let passed: u64 = booted.split("booted in ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let up = machine.text("linchpin status | head -n 1");
    assert!(up.contains("up for") && passed > 0, "{booted} {up}");
    goes_down(machine);
}

/// Writes what it is given as process 1.
const PROBE: &str = r#"#!/bin/sh
exec 3>/run/probe
echo "$$ $0 $*" >&3
echo "$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2)" >&3
grep -E 'SigBlk|SigIgn|SigCgt' /proc/self/status >&3
ulimit -n >&3
echo "${LINCHPIN_STARTED:+started}" >&3
cat /etc/where >&3
exec sleep 1000
"#;

#[test]
fn another_init_gets_what_the_kernel_would_give_it() {
    let world = initramfs(BOARD).with_argument("init=/probe").with_argument("single").with_setup("ulimit -n 77");
    world.file("probe", 0o755, PROBE);
    let mut machine = world.boot();
    machine.log.until("going on with /probe of the root file system");
    let mut said = String::new();
    eventually(|| {
        let path = machine.path("run/probe");
        said = fs::read_to_string(path).unwrap_or_default();
        said.ends_with("root\n")
    });
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "1 /probe init=/probe single");
    assert!(lines[1..4].iter().all(|line| line.contains("/dev/console") || line.contains("/dev/pts/")), "{said}");
    let masks: Vec<&str> = lines[4..7].iter().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(masks[0], "0000000000000000", "{said}");
    assert_eq!(masks[1], "0000000000000000", "{said}");
    assert_eq!(lines[7..], ["77", "started", "root"]);
}

#[test]
fn an_init_that_is_not_there_is_said_and_sbin_init_it_is() {
    let mut machine = initramfs(BOARD).with_argument("init=/bin/nothing").boot();
    is_in(&mut machine, "root");
    assert_eq!(machine.log.complaints(), ["root: init=/bin/nothing is not there: it is /sbin/init"]);
    goes_down(machine);
}

#[test]
fn an_init_that_cannot_be_executed_is_said_and_process_1_goes_on_itself() {
    let world = initramfs(BOARD).with_argument("init=/broken");
    world.file("broken", 0o755, "#!/no/such/interpreter\n");
    let mut machine = world.boot();
    is_in(&mut machine, "root");
    let complaints = machine.log.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0]
            .starts_with("root: cannot execute /broken: No such file or directory (a library or an interpreter that")
    );
    assert_eq!(machine.log.with("version ").len(), 2);
    goes_down(machine);
}

#[test]
fn a_root_without_an_init_but_with_a_board_config_is_process_1s_own() {
    // The commands of the root are in /usr/local/bin then, say.
    let world = initramfs(BOARD).with_setup("mv \"$real/sbin\" \"$real/elsewhere\"");
    let mut machine = world.boot();
    machine.log.until("going on with the board config of the root file system, which has no /sbin/init");
    machine.log.until("service witness started");
    assert_eq!(machine.text("cat /etc/where"), "root\n");
    assert_eq!(machine.log.complaints(), [""; 0]);
    machine.ask("/elsewhere/linchpin poweroff");
    machine.log.until("poweroff now");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn an_init_that_is_a_link_is_followed_inside_the_root() {
    let world = initramfs(BOARD).with_argument("init=/boot/link");
    fs::create_dir(world.path("boot")).unwrap();
    symlink("/sbin/linchpin", world.path("boot/link")).unwrap();
    let mut machine = world.boot();
    machine.log.until("going on with /boot/link of the root file system");
    drop(machine); // what a binary of that name does is no matter here
}

/// A machine that cannot go on to its root: what it says, after which the initramfs's services run.
#[track_caller]
fn stays(board: &str) -> Vec<String> {
    let mut machine = initramfs(board).boot();
    is_in(&mut machine, "initramfs");
    let complaints = machine.log.complaints();
    goes_down(machine);
    complaints
}

#[test]
fn a_device_that_never_comes_is_said_and_the_initramfs_goes_on() {
    let said = stays("[root]\ndevice = \"/dev/never\"\ntype = \"ext4\"\ntimeout = \"50ms\"\n");
    let sentence = "root: /dev/never did not appear within 50 ms: its name is wrong, or its driver is not among [boot] modules; \
                    process 1 goes on in the initramfs";
    assert_eq!(said, [sentence]);
    let said = stays("[root]\ndevice = \"PARTLABEL=never\"\ntimeout = \"50ms\"\n");
    assert!(said.len() == 1 && said[0].starts_with("root: PARTLABEL=never did not appear within"), "{said:?}");
}

#[test]
fn other_troubles_are_said_in_one_sentence_each() {
    for (board, sentence) in [
        (
            "device = \"x\"\ntype = \"tmpfs\"",
            "root: x has neither /sbin/init nor a board config: it is another device, or not complete",
        ),
        (
            "device = \"x\"\ntype = \"nofs\"",
            "root: cannot mount x as nofs: No such device: the kernel does not know that file system",
        ),
        (
            "device = \"x\"\ntype = \"tmpfs\"\noptions = \"size=x\"",
            "root: cannot mount x as tmpfs: Invalid argument: it holds another",
        ),
        (
            "type = \"tmpfs\"\n[boot]\n",
            "root: neither [root] device nor root= on the kernel's command line says what it is",
        ),
        (
            "device = \"real\"\ntype = \"overlay\"\noptions = \"lowerdir=/real:/second\"\noverlay = \"y\"\noverlay-type = \"nofs\"",
            "root: cannot mount y as nofs: No such device",
        ),
    ] {
        if board.starts_with("type") && fs::read_to_string("/proc/cmdline").unwrap().contains("root=") {
            continue; // the host's kernel was told
        }
        let said = stays(&format!("[root]\n{board}\n"));
        assert!(said.len() == 1 && said[0].starts_with(sentence), "{board}: {said:?}");
        assert!(said[0].ends_with("; process 1 goes on in the initramfs"), "{said:?}");
    }
}

#[test]
fn a_machine_that_waits_for_its_root_can_be_told_to_go_down() {
    let mut machine = initramfs("[root]\ndevice = \"/dev/never\"\n").with_argument("rootwait").boot();
    machine.log.until("waiting for /dev/never (1 s), for ever");
    machine.ask("kill -USR1 1");
    machine.log.until("root: the machine is to go down");
    machine.log.until("poweroff now");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn what_comes_late_is_waited_for() {
    let board = "[root]\ndevice = \"/run/late/real\"\ntype = \"overlay\"\noptions = \"lowerdir=/real:/second\"\ntimeout = \"60s\"\n";
    let mut machine = initramfs(board).boot();
    machine.log.until("waiting for /run/late/real (1 s), 59 s more at most");
    machine.text("mkdir -p /run/late/real");
    is_in(&mut machine, "root");
    goes_down(machine);
}

#[test]
fn a_mount_waits_for_its_device_and_no_longer_than_it_is_told() {
    let board = "[[mount]]\ntarget = \"/early\"\nsource = \"/run/late\"\ntype = \"none\"\noptions = \"bind\"\nwait = \"60s\"\n\
                 [[mount]]\ntarget = \"/never\"\nsource = \"/dev/never\"\ntype = \"ext4\"\nwait = \"30ms\"\n\
                 [[mount]]\ntarget = \"/none\"\nsource = \"LABEL=never\"\ntype = \"ext4\"\n";
    let mut machine = World::new().board(board).with_console().boot();
    machine.log.until("waiting for /run/late (1 s)");
    machine.text("mkdir /run/late; touch /run/late/file");
    machine.log.until("booted in");
    assert_eq!(machine.text("ls /early"), "file\n");
    assert_eq!(
        machine.log.complaints(),
        [
            "cannot mount /dev/never on /never: it did not appear within 30 ms",
            "cannot mount LABEL=never on /none: No such file or directory",
        ]
    );
}

#[cfg(feature = "faults")]
#[test]
fn process_1_survives_its_own_faults_on_the_way_to_the_root() {
    let board = format!("[boot]\nmodules = \"nothing\"\n{BOARD}overlay = \"tmpfs\"\n");
    for point in [
        "module", "root", "upper", "overlay", "moved", "moved:2", "moved:3", "moved:4", "switched", "emptied", "copied",
    ] {
        let plan = format!("export LINCHPIN_FAULTS=boot.{point}");
        let mut machine = initramfs(&board).with_setup(&plan).boot();
        is_in(&mut machine, "root");
        assert_eq!(machine.log.with("which is survived").len(), 1 + usize::from(point == "module"), "{point}");
        assert_eq!(machine.text("cat /run/linchpin/lower/etc/where"), "root\n", "{point}");
        goes_down(machine);
    }
}
