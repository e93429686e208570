//! Modules, as far as a namespace goes: nobody may load any there, which is said of each in turn.

use crate::world::World;
use std::fs;
use std::os::unix::fs::symlink;

fn world(modules: &str) -> World {
    let world = World::new().board(&format!("[boot]\nmodules = [{modules}]\n"));
    // The host's libraries, and a folder for modules.
    fs::remove_file(world.path("lib")).unwrap();
    fs::create_dir_all(world.path("lib/modules")).unwrap();
    for entry in fs::read_dir("/usr/lib").unwrap() {
        let name = entry.unwrap().file_name();
        if name != "modules" {
            symlink(std::path::Path::new("/usr/lib").join(&name), world.path("lib").join(&name)).unwrap();
        }
    }
    world
}

/// What is said about modules, without what is common to all lines.
fn said(world: World) -> Vec<String> {
    let mut machine = world.boot().up();
    let lines = machine.log.with("linchpin: module ");
    let text = |line: &String| line.split_once("linchpin: module ").unwrap().1.to_owned();
    // Nobody may, or the host's kernel takes none.
    let name = |line: String| line.split_once(" cannot be loaded: ").map_or(line.clone(), |(name, _)| name.to_owned());
    lines.iter().map(text).map(name).collect()
}

fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim().to_owned()
}

#[test]
fn modules_are_found_flat_whatever_dashes_and_suffixes_in_the_order_of_the_board() {
    let world = world(r#""second-one", "first_one a=1 b=2", "/opt/own.ko""#);
    for name in ["lib/modules/first-one.ko", "lib/modules/second_one.ko.xz", "opt/own.ko"] {
        world.file(name, 0o644, "no module");
    }
    assert_eq!(said(world), ["second_one", "first-one", "own"]);
}

#[test]
fn what_a_module_needs_is_loaded_before_it() {
    let world = world(r#""lp-fs", "built-in", "gone", "/no/file.ko""#);
    let top = format!("lib/modules/{}", release());
    for name in ["fs/lp-fs.ko.xz", "fs/lp-journal.ko.xz", "lp_crc.ko.xz"] {
        world.file(&format!("{top}/kernel/{name}"), 0o644, "no module");
    }
    let line = "kernel/fs/lp-fs.ko.xz: kernel/lp_crc.ko.xz kernel/fs/lp-journal.ko.xz kernel/fs/lp_cache.ko.xz\n";
    world.file(&format!("{top}/modules.dep"), 0o644, &format!("kernel/other.ko.xz:\n{line}"));
    world.file(&format!("{top}/modules.builtin"), 0o644, "kernel/lib/built_in.ko\n");
    let missing = |name: &str| {
        format!("{name}: not in /lib/modules, nor in /lib/modules/{}/modules.dep: build it in or install it", release())
    };
    let expected = [
        "lp-fs: kernel/fs/lp_cache.ko.xz is missing".to_owned(),
        "lp-journal".to_owned(),
        "lp_crc".to_owned(),
        "lp-fs".to_owned(),
        missing("gone"),
        "/no/file.ko: there is no such file".to_owned(),
    ];
    assert_eq!(said(world), expected);
}
