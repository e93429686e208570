//! Makes a socket: created, configured, bound, listening. Called by PID 1 for the board's sockets and by the binder
//! commands; the order of the steps is that of s6's binders.
//!
//! # Who may take over a path
//!
//! A unix socket leaves its file behind, so a binder has to remove the file of its dead predecessor, and must not
//! remove that of a living one. s6 guards the moment of binding with a lock on `PATH.lock`, which ends when the binder
//! executes the next program: a second binder takes the path over, and the first server keeps a socket that nobody
//! can reach.
//!
//! Here a second binder is refused for the life of the socket. No lock can say how long that is: it would belong to a
//! process, while the socket moves on, into the fd-holder, to a daemon, to its successor. So the question is put to
//! the socket itself ([`is_bound`](crate::sys::listener::is_bound)): whoever has it open, it is in use (EADDRINUSE).
//! If nobody has, the path is free: a supervised daemon that binds for itself can always be started again. A worker
//! that outlives its daemon and still has the socket counts too. The lock (which conflicts with s6's) remains, and
//! makes question, removal and binding one step among binders: EBUSY, another one is at it.

use super::address::{Address, Host};
use super::options::{self, Known, Values};
use crate::sys::listener::{self, Family, Kind};
use crate::sys::{Errno, Fd, file, identity};
use crate::text::CPath;
use core::ffi::CStr;
use core::net::SocketAddr;

/// What s6's binders ask for if they are told nothing: SOMAXCONN, to which the kernel cuts it anyway.
pub const BACKLOG: u32 = 4096;

/// Who may connect to a unix socket that has a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Permissions by umask, as s6's binders do it; owner is who we are.
    Umask(u32),
    /// Exactly this, before anybody can connect. `None` keeps our own id. Changes the file by its name: only for
    /// directories that nobody else may write to.
    Exact {
        /// Permissions, at most 0777.
        mode: u32,
        /// Owner.
        uid: Option<u32>,
        /// Group.
        gid: Option<u32>,
    },
}

/// What the socket shall be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options<'a> {
    /// How it delivers. UDP is always [`Kind::Datagram`], whatever this says.
    pub kind: Kind,
    /// For listen(2); 0: do not listen.
    pub backlog: u32,
    /// O_NONBLOCK
    pub nonblocking: bool,
    /// Take over a path whose socket is dead (see above); for IP: SO_REUSEADDR.
    pub reuse: bool,
    /// For paths.
    pub access: Access,
    /// For paths: make missing directories, with these permissions.
    pub parents: Option<u32>,
    /// For IP: only what goes through this network interface (SO_BINDTODEVICE); empty for any.
    pub device: &'a [u8],
    /// Further options.
    pub values: Values,
}

impl Options<'_> {
    /// As s6's binders do it by default.
    pub const S6: Options<'static> = Options {
        kind: Kind::Stream,
        backlog: BACKLOG,
        nonblocking: true,
        reuse: true,
        access: Access::Umask(0o777),
        parents: None,
        device: b"",
        values: Values::NONE.with(options::V6ONLY, 1),
    };
}

/// What was being done when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// socket(2)
    Create,
    /// setsockopt(2)
    Configure,
    /// Looking for the network interface. ENODEV: it is not there.
    Interface,
    /// Making the directories above the path.
    Parents,
    /// Locking `PATH.lock`. EBUSY: another binder is at it.
    Lock,
    /// bind(2), or finding out whether the path is free. EADDRINUSE: it is not.
    Bind,
    /// chown(2)
    Owner,
    /// chmod(2)
    Mode,
    /// listen(2)
    Listen,
}

impl Step {
    /// As the `X` of `unable to X ADDRESS: REASON`.
    pub fn text(self) -> &'static str {
        match self {
            Step::Create => "create a socket for",
            Step::Configure => "configure the socket for",
            Step::Interface => "find the network interface of",
            Step::Parents => "make the directories of",
            Step::Lock => "lock",
            Step::Bind => "bind to",
            Step::Owner => "set the owner of",
            Step::Mode => "set the permissions of",
            Step::Listen => "listen to",
        }
    }
}

/// Why there is no socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The step that failed.
    pub step: Step,
    /// How.
    pub errno: Errno,
}

type Result<T> = core::result::Result<T, Failure>;

fn at<T>(step: Step, result: crate::sys::Result<T>) -> Result<T> {
    result.map_err(|errno| Failure { step, errno })
}

/// Makes a close-on-exec socket at `address`. If it fails, no descriptor is left open and no file of ours is left at
/// the path (the lock file and directories stay).
pub fn bind(address: &Address<'_>, options: &Options<'_>) -> Result<Fd> {
    bind_telling(address, options, &mut |_, _| ())
}

/// As [`bind`]. `report` hears of each option that cannot be set; the socket may be had without it.
pub fn bind_telling(
    address: &Address<'_>,
    options: &Options<'_>,
    report: &mut dyn FnMut(&'static Known, Errno),
) -> Result<Fd> {
    let (family, kind) = match address {
        Address::Path(_) | Address::Abstract(_) => (Family::Unix, options.kind),
        Address::Tcp(host) => (family_of(host), options.kind),
        Address::Udp(host) => (family_of(host), Kind::Datagram),
        Address::Netlink { family, .. } => (Family::Netlink(*family), Kind::Datagram),
    };
    let mut fd = at(Step::Create, listener::create(family, kind, options.nonblocking))?;
    let done = at(Step::Configure, options.values.apply(fd, address, report)).and_then(|()| match address {
        Address::Path(path) => bind_path(fd, path, options),
        Address::Abstract(name) => at(Step::Bind, listener::bind_abstract(fd, name)).and_then(|()| listen(fd, options)),
        Address::Tcp(host) | Address::Udp(host) => bind_ip(fd, host, options),
        Address::Netlink { groups, .. } => at(Step::Bind, listener::bind_netlink(fd, *groups)),
    });
    match done {
        Ok(()) => Ok(fd),
        Err(failure) => {
            fd.close();
            Err(failure)
        }
    }
}

fn family_of(host: &Host<'_>) -> Family {
    if host.ip.is_ipv6() { Family::V6 } else { Family::V4 }
}

fn listen(fd: Fd, options: &Options<'_>) -> Result<()> {
    if options.backlog == 0 { Ok(()) } else { at(Step::Listen, listener::listen(fd, options.backlog)) }
}

fn bind_ip(fd: Fd, host: &Host<'_>, options: &Options<'_>) -> Result<()> {
    if options.reuse {
        let _ = listener::reuse_address(fd);
    }
    if !options.device.is_empty() {
        at(Step::Interface, listener::bind_to_device(fd, options.device))?;
    }
    let mut ip = host.ip;
    if let (SocketAddr::V6(v6), false) = (&mut ip, host.interface.is_empty()) {
        v6.set_scope_id(at(Step::Interface, listener::interface_index(fd, host.interface))?);
    }
    at(Step::Bind, listener::bind_ip(fd, &ip))?;
    listen(fd, options)
}

fn bind_path(fd: Fd, path: &[u8], options: &Options<'_>) -> Result<()> {
    let path = CPath::<{ listener::UNIX_NAME + 1 }>::of(&[path]);
    let path = at(Step::Bind, path.path())?;
    if path.is_empty() {
        return Err(Failure { step: Step::Bind, errno: Errno::INVAL });
    }
    if let Some(mode) = options.parents {
        at(Step::Parents, make_parents(path, mode))?;
    }
    // With exact permissions nobody is let in before they are what they shall be.
    let mask = match options.access {
        Access::Umask(permissions) => !permissions & 0o777,
        Access::Exact { .. } => 0o777,
    };
    let old = identity::set_umask(mask);
    let bound = if options.reuse { take_over(fd, path) } else { at(Step::Bind, listener::bind_path(fd, path)) };
    identity::set_umask(old);
    bound?;
    let done = open_up(path, options).and_then(|()| listen(fd, options));
    if done.is_err() {
        let _ = file::remove(Fd::CWD, path);
    }
    done
}

/// Binds to a path that is free or whose socket is dead, under the lock.
fn take_over(fd: Fd, path: &CStr) -> Result<()> {
    let lock = CPath::<{ listener::UNIX_NAME + 6 }>::of(&[path.to_bytes(), b".lock"]);
    let busy = |e| if e == Errno::AGAIN { Errno::BUSY } else { e };
    let mut lock = at(Step::Lock, lock.path().and_then(|lock| file::lock(Fd::CWD, lock, 0o600)).map_err(busy))?;
    let _ = listener::reuse_address(fd);
    let bound = match listener::is_bound(path) {
        Ok(true) => Err(Errno::ADDRINUSE),
        Ok(false) => {
            let _ = file::remove(Fd::CWD, path);
            listener::bind_path(fd, path)
        }
        Err(e) => Err(e),
    };
    lock.close();
    at(Step::Bind, bound)
}

/// Gives the file its owner and permissions. Nobody can connect yet: it does not listen, and its mode is 0.
fn open_up(path: &CStr, options: &Options<'_>) -> Result<()> {
    let Access::Exact { mode, uid, gid } = options.access else { return Ok(()) };
    at(Step::Owner, file::set_owner(Fd::CWD, path, uid, gid))?;
    at(Step::Mode, file::set_mode(Fd::CWD, path, mode & 0o777))
}

fn make_parents(path: &CStr, mode: u32) -> crate::sys::Result<()> {
    let bytes = path.to_bytes();
    let old = identity::set_umask(0);
    let mut done = Ok(());
    for (i, _) in bytes.iter().enumerate().filter(|(i, byte)| *i > 0 && **byte == b'/') {
        let parent = CPath::<{ listener::UNIX_NAME + 1 }>::of(&[&bytes[..i]]);
        done = parent.path().and_then(|parent| file::make_dir(Fd::CWD, parent, mode & 0o7777));
        if done.is_err() {
            break;
        }
    }
    identity::set_umask(old);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::Mutex;

    /// The umask belongs to the whole process; tests have threads.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    const EXACT: Options<'static> =
        Options { access: Access::Exact { mode: 0o640, uid: None, gid: None }, parents: Some(0o750), ..Options::S6 };

    fn scratch(name: &str) -> String {
        let path = format!("/tmp/linchpin-bind-{}/{name}", std::process::id());
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        path
    }

    fn ip(text: &str) -> Host<'_> {
        Host::from(text.parse::<SocketAddr>().unwrap())
    }

    fn failure(step: Step, errno: Errno) -> Result<Fd> {
        Err(Failure { step, errno })
    }

    #[test]
    fn directories_are_made_and_permissions_are_exact_whatever_the_umask() {
        let _alone = ONE_AT_A_TIME.lock();
        let path = scratch("deep/er/x.sock");
        std::fs::remove_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        for mask in [0o077, 0] {
            let old = identity::set_umask(mask);
            let mut fd = bind(&Address::Path(path.as_bytes()), &EXACT).unwrap();
            assert_eq!(identity::set_umask(old), mask, "the umask is as it was");
            let meta = std::fs::symlink_metadata(&path).unwrap();
            assert_eq!(meta.mode(), libc::S_IFSOCK | 0o640);
            let parent = std::fs::metadata(std::path::Path::new(&path).parent().unwrap()).unwrap();
            assert_eq!(parent.permissions().mode() & 0o7777, 0o750);
            fd.close();
        }
    }

    #[test]
    fn a_living_socket_is_refused_and_a_dead_one_replaced() {
        let _alone = ONE_AT_A_TIME.lock();
        let path = scratch("life.sock");
        let address = Address::Path(path.as_bytes());
        for kind in [Kind::Stream, Kind::Datagram, Kind::SeqPacket] {
            let options = Options { kind, backlog: if kind == Kind::Datagram { 0 } else { 5 }, ..Options::S6 };
            let mut first = bind(&address, &options).unwrap();
            assert_eq!(bind(&address, &Options::S6), failure(Step::Bind, Errno::ADDRINUSE));
            assert_eq!(bind(&address, &EXACT), failure(Step::Bind, Errno::ADDRINUSE));
            first.close();
            let plain = Options { reuse: false, ..Options::S6 };
            assert_eq!(bind(&address, &plain), failure(Step::Bind, Errno::ADDRINUSE));
        }
    }

    #[test]
    fn what_fails_is_named_and_leaves_no_file() {
        let _alone = ONE_AT_A_TIME.lock();
        let path = scratch("fails.sock");
        let address = Address::Path(path.as_bytes());
        let datagram = Options { kind: Kind::Datagram, ..Options::S6 };
        assert_eq!(bind(&address, &datagram), failure(Step::Listen, Errno::OPNOTSUPP));
        assert!(!std::fs::exists(&path).unwrap());
        let long = "/tmp/".to_owned() + &"x".repeat(103);
        assert_eq!(bind(&Address::Path(long.as_bytes()), &EXACT), failure(Step::Bind, Errno::NAMETOOLONG));
        assert_eq!(
            bind(&Address::Path(b"/nonexistent/x"), &Options::S6),
            failure(Step::Lock, Errno::NOENT),
            "no directory for the lock"
        );
        assert_eq!(bind(&Address::Path(b"/dev/null/x"), &EXACT), failure(Step::Parents, Errno::NOTDIR));
        let seqpacket = Options { kind: Kind::SeqPacket, ..Options::S6 };
        let loopback = Address::Tcp(ip("127.0.0.1:0"));
        assert_eq!(bind(&loopback, &seqpacket).unwrap_err().step, Step::Create);
        let foreign = Address::Tcp(ip("192.0.2.1:0"));
        assert_eq!(bind(&foreign, &Options::S6), failure(Step::Bind, Errno::ADDRNOTAVAIL));
    }

    #[test]
    fn an_address_that_no_interface_has_can_be_bound_early() {
        let options = Options { values: Values::NONE.with(options::FREEBIND, 1), ..Options::S6 };
        for host in ["192.0.2.1:0", "[2001:db8::1]:0"] {
            let mut fd = bind(&Address::Tcp(ip(host)), &options).unwrap();
            fd.close();
            let mut fd = bind(&Address::Udp(ip(host)), &Options { backlog: 0, ..options }).unwrap();
            fd.close();
        }
    }

    #[test]
    fn an_interface_is_found_by_its_name_or_missed() {
        let options = Options { values: Values::NONE.with(options::FREEBIND, 1), ..Options::S6 };
        let named = |interface| Address::Tcp(Host { interface, ..ip("[fe80::1]:0") });
        bind(&named(b"lo"), &options).unwrap().close();
        assert_eq!(bind(&named(b"none-such"), &options), failure(Step::Interface, Errno::NODEV));
        assert_eq!(bind(&named(b"\xff"), &options), failure(Step::Interface, Errno::NODEV));
        let device = Options { device: b"none-such", ..options };
        let loopback = Address::Tcp(ip("127.0.0.1:0"));
        let refused = bind(&loopback, &device).unwrap_err();
        assert_eq!(refused.step, Step::Interface);
        if rustix::process::geteuid().is_root() {
            assert_eq!(refused.errno, Errno::NODEV);
            bind(&loopback, &Options { device: b"lo", ..options }).unwrap().close();
        }
    }

    #[test]
    fn a_netlink_socket_is_bound() {
        bind(&Address::Netlink { family: 0, groups: 1 }, &Options::S6).unwrap().close();
        let none = Address::Netlink { family: 31, groups: 0 };
        assert_eq!(bind(&none, &Options::S6), failure(Step::Create, Errno::PROTONOSUPPORT));
    }

    #[test]
    fn abstract_names_are_bound_and_belong_to_one() {
        let name = format!("linchpin-{}", std::process::id());
        let address = Address::Abstract(name.as_bytes());
        let mut fd = bind(&address, &EXACT).unwrap();
        assert_eq!(bind(&address, &EXACT), failure(Step::Bind, Errno::ADDRINUSE));
        fd.close();
        bind(&address, &EXACT).unwrap().close();
    }
}
