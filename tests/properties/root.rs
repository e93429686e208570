//! What is read on the way to the root file system (partition tables, superblocks, the kernel's command line, modules.dep),
//! whatever the bytes are: the check, for proptest (`main.rs` beside this) and for libFuzzer (`fuzz/`).

use linchpin::disk::filesystem::filesystem;
use linchpin::disk::partition::partition;
use linchpin::text::kernel_words::{Word, words};
use linchpin::text::modules::{dependencies, is_same, of_file, parameter};

/// Bytes as a disk, as a line of the kernel's, and as lines of depmod's.
pub fn root(data: &[u8]) {
    disk(data);
    disk(&with_table(data));
    command_line(data);
    data.split(|byte| *byte == b'\n').for_each(line_of_modules);
}

fn disk(data: &[u8]) {
    let mut read = |offset: u64, room: &mut [u8]| {
        let from = usize::try_from(offset).ok().and_then(|at| data.get(at..)).and_then(|from| from.get(..room.len()));
        from.map(|from| room.copy_from_slice(from)).is_some()
    };
    for block in [512, 4096] {
        for number in [0, 1, 2, 128, 255, 256, u32::MAX] {
            let Some(found) = partition(&mut read, data.len() as u64, block, number) else { continue };
            assert!(number > 0 || found.uuid.len() == 11);
            assert!(matches!(found.uuid.len(), 11 | 36), "{:?}", found.uuid);
            assert!(found.uuid.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')));
            assert!(core::str::from_utf8(&found.name).is_ok() && !found.name.contains(&0));
        }
    }
    if let Some(found) = filesystem(&mut read) {
        assert!(matches!(found.uuid.len(), 9 | 36), "{:?}", found.uuid);
        assert!(!found.label.contains(&0));
    }
}

/// A disk whose table is sound as far as it is checked: header and entries are the bytes.
fn with_table(data: &[u8]) -> Vec<u8> {
    let mut disk = vec![0; 8 * 512];
    disk[446 + 4] = 0xee;
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let len = data.len().min(disk.len() - 512);
    disk[512..512 + len].copy_from_slice(&data[..len]);
    let header = &mut disk[512..1024];
    header[..8].copy_from_slice(b"EFI PART");
    header[12..16].copy_from_slice(&92u32.to_le_bytes());
    header[24..32].copy_from_slice(&1u64.to_le_bytes());
    header[16..20].fill(0);
    let crc = header[..92].iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0xedb8_8320 } else { 0 })
    });
    header[16..20].copy_from_slice(&(!crc).to_le_bytes());
    disk
}

fn command_line(data: &[u8]) {
    let found: Vec<&[u8]> = words(data).collect();
    for word in &found {
        assert!(!word.is_empty() && *word != b"--");
        let Word { name, value } = Word::of(word);
        assert!(name.len() + value.map_or(0, <[u8]>::len) <= word.len());
        if let Some(rest) = parameter(word, name) {
            assert!(word.ends_with(rest));
        }
    }
    // Read again, they are the same.
    assert_eq!(words(&found.join(&b' ')).collect::<Vec<_>>(), found);
}

fn line_of_modules(line: &[u8]) {
    let path = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let Some((name, _)) = of_file(path) else { return };
    assert!(!name.is_empty() && !name.contains(&b'/'));
    let Some((found, needed)) = dependencies(line, name) else {
        assert!(!line.contains(&b':'));
        return;
    };
    assert_eq!(found, path);
    assert!(is_same(name, name));
    let needed: Vec<&[u8]> = needed.collect();
    assert!(needed.iter().all(|path| !path.is_empty() && !path.iter().any(u8::is_ascii_whitespace)));
    let other = [name, b"x"].concat();
    assert!(dependencies(line, &other).is_none());
}
