//! What the waiting clients share (svwait, svlisten, svlisten1, `svc -w`): their options, the listening, their exit codes.

use crate::applets::cli::{Cli, Opt, Options, TIMEOUT, WrongUsage};
use crate::service::wait::{Goal, Quorum, Wait};
use crate::service::watch::Watch;
use crate::sys::file;
use crate::sys::time::{self, Nanos};
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What the options of a waiting client say.
pub struct Request {
    /// The state to wait for: `-u` unless they say otherwise.
    pub goal: Goal,
    /// `-a` (the default) or `-o`.
    pub quorum: Quorum,
    /// `-t`, in milliseconds; 0 for ever.
    pub timeout: u32,
}

impl Request {
    /// Reads all options; `-a` and `-o` where `several` services may be named.
    pub fn read<I>(options: &mut Options<I>, several: bool) -> Result<Request, WrongUsage>
    where
        I: ExactSizeIterator<Item = &'static [u8]>,
    {
        let mut request = Request { goal: Goal::Up, quorum: Quorum::All, timeout: 0 };
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b't') => request.timeout = options.number()?,
                Opt::Short(b'a') if several => request.quorum = Quorum::All,
                Opt::Short(b'o') if several => request.quorum = Quorum::Any,
                Opt::Short(letter) => request.goal = Goal::from_letter(letter).ok_or(WrongUsage)?,
                Opt::Long(_) => return Err(WrongUsage),
            }
        }
        Ok(request)
    }
}

/// The point in time that is `timeout` milliseconds away; 0 is never.
pub fn deadline(timeout: u32) -> Option<Nanos> {
    (timeout != 0).then(|| time::boot() + u64::from(timeout) * time::MILLI)
}

/// Listens to the services `dirs`. The error is an exit code; what went wrong has been said.
pub fn listen<'a>(cli: &Cli, wait: Wait, dirs: impl Iterator<Item = &'a CStr>) -> Result<Watch, i32> {
    let mut watch = Watch::new(wait).map_err(|e| cli.unable("wait for events", e))?;
    for path in dirs {
        file::with_dir(path, |dir| watch.add(dir))
            .unwrap_or_else(|e| Err(("open the directory", e)))
            .map_err(|(what, e)| cli.unable(format_args!("{what} of {}", Printable(path.to_bytes())), e))?;
    }
    Ok(watch)
}

/// Waits until it is over. Exit code: how many services failed (at most 98), 99 timed out, 111.
pub fn outcome(cli: &Cli, watch: &mut Watch, deadline: Option<Nanos>) -> i32 {
    match watch.run(deadline) {
        Err(e) => cli.unable("wait for events", e),
        Ok(None) => {
            cli.refuse("timed out");
            TIMEOUT
        }
        Ok(Some(0)) => 0,
        Ok(Some(failures)) => {
            cli.refuse("some services failed permanently or lost their supervisor");
            failures.min(TIMEOUT as u32 - 1) as i32
        }
    }
}
