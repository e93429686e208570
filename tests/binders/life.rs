//! How long a path is somebody's: as long as its socket is open, wherever that is.

use super::*;

/// Each kind of unix socket: its binder, and the options that it needs.
const KINDS: [(&str, &[&str]); 3] = [(IPC, &[]), (IPC, &["-mb0"]), (SEQPACKET, &[])];

/// A directory with all binders of unix sockets.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let dir = TempDir::new();
        for name in [IPC, SEQPACKET, "s6-fdholder-daemon", "s6-fdholder-store", "s6-fdholder-delete"] {
            dir.command(name);
        }
        Place(dir)
    }

    /// One of its commands, with words.
    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.0.path().join(name));
        std::os::unix::process::CommandExt::arg0(&mut command, name);
        command.current_dir(self.0.path()).env("PATH", "/usr/bin:/bin").args(words);
        command
    }

    /// Every binder is refused `p`, whatever kind of socket it would make, and says so.
    fn is_taken(&self, what: &str) {
        for (name, options) in KINDS {
            for further in [&[][..], &["-D"]] {
                let (code, _, err) = look(self.command(name, options), further);
                let said = format!("{name}: fatal: unable to bind to p: Address already in use\n");
                assert_eq!((code, err), (Some(111), said), "{what}: {name} {options:?} {further:?}");
            }
        }
    }

    /// One binder gets `p`, at last: the end of a process is not the moment when its parent hears of it.
    fn becomes_free(&self, what: &str) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while look(self.command(IPC, &[]), &[]).0 != Some(0) {
            assert!(std::time::Instant::now() < deadline, "{what}: the path stays taken");
        }
    }

    fn inode(&self) -> u64 {
        std::fs::metadata(self.0.path().join("p")).unwrap().ino()
    }
}

#[test]
fn a_second_binder_is_refused_while_the_first_socket_is_open_and_its_path_is_free_then() {
    let place = Place::new();
    for (name, options) in [KINDS[0], KINDS[1], KINDS[2], (IPC, &["-b0"]), (SEQPACKET, &["-b0"]), (IPC, &["-D"])] {
        let _ = std::fs::remove_file(place.0.path().join("p"));
        let mut server = place.command(name, options);
        server.arg("p");
        let server = Running::start(server, "echo up; exec sleep 1000");
        let inode = place.inode();
        place.is_taken(name);
        assert_eq!(place.inode(), inode, "the path is still the first one's");
        drop(server); // by SIGKILL
        assert_eq!(look(place.command(IPC, &[]), &[]).0, Some(0), "{name} {options:?}: a dead server's path is free");
    }
}

#[test]
fn being_refused_leaves_no_connection_behind() {
    let place = Place::new();
    let listener = UnixListener::bind(place.0.path().join("p")).unwrap();
    place.is_taken("a listener");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(listener);
    std::fs::remove_file(place.0.path().join("p")).unwrap();
    let socket = UnixDatagram::bind(place.0.path().join("p")).unwrap();
    place.is_taken("a datagram socket");
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_socket_that_moved_on_to_another_process_is_in_use_until_that_ends() {
    let place = Place::new();
    assert!(Command::new("mkfifo").arg(place.0.path().join("fifo")).status().unwrap().success());
    for (name, options) in KINDS {
        // The program that the binder ran ends; one that it left behind still has the socket.
        let program = "exec 3<&0; (read -r _ < fifo) >/dev/null & echo up";
        let mut first = place.command(name, options);
        first.arg("p");
        Running::start(first, program).0.wait().unwrap();
        place.is_taken(name);
        std::fs::write(place.0.path().join("fifo"), "end\n").unwrap();
        place.becomes_free(name);
    }
}

/// Rules that let everybody store and delete.
fn write_rules(dir: &Path) {
    let rule = dir.join("rules/uid/default");
    std::fs::create_dir_all(rule.join("env")).unwrap();
    std::fs::write(rule.join("allow"), "").unwrap();
    for right in ["S6_FDHOLDER_STORE_REGEX", "S6_FDHOLDER_RETRIEVE_REGEX"] {
        std::fs::write(rule.join("env").join(right), ".\n").unwrap();
    }
}

/// Nobody but an fd-holder has the socket: it is in use. `holder` and what talks to it are found by `program`.
fn in_an_fd_holder(program: impl Fn(&Place, &str) -> String) {
    let place = Place::new();
    write_rules(place.0.path());
    let run = |name: &str, words: &[&str]| {
        let mut command = Command::new(program(&place, name));
        command.current_dir(place.0.path()).args(words);
        command
    };
    let start = || {
        let mut holder = run("s6-fdholder-daemon", &["-1", "-i", "rules", "s"]);
        let mut holder = Running(holder.stdout(Stdio::piped()).spawn().unwrap());
        holder.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        holder
    };
    let mut holder = start();
    for (name, options) in KINDS {
        let store = || {
            let client = program(&place, "s6-fdholder-store");
            let mut command = place.command(name, options);
            seen(command.args(["p", &client, "s", "unix:p"]).output().unwrap())
        };
        let _ = std::fs::remove_file(place.0.path().join("p"));
        assert_eq!(store(), (Some(0), String::new(), String::new()));
        place.is_taken(name);
        assert!(run("s6-fdholder-delete", &["s", "unix:p"]).status().unwrap().success());
        assert_eq!(store(), (Some(0), String::new(), String::new()), "deleted there, the path is free");
        place.is_taken(name);
        drop(holder); // by SIGKILL: what it held is gone with it
        place.becomes_free(name);
        holder = start();
    }
}

#[test]
fn a_socket_that_only_an_fd_holder_has_is_in_use_until_it_is_deleted_there_or_the_holder_dies() {
    in_an_fd_holder(|place, name| place.0.path().join(name).to_str().unwrap().to_owned());
}

#[test]
fn a_socket_that_only_the_fd_holder_of_debians_s6_has_is_in_use_too() {
    if !Path::new("/usr/bin/s6-fdholder-daemon").exists() {
        eprintln!("s6 is not installed: not tested");
        return;
    }
    in_an_fd_holder(|_, name| format!("/usr/bin/{name}"));
}

#[test]
fn a_lock_that_somebody_else_holds_is_respected() {
    let (dir, command) = ours(IPC);
    let lock = std::fs::File::create(dir.path().join("p.lock")).unwrap();
    rustix::fs::fcntl_lock(Fd(lock.as_raw_fd()), rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let found = look(command(), &[]);
    assert_eq!(found.0, Some(111));
    assert_eq!(found.2, format!("{IPC}: fatal: unable to bind to p: Device or resource busy\n"));
    if let Some((debians_dir, command)) = debians(IPC) {
        let lock = std::fs::File::create(debians_dir.path().join("p.lock")).unwrap();
        rustix::fs::fcntl_lock(Fd(lock.as_raw_fd()), rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(found, look(command(), &[]));
    }
}

#[test]
fn of_many_binders_at_once_one_wins() {
    let place = Place::new();
    for round in 0..21 {
        let (name, options) = KINDS[round % KINDS.len()];
        let start = |_| {
            let mut command = place.command(name, options);
            command.args(["p", "/bin/sh", "-c", "echo won; exec sleep 1000"]);
            Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        };
        let mut racers: Vec<_> = (0..8).map(start).collect();
        let won = |racer: &mut Running| {
            let mut line = String::new();
            BufReader::new(racer.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            line == "won\n"
        };
        let winners = racers.iter_mut().map(won).filter(|won| *won).count();
        assert_eq!(winners, 1, "{name} {options:?}");
    }
}
