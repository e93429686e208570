//! What `scripts/image` says about a board that is described wrongly, and about options that it does not have.

use crate::disk::{bytes, image_command, project, sh_in};
use crate::tmp::TempDir;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

/// A project with one board, a copy of qemu-x86_64 in which `from` of the file has become `to`.
fn spoiled(file: &str, from: &str, to: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new();
    let place = dir.path().to_owned();
    for name in ["scripts", "rootfs"] {
        symlink(project().join(name), place.join(name)).unwrap();
    }
    fs::create_dir(place.join("board")).unwrap();
    let board = place.join("board/mine");
    bytes(Command::new("cp").arg("-R").arg(project().join("board/qemu-x86_64")).arg(&board));
    let text = fs::read_to_string(board.join(file)).unwrap();
    assert!(text.contains(from), "{file}: {text}");
    fs::write(board.join(file), text.replace(from, to)).unwrap();
    (dir, place)
}

/// It fails with status 1, and this is the last thing that it says. Nothing is left behind.
fn refuses((dir, place): (TempDir, PathBuf), complaint: &str) {
    let images = place.join("images");
    let output = image_command(&place, &place.join("out"))
        .arg(format!("--out={}", images.display()))
        .arg("mine")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let last = said.lines().last().unwrap_or("");
    assert!(last.contains(complaint) && last.starts_with("image: error: "), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!images.join("mine/mine.img").exists());
    drop(dir);
}

/// The same for one step alone, with parts that are as small as can be.
fn refuses_at((dir, place): (TempDir, PathBuf), step: &str, complaint: &str) {
    let parts = dir.path().join("parts");
    fs::create_dir(&parts).unwrap();
    for name in ["initramfs", "initramfs.cpio", "boot.vfat", "root.squashfs", "data.ext4"] {
        fs::write(parts.join(name), "x").unwrap();
    }
    let said = sh_in(
        &place,
        &format!("PARTS={} VERSION=1 modules=0\nboard_load mine\n({step}) 2>&1 || echo \"status $?\"", parts.display()),
    );
    assert!(said.contains(complaint) && said.ends_with("status 1\n"), "{said}");
}

#[test]
fn a_module_that_the_kernel_does_not_have_is_named() {
    let board = spoiled("board.toml", "\"virtio_blk\"", "\"virtio_blok\"");
    refuses(board, "board/mine/board.toml: linux-image-cloud-amd64 has no module 'virtio_blok'");
}

#[test]
fn a_module_that_is_built_into_the_kernel_is_said_to_be_so() {
    let board = spoiled("board.toml", "\"virtio_blk\"", "\"ext4\"");
    refuses(board, "board/mine/board.toml: 'ext4' is built into linux-image-cloud-amd64: take it out of 'modules'");
}

#[test]
fn a_file_that_the_firmware_packages_do_not_have_is_named() {
    let board = spoiled("board.conf", "systemd-bootx64.efi", "systemd-bootx65.efi");
    refuses(
        board,
        "board/mine/board.conf: there is no systemd-boot-efi/usr/lib/systemd/boot/efi/systemd-bootx65.efi (",
    );
}

#[test]
fn a_source_that_is_no_source_is_named() {
    let board = spoiled("board.conf", "linux=kernel", "linux=colonel");
    refuses(board, "board/mine/board.conf: 'colonel' is neither kernel, dtb, initramfs nor PACKAGE/PATH");
}

#[test]
fn a_boot_partition_that_is_too_small_says_which_size_to_raise() {
    let board = spoiled("board.conf", "linux=kernel", "linux=kernel linux2=kernel linux3=kernel linux4=kernel");
    refuses_at(board, "part_boot", "does not fit onto the boot partition: raise BOOT_SIZE, which is 48 MiB");
}

#[test]
fn a_layout_that_is_no_sd_card_says_which_size_would_be() {
    let board = spoiled("board.conf", "DATA_SIZE=62", "DATA_SIZE=70 SD=yes");
    let toml = board.1.join("board/mine/genimage.cfg");
    fs::write(&toml, fs::read_to_string(&toml).unwrap().replace("size = 128M", "size = 136M")).unwrap();
    refuses_at(board, "assemble", "an SD card's size has to be a power of two, and this is 142606336: say size = 256M");
}

#[test]
fn a_mistake_in_the_layout_is_shown_as_genimage_says_it() {
    let board = spoiled("genimage.cfg", "root.squashfs", "root.squash");
    refuses_at(board, "assemble", "genimage failed for board/mine/genimage.cfg: ");
}

#[test]
fn a_kernel_that_was_not_fetched_is_fetched_by_setup() {
    let board = spoiled("board.conf", "linux-image-cloud-amd64", "linux-image-of-my-own");
    refuses(board, "files are missing. Run: scripts/setup mine");
}

#[test]
fn a_board_that_there_is_not_is_refused_with_those_that_there_are() {
    for arguments in [["nonesuch"].as_slice(), &["../board/qemu-x86_64"], &[]] {
        let output = Command::new(project().join("scripts/image")).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("pc-uefi qemu-") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn an_unknown_option_is_refused_and_help_tells_what_there_is() {
    let run = |option: &str| Command::new(project().join("scripts/image")).arg(option).output().unwrap();
    let output = run("--sideways");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("unknown option --sideways (see --help)"));
    let help = String::from_utf8(run("--help").stdout).unwrap();
    for option in ["--check", "--as-is", "--out=DIR", "--all"] {
        assert!(help.contains(option), "{help}");
    }
}
