//! What a board says about modules and about the root file system.

use super::{mistakes, read};
use linchpin::board::{Board, Root};
use linchpin::sys::time::SECOND;
use std::io::Write;
use std::process::{Command, Stdio};

const WHOLE: &str = r#"
[boot]
modules = [
    "virtio-mmio",
    "softdog soft_margin=30 nowayout=1", # with parameters
    '/lib/own/driver.ko.xz',
]
[root]
device = "PARTLABEL=root a"
type = "squashfs"
options = "ro,noatime"
timeout = "2m"
overlay = "/dev/vda3"
overlay-type = "ext4"
overlay-options = "noatime"
[[mount]]
target = "/data"
source = "/dev/vda4"
type = "ext4"
wait = "5s"
"#;

fn root<T>(text: &str, look: impl FnOnce(Root<'_>) -> T) -> T {
    read(text.as_bytes(), |board: &Board<'_>| look(board.root())).0
}

#[test]
fn modules_and_the_root_are_read() {
    let ((), said) = read(WHOLE.as_bytes(), |board| {
        assert_eq!(board.modules(), ["virtio-mmio", "softdog soft_margin=30 nowayout=1", "/lib/own/driver.ko.xz"]);
        let expected = Root {
            wanted: true,
            device: Some("PARTLABEL=root a"),
            kind: Some("squashfs"),
            options: Some("ro,noatime"),
            timeout: 120 * SECOND,
            overlay: Some("/dev/vda3"),
            overlay_kind: Some("ext4"),
            overlay_options: Some("noatime"),
        };
        assert_eq!(board.root(), expected);
        assert_eq!(board.mounts().first().map(|mount| mount.wait), Some(5 * SECOND));
    });
    assert_eq!(said, [""; 0]);
}

#[test]
fn an_empty_table_wants_a_root_and_no_table_wants_none() {
    assert!(!root("[boot]\nmodules = []", |root| root.wanted));
    let expected = Root { wanted: true, ..Root::DEFAULT };
    root("[root]", |root| assert_eq!(root, expected));
    assert!(root("root.device = '/dev/vda2'", |root| root.wanted && root.device == Some("/dev/vda2")));
    assert_eq!(Root::DEFAULT.timeout, 10 * SECOND);
}

#[test]
fn one_module_may_stand_without_brackets() {
    let (modules, said) = read(b"boot.modules = 'overlay'", |board| board.modules().concat());
    assert_eq!((modules.as_str(), said), ("overlay", vec![]));
}

#[test]
fn mistakes_are_said_with_their_place_and_the_rest_counts() {
    let forms = "is no device (its path, or PARTUUID=, PARTLABEL=, UUID= or LABEL= and what it has)";
    let module = "is no module (a name or an absolute path, and its parameters); it is left out";
    for (text, sentence) in [
        ("[boot]\nmodules = 7".into(), "2:11: modules 7 is no array of strings; it is ignored".into()),
        ("[boot]\nmodules = ['a',\n 'ext4.ko']".into(), format!("3:2: modules 'ext4.ko' {module}")),
        ("[boot]\nmodules = ['', 'a']".into(), format!("2:12: modules '' {module}")),
        ("[boot]\nmodules = [7]".into(), format!("2:12: modules 7 {module}")),
        (
            "[root]\ndevice = 'dev/vda2'".into(),
            format!("2:10: device 'dev/vda2' {forms}; root= of the kernel's command line counts"),
        ),
        (
            "[root]\ndevice = 'ID=7'".into(),
            format!("2:10: device 'ID=7' {forms}; root= of the kernel's command line counts"),
        ),
        ("[root]\ntype = ''".into(), "2:8: type '' is empty; it is ignored".into()),
        ("[root]\noptions = 1".into(), "2:11: options 1 is not a string; it is ignored".into()),
        (
            "[root]\ntimeout = '10'".into(),
            "2:11: timeout '10' is not a duration (like \"1500ms\", \"10s\" or \"2m\"); the default is kept".into(),
        ),
        ("[root]\noverlay = ''".into(), "2:11: overlay '' is empty; nothing lies over the root".into()),
        (
            "[root]\noverlay-options = 'size=1m'".into(),
            "2:19: overlay-options 'size=1m' means nothing without overlay; it is ignored".into(),
        ),
        (
            "[root]\noverlay-type = 'ext4'\noverlay = 'tmpfs'".into(),
            "2:16: overlay-type 'ext4' means nothing to a tmpfs; it is ignored".into(),
        ),
        ("[root]\ndevise = '/dev/vda2'".into(), "2:1: the key devise is not a key of [root]; it is ignored".into()),
        ("[[root]]".into(), "1:1: the table [[root]] should have single brackets; it is read as if it had".into()),
        (
            "[[mount]]\ntarget = '/a'\ntype = 't'\nwait = 5".into(),
            "4:8: wait 5 is not a duration (like \"1500ms\", \"10s\" or \"2m\"); it is ignored".into(),
        ),
    ] {
        let text: String = text;
        let sentence: String = sentence;
        assert_eq!(mistakes(&text), [sentence], "{text}");
    }
}

#[test]
fn one_module_too_many_is_said_and_the_others_count() {
    let text = format!("[boot]\nmodules = [{}]", "'a',".repeat(65));
    let (count, said) = read(text.as_bytes(), |board| board.modules().len());
    assert_eq!(count, 64);
    assert!(said.len() == 1 && said[0].ends_with("holds more than 64 modules; the rest is ignored"), "{said:?}");
}

#[test]
fn check_prints_modules_root_and_overlay() {
    let mut check = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    let mut check = check.args(["check", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(WHOLE.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<String> =
        text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "module virtio-mmio",
        "module softdog soft_margin=30 nowayout=1",
        "module /lib/own/driver.ko.xz",
        "root PARTLABEL=root a squashfs ro,noatime (waits 120000 ms at most)",
        "overlay /dev/vda3 ext4 noatime",
        "mount /data ext4 from /dev/vda4 (waits 5000 ms at most)",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line}: {lines:#?}");
    }
}
