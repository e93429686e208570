//! `start-qemu.sh`, which every board's post-image script makes of the command in the board's readme.txt and of the template
//! that Buildroot's own QEMU boards have.

use crate::{root, text, tmp::TempDir};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const BOARDS: [(&str, &str); 5] = [
    ("qemu-arm", "qemu-system-arm"),
    ("qemu-aarch64", "qemu-system-aarch64"),
    ("qemu-x86_64", "qemu-system-x86_64"),
    ("orangepi-pc", "qemu-system-arm"),
    ("raspberrypi3-64", "qemu-system-aarch64"),
];
const IMAGES: [&str; 7] =
    ["zImage", "Image", "bzImage", "vexpress-v2p-ca9.dtb", "bcm2710-rpi-3-b.dtb", "sdcard.img", "rootfs.squashfs"];

/// A tree like Buildroot's, as far as the script looks at it: the template, images, and an emulator that prints its words.
fn buildroot() -> TempDir {
    let tree = TempDir::new();
    for folder in ["board/qemu", "images", "host/bin"] {
        fs::create_dir_all(tree.path().join(folder)).unwrap();
    }
    let template = "#!/bin/sh\ncd \"${0%/*}\"\nif [ \"$1\" = --serial-only ]; then shift; EXTRA='@SERIAL_ARGS@'; \
                    else EXTRA='@DEFAULT_ARGS@'; fi\nPATH=@HOST_DIR@/bin:$PATH\nexec @QEMU_CMD_LINE@ $EXTRA \"$@\"\n";
    fs::write(tree.path().join("board/qemu/start-qemu.sh.in"), template).unwrap();
    for name in IMAGES {
        File::create(tree.path().join("images").join(name)).unwrap().set_len(3 << 20).unwrap();
    }
    for (_, emulator) in BOARDS {
        let path = tree.path().join("host/bin").join(emulator);
        fs::write(&path, format!("#!/bin/sh\necho {emulator}\nprintf '%s\\n' \"$@\"\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    tree
}

fn post_image(tree: &Path, script: &Path, board: &str) -> Output {
    let mut command = Command::new(script);
    command.arg(tree.join("images")).arg(board).current_dir(tree).env("HOST_DIR", tree.join("host"));
    command.output().unwrap()
}

fn made_for(board: &str) -> TempDir {
    let tree = buildroot();
    let output = post_image(tree.path(), &root().join("board/common/qemu-post-image.sh"), board);
    assert!(output.status.success(), "{board}: {}", text(&output.stderr));
    tree
}

/// The words that the emulator is started with.
fn words(tree: &TempDir, options: &[&str]) -> Vec<String> {
    let output = Command::new(tree.path().join("images/start-qemu.sh")).args(options).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// The files among them.
fn files_of(words: &[String]) -> Vec<&str> {
    let behind = |option: &[String]| matches!(&*option[0], "-kernel" | "-dtb" | "-initrd");
    let options = words.windows(2).filter(|pair| behind(pair)).map(|pair| &*pair[1]);
    options.chain(words.iter().flat_map(|word| word.split(',').filter_map(|part| part.strip_prefix("file=")))).collect()
}

#[test]
fn every_board_gets_a_script_that_starts_its_emulator_with_files_of_the_images_directory() {
    for (board, emulator) in BOARDS {
        let words = words(&made_for(board), &[]);
        assert_eq!(words[0], emulator, "{board}");
        assert!(!words.iter().any(|word| word.contains("output/images") || word.contains('\\')), "{board}: {words:?}");
        let files = files_of(&words);
        assert!(!files.is_empty() && files.iter().all(|file| IMAGES.contains(file)), "{board}: {files:?}");
    }
}

#[test]
fn the_kernels_command_line_stays_one_word() {
    for (board, _) in BOARDS.iter().filter(|(board, _)| *board != "orangepi-pc") {
        let words = words(&made_for(board), &[]);
        let append = words.iter().position(|word| word == "-append").unwrap();
        assert!(words[append + 1].contains("root=/dev/"), "{board}: {words:?}");
        assert!(words[append + 1].contains("console="), "{board}: {words:?}");
    }
}

#[test]
fn the_console_is_the_terminal_and_with_serial_only_there_is_no_window_besides() {
    for (board, _) in BOARDS {
        let tree = made_for(board);
        let (window, serial) = (words(&tree, &[]), words(&tree, &["--serial-only", "-snapshot"]));
        assert!(
            serial.contains(&"-nographic".to_owned()) && !serial.contains(&"stdio".to_owned()),
            "{board}: {serial:?}"
        );
        let console = |words: &[String]| words.iter().filter(|word| *word == "-nographic" || *word == "stdio").count();
        assert_eq!(console(&window), 1, "{board}: {window:?}");
        assert_eq!(serial.last().unwrap(), "-snapshot");
    }
}

#[test]
fn a_card_has_a_size_that_the_emulator_takes_and_another_disk_keeps_its_own() {
    let size = |tree: &TempDir, name: &str| fs::metadata(tree.path().join("images").join(name)).unwrap().len();
    for (board, card) in
        [("qemu-arm", "rootfs.squashfs"), ("orangepi-pc", "sdcard.img"), ("raspberrypi3-64", "sdcard.img")]
    {
        assert_eq!(size(&made_for(board), card), 4 << 20, "{board}");
    }
    let tree = made_for("qemu-aarch64");
    for name in IMAGES {
        assert_eq!(size(&tree, name), 3 << 20, "{name}");
    }
}

#[test]
fn a_readme_without_a_command_ends_the_build_and_is_named() {
    let tree = buildroot();
    let board = tree.path().join("ours/board/mine/buildroot");
    fs::create_dir_all(&board).unwrap();
    fs::write(board.join("readme.txt"), "Nothing about an emulator.\n").unwrap();
    let common = tree.path().join("ours/board/common");
    fs::create_dir_all(&common).unwrap();
    let script = common.join("qemu-post-image.sh");
    fs::copy(root().join("board/common/qemu-post-image.sh"), &script).unwrap();
    let output = post_image(tree.path(), &script, "mine");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("mine/buildroot/readme.txt"), "{}", text(&output.stderr));
}
