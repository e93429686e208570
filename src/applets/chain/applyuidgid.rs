//! `s6-applyuidgid [-z] [-u uid] [-g gid] [-G gidlist] [-U] prog...`: runs prog as another user, all by numbers.
//!
//! `-U` takes the user, the group and the list of further groups from the variables UID, GID and GIDLIST (not set, or no
//! number: exit 100); options after it count more. The groups are set only if there is a list; user 0 and group 0 mean
//! that nothing changes. `-z` takes the three variables out of the environment. A list with something in it that is no
//! number is refused: s6 passes over that and all groups after it.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::applets::identity::{Identity, VARIABLES, from_environment, parse_groups, take_on};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -z ] [ -u uid ] [ -g gid ] [ -G gidlist ] [ -U ] prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut wanted, mut unexport) = (Identity::default(), false);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'z') => unexport = true,
                Opt::Short(b'u') => wanted.uid = options.number()?,
                Opt::Short(b'g') => wanted.gid = options.number()?,
                Opt::Short(b'G') => wanted.groups = Some(parse_groups(options.value()?).ok_or(WrongUsage)?),
                Opt::Short(b'U') => match from_environment(cli) {
                    Ok(identity) => wanted = identity,
                    Err(code) => return Ok(code),
                },
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        if unexport {
            VARIABLES.iter().for_each(|name| cli.env().remove(name));
        }
        Ok(take_on(cli, wanted).map_or_else(|code| code, |()| cli.exec(words)))
    })
}
