//! Where the root file system is, and which modules the kernel needs: as the board config and the kernel's command line
//! write it. Pure.

use crate::sys::time::{Nanos, SECOND};

/// The root file system that process 1 goes on to from an initramfs, `[root]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root<'a> {
    /// There is a `[root]` in the file.
    pub wanted: bool,
    /// The device, see [`Source`]. Default: `root=` of the kernel's command line.
    pub device: Option<&'a str>,
    /// Type of its file system. Default: `rootfstype=`, else those that the kernel knows, one after the other.
    pub kind: Option<&'a str>,
    /// Options as mount(8) has them. Default: none but `ro` (`rw`: if the command line says so). `rootflags=` is added.
    pub options: Option<&'a str>,
    /// How long the device may take to appear.
    pub timeout: Nanos,
    /// What lies over it and takes the changes: `tmpfs`, or a device. Default: nothing does.
    pub overlay: Option<&'a str>,
    /// Type of the file system on that device. Default: those that the kernel knows.
    pub overlay_kind: Option<&'a str>,
    /// Options of that file system, or of the tmpfs.
    pub overlay_options: Option<&'a str>,
}

impl Root<'static> {
    /// What holds where nothing is said.
    pub const DEFAULT: Root<'static> = Root {
        wanted: false,
        device: None,
        kind: None,
        options: None,
        timeout: 10 * SECOND,
        overlay: None,
        overlay_kind: None,
        overlay_options: None,
    };
}

/// How a device is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source<'a> {
    /// By the path of its node.
    Path(&'a [u8]),
    /// `PARTUUID=`: by the unique id of its partition; for an MBR the disk's signature and the number, as `1234abcd-02`.
    PartUuid(&'a [u8]),
    /// `PARTLABEL=`: by the name of its partition (GPT).
    PartLabel(&'a [u8]),
    /// `UUID=`: by the id of its file system.
    Uuid(&'a [u8]),
    /// `LABEL=`: by the name of its file system.
    Label(&'a [u8]),
    /// As a file system that has no block device calls it: `ubi0:rootfs`, a tag of 9p or virtiofs.
    Other(&'a [u8]),
}

impl<'a> Source<'a> {
    /// Reads a device's name; or what is wrong with it.
    pub fn parse(word: &'a [u8]) -> Result<Source<'a>, &'static str> {
        const FORMS: &str = "is no device (its path, or PARTUUID=, PARTLABEL=, UUID= or LABEL= and what it has)";
        let Some(first) = word.first() else { return Err("is empty") };
        if word.contains(&0) {
            return Err("holds a NUL");
        }
        if *first == b'/' {
            return Ok(Source::Path(word));
        }
        let Some(equals) = word.iter().position(|byte| *byte == b'=') else {
            return if word.contains(&b'/') { Err(FORMS) } else { Ok(Source::Other(word)) };
        };
        let (tag, value) = (word.get(..equals).unwrap_or_default(), word.get(equals + 1..).unwrap_or_default());
        match tag {
            _ if value.is_empty() => Err(FORMS),
            b"PARTUUID" => Ok(Source::PartUuid(value)),
            b"PARTLABEL" => Ok(Source::PartLabel(value)),
            b"UUID" => Ok(Source::Uuid(value)),
            b"LABEL" => Ok(Source::Label(value)),
            _ => Err(FORMS),
        }
    }
}

/// The name (or the path) of a module, and its parameters; `None`: it is none.
pub fn module(words: &str) -> Option<(&str, &str)> {
    let words = words.trim_matches([' ', '\t']);
    let (name, parameters) = match words.find([' ', '\t']) {
        Some(at) => words.split_at_checked(at)?,
        None => (words, ""),
    };
    let is_path = name.starts_with('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || !is_path && !name.bytes().all(plain) || words.contains(['\0', '\n']) {
        return None;
    }
    Some((name, parameters.trim_start_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_its_path_or_by_what_it_has() {
        assert_eq!(Source::parse(b"/dev/vda2"), Ok(Source::Path(b"/dev/vda2")));
        assert_eq!(Source::parse(b"PARTUUID=1234abcd-02"), Ok(Source::PartUuid(b"1234abcd-02")));
        assert_eq!(Source::parse(b"PARTLABEL=a=b"), Ok(Source::PartLabel(b"a=b")));
        assert_eq!(Source::parse(b"UUID=x"), Ok(Source::Uuid(b"x")));
        assert_eq!(Source::parse(b"LABEL=root"), Ok(Source::Label(b"root")));
        assert_eq!(Source::parse(b"ubi0:rootfs"), Ok(Source::Other(b"ubi0:rootfs")));
        for bad in [&b""[..], b"LABEL=", b"=x", b"label=x", b"dev/vda2", b"/dev/v\0da"] {
            assert!(Source::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_module_is_a_name_or_a_path_and_what_follows_is_for_it() {
        assert_eq!(module("virtio_blk"), Some(("virtio_blk", "")));
        assert_eq!(module(" softdog  soft_margin=30 nowayout=1 "), Some(("softdog", "soft_margin=30 nowayout=1")));
        assert_eq!(module("/lib/my.ko.xz a=1"), Some(("/lib/my.ko.xz", "a=1")));
        for bad in ["", " ", "kernel/fs/ext4", "ext4.ko", "a\0", "x a=\0", "x\ny", "é"] {
            assert_eq!(module(bad), None, "{bad:?}");
        }
    }
}
