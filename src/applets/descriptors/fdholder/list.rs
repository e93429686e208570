//! The identifiers of all that a store holds.

use super::{no_other, target};
use crate::applets::cli::{Cli, Output};
use crate::limits::{FDHOLDER_DUMP, HELD_NAME};
use crate::sys::cell::TakeCell;

/// Room for the answer of a store that holds [`FDHOLDER_DUMP`] descriptors.
const ANSWER: usize = 6 + 1 + 4 + FDHOLDER_DUMP * (HELD_NAME + 1);

/// `fdholder-list [-t ms] socket`
pub fn list(cli: &Cli) -> i32 {
    static BUFFER: TakeCell<[u8; ANSWER]> = TakeCell::new([0; ANSWER]);
    cli.with_usage(|| {
        let (target, _) = target(cli.options(), 1, no_other)?;
        Ok(target.ask(cli, "get fd list", |store| {
            let buf = BUFFER.take().map_or(&mut [][..], |buf| &mut buf[..]);
            let mut out = Output::new();
            for id in store.list(buf)? {
                for byte in id {
                    quoted(&mut out, *byte);
                }
                out.put(b"\n");
            }
            Ok(out.finish(cli))
        }))
    })
}

/// As s6 shows identifiers: C's letters for 7 to 13, other controls and everything from 127 on in hex.
fn quoted(out: &mut Output, byte: u8) {
    let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
    match byte {
        b'\\' => out.put(b"\\\\"),
        7..=13 => out.put(&[b'\\', b"abtnvfr"[usize::from(byte - 7)]]),
        0x20..0x7f => out.put(&[byte]),
        _ => out.put(&[b'\\', b'0', b'x', hex(byte >> 4), hex(byte)]),
    }
}
