//! `s6-softlimit [-h | -H] [options] prog...`: runs prog with other resource limits.
//!
//! Each option sets the soft limit of its resource, after `-h` the hard one, after `-H` both; the value is a number, or
//! `=`: as much as may be. A soft limit above its hard one is lowered. Options that do not exist are passed over, as
//! s6's does.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::sys::rlimit::{self, Limit, Resource, Which};
use crate::text::number::parse_u64;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -H | -h ] [ -a allmem ] [ -c core ] [ -d data ] [ -f fsize ] [ -l lock ] [ -m mem ] \
                         [ -o ofiles ] [ -P prio ] [ -p proc ] [ -r res ] [ -s stack ] [ -t cpusecs ] prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut which = Which::Soft;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            let Opt::Short(letter) = option else { return Err(WrongUsage) };
            let resources: &[Resource] = match letter {
                b'h' => {
                    which = Which::Hard;
                    continue;
                }
                b'H' => {
                    which = Which::Both;
                    continue;
                }
                b'a' => &[Resource::As],
                b'c' => &[Resource::Core],
                b'd' => &[Resource::Data],
                b'f' => &[Resource::Fsize],
                b'l' => &[Resource::Memlock],
                b'm' => &[Resource::Data, Resource::Stack, Resource::Memlock, Resource::As],
                b'o' => &[Resource::Nofile],
                b'P' => &[Resource::Rtprio],
                b'p' => &[Resource::Nproc],
                b'r' => &[Resource::Rss],
                b's' => &[Resource::Stack],
                b't' => &[Resource::Cpu],
                _ => continue,
            };
            let limit = match options.value()? {
                b"=" => Limit::Most,
                value => Limit::Value(parse_u64(value).ok_or(WrongUsage)?),
            };
            for resource in resources {
                if let Err(e) = rlimit::set(*resource, which, limit) {
                    return Ok(cli.unable(format_args!("set the limit of option -{}", char::from(letter)), e));
                }
            }
        }
        Ok(cli.exec(options.operands(1)?))
    })
}
