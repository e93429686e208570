//! The external tree for Buildroot, without Buildroot: what its scripts make of a target directory.

#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tmp::TempDir;

const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/board");
const GROUPS: &str = "services instances events descriptors connections logs chain upgrade";

/// How Buildroot lays out the directories of programs.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Separate,
    MergedUsr,
    MergedBin,
}

/// A target directory in which BusyBox has been installed, and linchpin's binary.
struct Target {
    tmp: TempDir,
    words: BTreeMap<&'static str, String>,
}

impl Target {
    fn new(layout: Layout) -> Target {
        let target = Target { tmp: TempDir::new(), words: BTreeMap::new() };
        let root = target.root();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        match layout {
            Layout::MergedBin => symlink("bin", root.join("usr/sbin")).unwrap(),
            _ => fs::create_dir(root.join("usr/sbin")).unwrap(),
        }
        for dir in ["bin", "sbin"] {
            match layout {
                Layout::Separate => fs::create_dir(root.join(dir)).unwrap(),
                _ => symlink(format!("usr/{dir}"), root.join(dir)).unwrap(),
            }
        }
        target.program("bin/busybox");
        target.program("sbin/linchpin");
        for (name, to) in [
            ("sbin/init", "../bin/busybox"),
            ("sbin/poweroff", "../bin/busybox"),
            ("usr/bin/setsid", "../../bin/busybox"),
        ] {
            symlink(to, root.join(name)).unwrap();
        }
        target
            .set("GROUPS", GROUPS)
            .set("GETTY_PORT", "ttyS0")
            .set("GETTY_BAUDRATE", "115200")
            .set("GETTY_TERM", "vt100")
    }

    /// One with a mode, and the usual directories.
    fn with(mode: &str) -> Target {
        Target::new(Layout::Separate).set("MODE", mode)
    }

    fn set(mut self, name: &'static str, value: &str) -> Target {
        self.words.insert(name, value.into());
        self
    }

    fn root(&self) -> PathBuf {
        self.tmp.path().join("target")
    }

    fn program(&self, name: &str) {
        fs::write(self.root().join(name), "a program\n").unwrap();
        fs::set_permissions(self.root().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self) -> Output {
        Command::new(format!("{TREE}/package/linchpin/finalize"))
            .arg(self.root())
            .arg(self.tmp.path().join("build/linchpin-installed"))
            .envs(self.words.iter().map(|(name, value)| (format!("LINCHPIN_{name}"), value)))
            .output()
            .unwrap()
    }

    fn finalize(&self) {
        let output = self.run();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn has(&self, name: &str) -> bool {
        self.root().join(name).symlink_metadata().is_ok()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Whether a name ends up at a program, over whatever links.
    fn leads_to(&self, name: &str, program: &str) -> bool {
        same(&self.root().join(name), &self.root().join(program))
    }

    /// What `linchpin check` says of the board config.
    fn board(&self) -> String {
        let file = self.root().join("etc/linchpin/board.toml");
        let output = Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("check").arg(file).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
        said
    }
}

fn same(a: &Path, b: &Path) -> bool {
    a.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", a.display())) == b.canonicalize().unwrap()
}

#[test]
fn natively_init_and_what_stops_the_machine_are_linchpin_in_each_layout() {
    for layout in [Layout::Separate, Layout::MergedUsr, Layout::MergedBin] {
        let target = Target::new(layout).set("MODE", "native");
        target.finalize();
        for name in ["init", "poweroff", "reboot", "halt"] {
            assert!(target.leads_to(&format!("sbin/{name}"), "sbin/linchpin"), "{name}");
        }
        assert!(target.leads_to("usr/bin/s6-svc", "sbin/linchpin"));
        let is_link = target.root().join("sbin").symlink_metadata().unwrap().is_symlink();
        assert_eq!(is_link, layout != Layout::Separate, "the directory stays what it was");
        assert_eq!(target.read("sbin/linchpin"), "a program\n");
    }
}

#[test]
fn the_links_are_those_of_the_groups_that_the_image_has() {
    let target = Target::with("commands").set("GROUPS", "services descriptors");
    target.finalize();
    assert!(target.has("usr/bin/s6-svstat") && target.has("usr/bin/s6-fdholder-store"));
    assert!(!target.has("usr/bin/s6-log") && !target.has("usr/bin/s6-setuidgid"));
    assert!(!target.has("etc/linchpin"));
}

#[test]
fn without_short_names_there_are_only_those_of_s6() {
    let target = Target::with("commands");
    target.finalize();
    assert!(target.has("usr/bin/s6-sudo") && target.has("usr/bin/ucspilogd"));
    for name in ["sudo", "svc", "log", "check", "help", "status", "klog", "init", "poweroff"] {
        assert!(!target.has(&format!("usr/bin/{name}")), "{name}");
    }
    let target = target.set("SHORT_NAMES", "y");
    target.finalize();
    for name in ["sudo", "svc", "log", "check"] {
        assert!(target.leads_to(&format!("usr/bin/{name}"), "sbin/linchpin"), "{name}");
    }
}

#[test]
fn a_command_that_another_package_calls_so_stays_its_own() {
    let target = Target::with("native").set("SHORT_NAMES", "y");
    target.program("bin/s6-log");
    target.finalize();
    assert!(target.leads_to("usr/bin/setsid", "bin/busybox"));
    assert_eq!(target.read("bin/s6-log"), "a program\n");
    assert!(!target.has("usr/bin/s6-log"));
}

#[test]
fn the_second_time_takes_away_what_is_no_longer_wanted() {
    let target = Target::with("native").set("SERVICES", "getty syslog lighttpd");
    target.finalize();
    assert!(target.has("etc/linchpin/service/lighttpd") && target.has("usr/bin/s6-ipcserver"));
    fs::create_dir(target.root().join("etc/linchpin/service/mine")).unwrap();
    let target = target.set("SERVICES", "getty").set("GROUPS", "services logs chain");
    target.finalize();
    for name in ["etc/linchpin/service/lighttpd", "etc/linchpin/service/syslog", "usr/bin/s6-ipcserver"] {
        assert!(!target.has(name), "{name}");
    }
    for name in ["etc/linchpin/service/getty", "etc/linchpin/service/mine", "usr/bin/s6-svc"] {
        assert!(target.has(name), "{name}");
    }
    assert!(!target.board().contains("/dev/log"));
}

#[test]
fn the_board_config_holds_the_sockets_of_the_services_that_are_there() {
    let target = Target::with("native").set("SERVICES", "getty network syslog klog dropbear lighttpd mdev udev");
    target.finalize();
    let board = target.board();
    for socket in ["unix:/dev/log", "tcp:0.0.0.0:22", "tcp:0.0.0.0:80"] {
        assert!(board.contains(socket), "{socket}: {board}");
    }
    let target = Target::with("native").set("SERVICES", "nginx");
    target.finalize();
    let board = target.board();
    assert!(board.contains("tcp:0.0.0.0:80") && !board.contains("tcp:0.0.0.0:22"), "{board}");
}

#[test]
fn the_root_is_made_writable_only_if_the_menus_say_so() {
    let target = Target::with("native");
    target.finalize();
    assert!(!target.board().contains("remount"));
    let target = target.set("REMOUNT_RW", "y");
    target.finalize();
    assert!(target.board().contains("remount,rw"));
}

#[test]
fn fragments_come_behind_what_the_menus_say_and_a_file_comes_in_its_place() {
    let target = Target::with("native").set("SERVICES", "syslog");
    let fragment = target.tmp.path().join("fragment.toml");
    fs::write(&fragment, "[[socket]]\nname = \"tcp:0.0.0.0:8080\"\n").unwrap();
    let fragment = fragment.to_str().unwrap().to_string();
    let target = target.set("FRAGMENTS", &fragment);
    target.finalize();
    let board = target.board();
    assert!(board.contains("tcp:0.0.0.0:8080") && board.contains("/dev/log"), "{board}");
    let target = target.set("BOARD_TOML", &fragment);
    target.finalize();
    assert!(!target.board().contains("/dev/log"));
}

#[test]
fn a_file_that_is_missing_is_named_with_its_option() {
    for (word, option) in [
        ("FRAGMENTS", "BR2_PACKAGE_LINCHPIN_BOARD_TOML_FRAGMENTS"),
        ("BOARD_TOML", "BR2_PACKAGE_LINCHPIN_BOARD_TOML"),
        ("SERVICES_DIR", "BR2_PACKAGE_LINCHPIN_SERVICES_DIR"),
    ] {
        let output = Target::with("native").set(word, "/nowhere/at-all").run();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains("/nowhere/at-all") && said.contains(option), "{said}");
    }
}

#[test]
fn the_getty_is_where_the_menus_say() {
    let target = Target::with("native").set("SERVICES", "getty").set("GETTY_OPTIONS", "-n -l /bin/sh");
    target.finalize();
    let script = ". ./conf; echo \"$TTY,$BAUD,$TERM,$OPTIONS\"";
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .current_dir(target.root().join("etc/linchpin/service/getty"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ttyS0,115200,vt100,-n -l /bin/sh\n");
}

#[test]
fn a_service_of_the_users_takes_the_place_of_ours() {
    let target = Target::with("native").set("SERVICES", "dropbear");
    let own = target.tmp.path().join("own");
    fs::create_dir_all(own.join("dropbear")).unwrap();
    fs::write(own.join("dropbear/run"), "mine\n").unwrap();
    let own = own.to_str().unwrap().to_string();
    let target = target.set("SERVICES_DIR", &own);
    for _ in 0..2 {
        target.finalize();
        assert_eq!(target.read("etc/linchpin/service/dropbear/run"), "mine\n");
        assert!(!target.has("etc/linchpin/service/dropbear/sockets"));
    }
}

#[test]
fn without_the_commands_of_loggers_no_service_has_one() {
    let target = Target::with("native").set("SERVICES", "getty network").set("GROUPS", "services logs");
    target.finalize();
    assert!(target.has("etc/linchpin/service/network/run"));
    assert!(!target.has("etc/linchpin/service/network/log"));
    assert!(!target.has("etc/linchpin/service/s6-svscan-log") && !target.has("etc/linchpin/logger"));
    let target = target.set("GROUPS", GROUPS);
    target.finalize();
    assert!(target.has("etc/linchpin/service/network/log/run"));
    assert!(target.has("etc/linchpin/service/s6-svscan-log/run") && target.has("etc/linchpin/logger"));
}

#[test]
fn what_is_run_at_boot_is_executable() {
    let target = Target::with("native").set("SERVICES", "getty network syslog klog dropbear lighttpd mdev udev");
    target.finalize();
    let mut runs = vec![target.root().join("etc/linchpin/rc.init"), target.root().join("etc/linchpin/logger")];
    for service in fs::read_dir(target.root().join("etc/linchpin/service")).unwrap() {
        runs.push(service.unwrap().path().join("run"));
    }
    assert_eq!(runs.len(), 2 + 9);
    for run in runs {
        assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o755, "{}", run.display());
    }
}

#[test]
fn the_bridge_takes_init_and_leaves_busybox_the_rest() {
    for layout in [Layout::Separate, Layout::MergedUsr, Layout::MergedBin] {
        let target = Target::new(layout).set("MODE", "bridge");
        for _ in 0..2 {
            target.finalize();
            assert!(target.leads_to("sbin/init", "sbin/linchpin"));
            assert!(target.leads_to("sbin/poweroff", "bin/busybox"));
            assert!(target.leads_to("sbin/halt", "sbin/linchpin"), "this BusyBox has none");
            assert!(!target.has("etc/linchpin/service"));
            let board = target.board();
            assert!(board.contains("/usr/lib/linchpin/inittab") && board.contains("busybox"), "{board}");
            let runner = fs::metadata(target.root().join("usr/lib/linchpin/inittab")).unwrap();
            assert_eq!(runner.permissions().mode() & 0o777, 0o755);
        }
    }
}

#[test]
fn no_crates_are_fetched_where_that_is_forbidden() {
    let tmp = TempDir::new();
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), tmp.path().join(name)).unwrap();
    }
    fs::create_dir(tmp.path().join("src")).unwrap();
    fs::write(tmp.path().join("src/lib.rs"), "").unwrap();
    fs::write(tmp.path().join("src/main.rs"), "").unwrap();
    let vendor = || {
        let output = Command::new(format!("{TREE}/package/linchpin/vendor"))
            .arg(tmp.path())
            .env("CARGO_HOME", tmp.path().join("cargo"))
            .env("LINCHPIN_OFFLINE", "y")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = vendor();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("BR2_PRIMARY_SITE_ONLY") && said.contains("cargo vendor --locked VENDOR"), "{said}");
    // As the source brings it along, cargo is told of it, and asked nothing.
    fs::create_dir(tmp.path().join("VENDOR")).unwrap();
    assert_eq!(vendor(), (Some(0), String::new()));
    let config = fs::read_to_string(tmp.path().join(".cargo/config.toml")).unwrap();
    assert!(config.contains("directory = \"VENDOR\""), "{config}");
    // One that was made of another list is not.
    fs::write(tmp.path().join("VENDOR.lock"), "another one\n").unwrap();
    assert_eq!(vendor().0, Some(1));
    assert!(!tmp.path().join("VENDOR").exists());
}
