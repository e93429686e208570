//! What is in an image: the partition table, and each partition.

use crate::disk::{Disk, binary, boards, bytes, project, said, sh, value};
use crate::tmp::TempDir;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Below `root`, without it; links are not followed.
fn below(root: &Path) -> BTreeSet<String> {
    said(Command::new("find").arg(".").args(["-mindepth", "1"]).current_dir(root))
        .lines()
        .map(|line| line[2..].into())
        .collect()
}

/// The root partition, unpacked.
fn root_of(disk: &Disk, to: &Path) {
    let offset = disk.partitions[1].start.to_string();
    bytes(Command::new("unsquashfs").args(["-q", "-n", "-o", &offset, "-d"]).arg(to).arg(&disk.image));
}

#[test]
fn the_checksums_are_those_of_the_files() {
    for board in boards() {
        let disk = Disk::of(&board);
        let folder = disk.image.parent().unwrap();
        let listed = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
        assert_eq!(listed.lines().count(), 2, "{listed}");
        for name in [format!("{board}.img"), format!("{board}.img.bmap")] {
            assert!(listed.contains(&format!("  {name}\n")), "{listed}");
        }
        bytes(Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(folder));
    }
}

#[test]
fn three_partitions_lie_one_after_the_other_on_the_disk() {
    for board in boards() {
        let disk = Disk::of(&board);
        let size = fs::metadata(&disk.image).unwrap().len();
        let [boot, root, data] = disk.partitions.as_slice() else { panic!("{board}: {:?}", disk.partitions) };
        assert!(boot.start >= 1 << 20 && boot.start + boot.size <= root.start, "{board}: {:?}", disk.partitions);
        assert!(
            root.start + root.size <= data.start && data.start + data.size <= size,
            "{board}: {:?}",
            disk.partitions
        );
        for part in [boot, root, data] {
            assert_eq!(part.start % (1 << 20), 0, "{board}: {part:?}");
        }
        if value(&board, "$SD") == "yes" {
            assert!(size.is_power_of_two(), "{board}: {size}");
        }
        for (offset, raw) in disk.raw() {
            let image = fs::read(&disk.image).unwrap();
            let end = offset + raw.len() as u64;
            assert!(offset >= 512 && end <= boot.start, "{board}: the raw files reach into the boot partition");
            assert!(image[offset as usize..end as usize] == raw, "{board}: at {offset} is another file");
        }
    }
}

#[test]
fn the_identifiers_of_disk_and_partitions_come_from_the_boards_name() {
    for board in boards() {
        let disk = Disk::of(&board);
        let uuid = |what: &str| sh(&format!("board_load {board}\nboard_uuid {what}")).trim_end().to_uppercase();
        let dump = said(Command::new("/usr/sbin/sfdisk").arg("--dump").arg(&disk.image));
        if dump.contains("label: gpt") {
            assert!(dump.contains(&format!("label-id: {}", uuid("disk"))), "{dump}");
            let types = [
                "type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
                "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4",
            ];
            for ((part, name), kind) in disk.partitions.iter().zip(["boot", "root", "data"]).zip(types) {
                assert!(part.rest.contains(&format!("uuid={}", uuid(name))), "{board}: {part:?}");
                assert!(
                    part.rest.contains(&format!("name=\"{name}\"")) && part.rest.contains(kind),
                    "{board}: {part:?}"
                );
            }
        } else {
            assert!(dump.contains(&format!("label-id: 0x{}", &uuid("disk")[..8].to_lowercase())), "{dump}");
            for (part, kind) in disk.partitions.iter().zip(["type=c", "type=83", "type=83"]) {
                assert!(part.rest.starts_with(kind), "{board}: {part:?}");
            }
        }
    }
    assert_ne!(sh("BOARD=a; board_uuid root"), sh("BOARD=b; board_uuid root"));
    assert_ne!(sh("BOARD=a; board_uuid root"), sh("BOARD=a; board_uuid data"));
}

/// A board whose disk has no fixed name says `PARTUUID=` in its board.toml: that has to be a partition of its own image.
#[test]
fn a_partition_that_a_board_toml_names_by_its_uuid_is_in_the_image() {
    let mut named = 0;
    for board in crate::disk::all_boards() {
        let toml = fs::read_to_string(project().join("board").join(&board).join("board.toml")).unwrap();
        let mbr =
            !fs::read_to_string(project().join("board").join(&board).join("genimage.cfg")).unwrap().contains("\"gpt\"");
        let uuid = |what: &str| sh(&format!("board_load {board}\nboard_uuid {what}")).trim_end().to_owned();
        for (at, name) in [("device = \"PARTUUID=", "root"), ("source = \"PARTUUID=", "data")] {
            let Some((_, rest)) = toml.split_once(at) else { continue };
            let expected = match (mbr, name) {
                (false, _) => uuid(name),
                (true, "root") => format!("{}-02", &uuid("disk")[..8]),
                (true, _) => format!("{}-03", &uuid("disk")[..8]),
            };
            assert_eq!(rest.split('"').next().unwrap(), expected, "board/{board}/board.toml, {name}");
            named += 1;
        }
    }
    assert!(named >= 2, "pc-uefi names its partitions so");
}

#[test]
fn the_boot_partition_has_the_boards_files_and_texts_and_no_others() {
    for board in boards() {
        let disk = Disk::of(&board);
        let mut expected = BTreeSet::new();
        for (target, source) in disk.boot_pairs() {
            if source != "initramfs" {
                let file = sh(&format!("board_load {board}\nboard_file {source}"));
                assert!(
                    disk.boot_file(&target) == fs::read(file.trim_end()).unwrap(),
                    "{board}: {target} is not {source}"
                );
            }
            expected.insert(target);
        }
        let texts = project().join("board").join(&board).join("boot");
        for file in below(&texts).into_iter().filter(|file| texts.join(file).is_file()) {
            let text = fs::read_to_string(texts.join(&file)).unwrap().replace("@CMDLINE@", &value(&board, "$CMDLINE"));
            assert_eq!(String::from_utf8(disk.boot_file(&file)).unwrap(), text, "{board}: {file}");
            expected.insert(file);
        }
        let found: BTreeSet<_> = disk.boot_files().into_iter().collect();
        assert_eq!(found, expected, "{board}");
    }
}

#[test]
fn the_file_systems_are_clean_and_carry_the_boards_identifiers() {
    for board in boards() {
        let disk = Disk::of(&board);
        let dir = TempDir::new();
        let (boot, data) = (dir.path().join("boot"), dir.path().join("data"));
        disk.extract(0, &boot);
        disk.extract(2, &data);
        bytes(Command::new("/usr/sbin/fsck.vfat").arg("-n").arg(&boot));
        bytes(Command::new("/usr/sbin/e2fsck").arg("-fn").arg(&data));
        let uuid = sh(&format!("board_load {board}\nboard_uuid data-fs"));
        let head = said(Command::new("/usr/sbin/dumpe2fs").arg("-h").arg(&data));
        assert!(head.contains(uuid.trim_end()) && !head.contains("needs_recovery"), "{head}");
        assert!(head.contains("has_journal") && head.contains("Filesystem volume name:   data"), "{head}");
    }
}

#[test]
fn the_initramfs_has_process_1_its_board_config_its_modules_and_nothing_else() {
    for board in boards() {
        let disk = Disk::of(&board);
        let dir = TempDir::new();
        let tree = dir.path().join("initramfs");
        disk.initramfs(&tree);
        let mut expected: BTreeSet<String> =
            ["init", "etc", "etc/linchpin", "etc/linchpin/board.toml", "lib", "lib/modules"].map(String::from).into();
        let here = crate::modules::in_initramfs(&board);
        assert!(!here.is_empty(), "{board}");
        expected.extend(here.iter().map(|name| format!("lib/modules/{name}.ko")));
        assert_eq!(below(&tree), expected, "{board}");
        assert!(fs::read(tree.join("init")).unwrap() == fs::read(binary()).unwrap(), "{board}");
        assert_eq!(fs::metadata(tree.join("init")).unwrap().permissions().mode() & 0o7777, 0o755, "{board}");
        for name in here {
            let file = fs::read(tree.join(format!("lib/modules/{name}.ko"))).unwrap();
            assert!(file.starts_with(b"\x7fELF"), "{board}: {name} is compressed, or no module");
        }
        let toml = fs::read(project().join("board").join(&board).join("board.toml")).unwrap();
        assert!(fs::read(tree.join("etc/linchpin/board.toml")).unwrap() == toml, "{board}");
    }
}

#[test]
fn the_initramfs_belongs_to_root_and_has_no_dates() {
    for board in boards() {
        let disk = Disk::of(&board);
        let dir = TempDir::new();
        let packed = dir.path().join("initramfs.gz");
        fs::write(&packed, disk.boot_file(&disk.target_of("initramfs"))).unwrap();
        let list = said(
            Command::new("sh").arg("-c").arg(format!("gzip -dc {} | TZ=UTC cpio -itnv --quiet", packed.display())),
        );
        for line in list.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(
                (words[2], words[3], &words[5..8]),
                ("0", "0", ["Jan", "1", "1970"].as_slice()),
                "{board}: {line}"
            );
        }
    }
}

#[test]
fn the_root_is_the_demos_with_the_boards_config_and_a_place_for_data() {
    for board in boards() {
        let disk = Disk::of(&board);
        let dir = TempDir::new();
        let tree = dir.path().join("root");
        root_of(&disk, &tree);
        assert_eq!(fs::read_link(tree.join("sbin/init")).unwrap(), Path::new("/sbin/linchpin"), "{board}");
        assert!(!tree.join("init").exists(), "{board}: only an initramfs has an /init");
        for folder in ["data", "dev", "proc", "sys", "run", "tmp"] {
            assert_eq!(fs::read_dir(tree.join(folder)).unwrap().count(), 0, "{board}: /{folder}");
        }
        let toml = fs::read(project().join("board").join(&board).join("board.toml")).unwrap();
        assert!(fs::read(tree.join("etc/linchpin/board.toml")).unwrap() == toml, "{board}");
        for file in below(&project().join("rootfs")) {
            let of_board = project().join("board").join(&board).join("root").join(&file);
            let ours = if of_board.exists() { of_board } else { project().join("rootfs").join(&file) };
            let theirs = tree.join(&file);
            if ours.is_file() && file != "etc/linchpin/board.toml" {
                assert!(fs::read(ours).unwrap() == fs::read(theirs).unwrap(), "{board}: {file}");
            }
        }
        assert_eq!(fs::metadata(tree.join("etc/shadow")).unwrap().permissions().mode() & 0o7777, 0o600, "{board}");
        assert_eq!(fs::metadata(tree.join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777, "{board}");
    }
}

#[test]
fn the_root_belongs_to_root_and_has_no_dates() {
    for board in boards() {
        let disk = Disk::of(&board);
        let offset = disk.partitions[1].start.to_string();
        let list = said(Command::new("unsquashfs").args(["-UTC", "-lln", "-o", &offset]).arg(&disk.image));
        let mut seen = 0;
        for line in list.lines().filter(|line| line.contains("squashfs-root")) {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!((words[1], words[3], words[4]), ("0/0", "1970-01-01", "00:00"), "{board}: {line}");
            seen += 1;
        }
        assert!(seen > 300, "{board}: {seen}");
    }
}

#[test]
fn the_modules_of_the_root_come_with_what_they_depend_on() {
    for board in boards() {
        let disk = Disk::of(&board);
        let dir = TempDir::new();
        let tree = dir.path().join("root");
        root_of(&disk, &tree);
        let wanted = value(&board, "$ROOT_MODULES");
        if wanted.is_empty() {
            assert!(!tree.join("lib/modules").exists(), "{board}");
            continue;
        }
        let version = sh(&format!("board_load {board}\nbasename \"$BOARD_KERNEL\"/lib/modules/*"));
        let folder = tree.join("lib/modules").join(version.trim_end());
        let dep = fs::read_to_string(folder.join("modules.dep")).unwrap();
        for name in wanted.split_whitespace() {
            let name = name.replace('-', "_");
            let line = dep.lines().find(|line| {
                let file = line.split(':').next().unwrap().rsplit('/').next().unwrap();
                file.split('.').next().unwrap().replace('-', "_") == name
            });
            let line = line.unwrap_or_else(|| panic!("{board}: modules.dep has no {name}: {dep}"));
            for path in line.replace(':', " ").split_whitespace() {
                assert!(folder.join(path).is_file(), "{board}: {name} needs {path}");
            }
        }
    }
}
