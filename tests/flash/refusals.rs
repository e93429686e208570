//! Devices that are not written to.

use crate::image::BYTES;
use crate::machine::{ATA, Machine, SLOT};
use std::os::unix::fs::symlink;

/// Is refused with these words, without them being forced too, and is as it was.
#[track_caller]
fn never(machine: &Machine, name: &str, words: &[&str]) {
    let old = machine.fill(name);
    machine.image();
    let device = format!("/dev/{name}");
    for force in [&[][..], &[&*format!("--force={name}")]] {
        let outcome = machine.flash(&[force, &["--yes", "disk.img", &device]].concat());
        outcome.is(3, words);
        assert!(outcome.said.ends_with("nothing was written\n"), "{}", outcome.said);
        assert!(machine.content(name) == old, "{name} was written to");
    }
}

/// Is refused unless it is named again.
#[track_caller]
fn only_by_force(machine: &Machine, name: &str, words: &[&str]) {
    let old = machine.fill(name);
    let image = machine.image();
    let device = format!("/dev/{name}");
    machine.flash(&["--yes", "disk.img", &device]).is(3, words);
    machine.flash(&["--yes", "--force=sd", "disk.img", &device]).is(3, &["--force=sd is not the name"]);
    assert!(machine.content(name) == old, "{name} was written to");
    machine.flash(&["--yes", &format!("--force={name}"), "disk.img", &device]).is(0, &[]);
    assert!(machine.content(name)[..BYTES] == image);
}

#[test]
fn a_mounted_device_is_never_written_to() {
    let machine = Machine::new();
    machine.mount("sdb", "/media/my card");
    never(&machine, "sdb", &["sdb is mounted on /media/my card", "never done by force"]);
}

#[test]
fn nor_one_with_a_mounted_partition() {
    let machine = Machine::new();
    machine.partition("sdb", "sdb1", 1 << 20);
    machine.mount("sdb1", "/mnt");
    never(&machine, "sdb", &["sdb1 is mounted on /mnt"]);
    never(&machine, "sdb1", &["sdb1 is mounted on /mnt"]);
}

#[test]
fn a_file_system_with_numbers_of_its_own_is_found_by_its_source() {
    let machine = Machine::new();
    machine.partition("sdb", "sdb1", 1 << 20);
    machine.mount_line("0:44", "/mnt", "btrfs", "/dev/sdb1", "rw");
    never(&machine, "sdb", &["sdb1 is mounted on /mnt"]);
}

#[test]
fn all_members_of_a_btrfs_are_in_use() {
    let machine = Machine::new();
    std::fs::create_dir_all(machine.path("sys/fs/btrfs/u-u-i-d/devices")).unwrap();
    symlink("/", machine.path("sys/fs/btrfs/u-u-i-d/devices/sdb")).unwrap();
    never(&machine, "sdb", &["sdb is a part of a btrfs that is mounted"]);
}

#[test]
fn a_swap_is_in_use() {
    let machine = Machine::bare();
    machine.disk("sdc", ATA, 2 << 20);
    machine.partition("sdc", "sdc5", 1 << 20);
    machine.swap("/dev/sdc5");
    never(&machine, "sdc", &["this machine's own system is on sdc"]);
}

#[test]
fn what_a_stack_is_made_of_is_in_use() {
    let machine = Machine::new();
    machine.partition("sdb", "sdb2", 1 << 20);
    machine.stack("md0", &["sdb2"]);
    never(&machine, "sdb", &["sdb2 is a part of md0\n"]);

    let machine = Machine::new();
    machine.partition("sdb", "sdb2", 1 << 20);
    machine.stack("dm-0", &["sdb2"]);
    machine.attribute("dm-0", "dm/name", "backup");
    machine.stack("dm-1", &["dm-0"]);
    machine.mount("dm-1", "/srv");
    never(
        &machine,
        "sdb",
        &["sdb2 is a part of dm-0 (backup), and dm-0 is a part of dm-1, and dm-1 is mounted on /srv"],
    );
}

#[test]
fn what_a_loop_shows_is_in_use() {
    let machine = Machine::new();
    machine.partition("sdb", "sdb1", 1 << 20);
    machine.put_on_loop("loop7", "/dev/sdb1");
    never(&machine, "sdb", &["sdb1 is what loop7 is made of"]);
}

#[test]
fn a_file_behind_a_loop_is_refused() {
    let machine = Machine::new();
    machine.image();
    machine.file("card", vec![0; 2 << 20]);
    machine.put_on_loop("loop3", machine.here().join("card").to_str().unwrap());
    machine.flash(&["--yes", "disk.img", "card"]).is(3, &["it is the file of /dev/loop3", "nothing was written"]);
    assert!(std::fs::read(machine.here().join("card")).unwrap() == vec![0; 2 << 20]);
}

#[test]
fn a_swap_file_is_refused() {
    let machine = Machine::new();
    machine.image();
    machine.file("card", vec![0; 2 << 20]);
    machine.swap(machine.here().canonicalize().unwrap().join("card").to_str().unwrap());
    machine.flash(&["--yes", "disk.img", "card"]).is(3, &["in use as swap"]);
}

#[test]
fn the_disk_of_the_system_is_never_written_to() {
    // It can be removed, too: the system was booted from it.
    let words = &["this machine's own system is on sdb", "not even with --force"];
    for point in ["/", "/boot", "/boot/efi", "/usr", "/home"] {
        let machine = Machine::bare();
        machine.partition("sdb", "sdb1", 1 << 20);
        machine.mount("sdb1", point);
        never(&machine, "sdb", words);
    }
}

#[test]
fn nor_a_free_partition_of_that_disk() {
    let machine = Machine::new();
    machine.partition("sda", "sda2", 2 << 20);
    never(&machine, "sda2", &["this machine's own system is on sda"]);
}

#[test]
fn a_system_on_lvm_on_dm_crypt_is_found() {
    let machine = Machine::bare();
    machine.partition("sdb", "sdb3", 1 << 20);
    machine.stack("dm-0", &["sdb3"]);
    machine.stack("dm-1", &["dm-0"]);
    symlink(machine.device("dm-1"), machine.device("mapper/vg-root")).unwrap();
    machine.mount_line("0:99", "/", "btrfs", "/dev/mapper/vg-root", "rw");
    never(&machine, "sdb", &["this machine's own system is on sdb"]);
    never(&machine, "dm-1", &["this machine's own system is on dm-1"]);
}

#[test]
fn a_system_on_an_overlay_on_a_loop_on_the_card_is_found() {
    let machine = Machine::bare();
    machine.partition("sdb", "sdb1", 1 << 20);
    // Not in use, as far as one can see: the mount point is that of another device.
    machine.mount_line("0:50", "/run/live", "tmpfs", "tmpfs", "rw");
    machine.mount_line("0:51", "/run/live/medium", "btrfs", "/dev/sdb1", "ro");
    machine.put_on_loop("loop0", "/run/live/medium/live/root.squashfs");
    machine.mount("loop0", "/run/live/root");
    let options = "rw,lowerdir=/run/live/root,upperdir=/run/live/rw,workdir=/run/live/work";
    machine.mount_line("0:52", "/", "overlay", "overlay", options);
    never(&machine, "sdb", &["this machine's own system is on sdb"]);
}

#[test]
fn a_swap_file_makes_its_disk_the_systems() {
    let machine = Machine::bare();
    machine.disk("sdc", ATA, 2 << 20);
    machine.mount("sdc", "/data");
    machine.swap("/data/swapfile");
    never(&machine, "sdc", &["this machine's own system is on sdc"]);
}

#[test]
fn a_card_whose_switch_is_at_lock_is_refused() {
    let machine = Machine::new();
    machine.attribute("sdb", "ro", "1");
    never(&machine, "sdb", &["/dev/sdb is read-only", "switch"]);
}

#[test]
fn a_reader_without_a_card_is_refused() {
    let machine = Machine::new();
    machine.attribute("sdb", "size", "0");
    never(&machine, "sdb", &["/dev/sdb has no size: is there a card in it?"]);
}

#[test]
fn a_short_device_is_refused() {
    let machine = Machine::new();
    machine.attribute("sdb", "size", &((BYTES / 512) - 1).to_string());
    let words = format!("/dev/sdb is too small: it has {} bytes, and the image needs {BYTES}", BYTES - 512);
    never(&machine, "sdb", &[&words]);
    machine.attribute("sdb", "size", &(BYTES / 512).to_string());
    machine.flash(&["--yes", "disk.img", "/dev/sdb"]).is(0, &[]);
}

#[test]
fn a_short_file_is_refused_by_what_the_block_map_tells() {
    let machine = Machine::new();
    machine.mapped_image();
    let old = vec![7; BYTES - 1];
    machine.file("card", &old);
    let outcome = machine.flash(&["--yes", "disk.img", "card"]);
    outcome.is(3, &[&format!("card is too small: it has {} bytes, and the image needs {BYTES}", BYTES - 1)]);
    assert!(!outcome.said.contains("checked"), "it could have told at once:\n{}", outcome.said);
    assert!(std::fs::read(machine.here().join("card")).unwrap() == old);
}

#[test]
fn a_partition_must_be_forced() {
    let machine = Machine::new();
    machine.partition("sdb", "sdb1", 3 << 19);
    only_by_force(&machine, "sdb1", &["/dev/sdb1 is a partition", "for the whole device, /dev/sdb", "--force=sdb1"]);
}

#[test]
fn a_disk_that_cannot_be_removed_must_be_forced() {
    let machine = Machine::new();
    machine.nvme("nvme0n1", 2 << 20);
    machine.attribute("nvme0n1", "device/model", "Fast SSD   ");
    only_by_force(&machine, "nvme0n1", &["/dev/nvme0n1 cannot be removed (NVMe, Fast SSD)", "--force=nvme0n1"]);
}

#[test]
fn cards_in_slots_and_disks_on_usb_need_no_force() {
    let machine = Machine::new();
    let image = machine.image();
    machine.disk("mmcblk0", SLOT, 2 << 20);
    machine.attribute("mmcblk0", "device/type", "SD");
    machine.attribute("sdb", "removable", "0"); // as disks in cases say
    for name in ["mmcblk0", "sdb"] {
        machine.flash(&["--yes", "disk.img", &format!("/dev/{name}")]).is(0, &["it can be taken out now"]);
        assert!(machine.content(name)[..BYTES] == image);
    }
}

#[test]
fn what_is_no_device_at_all_is_refused() {
    let machine = Machine::new();
    machine.image();
    machine.flash(&["disk.img", "/dev/sdx"]).is(1, &["there is no /dev/sdx (see --list)"]);
    machine.flash(&["disk.img", "sdb"]).is(1, &["there is no file sdb here. Do you mean /dev/sdb?"]);
    machine.flash(&["disk.img", "card"]).is(1, &["there is no card (--create makes a file)"]);
    machine.flash(&["disk.img", "disk.img"]).is(1, &["disk.img is the image itself"]);
    machine.flash(&["disk.img", "."]).is(3, &["neither a block device nor a file"]);
    machine.flash(&["--create", "disk.img", "/dev/sdx"]).is(1, &["there is no /dev/sdx"]);
    machine.flash(&["nothing.img", "/dev/sdb"]).is(1, &["there is no file nothing.img"]);
    machine.flash(&["disk.img"]).is(1, &["to which DEVICE?"]);
    machine.flash(&["--force", "disk.img", "/dev/sdb"]).is(1, &["--force wants the name"]);
    // A device of characters, of the machine that runs the tests.
    let mut command = machine.command(&["disk.img", "/dev/full"]);
    command.env_remove("LINCHPIN_FLASH_SYSTEM");
    crate::machine::Outcome::of(&mut command).is(3, &["/dev/full is neither a block device nor a file"]);
}

#[test]
fn a_link_is_followed_to_its_device() {
    let machine = Machine::new();
    machine.image();
    std::fs::create_dir_all(machine.path("dev/disk/by-id")).unwrap();
    symlink("../../sdb", machine.path("dev/disk/by-id/usb-reader")).unwrap();
    machine.mount("sdb", "/mnt");
    machine.flash(&["--yes", "disk.img", "/dev/disk/by-id/usb-reader"]).is(3, &["sdb is mounted on /mnt"]);
}

#[test]
fn the_list_has_what_can_be_removed_and_what_speaks_against_it() {
    let machine = Machine::new();
    machine.attribute("sdb", "device/vendor", "Generic ");
    machine.attribute("sdb", "device/model", "Card Reader");
    machine.disk("mmcblk0", SLOT, 1 << 21);
    machine.attribute("mmcblk0", "device/type", "SD");
    machine.attribute("mmcblk0", "device/name", "SL16G");
    machine.partition("mmcblk0", "mmcblk0p1", 1 << 20);
    machine.mount("mmcblk0p1", "/media/card");
    let outcome = machine.flash(&["--list"]);
    outcome.is(0, &[]);
    let lines: Vec<String> =
        outcome.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "device MB bus model state",
            "/dev/mmcblk0 2.1 SD card SL16G mmcblk0p1 is mounted on /media/card",
            "/dev/sdb 2.1 USB Generic Card Reader ready",
        ]
    );
}

#[test]
fn an_empty_list_says_what_to_do() {
    let machine = Machine::new();
    std::fs::remove_file(machine.path("sys/block/sdb")).unwrap();
    let outcome = machine.flash(&["--list"]);
    outcome.is(0, &["there is no device that can be removed. Plug one in"]);
    assert_eq!(outcome.out, "");
}
