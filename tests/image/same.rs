//! Two builds are the same, byte for byte.

use crate::disk::{Disk, boards, bytes, image_command, project};
use crate::tmp::TempDir;
use std::fs;
use std::process::Command;

/// The other build is at another time, in other folders, by a user with another umask, time zone and language, and from a
/// project that is checked out elsewhere.
#[test]
fn a_second_build_elsewhere_and_later_is_the_same_byte_for_byte() {
    for board in boards() {
        let disk = Disk::of(&board);
        let dir = TempDir::new();
        let (place, tmp) = (dir.path().join("a checkout, elsewhere"), dir.path().join("tmp"));
        fs::create_dir_all(&place).unwrap();
        fs::create_dir(&tmp).unwrap();
        bytes(
            Command::new("cp")
                .arg("-R")
                .args(["board", "rootfs", "scripts"].map(|name| project().join(name)))
                .arg(&place),
        );
        bytes(Command::new("chmod").arg("-R").arg("go-rwx").arg(&place));
        let out = place.join("out");
        let script = image_command(&place, &out).get_program().to_owned();
        bytes(
            Command::new("sh")
                .args(["-c", "umask 077; exec \"$@\"", "sh"])
                .arg(script)
                .arg("--as-is")
                .arg(format!("--out={}", dir.path().join("images").display()))
                .arg(&board)
                .env("LINCHPIN_OUT", &out)
                .env("TMPDIR", &tmp)
                .env("TZ", "Pacific/Kiritimati")
                .env("LC_ALL", "C.UTF-8")
                .env("SOURCE_DATE_EPOCH", "1234567890"),
        );
        for name in [format!("{board}.img"), format!("{board}.img.bmap"), String::from("SHA256SUMS")] {
            let (one, other) = (disk.image.with_file_name(&name), dir.path().join("images").join(&board).join(&name));
            bytes(Command::new("cmp").arg(one).arg(other));
        }
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "{board}: it has left something in {}", tmp.display());
    }
}
