//! A held descriptor for a program's standard input; or several, handed over in the ways that daemons know.

use super::hand::{self, Handed, LISTEN_START};
use super::{REFUSED, refused, target};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::fdholder::client::Connection;
use crate::limits::FDHOLDER_DUMP;
use crate::sys::args::Args;
use crate::sys::cell::LendCell;
use crate::sys::{Errno, Fd};
use crate::text::fdname;
use crate::text::quote::Printable;
use core::fmt::Display;

/// How descriptors are handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As standard input.
    Stdin,
    /// From 3 on, sd_listen_fds_with_names(3).
    ListenFds,
    /// As `fdholder-getdump` does it.
    S6,
}

/// `fdholder-retrieve [-D] [-t ms] socket id prog...`, or `fdholder-retrieve --listen-fds|--s6-fds [-D] [-t ms] socket
/// id... -- prog...`; with `--listen-fds` an identifier may be `id=name`.
pub fn retrieve(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut delete, mut way) = (false, Way::Stdin);
        let (target, words) = target(cli.options(), 3, |option, _| {
            match option {
                Opt::Short(b'D') => delete = true,
                Opt::Long(b"listen-fds") => way = Way::ListenFds,
                Opt::Long(b"s6-fds") => way = Way::S6,
                _ => return Err(WrongUsage),
            }
            Ok(())
        })?;
        if way == Way::Stdin {
            let id = words.get(1).ok_or(WrongUsage)?.to_bytes();
            return Ok(target.ask(cli, Retrieving(id), |store| {
                let fd = store.retrieve(id, delete)?;
                store.close();
                Ok(as_stdin(cli, fd, words.skip(2)))
            }));
        }
        let words = words.skip(1);
        let count = words.iter().position(|word| word == b"--").filter(|count| *count > 0).ok_or(WrongUsage)?;
        let program = words.skip(count + 1);
        if program.is_empty() {
            return Err(WrongUsage);
        }
        let asked = words.iter().take(count).map(|word| Asked::read(word, way));
        if let Some(wrong) = asked.clone().find_map(|asked| asked.name.filter(|name| !fdname::is_valid(name))) {
            return Ok(cli.refuse(format_args!("invalid name of a descriptor: {}", Printable(wrong))));
        }
        if count > FDHOLDER_DUMP {
            return Ok(cli.refuse(format_args!("more than {FDHOLDER_DUMP} descriptors")));
        }
        Ok(target.connect(cli).map_or_else(
            |code| code,
            |mut store| {
                let done = FDS.lend(|fds| match fds.get_mut(..count) {
                    Some(fds) => several(cli, &mut store, way, delete, asked, program, fds),
                    None => Err(REFUSED),
                });
                done.map_or(REFUSED, |done| done.unwrap_or_else(|code| code))
            },
        ))
    })
}

struct Retrieving<'a>(&'a [u8]);

impl Display for Retrieving<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "retrieve fd for id {}", Printable(self.0))
    }
}

fn as_stdin(cli: &Cli, mut fd: Fd, program: Args) -> i32 {
    if let Err(e) = fd.place(0) {
        return cli.unable("move the descriptor to 0", e);
    }
    if fd != Fd::STDIN {
        fd.close();
    }
    cli.exec(program)
}

/// A descriptor that is asked for, and how the program is to know it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    id: &'a [u8],
    name: Option<&'a [u8]>,
}

impl<'a> Asked<'a> {
    /// `ID` or, if names can be told, `ID=NAME`. The last `=` divides, and `ID=` is for an identifier that has one.
    fn read(word: &'a [u8], way: Way) -> Asked<'a> {
        let divided = word.iter().rposition(|byte| *byte == b'=').filter(|_| way == Way::ListenFds);
        match divided.and_then(|at| word.split_at_checked(at)) {
            Some((id, name)) => Asked { id, name: name.get(1..).filter(|name| !name.is_empty()) },
            None => Asked { id: word, name: None },
        }
    }
}

/// Where they are while their numbers are told: a chain may retrieve more than once.
static FDS: LendCell<[Fd; FDHOLDER_DUMP]> = LendCell::new([Fd(0); FDHOLDER_DUMP]);

/// Retrieves them over one connection. The store lets go of them when all have come: if one is missing, none is lost.
fn several<'a>(
    cli: &Cli,
    store: &mut Connection,
    way: Way,
    delete: bool,
    asked: impl ExactSizeIterator<Item = Asked<'a>> + Clone,
    program: Args,
    fds: &mut [Fd],
) -> Result<i32, i32> {
    let count = asked.len();
    if way == Way::ListenFds {
        let behind = LISTEN_START.saturating_add(i32::try_from(count).unwrap_or(i32::MAX));
        store.keep_above(behind).map_err(|e| cli.unable("place the connection", too_many(e)))?;
    }
    for (i, (place, asked)) in fds.iter_mut().zip(asked.clone()).enumerate() {
        *place = store.retrieve(asked.id, false).map_err(|e| refused(cli, Retrieving(asked.id), e))?;
        if way == Way::ListenFds {
            // What came before is below; what was open there is none of ours, and the program expects this one.
            move_to(place, LISTEN_START + i as i32).map_err(|e| cli.unable("place a descriptor", too_many(e)))?;
        }
    }
    if delete {
        for (i, id) in asked.clone().map(|asked| asked.id).enumerate() {
            if asked.clone().take(i).any(|earlier| earlier.id == id) {
                continue; // was asked for twice
            }
            store.delete(id).map_err(|e| refused(cli, format_args!("delete fd for id {}", Printable(id)), e))?;
        }
    }
    store.close();
    Ok(if way == Way::ListenFds {
        let names = asked.map(|asked| fdname::of(asked.name.unwrap_or(asked.id)));
        hand::as_listen_fds(cli, count, names, program)
    } else {
        let handed = fds.iter().zip(asked).map(|(fd, asked)| Handed { fd: *fd, id: asked.id, limit: None });
        hand::as_s6(cli, count, handed, program)
    })
}

/// Moves a descriptor to the number `to`, where the program is to inherit it.
fn move_to(fd: &mut Fd, to: i32) -> Result<(), Errno> {
    fd.place(to)?;
    if fd.0 != to {
        fd.close();
    }
    *fd = Fd(to);
    Ok(())
}

/// A number beyond the limit is EINVAL to fcntl(2) and EBADF to dup2(2): both mean that there are too many.
fn too_many(why: Errno) -> Errno {
    match why {
        Errno::INVAL | Errno::BADF => Errno::MFILE,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_equals_sign_divides_identifier_and_name() {
        let read = |word: &'static str, way| {
            let asked = Asked::read(word.as_bytes(), way);
            (asked.id, asked.name)
        };
        let listen = |word| read(word, Way::ListenFds);
        assert_eq!(listen("unix:/s"), (&b"unix:/s"[..], None));
        assert_eq!(listen("unix:/s=web"), (&b"unix:/s"[..], Some(&b"web"[..])));
        assert_eq!(listen("unix:/a=b=web"), (&b"unix:/a=b"[..], Some(&b"web"[..])));
        assert_eq!(listen("unix:/a=b="), (&b"unix:/a=b"[..], None));
        assert_eq!(read("unix:/a=b", Way::S6), (&b"unix:/a=b"[..], None));
    }
}
