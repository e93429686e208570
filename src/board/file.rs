//! The board config as a file, and the memory that the board of this process lives in.

use super::diagnostic::{Diagnostic, Mistake, position};
use super::model::Board;
use super::reader::load;
use crate::limits::{BOARD_FILE, BOARD_SCRATCH};
use crate::sys::cell::TakeCell;
use crate::sys::{Fd, Result, file, memory, process};
use core::ffi::CStr;
use rustix::fs::OFlags;

/// What a board's strings lie in.
struct Text {
    file: [u8; BOARD_FILE + 1],
    scratch: [u8; BOARD_SCRATCH],
}

static TEXT: TakeCell<Text> = TakeCell::new(Text { file: [0; BOARD_FILE + 1], scratch: [0; BOARD_SCRATCH] });

/// Reads the board config at `path`, once in the life of the process (after that: `None`); mistakes go to `report`.
/// Gives `inspect` the board, and how many mistakes there were or why the file cannot be read (then the board is all
/// defaults). Afterwards the memory that the board was in is given back: take what is needed for longer with you.
#[inline(never)] // the board is large, and lies in this frame
pub fn with_file<T>(
    path: &CStr,
    report: &mut dyn FnMut(&Diagnostic<'_>),
    inspect: impl FnOnce(&Board<'_>, Result<usize>) -> T,
) -> Option<T> {
    let memory = TEXT.take()?;
    let answer = {
        let mut board = Board::new();
        let read = read(path, &mut memory.file);
        let loaded = read.map(|text| load_whole(&mut board, text, &mut memory.scratch, report));
        inspect(&board, loaded)
    };
    memory::discard(&mut memory.file);
    memory::discard(&mut memory.scratch);
    Some(answer)
}

fn load_whole<'a>(
    board: &mut Board<'a>,
    mut text: &'a [u8],
    scratch: &'a mut [u8],
    report: &mut dyn FnMut(&Diagnostic<'_>),
) -> usize {
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
    mistakes + load(board, text, scratch, report)
}

fn read<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    // `check` may be given a pipe and wait for it; PID 1 waits for nothing.
    let patience = if process::pid() == 1 { OFlags::NONBLOCK } else { OFlags::empty() };
    let mut fd = file::open(Fd::CWD, path, OFlags::RDONLY | patience, 0)?;
    let done = file::read_full(fd, buffer);
    fd.close();
    done.map(|n| buffer.get(..n).unwrap_or_default())
}
