//! The id and the name of a partition, from the table of its disk: GPT or MBR, as the kernel numbers and names them
//! (`PARTUUID=`, `PARTLABEL=`).

use super::{Read, Text, crc32, little, push_hex, utf16, uuid};

/// What the table says about a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Partition {
    /// Its id, in small letters. Of an MBR: the disk's signature and the partition's number, `1234abcd-02`.
    pub uuid: Text,
    /// Its name; an MBR has none.
    pub name: Text,
}

/// What is common to all partitions of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Table {
    /// Signature.
    Mbr(u32),
    /// Where the entries begin, in bytes; how many there are, how large each is.
    Gpt { entries: u64, count: u64, size: u64 },
}

/// Looks up partition `number` (from 1) of a disk that has so many `bytes`, in blocks of `block` bytes. `None`: there is no
/// table, or no such partition in it.
pub fn partition(read: &mut Read<'_>, bytes: u64, block: u64, number: u32) -> Option<Partition> {
    match table(read, bytes, block)? {
        Table::Mbr(signature) => {
            let mut partition = Partition::default();
            for byte in signature.to_be_bytes() {
                push_hex(&mut partition.uuid, byte, false);
            }
            let _ = partition.uuid.push(b'-');
            push_hex(&mut partition.uuid, u8::try_from(number).ok()?, false);
            Some(partition)
        }
        Table::Gpt { entries, count, size } => {
            let index = u64::from(number).checked_sub(1).filter(|index| *index < count)?;
            let mut entry = [0; 128];
            if !read(entries.checked_add(index.checked_mul(size)?)?, &mut entry) || entry[..16] == [0; 16] {
                return None;
            }
            let id = entry.get(16..32)?;
            // The first three fields of an id are little-endian numbers.
            let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
            let uuid = uuid(order.into_iter().filter_map(|at: usize| id.get(at).copied()));
            Some(Partition { uuid, name: utf16(entry.get(56..)?) })
        }
    }
}

fn table(read: &mut Read<'_>, bytes: u64, block: u64) -> Option<Table> {
    let mut mbr = [0; 512];
    if !read(0, &mut mbr) || mbr[510..] != [0x55, 0xaa] {
        return None;
    }
    let is_protective = (0..4).any(|entry| mbr.get(446 + 16 * entry + 4) == Some(&0xee));
    if !is_protective {
        return Some(Table::Mbr(little(&mbr, 440, 4) as u32));
    }
    let last = (bytes / block.max(1)).checked_sub(1)?;
    gpt(read, block, 1).or_else(|| gpt(read, block, last))
}

/// The header of a GPT in a block: the first one is in block 1, its copy in the last one.
fn gpt(read: &mut Read<'_>, block: u64, at: u64) -> Option<Table> {
    let mut header = [0; 512];
    if !read(at.checked_mul(block)?, &mut header) || !header.starts_with(b"EFI PART") {
        return None;
    }
    let size = little(&header, 12, 4) as usize;
    let (before, after) = (header.get(..16)?, header.get(20..size)?);
    let is_whole = little(&header, 16, 4) == u64::from(crc32(&[before, &[0; 4], after]));
    if !is_whole || size < 92 || little(&header, 24, 8) != at {
        return None;
    }
    let (count, size) = (little(&header, 80, 4), little(&header, 84, 4));
    let entries = little(&header, 72, 8).checked_mul(block)?;
    (size >= 128).then_some(Table::Gpt { entries, count, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 512;

    /// Writes a header and its one entry, number 2, named `name`.
    fn write_gpt(disk: &mut [u8], block: usize, at: usize, entries: usize, name: &str) {
        let entry = entries * block + 128;
        disk[entry] = 1; // some type
        disk[entry + 16..entry + 32].copy_from_slice(&core::array::from_fn::<u8, 16, _>(|i| i as u8 * 0x11));
        for (i, unit) in name.encode_utf16().enumerate() {
            disk[entry + 56 + 2 * i..entry + 58 + 2 * i].copy_from_slice(&unit.to_le_bytes());
        }
        let header = &mut disk[at * block..][..92];
        header[..8].copy_from_slice(b"EFI PART");
        header[12] = 92;
        header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
        header[72..80].copy_from_slice(&(entries as u64).to_le_bytes());
        header[80] = 128;
        header[84] = 128;
        header[16..20].fill(0);
        let crc = crc32(&[header]);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
    }

    fn gpt_disk(block: usize) -> Vec<u8> {
        let mut disk = vec![0; 80 * block];
        disk[446 + 4] = 0xee;
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        write_gpt(&mut disk, block, 1, 2, "root a");
        write_gpt(&mut disk, block, 79, 46, "copy");
        disk
    }

    fn look(disk: &[u8], block: usize, number: u32) -> Option<(String, String)> {
        let mut read = |offset: u64, room: &mut [u8]| {
            let from = disk.get(offset as usize..).and_then(|from| from.get(..room.len()));
            from.map(|from| room.copy_from_slice(from)).is_some()
        };
        let partition = partition(&mut read, disk.len() as u64, block as u64, number)?;
        let text = |text: &Text| String::from_utf8(text.to_vec()).unwrap();
        Some((text(&partition.uuid), text(&partition.name)))
    }

    fn found(uuid: &str, name: &str) -> Option<(String, String)> {
        Some((uuid.to_owned(), name.to_owned()))
    }

    const ID: &str = "33221100-5544-7766-8899-aabbccddeeff";

    #[test]
    fn a_partition_of_a_gpt_has_an_id_and_a_name_whatever_the_size_of_blocks() {
        for block in [512, 4096] {
            let disk = gpt_disk(block);
            assert_eq!(look(&disk, block, 2), found(ID, "root a"));
            assert_eq!(look(&disk, block, 1), None);
            assert_eq!(look(&disk, block, 0), None);
            assert_eq!(look(&disk, block, 129), None);
        }
    }

    #[test]
    fn the_copy_of_a_gpt_counts_where_the_first_is_damaged() {
        let mut disk = gpt_disk(BLOCK);
        disk[BLOCK + 60] ^= 1;
        assert_eq!(look(&disk, BLOCK, 2), found(ID, "copy"));
        disk[79 * BLOCK + 60] ^= 1;
        assert_eq!(look(&disk, BLOCK, 2), None);
    }

    #[test]
    fn a_partition_of_an_mbr_is_called_by_the_signature_and_its_number() {
        let mut disk = vec![0; 1024];
        disk[440..444].copy_from_slice(&0x12ab_34cd_u32.to_le_bytes());
        disk[446 + 4] = 0x83;
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(look(&disk, BLOCK, 2), found("12ab34cd-02", ""));
        assert_eq!(look(&disk, BLOCK, 11), found("12ab34cd-0b", ""));
        assert_eq!(look(&disk, BLOCK, 256), None);
        disk[511] = 0;
        assert_eq!(look(&disk, BLOCK, 1), None);
        assert_eq!(look(&[], BLOCK, 1), None);
    }
}
