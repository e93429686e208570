use super::request::{FIXED, Malformed, Request, encode};
use super::server::{Failure, admit, receive};
use super::*;
use crate::fdholder::wire::HEADER;
use crate::limits::SUDO_COUNT;
use crate::sys::args::Env;
use crate::sys::environment::Environment;
use crate::sys::{socket, time};
use proptest::prelude::*;
use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

fn strings(words: &[&str]) -> Vec<CString> {
    words.iter().map(|word| CString::new(*word).unwrap()).collect()
}

fn message(args: &[&str], env: &[&str]) -> Vec<u8> {
    let (args, env) = (strings(args), strings(env));
    let mut out = vec![0; 4096];
    encode(&mut out, args.iter().map(CString::as_c_str), env.iter().map(CString::as_c_str)).unwrap().to_vec()
}

/// A payload with these numbers in it, whatever is true.
fn payload(numbers: [u32; 4], strings: &[u8]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|n| n.to_be_bytes());
    CLIENT.iter().copied().chain(numbers).chain(strings.iter().copied()).collect()
}

#[test]
fn a_request_is_as_s6_writes_it() {
    let expected = b"\0\0\0\x31\0\x03s6-sudo a v1.0\n\0\0\0\x03\0\0\0\x01\0\0\0\x0d\0\0\0\x05sh\0-c\0exit 3\0A=1=\0";
    assert_eq!(message(&["sh", "-c", "exit 3"], &["A=1=", "no variable"]), expected);
    let request = Request::parse(&expected[HEADER..]).unwrap();
    assert_eq!(request.args().collect::<Vec<_>>(), [c"sh", c"-c", c"exit 3"]);
    assert_eq!(request.variables().collect::<Vec<_>>(), [(&b"A"[..], &b"1="[..])]);
}

#[test]
fn a_request_may_be_of_nothing_or_of_empty_words() {
    assert_eq!(Request::parse(&message(&[], &[])[HEADER..]).unwrap().argc(), 0);
    let message = message(&["", ""], &["="]);
    let request = Request::parse(&message[HEADER..]).unwrap();
    assert_eq!((request.argc(), request.args().count(), request.variables().count()), (2, 2, 1));
}

#[test]
fn numbers_that_are_not_true_are_refused() {
    let refused = |numbers, strings: &[u8]| Request::parse(&payload(numbers, strings)).unwrap_err();
    assert!(Request::parse(&payload([1, 1, 2, 4], b"a\0B=c\0")).is_ok());
    for numbers in
        [[1, 1, 2, 3], [1, 1, 3, 4], [1, 1, 2, u32::MAX], [1, 1, u32::MAX, u32::MAX], [1, 1, u32::MAX - 1, 8]]
    {
        assert_eq!(refused(numbers, b"a\0B=c\0"), Malformed::Length, "{numbers:?}");
    }
    for numbers in [[2, 1, 2, 4], [0, 1, 2, 4], [1, 0, 2, 4], [1, 2, 2, 4], [1, 1, 1, 5], [1, 1, 3, 3], [1, 1, 6, 0]] {
        assert_eq!(refused(numbers, b"a\0B=c\0"), Malformed::Strings, "{numbers:?}");
    }
    assert_eq!(refused([1, 1, 2, 4], b"a\0B=cd"), Malformed::Strings);
    assert_eq!(refused([1, 1, 2, 4], b"a\0Bcd\0"), Malformed::Variable);
    for numbers in [[SUDO_COUNT as u32 + 1, 1, 2, 4], [1, u32::MAX, 2, 4]] {
        assert_eq!(refused(numbers, b"a\0B=c\0"), Malformed::Count, "{numbers:?}");
    }
    assert_eq!(Request::parse(&payload([0; 4], b"")[..FIXED - 1]), Err(Malformed::Length));
    assert_eq!(Request::parse(&[b'x'; FIXED]), Err(Malformed::Banner));
}

#[test]
fn what_does_not_fit_is_not_written() {
    let word = CString::new(vec![b'x'; 1000]).unwrap();
    let words = |count| std::iter::repeat_n(word.as_c_str(), count);
    let mut out = vec![0; HEADER + FIXED + 2 * 1001];
    assert!(encode(&mut out, words(2), words(0)).is_ok());
    assert_eq!(encode(&mut out, words(3), words(0)), Err(Errno::TOOBIG));
    let mut out = vec![0; SUDO_REQUEST];
    assert!(encode(&mut out, std::iter::repeat_n(c"", SUDO_COUNT), words(0)).is_ok());
    assert_eq!(encode(&mut out, std::iter::repeat_n(c"", SUDO_COUNT + 1), words(0)), Err(Errno::TOOBIG));
}

#[test]
fn a_variable_is_taken_if_the_server_has_it_empty_and_only_then() {
    let server: &'static [&'static CStr] = &[c"EMPTY=", c"FULL=server", c"TWICE=", c"EMPTIED=", c"PRE=", c"=", c"odd"];
    let environment = Box::leak(Box::new(Environment::new()));
    environment.begin(Env::EMPTY).unwrap();
    for entry in server {
        let (name, value) = request::split(entry.to_bytes()).unwrap_or((b"odd", b"x"));
        environment.add(name, value).unwrap();
    }
    let client =
        ["EMPTY=1=2", "FULL=client", "ABSENT=x", "TWICE=", "TWICE=first", "TWICE=second", "EMPTIED=", "PREFIX=x", "=y"];
    let message = message(&[], &client);
    admit(environment, &Request::parse(&message[HEADER..]).unwrap()).unwrap();
    let mut all: Vec<_> = environment.iter().map(|entry| entry.to_str().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, ["=y", "EMPTIED=", "EMPTY=1=2", "FULL=server", "PRE=", "TWICE=first", "odd=x"]);
}

/// Sends pieces, each with so many ends of a pipe, then hangs up; what the server makes of it, and whether all ends of the
/// pipe are closed then, but those that it was to get.
fn received(pieces: &[(&[u8], usize)]) -> (std::result::Result<usize, Failure>, bool) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut left, mut end) = Fd::pipe().unwrap();
    for (bytes, fds) in pieces {
        let fds = vec![end; *fds];
        assert_eq!(socket::send(Fd(ours.as_raw_fd()), bytes, &fds), Ok(bytes.len()));
    }
    drop(ours);
    end.close();
    let room: &'static mut Room = Box::leak(vec![0; SUDO_REQUEST].into_boxed_slice()).try_into().unwrap();
    let limit = Some(time::boot() + 20 * time::SECOND);
    let asked = receive(Fd(theirs.as_raw_fd()), room, limit).map(|mut asked| {
        asked.stdio.iter().for_each(|fd| assert!(fd.is_open()));
        asked.stdio.iter_mut().for_each(Fd::close);
        asked.request.argc()
    });
    // What was sent behind the request is with the socket still.
    drop(theirs);
    let closed = file::read_some(left, &mut [0]) == Ok(0);
    left.close();
    (asked, closed)
}

#[test]
fn a_request_is_received_whole_or_split_anywhere() {
    let whole = message(&["a", "b"], &["C=d"]);
    assert_eq!(received(&[(&whole, 3)]), (Ok(2), true));
    for at in 1..whole.len() {
        let (head, tail) = whole.split_at(at);
        assert_eq!(received(&[(head, 3), (tail, 0)]), (Ok(2), true), "{at}");
        assert_eq!(received(&[(head, 1), (tail, 2)]), (Ok(2), true), "{at}");
        assert_eq!(received(&[(head, 3)]), (Err(Failure::Gone), true), "{at}");
    }
    let single: Vec<_> = whole.chunks(1).zip([3].into_iter().chain(std::iter::repeat(0))).collect();
    assert_eq!(received(&single), (Ok(2), true));
}

#[test]
fn other_descriptors_than_three_are_refused_and_closed() {
    let whole = message(&["a"], &[]);
    for count in [0, 1, 2, 4, 5, socket::MAX_FDS] {
        assert_eq!(received(&[(&whole, count)]), (Err(Failure::Descriptors), true), "{count}");
    }
    let (head, tail) = whole.split_at(HEADER);
    assert_eq!(received(&[(head, 3), (tail, 1)]), (Err(Failure::Descriptors), true));
    for told in [0, 2, 4, 255] {
        let mut wrong = whole.clone();
        wrong[5] = told;
        assert_eq!(received(&[(&wrong, 3)]), (Err(Failure::Descriptors), true), "{told}");
    }
    assert_eq!(received(&[]), (Err(Failure::Gone), true));
}

#[test]
fn nothing_is_waited_for_that_cannot_fit() {
    for length in [SUDO_REQUEST - HEADER + 1, u32::MAX as usize] {
        let mut header = [0, 0, 0, 0, 0, 3];
        header[..4].copy_from_slice(&(length as u32).to_be_bytes());
        assert_eq!(received(&[(&header, 3)]), (Err(Failure::TooLong(length)), true));
    }
    assert_eq!(received(&[(&[0, 0, 0, 0, 0, 3], 3)]), (Err(Failure::Malformed(Malformed::Length)), true));
}

#[test]
fn what_comes_behind_a_request_is_left_alone() {
    let whole = message(&["a"], &[]);
    assert_eq!(received(&[(&whole, 3), (b"more", 0)]), (Ok(1), true));
    assert_eq!(received(&[(&whole, 3), (b"more", 5)]), (Ok(1), true));
}

#[test]
fn a_client_that_stalls_is_waited_for_until_the_deadline() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    socket::send(Fd(ours.as_raw_fd()), &message(&["a"], &[])[..10], &[Fd(ours.as_raw_fd()); 3]).unwrap();
    let room: &'static mut Room = Box::leak(vec![0; SUDO_REQUEST].into_boxed_slice()).try_into().unwrap();
    let limit = Some(time::boot() + 5 * time::MILLI);
    let failure = receive(Fd(theirs.as_raw_fd()), room, limit).err();
    assert_eq!(failure, Some(Failure::Unable("read message from client", Errno::TIMEDOUT)));
}

proptest! {
    #[test]
    fn a_request_reads_back(args: Vec<String>, env in prop::collection::vec("[A-Z]{0,3}=[ -~]{0,9}", 0..9)) {
        let args: Vec<_> = args.iter().map(|word| word.replace('\0', "")).collect();
        let (args, env): (Vec<_>, Vec<_>) = (args.iter().map(String::as_str).collect(), env.iter().map(String::as_str).collect());
        prop_assume!(args.iter().map(|word| word.len() + 1).sum::<usize>() < 3000);
        let message = message(&args, &env);
        let request = Request::parse(&message[HEADER..]).unwrap();
        prop_assert_eq!(request.args().map(CStr::to_bytes).collect::<Vec<_>>(), args.iter().map(|a| a.as_bytes()).collect::<Vec<_>>());
        let joined: Vec<_> = request.variables().map(|(name, value)| [name, b"=", value].concat()).collect();
        prop_assert_eq!(joined, env.iter().map(|e| e.as_bytes().to_vec()).collect::<Vec<_>>());
    }
}
