//! What `linchpin log` is asked for.

use super::print::Style;
use super::when;
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::LOG_EXPRESSION;
use crate::logd::stamp::Dates;
use crate::sys::args::Args;
use crate::sys::{Errno, pages, time};
use crate::text::number::parse_u64;
use crate::text::quote::Printable;
use crate::text::regex::{self, Automaton};
use crate::text::tai::Stamp;
use core::ffi::CStr;
use zerocopy::FromBytes;

/// Lines that `-f` begins with.
const LAST: u64 = 10;

/// See above.
pub struct Options {
    /// `-f`
    pub follow: bool,
    /// `-n`; `None`: all.
    pub last: Option<u64>,
    /// `--since`
    pub since: Option<Stamp>,
    /// `--until`
    pub until: Option<Stamp>,
    /// `--grep`
    pub grep: Option<Automaton<'static>>,
    /// `-t`, `--json`
    pub style: Style,
    /// `-g`
    pub utc: bool,
    /// `-d`
    pub directory: Option<&'static CStr>,
    /// `-s`
    pub scandir: Option<&'static CStr>,
    /// The services.
    pub words: Args,
}

/// Why there are no options to go on with.
pub enum End {
    /// They are wrong.
    Usage(WrongUsage),
    /// Everything is said; this is the exit code.
    Said(i32),
}

impl From<WrongUsage> for End {
    fn from(wrong: WrongUsage) -> End {
        End::Usage(wrong)
    }
}

impl Options {
    /// Reads them. `dates`: of the machine's zone.
    pub fn read(cli: &Cli, dates: &Dates) -> Result<Options, End> {
        let (mut follow, mut last, mut style, mut utc) = (false, None, Style::Date, false);
        let (mut since, mut until, mut grep, mut directory, mut scandir) = (None, None, None, None, None);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'f') | Opt::Long(b"follow") => follow = true,
                Opt::Short(b'n') | Opt::Long(b"lines") => {
                    last = Some(match options.value()? {
                        b"all" => None,
                        number => Some(parse_u64(number).ok_or(WrongUsage)?),
                    });
                }
                Opt::Short(b'S') | Opt::Long(b"since") => since = Some(options.value()?),
                Opt::Short(b'U') | Opt::Long(b"until") => until = Some(options.value()?),
                Opt::Long(b"grep") => grep = Some(options.value()?),
                Opt::Short(b'g') | Opt::Long(b"utc") => utc = true,
                Opt::Short(b't') | Opt::Long(b"tai") => style = Style::Label,
                Opt::Long(b"json") => style = Style::Json,
                Opt::Short(b'd') | Opt::Long(b"directory") => directory = Some(options.text()?),
                Opt::Short(b's') | Opt::Long(b"scandir") => scandir = Some(options.text()?),
                Opt::Short(b'h') | Opt::Long(b"help") => return Err(End::Said(crate::applets::usage(cli.applet()))),
                _ => return Err(WrongUsage.into()),
            }
        }
        let words = options.operands(0)?;
        if let Some(word) = words.iter().find(|word| word.starts_with(b"-") && *word != b"-") {
            return Err(End::Said(
                cli.refuse(format_args!("{} is behind the name of a service: options come first", Printable(word))),
            ));
        }
        let utc_dates = Dates::utc();
        let zone = if utc { utc_dates.zone() } else { dates.zone() };
        let now = time::wall();
        let time = |word: Option<&[u8]>| match word {
            None => Ok(None),
            Some(word) => when::parse(word, now, zone).map(Some).ok_or_else(|| {
                End::Said(cli.refuse(format_args!("{} is no time: give one like {}", Printable(word), when::FORMS)))
            }),
        };
        let (since, until) = (time(since)?, time(until)?);
        let grep = grep.map(|pattern| expression(cli, pattern)).transpose().map_err(End::Said)?;
        let last = last.unwrap_or(if follow { Some(LAST) } else { None });
        Ok(Options { follow, last, since, until, grep, style, utc, directory, scandir, words })
    }
}

/// Compiles an expression. The error is an exit code; why has been said.
fn expression(cli: &Cli, pattern: &[u8]) -> Result<Automaton<'static>, i32> {
    let memory = pages::reserve(LOG_EXPRESSION).map_err(|e| cli.unable("reserve memory", e))?;
    let memory = <[u16]>::mut_from_bytes(memory).map_err(|_| cli.unable("reserve memory", Errno::NOMEM))?;
    Automaton::new(pattern, memory).map_err(|e| match e {
        regex::Error::Bad => cli.refuse("--grep: that is no extended regular expression"),
        regex::Error::TooLarge => cli.refuse("--grep: the regular expression is too large"),
    })
}
