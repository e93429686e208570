//! A message that was being received or sent when the process was interrupted: what the kernel did of it is noted in the
//! arena. See [`crate::state::layout::progress::Transfer`].

use super::engine::Engine;
use crate::sys::time::Nanos;

impl Engine {
    /// Draws the consequences of a message that was received or sent without our noticing.
    pub(super) fn finish_transfer(&mut self, _now: Nanos) {}
}
