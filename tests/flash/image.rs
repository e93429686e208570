//! Images and block maps.

use crate::machine::Machine;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};

/// Of a block map.
pub const BLOCK: usize = 4096;
/// The image of these tests has so many, and a part of one.
pub const BLOCKS: usize = 300;
pub const BYTES: usize = (BLOCKS - 1) * BLOCK + 512;
/// What is mapped of it: single blocks, the first, the last, and longer ranges.
pub const MAPPED: [RangeInclusive<usize>; 5] = [0..=0, 2..=9, 64..=64, 100..=239, 298..=299];

/// An image without two blocks that are the same.
pub fn image() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(BYTES + 8);
    while bytes.len() < BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(BYTES);
    bytes
}

/// The bytes of a range of blocks.
pub fn bytes_of(range: &RangeInclusive<usize>, length: usize) -> std::ops::Range<usize> {
    range.start() * BLOCK..((range.end() + 1) * BLOCK).min(length)
}

/// What `old` is after the mapped blocks of `image` were written to it.
pub fn mapped_over(old: &[u8], image: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    for range in &MAPPED {
        let bytes = bytes_of(range, image.len());
        new[bytes.clone()].copy_from_slice(&image[bytes]);
    }
    new
}

pub fn sha256(bytes: &[u8]) -> String {
    let output = filter(Command::new("sha256sum"), bytes);
    String::from_utf8(output[..64].to_vec()).unwrap()
}

/// What a command makes of bytes.
pub fn filter(mut command: Command, bytes: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    })
}

/// A block map, to be changed into one that is not right.
#[derive(Clone)]
pub struct Map {
    pub version: String,
    pub size: String,
    pub block: String,
    pub blocks: String,
    pub mapped: String,
    pub kind: String,
    /// Text and checksum.
    pub ranges: Vec<(String, Option<String>)>,
}

impl Map {
    pub fn of(image: &[u8]) -> Map {
        let range = |range: &RangeInclusive<usize>| {
            let (first, last) = (range.start(), range.end());
            let text = if first == last { first.to_string() } else { format!("{first}-{last}") };
            (text, Some(sha256(&image[bytes_of(range, image.len())])))
        };
        Map {
            version: "2.0".into(),
            size: image.len().to_string(),
            block: BLOCK.to_string(),
            blocks: image.len().div_ceil(BLOCK).to_string(),
            mapped: MAPPED.iter().map(|range| range.clone().count()).sum::<usize>().to_string(),
            kind: "sha256".into(),
            ranges: MAPPED.iter().map(range).collect(),
        }
    }

    /// With the comments and spaces that bmaptool writes, and the checksum of itself.
    pub fn text(&self) -> String {
        let zeros = "0".repeat(64);
        let mut text = format!(
            "<?xml version=\"1.0\" ?>\n<!-- A block map: <Range> elements tell what is mapped. -->\n\n\
             <bmap version=\"{}\">\n    <!-- Size -->\n    <ImageSize> {} </ImageSize>\n    <BlockSize> {} </BlockSize>\n\
             \x20   <BlocksCount> {} </BlocksCount>\n    <!-- Mapped: <MappedBlocksCount> 1 -->\n\
             \x20   <MappedBlocksCount> {}     </MappedBlocksCount>\n    <ChecksumType> {} </ChecksumType>\n\
             \x20   <BmapFileChecksum> {zeros} </BmapFileChecksum>\n    <BlockMap>\n",
            self.version, self.size, self.block, self.blocks, self.mapped, self.kind
        );
        for (range, sum) in &self.ranges {
            let sum = sum.as_ref().map(|sum| format!(" chksum=\"{sum}\"")).unwrap_or_default();
            writeln!(text, "        <Range{sum}> {range} </Range>").unwrap();
        }
        text.push_str("    </BlockMap>\n</bmap>\n");
        let sum = sha256(text.as_bytes());
        text.replace(&zeros, &sum)
    }
}

impl Machine {
    /// The image as disk.img in `here`; returns it.
    pub fn image(&self) -> Vec<u8> {
        let image = image();
        self.file("disk.img", &image);
        image
    }

    /// The same, and its block map.
    pub fn mapped_image(&self) -> Vec<u8> {
        let image = self.image();
        self.file("disk.img.bmap", Map::of(&image).text());
        image
    }
}
