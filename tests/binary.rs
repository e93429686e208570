//! The binary as a file: static, without libc and allocator, small; and what it answers as a command.

#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use linchpin::applets;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tmp::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_linchpin");

/// Largest stripped binary for armv7.
const ARMV7_MAX: usize = 584 * 1024;

/// Names that a libc, an allocator or an unwinder would bring.
const FOREIGN: [&str; 12] = [
    "malloc",
    "calloc",
    "realloc",
    "__libc_start",
    "__errno_location",
    "pthread_",
    "GLIBC_",
    "musl",
    "__rust_alloc",
    "__rdl_alloc",
    "_Unwind_",
    "libgcc",
];

/// What the tests want to know of an ELF file.
struct Elf {
    bytes: Vec<u8>,
    /// The same, to be searched, which is many times faster than bytes are.
    text: String,
    wide: bool,
}

impl Elf {
    fn read(path: &Path) -> Elf {
        let bytes = fs::read(path).unwrap();
        assert_eq!(&bytes[..4], b"\x7fELF", "{}", path.display());
        assert_eq!(bytes[5], 1, "little-endian");
        Elf { wide: bytes[4] == 2, text: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    fn number(&self, at: usize, size: usize) -> u64 {
        self.bytes[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// ET_EXEC is 2.
    fn kind(&self) -> u64 {
        self.number(16, 2)
    }

    fn machine(&self) -> u64 {
        self.number(18, 2)
    }

    /// Type and flags of the program headers.
    fn segments(&self) -> Vec<(u64, u64)> {
        let (table, size_at, flags) =
            if self.wide { (self.number(32, 8), 54, 4) } else { (self.number(28, 4), 42, 24) };
        let (size, count) = (self.number(size_at, 2), self.number(size_at + 2, 2));
        (0..count)
            .map(|i| (table + i * size) as usize)
            .map(|at| (self.number(at, 4), self.number(at + flags, 4)))
            .collect()
    }

    fn contains(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

fn check_elf(path: &Path, machine: u64) {
    const PT_DYNAMIC: u64 = 2;
    const PT_INTERP: u64 = 3;
    const PT_TLS: u64 = 7;
    const PT_GNU_STACK: u64 = 0x6474_e551;
    let elf = Elf::read(path);
    let name = path.display();
    assert_eq!(elf.machine(), machine, "{name}");
    assert_eq!(elf.kind(), 2, "{name} is not at a fixed address");
    for (kind, flags) in elf.segments() {
        assert!(![PT_DYNAMIC, PT_INTERP, PT_TLS].contains(&kind), "{name} has a segment of type {kind}");
        assert_ne!(flags & 3, 3, "{name} has a segment that can be written and executed");
        assert!(kind != PT_GNU_STACK || flags & 1 == 0, "{name} has an executable stack");
    }
    for text in FOREIGN {
        assert!(!elf.contains(text), "{name} contains {text}");
    }
}

/// What only faults on demand bring: the variable, what the assertion says, the points.
#[cfg(feature = "faults")]
fn faults_on_demand() -> Vec<&'static str> {
    use linchpin::sys::inject;
    let variable = std::str::from_utf8(inject::VARIABLE).unwrap();
    let points = inject::POINTS.iter().copied().flatten().copied();
    // A short word may be there for another reason.
    points.filter(|name| name.contains('.')).chain([variable, "a fault was asked for"]).collect()
}

#[test]
#[cfg(feature = "faults")]
fn what_is_built_for_the_boards_cannot_be_made_to_fail_on_demand() {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/out");
    for arch in ["arm", "aarch64", "x86_64"] {
        let path = out.join(arch).join("linchpin");
        if !path.exists() {
            println!("{arch}: not built");
            continue;
        }
        let elf = Elf::read(&path);
        for text in faults_on_demand() {
            assert!(!elf.contains(text), "{} contains {text}", path.display());
        }
    }
}

#[test]
#[cfg(feature = "faults")]
fn what_is_looked_for_is_there_where_faults_can_be_demanded() {
    let elf = Elf::read(Path::new(BINARY));
    for text in faults_on_demand() {
        assert!(elf.contains(text), "{text}");
    }
}

fn host_machine() -> u64 {
    match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        "arm" => 40,
        other => panic!("{other} is not one of our machines"),
    }
}

#[test]
fn the_binary_is_static_and_holds_no_libc_and_no_allocator() {
    check_elf(Path::new(BINARY), host_machine());
}

#[test]
fn what_is_built_for_the_boards_is_so_too_and_small() {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/out");
    for (arch, machine) in [("arm", 40), ("aarch64", 183), ("x86_64", 62)] {
        let path = out.join(arch).join("linchpin");
        let Ok(meta) = fs::metadata(&path) else {
            println!("{arch}: not built");
            continue;
        };
        check_elf(&path, machine);
        println!("{arch}: {} KiB", meta.len().div_ceil(1024));
        assert!(arch != "arm" || meta.len() as usize <= ARMV7_MAX, "{} bytes", meta.len());
    }
}

fn run(program: impl AsRef<Path>, words: &[&str]) -> Output {
    Command::new(program.as_ref()).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn install_makes_a_link_for_every_name_of_every_command() {
    let dir = TempDir::new();
    let path = dir.path().to_str().unwrap();
    // An older link is replaced, at the second time all are.
    std::os::unix::fs::symlink("/nowhere", dir.path().join("svc")).unwrap();
    for _ in 0..2 {
        let output = run(BINARY, &["--install", path]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    }
    let mut expected: Vec<PathBuf> = Vec::new();
    for applet in applets::all() {
        expected.extend(applet.prefixes.iter().map(|prefix| format!("{prefix}{}", applet.name).into()));
    }
    expected.sort();
    let mut made: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into()).collect();
    made.sort();
    assert_eq!(made, expected);
    let own = fs::canonicalize(BINARY).unwrap();
    for name in made {
        assert_eq!(fs::read_link(dir.path().join(name)).unwrap(), own);
    }
}

#[test]
fn install_can_be_told_where_the_binary_will_be() {
    let dir = TempDir::new();
    let output = run(BINARY, &["--install", dir.path().to_str().unwrap(), "/sbin/linchpin"]);
    assert!(output.status.success());
    assert_eq!(fs::read_link(dir.path().join("s6-svc")).unwrap(), Path::new("/sbin/linchpin"));
}

#[test]
fn install_leaves_files_alone_that_are_no_links() {
    let dir = TempDir::new();
    fs::write(dir.path().join("reboot"), "precious").unwrap();
    fs::create_dir(dir.path().join("s6-svstat")).unwrap();
    let output = run(BINARY, &["--install", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let warning = |name: &str| format!("linchpin: warning: {name} is there and is no link: left alone\n");
    assert_eq!(text(&output.stderr), warning("reboot") + &warning("s6-svstat"));
    assert_eq!(fs::read(dir.path().join("reboot")).unwrap(), b"precious");
    assert!(dir.path().join("s6-svstat").is_dir());
    assert!(dir.path().join("halt").is_symlink(), "the others are made");
}

#[test]
fn install_says_where_it_cannot() {
    let output = run(BINARY, &["--install", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(111));
    assert_eq!(text(&output.stderr), "linchpin: fatal: unable to open /nonexistent: No such file or directory\n");
}

#[test]
fn the_bare_binary_tells_what_there_is() {
    let version = run(BINARY, &["--version"]);
    assert_eq!(text(&version.stdout), format!("linchpin {}\n", env!("CARGO_PKG_VERSION")));
    let help = run(BINARY, &["--help"]);
    assert!(help.status.success());
    for applet in applets::all() {
        assert!(text(&help.stdout).contains(applet.summary), "{}", applet.name);
    }
    assert_eq!(run(BINARY, &["help"]).stdout, help.stdout);
    for mistake in [&[][..], &["nonsense"], &["--nonsense"], &["--install"], &["s6-help"]] {
        let output = run(BINARY, mistake);
        assert_eq!(output.status.code(), Some(100), "{mistake:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{mistake:?}");
    }
}

#[test]
fn help_tells_the_usage_of_each_command_by_each_of_its_names() {
    for applet in applets::all() {
        for prefix in applet.prefixes {
            let output = run(BINARY, &["help", &format!("{prefix}{}", applet.name)]);
            assert!(output.status.success());
            assert!(text(&output.stdout).contains(applet.usage), "{}", applet.name);
        }
    }
    assert_eq!(run(BINARY, &["help", "nonsense"]).status.code(), Some(100));
}

#[test]
fn every_command_answers_wrong_usage_with_100_and_its_usage() {
    let dir = TempDir::new();
    assert!(run(BINARY, &["--install", dir.path().to_str().unwrap()]).status.success());
    // connlimit has no options: whatever stands behind it is a program.
    for applet in applets::all().filter(|applet| !["init", "help", "connlimit", "tai64n"].contains(&applet.name)) {
        for prefix in applet.prefixes {
            let name = format!("{prefix}{}", applet.name);
            // No command knows this option.
            let output = run(dir.path().join(&name), &["-~"]);
            assert_eq!(output.status.code(), Some(100), "{name}: {output:?}");
            let usage = format!("{name}: usage: {name} {}\n", applet.usage);
            assert_eq!(text(&output.stderr), usage);
        }
    }
}

#[test]
fn init_is_for_process_1() {
    for words in [&["init"][..], &["init", "linchpin.board=/x"]] {
        let output = run(BINARY, words);
        assert_eq!(output.status.code(), Some(100));
        let said = "init: fatal: init is for process 1; to supervise a directory, use svscan\n";
        assert_eq!(text(&output.stderr), said);
    }
}

/// Where the lists lie that tell image builders, who cannot run what they have built, which links to make.
fn lists() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("board/package/linchpin/commands")
}

/// The groups, with a list for each: every name of every command, one a line.
fn groups() -> BTreeMap<&'static str, String> {
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for group in applets::GROUPS {
        let list = groups.entry(group.name).or_default();
        for applet in group.applets {
            list.extend(applet.prefixes.iter().map(|prefix| format!("{prefix}{}\n", applet.name)));
        }
    }
    groups
}

#[test]
fn the_lists_for_image_builders_have_the_commands_of_each_group() {
    const HOW: &str = "run: cargo test --test binary -- --ignored write_the_lists";
    for (name, list) in groups() {
        let written = fs::read_to_string(lists().join(name)).unwrap_or_default();
        assert_eq!(written, list, "the list {name} is out of date; {HOW}");
    }
    let files = fs::read_dir(lists()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.collect();
    files.sort();
    assert_eq!(files, groups().into_keys().collect::<Vec<_>>(), "a list is of no group, or is missing; {HOW}");
}

#[test]
#[ignore = "writes to the source tree"]
fn write_the_lists() {
    let _ = fs::remove_dir_all(lists());
    fs::create_dir_all(lists()).unwrap();
    for (name, list) in groups() {
        fs::write(lists().join(name), list).unwrap();
    }
}

#[test]
fn every_group_is_a_feature_that_is_on_unless_somebody_says_otherwise() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("default = ")).unwrap();
    let mut features: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    features.sort();
    assert_eq!(features, groups().into_keys().collect::<Vec<_>>());
}
