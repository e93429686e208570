//! What the kernel was told for us: words `linchpin.KEY=VALUE` on its command line, or among process 1's arguments.
//! A later word wins.

use crate::sys::args::Args;
use crate::sys::{Fd, file};
use crate::text::CPath;
use crate::text::quote::Printable;
use crate::warning;

/// The path of the board config, unless a word says otherwise.
const BOARD: &[u8] = b"/etc/linchpin/board.toml";

/// What the words say.
pub struct Cmdline {
    /// `linchpin.board=PATH`
    pub board: CPath<512>,
}

/// Reads the command line; words that begin with `linchpin.` and cannot be used are reported.
pub fn read(args: Args) -> Cmdline {
    let mut cmdline = Cmdline { board: CPath::of(&[BOARD]) };
    let mut bytes = [0u8; 4096]; // the kernels of our machines take 2048
    let kernel = file::read(Fd::CWD, c"/proc/cmdline", &mut bytes).unwrap_or_default();
    kernel.split(u8::is_ascii_whitespace).for_each(|word| cmdline.take(word));
    args.skip(1).iter().for_each(|word| cmdline.take(word));
    cmdline
}

impl Cmdline {
    fn take(&mut self, word: &[u8]) {
        let Some(ours) = word.strip_prefix(b"linchpin.") else { return };
        let path = ours.strip_prefix(b"board=").map(|path| CPath::of(&[path]));
        match path.filter(|path| !path.is_empty() && path.get().is_some()) {
            Some(path) => self.board = path,
            None => warning!("kernel command line: {} is ignored: not known, or too long", Printable(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_that_can_be_used_wins() {
        let mut cmdline = Cmdline { board: CPath::of(&[BOARD]) };
        for word in [&b"quiet"[..], b"linchpin.board=/a", b"linchpin.board=/b", b"linchpin.board=", b"linchpin.x=1"] {
            cmdline.take(word);
        }
        cmdline.take(&[b"linchpin.board=/", &[b'x'; 600][..]].concat());
        assert_eq!(cmdline.board.get(), Some(c"/b"));
    }
}
