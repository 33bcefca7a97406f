//! What a server shows of itself while it runs: events with numbers, counters, latencies, and what it hears of
//! its peers. The driver notes it on its own thread, with a few comparisons a step; others look at a [`Board`].

mod beats;
mod board;
mod events;
mod histogram;
mod report;

pub(crate) use beats::Beats;
pub use beats::{Beat, Echo, PeerReport};
pub use board::Board;
pub use events::{EVENTS_MAX, Event, Events, Happening, Tally};
pub use histogram::{BOUNDS_S, Histogram};
pub(crate) use report::reason_name;
pub use report::{Drops, Reason, Report};

#[cfg(test)]
pub(crate) use report::tests;
