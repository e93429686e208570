//! What all commands share: options as s6 reads them, messages and exit codes as s6 has them, chain-loading.
//!
//! Exit codes: 100 wrong usage, 111 a system call failed, 126/127 the next program could not be executed (127: not
//! found). Messages: `PROG: LEVEL: text`, on standard error.

use super::{Applet, enter};
use crate::log::Line;
use crate::sys::args::{Args, Argv, Env};
use crate::sys::{Errno, Fd, file, process};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::{self, Display, Write};

/// Wrong usage, or "cannot work like this".
pub const USAGE: i32 = 100;
/// A system call failed.
pub const SYSTEM: i32 = 111;
/// Timed out.
pub const TIMEOUT: i32 = 99;

/// A command being run: its name as it was called, its arguments.
pub struct Cli {
    applet: &'static Applet,
    name: &'static [u8],
    /// What it is about, if messages are to say so.
    subject: Option<&'static CStr>,
    args: Args,
    /// If it was entered, not executed: all words, and where those are looked up.
    entered: Option<(Args, Env)>,
}

/// See [`Cli::speaker`].
pub struct Speaker(&'static [u8], Option<&'static CStr>);

impl Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Printable(self.0))?;
        self.1.map_or(Ok(()), |subject| write!(f, " {}", Printable(subject.to_bytes())))
    }
}

/// An option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opt {
    /// `-x`
    Short(u8),
    /// `--name`
    Long(&'static [u8]),
}

/// A command's options were wrong: print the usage, exit 100.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongUsage;

/// Reads options: `-x`, `-xVALUE`, `-x VALUE`, `-xyz`, `--name`, `--name=VALUE`; `--` or the first other word ends them.
pub struct Options<I: Iterator<Item = &'static [u8]>> {
    parser: getargs::Options<&'static [u8], I>,
    args: Args,
}

impl<I: ExactSizeIterator<Item = &'static [u8]>> Options<I> {
    /// The next option, if there is one.
    pub fn option(&mut self) -> Result<Option<Opt>, WrongUsage> {
        match self.parser.next_opt() {
            Ok(None) => Ok(None),
            Ok(Some(getargs::Opt::Short(letter))) => Ok(Some(Opt::Short(letter))),
            Ok(Some(getargs::Opt::Long(name))) => Ok(Some(Opt::Long(name))),
            Err(_) => Err(WrongUsage),
        }
    }

    /// The value of the option just read.
    pub fn value(&mut self) -> Result<&'static [u8], WrongUsage> {
        self.parser.value().map_err(|_| WrongUsage)
    }

    /// The value of the option just read, as a C string.
    pub fn text(&mut self) -> Result<&'static CStr, WrongUsage> {
        let value = self.value()?;
        // It is a word, or the end of one; the NUL is behind it.
        let end = value.as_ptr_range().end;
        let word = self.args.words().find(|word| word.to_bytes().as_ptr_range().end == end);
        let bytes = word.map_or(&[][..], CStr::to_bytes_with_nul);
        let text = bytes.len().checked_sub(value.len() + 1).and_then(|start| bytes.get(start..));
        text.and_then(|text| CStr::from_bytes_with_nul(text).ok()).ok_or(WrongUsage)
    }

    /// The value of the option just read, as an unsigned number.
    pub fn number(&mut self) -> Result<u32, WrongUsage> {
        parse_u32(self.value()?).ok_or(WrongUsage)
    }

    /// The value of the option just read, which is an unsigned number, as it was written: to be passed on.
    pub fn digits(&mut self) -> Result<&'static CStr, WrongUsage> {
        let text = self.text()?;
        parse_u32(text.to_bytes()).map(|_| text).ok_or(WrongUsage)
    }

    /// The value of the option just read, as the number of a descriptor.
    pub fn descriptor(&mut self) -> Result<Fd, WrongUsage> {
        i32::try_from(self.number()?).map(Fd).map_err(|_| WrongUsage)
    }

    /// The words after the options; at least `min` of them. Call it when [`Options::option`] has answered `None`.
    pub fn operands(self, min: usize) -> Result<Args, WrongUsage> {
        let left = self.parser.into_positionals().count();
        if left < min { Err(WrongUsage) } else { Ok(self.args.skip(self.args.len() - left)) }
    }
}

impl Cli {
    /// The command `applet`, called as `name`, with `args` (of which the first is the name).
    pub fn new(applet: &'static Applet, name: &'static [u8], args: Args) -> Cli {
        let name = name.rsplit(|b| *b == b'/').next().unwrap_or(name);
        Cli { applet, name, subject: None, args, entered: None }
    }

    /// The same command, which was entered ([`enter`]): `words` would have been executed, looked up in the PATH of
    /// `lookup`.
    pub fn entered(self, words: Args, lookup: Env) -> Cli {
        Cli { entered: Some((words, lookup)), ..self }
    }

    /// To be called before the command waits for something that may take long, and has changed nothing yet: if it was
    /// entered it is executed now, for whoever looks at the process meanwhile. Returns if it was not, or cannot be.
    pub fn settle(&self) {
        if let Some((words, lookup)) = self.entered {
            exec_in_path(words.get(0).unwrap_or_default(), words, lookup, self.env());
        }
    }

    /// The same command, whose messages begin with `PROG SUBJECT` from now on.
    pub fn about(&self, subject: &'static CStr) -> Cli {
        Cli { subject: Some(subject), ..*self }
    }

    /// How its messages begin: `PROG`, or `PROG SUBJECT`.
    pub fn speaker(&self) -> Speaker {
        Speaker(self.name, self.subject)
    }

    /// The command.
    pub fn applet(&self) -> &'static Applet {
        self.applet
    }

    /// All words, the name included.
    pub fn args(&self) -> Args {
        self.args
    }

    /// The environment.
    pub fn env(&self) -> Env {
        self.args.env()
    }

    /// The options, to be read one after the other.
    pub fn options(&self) -> Options<impl ExactSizeIterator<Item = &'static [u8]>> {
        let words = self.args.skip(1);
        Options { parser: getargs::Options::new(words.iter()), args: words }
    }

    /// Runs `body`; if it finds the usage wrong, says how it is right and returns 100.
    pub fn with_usage(&self, body: impl FnOnce() -> Result<i32, WrongUsage>) -> i32 {
        body().unwrap_or_else(|WrongUsage| {
            self.say("usage", format_args!("{} {}", Printable(self.name), self.applet.usage));
            USAGE
        })
    }

    /// `PROG: fatal: unable to WHAT: REASON`; returns 111.
    pub fn unable(&self, what: impl Display, reason: Errno) -> i32 {
        self.say("fatal", format_args!("unable to {what}: {}", Reason(reason)));
        SYSTEM
    }

    /// `PROG: fatal: TEXT`; returns 100.
    pub fn refuse(&self, text: impl Display) -> i32 {
        self.say("fatal", format_args!("{text}"));
        USAGE
    }

    /// `PROG: fatal: TEXT`; returns 111.
    pub fn fail(&self, text: impl Display) -> i32 {
        self.say("fatal", format_args!("{text}"));
        SYSTEM
    }

    /// `PROG: warning: TEXT`.
    pub fn warn(&self, text: impl Display) {
        self.say("warning", format_args!("{text}"));
    }

    /// `PROG: info: TEXT`.
    pub fn info(&self, text: impl Display) {
        self.say("info", format_args!("{text}"));
    }

    fn say(&self, level: &str, text: fmt::Arguments<'_>) {
        let mut line = Line::<1024>::new();
        let _ = write!(line, "{}: {level}: {text}", self.speaker());
        let _ = file::write_all(Fd::STDERR, line.finish("\n").as_bytes());
    }

    /// Goes on as the program that `words` name (chain loading), looked up in PATH. What it returns is what the command
    /// is to return: 127 if the program is not there, 126 for any other reason; or that it is to be entered ([`enter`]).
    /// No words: nothing to do, 0.
    pub fn exec(&self, words: Args) -> i32 {
        self.exec_env(words, self.env())
    }

    /// Starts the program that `words` name, looked up in PATH, as a child that inherits everything; returns its pid. The
    /// error is why it could not be executed.
    pub fn spawn(&self, words: Args) -> crate::sys::Result<i32> {
        let Some(name) = words.get(0) else { return Err(Errno::NOENT) };
        process::spawn_with(&mut || exec_in_path(name, words, self.env(), self.env()))
    }

    /// Goes on as the program `argv`, whose name `name` is looked up in PATH. Returns only if that fails, and says why.
    pub fn try_exec<const N: usize>(&self, argv: &Argv<'_, N>, name: &CStr) -> Errno {
        self.try_exec_env(argv, name, self.env())
    }

    /// As [`Cli::try_exec`], with another environment; the name is looked up in our own PATH.
    pub fn try_exec_env<const N: usize>(&self, argv: &Argv<'_, N>, name: &CStr, env: Env) -> Errno {
        in_path(name, self.env(), &mut |path| process::exec_argv(path, argv, env))
    }

    /// As [`Cli::exec`], with another environment.
    pub fn exec_env(&self, words: Args, env: Env) -> i32 {
        let Some(name) = words.get(0) else { return 0 };
        if enter::prepare(self, words, env) {
            return enter::GO_ON;
        }
        let why = exec_in_path(name, words, self.env(), env);
        unable_to_exec(self, words, why)
    }
}

/// Says that the program that `words` name cannot be executed; returns the exit code for that.
pub fn unable_to_exec(cli: &Cli, words: Args, why: Errno) -> i32 {
    unable_to_exec_named(cli, words.get(0).unwrap_or_default(), why)
}

/// As [`unable_to_exec`], for the program `name`.
pub fn unable_to_exec_named(cli: &Cli, name: &CStr, why: Errno) -> i32 {
    cli.say("fatal", format_args!("unable to exec {}: {}", Printable(name.to_bytes()), Reason(why)));
    if why == Errno::NOENT { 127 } else { 126 }
}

/// As [`Cli::spawn`]; the child calls `set_up` before it executes the program. It shares our memory until then, and may
/// only make system calls.
pub fn spawn_after(
    cli: &Cli,
    words: Args,
    set_up: &mut dyn FnMut() -> crate::sys::Result<()>,
) -> crate::sys::Result<i32> {
    let Some(name) = words.get(0) else { return Err(Errno::NOENT) };
    process::spawn_with(&mut || match set_up() {
        Ok(()) => exec_in_path(name, words, cli.env(), cli.env()),
        Err(e) => e,
    })
}

fn exec_in_path(name: &CStr, words: Args, lookup: Env, env: Env) -> Errno {
    in_path(name, lookup, &mut |path| process::exec_path(path, words, env))
}

/// execvp(3) without the shell fallback: a name with a slash is a path; others are tried along PATH (of `lookup`;
/// `/usr/bin:/bin` if it is not set). Of several failures the most telling is returned: EACCES before ENOENT. A command of
/// s6's that PATH lacks, as in an image without links, is this very binary.
pub fn in_path(name: &CStr, lookup: Env, exec: &mut dyn FnMut(&CStr) -> Errno) -> Errno {
    if name.to_bytes().contains(&b'/') || name.is_empty() {
        return exec(name);
    }
    let path = lookup.get(b"PATH").map_or(&b"/usr/bin:/bin"[..], CStr::to_bytes);
    let mut worst = Errno::NOENT;
    for dir in path.split(|b| *b == b':') {
        let dir = if dir.is_empty() { b"." } else { dir };
        let candidate = CPath::<4096>::of(&[dir, b"/", name.to_bytes()]);
        let why = match candidate.path() {
            Ok(path) => exec(path),
            Err(e) => e,
        };
        match why {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => {}
            Errno::ACCESS => worst = Errno::ACCESS,
            other => return other,
        }
    }
    let is_ours = name.to_bytes().starts_with(b"s6-") && super::find(name.to_bytes()).is_some();
    if worst == Errno::NOENT && is_ours { exec_ourselves(exec) } else { worst }
}

/// By its path, which becomes the name of the process; by the kernel's link if nothing has that path any more.
fn exec_ourselves(exec: &mut dyn FnMut(&CStr) -> Errno) -> Errno {
    const LINK: &CStr = c"/proc/self/exe";
    // One buffer: this may be a child on a small stack.
    let mut room = [0; 4096];
    let path = match rustix::fs::readlinkat_raw(Fd::CWD, LINK, &mut room[..]) {
        Ok(n) if n < 4096 => CStr::from_bytes_until_nul(&room).unwrap_or(LINK),
        _ => LINK,
    };
    match exec(path) {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => exec(LINK),
        why => why,
    }
}

/// Lines for standard output, written some at a time.
pub struct Output {
    buffer: heapless::Vec<u8, 1024>,
    failed: Option<Errno>,
}

impl Output {
    /// Nothing yet.
    pub fn new() -> Output {
        Output { buffer: heapless::Vec::new(), failed: None }
    }

    /// Adds `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(512) {
            if self.buffer.extend_from_slice(chunk).is_err() {
                self.flush();
                let _ = self.buffer.extend_from_slice(chunk);
            }
        }
    }

    /// Writes what has been added; after a failure nothing more.
    pub fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = file::write_all(Fd::STDOUT, &self.buffer).err();
        }
        self.buffer.clear();
    }

    /// Writes the rest; returns 0, or 111 with a message.
    pub fn finish(mut self, cli: &Cli) -> i32 {
        self.flush();
        self.failed.map_or(0, |e| cli.unable("write to standard output", e))
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes `bytes` on standard output; returns 0, or 111 with a message.
pub fn print(cli: &Cli, bytes: &[u8]) -> i32 {
    match file::write_all(Fd::STDOUT, bytes) {
        Ok(()) => 0,
        Err(e) => cli.unable("write to standard output", e),
    }
}
