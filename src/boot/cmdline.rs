//! What the kernel was told for us: words `linchpin.KEY=VALUE` on its command line, or among process 1's arguments.
//! A later word wins.

use crate::sys::args::Args;
use crate::sys::{Fd, file};
use crate::text::CPath;
use crate::text::quote::Printable;
use crate::warning;

/// The path of the board config, unless a word says otherwise.
pub const BOARD: &[u8] = b"/etc/linchpin/board.toml";

/// What the words say.
pub struct Cmdline {
    /// `linchpin.board=PATH`
    pub board: CPath<512>,
}

/// Reads the command line; unknown words that begin with `linchpin.` are reported.
pub fn read(args: Args) -> Cmdline {
    let mut cmdline = Cmdline { board: CPath::of(&[BOARD]) };
    let mut bytes = [0u8; 4096];
    let kernel = file::read(Fd::CWD, c"/proc/cmdline", &mut bytes).unwrap_or_default();
    kernel.split(u8::is_ascii_whitespace).for_each(|word| cmdline.take(word));
    args.skip(1).iter().for_each(|word| cmdline.take(word));
    cmdline
}

impl Cmdline {
    fn take(&mut self, word: &[u8]) {
        let Some(ours) = word.strip_prefix(b"linchpin.") else { return };
        match ours.strip_prefix(b"board=") {
            Some(path) if !path.is_empty() => self.board = CPath::of(&[path]),
            _ => warning!("unknown word on the kernel command line: {}; ignored", Printable(word)),
        }
    }
}
