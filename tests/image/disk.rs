//! The image of a board, made once for all tests of a run, and looks into it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// The boards whose images are made in every run.
pub fn boards() -> Vec<String> {
    let there =
        sh("echo $CI_BOARDS").split_whitespace().map(String::from).filter(|name| is_board(name)).collect::<Vec<_>>();
    assert!(there.contains(&String::from("qemu-x86_64")), "{there:?}");
    there
}

/// Every board that is described.
pub fn all_boards() -> Vec<String> {
    sh("board_all").lines().map(String::from).collect()
}

fn is_board(name: &str) -> bool {
    project().join("board").join(name).join("board.conf").exists()
}

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a piece of shell prints that has the scripts' functions.
pub fn sh(text: &str) -> String {
    sh_in(project(), text)
}

/// The same for a project elsewhere.
pub fn sh_in(place: &Path, text: &str) -> String {
    let libraries = ["common", "board", "image", "bmap"].map(|name| format!(". \"$ROOT/scripts/lib/{name}.sh\"\n"));
    let libraries = libraries.concat().replacen("$ROOT/", &format!("{}/", place.display()), 1);
    said(Command::new("sh").arg("-c").arg(libraries + text).arg(place.join("scripts/test-of-image")))
}

/// A value of a board, as its board.conf and its architecture give it.
pub fn value(board: &str, expression: &str) -> String {
    let text = sh(&format!("board_load {board}\nprintf '%s' \"{expression}\"\n"));
    text.trim_end().into()
}

/// What a command says that has to succeed.
pub fn said(command: &mut Command) -> String {
    String::from_utf8(bytes(command)).unwrap()
}

/// The same, for what is no text.
pub fn bytes(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}: run scripts/setup"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {complaint}", output.status);
    output.stdout
}

/// `scripts/image` with what it needs, to be given its arguments. `out` is where it finds the binaries.
pub fn image_command(place: &Path, out: &Path) -> Command {
    for arch in ["arm", "aarch64", "x86_64"] {
        let folder = out.join(arch);
        fs::create_dir_all(&folder).unwrap();
        let _ = symlink(binary(), folder.join("linchpin"));
    }
    let mut command = Command::new(place.join("scripts/image"));
    command.arg("--as-is").env("LINCHPIN_OUT", out);
    command
}

/// What the images have as linchpin: the test's own binary, without what debuggers want, which is most of it. The host's is
/// run to make the links; for the other targets it is only packed.
pub fn binary() -> PathBuf {
    let folder = shared();
    let path = folder.join("linchpin");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&path).arg(env!("CARGO_BIN_EXE_linchpin"));
    once(&path, strip);
    path
}

/// Runs a command unless the file is there that it makes last. Tests that want the same one wait for it.
fn once(result: &Path, command: Command) {
    let name = result.display().to_string().replace('/', "_");
    let mut locked = Command::new("flock");
    locked.arg(shared().join(name + ".lock")).args(["sh", "-c", "[ -e \"$0\" ] || exec \"$@\""]).arg(result);
    locked.arg(command.get_program()).args(command.get_args());
    locked.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bytes(&mut locked);
}

/// The image of a board, and where its partitions are.
pub struct Disk {
    pub board: String,
    /// BOARD.img.
    pub image: PathBuf,
    pub partitions: Vec<Partition>,
}

/// A line of sfdisk's dump.
#[derive(Debug)]
pub struct Partition {
    pub start: u64,
    pub size: u64,
    /// All that stands behind these.
    pub rest: String,
}

impl Disk {
    /// Made by whichever test wants it first.
    pub fn of(board: &str) -> Disk {
        let folder = shared();
        let image = folder.join(board).join(format!("{board}.img"));
        let mut make = image_command(project(), &folder.join("out"));
        make.arg(format!("--out={}", folder.display())).arg(board);
        once(&folder.join(board).join("SHA256SUMS"), make);
        Disk::at(board, &image)
    }

    /// One that is there.
    pub fn at(board: &str, image: &Path) -> Disk {
        Disk { board: board.into(), image: image.into(), partitions: partitions(image) }
    }

    /// The block map.
    pub fn map(&self) -> PathBuf {
        self.image.with_extension("img.bmap")
    }

    /// A file of the boot partition.
    pub fn boot_file(&self, path: &str) -> Vec<u8> {
        bytes(mtools("mcopy").arg("-i").arg(self.boot()).arg(format!("::/{path}")).arg("-"))
    }

    /// All files of the boot partition, sorted.
    pub fn boot_files(&self) -> Vec<String> {
        let listing = said(mtools("mdir").args(["-b", "-/", "-i"]).arg(self.boot()).arg("::/"));
        let mut files: Vec<_> = listing
            .lines()
            .map(|line| line.trim_start_matches("::/").to_owned())
            .filter(|file| !file.ends_with('/'))
            .collect();
        files.sort();
        files
    }

    /// As mtools wants to be told of it.
    pub fn boot(&self) -> String {
        format!("{}@@{}", self.image.display(), self.partitions[0].start)
    }

    /// A partition as a file, for tools that know no offsets.
    pub fn extract(&self, number: usize, to: &Path) {
        let Partition { start, size, .. } = self.partitions[number];
        extract(&self.image, start, size, to);
    }

    /// What is in the initramfs.
    pub fn initramfs(&self, to: &Path) {
        let packed = to.with_extension("gz");
        fs::write(&packed, self.boot_file(&self.target_of("initramfs"))).unwrap();
        fs::create_dir(to).unwrap();
        let unpack = format!("gzip -dc {} | cpio --quiet -i --no-absolute-filenames", packed.display());
        bytes(Command::new("sh").arg("-c").arg(unpack).current_dir(to));
    }

    /// What the board's BOOT calls a source on the boot partition.
    pub fn target_of(&self, source: &str) -> String {
        self.boot_pairs().into_iter().find(|(_, from)| from == source).unwrap().0
    }

    /// TARGET and SOURCE of the board's BOOT.
    pub fn boot_pairs(&self) -> Vec<(String, String)> {
        let pair = |word: &str| word.split_once('=').map(|(target, source)| (target.into(), source.into())).unwrap();
        value(&self.board, "$BOOT").split_whitespace().map(pair).collect()
    }

    /// OFFSET and contents of what the board's RAW puts between the partitions.
    pub fn raw(&self) -> Vec<(u64, Vec<u8>)> {
        value(&self.board, "$RAW")
            .split_whitespace()
            .map(|word| {
                let (offset, source) = word.split_once('=').unwrap();
                let file = sh(&format!("board_load {}\nboard_file {source}", self.board));
                (offset.parse().unwrap(), fs::read(file.trim_end()).unwrap())
            })
            .collect()
    }
}

/// mtools, whatever the user has configured.
pub fn mtools(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("MTOOLSRC", "/dev/null").env("MTOOLS_SKIP_CHECK", "1");
    command
}

/// Writes a piece of a file to another one.
pub fn extract(from: &Path, start: u64, size: u64, to: &Path) {
    bytes(
        Command::new("dd")
            .args(["bs=1M", "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"])
            .arg(format!("if={}", from.display()))
            .arg(format!("of={}", to.display()))
            .arg(format!("skip={start}"))
            .arg(format!("count={size}")),
    );
    File::options().write(true).open(to).unwrap().set_len(size).unwrap(); // conv=sparse leaves out the last hole
}

fn partitions(image: &Path) -> Vec<Partition> {
    let dump = said(Command::new("/usr/sbin/sfdisk").arg("--dump").arg(image));
    let mut found = Vec::new();
    for line in dump.lines().filter(|line| line.contains("start=")) {
        let number = |key: &str| -> u64 {
            let (_, rest) = line.split_once(key).unwrap();
            rest.split(',').next().unwrap().trim().parse().unwrap()
        };
        let rest = line.split_once("size=").unwrap().1.split_once(',').unwrap().1.trim().into();
        found.push(Partition { start: number("start=") * 512, size: number("size=") * 512, rest });
    }
    found
}

/// A folder for all tests of this run. A run is known by what nextest calls it, or by our process, if that has all tests.
fn shared() -> PathBuf {
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
    let folder = all.join(run);
    if fs::create_dir_all(&folder).is_ok() {
        // Those of earlier runs, if nobody can still be at work there.
        for old in fs::read_dir(&all).unwrap().flatten() {
            let age = old
                .metadata()
                .and_then(|data| data.modified())
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            if old.path() != folder && age.is_some_and(|age| age > Duration::from_secs(3600)) {
                let _ = fs::remove_dir_all(old.path());
            }
        }
    }
    folder
}
