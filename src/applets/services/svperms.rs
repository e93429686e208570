//! `svperms`: shows and changes who may look at, control and listen to services, s6-svperms(8).

use crate::applets::cli::{Cli, Opt, Output, SYSTEM, WrongUsage};
use crate::board::users;
use crate::service::permissions::{Right, Who};
use crate::sys::{Fd, entry, file};
use crate::text::errno::Reason;
use crate::text::number::{Decimal, parse_u32};
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[-v] [-u | -g group | -G group | -o | -O group] [-e | -E group] servicedir...";

/// What to change.
#[derive(Default)]
struct Request {
    /// For the status and the commands.
    supervise: Option<(Who, Who)>,
    /// For the events.
    events: Option<Who>,
    show: bool,
}

/// `svperms [-v] [-u | -g group | -G group | -o | -O group] [-e | -E group] servicedir...`; groups by name, or `:gid`.
/// Without an option that changes something, `-v`.
///
/// Exit code: 0; 1 some permissions follow no scheme or cannot be seen; 100 unknown group; 111.
pub fn svperms(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut request = Request::default();
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            let Opt::Short(letter) = option else { return Err(WrongUsage) };
            let group = match letter {
                b'g' | b'G' | b'O' | b'E' => match group(cli, options.value()?)? {
                    Ok(gid) => Who::Group(gid),
                    Err(code) => return Ok(code),
                },
                _ => Who::Owner,
            };
            match letter {
                b'v' => request.show = true,
                b'u' => request.supervise = Some((Who::Owner, Who::Owner)),
                b'g' => request.supervise = Some((group, Who::Owner)),
                b'G' => request.supervise = Some((group, group)),
                b'o' => request.supervise = Some((Who::Public, Who::Owner)),
                b'O' => request.supervise = Some((Who::Public, group)),
                b'e' => request.events = Some(Who::Public),
                b'E' => request.events = Some(group),
                _ => return Err(WrongUsage),
            }
        }
        let dirs = options.operands(1)?;
        if request.supervise.is_none() && request.events.is_none() {
            request.show = true;
        }
        let mut output = Output::new();
        let mut sound = true;
        for path in dirs.words() {
            match file::with_dir(path, |dir| serve(cli, &request, dir, path, &mut output)) {
                Ok(Ok(all)) => sound &= all,
                Ok(Err(code)) => return Ok(code),
                Err(e) if request.supervise.is_some() || request.events.is_some() => {
                    return Ok(cli.unable(format_args!("open {}", Printable(path.to_bytes())), e));
                }
                Err(e) => {
                    cli.warn(format_args!("unable to open {}: {}", Printable(path.to_bytes()), Reason(e)));
                    sound = false;
                }
            }
        }
        let code = output.finish(cli);
        Ok(if code != 0 || sound { code } else { 1 })
    })
}

/// The id of a group; the inner error is an exit code.
fn group(cli: &Cli, word: &[u8]) -> Result<Result<u32, i32>, WrongUsage> {
    if let Some(gid) = word.strip_prefix(b":") {
        return parse_u32(gid).map(Ok).ok_or(WrongUsage);
    }
    Ok(match users::group(word) {
        Ok(Some(gid)) => Ok(gid),
        Ok(None) => Err(cli.refuse(format_args!("unknown group: {}", Printable(word)))),
        Err(e) => Err(cli.unable("read /etc/group", e)),
    })
}

/// Changes and shows one service; says whether all that is shown follows a scheme. The error is an exit code.
fn serve(cli: &Cli, request: &Request, dir: Fd, path: &CStr, output: &mut Output) -> Result<bool, i32> {
    if let Some((status, control)) = request.supervise {
        give(cli, dir, path, Right::Status, status)?;
        give(cli, dir, path, Right::Control, control)?;
    }
    if let Some(who) = request.events {
        give(cli, dir, path, Right::Events, who)?;
    }
    Ok(!request.show || show(cli, dir, path, output))
}

fn give(cli: &Cli, dir: Fd, path: &CStr, right: Right, who: Who) -> Result<(), i32> {
    let (path, name) = (Printable(path.to_bytes()), Printable(right.entry().to_bytes()));
    // Where no group has the right, it is for the owner's own group.
    let primary = match who {
        Who::Group(gid) => gid,
        Who::Owner | Who::Public => {
            let uid = entry::attributes(dir, right.entry())
                .map_err(|e| cli.unable(format_args!("stat {path}/{name}"), e))?
                .uid;
            let user = users::user_of_id(uid).map_err(|e| cli.unable("read /etc/passwd", e))?;
            let Some(user) = user else {
                cli.refuse(format_args!("the owner of {path}/{name}, user {uid}, is not in /etc/passwd"));
                return Err(SYSTEM);
            };
            user.gid
        }
    };
    right.give(dir, who, primary).map_err(|e| cli.unable(format_args!("change {path}/{name}"), e))
}

fn show(cli: &Cli, dir: Fd, path: &CStr, output: &mut Output) -> bool {
    let (mut sound, mut visible) = (true, true);
    for right in Right::ALL {
        // Who may not look into the directory cannot tell about its control FIFO either.
        if right == Right::Control && !visible {
            continue;
        }
        let name = Printable(right.entry().to_bytes());
        let who = match entry::attributes(dir, right.entry()) {
            Ok(attributes) => {
                let who = right.who(&attributes);
                if who.is_none() {
                    let (path, mode) = (Printable(path.to_bytes()), attributes.mode);
                    cli.warn(format_args!("{path}/{name} has incorrect permissions: {mode:o}"));
                }
                who
            }
            Err(e) => {
                cli.warn(format_args!("unable to stat {}/{name}: {}", Printable(path.to_bytes()), Reason(e)));
                None
            }
        };
        match who {
            Some(who) => put(output, path, right, who),
            None => (sound, visible) = (false, visible && right != Right::Status),
        }
    }
    sound
}

fn put(output: &mut Output, path: &CStr, right: Right, who: Who) {
    output.put(path.to_bytes());
    output.put(match right {
        Right::Status => b" status: ",
        Right::Control => b" control: ",
        Right::Events => b" events: ",
    });
    match who {
        Who::Owner => output.put(b"owner"),
        Who::Public => output.put(b"public"),
        Who::Group(gid) => {
            output.put(b"group ");
            match users::name_of_group(gid) {
                Ok(Some(name)) => output.put(&name),
                _ => output.put(Decimal::new(gid.into()).as_bytes()),
            }
        }
    }
    output.put(b"\n");
}
