//! What the board config says about a process 1 that fails, and about the script of a stop, as the arena's header keeps it:
//! whoever needs it has no time to read a file.

use crate::board::{Board, Fault, Then};
use crate::state::Header;
use crate::state::leave;

/// Puts `[fault]`, and the script of `[shutdown]`, into the header.
pub fn take(board: &Board<'_>, header: &mut Header) {
    let Fault { limit, within, then, rescue } = board.fault();
    header.fault_limit = limit;
    header.fault_within = within;
    header.fault_then = match then {
        Then::Reboot => leave::Then::Reboot,
        Then::Rescue => leave::Then::Rescue,
        Then::Reap => leave::Then::Reap,
    } as u32;
    keep(&mut header.rescue, rescue);
    keep(&mut header.stop_script, board.script().unwrap_or_default());
    header.stop_script_timeout = board.script_timeout();
}

/// The reader of the file has seen to it that a NUL follows.
fn keep(room: &mut [u8; 256], path: &str) {
    if let Some((room, rest)) = room.split_at_mut_checked(path.len()) {
        room.copy_from_slice(path.as_bytes());
        rest.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::load;
    use zerocopy::FromZeros;

    #[test]
    fn the_header_holds_what_the_file_says_and_nothing_of_what_was_there() {
        let mut header = Header::new_zeroed();
        header.rescue.fill(b'x');
        header.stop_script.fill(b'x');
        let text = b"[fault]\nlimit = 2\nwithin = '7s'\nthen = 'reap'\nrescue = '/r'\n[shutdown]\nscript = '/stop'";
        let mut scratch = [0; 64];
        let mut board = Board::new();
        assert_eq!(load(&mut board, text, &mut scratch, &mut |_| ()), 0);
        take(&board, &mut header);
        assert_eq!((header.fault_limit, header.fault_within, header.fault_then), (2, 7_000_000_000, 2));
        assert!(header.rescue.starts_with(b"/r\0") && header.rescue[2..].iter().all(|byte| *byte == 0));
        assert!(header.stop_script.starts_with(b"/stop\0") && header.stop_script[5..].iter().all(|byte| *byte == 0));
        assert_eq!(header.stop_script_timeout, 30_000_000_000);
    }

    #[test]
    fn without_a_word_about_it_the_machine_is_rebooted_after_five_faults_within_a_minute() {
        let mut header = Header::new_zeroed();
        take(&Board::new(), &mut header);
        assert_eq!((header.fault_limit, header.fault_within, header.fault_then), (5, 60_000_000_000, 0));
        assert!(header.rescue.starts_with(b"/bin/sh\0"));
        assert_eq!(header.stop_script, [0; 256]);
    }
}
