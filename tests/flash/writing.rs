//! What is written, and what stays.

use crate::image::{BYTES, Map, filter, mapped_over};
use crate::machine::Machine;
use std::process::Command;

/// A compressor's command.
fn packer(name: &str) -> Command {
    let mut command = Command::new(name);
    command.arg("-c");
    command
}

#[test]
fn all_of_an_image_is_written_and_what_is_behind_it_stays() {
    let machine = Machine::new();
    let mut expected = machine.fill("sdb");
    let image = machine.image();
    machine.flash(&["--yes", "disk.img", "/dev/sdb"]).is(
        0,
        &[
            "checked 1.2 MB",
            "this will be overwritten:\n/dev/sdb: 2.1 MB, USB\n",
            "written 1.2 MB",
            "read back, and the same: 1.2 MB",
            "/dev/sdb holds disk.img now",
            "it can be taken out now",
        ],
    );
    expected[..BYTES].copy_from_slice(&image);
    assert!(machine.content("sdb") == expected);
}

#[test]
fn only_mapped_blocks_are_written() {
    let machine = Machine::new();
    let old = machine.fill("sdb");
    let image = machine.mapped_image();
    machine.flash(&["--yes", "disk.img", "/dev/sdb"]).is(0, &["written 0.6 MB", "/dev/sdb holds disk.img now"]);
    assert!(machine.content("sdb") == mapped_over(&old, &image));

    machine.fill("sdb");
    machine.flash(&["--yes", "--no-bmap", "disk.img", "/dev/sdb"]).is(0, &["written 1.2 MB"]);
    assert!(machine.content("sdb")[..BYTES] == image);
    assert!(machine.content("sdb")[BYTES..] == old[BYTES..]);
}

#[test]
fn packed_images_are_unpacked() {
    let machine = Machine::new();
    let image = machine.image();
    for (name, suffix) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
        let old = machine.fill("sdb");
        let file = format!("packed.img.{suffix}");
        machine.file(&file, filter(packer(name), &image));
        machine.flash(&["--yes", &file, "/dev/sdb"]).is(0, &[&format!("/dev/sdb holds {file} now")]);
        let content = machine.content("sdb");
        assert!(content[..BYTES] == image && content[BYTES..] == old[BYTES..], "{name}");
    }
}

#[test]
fn of_packed_images_too_only_mapped_blocks_are_written() {
    let machine = Machine::new();
    let image = machine.image();
    let map = Map::of(&image).text();
    machine.file("disk.img.xz", filter(packer("xz"), &image));
    machine.file("disk.img.gz", filter(packer("gzip"), &image));
    // Either of the names will do.
    machine.file("disk.img.bmap", &map);
    machine.file("disk.img.gz.bmap", &map);
    machine.file("other", &map);
    for words in [&["disk.img.xz"][..], &["disk.img.gz"], &["--bmap=other", "disk.img.gz"]] {
        let old = machine.fill("sdb");
        machine.flash(&[&["--yes"], words, &["/dev/sdb"]].concat()).is(0, &["written 0.6 MB"]);
        assert!(machine.content("sdb") == mapped_over(&old, &image), "{words:?}");
    }
}

#[test]
fn a_plain_file_is_treated_like_a_device() {
    let machine = Machine::new();
    let image = machine.mapped_image();
    let old = vec![7; BYTES + 100];
    machine.file("card", &old);
    machine.flash(&["--yes", "disk.img", "card"]).is(0, &["card: a file, 1.2 MB", "card holds disk.img now"]);
    assert!(std::fs::read(machine.here().join("card")).unwrap() == mapped_over(&old, &image));
}

#[test]
fn a_file_is_made_of_the_size_of_the_image_and_nothing_asked() {
    let machine = Machine::new();
    let image = machine.mapped_image();
    machine.flash(&["--create", "disk.img", "new"]).is(0, &["new holds disk.img now"]);
    assert!(std::fs::read(machine.here().join("new")).unwrap() == mapped_over(&vec![0; BYTES], &image));
    machine.flash(&["--create", "disk.img", "new"]).is(1, &["new exists already"]);
}

#[test]
fn an_image_of_many_steps_is_written_and_told_of() {
    // Larger than what is written, and what is checked, at a time; with a map of one range.
    let machine = Machine::new();
    let image: Vec<u8> = (0..18_874_368u32 / 4).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    machine.file("big.img", &image);
    let mut map = Map::of(&crate::image::image());
    map.size = image.len().to_string();
    map.blocks = (image.len() / 4096).to_string();
    map.mapped = map.blocks.clone();
    map.ranges = vec![(format!("0-{}", image.len() / 4096 - 1), Some(crate::image::sha256(&image)))];
    machine.file("big.bmap", map.text());
    for option in ["--no-bmap", "--bmap=big.bmap"] {
        let _ = std::fs::remove_file(machine.here().join("new"));
        machine.flash(&[option, "--create", "big.img", "new"]).is(0, &["written 18.9 MB"]);
        assert!(std::fs::read(machine.here().join("new")).unwrap() == image, "{option}");
    }
}

#[test]
fn on_a_terminal_progress_is_told_in_one_line() {
    let machine = Machine::new();
    let image = machine.image();
    // util-linux' script makes a terminal.
    let command = machine.command(&["--yes", "disk.img", "/dev/sdb"]);
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|w| w.to_str().unwrap()).collect();
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &words.join(" "), "/dev/null"]).current_dir(machine.here());
    script.env("LINCHPIN_FLASH_SYSTEM", machine.path("")).env("HOME", machine.here());
    let output = script.stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let writing = text
        .split('\r')
        .find(|line| line.contains("writing 1.2 of 1.2 MB, 100 %, "))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(writing.contains("MB/s"), "{writing}");
    assert!(text.contains("\r\u{1b}[Kflash: written 1.2 MB, "), "{text:?}");
    assert!(machine.content("sdb")[..BYTES] == image);
}
