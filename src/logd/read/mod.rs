//! `linchpin log`: reading logdirs and rings again, merged by time.
//!
//! * [`options`], [`when`]: what is asked for.
//! * [`places`]: where the logs of services are.
//! * [`archive`], [`files`], [`behind`], [`unpack`]: a logdir's bytes in their order; [`round`]: a ring's.
//! * [`source`], [`line`]: the lines in those, and their times.
//! * [`merge`], [`seen`]: all sources in the order of time, nothing twice.
//! * [`print`]: how it looks; [`follow`]: waiting for more.

mod archive;
mod behind;
mod feed;
mod files;
mod follow;
mod line;
mod merge;
mod options;
mod places;
mod print;
mod round;
mod seen;
mod source;
mod unpack;
mod when;

use crate::applets::cli::{Cli, SYSTEM, USAGE};
use crate::limits::LOG_SOURCES;
use crate::logd::stamp::Dates;
use crate::sys::{Errno, Fd, file};
use crate::text::quote::Printable;
use crate::text::tai::Stamp;
use core::cell::RefCell;
use core::ffi::CStr;
use follow::Watch;
use merge::{Merge, SEEN, SOURCES};
use options::{End, Options};
use places::Places;
use print::{Printer, Style};
use rustix::fs::OFlags;
use source::Filter;

/// Runs the command.
pub fn run(cli: &Cli) -> i32 {
    // Children get what they read at 0 and write at 1.
    while file::open(Fd::CWD, c"/dev/null", OFlags::RDWR, 0).is_ok_and(|mut fd| {
        let is_standard = fd.0 <= 2;
        if !is_standard {
            fd.close();
        }
        is_standard
    }) {}
    let dates = Dates::of_machine(Some(cli.env()));
    if let Some(trouble) = dates.trouble() {
        cli.warn(trouble);
    }
    let mut options = match Options::read(cli, &dates) {
        Ok(options) => options,
        Err(End::Said(code)) => return code,
        Err(End::Usage(wrong)) => return cli.with_usage(|| Err(wrong)),
    };
    let zone = *dates.zone();
    let shown = if options.utc || options.style == Style::Json { Dates::utc() } else { dates };
    let printer = match Printer::new(options.style, shown) {
        Ok(printer) => printer,
        Err(e) => return cli.unable("reserve memory", e),
    };
    let (Some(sources), Some(seen)) = (SOURCES.take(), SEEN.take()) else { return SYSTEM };
    let Options { follow, last, since, until, .. } = options;
    let filter = Filter { since, until, grep: options.grep.take().map(RefCell::new) };
    let mut merge = Merge::new(cli, filter, zone, printer, sources, seen, follow);
    let places = Places { scandir: options.scandir, directory: options.directory };
    let search = |merge: &mut Merge<'_>, watch: &mut Option<Watch>| {
        let mut found = |name: &[u8], path: &CStr| {
            let added = merge.add(name, path);
            for is_ring in added.into_iter().flatten() {
                if let Some(watch) = watch {
                    watch.add(path, is_ring);
                }
            }
        };
        if options.words.is_empty() {
            places.of_all(&mut found);
        }
        for word in (0..options.words.len()).filter_map(|i| options.words.get(i)) {
            places.of_service(word, &mut found);
        }
    };
    let started = Stamp::now();
    let mut watch = if follow { Some(Watch::new()) } else { None };
    search(&mut merge, &mut watch);
    if let Some(code) = missing(cli, &merge, &places, &options) {
        return code;
    }
    merge.begin(last);
    while let Some(watching) = &mut watch {
        merge.flush();
        if merge.has_failed() || !watching.wait() {
            break;
        }
        if watching.is_to_search() {
            merge.only_since(started);
            search(&mut merge, &mut watch);
        }
        merge.go_on();
    }
    merge.finish()
}

/// Says which services have no logs. An exit code: there is nothing to go on with.
fn missing(cli: &Cli, merge: &Merge<'_>, places: &Places<'_>, options: &Options) -> Option<i32> {
    let mut missed = false;
    for word in (0..options.words.len()).filter_map(|i| options.words.get(i)) {
        let name = word.to_bytes();
        if merge.knows(word) {
            continue;
        }
        missed = true;
        let printed = Printable(name);
        let wait = if options.follow { "; waiting for it" } else { "" };
        match (name.contains(&b'/'), options.directory, places.scandir()) {
            (true, ..) if file::exists(Fd::CWD, word) == Ok(false) => {
                cli.warn(format_args!("there is no directory {printed}{wait}"));
            }
            (true, ..) => cli.warn(format_args!("there are no logs in {printed}: no current, ring or archive{wait}")),
            (_, Some(parent), _) => {
                cli.warn(format_args!("no logs of {printed} in {}{wait}", Printable(parent.to_bytes())));
            }
            (_, None, scandir) => {
                let scandir = scandir.unwrap_or(c"/run/service");
                cli.warn(format_args!(
                    "no logs of {printed}: no logger of that name runs in {}, and there is neither /run/log/{printed} \
                     nor /var/log/{printed}: name the directory (with a slash in it), or with -d the one that it is in{wait}",
                    Printable(scandir.to_bytes())
                ));
            }
        }
    }
    if options.follow {
        return None;
    }
    if merge.is_empty() {
        if !missed && !merge.has_trouble() {
            cli.fail("no logs found: no logger runs in the scan directory, and nothing in /run/log and /var/log is a logdir: \
                      name a directory (with a slash in it), or with -d the one that logdirs are in");
        }
        return Some(if missed && !merge.has_trouble() { USAGE } else { SYSTEM });
    }
    None
}

/// How many sources there are for.
const MANY: usize = LOG_SOURCES;

/// Why a directory cannot be read, and what helps.
fn advice(e: Errno) -> &'static str {
    match e {
        Errno::ACCESS | Errno::PERM => ": run this as root, or as a member of the log's group",
        _ => "",
    }
}
