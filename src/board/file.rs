//! The board config as a file, and the memory that the board of this process lives in.

use super::diagnostic::{Diagnostic, Mistake, position};
use super::model::Board;
use super::reader::load;
use crate::limits::{BOARD_FILE, BOARD_SCRATCH};
use crate::sys::cell::TakeCell;
use crate::sys::{Fd, Result, file, process};
use core::ffi::CStr;
use rustix::fs::OFlags;

static TEXT: TakeCell<[u8; BOARD_FILE + 1]> = TakeCell::new([0; BOARD_FILE + 1]);
static SCRATCH: TakeCell<[u8; BOARD_SCRATCH]> = TakeCell::new([0; BOARD_SCRATCH]);
static BOARD: TakeCell<Board<'static>> = TakeCell::new(Board::new());

/// A board, and how many mistakes its file had, or why the file could not be read.
pub type Loaded = (&'static Board<'static>, Result<usize>);

/// Reads the board config at `path`, once in the life of the process; mistakes go to `report`. Returns the board and
/// how many mistakes there were; if the file cannot be read, the board is all defaults. `None`: it was read before.
pub fn load_file(path: &CStr, report: &mut dyn FnMut(&Diagnostic<'_>)) -> Option<Loaded> {
    let (board, buffer, scratch) = (BOARD.take()?, TEXT.take()?, SCRATCH.take()?);
    let mut text: &'static [u8] = match read(path, buffer) {
        Ok(text) => text,
        Err(e) => return Some((board, Err(e))),
    };
    let mut mistakes = 0;
    if text.len() > BOARD_FILE {
        let cut = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        text = text.get(..cut).unwrap_or_default();
        let (line, column) = position(text, cut);
        let wrong = "is longer than 65536 bytes";
        let mistake = Mistake { subject: "the file", read: "", wrong, now: "it ends here" };
        report(&Diagnostic { line, column, mistake });
        mistakes = 1;
    }
    mistakes += load(board, text, scratch, report);
    Some((board, Ok(mistakes)))
}

fn read(path: &CStr, buffer: &'static mut [u8]) -> Result<&'static [u8]> {
    // `check` may be given a pipe and wait for it; PID 1 waits for nothing.
    let patience = if process::pid() == 1 { OFlags::NONBLOCK } else { OFlags::empty() };
    let mut fd = file::open(Fd::CWD, path, OFlags::RDONLY | patience, 0)?;
    let done = file::read_full(fd, buffer);
    fd.close();
    let buffer: &'static [u8] = buffer;
    done.map(|n| buffer.get(..n).unwrap_or_default())
}
