//! The block map of a real image: what it says is true, and what it leaves out is not missed.

use crate::disk::{Disk, boards, bytes, said};
use crate::tmp::TempDir;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};

/// A block map, as a reader of bmaptool's format sees it.
pub struct Map {
    pub image_size: u64,
    pub block: u64,
    pub blocks: u64,
    pub mapped: u64,
    pub ranges: Vec<(RangeInclusive<u64>, String)>,
}

impl Map {
    pub fn read(path: &Path) -> Map {
        let text = fs::read_to_string(path).unwrap();
        let field =
            |name: &str| text.split_once(&format!("<{name}>")).unwrap().1.split('<').next().unwrap().trim().to_owned();
        assert!(text.starts_with("<?xml version=\"1.0\" ?>\n") && text.contains("<bmap version=\"2.0\">"), "{text}");
        assert_eq!(field("ChecksumType"), "sha256");
        let sum = field("BmapFileChecksum");
        assert_eq!(sha256(text.replace(&sum, &"0".repeat(64)).as_bytes()), sum, "the map's own checksum");
        let mut ranges = Vec::new();
        for line in text.lines().filter(|line| line.contains("<Range")) {
            let sum = line.split('"').nth(1).unwrap().to_owned();
            let run = line.split_once('>').unwrap().1.split('<').next().unwrap().trim();
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            ranges.push((first.parse().unwrap()..=last.parse().unwrap(), sum));
        }
        let number = |name: &str| field(name).parse().unwrap();
        let (image_size, block) = (number("ImageSize"), number("BlockSize"));
        Map { image_size, block, blocks: number("BlocksCount"), mapped: number("MappedBlocksCount"), ranges }
    }

    pub fn has(&self, block: u64) -> bool {
        self.ranges.iter().any(|(range, _)| range.contains(&block))
    }

    /// Is it a map of this image?
    pub fn verify(&self, image: &Path) {
        let mut file = File::open(image).unwrap();
        assert_eq!(file.metadata().unwrap().len(), self.image_size);
        assert_eq!(self.blocks, self.image_size.div_ceil(self.block));
        let count: u64 = self.ranges.iter().map(|(range, _)| range.end() - range.start() + 1).sum();
        assert_eq!(self.mapped, count);
        let mut next = 0;
        for (range, sum) in &self.ranges {
            assert!(*range.start() >= next && range.end() >= range.start() && *range.end() < self.blocks, "{range:?}");
            next = range.end() + 2; // neighbours would be one range
            let from = range.start() * self.block;
            let mut bytes = vec![0; (((range.end() + 1) * self.block).min(self.image_size) - from) as usize];
            file.seek(SeekFrom::Start(from)).unwrap();
            file.read_exact(&mut bytes).unwrap();
            assert_eq!(sha256(&bytes), *sum, "{range:?}");
        }
    }

    /// A copy of the image on a disk that was full of something else, of which only what is mapped is written.
    pub fn write_over_rubbish(&self, image: &Path, to: &Path) {
        let (mut from, mut disk) = (File::open(image).unwrap(), File::create(to).unwrap());
        let rubbish: Vec<u8> = (0..=u8::MAX).rev().cycle().skip(90).take(1 << 20).collect();
        let mut left = self.image_size;
        while left > 0 {
            let piece = left.min(rubbish.len() as u64);
            disk.write_all(&rubbish[..piece as usize]).unwrap();
            left -= piece;
        }
        for (range, _) in &self.ranges {
            let at = range.start() * self.block;
            let mut bytes = vec![0; (((range.end() + 1) * self.block).min(self.image_size) - at) as usize];
            from.seek(SeekFrom::Start(at)).unwrap();
            from.read_exact(&mut bytes).unwrap();
            disk.seek(SeekFrom::Start(at)).unwrap();
            disk.write_all(&bytes).unwrap();
        }
    }
}

/// By the tool that everybody has: the project has no such function for tests.
pub fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn every_range_of_the_map_has_its_checksum_and_they_add_up() {
    for board in boards() {
        let disk = Disk::of(&board);
        Map::read(&disk.map()).verify(&disk.image);
    }
}

#[test]
fn most_of_an_image_need_not_be_written() {
    for board in boards() {
        let disk = Disk::of(&board);
        let map = Map::read(&disk.map());
        assert!(map.mapped * 2 < map.blocks, "{board}: {} of {} blocks are mapped", map.mapped, map.blocks);
        assert!(map.ranges.len() < 200, "{board}: {} ranges", map.ranges.len());
    }
}

/// The strongest thing to be said of a map: a card that held something else before, and gets only what is mapped, has the
/// same partitions, the same files and clean file systems.
#[test]
fn what_the_map_leaves_out_may_hold_anything() {
    for board in boards() {
        let disk = Disk::of(&board);
        let dir = TempDir::new();
        let card = dir.path().join("card");
        Map::read(&disk.map()).write_over_rubbish(&disk.image, &card);
        let card = Disk::at(&board, &card);

        let verdict = said(Command::new("/usr/sbin/sfdisk").arg("--verify").arg(&card.image));
        assert!(!verdict.to_lowercase().contains("corrupt"), "{board}: {verdict}");
        let dump = |disk: &Disk| {
            let text = said(Command::new("/usr/sbin/sfdisk").arg("--dump").arg(&disk.image));
            text.replace(&disk.image.display().to_string(), "disk")
        };
        assert_eq!(dump(&card), dump(&disk));

        assert_eq!(card.boot_files(), disk.boot_files());
        for file in disk.boot_files() {
            assert!(card.boot_file(&file) == disk.boot_file(&file), "{board}: {file}");
        }
        for (offset, raw) in disk.raw() {
            let mut found = vec![0; raw.len()];
            let mut file = File::open(&card.image).unwrap();
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.read_exact(&mut found).unwrap();
            assert!(found == raw, "{board}: what is at {offset}");
        }
        let (boot, data) = (dir.path().join("boot"), dir.path().join("data"));
        card.extract(0, &boot);
        card.extract(2, &data);
        bytes(Command::new("/usr/sbin/fsck.vfat").arg("-n").arg(&boot));
        bytes(Command::new("/usr/sbin/e2fsck").arg("-fn").arg(&data));
        let root = |disk: &Disk| {
            let tree = dir.path().join("root");
            let offset = disk.partitions[1].start.to_string();
            bytes(Command::new("unsquashfs").args(["-q", "-n", "-o", &offset, "-d"]).arg(&tree).arg(&disk.image));
            let sums = "find . -type f | LC_ALL=C sort | xargs sha256sum";
            let sums = said(Command::new("sh").arg("-c").arg(sums).current_dir(&tree));
            fs::remove_dir_all(&tree).unwrap();
            sums
        };
        assert_eq!(root(&card), root(&disk));
    }
}

/// A GPT has a copy of itself at the end of the disk, which no partition tells of.
#[test]
fn the_partition_tables_are_mapped() {
    for board in boards() {
        let disk = Disk::of(&board);
        let map = Map::read(&disk.map());
        assert!(map.has(0), "{board}");
        let gpt = said(Command::new("/usr/sbin/sfdisk").arg("--dump").arg(&disk.image)).contains("label: gpt");
        assert_eq!(map.has(map.blocks - 1), gpt, "{board}");
        assert!(!map.has(disk.partitions[0].start / map.block - 1) || !disk.raw().is_empty(), "{board}");
    }
}
