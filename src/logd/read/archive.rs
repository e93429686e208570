//! The archives of a logdir, in the order of their names: no list is kept, however many there are.

use crate::sys::{Errno, Fd, Result, dir};
use crate::text::tai::Stamp;
use core::ffi::CStr;
use core::ops::ControlFlow;

/// An archive's name: `@`, 24 digits, `.s` or `.u`; and a NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Archive([u8; 28]);

impl Archive {
    /// `None`: it is not the name of one.
    pub fn of(name: &CStr) -> Option<Archive> {
        let bytes: &[u8; 28] = name.to_bytes_with_nul().try_into().ok()?;
        let (label, suffix) = bytes.split_at_checked(25)?;
        let is_label = label.first() == Some(&b'@') && label.iter().skip(1).all(u8::is_ascii_hexdigit);
        (is_label && matches!(suffix, b".s\0" | b".u\0")).then_some(Archive(*bytes))
    }

    /// Its name.
    pub fn name(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.0).unwrap_or_default()
    }

    /// When it became one.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::from_text(&self.0)
    }
}

fn best(dir: Fd, mut is_better: impl FnMut(Archive, Option<Archive>) -> bool) -> Result<Option<Archive>> {
    let mut best = None;
    let walked = dir::visit(dir, c".", |name, _| {
        if let Some(archive) = Archive::of(name).filter(|archive| is_better(*archive, best)) {
            best = Some(archive);
        }
        ControlFlow::Continue(())
    });
    match walked {
        Ok(()) => Ok(best),
        // The directory itself has been removed.
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The oldest that is newer than this one; of all, if it is `None`.
pub fn after(dir: Fd, last: Option<Archive>) -> Result<Option<Archive>> {
    let next = || best(dir, |archive, best| Some(archive) > last && best.is_none_or(|best| archive < best));
    match next()? {
        None => Ok(None),
        // Of two that appear while the directory is read, only the later one may have been seen. Both are there now.
        Some(_) => next(),
    }
}

/// The newest that is older than this one; of all, if it is `None`.
pub fn before(dir: Fd, first: Option<Archive>) -> Result<Option<Archive>> {
    best(dir, |archive, best| first.is_none_or(|first| archive < first) && Some(archive) > best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_s6_names_are_names() {
        for name in [c"@400000006b02b5173aebe487.s", c"@400000006b02b5173aebe487.u", c"@400000006B02B5173AEBE487.s"] {
            assert_eq!(Archive::of(name).unwrap().name(), name);
        }
        for name in [
            c"",
            c"current",
            c"@400000006b02b5173aebe487.x",
            c"@400000006b02b5173aebe487.s.gz",
            c"@400000006b02b5173aebe48.s",
            c"@400000006b02b5173aebe48g.s",
            c"x400000006b02b5173aebe487.s",
            c"@400000006b02b5173aebe487_s",
        ] {
            assert_eq!(Archive::of(name), None, "{name:?}");
        }
        assert_eq!(Archive::of(c"@400000006b02b5173aebe487.s").unwrap().stamp().unwrap().nano, 0x3aeb_e487);
    }

    #[test]
    fn archives_are_walked_in_their_order() {
        let path = std::env::temp_dir().join(format!("linchpin-archives-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mut names: Vec<String> = (0..30)
            .map(|i| format!("@40000000{:016x}.{}", i * 7919 % 30, if i % 3 == 0 { "u" } else { "s" }))
            .collect();
        for name in names.iter().chain(&["current".into(), "previous".into(), "lock".into()]) {
            std::fs::write(path.join(name), "").unwrap();
        }
        names.sort();
        let c_path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let mut fd = crate::sys::file::open_dir(Fd::CWD, &c_path).unwrap();
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let mut last = None;
        while let Some(archive) = after(fd, last).unwrap() {
            up.push(archive.name().to_str().unwrap().to_owned());
            last = Some(archive);
        }
        last = None;
        while let Some(archive) = before(fd, last).unwrap() {
            down.push(archive.name().to_str().unwrap().to_owned());
            last = Some(archive);
        }
        down.reverse();
        assert_eq!((&up, &down), (&names, &names));
        std::fs::remove_dir_all(&path).unwrap();
        assert_eq!(after(fd, None), Ok(None));
        fd.close();
    }
}
