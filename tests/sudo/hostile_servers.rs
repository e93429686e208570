//! Servers that do not do what sudoc expects.

use crate::beside::*;
use crate::side::*;
use linchpin::sys::{Fd, socket};
use proptest::prelude::*;
use std::fs::File;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

/// What such a server does.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Say(&'a [u8]),
    /// The same, with descriptors.
    Give(&'a [u8]),
    /// Reads the request.
    Take,
    HangUp,
}

use Step::*;

/// Takes what has been sent, with its descriptors, until there are so many bytes.
fn take(from: &UnixStream, wanted: usize) -> (Vec<u8>, Vec<Fd>) {
    let (mut bytes, mut all) = (Vec::new(), Vec::new());
    while bytes.len() < wanted {
        let (mut more, mut fds) = ([0; 65536], [Fd::NONE; 16]);
        let got = socket::receive_waiting(Fd(from.as_raw_fd()), &mut more, &mut fds).unwrap();
        assert!(got.bytes > 0, "{bytes:?}");
        bytes.extend(&more[..got.bytes]);
        all.extend(&fds[..got.fds]);
    }
    (bytes, all)
}

/// Serves a sudoc: its exit code, what it said.
fn serve(whose: Whose, options: &[&str], steps: &[Step<'_>]) -> (i32, String) {
    let both = Beside::new();
    let (socket, theirs) = UnixStream::pair().unwrap();
    let log = both.path().join("said");
    let words = [options, &["true"]].concat();
    let mut command = sudoc_at(&both, whose, theirs, &words);
    let mut process = command.stdout(File::create(&log).unwrap()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    drop(command);
    let null = File::open("/dev/null").unwrap();
    for step in steps {
        match step {
            Say(bytes) => drop(send(&socket, bytes, &[])),
            Give(bytes) => drop(send(&socket, bytes, &[Fd(null.as_raw_fd()); 5])),
            Take => {
                let (header, mut fds) = take(&socket, 6);
                fds.iter_mut().for_each(Fd::close);
                let length = u32::from_be_bytes(header[..4].try_into().unwrap()) as usize;
                assert_eq!(header.len(), 6 + length);
            }
            HangUp => socket.shutdown(Shutdown::Both).unwrap(),
        }
    }
    (code(&mut process), content(&log))
}

/// Ours and Debian's end with this code.
fn both_end_with(expected: i32, options: &[&str], steps: &[Step<'_>]) -> String {
    let [(theirs, _), (ours, said)] = BOTH.map(|whose| serve(whose, options, steps));
    assert_eq!((theirs, ours), (expected, expected), "{steps:?} {said}");
    said
}

const B: Step<'static> = Say(SERVER);

#[test]
fn a_server_that_hangs_up_is_told_of_wherever_it_does() {
    let said = both_end_with(111, &[], &[HangUp]);
    assert_eq!(
        said,
        "s6-sudoc: fatal: unable to connect to the s6-sudod server - check that you have appropriate permissions\n"
    );
    for (steps, what) in [
        (&[Say(b"s6-su"), HangUp][..], "read banner from server"),
        (&[B, Take, HangUp], "get confirmation from server"),
        (&[B, Take, Say(&[0]), HangUp], "get exit status from server"),
        (&[B, Take, Say(&[0, 0, 0]), HangUp], "get exit status from server"),
    ] {
        let said = both_end_with(111, &[], steps);
        assert_eq!(said, format!("s6-sudoc: fatal: unable to {what}: the server has hung up\n"));
    }
    both_end_with(111, &[], &[B, HangUp]);
}

#[test]
fn somebody_else_is_not_taken_for_a_server() {
    let wrong = "s6-sudoc: fatal: wrong banner - check that you are connecting to a s6-sudod server\n";
    for banner in [&b"220 mail.example.org ESMTP\r\n"[..], b"s6-sudo a v1.0\n", b"s6-sudo b v2.0\n", &[0; 15]] {
        assert_eq!(both_end_with(100, &[], &[Say(banner)]), wrong);
    }
    assert_eq!(serve(Ours, &[], &[Say(b"OK\n"), HangUp]), (100, wrong.to_owned()));
}

#[test]
fn a_server_that_stalls_is_given_up() {
    for (steps, what) in [
        (&[][..], "read banner from server"),
        (&[Say(b"s6-sudo b v1.0")], "read banner from server"),
        (&[B, Take], "get confirmation from server"),
        (&[B, Take, Say(&[0])], "get exit status from server"),
        (&[B, Take, Say(&[0, 0, 0, 7])], "get exit status from server"),
    ] {
        // One of the limits is far away, in which case it must be the other one that counts.
        let started = steps.len() > 2;
        let options = if started { ["-t", "20000", "-T", "100"] } else { ["-t", "100", "-T", "20000"] };
        let mut options = options.to_vec();
        options.extend(["-e"]);
        let said = serve(Ours, &options, steps);
        assert_eq!(said, (111, format!("s6-sudoc: fatal: unable to {what}: Connection timed out\n")), "{steps:?}");
    }
}

#[test]
fn a_server_that_does_not_read_is_given_up() {
    let both = Beside::new();
    let (socket, theirs) = UnixStream::pair().unwrap();
    let words: Vec<String> = vec!["x".repeat(120_000); 2];
    let words: Vec<&str> = ["-e", "-t", "100"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let mut command = sudoc_at(&both, Ours, theirs, &words);
    let log = both.path().join("said");
    let mut process = command.stdout(File::create(&log).unwrap()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    drop(command);
    assert!(send(&socket, SERVER, &[]));
    assert_eq!(code(&mut process), 111);
    assert_eq!(content(&log), "s6-sudoc: fatal: unable to send args to server: Connection timed out\n");
}

#[test]
fn a_reason_is_told_whatever_it_is() {
    for (errno, reason) in [(1, "Operation not permitted"), (13, "Permission denied"), (255, "errno 255")] {
        let said = both_end_with(111, &[], &[B, Take, Say(&[errno])]);
        let what = "s6-sudoc: fatal: unable to start privileged program: server answered:";
        assert_eq!(said, format!("{what} {reason}\n"));
    }
}

/// One that does not want to read all of a request can say so, and is heard.
#[test]
fn a_reason_is_told_by_a_server_that_hangs_up_in_the_middle_of_a_request() {
    let both = Beside::new();
    let (socket, theirs) = UnixStream::pair().unwrap();
    let words = ["-e", &"x".repeat(120_000), &"y".repeat(120_000)];
    let mut command = sudoc_at(&both, Ours, theirs, &words);
    let log = both.path().join("said");
    let mut process = command.stdout(File::create(&log).unwrap()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    drop(command);
    assert!(send(&socket, SERVER, &[]));
    let (_, mut fds) = take(&socket, 6);
    fds.iter_mut().for_each(Fd::close);
    assert!(send(&socket, &[7], &[]));
    drop(socket);
    assert_eq!(code(&mut process), 111);
    assert!(content(&log).ends_with("server answered: Argument list too long\n"), "{}", content(&log));
}

#[test]
fn answers_may_come_in_pieces_or_together_or_with_descriptors() {
    both_end_with(7, &[], &[B, Take, Say(&[0]), Say(&[0, 0]), Say(&[7]), Say(&[0])]);
    both_end_with(7, &[], &[B, Take, Say(&[0, 0, 0, 7, 0]), Say(b"more")]);
    both_end_with(7, &[], &[Give(SERVER), Take, Give(&[0]), Give(&[0, 0, 7, 0])]);
    // One that does not wait for the request.
    let early = [SERVER, &[0, 0, 0, 7, 0]].concat();
    assert_eq!(serve(Ours, &[], &[Say(&early), Take]), (7, String::new()));
    let bytewise: Vec<Step<'_>> = SERVER.chunks(1).map(Say).chain([Take, Say(&[0; 5])]).collect();
    both_end_with(0, &[], &bytewise);
}

#[test]
fn it_ends_as_the_program_did() {
    for (status, expected) in
        [(0, 0), (0x700, 7), (0x7f00, 127), (0xff00, 255), (15, 1015), (9, 1009), (0x8b, 1011), (34, 1034)]
    {
        let status = u32::to_be_bytes(status);
        let steps = [B, Take, Say(&[0]), Say(&status)];
        assert_eq!(serve(Ours, &[], &steps), (expected, String::new()));
        // Debian's is not killed, and makes 128 of everything above.
        let theirs = if expected > 1000 { expected - 1000 + 128 } else { expected.min(128) };
        assert_eq!(serve(Theirs, &[], &steps).0, theirs);
    }
}

/// Debian's is stopped by the first.
#[test]
fn signals_that_end_nobody_are_told_by_a_code() {
    for signal in [19, 20, 21, 22, 17, 18, 23, 28] {
        let said = serve(Ours, &[], &[B, Take, Say(&[0]), Say(&[0, 0, 0, signal])]);
        assert_eq!(said, (128 + i32::from(signal), String::new()));
    }
}

#[test]
fn an_exit_status_that_there_is_not_is_refused() {
    for status in [0x137f, 0xffff, 0x10000, u32::MAX, 0x41, 0x80, 0x109, 0x180] {
        let said = serve(Ours, &[], &[B, Take, Say(&[0]), Say(&status.to_be_bytes())]);
        let why = format!("s6-sudoc: fatal: server told an exit status that there is not: {status:#x}\n");
        assert_eq!(said, (111, why));
    }
}

/// Its own may be closed: the program has /dev/null there, whatever the connection is.
#[test]
fn three_descriptors_are_sent_even_if_some_are_closed() {
    for whose in BOTH {
        let both = Beside::new();
        let (socket, theirs) = UnixStream::pair().unwrap();
        let mut command = std::process::Command::new("sh");
        let script = "exec 6<&0 7>&0 <&- >&-; exec \"$@\"";
        command.args(["-c", script, "sh", &path_of(&both, whose, "sudoc"), "true"]);
        command.stdin(std::os::fd::OwnedFd::from(theirs)).stderr(File::create(both.path().join("said")).unwrap());
        let mut process = command.spawn().unwrap();
        drop(command);
        assert!(send(&socket, SERVER, &[]));
        let (_, mut fds) = take(&socket, 6);
        let names: Vec<_> =
            fds.iter().map(|fd| std::fs::read_link(format!("/proc/self/fd/{}", fd.0)).unwrap()).collect();
        assert_eq!(names.iter().map(|name| name.file_name().unwrap()).collect::<Vec<_>>(), ["null", "null", "said"]);
        fds.iter_mut().for_each(Fd::close);
        assert!(send(&socket, &[0; 5], &[]));
        assert_eq!(code(&mut process), 0);
    }
}

#[test]
fn no_connection_is_an_error() {
    let both = Beside::new();
    for script in ["exec 6<&- 7>&-", "exec 6</dev/null 7>/dev/null"] {
        for whose in BOTH {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &format!("{script}; exec \"$@\""), "sh", &path_of(&both, whose, "sudoc"), "true"]);
            assert_eq!(outcome(command.stderr(std::process::Stdio::null())), Outcome::code(111), "{whose:?} {script}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_server_says_the_client_ends(banner in any::<bool>(), pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6), 0..4)) {
        let mut steps: Vec<Step<'_>> = if banner { vec![B, Take] } else { vec![] };
        steps.extend(pieces.iter().map(|piece| Say(piece)));
        steps.push(HangUp);
        let (code, said) = serve(Ours, &["-t", "20000", "-T", "20000"], &steps);
        prop_assert!((0..256).contains(&code) || (1001..1065).contains(&code), "{code}");
        prop_assert!(banner || code == 100 || code == 111, "{code}");
        prop_assert!(code < 256 || said.is_empty(), "{said}");
    }
}
