//! Asking who has a connection: the Identification Protocol, RFC 1413. The answer is what the other machine says, and
//! proves nothing.

use crate::sys::connect::{self, Failure};
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd, Result, file, poll, socket};
use crate::text::number::parse_u32;
use core::fmt::Write;
use core::net::SocketAddr;

/// Where IDENT servers listen.
const PORT: u16 = 113;

/// Longest answer, its end of line included: the RFC's 1000 characters, and what an older one may add.
const REPLY: usize = 1024;

/// Longest name of a user: the RFC's number.
pub const USER: usize = 512;

/// Asks the IDENT server of the other side who has the connection between `local` and `remote`; copies the name to
/// `room` and answers its length.
///
/// Errors with a [`refusal`]: the server will not say. EPROTO: it does not speak the protocol. ENAMETOOLONG: `room` is too
/// small. ECONNREFUSED: there is no such server. ETIMEDOUT: `deadline` has passed. Others: see connect(2), recv(2).
pub fn ask(local: SocketAddr, remote: SocketAddr, deadline: Option<Nanos>, room: &mut [u8]) -> Result<usize> {
    let (mut own, mut server) = (local, remote);
    own.set_port(0);
    server.set_port(PORT);
    let mut fd = connect::ip(&server, Some(&own), deadline).map_err(Failure::reason)?;
    let answer = ask_on(fd, local.port(), remote.port(), deadline, room);
    fd.close();
    answer
}

/// What the server gives as its reason, if the error of [`ask`] is one of those.
pub fn refusal(error: Errno) -> Option<&'static str> {
    Some(match error {
        INVALID_PORT => "invalid port",
        NO_USER => "no such user",
        HIDDEN_USER => "identification denied",
        UNKNOWN_ERROR => "unknown error",
        OTHER_ERROR => "X-error-token",
        _ => return None,
    })
}

// None of these is an error of a socket.
const INVALID_PORT: Errno = Errno::DOM;
const NO_USER: Errno = Errno::SRCH;
const HIDDEN_USER: Errno = Errno::KEYREJECTED;
const UNKNOWN_ERROR: Errno = Errno::REMOTEIO;
const OTHER_ERROR: Errno = Errno::NOMSG;

/// The same, on a connection to the server.
fn ask_on(fd: Fd, local: u16, remote: u16, deadline: Option<Nanos>, room: &mut [u8]) -> Result<usize> {
    let mut query = heapless::String::<32>::new();
    write!(query, "{remote} , {local}\r\n").map_err(|_| Errno::PROTO)?;
    // It is the first that is sent: there is room for it.
    if socket::send(fd, query.as_bytes(), &[])? != query.len() {
        return Err(Errno::PROTO);
    }
    let mut reply = [0; REPLY];
    let mut length = 0;
    let line = loop {
        let free = reply.get_mut(length..).unwrap_or_default();
        if free.is_empty() {
            return Err(Errno::PROTO);
        }
        poll::readable(fd, deadline)?;
        // A server that closes the connection at once does not want to say; so the RFC.
        match file::read_some(fd, free)? {
            0 => return Err(UNKNOWN_ERROR),
            more => length += more,
        }
        let read = reply.get(..length).unwrap_or_default();
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            break read.get(..end).unwrap_or_default();
        }
    };
    let user = parse(line, local, remote)?;
    room.get_mut(..user.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(user);
    Ok(user.len())
}

/// The user's name in a reply, `PORT , PORT : USERID : SYSTEM : NAME`.
fn parse(line: &[u8], local: u16, remote: u16) -> Result<&[u8]> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (ports, rest) = cut(line, b':')?;
    let (theirs, ours) = cut(ports, b',')?;
    let port = |word: &[u8]| parse_u32(word.trim_ascii());
    if port(theirs) != Some(remote.into()) || port(ours) != Some(local.into()) {
        return Err(Errno::PROTO);
    }
    let (kind, rest) = cut(rest, b':')?;
    let kind = kind.trim_ascii();
    if kind.eq_ignore_ascii_case(b"ERROR") {
        let reason = rest.trim_ascii();
        let is = |name: &[u8]| reason.eq_ignore_ascii_case(name);
        return Err(match reason.first() {
            _ if is(b"INVALID-PORT") => INVALID_PORT,
            _ if is(b"NO-USER") => NO_USER,
            _ if is(b"HIDDEN-USER") => HIDDEN_USER,
            _ if is(b"UNKNOWN-ERROR") => UNKNOWN_ERROR,
            Some(b'X') => OTHER_ERROR,
            _ => Errno::PROTO,
        });
    }
    if !kind.eq_ignore_ascii_case(b"USERID") {
        return Err(Errno::PROTO);
    }
    let (_system, user) = cut(rest, b':')?;
    // Further blanks are part of the name.
    let user = user.strip_prefix(b" ").or_else(|| user.strip_prefix(b"\t")).unwrap_or(user);
    if user.is_empty() || user.contains(&0) { Err(Errno::PROTO) } else { Ok(user) }
}

/// What is before `mark` and what is behind it.
fn cut(text: &[u8], mark: u8) -> Result<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == mark).ok_or(Errno::PROTO)?;
    Ok((text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::time::{self, MILLI, SECOND};
    use proptest::prelude::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn parsed(line: &str) -> Result<&[u8]> {
        parse(line.as_bytes(), 2000, 25)
    }

    #[test]
    fn the_name_of_the_user_is_all_behind_the_third_colon() {
        for line in
            ["25 , 2000 : USERID : UNIX : joe\r", "25,2000:USERID:UNIX,UTF-8:joe", " 25\t,2000 :userid: OTHER :joe\r"]
        {
            assert_eq!(parsed(line), Ok(&b"joe"[..]), "{line}");
        }
        assert_eq!(parsed("25,2000:USERID:UNIX:  a:b c "), Ok(&b" a:b c "[..]));
    }

    #[test]
    fn a_refusal_is_told_by_its_kind() {
        for (word, text) in [
            ("INVALID-PORT", "invalid port"),
            ("NO-USER", "no such user"),
            ("HIDDEN-USER", "identification denied"),
            ("UNKNOWN-ERROR", "unknown error"),
            ("XFULL-MOON", "X-error-token"),
        ] {
            let error = parsed(&format!("25, 2000 : ERROR : {word}\r")).unwrap_err();
            assert_eq!(refusal(error), Some(text));
        }
        for none in [Errno::PROTO, Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::PERM, Errno::INVAL, Errno::IO] {
            assert_eq!(refusal(none), None);
        }
    }

    #[test]
    fn what_is_no_answer_to_this_question_is_a_protocol_error() {
        for line in [
            "",
            "\r",
            "25",
            "25,2000",
            "2000, 25 : USERID : UNIX : joe",
            "25, 2001 : USERID : UNIX : joe",
            "25, 2000 : USER : UNIX : joe",
            "25, 2000 : USERID : UNIX",
            "25, 2000 : USERID : UNIX :",
            "25, 2000 : USERID : UNIX : \0",
            "25, 2000 : ERROR : ",
            "25, 2000 : ERROR : NOTHING",
            "25, 2000 : ERROR",
        ] {
            assert_eq!(parsed(line), Err(Errno::PROTO), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_is_read(line: Vec<u8>, prefix in "(25 ?, ?2000 ?: ?(USERID|ERROR) ?: ?)?") {
            let line = [prefix.as_bytes(), &line].concat();
            if let Ok(user) = parse(&line, 2000, 25) {
                prop_assert!(line.ends_with(user) || line.ends_with(b"\r"));
            }
        }
    }

    /// Asks a server that says `replies`, piece by piece, and closes the connection if it is to.
    fn asked(replies: &[&[u8]], close: bool, limit: u64, room: &mut [u8]) -> Result<usize> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for reply in replies {
            theirs.write_all(reply).unwrap();
        }
        if close {
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let answer = ask_on(Fd(ours.as_raw_fd()), 2000, 25, Some(time::boot() + limit), room);
        drop(ours);
        let mut query = String::new();
        theirs.read_to_string(&mut query).unwrap();
        assert_eq!(query, "25 , 2000\r\n");
        answer
    }

    #[test]
    fn one_line_is_asked_and_one_is_read() {
        let mut room = [0; USER];
        let done = asked(&[b"25,2000:USE", b"RID:UNIX:joe\r\nmore"], false, 20 * SECOND, &mut room);
        assert_eq!(done.map(|length| room[..length].to_vec()), Ok(b"joe".to_vec()));
        assert_eq!(asked(&[b"25,2000:USERID:UNIX:joe\n"], false, 20 * SECOND, &mut [0; 2]), Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn a_server_that_says_nothing_or_too_much_is_an_error() {
        assert_eq!(asked(&[], false, 20 * MILLI, &mut [0; USER]), Err(Errno::TIMEDOUT));
        assert_eq!(asked(&[], true, 20 * SECOND, &mut [0; USER]), Err(UNKNOWN_ERROR));
        assert_eq!(asked(&[&[b'x'; REPLY]], false, 20 * SECOND, &mut [0; USER]), Err(Errno::PROTO));
    }
}
