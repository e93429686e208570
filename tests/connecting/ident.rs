//! s6-tcpclient and the IDENT server of the other side, which has a port that only a network of our own is sure to have
//! free.

use crate::Seen;
use crate::alone::alone;
use crate::beside::Beside;
use crate::seen;
use crate::tcpclient::{client, port};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

/// What the client found who was answered so; `PORTS` stands for the ports of the question.
fn answered(both: &Beside, ip: &str, options: &[&str], answer: &str) -> Seen {
    let (listener, server) = (TcpListener::bind((ip, 0)).unwrap(), TcpListener::bind((ip, 113)).unwrap());
    let port = port(&listener);
    let mut command = client(both, options);
    command.args(["-H", ip, &port, "sh", "-c", "echo \"$TCPLOCALPORT ${TCPREMOTEINFO-none}\""]);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let (mut peer, _) = server.accept().unwrap();
            let mut question = String::new();
            BufReader::new(&peer).read_line(&mut question).unwrap();
            let ports = question.strip_suffix("\r\n").unwrap().to_owned();
            peer.write_all(answer.replace("PORTS", &ports).as_bytes()).unwrap();
            ports
        });
        let mut done = seen(&mut command);
        let (own, info) = done.out.split_once(' ').unwrap_or_else(|| panic!("{done:?}"));
        assert_eq!(asked.join().unwrap(), format!("{port} , {own}"));
        done.out = info.to_owned();
        done
    })
}

#[test]
fn the_answer_of_the_ident_server_is_told() {
    let both = Beside::new();
    alone(Path::new("/etc/hosts"), || {
        for ip in ["127.0.0.1", "::1"] {
            let done = answered(&both, ip, &["-r"], "PORTS : USERID : UNIX : joe\r\n");
            assert_eq!((done.code, &*done.out, &*done.err), (0, "joe\n", ""));
        }
        let refused = "PORTS : ERROR : HIDDEN-USER\r\n";
        let done = answered(&both, "127.0.0.1", &["-rt20"], refused);
        let text = "s6-tcpclient: warning: ident server replied: identification denied\n";
        assert_eq!((done.code, &*done.out, &*done.err), (0, "\n", text));
        assert_eq!(answered(&both, "127.0.0.1", &["-qr"], refused).err, "");
        let done = answered(&both, "127.0.0.1", &["-Rr"], "I will not say\r\n");
        let text = "s6-tcpclient: warning: unable to ask the ident server of 127.0.0.1: Protocol error\n";
        assert_eq!((done.code, &*done.out, &*done.err), (0, "\n", text));

        // Nobody listens there.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let words = ["-rH", "127.0.0.1", &port(&listener), "sh", "-c", "echo \"${TCPREMOTEINFO-none}\""];
        let done = seen(&mut client(&both, &words));
        let text = "s6-tcpclient: warning: unable to ask the ident server of 127.0.0.1: Connection refused\n";
        assert_eq!((done.code, &*done.out, &*done.err), (0, "\n", text));

        // One that is silent has as long as all of it.
        let _silent = TcpListener::bind("127.0.0.1:113").unwrap();
        let mut command = client(&both, &["-t1"]);
        let done = seen(command.args(words));
        let text = "s6-tcpclient: warning: unable to ask the ident server of 127.0.0.1: Connection timed out\n";
        assert_eq!((done.code, &*done.out, &*done.err), (0, "\n", text));
    });
}
