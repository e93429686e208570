//! Whatever comes in pieces of whatever size, and whoever ends first: nothing is lost, nothing is added.

use crate::beside::{Beside, Ours};
use crate::relay::{end, pipe, start};
use proptest::prelude::*;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// What one of those who write does next.
#[derive(Clone, Debug)]
enum Step {
    /// The user, or the peer, writes so many bytes.
    Write { peer: bool, size: usize },
    /// It ends.
    End { peer: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), prop_oneof![1..100usize, 1..5_000usize, 60_000..140_000usize])
            .prop_map(|(peer, size)| Step::Write { peer, size }),
        1 => any::<bool>().prop_map(|peer| Step::End { peer }),
    ]
}

/// The byte at `at` of what the user (or the peer) says.
fn byte(peer: bool, at: usize) -> u8 {
    (at % 253) as u8 ^ (at >> 11) as u8 ^ if peer { 0xa5 } else { 0 }
}

fn all_of(mut from: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).unwrap();
    all
}

fn connection(tcp: bool) -> (OwnedFd, OwnedFd) {
    if tcp {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours.into(), listener.accept().unwrap().0.into())
    } else {
        let (ours, peer) = UnixStream::pair().unwrap();
        (ours.into(), peer.into())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_streams_arrive_whole(
        steps in proptest::collection::vec(step(), 0..14),
        tcp: bool,
        user_is_a_socket: bool,
        peer_ends_first: bool,
    ) {
        let both = Beside::new();
        let (ours, peer) = connection(tcp);
        let peer = File::from(peer);
        let (child, user_out, user_in);
        if user_is_a_socket {
            let (near, user) = connection(false);
            child = start(&both, Ours, &near, &near, &ours, &[]);
            user_in = File::from(user);
            user_out = user_in.try_clone().unwrap();
        } else {
            let ((input, feed), (drain, output)) = (pipe(), pipe());
            child = start(&both, Ours, &input, &output, &ours, &[]);
            (user_out, user_in) = (feed, drain);
        }
        drop(ours);
        // The user's is closed at its end, which a pipe needs; of a socket there is another descriptor.
        let mut writers = [Some(user_out), Some(peer.try_clone().unwrap())];
        let mut said = [0; 2];
        let (to_user, to_peer) = std::thread::scope(|scope| {
            let to_peer = scope.spawn(|| all_of(&peer));
            let to_user = scope.spawn(|| all_of(&user_in));
            let ends = [Step::End { peer: peer_ends_first }, Step::End { peer: !peer_ends_first }];
            for step in steps.iter().chain(&ends) {
                let (Step::Write { peer: of_peer, .. } | Step::End { peer: of_peer }) = *step;
                let writer = &mut writers[usize::from(of_peer)];
                match (step, writer.as_mut()) {
                    (Step::Write { size, .. }, Some(out)) => {
                        let at = &mut said[usize::from(of_peer)];
                        let bytes: Vec<u8> = (*at..*at + size).map(|at| byte(of_peer, at)).collect();
                        *at += size;
                        out.write_all(&bytes).unwrap();
                    }
                    (Step::End { .. }, Some(out)) => {
                        let _ = rustix::net::shutdown(linchpin::sys::Fd(out.as_raw_fd()), rustix::net::Shutdown::Write); // a pipe: ENOTSOCK
                        *writer = None;
                    }
                    _ => {}
                }
            }
            (to_user.join().unwrap(), to_peer.join().unwrap())
        });
        let expected = |peer: bool| (0..said[usize::from(peer)]).map(|at| byte(peer, at)).collect::<Vec<u8>>();
        prop_assert!(to_peer == expected(false), "{} bytes of {}", to_peer.len(), said[0]);
        prop_assert!(to_user == expected(true), "{} bytes of {}", to_user.len(), said[1]);
        prop_assert_eq!(end(child), (Some(0), String::new()));
    }
}
