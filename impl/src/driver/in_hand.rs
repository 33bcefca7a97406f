//! What a driver was working on when an assertion failed: a broken invariant ends the node, and whoever looks into it needs
//! the record, message or update that broke it.

use std::fmt;
use std::thread;

/// While it lives, a panic of this thread is followed by a line on standard error that says what was in hand. It costs
/// nothing otherwise.
pub(super) struct InHand<F: Fn() -> W, W: fmt::Debug>(F);

impl<F: Fn() -> W, W: fmt::Debug> InHand<F, W> {
    /// `what` is called in a panic only.
    pub(super) fn new(what: F) -> Self {
        Self(what)
    }
}

impl<F: Fn() -> W, W: fmt::Debug> Drop for InHand<F, W> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("a broken invariant: this was in hand: {:?}", self.0());
        }
    }
}
