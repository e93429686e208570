//! The external tree for Buildroot, without a Buildroot: what its menus select, whether its configurations name only what
//! there is, and whether its files keep Buildroot's rules. With a tree at hand (`BUILDROOT_DIR`) Buildroot itself is asked.

mod choices;
mod emulator;
mod lints;
mod login;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/tmp.rs"]
mod tmp;
mod tree;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The top of our own source.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs one of the scripts beside this file. Debian's python has the modules for them.
fn python<I: AsRef<std::ffi::OsStr>>(script: &str, arguments: impl IntoIterator<Item = I>) -> Output {
    let mut command = Command::new("/usr/bin/python3");
    command.arg("-B").arg(root().join("tests/buildroot").join(script)).args(arguments);
    command.output().expect("/usr/bin/python3 is missing: run scripts/setup")
}

/// All files below board/ that git would take, or all that there are.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
