//! Block maps of small disks that are made for the purpose.

use crate::bmap::Map;
use crate::disk::{bytes, mtools, sh};
use crate::tmp::TempDir;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;

/// A disk with what `table` tells sfdisk, and the file systems in its partitions.
struct Small {
    dir: TempDir,
    image: PathBuf,
}

impl Small {
    fn new(size: u64, table: &str) -> Small {
        let dir = TempDir::new();
        let image = dir.path().join("small.img");
        File::create(&image).unwrap().set_len(size).unwrap();
        let mut sfdisk = Command::new("/usr/sbin/sfdisk")
            .arg("-q")
            .arg(&image)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sfdisk.stdin.take().unwrap().write_all(table.as_bytes()).unwrap();
        assert!(sfdisk.wait().unwrap().success());
        Small { dir, image }
    }

    fn file(&self, name: &str, size: u64) -> PathBuf {
        let path = self.dir.path().join(name);
        File::create(&path).unwrap().set_len(size).unwrap();
        path
    }

    /// Puts a file into the disk.
    fn put(&self, at: u64, file: &Path) {
        let mut disk = File::options().write(true).open(&self.image).unwrap();
        disk.seek(SeekFrom::Start(at)).unwrap();
        disk.write_all(&fs::read(file).unwrap()).unwrap();
    }

    fn map(&self, extents: &str) -> Map {
        let map = self.dir.path().join("small.bmap");
        sh(&format!("bmap_make {} {} {extents}", self.image.display(), map.display()));
        let map = Map::read(&map);
        map.verify(&self.image);
        map
    }
}

/// The blocks from one place to the other, not with it.
fn whole(map: &Map, from: u64, to: u64) -> impl Iterator<Item = (u64, bool)> + '_ {
    (from / map.block..to / map.block).map(|block| (block, map.has(block)))
}

#[test]
fn a_partition_whose_contents_are_unknown_is_mapped_and_the_gaps_are_not() {
    let small = Small::new(8 * MIB, "label: dos\nstart=4096, size=2048, type=83\nstart=8192, size=2048, type=83\n");
    let map = small.map("");
    let mapped: Vec<_> = map.ranges.iter().map(|(range, _)| range.clone()).collect();
    assert_eq!(mapped, [0..=0, 512..=767, 1024..=1279]);
}

#[test]
fn what_lies_between_the_partitions_is_mapped_if_it_is_named() {
    let small = Small::new(4 * MIB, "label: dos\nstart=4096, size=2048, type=83\n");
    let map = small.map("8192 5000 1048576 1");
    let mapped: Vec<_> = map.ranges.iter().map(|(range, _)| range.clone()).collect();
    assert_eq!(mapped, [0..=0, 2..=3, 256..=256, 512..=767]);
}

#[test]
fn logical_partitions_and_their_tables_are_mapped() {
    let table =
        "label: dos\nstart=2048, size=2048, type=83\nstart=4096, size=8192, type=5\nstart=6144, size=2048, type=83\n";
    let small = Small::new(8 * MIB, table);
    let map = small.map("");
    // The table of a logical partition is in the extended one, before it.
    assert!(map.has(2 * MIB / map.block));
    assert!(whole(&map, 3 * MIB, 4 * MIB).all(|(_, mapped)| mapped));
}

#[test]
fn a_disk_that_ends_within_a_block_is_mapped_to_its_end() {
    let small = Small::new(2 * MIB + 512, "label: dos\nstart=2048, size=2049, type=83\n");
    let map = small.map("");
    let mapped: Vec<_> = map.ranges.iter().map(|(range, _)| range.clone()).collect();
    assert_eq!(mapped, [0..=0, 256..=512]);
    assert_eq!((map.blocks, map.image_size), (513, 2 * MIB + 512));
}

/// More bytes than the numbers of some awks hold.
#[test]
fn a_disk_of_five_gigabytes_is_mapped_to_its_last_partition() {
    let small = Small::new(5120 * MIB, "label: dos\nstart=10481664, size=2048, type=83\n");
    let map = small.dir.path().join("small.bmap");
    let mapped = sh(&format!("bmap_make {} {}\nbmap_mapped {1}\n", small.image.display(), map.display()));
    let map = Map::read(&map);
    let ranges: Vec<_> = map.ranges.iter().map(|(range, _)| range.clone()).collect();
    assert_eq!(ranges, [0..=0, 1_310_208..=1_310_463]);
    assert_eq!((map.blocks, mapped.as_str()), (1_310_720, "1052672\n"));
}

#[test]
fn a_disk_without_a_partition_table_is_refused() {
    let dir = TempDir::new();
    let image = dir.path().join("empty");
    File::create(&image).unwrap().set_len(MIB).unwrap();
    let said = sh(&format!("(bmap_make {} {}.bmap) 2>&1 || echo \"status $?\"", image.display(), image.display()));
    assert!(said.contains("has no partition table that sfdisk can read") && said.ends_with("status 1\n"), "{said}");
}

/// Every kind of FAT that has free clusters: files come and go, and what is left is still whole when the free clusters
/// are overwritten.
#[test]
fn the_free_clusters_of_a_fat_are_left_out_and_its_files_are_not() {
    // Bits, size in MiB, sectors a cluster.
    for (bits, size, cluster) in [("16", 16, "4"), ("16", 40, "8"), ("32", 40, "1")] {
        let small = Small::new((size + 1) * MIB, &format!("label: dos\nstart=2048, size={}, type=c\n", size * 2048));
        let fat = small.file("fat", size * MIB);
        bytes(Command::new("/usr/sbin/mkfs.vfat").args(["-F", bits, "-s", cluster]).arg(&fat));
        let image = fat.display().to_string();
        // Holes of all kinds: some files go, and what comes later is put into the holes.
        let content =
            |number: usize| -> Vec<u8> { (0..=u8::MAX).cycle().skip(number).take(700 + number * 3001).collect() };
        for number in 0..24 {
            let file = small.dir.path().join(format!("file{number}"));
            fs::write(&file, content(number)).unwrap();
            bytes(mtools("mcopy").args(["-i", &image]).arg(&file).arg("::/"));
        }
        bytes(mtools("mmd").args(["-i", &image, "::/folder"]));
        for number in (0..24).step_by(3) {
            bytes(mtools("mdel").args(["-i", &image]).arg(format!("::/file{number}")));
        }
        let large = small.dir.path().join("large");
        fs::write(&large, content(60)).unwrap();
        bytes(mtools("mcopy").args(["-i", &image]).arg(&large).arg("::/folder/"));
        small.put(MIB, &fat);

        let map = small.map("");
        assert!(map.mapped * map.block < 5 * MIB, "FAT{bits}: {} blocks are mapped", map.mapped);
        let card = small.dir.path().join("card");
        map.write_over_rubbish(&small.image, &card);
        let boot = format!("{}@@{MIB}", card.display());
        for number in (0..24).filter(|number| number % 3 != 0) {
            let found = bytes(mtools("mcopy").args(["-i", &boot]).arg(format!("::/file{number}")).arg("-"));
            assert!(found == content(number), "FAT{bits}: file{number}");
        }
        assert!(bytes(mtools("mcopy").args(["-i", &boot, "::/folder/large", "-"])) == content(60), "FAT{bits}");
        crate::disk::extract(&card, MIB, size * MIB, &fat);
        bytes(Command::new("/usr/sbin/fsck.vfat").arg("-n").arg(&fat));
    }
}

#[test]
fn a_fat_of_so_few_clusters_that_it_is_a_fat12_is_mapped_as_a_whole() {
    let small = Small::new(3 * MIB, "label: dos\nstart=2048, size=4096, type=1\n");
    let fat = small.file("fat", 2 * MIB);
    bytes(Command::new("/usr/sbin/mkfs.vfat").args(["-F", "12"]).arg(&fat));
    small.put(MIB, &fat);
    assert!(whole(&small.map(""), MIB, 3 * MIB).all(|(_, mapped)| mapped));
}

#[test]
fn the_free_blocks_of_an_ext4_are_left_out_and_its_files_are_not() {
    for block in [1024, 4096] {
        let small = Small::new(41 * MIB, &format!("label: dos\nstart=2048, size={}, type=83\n", 40 * 2048));
        let tree = small.dir.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        for number in 0..30usize {
            fs::write(tree.join(format!("a/b/file{number}")), vec![number as u8; number * 7001]).unwrap();
        }
        let ext4 = small.file("ext4", 40 * MIB);
        bytes(
            Command::new("/usr/sbin/mke2fs")
                .args(["-q", "-t", "ext4", "-b", &block.to_string(), "-d"])
                .arg(&tree)
                .arg(&ext4),
        );
        // A gap among the files.
        bytes(Command::new("/usr/sbin/debugfs").args(["-w", "-R", "rm /a/b/file20"]).arg(&ext4));
        small.put(MIB, &ext4);

        let map = small.map("");
        assert!(map.mapped * map.block < 24 * MIB, "{block}: {} blocks are mapped", map.mapped);
        let card = small.dir.path().join("card");
        map.write_over_rubbish(&small.image, &card);
        crate::disk::extract(&card, MIB, 40 * MIB, &ext4);
        bytes(Command::new("/usr/sbin/e2fsck").arg("-fn").arg(&ext4));
        let dump = small.dir.path().join("dump");
        fs::create_dir(&dump).unwrap();
        bytes(Command::new("/usr/sbin/debugfs").arg("-R").arg(format!("rdump /a {}", dump.display())).arg(&ext4));
        for number in (0..30usize).filter(|number| *number != 20) {
            let found = fs::read(dump.join(format!("a/b/file{number}"))).unwrap();
            assert!(found == vec![number as u8; number * 7001], "{block}: file{number}");
        }
        // What a block map says of a file system that is damaged is no business of ours: but it must have been read.
        assert!(map.ranges.len() > 1, "{block}");
    }
}

#[test]
fn the_end_of_a_squashfs_is_the_end_of_what_is_mapped() {
    let small = Small::new(5 * MIB, "label: dos\nstart=2048, size=6144, type=83\n");
    let tree = small.dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let noise: Vec<u8> = (0..400_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(tree.join("file"), &noise).unwrap();
    let squashfs = small.dir.path().join("squashfs");
    bytes(Command::new("mksquashfs").arg(&tree).arg(&squashfs).args(["-quiet", "-no-progress"]));
    small.put(MIB, &squashfs);
    let end = MIB + fs::metadata(&squashfs).unwrap().len().next_multiple_of(4096);
    let map = small.map("");
    assert!(whole(&map, MIB, end - 4096).all(|(_, mapped)| mapped));
    assert!(whole(&map, end, 5 * MIB).all(|(_, mapped)| !mapped));
    let card = small.dir.path().join("card");
    map.write_over_rubbish(&small.image, &card);
    let found = small.dir.path().join("found");
    bytes(Command::new("unsquashfs").args(["-q", "-n", "-o", &MIB.to_string(), "-d"]).arg(&found).arg(&card));
    assert!(fs::read(found.join("file")).unwrap() == noise);
}

#[test]
fn partitions_are_read_in_the_order_of_their_places() {
    let small = Small::new(8 * MIB, "label: gpt\nstart=8192, size=2048\nstart=4096, size=2048\n");
    let found = sh(&format!("bmap_parts {}", small.image.display()));
    assert_eq!(found, format!("{} {MIB}\n{} {MIB}\n", 2 * MIB, 4 * MIB));
}
