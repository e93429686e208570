//! A machine for scripts/flash to look at: the part of /sys and /proc that it reads, and plain files as devices.

use crate::tmp::TempDir;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a card reader on USB is.
pub const USB: &str = "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0";
/// Where a slot for SD cards is.
pub const SLOT: &str = "platform/soc/1c0f000.mmc/mmc_host/mmc0/mmc0:aaaa";
/// Where a disk of the machine's own is.
pub const ATA: &str = "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0";
const NVME: &str = "pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0";

/// It.
pub struct Machine {
    dir: TempDir,
}

/// How it ended.
pub struct Outcome {
    pub code: i32,
    pub said: String,
    pub out: String,
}

impl Machine {
    /// With `sda`, whose only partition has everything; and a card reader, `sdb`, with a card of 2 MB.
    pub fn new() -> Machine {
        let machine = Machine { dir: TempDir::new() };
        for folder in
            ["sys/block", "sys/class/block", "sys/dev/block", "sys/devices", "proc/self", "dev/mapper", "here"]
        {
            fs::create_dir_all(machine.dir.path().join(folder)).unwrap();
        }
        machine.append("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
        machine.append("proc/self/mountinfo", "22 1 0:21 / /proc rw,relatime - proc proc rw\n");
        machine.disk("sda", ATA, 8 << 20);
        machine.partition("sda", "sda1", 7 << 20);
        machine.disk("sdb", USB, CARD);
        machine.attribute("sdb", "removable", "1");
        machine.mount("sda1", "/");
        machine
    }

    /// As new, but what is mounted and used as swap is still to be told.
    pub fn bare() -> Machine {
        let machine = Machine::new();
        fs::write(machine.path("proc/self/mountinfo"), "").unwrap();
        machine
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Where it runs, and where its files are.
    pub fn here(&self) -> PathBuf {
        self.path("here")
    }

    fn append(&self, file: &str, text: &str) {
        use std::io::Write;
        let mut file = fs::File::options().append(true).create(true).open(self.path(file)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn numbers(name: &str) -> String {
        let number = name.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 100_000;
        format!("8:{number}")
    }

    /// A new block device, below `parent` of /sys/devices.
    fn block(&self, name: &str, parent: &str, bytes: u64) {
        let place = self.path("sys/devices").join(parent).join(name);
        fs::create_dir_all(place.join("holders")).unwrap();
        fs::create_dir_all(place.join("slaves")).unwrap();
        for (file, value) in [("dev", Machine::numbers(name)), ("size", (bytes / 512).to_string()), ("ro", "0".into())]
        {
            fs::write(place.join(file), value + "\n").unwrap();
        }
        symlink(&place, self.path("sys/class/block").join(name)).unwrap();
        symlink(&place, self.path("sys/dev/block").join(Machine::numbers(name))).unwrap();
        fs::File::create(self.device(name)).unwrap().set_len(bytes).unwrap();
    }

    /// A whole disk, at a place of /sys/devices, that cannot be removed.
    pub fn disk(&self, name: &str, place: &str, bytes: u64) {
        self.block(name, &format!("{place}/block"), bytes);
        let place = self.path("sys/devices").join(place);
        symlink(place, self.path("sys/class/block").join(name).join("device")).unwrap();
        self.attribute(name, "removable", "0");
        symlink(self.path("sys/class/block").join(name), self.path("sys/block").join(name)).unwrap();
    }

    pub fn nvme(&self, name: &str, bytes: u64) {
        self.disk(name, NVME, bytes);
    }

    pub fn partition(&self, disk: &str, name: &str, bytes: u64) {
        let place = fs::canonicalize(self.path("sys/class/block").join(disk)).unwrap();
        let parent = place.strip_prefix(fs::canonicalize(self.path("sys/devices")).unwrap()).unwrap();
        self.block(name, parent.to_str().unwrap(), bytes);
        self.attribute(name, "partition", "1");
    }

    /// A device made of others: `dm-0`, `md0`; or a loop, of nothing yet.
    pub fn stack(&self, name: &str, members: &[&str]) {
        self.block(name, "virtual/block", 1 << 20);
        let class = self.path("sys/class/block");
        symlink(class.join(name), self.path("sys/block").join(name)).unwrap();
        for member in members {
            symlink(class.join(member), class.join(name).join("slaves").join(member)).unwrap();
            symlink(class.join(name), class.join(member).join("holders").join(name)).unwrap();
        }
    }

    /// A loop that shows `file`.
    pub fn put_on_loop(&self, name: &str, file: &str) {
        self.stack(name, &[]);
        self.attribute(name, "loop/backing_file", file);
    }

    /// A file of /sys for this device.
    pub fn attribute(&self, name: &str, file: &str, value: &str) {
        let path = self.path("sys/class/block").join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }

    /// What a file of /proc/self/mountinfo says of a device that is mounted.
    pub fn mount(&self, name: &str, point: &str) {
        let point = point.replace(' ', "\\040");
        self.mount_line(&Machine::numbers(name), &point, "ext4", &format!("/dev/{name}"), "rw");
    }

    pub fn mount_line(&self, numbers: &str, point: &str, kind: &str, source: &str, options: &str) {
        let line = format!("30 1 {numbers} / {point} rw,relatime shared:1 - {kind} {source} {options}\n");
        self.append("proc/self/mountinfo", &line);
    }

    pub fn swap(&self, path: &str) {
        self.append("proc/swaps", &format!("{path}                                partition\t524284\t\t0\t\t-2\n"));
    }

    /// The plain file that is in the place of a device.
    pub fn device(&self, name: &str) -> PathBuf {
        self.path("dev").join(name)
    }

    /// What is on a device.
    pub fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.device(name)).unwrap()
    }

    /// Fills a device with bytes that no image of these tests has.
    pub fn fill(&self, name: &str) -> Vec<u8> {
        let length = fs::metadata(self.device(name)).unwrap().len();
        let old = vec![OLD; usize::try_from(length).unwrap()];
        fs::write(self.device(name), &old).unwrap();
        old
    }

    /// A file in `here`.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.here().join(name), content).unwrap();
    }

    /// The script, with nothing to read and in a process group of its own.
    pub fn command(&self, words: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/flash");
        let mut command = Command::new(script);
        command.args(words).current_dir(self.here()).stdin(Stdio::null()).process_group(0);
        command.env("LINCHPIN_FLASH_SYSTEM", self.dir.path()).env("HOME", self.here());
        command
    }

    pub fn flash(&self, words: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(words))
    }

    /// A program that the script finds before the system's own.
    pub fn program(&self, name: &str, script: &str) -> std::ffi::OsString {
        use std::os::unix::fs::PermissionsExt;
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        let mut path = bin.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        path
    }
}

/// How much the card in `sdb` holds.
pub const CARD: u64 = 2 << 20;
/// Of what the old content of devices consists.
pub const OLD: u8 = 0xee;

impl Outcome {
    pub fn of(command: &mut Command) -> Outcome {
        let output = command.output().unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            said: String::from_utf8(output.stderr).unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
        }
    }

    /// Checks code and words of what it has said.
    #[track_caller]
    pub fn is(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "no '{word}' in:\n{}", self.said);
        }
    }
}
