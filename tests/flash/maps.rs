//! Images and block maps that are not right. All is found before anything is written.

use crate::image::{BLOCK, BYTES, Map, filter, image, sha256};
use crate::machine::Machine;
use std::process::Command;

/// The image `name` is refused with these words, and the card is as it was.
#[track_caller]
fn refused(machine: &Machine, name: &str, words: &[&str]) {
    let old = machine.fill("sdb");
    let outcome = machine.flash(&["--yes", name, "/dev/sdb"]);
    outcome.is(2, words);
    assert!(outcome.said.ends_with("nothing was written\n"), "{}", outcome.said);
    assert!(machine.content("sdb") == old, "it was written to");
}

/// A map that was changed, with a checksum that is right.
#[track_caller]
fn map_refused(change: impl FnOnce(&mut Map), words: &[&str]) {
    let machine = Machine::new();
    let image = machine.image();
    let mut map = Map::of(&image);
    change(&mut map);
    machine.file("disk.img.bmap", map.text());
    refused(&machine, "disk.img", words);
}

#[test]
fn a_damaged_block_map_is_refused() {
    let machine = Machine::new();
    let map = Map::of(&machine.image()).text();
    machine.file("disk.img.bmap", map.replace("100-239", "100-238"));
    refused(&machine, "disk.img", &["disk.img.bmap is damaged: its own checksum is another one"]);
    // Cut off in the middle, where there is no checksum yet; and something else altogether.
    machine.file("disk.img.bmap", &map[..map.find("<BmapFileChecksum>").unwrap()]);
    refused(&machine, "disk.img", &["disk.img.bmap has no checksum of itself"]);
    machine.file("disk.img.bmap", "Not Found");
    refused(&machine, "disk.img", &["disk.img.bmap is not a block map", "--no-bmap"]);
    machine.file("disk.img.bmap", "");
    refused(&machine, "disk.img", &["disk.img.bmap is not a block map"]);
}

#[test]
fn other_versions_and_other_checksums_are_told() {
    map_refused(|map| map.version = "1.4".into(), &["has version 1.4, and this reads 2.0"]);
    map_refused(|map| map.kind = "md5".into(), &["checksums of the kind 'md5'"]);
}

#[test]
fn a_block_map_that_contradicts_itself_is_refused() {
    map_refused(|map| map.blocks = "299".into(), &["299 blocks of 4096 bytes are no image of"]);
    map_refused(|map| map.block = "0".into(), &["contradicts itself"]);
    map_refused(|map| map.block = "100".into(), &["contradicts itself"]);
    map_refused(|map| map.mapped = "7".into(), &["it tells of 7 mapped blocks, and its ranges have 152"]);
    map_refused(|map| map.size = "12 MB".into(), &["ImageSize is '12MB' and should be a number"]);
    map_refused(|map| map.size = "99999999999999999999".into(), &["should be a number"]);
    map_refused(|map| map.ranges[1].1 = Some("abc".into()), &["a range has the checksum 'abc'"]);
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    for range in ["2-300", "9-2", "0-3", "-3", "1-", "", "2-9-12", "0x10"] {
        map_refused(|map| map.ranges[1].0 = range.into(), &["disk.img.bmap is damaged: it has a range"]);
    }
    map_refused(|map| map.ranges.swap(1, 3), &["it has a range '64' of 300 blocks"]);
}

#[test]
fn a_range_without_a_checksum_is_written_and_read_back_all_the_same() {
    let machine = Machine::new();
    let image = machine.image();
    let old = machine.fill("sdb");
    let mut map = Map::of(&image);
    map.ranges[1].1 = None;
    machine.file("disk.img.bmap", map.text());
    machine.flash(&["--yes", "disk.img", "/dev/sdb"]).is(0, &[]);
    assert!(machine.content("sdb") == crate::image::mapped_over(&old, &image));
}

#[test]
fn a_block_map_of_another_image_is_refused() {
    let machine = Machine::new();
    machine.mapped_image();
    let words =
        format!("disk.img has {} bytes, and disk.img.bmap is the block map of an image of {BYTES}", BYTES + 512);
    let longer = [image(), vec![0; 512]].concat();
    machine.file("disk.img", &longer);
    refused(&machine, "disk.img", &[&words, "--no-bmap"]);
    // Shorter: behind the last range, and in the middle of one.
    machine.file("disk.img", &image()[..BYTES - 1]);
    refused(&machine, "disk.img", &[&format!("disk.img has {} bytes", BYTES - 1)]);
    machine.file("disk.img", &image()[..120 * BLOCK]);
    refused(&machine, "disk.img", &[&format!("disk.img has {} bytes", 120 * BLOCK)]);
    machine.file("disk.img", "");
    refused(&machine, "disk.img", &["disk.img has 0 bytes"]);
    machine.file("disk.img.gz", filter(gzip(), &longer));
    refused(&machine, "disk.img.gz", &[&format!("disk.img.gz has {} bytes", BYTES + 512)]);
}

#[test]
fn an_image_with_one_wrong_byte_is_refused() {
    let machine = Machine::new();
    let mut image = machine.mapped_image();
    image[BLOCK * 239 + 17] ^= 1;
    machine.file("disk.img", &image);
    let words = format!("disk.img is damaged: bytes {} to {} have another checksum", 100 * BLOCK, 240 * BLOCK - 1);
    refused(&machine, "disk.img", &[&words]);
    // The last one is a part of a block.
    image[BLOCK * 239 + 17] ^= 1;
    image[BYTES - 1] ^= 1;
    machine.file("disk.img", &image);
    refused(&machine, "disk.img", &[&format!("bytes {} to {} have another checksum", 298 * BLOCK, BYTES - 1)]);
    // Where nothing is mapped, nobody cares.
    image[BYTES - 1] ^= 1;
    image[BLOCK] ^= 1;
    machine.file("disk.img", &image);
    machine.flash(&["--yes", "disk.img", "/dev/sdb"]).is(0, &[]);
}

fn gzip() -> Command {
    let mut command = Command::new("gzip");
    command.arg("-c");
    command
}

#[test]
fn a_packed_image_that_was_cut_off_or_damaged_is_refused() {
    let machine = Machine::new();
    let image = machine.image();
    for (name, suffix) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
        let mut command = Command::new(name);
        command.arg("-c");
        let packed = filter(command, &image);
        let file = format!("packed.{suffix}");
        let words = format!("{file} cannot be unpacked: ");
        for map in [false, true] {
            let bmap = machine.here().join(format!("{file}.bmap"));
            if map {
                std::fs::write(&bmap, Map::of(&image).text()).unwrap();
            }
            machine.file(&file, &packed[..packed.len() / 2]);
            refused(&machine, &file, &[&words]);
        }
        std::fs::remove_file(machine.here().join(format!("{file}.bmap"))).unwrap();
        // Its own checksum is at the end.
        let mut damaged = packed.clone();
        let last = damaged.len()
            - if name == "xz" {
                40
            } else if name == "gzip" {
                8
            } else {
                4
            };
        damaged[last] ^= 1;
        machine.file(&file, &damaged);
        refused(&machine, &file, &[&words]);
    }
}

#[test]
fn a_name_that_tells_of_a_packer_that_did_not_pack_it_is_suspicious() {
    let machine = Machine::new();
    machine.file("disk.img.xz", "<html>404</html>");
    refused(&machine, "disk.img.xz", &["disk.img.xz is not packed as its name tells"]);
    // What a name does not tell is seen.
    machine.file("download", filter(gzip(), &image()));
    machine.flash(&["--yes", "download", "/dev/sdb"]).is(0, &[]);
    assert!(machine.content("sdb")[..BYTES] == image());
}

#[test]
fn an_empty_image_is_refused() {
    let machine = Machine::new();
    machine.file("disk.img", "");
    refused(&machine, "disk.img", &["disk.img is empty"]);
}

#[test]
fn maps_are_read_whatever_their_spaces_quotes_and_line_ends() {
    let machine = Machine::new();
    let image = machine.image();
    let zeros = "0".repeat(64);
    let text = Map::of(&image).text();
    for change in [
        |text: &str| text.replace('"', "'"),
        |text: &str| text.replace('\n', "\r\n"),
        |text: &str| text.replace("> ", ">").replace(" <", "<"),
        |text: &str| text.replace("<Range ", "<Range\n    "),
        |text: &str| text.trim_end().to_string(),
    ] {
        let begin = text.find("<BmapFileChecksum> ").unwrap() + 19;
        let zeroed = change(&text.replace(&text[begin..begin + 64], &zeros));
        machine.file("disk.img.bmap", zeroed.replace(&zeros, &sha256(zeroed.as_bytes())));
        let old = machine.fill("sdb");
        machine.flash(&["--yes", "disk.img", "/dev/sdb"]).is(0, &["written 0.6 MB"]);
        assert!(machine.content("sdb") == crate::image::mapped_over(&old, &image));
    }
}
