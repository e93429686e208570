//! Modules of the kernel: what their files are called, and what depmod(8) writes about them.

/// Whether two names mean the same module: `-` and `_` are alike.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    let plain = |byte: &u8| if *byte == b'-' { b'_' } else { *byte };
    a.iter().map(plain).eq(b.iter().map(plain))
}

/// The module in a file of this name (or path), and whether it is compressed: `ext4.ko`, `ext4.ko.xz`. `None`: it is none.
pub fn of_file(path: &[u8]) -> Option<(&[u8], bool)> {
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    let (name, compressed) = [&b".xz"[..], b".gz", b".zst"]
        .iter()
        .find_map(|suffix| Some((name.strip_suffix(*suffix)?, true)))
        .unwrap_or((name, false));
    name.strip_suffix(b".ko").filter(|name| !name.is_empty()).map(|name| (name, compressed))
}

/// What a line of modules.dep says of `module`: where its file is, and those of what it needs, in the order of the file: the
/// last ones are to be loaded first. `None`: the line is about another one.
pub fn dependencies<'l>(
    line: &'l [u8],
    module: &[u8],
) -> Option<(&'l [u8], impl DoubleEndedIterator<Item = &'l [u8]> + Clone)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (path, needed) = line.split_at_checked(colon)?;
    let (name, _) = of_file(path)?;
    if !is_same(name, module) {
        return None;
    }
    let needed = needed.get(1..)?.split(u8::is_ascii_whitespace).filter(|path| !path.is_empty());
    Some((path, needed))
}

/// The parameter that a word of the kernel's command line has for `module`: `NAME.PARAMETER`, or `NAME.PARAMETER=VALUE`.
pub fn parameter<'w>(word: &'w [u8], module: &[u8]) -> Option<&'w [u8]> {
    let dot = word.iter().position(|byte| matches!(byte, b'.' | b'='))?;
    let (name, parameter) = word.split_at_checked(dot)?;
    let parameter = parameter.strip_prefix(b".")?;
    (is_same(name, module) && !parameter.is_empty()).then_some(parameter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_module_by_its_name() {
        assert_eq!(of_file(b"kernel/fs/ext4/ext4.ko"), Some((&b"ext4"[..], false)));
        assert_eq!(of_file(b"crc32c-intel.ko.xz"), Some((&b"crc32c-intel"[..], true)));
        assert_eq!(of_file(b"a.ko.gz"), Some((&b"a"[..], true)));
        assert_eq!(of_file(b"a.ko.zst"), Some((&b"a"[..], true)));
        for other in [&b""[..], b".ko", b"modules.dep", b"a.ko.bz2", b"a.xz", b"a.ko/"] {
            assert_eq!(of_file(other), None, "{other:?}");
        }
    }

    #[test]
    fn dashes_and_underscores_are_alike() {
        assert!(is_same(b"crc32c-intel", b"crc32c_intel"));
        assert!(!is_same(b"crc32c", b"crc32c_intel"));
        assert!(!is_same(b"a.b", b"a_b"));
    }

    #[test]
    fn a_line_names_what_a_module_needs() {
        let line = b"kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko  kernel/fs/jbd2/jbd2.ko";
        let (path, needed) = dependencies(line, b"ext4").unwrap();
        assert_eq!(path, b"kernel/fs/ext4/ext4.ko");
        assert_eq!(needed.rev().collect::<Vec<_>>(), [&b"kernel/fs/jbd2/jbd2.ko"[..], b"kernel/lib/crc16.ko"]);
        let (_, needed) = dependencies(b"a/snd-pcm.ko.xz:", b"snd_pcm").unwrap();
        assert_eq!(needed.count(), 0);
        for other in [&b"kernel/ext4.ko"[..], b"kernel/xext4.ko: ext4.ko", b"", b":", b"kernel/ext4: a.ko"] {
            assert!(dependencies(other, b"ext4").is_none(), "{other:?}");
        }
    }

    #[test]
    fn the_kernels_command_line_has_parameters_too() {
        assert_eq!(parameter(b"snd-pcm.index=1,2", b"snd_pcm"), Some(&b"index=1,2"[..]));
        assert_eq!(parameter(b"a.debug", b"a"), Some(&b"debug"[..]));
        for other in [&b"a."[..], b"a=b.c", b"b.x=1", b"a"] {
            assert_eq!(parameter(other, b"a"), None, "{other:?}");
        }
    }
}
