//! One event of one service at a time: noted in the arena before its machine takes it, so that a fault in the middle of what
//! follows from it is made good. See [`crate::state::layout::progress::Redo`].

use super::engine::Engine;
use crate::sys::time::Nanos;

impl Engine {
    /// Feeds the event again that was interrupted.
    pub(super) fn redo(&mut self, _now: Nanos) {}
}
