//! The chain of programs that ipcserver and tcpserver become: a binder makes the socket, s6-applyuidgid drops privileges,
//! a super-server runs prog for each connection.
//!
//! ```text
//! BINDER [-D] [-b N] [-a 0PERMS] -- ADDRESS...
//!     [ s6-applyuidgid [-Uz] [-u U] [-g G] [-G L] -- ]
//!     SERVER [-v0|-v2] [-1] [-P] [-c N] [-C N] -- prog...
//! ```
//!
//! As s6 builds it, options in this order whatever the order in which they were given. Each program is looked up in PATH;
//! one that PATH lacks is our own binary, so no link needs to be there. Where it differs from s6: a list of groups with
//! something in it that is no number is refused (s6 drops the rest of the list), and `-b 0`, with which nobody could
//! connect, is `-b 1` for both (s6's tcpserver hands it on, and its super-server then spins).

use crate::applets::cli::{Cli, Opt, Options as Given, WrongUsage, unable_to_exec_named};
use crate::applets::identity::{Groups, parse_groups};
use crate::limits::{ACCOUNT_GROUPS, SERVER_WORDS};
use crate::sys::args::{Args, Argv};
use crate::text::CPath;
use crate::text::number::{Decimal, parse_octal};
use core::ffi::CStr;

/// Ten digits and a NUL.
type Number = CPath<11>;

/// The permissions that need not be said. (1777, which comes to the same, is: 0777.)
const EVERYBODY: u32 = 0o777;

/// The two ends of a chain.
pub struct Ends {
    /// Makes the socket.
    pub binder: &'static CStr,
    /// Accepts connections.
    pub server: &'static CStr,
    /// Words of the socket's address.
    pub address: usize,
    /// The clients are users of this machine: `-a`, `-p` and `-P`.
    pub local: bool,
}

/// What the options ask for; what is `None` is not said to the programs.
pub struct Chain {
    reuse: bool,
    backlog: Option<u32>,
    permissions: u32,
    from_environment: bool,
    uid: u32,
    gid: u32,
    groups: Option<Groups>,
    verbosity: u8,
    tells_ready: bool,
    asks_who: bool,
    most: Option<u32>,
    most_of_one: Option<u32>,
}

/// ipcserver or tcpserver.
pub fn run(cli: &Cli, ends: &Ends) -> i32 {
    cli.with_usage(|| {
        let mut chain = Chain::DEFAULT;
        let mut given = cli.options();
        while let Some(option) = given.option()? {
            chain.take(option, &mut given, ends.local)?;
        }
        let words = given.operands(ends.address + 1)?;
        Ok(chain.exec(cli, ends, words))
    })
}

impl Chain {
    const DEFAULT: Chain = Chain {
        reuse: true,
        backlog: None,
        permissions: EVERYBODY,
        from_environment: false,
        uid: 0,
        gid: 0,
        groups: None,
        verbosity: 1,
        tells_ready: false,
        asks_who: true,
        most: None,
        most_of_one: None,
    };

    fn take<I: ExactSizeIterator<Item = &'static [u8]>>(
        &mut self,
        option: Opt,
        given: &mut Given<I>,
        local: bool,
    ) -> Result<(), WrongUsage> {
        let Opt::Short(letter) = option else { return Err(WrongUsage) };
        match letter {
            b'q' => self.verbosity = 0,
            b'Q' => self.verbosity = 1,
            b'v' => self.verbosity = 2,
            // In s6's documentation there is a tcpserver with -v2, which s6's own refuses.
            b'2' if self.verbosity == 2 => {}
            b'd' => self.reuse = true,
            b'D' => self.reuse = false,
            b'p' if local => self.asks_who = true,
            b'P' if local => self.asks_who = false,
            b'1' => self.tells_ready = true,
            b'c' => self.most = Some(given.number()?.max(1)),
            b'C' => self.most_of_one = Some(given.number()?.max(1)),
            // The largest number is s6's word for "not given".
            b'b' => self.backlog = Some(given.number()?.max(1)).filter(|backlog| *backlog != u32::MAX),
            b'a' if local => self.permissions = parse_octal(given.value()?).ok_or(WrongUsage)?,
            b'G' => self.groups = Some(parse_groups(given.value()?).ok_or(WrongUsage)?),
            b'g' => self.gid = given.number()?,
            b'u' => self.uid = given.number()?,
            b'U' => (self.from_environment, self.uid, self.gid, self.groups) = (true, 0, 0, None),
            _ => return Err(WrongUsage),
        }
        Ok(())
    }

    /// Executes the chain. Returns only if that fails; what is wrong has been said.
    fn exec(&self, cli: &Cli, ends: &Ends, words: Args) -> i32 {
        let [backlog, most, most_of_one] = [self.backlog, self.most, self.most_of_one].map(|n| n.map(number));
        let [uid, gid] = [self.uid, self.gid].map(|id| Some(number(id)).filter(|_| id != 0));
        let permissions = (self.permissions != EVERYBODY).then(|| octal(self.permissions & EVERYBODY));
        let groups = self.groups.as_ref().map(list);

        let mut line = Line { argv: Argv::new(&[ends.binder]), fits: true };
        line.flag(!self.reuse, c"-D");
        line.pair(c"-b", backlog.as_ref());
        line.pair(c"-a", permissions.as_ref());
        line.word(c"--");
        words.words().take(ends.address).for_each(|word| line.word(word));
        if self.from_environment || uid.is_some() || gid.is_some() || groups.is_some() {
            line.word(c"s6-applyuidgid");
            line.flag(self.from_environment, c"-Uz");
            line.pair(c"-u", uid.as_ref());
            line.pair(c"-g", gid.as_ref());
            line.pair(c"-G", groups.as_ref());
            line.word(c"--");
        }
        line.word(ends.server);
        line.flag(self.verbosity == 0, c"-v0");
        line.flag(self.verbosity == 2, c"-v2");
        line.flag(self.tells_ready, c"-1");
        line.flag(!self.asks_who, c"-P");
        line.pair(c"-c", most.as_ref());
        line.pair(c"-C", most_of_one.as_ref());
        line.word(c"--");
        words.words().skip(ends.address).for_each(|word| line.word(word));
        if !line.fits {
            return cli.refuse(format_args!(
                "prog has too many arguments: with the chain before it, there is room for {} words",
                SERVER_WORDS - 1
            ));
        }
        let why = cli.try_exec(&line.argv, ends.binder);
        unable_to_exec_named(cli, ends.binder, why)
    }
}

/// The words of the chain.
struct Line<'a> {
    argv: Argv<'a, SERVER_WORDS>,
    fits: bool,
}

impl<'a> Line<'a> {
    fn word(&mut self, word: &'a CStr) {
        self.fits &= self.argv.push(word);
    }

    fn flag(&mut self, given: bool, option: &'a CStr) {
        if given {
            self.word(option);
        }
    }

    /// An option and its value, if it has one.
    fn pair<const N: usize>(&mut self, option: &'a CStr, value: Option<&'a CPath<N>>) {
        if let Some(value) = value {
            self.word(option);
            self.word(value.get().unwrap_or_default());
        }
    }
}

fn number(n: u32) -> Number {
    CPath::of(&[Decimal::new(n.into()).as_bytes()])
}

/// As s6 prints permissions: a 0, then the digits without leading ones.
fn octal(permissions: u32) -> Number {
    let mut text = Number::of(&[b"0"]);
    let digits = (0..3).rev().map(|place| permissions >> (3 * place) & 7);
    for digit in digits.enumerate().skip_while(|(i, digit)| *i < 2 && *digit == 0).map(|(_, digit)| digit) {
        text.push(&[b'0' + digit as u8]);
    }
    text
}

/// Ten digits and a comma each.
fn list(groups: &Groups) -> CPath<{ 11 * ACCOUNT_GROUPS + 1 }> {
    let mut text = CPath::new();
    for (i, group) in groups.iter().enumerate() {
        if i > 0 {
            text.push(b",");
        }
        text.push(Decimal::new((*group).into()).as_bytes());
    }
    text
}
