//! What the kernel was told: words `linchpin.KEY=VALUE` on its command line, or among process 1's arguments, and those that
//! say where the root file system is. A later word wins.

use crate::limits::KERNEL_WORDS;
use crate::sys::args::Args;
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Fd, file};
use crate::text::CPath;
use crate::text::kernel_words::{Word, words};
use crate::text::modules::parameter;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use crate::warning;

/// The path of the board config, unless a word says otherwise.
const BOARD: &[u8] = b"/etc/linchpin/board.toml";

/// What the words say.
pub struct Cmdline {
    /// `linchpin.board=PATH`
    pub board: CPath<512>,
    /// `root=`; empty: it is not said.
    pub root: CPath<256>,
    /// `rootfstype=`
    pub root_kind: CPath<128>,
    /// `rootflags=`
    pub root_options: CPath<512>,
    /// `rw`, or `ro`.
    pub writable: Option<bool>,
    /// `rootwait`, or `rootwait=SECONDS`.
    pub patience: Patience,
    /// `rootdelay=SECONDS`
    pub delay: Nanos,
    /// `init=`; empty: it is not said.
    pub init: CPath<512>,
    /// The kernel's own line.
    line: [u8; KERNEL_WORDS],
    len: usize,
}

/// How long the root's device may take, as far as the kernel was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Nothing is said.
    Unsaid,
    /// So long.
    For(Nanos),
    /// For ever.
    Endless,
}

/// Reads the command line; words that begin with `linchpin.` and cannot be used are reported.
pub fn read(args: Args) -> Cmdline {
    let mut cmdline = Cmdline::new();
    let mut line = [0; KERNEL_WORDS];
    cmdline.len = file::read(Fd::CWD, c"/proc/cmdline", &mut line).map_or(0, <[u8]>::len);
    cmdline.line = line;
    words(line.get(..cmdline.len).unwrap_or_default()).for_each(|word| cmdline.take(word));
    args.skip(1).iter().for_each(|word| cmdline.take(word));
    cmdline
}

impl Cmdline {
    fn new() -> Cmdline {
        Cmdline {
            board: CPath::of(&[BOARD]),
            root: CPath::new(),
            root_kind: CPath::new(),
            root_options: CPath::new(),
            writable: None,
            patience: Patience::Unsaid,
            delay: 0,
            init: CPath::new(),
            line: [0; KERNEL_WORDS],
            len: 0,
        }
    }

    /// What a line says.
    #[cfg(test)]
    pub fn of(line: &[u8]) -> Cmdline {
        let mut cmdline = Cmdline::new();
        words(line).for_each(|word| cmdline.take(word));
        cmdline
    }

    fn take(&mut self, word: &[u8]) {
        let Word { name, value } = Word::of(word);
        let seconds = |value| parse_u32(value).map(|seconds| Nanos::from(seconds) * SECOND);
        match (name, value) {
            (b"root", Some(value)) => self.root = CPath::of(&[value]),
            (b"rootfstype", Some(value)) => self.root_kind = CPath::of(&[value]),
            (b"rootflags", Some(value)) => self.root_options = CPath::of(&[value]),
            (b"ro", None) => self.writable = Some(false),
            (b"rw", None) => self.writable = Some(true),
            (b"rootwait", None) => self.patience = Patience::Endless,
            (b"rootwait", Some(value)) => self.patience = seconds(value).map_or(self.patience, Patience::For),
            (b"rootdelay", Some(value)) => self.delay = seconds(value).unwrap_or(self.delay),
            (b"init", Some(value)) => self.init = CPath::of(&[value]),
            (b"linchpin.board", Some(path)) if CPath::<512>::of(&[path]).get().is_some_and(|path| !path.is_empty()) => {
                self.board = CPath::of(&[path]);
            }
            (name, _) if name.starts_with(b"linchpin.") => {
                warning!("kernel command line: {} is ignored: not known, or too long", Printable(word));
            }
            _ => {}
        }
    }

    /// Adds the parameters that the kernel's command line has for a module (`NAME.PARAMETER=VALUE`) to those it is given.
    pub fn add_parameters(&self, module: &[u8], parameters: &mut CPath<1024>) {
        for parameter in words(self.line.get(..self.len).unwrap_or_default()).filter_map(|word| parameter(word, module))
        {
            parameters.push(if parameters.is_empty() { b"" } else { b" " });
            parameters.push(parameter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_that_can_be_used_wins() {
        let mut cmdline = Cmdline::new();
        for word in [&b"quiet"[..], b"linchpin.board=/a", b"linchpin.board=/b", b"linchpin.board=", b"linchpin.x=1"] {
            cmdline.take(word);
        }
        cmdline.take(&[b"linchpin.board=/", &[b'x'; 600][..]].concat());
        assert_eq!(cmdline.board.get(), Some(c"/b"));
    }

    #[test]
    fn what_is_said_about_the_root_is_taken() {
        let mut cmdline = Cmdline::new();
        assert_eq!((cmdline.writable, cmdline.patience, cmdline.delay), (None, Patience::Unsaid, 0));
        let line =
            b"root=/dev/x root=\"PARTLABEL=a b\" rootfstype=ext4 rootflags=data=journal rw rootdelay=2 init=/bin/i";
        words(line).for_each(|word| cmdline.take(word));
        assert_eq!(cmdline.root.get(), Some(c"PARTLABEL=a b"));
        assert_eq!((cmdline.root_kind.get(), cmdline.root_options.get()), (Some(c"ext4"), Some(c"data=journal")));
        assert_eq!((cmdline.writable, cmdline.delay, cmdline.init.get()), (Some(true), 2 * SECOND, Some(c"/bin/i")));
        for (word, patience) in [
            ("rootwait", Patience::Endless),
            ("rootwait=7", Patience::For(7 * SECOND)),
            ("rootwait=x", Patience::For(7 * SECOND)),
            ("ro", Patience::For(7 * SECOND)),
        ] {
            cmdline.take(word.as_bytes());
            assert_eq!(cmdline.patience, patience, "{word}");
        }
        assert_eq!(cmdline.writable, Some(false));
    }

    #[test]
    fn modules_have_their_parameters_there() {
        let mut cmdline = Cmdline::new();
        let line = b"softdog.soft_margin=5 other.x=1 soft-dog.y softdog.nowayout=1 -- softdog.z=1";
        cmdline.line[..line.len()].copy_from_slice(line);
        cmdline.len = line.len();
        let mut parameters = CPath::of(&[b"a=b"]);
        cmdline.add_parameters(b"softdog", &mut parameters);
        assert_eq!(parameters.get(), Some(c"a=b soft_margin=5 nowayout=1"));
    }
}
