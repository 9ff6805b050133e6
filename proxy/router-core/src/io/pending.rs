//! Whether a descriptor is free to be closed by a plain call.

/// Whether the runtime may have an operation of one half under way, which then holds the descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    now: bool,
    /// One was given up: nobody knows when it ends.
    ever_dropped: bool,
}

impl Pending {
    pub(super) fn begin(&mut self) {
        self.ever_dropped |= self.now;
        self.now = true;
    }

    pub(super) fn end(&mut self) {
        self.now = false;
    }

    pub(super) fn may_be(self) -> bool {
        self.now || self.ever_dropped
    }
}
