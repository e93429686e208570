//! Instances: services made of one template, under a scan directory inside a service directory. `template/` is what they
//! are made of, `instances/NAME` their service directories, `instance/` the scan directory with links to these.

use crate::sys::{Errno, Fd, Result, entry, file, tree};
use crate::text::CPath;
use core::ffi::CStr;

/// The scan directory of the instances, in their service directory.
pub const SCANDIR: &CStr = c"instance";
/// Where their service directories are.
pub const DIRS: &CStr = c"instances";
/// What they are made of.
pub const TEMPLATE: &CStr = c"template";

/// Whether an instance may be called so: not empty, no dot at the beginning, no slash, no white space.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b".") && !name.iter().any(|byte| b"/ \t\x0c\r\n".contains(byte))
}

/// The text of the link in the scan directory.
pub fn target(name: &CStr) -> CPath<512> {
    CPath::of(&[b"../instances/", name.to_bytes()])
}

/// Makes the service directory of the instance `name` of the service directory `dir`, and returns it open. It is a copy of
/// the template; if it cannot be copied whole, nothing is left. EEXIST: there is one. Modes and owners are the
/// template's.
pub fn make(dir: Fd, name: &CStr) -> Result<Fd> {
    let mut from = file::open_dir(dir, TEMPLATE)?;
    let mut dirs = match file::open_dir(dir, DIRS) {
        Ok(dirs) => dirs,
        Err(e) => {
            from.close();
            return Err(e);
        }
    };
    let done = make_in(from, dirs, name);
    from.close();
    dirs.close();
    done
}

fn make_in(from: Fd, dirs: Fd, name: &CStr) -> Result<Fd> {
    if !entry::make_dir(dirs, name)? {
        return Err(Errno::EXIST);
    }
    let done = file::open_dir(dirs, name).and_then(|mut to| {
        let mut failed = Ok(());
        let done = tree::copy(from, to, &mut |_, e| failed = Err(e))
            .and(failed)
            .and_then(|()| entry::attributes(from, c"."))
            .and_then(|template| entry::set_mode(dirs, name, template.mode));
        if done.is_err() {
            to.close();
        }
        done.map(|()| to)
    });
    if done.is_err() {
        let _ = tree::remove(dirs, name);
    }
    done
}

/// Whether `name`, an entry of the scan directory that is the working directory, is an instance: these are links. Our
/// scanner keeps a directory of its own there, for the held descriptors.
pub fn is_seen(name: &CStr) -> bool {
    let scanners = || name == c"fdholder" && entry::kind_of_link(Fd::CWD, name) == Ok(entry::FileType::Directory);
    !name.to_bytes().starts_with(b".") && !scanners()
}

/// Removes the service directory of the instance `name`. ENOENT: there is none.
pub fn remove(dir: Fd, name: &CStr) -> Result<()> {
    let mut dirs = file::open_dir(dir, DIRS)?;
    let done = tree::remove(dirs, name);
    dirs.close();
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;

    fn service() -> Scratch {
        let scratch = Scratch::new();
        for name in ["template", "template/log", "instances", "instance"] {
            scratch.mkdir(name);
        }
        scratch.write("template/run", "#!/bin/sh\n");
        scratch
    }

    #[test]
    fn an_instance_is_a_copy_of_the_template() {
        let service = service();
        make(service.fd, c"a").unwrap().close();
        assert_eq!(service.names("instances/a"), ["log", "run"]);
        assert_eq!(service.mode("instances/a"), service.mode("template"));
        assert_eq!(make(service.fd, c"a"), Err(Errno::EXIST));
        assert_eq!(service.names("instances/a"), ["log", "run"]);
        remove(service.fd, c"a").unwrap();
        assert_eq!(service.names("instances"), [] as [&str; 0]);
        assert_eq!(remove(service.fd, c"a"), Err(Errno::NOENT));
    }

    #[test]
    fn an_instance_that_cannot_be_copied_whole_is_not_there() {
        let service = service();
        let deep = service.path.join("template").join("d/".repeat(18));
        std::fs::create_dir_all(deep).unwrap();
        assert_eq!(make(service.fd, c"a"), Err(Errno::LOOP));
        assert_eq!(service.names("instances"), [] as [&str; 0]);
    }

    #[test]
    fn names_are_file_names_without_white_space() {
        for good in ["a", "tty1", "a.b", "x@y", "-"] {
            assert!(is_name(good.as_bytes()), "{good}");
        }
        for bad in ["", ".", ".a", "a/b", "a b", "a\tb", "a\x0cb", "a\rb", "a\nb"] {
            assert!(!is_name(bad.as_bytes()), "{bad:?}");
        }
    }
}
