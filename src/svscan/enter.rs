//! Entering again: what the engine does with an arena that an earlier incarnation of the process has left to it, before it
//! goes on.

use super::engine::Engine;
use crate::sys::time;

impl Engine {
    /// Goes on where the earlier incarnation was interrupted.
    pub fn resume(&mut self) {
        let now = time::boot();
        self.finish_transfer(now);
        self.redo(now);
        self.take_up_inbox(now);
    }
}
