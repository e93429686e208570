//! The id and the name of a file system, from its superblock (`UUID=`, `LABEL=`). A squashfs has neither.

use super::{Read, Text, little, push_hex, utf16, uuid};

/// What a superblock says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileSystem {
    /// Its id, as blkid writes it; empty: it has none.
    pub uuid: Text,
    /// Its name; empty: it has none.
    pub label: Text,
}

/// How to know a kind of file system: at which byte its superblock is, what is there and where, where its id and its name
/// are (counted from the superblock's beginning; a name of so many bytes).
struct Kind {
    at: u64,
    magic: (usize, &'static [u8]),
    uuid: usize,
    label: (usize, usize),
    wide: bool,
}

const KINDS: [Kind; 5] = [
    // ext2, ext3, ext4
    Kind { at: 1024, magic: (0x38, &[0x53, 0xef]), uuid: 0x68, label: (0x78, 16), wide: false },
    // xfs
    Kind { at: 0, magic: (0, b"XFSB"), uuid: 32, label: (108, 12), wide: false },
    // erofs
    Kind { at: 1024, magic: (0, &[0xe2, 0xe1, 0xf5, 0xe0]), uuid: 48, label: (64, 16), wide: false },
    // f2fs
    Kind { at: 1024, magic: (0, &[0x10, 0x20, 0xf5, 0xf2]), uuid: 108, label: (124, 256), wide: true },
    // btrfs
    Kind { at: 65536, magic: (64, b"_BHRfS_M"), uuid: 32, label: (0x12b, 128), wide: false },
];

/// Looks for a file system. `None`: none that is known.
pub fn filesystem(read: &mut Read<'_>) -> Option<FileSystem> {
    let mut block = [0; 512];
    for kind in &KINDS {
        let (magic, bytes) = kind.magic;
        if !read(kind.at, &mut block) || block.get(magic..magic + bytes.len()) != Some(bytes) {
            continue;
        }
        let (label, size) = kind.label;
        let label = block.get(label..label + size).unwrap_or_default();
        let label = if kind.wide { utf16(label) } else { name(label, 0) };
        let id = block.get(kind.uuid..kind.uuid + 16).unwrap_or_default();
        return Some(FileSystem { uuid: uuid(id.iter().copied()), label });
    }
    if read(0, &mut block) { fat(&block) } else { None }
}

/// FAT's boot sector.
fn fat(sector: &[u8; 512]) -> Option<FileSystem> {
    let is = |at: usize, kind: &[u8]| sector.get(at..at + kind.len()) == Some(kind);
    let serial = match () {
        () if !is(510, &[0x55, 0xaa]) => return None,
        () if is(82, b"FAT32   ") => 67,
        () if is(54, b"FAT16   ") || is(54, b"FAT12   ") => 39,
        () => return None,
    };
    let mut id = Text::new();
    for (at, byte) in (little(sector, serial, 4) as u32).to_be_bytes().into_iter().enumerate() {
        if at == 2 {
            let _ = id.push(b'-');
        }
        push_hex(&mut id, byte, true);
    }
    let label = name(sector.get(serial + 4..serial + 15).unwrap_or_default(), b' ');
    Some(FileSystem { uuid: id, label: if label == b"NO NAME" { Text::new() } else { label } })
}

/// A name up to its first zero, without the padding at its end.
fn name(bytes: &[u8], padding: u8) -> Text {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let bytes = bytes.get(..end).unwrap_or_default();
    let end = bytes.iter().rposition(|byte| *byte != padding).map_or(0, |last| last + 1);
    Text::from_slice(bytes.get(..end).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(disk: &[u8]) -> Option<(String, String)> {
        let mut read = |offset: u64, room: &mut [u8]| {
            let from = disk.get(offset as usize..).and_then(|from| from.get(..room.len()));
            from.map(|from| room.copy_from_slice(from)).is_some()
        };
        let found = filesystem(&mut read)?;
        let text = |text: &Text| String::from_utf8(text.to_vec()).unwrap();
        Some((text(&found.uuid), text(&found.label)))
    }

    fn found(uuid: &str, label: &str) -> Option<(String, String)> {
        Some((uuid.to_owned(), label.to_owned()))
    }

    const ID: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x11\x22\x33\x44\x55\x66\x77";
    const SHOWN: &str = "01234567-89ab-cdef-0011-223344556677";

    #[test]
    fn file_systems_are_known_by_their_superblocks() {
        for kind in &KINDS {
            let mut disk = vec![0; 65536 + 512];
            let block = &mut disk[kind.at as usize..];
            block[kind.magic.0..][..kind.magic.1.len()].copy_from_slice(kind.magic.1);
            block[kind.uuid..][..16].copy_from_slice(&ID);
            let label = if kind.wide { &b"d\0a\0t\0a\0"[..] } else { b"data" };
            block[kind.label.0..][..label.len()].copy_from_slice(label);
            assert_eq!(look(&disk), found(SHOWN, "data"), "{:x?}", kind.magic);
        }
    }

    #[test]
    fn a_name_may_fill_its_field() {
        let mut disk = vec![0; 2048];
        disk[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xef]);
        disk[1024 + 0x78..][..17].copy_from_slice(b"sixteen letters!x");
        assert_eq!(look(&disk).unwrap().1, "sixteen letters!");
    }

    #[test]
    fn fat_has_a_short_id_in_capitals_and_a_padded_name() {
        for (kind, at, serial) in [(b"FAT32   ", 82, 67), (b"FAT16   ", 54, 39), (b"FAT12   ", 54, 39)] {
            let mut disk = vec![0; 512];
            disk[510..].copy_from_slice(&[0x55, 0xaa]);
            disk[at..][..8].copy_from_slice(kind);
            disk[serial..][..4].copy_from_slice(&0xab12_cd34_u32.to_le_bytes());
            disk[serial + 4..][..11].copy_from_slice(b"MY BOOT    ");
            assert_eq!(look(&disk), found("AB12-CD34", "MY BOOT"));
            disk[serial + 4..][..11].copy_from_slice(b"NO NAME    ");
            assert_eq!(look(&disk), found("AB12-CD34", ""));
        }
    }

    #[test]
    fn what_is_nothing_known_is_no_file_system() {
        assert_eq!(look(&[]), None);
        assert_eq!(look(&[0; 4096]), None);
        assert_eq!(look(&[b"hsqs", &[0; 4096][..]].concat()), None);
    }
}
