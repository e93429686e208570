//! The board's sockets: every one is bound, and held by the fd-holder, before the first process is started. What cannot
//! be bound is reported; the others are there.

use crate::board::model::{Board, Socket};
use crate::board::users::{self, Unknown};
use crate::fdholder::server::{self, Now};
use crate::fdholder::table::{Origin, Table};
use crate::socket::bind::bind;
use crate::state::Tables;
use crate::text::errno::Reason;
use crate::{info, warning};

/// Binds and stores them all; answers how many are held.
pub fn bind_all(board: &Board<'_>, tables: &mut Tables) -> usize {
    let mut held = Table::new(&mut tables.held, &mut tables.header.held_top);
    board.sockets().iter().filter(|socket| bind_one(socket, &mut held)).count()
}

fn bind_one(socket: &Socket<'_>, held: &mut Table<'_>) -> bool {
    let name = socket.name;
    let ids = users::resolve(&socket.owner).unwrap_or_else(|unknown| {
        let (what, why) = match unknown {
            Unknown::User(why) => ("user", why),
            Unknown::Group(why) => ("group", why),
        };
        match why {
            None => warning!("socket {name}: there is no such {what}: it belongs to root"),
            Some(e) => warning!("socket {name}: its {what} cannot be looked up: {}: it belongs to root", Reason(e)),
        }
        (None, None)
    });
    let mut fd = match bind(&socket.address, &socket.options(ids)) {
        Ok(fd) => fd,
        Err(failure) => {
            warning!("socket: unable to {} {name}: {}", failure.step.text(), Reason(failure.errno));
            return false;
        }
    };
    if let Err(e) = server::store_own(held, name.as_bytes(), fd, Origin::Board, &Now::read()) {
        warning!("socket {name} cannot be held: {}", Reason(e));
        fd.close();
        return false;
    }
    if socket.address.is_unix() {
        let (uid, gid) = (ids.0.unwrap_or(0), ids.1.unwrap_or(0));
        info!("socket {name} is bound and held: mode {:04o}, owner {uid}:{gid}", socket.mode);
    } else {
        info!("socket {name} is bound and held");
    }
    true
}
