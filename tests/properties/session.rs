//! One client's session with the fd-holder, dumps included, whatever the client sends and in whatever pieces: the check,
//! for proptest (`main.rs` beside this) and for libFuzzer (`fuzz/`).

use linchpin::fdholder::journal::Journal;
use linchpin::fdholder::records::Now;
use linchpin::fdholder::rights;
use linchpin::fdholder::session::{self, Context};
use linchpin::fdholder::table::{self, Table};
use linchpin::log;
use linchpin::state::{Client, Held, Transfer};
use linchpin::sys::epoll::Flags;
use linchpin::sys::{Fd, socket};
use linchpin::text::tai::Stamp;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use zerocopy::FromZeros;

/// So many descriptors can be held.
const ROOM: usize = 6;

/// What a session needs, made once: the records are large.
pub struct Place {
    client: Box<Client>,
    transfer: Box<Transfer>,
    held: Vec<Held>,
}

impl Place {
    pub fn new() -> Place {
        log::set_target(log::Target::Nowhere);
        Place {
            client: Box::new(Client::new_zeroed()),
            transfer: Box::new(Transfer::new_zeroed()),
            held: (0..ROOM).map(|_| Held::new_zeroed()).collect(),
        }
    }
}

/// The other side reads what there is, and closes what it is given; false: there is nothing more.
fn take(peer: Fd) -> bool {
    let (mut bytes, mut fds) = ([0; 4096], [Fd::NONE; socket::MAX_FDS]);
    let Ok(got) = socket::receive(peer, &mut bytes, &mut fds) else { return false };
    fds[..got.fds].iter_mut().for_each(Fd::close);
    got.bytes > 0
}

/// `data` is a list of pieces: a byte that says how many descriptors come along, whether the answers are read, and what
/// right the client has lost; a byte for the length; so many bytes. Whatever they are: the records stay intact, no more is
/// held than there is room for, and in the end no descriptor is left that nobody holds.
pub fn session(place: &mut Place, data: &[u8]) {
    let (ours, peer) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
            .unwrap();
    let (ours, mut peer) = (Fd::from_owned(ours), Fd::from_owned(peer));
    let (mut watched, mut given) = Fd::pipe().unwrap();
    watched.set_nonblocking(true).unwrap();
    let client = &mut *place.client;
    let mut now = Now { boot: 1_000_000_000, wall: Stamp::from_unix(1_700_000_000, 0) };
    let mut top = 0;
    let mut journal = Journal::new();
    session::open(client, 1, ours, socket::Peer { pid: 1, uid: 0, gid: 0 }, now.boot);
    rights::allow_everything(client);
    session::establish(client);
    let mut rest = data;
    let mut over = false;
    while let (false, [how, length, more @ ..]) = (over, rest) {
        let (piece, behind) = more.split_at(more.len().min(usize::from(*length)));
        rest = behind;
        now.boot += 1;
        let _ = socket::send(peer, piece, &[given; 3][..usize::from(how & 3)]);
        if how & 0x80 != 0 {
            peer.close();
        }
        // What waits for the other side to read would be tried for ever.
        for _ in 0..100 {
            let mut held = Table::new(&mut place.held, &mut top);
            while let Some(mut fd) = held.remove_expired(now.wall) {
                fd.close();
            }
            let mut context = Context {
                slot: 0,
                transfer: &mut place.transfer,
                held: &mut held,
                allows: &[],
                pending: &[],
                now: &now,
                journal: &mut journal,
                listener: Fd::NONE,
                spare_from: i32::MAX,
                turn: 2,
                burdened: how & 0x40 != 0,
                ending: false,
                wish: linchpin::fdholder::upgrade::Wish::Nobody,
            };
            over = session::serve(client, &mut context).is_err();
            assert!(over || session::intact(client));
            assert!(held.iter().all(|(_, held)| table::intact(held)));
            let read = how & 4 != 0 && peer.is_some() && take(peer);
            if over || !read && session::interest(client, false).contains(Flags::IN) {
                break;
            }
        }
    }
    let mut held = Table::new(&mut place.held, &mut top);
    session::close(client, &held);
    peer.close();
    assert!(held.count() <= ROOM);
    for slot in 0..ROOM {
        if let Some(mut fd) = held.remove(slot) {
            fd.close();
        }
    }
    given.close();
    assert_eq!(rustix::io::read(watched, &mut [0; 1]), Ok(0), "a descriptor is left");
    watched.close();
}
