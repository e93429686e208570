//! One descriptor given to a store, or let go of.

use super::{no_other, target};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::fdholder::client::never;
use crate::sys::Fd;
use crate::sys::time::MILLI;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;

/// `fdholder-store [-d fd] [-t ms] [-T ms] socket id`
pub fn store(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut fd, mut lifetime) = (Fd::STDIN, 0);
        let (target, words) = target(cli.options(), 2, |option, options| {
            match option {
                Opt::Short(b'd') => fd = options.descriptor()?,
                Opt::Short(b'T') => lifetime = options.number()?,
                _ => return Err(WrongUsage),
            }
            Ok(())
        })?;
        let id = words.get(1).ok_or(WrongUsage)?.to_bytes();
        let limit = if lifetime == 0 { never() } else { Stamp::now().plus(u64::from(lifetime) * MILLI) };
        Ok(target.ask(cli, "store fd", |store| store.store(fd, id, limit).map(|()| 0)))
    })
}

/// `fdholder-delete [-t ms] socket id`
pub fn delete(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (target, words) = target(cli.options(), 2, no_other)?;
        let id = words.get(1).ok_or(WrongUsage)?.to_bytes();
        Ok(target.ask(cli, format_args!("delete fd for id {}", Printable(id)), |store| store.delete(id).map(|()| 0)))
    })
}
