//! The modules that a board's board.toml names, held to what the kernel's own files say. Every board whose kernel has been
//! fetched; a full setup fetches those of the boards that every run of the tests makes.

use crate::disk::{all_boards, boards, project, said, sh, value};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `modules` names, in order, as the kernel calls them.
pub fn named(board: &str) -> Vec<String> {
    let toml = fs::read_to_string(project().join("board").join(board).join("board.toml")).unwrap();
    let (_, rest) =
        toml.split_once("\nmodules = [").unwrap_or_else(|| panic!("board/{board}/board.toml names no modules"));
    let (list, _) = rest.split_once("\n]").or_else(|| rest.split_once(']')).unwrap();
    let text: String = list.lines().map(|line| line.split('#').next().unwrap()).collect();
    let strings = text.split('"').skip(1).step_by(2);
    strings.map(|string| key(string.split_whitespace().next().unwrap())).collect()
}

/// Those of them whose place is the initramfs.
pub fn in_initramfs(board: &str) -> Vec<String> {
    let root: Vec<_> = value(board, "$ROOT_MODULES").split_whitespace().map(key).collect();
    named(board).into_iter().filter(|name| !root.contains(name) && !name.contains('/')).collect()
}

fn key(name: &str) -> String {
    name.replace('-', "_")
}

/// The folder of a board's kernel, if it has been fetched.
fn kernel(board: &str) -> Option<PathBuf> {
    let modules = PathBuf::from(value(board, "$BOARD_KERNEL")).join("lib/modules");
    let there = fs::read_dir(&modules).ok()?.flatten().next();
    assert!(there.is_some(), "{} is empty", modules.display());
    Some(there.unwrap().path())
}

/// The file of a module.
fn file(kernel: &Path, name: &str) -> Option<PathBuf> {
    let dep = fs::read_to_string(kernel.join("modules.dep")).unwrap();
    dep.lines().find_map(|line| {
        let path = line.split(':').next()?;
        let found = path.rsplit('/').next()?.split('.').next()?;
        (key(found) == name).then(|| kernel.join(path))
    })
}

fn built_in(kernel: &Path) -> BTreeSet<String> {
    let list = fs::read_to_string(kernel.join("modules.builtin")).unwrap();
    list.lines().filter_map(|line| line.rsplit('/').next()?.strip_suffix(".ko").map(key)).collect()
}

/// Each board with its kernel; all that every run makes have one.
fn with_kernels() -> Vec<(String, PathBuf)> {
    let always = boards();
    let all: Vec<_> =
        all_boards().into_iter().filter_map(|board| kernel(&board).map(|kernel| (board, kernel))).collect();
    for board in always {
        assert!(all.iter().any(|(name, _)| *name == board), "{board}'s kernel is missing: run scripts/setup");
    }
    all
}

#[test]
fn every_module_of_a_board_is_one_of_its_kernel_and_named_once() {
    for (board, kernel) in with_kernels() {
        let mut seen = BTreeSet::new();
        for name in named(&board) {
            assert!(file(&kernel, &name).is_some(), "board/{board}/board.toml: the kernel has no module {name}");
            assert!(seen.insert(name.clone()), "board/{board}/board.toml: {name} is named twice");
        }
        // Of a board whose network nobody waits for, the init script loads its driver.
        let script = project().join("board").join(&board).join("root/etc/linchpin/rc.init");
        let script = fs::read_to_string(script).unwrap_or_default();
        let by_script: BTreeSet<String> = script
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains("modprobe"))
            .flat_map(|line| line.split(|c: char| c.is_whitespace() || c == ';').map(key))
            .collect();
        for name in value(&board, "$ROOT_MODULES").split_whitespace().map(key) {
            let loaded = seen.contains(&name) || by_script.contains(&name);
            assert!(loaded, "board/{board}/board.conf has {name} in ROOT_MODULES, and nobody loads it");
        }
    }
}

/// Process 1 looks for no dependencies in the initramfs. modinfo knows them from the module itself.
#[test]
fn every_module_of_an_initramfs_stands_behind_what_it_depends_on() {
    let mut edges = 0;
    for (board, kernel) in with_kernels() {
        let mut before: BTreeSet<String> = built_in(&kernel);
        for name in in_initramfs(&board) {
            let module = file(&kernel, &name).unwrap();
            let depends = said(Command::new("/usr/sbin/modinfo").args(["-F", "depends"]).arg(&module));
            for needed in depends.trim().split(',').filter(|needed| !needed.is_empty()).map(key) {
                assert!(before.contains(&needed), "board/{board}/board.toml: {name} needs {needed} before it");
                edges += 1;
            }
            before.insert(name);
        }
    }
    assert!(edges > 5, "{edges}");
}

/// The initramfs has no shell that could look for them, and modules.dep is only for the root.
#[test]
fn the_shell_and_this_test_read_the_same_modules_from_a_board_toml() {
    for board in all_boards() {
        let by_shell = sh(&format!("board_load {board}\nmodules_named"));
        let names: Vec<_> = by_shell.lines().map(|line| key(line.split_whitespace().next().unwrap())).collect();
        assert_eq!(names, named(&board), "{board}");
    }
}

#[test]
fn modules_are_found_in_a_list_on_one_line_and_not_in_comments_or_other_tables() {
    let dir = crate::tmp::TempDir::new();
    let toml = "[board]\nmodules = [\"no\"]\n[boot]\n# modules = [\"no\"]\nmodules = [ \"a\", \"b-c x=1\" ] # \"no\"\ninit = \"no\"\n\
                [root]\nmodules = [\"no\"]\n";
    fs::write(dir.path().join("board.toml"), toml).unwrap();
    let found = sh(&format!("BOARD=x BOARD_DIR={}\nmodules_named", dir.path().display()));
    assert_eq!(found, "a\nb-c x=1\n");
}
