//! The scan directory of process 1, the link /service to it, and the fd-holder's socket. A machine whose board config
//! names a place that cannot be used gets them elsewhere: without them nobody could log in to repair it.

use super::mounts::make_parents;
use crate::board::Board;
use crate::fdholder::server;
use crate::state::Header;
use crate::svscan::start::{make_dir, open_scandir};
use crate::sys::{Errno, Fd};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{error, fault_point, warning};

/// What is tried where the board's own scan directory cannot be used; /dev is there even if nothing else is.
const OTHERS: [&str; 2] = ["/run/service", "/dev/shm/service"];

/// Makes and opens all of them, and puts their descriptors into the header. Answers where the scan directory is;
/// `None`: nowhere, and process 1 has nothing to supervise.
pub fn prepare<'a>(board: &Board<'a>, header: &mut Header) -> Option<&'a str> {
    if header.scandir_fd >= 0 {
        if let Some(place) = place_of(board.scandir(), Fd(header.scandir_fd)) {
            return go_on(board, place, header);
        }
    }
    let own = board.scandir();
    let mut places = OTHERS.into_iter().filter(|place| *place != own);
    let mut place = own;
    while let Err((what, e)) = open(place, header) {
        close(header);
        let Some(next) = places.next() else {
            error!("no scan directory: {place}: unable to {what}: {}: no service can be started", Reason(e));
            return None;
        };
        error!("scan directory {place}: unable to {what}: {}: it is {next}", Reason(e));
        place = next;
    }
    finish(board, place, header);
    Some(place)
}

/// What is left to be done for a scan directory that an earlier incarnation has opened.
fn go_on<'a>(board: &Board<'a>, place: &'a str, header: &mut Header) -> Option<&'a str> {
    if let Err((what, e)) = open(place, header) {
        error!("scan directory {place}: unable to {what}: {}: no service can be started", Reason(e));
        return None;
    }
    finish(board, place, header);
    Some(place)
}

/// Where the scan directory is that is open already; `None`: at none of its places.
fn place_of(own: &str, scandir: Fd) -> Option<&str> {
    let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let open = rustix::fs::fstat(scandir).map(identity).ok()?;
    [own].into_iter().chain(OTHERS).find(|place| {
        let path = CPath::<512>::of(&[place.as_bytes()]);
        path.path().and_then(rustix::fs::stat).map(identity) == Ok(open)
    })
}

/// The link /service, and the fd-holder's socket.
fn finish(board: &Board<'_>, place: &str, header: &mut Header) {
    let path = CPath::<512>::of(&[place.as_bytes()]);
    match path.path().and_then(|path| rustix::fs::symlink(path, c"/service")) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(e) => warning!("no link /service to {place}: {}", Reason(e)),
    }
    let (own, there) = (board.fdholder(), CPath::of(&[place.as_bytes(), b"/fdholder/s"]));
    if !hold_at(&own, header) && own.as_bytes() != there.as_bytes() {
        hold_at(&there, header);
    }
}

fn hold_at(socket: &CPath<512>, header: &mut Header) -> bool {
    if header.fdholder_fd >= 0 {
        return true; // it was bound before
    }
    make_parents(socket.as_bytes());
    match socket.path().and_then(server::listen) {
        Ok(fd) => {
            fault_point!("boot.holder");
            header.fdholder_fd = fd.0;
        }
        Err(e) => error!("no fd-holder at {}: {}", Printable(socket.as_bytes()), Reason(e)),
    }
    Fd(header.fdholder_fd).is_some()
}

fn open(place: &str, header: &mut Header) -> core::result::Result<(), (&'static str, Errno)> {
    let place = CPath::<512>::of(&[place.as_bytes()]);
    make_parents(place.as_bytes());
    let path = place.path().and_then(|path| make_dir(Fd::CWD, path, 0o755).map(|()| path));
    let path = path.map_err(|e| ("make it", e))?;
    open_scandir(header, path)
}

fn close(header: &mut Header) {
    for number in [&mut header.scandir_fd, &mut header.lock_fd, &mut header.control_fd, &mut header.null_fd] {
        Fd(*number).close();
        *number = -1;
    }
}
