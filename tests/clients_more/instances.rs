//! instance-maker, instance-control, instance-status, instance-list: a service that has instances.

use crate::beside::*;
use crate::supervision::{READY, SLEEPER};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A template: files and their modes.
fn template(both: &Beside, files: &[(&str, &str)]) -> PathBuf {
    let path = both.path().join("template");
    crate::supervision::make_service(&path, files);
    path
}

/// All below a directory: names, modes, and what is in files, run scripts left out (ours are not Debian's).
fn tree(path: &Path) -> Vec<(String, u32, String)> {
    let mut all = Vec::new();
    let mut dirs = vec![path.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let (file, kind) = (entry.path(), entry.file_type().unwrap());
            let name = file.strip_prefix(path).unwrap().to_str().unwrap().to_owned();
            let script = name.ends_with("run") && !name.contains("template");
            let text = match () {
                () if script => "a script".to_owned(),
                () if kind.is_file() => content(&file),
                () if kind.is_symlink() => std::fs::read_link(&file).unwrap().to_str().unwrap().to_owned(),
                () => format!("{kind:?}"),
            };
            if kind.is_dir() {
                dirs.push(file.clone());
            }
            all.push((name, std::fs::symlink_metadata(&file).unwrap().permissions().mode(), text));
        }
    }
    all.sort();
    all
}

/// `instance-maker OPTIONS template DIR`, both, with DIR another for each; their trees must be the same.
fn same_tree(both: &Beside, options: &[&str]) {
    let trees = [(Theirs, "theirs"), (Ours, "ours")].map(|(whose, dir)| {
        let words: Vec<&str> = options.iter().copied().chain(["template", dir]).collect();
        assert_eq!(both.run(whose, "instance-maker", &words), Outcome::code(0), "{whose:?} {options:?}");
        let path = both.path().join(dir);
        let tree = tree(&path);
        std::fs::remove_dir_all(path).unwrap();
        tree
    });
    assert!(trees[0].len() > 4);
    assert_eq!(trees[1], trees[0], "{options:?}");
}

#[test]
fn the_maker_makes_what_debians_makes_with_other_scripts() {
    let both = Beside::new();
    let path = template(&both, &[("run", SLEEPER), ("data/x", "y"), ("log/run", SLEEPER), ("notification-fd", "3\n")]);
    symlink("data/x", path.join("link")).unwrap();
    crate::supervision::make_fifo(&path.join("fifo"));
    std::fs::set_permissions(path.join("data/x"), Permissions::from_mode(0o640)).unwrap();
    std::fs::set_permissions(path.join("data"), Permissions::from_mode(0o1770)).unwrap();
    for options in [
        &[][..],
        &["-c", "7"],
        &["-u", "daemon"],
        &["-L", "/var/log/x"],
        &["-L", "/var/log/x", "-l", "nobody", "-t", "3", "-n", "1", "-s", "5000", "-S", "70000", "-P", "p"],
        &["-r", "svc"],
        &["-r", "svc/logger", "-L", "/var/log/x"],
        &["-r", "svc/logger/pipe", "-L", "/var/log/x", "-u", "daemon", "-l", "nobody"],
    ] {
        same_tree(&both, options);
    }
}

#[test]
fn definitions_can_be_added_to_a_directory_that_is_there() {
    let both = Beside::new();
    template(&both, &[("run", SLEEPER)]);
    for name in ["one", "two"] {
        assert_eq!(both.ours("instance-maker", &["-r", name, "template", "source"]), Outcome::code(0));
    }
    assert_eq!(both.ours("instance-maker", &["-r", "two", "template", "source"]), Outcome::code(111));
    assert_eq!(content(&both.path().join("source/one/type")), "longrun\n");
}

#[test]
fn wrong_options_of_the_maker_are_100_and_make_nothing() {
    let both = Beside::new();
    template(&both, &[("run", SLEEPER)]);
    for options in [
        &["-r", "svc/log"][..],
        &["-r", "svc", "-L", "/x"],
        &["-L", "relative"],
        &["-t", "4"],
        &["-c", "x"],
        &["-r", "/x"],
        &["-r", "a/b/c/d", "-L", "/x"],
        &["-r", "a/b/", "-L", "/x"],
        &["-u", "we ird"],
        &["-z"],
    ] {
        let words: Vec<&str> = options.iter().copied().chain(["template", "dir"]).collect();
        assert_eq!(both.same("instance-maker", &words), Outcome::code(100), "{options:?}");
    }
    assert_eq!(both.same("instance-maker", &["template"]), Outcome::code(100));
    assert_eq!(both.ours("instance-maker", &["-r", "", "template", "dir"]), Outcome::code(100));
    assert!(!both.path().join("dir").exists());
}

#[test]
fn what_the_maker_cannot_make_is_111() {
    let both = Beside::new();
    template(&both, &[("run", SLEEPER)]);
    both.file("there", "");
    assert_eq!(both.same("instance-maker", &["template", "there"]), Outcome::code(111));
    assert_eq!(both.same("instance-maker", &["template", "none/dir"]), Outcome::code(111));
    assert_eq!(both.same("instance-maker", &["none", "dir"]), Outcome::code(111));
    // Debian's makes a service whose template is no directory.
    assert_eq!(both.ours("instance-maker", &["there", "dir2"]), Outcome::code(111));
    assert!(!both.path().join("dir2").exists());
}

/// A service with instances that was made by us, its scanner under s6's supervisor, and instances a and b of it.
fn instances(files: &[(&str, &str)]) -> (Beside, crate::tree::Tree) {
    let both = Beside::new();
    template(&both, files);
    let tree = crate::tree::Tree::new(&[]);
    assert_eq!(both.ours("instance-maker", &["template", "service"]), Outcome::code(0));
    supervised(&both, &tree);
    for name in ["a", "b"] {
        assert_eq!(theirs(&both, &format!("s6-instance-create -t 20000 service {name}")), 0);
    }
    (both, tree)
}

/// Puts `service` into the tree, and waits until its scanner is ready.
fn supervised(both: &Beside, tree: &crate::tree::Tree) {
    let mut events = crate::supervision::Listener::new(&both.path().join("service"));
    symlink(both.path().join("service"), tree.service("service")).unwrap();
    // Once s6-svscan listens.
    eventually(|| tree.code("svscanctl -a .") == 0);
    events.until(b'U');
}

fn theirs(both: &Beside, command: &str) -> i32 {
    let mut words = command.split(' ');
    let mut command = std::process::Command::new(words.next().unwrap());
    command.args(words).current_dir(both.path()).output().unwrap().status.code().unwrap()
}

#[test]
fn a_made_service_runs_with_s6s_tools() {
    let run = "#!/bin/sh\necho \"$1\" > told\nexec sleep 1000\n";
    let (both, _tree) = instances(&[("run", run)]);
    for name in ["a", "b"] {
        eventually(|| content(&both.path().join(format!("service/instances/{name}/told"))) == format!("{name}\n"));
    }
    assert_eq!(theirs(&both, "s6-instance-delete -t 20000 service a"), 0);
    assert_eq!(both.same("instance-list", &["service"]), Outcome::says("b\n"));
}

#[test]
fn the_list_has_a_line_for_each_instance_while_their_scanner_runs() {
    let both = Beside::new();
    std::fs::create_dir_all(both.path().join("service/instance/.s6-svscan")).unwrap();
    assert_eq!(both.same("instance-list", &["service"]), Outcome::code(111));
    both.file("service/instance/.s6-svscan/lock", "");
    assert_eq!(both.same("instance-list", &["service"]), Outcome::code(1), "no scanner runs");
    let lock = crate::supervision::c_path(&both.path().join("service/instance/.s6-svscan/lock"));
    let mut lock = linchpin::sys::file::lock(linchpin::sys::Fd::CWD, &lock, 0o600).unwrap();
    assert_eq!(both.same("instance-list", &["service"]), Outcome::says(""));
    // Our scanner has a directory of its own there, which is no instance.
    std::fs::create_dir(both.path().join("service/instance/fdholder")).unwrap();
    for name in ["one", "two", "three"] {
        std::fs::create_dir_all(both.path().join("service/instances").join(name)).unwrap();
        symlink("../instances/x", both.path().join("service/instance").join(name)).unwrap();
    }
    let all = both.ours("instance-list", &["service"]).out;
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "three", "two"]);
    lock.close();
}

#[test]
fn the_list_of_what_has_no_instances_is_an_error() {
    let both = Beside::new();
    both.file("file", "");
    std::fs::create_dir(both.path().join("service")).unwrap();
    for (words, code) in [
        (&["service"][..], 111),
        (&["none"], 111),
        (&["file"], 111),
        (&[""], 100),
        (&[], 100),
        (&["-x", "service"], 100),
    ] {
        assert_eq!(both.same("instance-list", words), Outcome::code(code), "{words:?}");
    }
}

#[test]
fn an_instance_is_controlled_as_a_service_is() {
    let (both, tree) = instances(&[("run", READY), crate::supervision::NOTIFIES]);
    let up = |name: &str| tree.theirs(&format!("s6-svstat -o up service/instance/{name}"));
    for whose in [Theirs, Ours] {
        assert_eq!(
            both.run(whose, "instance-control", &["-wU", "-T", "20000", "-u", "service", "a"]),
            Outcome::code(0)
        );
        assert_eq!(up("a"), "true\n");
        assert_eq!(both.run(whose, "instance-control", &["-dwD", "-T", "20000", "service", "a"]), Outcome::code(0));
        assert_eq!(up("a"), "false\n", "{whose:?}");
        assert_eq!(both.run(whose, "instance-control", &["-wu", "-T", "50", "service", "a"]), Outcome::code(99));
    }
    assert_eq!(both.ours("instance-control", &["-wD", "-d", "-T", "20000", "service", "b"]), Outcome::code(0));
    assert_eq!(up("b"), "false\n");
}

#[test]
fn the_status_of_an_instance_is_that_of_a_service() {
    let (both, _tree) = instances(&[("run", READY), crate::supervision::NOTIFIES]);
    for name in ["a", "b"] {
        assert_eq!(both.ours("instance-control", &["-wU", "-T", "20000", "service", name]), Outcome::code(0));
    }
    assert_eq!(both.ours("instance-control", &["-wD", "-T", "20000", "-d", "service", "b"]), Outcome::code(0));
    for options in [&["-u"][..], &["-o", "up,wantedup,normallyup,ready,paused,pid,signal,signum"], &["-rpe"]] {
        for name in ["a", "b"] {
            let words: Vec<&str> = options.iter().copied().chain(["service", name]).collect();
            assert!(both.same("instance-status", &words).out.len() > 4, "{options:?}");
        }
    }
    assert!(both.ours("instance-status", &["service", "a"]).out.starts_with("up (pid "));
    assert!(both.ours("instance-status", &["-n", "service", "b"]).out.starts_with("down (signal 15) "));
}

#[test]
fn instances_that_are_not_there_are_errors() {
    let both = Beside::new();
    both.file("file", "");
    for dir in ["service", "service/instance", "plain"] {
        std::fs::create_dir(both.path().join(dir)).unwrap();
    }
    for (words, control, status) in [
        (&["service", "none"][..], 111, 1),
        (&["plain", "none"], 111, 1),
        (&["none", "none"], 111, 1),
        (&["file", "none"], 111, 111),
        (&["service", ".x"], 100, 100),
        (&["service", "../x"], 100, 100),
        (&["service", ""], 100, 100),
        (&["service", "a b"], 100, 100),
        (&["service"], 100, 100),
        (&[], 100, 100),
        (&["-z", "service", "none"], 100, 100),
    ] {
        assert_eq!(both.same("instance-control", words), Outcome::code(control), "{words:?}");
        assert_eq!(both.same("instance-status", words), Outcome::code(status), "{words:?}");
    }
    assert_eq!(both.same("instance-control", &["-wZ", "service", "none"]), Outcome::code(100));
    assert_eq!(both.same("instance-status", &["-o", "up,x", "service", "none"]), Outcome::code(100));
}

/// With s6 it cannot write where it must.
#[test]
fn the_scanner_can_be_another_user() {
    let both = Beside::new();
    template(&both, &[("run", SLEEPER)]);
    let tree = crate::tree::Tree::new(&[]);
    let words = ["-u", "daemon", "template", "service"];
    assert_eq!(both.ours("instance-maker", &words), Outcome::code(0));
    supervised(&both, &tree);
    let create = "s6-setuidgid daemon s6-instance-create -t 20000 service a";
    assert_eq!(theirs(&both, create), 0);
    assert_eq!(both.ours("instance-control", &["-wu", "-T", "20000", "service", "a"]), Outcome::code(0));
    let pid = both.ours("instance-status", &["-p", "service", "a"]).out;
    let status = content(format!("/proc/{}/status", pid.trim()).as_ref());
    assert!(status.contains("\nUid:\t1\t1\t1\t1\n"), "{status}");
}
