//! What follows from what in the menus, and the configurations in board/configs.

use crate::{python, root, text};
use std::path::PathBuf;

/// What is set once all this is chosen, and what was said about choices that did not work.
fn choose(choices: &[&str]) -> (Vec<String>, String) {
    let board = root().join("board");
    let result = python("kconfig.py", [board.to_str().unwrap()].iter().chain(choices));
    let said = text(&result.stderr);
    assert_eq!(result.status.success(), said.is_empty(), "{said}");
    (text(&result.stdout).lines().map(str::to_owned).collect(), said)
}

/// As above, of choices that work.
fn chosen(choices: &[&str]) -> Vec<String> {
    let (set, said) = choose(choices);
    assert_eq!(said, "", "{choices:?}");
    set
}

#[track_caller]
fn has(set: &[String], lines: &[&str]) {
    for line in lines {
        assert!(set.iter().any(|is| is == line), "{line} is missing in {set:#?}");
    }
}

#[track_caller]
fn has_none(set: &[String], names: &[&str]) {
    for name in names {
        let is = set.iter().find(|is| is.split('=').next() == Some(name));
        assert_eq!(is, None);
    }
}

const OURS: [&str; 4] = [
    "BR2_PACKAGE_LINCHPIN",
    "BR2_PACKAGE_LINCHPIN_BIN",
    "BR2_PACKAGE_SKELETON_INIT_LINCHPIN",
    "BR2_PACKAGE_LINCHPIN_BRIDGE",
];

#[test]
fn a_tree_that_is_only_named_changes_nothing() {
    let set = chosen(&[]);
    has(&set, &["BR2_INIT_BUSYBOX=y", "BR2_PACKAGE_SKELETON_INIT_SYSV=y"]);
    has_none(&set, &OURS);
}

#[test]
fn the_init_system_brings_the_package_from_source_and_the_skeleton() {
    for machine in [&["BR2_x86_64=y"][..], &["BR2_aarch64=y"], &["BR2_arm=y", "BR2_cortex_a7=y"]] {
        let set = chosen(&[machine, &["BR2_INIT_LINCHPIN=y"]].concat());
        has(
            &set,
            &[
                "BR2_PACKAGE_LINCHPIN=y",
                "BR2_PACKAGE_HOST_RUSTC=y",
                "BR2_PACKAGE_SKELETON_INIT_LINCHPIN=y",
                "BR2_PACKAGE_SKELETON_INIT_COMMON=y",
                "BR2_PACKAGE_HAS_SKELETON=y",
                "BR2_PACKAGE_PROVIDES_SKELETON=skeleton-init-linchpin",
            ],
        );
        has_none(&set, &["BR2_PACKAGE_LINCHPIN_BIN", "BR2_INIT_BUSYBOX", "BR2_PACKAGE_SKELETON_INIT_SYSV"]);
    }
}

#[test]
fn a_toolchain_without_rust_gets_the_ready_binary() {
    let set = chosen(&["BR2_arm=y", "BR2_cortex_a9=y", "BR2_TOOLCHAIN_USES_UCLIBC=y", "BR2_INIT_LINCHPIN=y"]);
    has(&set, &["BR2_PACKAGE_LINCHPIN_BIN=y", "BR2_PACKAGE_SKELETON_INIT_LINCHPIN=y"]);
    has_none(&set, &["BR2_PACKAGE_LINCHPIN", "BR2_PACKAGE_HOST_RUSTC"]);
}

#[test]
fn the_ready_binary_can_be_preferred() {
    let set = chosen(&["BR2_INIT_LINCHPIN=y", "BR2_PACKAGE_LINCHPIN_BIN=y"]);
    has(&set, &["BR2_PACKAGE_SKELETON_INIT_LINCHPIN=y"]);
    has_none(&set, &["BR2_PACKAGE_LINCHPIN", "BR2_PACKAGE_HOST_RUSTC"]);
}

#[test]
fn a_skeleton_of_ones_own_is_left_alone() {
    let set = chosen(&["BR2_ROOTFS_SKELETON_CUSTOM=y", "BR2_INIT_LINCHPIN=y"]);
    has(&set, &["BR2_PACKAGE_LINCHPIN=y"]);
    has_none(&set, &["BR2_PACKAGE_SKELETON_INIT_LINCHPIN", "BR2_PACKAGE_PROVIDES_SKELETON"]);
}

#[test]
fn bridge_mode_keeps_all_that_busybox_init_has() {
    for package in ["BR2_PACKAGE_LINCHPIN=y", "BR2_PACKAGE_LINCHPIN_BIN=y"] {
        let set = chosen(&[package, "BR2_PACKAGE_LINCHPIN_BRIDGE=y"]);
        has(
            &set,
            &[
                "BR2_INIT_BUSYBOX=y",
                "BR2_PACKAGE_BUSYBOX=y",
                "BR2_PACKAGE_INITSCRIPTS=y",
                "BR2_PACKAGE_SKELETON_INIT_SYSV=y",
                package,
            ],
        );
        has_none(&set, &["BR2_PACKAGE_SKELETON_INIT_LINCHPIN"]);
    }
}

#[test]
fn bridge_mode_is_offered_only_where_there_is_busybox_init() {
    for init in ["BR2_INIT_LINCHPIN=y", "BR2_INIT_NONE=y"] {
        let (_, said) = choose(&[init, "BR2_PACKAGE_LINCHPIN=y", "BR2_PACKAGE_LINCHPIN_BRIDGE=y"]);
        assert!(said.contains("BR2_PACKAGE_LINCHPIN_BRIDGE was to be 'y' and is 'n'"), "{said}");
    }
}

#[test]
fn the_commands_can_be_had_beside_another_init_system() {
    let set = chosen(&["BR2_PACKAGE_LINCHPIN=y"]);
    has(&set, &["BR2_INIT_BUSYBOX=y", "BR2_PACKAGE_LINCHPIN_SERVICES=y", "BR2_PACKAGE_LINCHPIN_CHAIN=y"]);
    has_none(&set, &["BR2_PACKAGE_SKELETON_INIT_LINCHPIN", "BR2_PACKAGE_LINCHPIN_SERVICE_SYSLOG"]);
}

#[test]
fn a_group_of_commands_that_a_service_needs_takes_it_along() {
    let set = chosen(&["BR2_INIT_LINCHPIN=y", "BR2_PACKAGE_LINCHPIN_LOGS=n"]);
    has_none(&set, &["BR2_PACKAGE_LINCHPIN_SERVICE_SYSLOG", "BR2_PACKAGE_LINCHPIN_SERVICE_KLOG"]);
}

#[test]
fn every_group_of_commands_is_an_option_and_no_option_has_no_group() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let list = manifest.split_once("\ndefault = [").unwrap().1.split(']').next().unwrap();
    let mut groups: Vec<String> = list.split('"').skip(1).step_by(2).map(str::to_uppercase).collect();
    groups.sort();
    let options = std::fs::read_to_string(root().join("board/package/linchpin/Config.in.options")).unwrap();
    let menu = options.split("menu \"commands of linchpin\"").nth(1).unwrap().split("endmenu").next().unwrap();
    let mut offered: Vec<String> =
        menu.lines().filter_map(|line| line.strip_prefix("config BR2_PACKAGE_LINCHPIN_")).map(str::to_owned).collect();
    offered.retain(|name| !name.starts_with("SHORT"));
    offered.push("MACHINE".into()); // always there
    offered.sort();
    assert_eq!(offered, groups);
}

#[test]
fn other_processors_are_not_offered_it() {
    for machine in [&["BR2_mips=y"][..], &["BR2_arm=y", "BR2_arm926t=y"], &["BR2_arm=y", "BR2_arm1176jzf_s=y"]] {
        let (set, said) = choose(&[machine, &["BR2_INIT_LINCHPIN=y"]].concat());
        assert!(said.contains("BR2_INIT_LINCHPIN was to be 'y' and is 'n'"), "{machine:?}: {said}");
        has(&set, &["BR2_INIT_BUSYBOX=y"]);
        has_none(&set, &OURS);
    }
}

fn defconfigs() -> Vec<PathBuf> {
    crate::files(&root().join("board/configs"))
}

#[test]
fn configurations_name_only_what_there_is_and_get_what_they_ask_for() {
    let names: Vec<String> =
        defconfigs().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    for board in ["orangepi_pc", "qemu_aarch64", "qemu_arm", "qemu_x86_64", "raspberrypi3_64"] {
        assert!(names.contains(&format!("linchpin_{board}_defconfig")), "{names:?}");
    }
    for path in defconfigs() {
        let set = chosen(&[path.to_str().unwrap()]);
        has(&set, &["BR2_INIT_LINCHPIN=y", "BR2_PACKAGE_LINCHPIN=y", "BR2_PACKAGE_SKELETON_INIT_LINCHPIN=y"]);
    }
}

/// Files of ours that a configuration names, and others may.
#[test]
fn files_that_configurations_name_are_there() {
    for path in defconfigs() {
        let content = std::fs::read_to_string(&path).unwrap();
        let mut count = 0;
        for place in content.split("$(BR2_EXTERNAL_LINCHPIN_PATH)/").skip(1) {
            let name = place.split(['"', ' ']).next().unwrap();
            // An empty directory is not kept by git, and need not be: Buildroot looks for patches of packages in it.
            if name != "patches" {
                assert!(root().join("board").join(name).exists(), "{}: there is no board/{name}", path.display());
            }
            count += 1;
        }
        assert!(count > 0, "{}", path.display());
    }
}

#[test]
fn a_name_that_nobody_knows_is_noticed() {
    let (_, said) = choose(&["BR2_PACKAGE_LINCHPON=y"]);
    assert!(said.contains("undefined symbol BR2_PACKAGE_LINCHPON"), "{said}");
}
