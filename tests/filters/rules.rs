//! Rules for a test, and clients that ask them.

use crate::beside::*;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

/// Makes the files of a tree; a name that ends in `/` is a directory.
pub fn plant(top: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(top).unwrap();
    for (name, content) in files {
        let path = top.join(name);
        if name.ends_with('/') {
            std::fs::create_dir_all(path).unwrap();
        } else {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }
}

/// Code, output, and messages without the pid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    pub code: i32,
    pub out: Vec<String>,
    pub err: String,
}

pub fn said(output: &Output) -> Said {
    let Outcome { code, out } = outcome_of(output);
    let mut out: Vec<String> = out.lines().map(str::to_owned).collect();
    out.sort();
    let mut err = String::new();
    let mut words = String::from_utf8_lossy(&output.stderr).into_owned();
    while let Some(at) = words.find("pid ") {
        let rest = words.split_off(at + 4);
        err += &words;
        err += "P";
        words = rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
    }
    Said { code, out, err: err + &words }
}

/// What `env` prints of a connection that s6-ipcserverd has accepted, and two variables more.
pub const VARIABLES: [(&str, &str); 6] = [
    ("PROTO", "IPC"),
    ("IPCREMOTEPATH", ""),
    ("IPCCONNNUM", "1"),
    ("IPCLOCALPATH", "stale"),
    ("KEPT", "old"),
    ("OTHER", "too"),
];

/// `s6-ipcserver-access`, for a client of this user and group.
pub fn ipc(both: &Beside, whose: Whose, (uid, gid): (u32, u32)) -> Command {
    let mut command = both.command(whose, "ipcserver-access");
    let (ours, _) = UnixStream::pair().unwrap();
    command.stdin(OwnedFd::from(ours)).envs(VARIABLES);
    command.env("IPCREMOTEEUID", uid.to_string()).env("IPCREMOTEEGID", gid.to_string());
    command
}

/// A database with one record.
pub fn one_record(key: &[u8], data: &[u8]) -> Vec<u8> {
    let hash = key.iter().fold(5381u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(*byte));
    let word = |n: usize| (n as u32).to_le_bytes();
    let mut file = vec![0; 2048];
    file.extend([&word(key.len())[..], &word(data.len()), key, data].concat());
    let table = [word(file.len()), word(1)].concat();
    let at = hash as usize % 256 * 8;
    file[at..at + 8].copy_from_slice(&table);
    file.extend([word(hash as usize), word(2048)].concat());
    file
}
