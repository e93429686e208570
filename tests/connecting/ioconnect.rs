use crate::beside::{Beside, Ours, Theirs, content};
use crate::relay::{command, end, is_at_rest, pipe, start};
use crate::seen;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn text(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_peer_may_answer_after_it_has_seen_the_end() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ((input, mut feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((input, output, ours));
        feed.write_all(b"question").unwrap();
        drop(feed);
        assert_eq!(text(&peer), "question");
        peer.write_all(b"answer").unwrap();
        drop(peer);
        assert_eq!(text(drain), "answer");
        assert_eq!(end(child), (Some(0), String::new()), "{whose:?}");
    }
}

#[test]
fn the_same_over_tcp() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = tcp();
        let ((input, mut feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((input, output, ours));
        feed.write_all(b"question").unwrap();
        drop(feed);
        assert_eq!(text(&peer), "question");
        peer.write_all(b"answer").unwrap();
        drop(peer);
        assert_eq!(text(drain), "answer");
        assert_eq!(end(child), (Some(0), String::new()), "{whose:?}");
    }
}

#[test]
fn a_peer_that_ends_first_still_gets_what_comes() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = tcp();
        let ((input, mut feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((input, output, ours));
        peer.write_all(b"all I have").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(text(drain), "all I have");
        feed.write_all(b"then take this").unwrap();
        drop(feed);
        assert_eq!(text(peer), "then take this");
        assert_eq!(end(child), (Some(0), String::new()), "{whose:?}");
    }
}

#[test]
fn a_socket_as_standard_input_and_output_is_shut_down_in_one_direction_only() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (near, mut user) = UnixStream::pair().unwrap();
        let (ours, mut peer) = UnixStream::pair().unwrap();
        // Others hold these ends too: only a shutdown tells the peers.
        let child = start(&both, whose, &near, &near, &ours, &[]);
        user.write_all(b"question").unwrap();
        user.shutdown(Shutdown::Write).unwrap();
        assert_eq!(text(&peer), "question");
        peer.write_all(b"answer").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(text(&user), "answer");
        assert_eq!(end(child), (Some(0), String::new()), "{whose:?}");
    }
}

#[test]
fn megabytes_go_both_ways_at_once_past_slow_readers() {
    const SIZE: usize = 4 << 20;
    let both = Beside::new();
    let data: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8 ^ (at >> 12) as u8).collect();
    for kind in ["unix", "tcp"] {
        let ((input, feed), (drain, output)) = (pipe(), pipe());
        let (peer, child): (File, _) = if kind == "unix" {
            let (ours, peer) = UnixStream::pair().unwrap();
            (std::os::fd::OwnedFd::from(peer).into(), start(&both, Ours, &input, &output, &ours, &[]))
        } else {
            let (ours, peer) = tcp();
            (std::os::fd::OwnedFd::from(peer).into(), start(&both, Ours, &input, &output, &ours, &[]))
        };
        drop((input, output));
        let slowly = |mut from: &File| {
            let (mut all, mut some) = (Vec::with_capacity(SIZE), [0; 1111]);
            while all.len() < SIZE {
                match from.read(&mut some).unwrap() {
                    0 => break,
                    n => all.extend_from_slice(&some[..n]),
                }
                std::thread::yield_now();
            }
            all == data
        };
        std::thread::scope(|scope| {
            let far = scope.spawn(|| slowly(&peer));
            let near = scope.spawn(|| slowly(&drain));
            scope.spawn(|| (&peer).write_all(&data).unwrap());
            scope.spawn(|| (&feed).write_all(&data).unwrap());
            assert!(far.join().unwrap() && near.join().unwrap(), "{kind}: bytes were lost");
        });
        drop((feed, peer));
        assert_eq!(end(child).0, Some(0));
    }
}

#[test]
fn files_are_read_and_written() {
    let both = Beside::new();
    both.file("in", "x".repeat(300_000));
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let input = File::open(both.path().join("in")).unwrap();
        let output = File::create(both.path().join("out")).unwrap();
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop(ours);
        assert_eq!(text(&peer).len(), 300_000);
        peer.write_all(&[b'y'; 100_000]).unwrap();
        drop(peer);
        assert_eq!(end(child), (Some(0), String::new()), "{whose:?}");
        assert_eq!(content(&both.path().join("out")), "y".repeat(100_000));
    }
}

#[test]
fn a_terminal_works_as_standard_input() {
    let both = Beside::new();
    // SAFETY: system calls; the descriptors are new and nobody else's.
    let (mut near, far) = unsafe {
        use std::os::fd::FromRawFd;
        let near = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(near >= 0 && libc::grantpt(near) == 0 && libc::unlockpt(near) == 0);
        let far = libc::open(libc::ptsname(near), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(far >= 0, "{}", std::io::Error::last_os_error());
        (File::from_raw_fd(near), File::from_raw_fd(far))
    };
    let (ours, peer) = UnixStream::pair().unwrap();
    let (drain, output) = pipe();
    let child = start(&both, Ours, &far, &output, &ours, &[]);
    drop((output, ours));
    near.write_all(b"hello\n").unwrap();
    near.write_all(&[4]).unwrap(); // ^D at the beginning of a line: the end
    assert_eq!(text(&peer), "hello\n");
    drop(peer);
    assert_eq!((text(drain), end(child).0), (String::new(), Some(0)));
    // Not so with s6: whoever has the terminal next may write to it as before.
    assert!(!nonblocking(&far));
}

fn nonblocking(file: &impl AsRawFd) -> bool {
    // SAFETY: a system call on an open descriptor.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

#[test]
fn what_others_have_open_too_is_blocking_again_afterwards() {
    let both = Beside::new();
    // Debian's leaves it as it was needed.
    for whose in [Theirs, Ours] {
        let (ours, peer) = UnixStream::pair().unwrap();
        let ((input, feed), (_drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((feed, peer));
        assert_eq!(end(child).0, Some(0));
        let after = [nonblocking(&input), nonblocking(&output), nonblocking(&ours)];
        assert_eq!(after, [whose == Theirs; 3], "{whose:?}");
    }
}

#[test]
fn a_closed_descriptor_is_an_error() {
    let both = Beside::new();
    let (one, _other) = UnixStream::pair().unwrap();
    for missing in [0, 1, 6, 7] {
        let ends: Vec<(&dyn AsRawFd, RawFd)> =
            [0, 1, 6, 7].into_iter().filter(|n| *n != missing).map(|n| (&one as &dyn AsRawFd, n)).collect();
        let [theirs, ours] = [Theirs, Ours].map(|whose| {
            let mut command = command(&both, whose, &ends);
            command.stderr(std::process::Stdio::piped());
            end(command.spawn().unwrap())
        });
        assert_eq!(ours, theirs);
        assert_eq!(
            ours,
            (Some(111), format!("s6-ioconnect: fatal: unable to fstat fd {missing}: Bad file descriptor\n"))
        );
    }
}

#[test]
fn options_are_s6s() {
    let both = Beside::new();
    for words in
        [&["-r", "2"][..], &["-w", "0"], &["-r", "x"], &["-t", "-1"], &["-t", "4294967296"], &["-x"], &["-r"], &["--t"]]
    {
        let [theirs, ours] = [Theirs, Ours].map(|whose| seen(both.command(whose, "ioconnect").args(words)));
        assert_eq!(ours, theirs);
        assert_eq!(ours.code, 100);
    }
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ((input, mut feed), (drain, output)) = (pipe(), pipe());
        let ends: [(&dyn AsRawFd, RawFd); 4] = [(&input, 0), (&output, 1), (&ours, 4), (&ours, 5)];
        let mut command = command(&both, whose, &ends);
        let child =
            command.args(["-0167", "-r", "4", "-w5", "word"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop((input, output, ours, command));
        feed.write_all(b"there").unwrap();
        drop(feed);
        assert_eq!(text(&peer), "there");
        peer.write_all(b"back").unwrap();
        drop(peer);
        assert_eq!((text(drain), end(child)), ("back".to_owned(), (Some(0), String::new())), "{whose:?}");
    }
}

#[test]
fn one_number_may_be_read_and_written() {
    // Debian's closes it when one direction ends, and loses the other.
    let both = Beside::new();
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let ((input, mut feed), (drain, output)) = (pipe(), pipe());
    let ends: [(&dyn AsRawFd, RawFd); 3] = [(&input, 0), (&output, 1), (&ours, 5)];
    let mut command = command(&both, Ours, &ends);
    let child = command.args(["-r5", "-w5"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop((input, output, ours, command));
    feed.write_all(b"there").unwrap();
    drop(feed);
    assert_eq!(text(&peer), "there");
    peer.write_all(b"back").unwrap();
    drop(peer);
    assert_eq!((text(drain), end(child)), ("back".to_owned(), (Some(0), String::new())));
}

#[test]
fn a_silence_that_is_too_long_ends_both_directions() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ((input, _feed), (drain, output)) = (pipe(), pipe());
        let before = std::time::Instant::now();
        let child = start(&both, whose, &input, &output, &ours, &["-t", "300"]);
        drop((input, output));
        if whose == Theirs {
            drop(ours); // only the manual says that it closes the connection
        }
        peer.write_all(b"once").unwrap();
        assert_eq!(text(drain), "once");
        assert_eq!(text(peer), "");
        assert_eq!(end(child), (Some(1), String::new()), "{whose:?}");
        assert!(before.elapsed() >= std::time::Duration::from_millis(300));
    }
}

#[test]
fn data_that_nobody_takes_is_waited_with() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ((input, _feed), (drain, output)) = (pipe(), pipe());
        // SAFETY: a system call on an open descriptor.
        assert!(unsafe { libc::fcntl(drain.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) } >= 4096);
        peer.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(more) = peer.write(&[b'x'; 1024]) {
            sent += more;
        }
        assert!(sent > 80_000, "that is no more than the pipe and the buffer hold");
        let before = std::time::Instant::now();
        let child = start(&both, whose, &input, &output, &ours, &["-t", "500"]);
        drop((input, output, ours));
        while before.elapsed() < std::time::Duration::from_secs(1) {
            is_at_rest(&child);
        }
        drop(peer);
        assert_eq!(text(drain).len(), sent);
        // The connection is gone, so nothing is left to be silent.
        assert_eq!(end(child), (Some(0), String::new()), "{whose:?}");
    }
}

#[test]
fn a_peer_that_is_gone_ends_it_with_standard_input_open() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, peer) = UnixStream::pair().unwrap();
        let ((input, _feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((input, output, ours, peer));
        assert_eq!((text(drain), end(child)), (String::new(), (Some(0), String::new())), "{whose:?}");
    }
}

#[test]
fn an_output_that_is_gone_ends_its_direction_at_once() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, peer) = UnixStream::pair().unwrap();
        let ((input, mut feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((input, output, ours, drain));
        // Nothing is sent, which would be unread in the end; but whether it could be is answered.
        // SAFETY: a system call on an open descriptor, with no bytes.
        let sent = || unsafe { libc::send(peer.as_raw_fd(), std::ptr::null(), 0, libc::MSG_NOSIGNAL) };
        crate::beside::eventually(|| sent() < 0 && std::io::Error::last_os_error().kind() == ErrorKind::BrokenPipe);
        feed.write_all(b"still").unwrap();
        drop(feed);
        assert_eq!(text(peer), "still");
        assert_eq!(end(child).0, Some(0), "{whose:?}");
    }
}

#[test]
fn data_that_cannot_be_written_is_complained_about() {
    let both = Beside::new();
    let [theirs, ours] = [Theirs, Ours].map(|whose| {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ((input, feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((input, output, ours));
        peer.set_nonblocking(true).unwrap();
        let mut sent = 0;
        crate::beside::eventually(|| {
            sent += peer.write(&[b'x'; 4096]).unwrap_or(0);
            sent > 150_000
        });
        drop(drain);
        drop(feed);
        assert_eq!(text_of_blocking(peer), "");
        end(child)
    });
    assert_eq!(ours, theirs);
    assert_eq!(ours, (Some(0), "s6-ioconnect: warning: unable to write to fd 1: Broken pipe\n".to_owned()));
}

fn text_of_blocking(peer: UnixStream) -> String {
    peer.set_nonblocking(false).unwrap();
    // It has not read all that was sent to it: what ends this is a reset.
    let mut all = Vec::new();
    let _ = (&peer).read_to_end(&mut all);
    String::from_utf8(all).unwrap()
}

#[test]
fn sigterm_does_nothing_as_in_s6() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let ((input, mut feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, whose, &input, &output, &ours, &[]);
        drop((input, output, ours));
        let mut one = [0];
        feed.write_all(b"x").unwrap();
        peer.read_exact(&mut one).unwrap(); // it is at work
        linchpin::sys::process::kill(child.id() as i32, linchpin::sys::signal::number::TERM).unwrap();
        feed.write_all(b"after").unwrap();
        drop(feed);
        assert_eq!(text(&peer), "after");
        peer.write_all(b"too").unwrap();
        drop(peer);
        assert_eq!((text(drain), end(child)), ("too".to_owned(), (Some(0), String::new())), "{whose:?}");
    }
}

/// Writes until that has not been possible for some time; answers how much it was.
fn fill(mut to: &File) -> usize {
    // SAFETY: a system call on an open descriptor.
    unsafe { libc::fcntl(to.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let (mut sent, mut waited) = (0, 0);
    while waited < 200 {
        match to.write(&[b'x'; 4096]) {
            Ok(more) => (sent, waited) = (sent + more, 0),
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                waited += 1;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
    sent
}

#[test]
fn it_rests_when_there_is_nothing_to_do() {
    let both = Beside::new();
    let begin = || {
        let (ours, peer) = UnixStream::pair().unwrap();
        let ((input, feed), (drain, output)) = (pipe(), pipe());
        let child = start(&both, Ours, &input, &output, &ours, &[]);
        (child, peer, feed, drain)
    };
    // Everything open.
    let (child, peer, feed, drain) = begin();
    is_at_rest(&child);
    // The peer has ended, the user has not.
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(text(&drain), "");
    is_at_rest(&child);
    drop((feed, peer));
    assert_eq!(end(child).0, Some(0));

    // The user has ended, the peer has not.
    let (child, peer, feed, drain) = begin();
    drop(feed);
    assert_eq!(text(&peer), "");
    is_at_rest(&child);
    drop(peer);
    assert_eq!((text(drain), end(child).0), (String::new(), Some(0)));

    // The peer is gone and nobody takes what it has left behind.
    let (child, mut peer, feed, drain) = begin();
    peer.set_nonblocking(true).unwrap();
    let mut sent = 0;
    crate::beside::eventually(|| {
        sent += peer.write(&[b'x'; 4096]).unwrap_or(0);
        sent > 150_000
    });
    drop(peer);
    is_at_rest(&child);
    assert_eq!(text(drain).len(), sent);
    drop(feed);
    assert_eq!(end(child).0, Some(0));

    // The user is gone and the peer takes nothing.
    let (child, peer, feed, drain) = begin();
    let sent = fill(&feed);
    drop((feed, drain));
    is_at_rest(&child);
    assert_eq!(text(peer).len(), sent);
    assert_eq!(end(child).0, Some(0));
}
