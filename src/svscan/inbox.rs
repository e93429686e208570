//! Input that was taken from the kernel and not acted on yet. See [`crate::state::layout::progress::Inbox`].

use super::engine::Engine;
use crate::sys::time::Nanos;

impl Engine {
    /// Acts on what was left in the inbox.
    pub(super) fn take_up_inbox(&mut self, _now: Nanos) {}
}
