//! Multi-Paxos with leader leases: one body of handler code that is read as the specification, explored
//! exhaustively by the model and run by the cluster.
//!
//! # The algorithm
//!
//! A group of servers agrees on one command for each *slot* of a log, and each server applies the slots in
//! order. Any server may stand for leader. A *view* is one leader's term of office; views are ordered.
//!
//! 1. **Prepare** (Figure 5.5). A candidate picks a view above all that it has seen and asks everybody to
//!    promise it ([`Message::Prepare`]). An acceptor that promises votes in no lower view any more, and reports
//!    what it has voted for ([`Message::Promise`]).
//! 2. A quorum of promises *establishes* the view. Whatever a lower view may have chosen is among the
//!    reports, so the leader finishes that first: per slot the value of the highest view, or a no-op where
//!    nothing was reported ([`Rules::value_to_propose`]).
//! 3. **Propose** (Figure 5.6). The leader gives each update the next slot and asks for votes
//!    ([`Message::Propose`], [`Message::Accept`]). A quorum of votes in one view *chooses* the value. The
//!    leader says so ([`Message::Committed`]), and everybody applies it.
//! 4. **Lease** (4.3.2). A leader asks for a lease again and again ([`Message::Renew`]). While a grant runs,
//!    its grantor takes part in nobody else's election, so no other view can be established, and the leader
//!    may answer reads from what it has applied, alone.
//!
//! Phase 1 runs once a leader, phase 2 once an update. Agreement never rests on clocks; reads under the
//! lease do, on their rates only.
//!
//! To follow one update, read [`Replica::submit`], then `enqueue` and `propose_pending` in `leader.rs`,
//! `on_propose` in `acceptor.rs`, `on_accept` and `commit_chosen` in `leader.rs`, and `apply_committed` in
//! `learner.rs`. What makes all of it safe is on one page: [`rules`].
//!
//! # The contract with the caller
//!
//! [`Replica`] does no I/O and has no clock. The caller gives it inputs one at a time: [`Replica::receive`],
//! [`Replica::timeout`], [`Replica::submit`], [`Replica::read`], each with the local time read **after** the
//! input arrived, and carries out the [`Effects`] that it lists, **in order**:
//!
//! - [`Effect::Persist`]: append the record. Records become durable in the order in which they are listed.
//! - [`Effect::Send`] with [`When::Durable`] waits until every record listed before it, in this call or an earlier
//!   one, is durable; with [`When::AtOnce`] it waits for nothing. Messages to the server itself go the same
//!   way: they are given back to [`Replica::receive`] when they may leave. Any message may be lost,
//!   duplicated, delayed or reordered.
//! - [`Effect::Apply`], [`Effect::Restore`], [`Effect::Answer`], [`Effect::Serve`] and the others wait for nothing.
//!
//! After a crash, [`Replica::recover`] rebuilds the server from the records that became durable: any prefix of
//! those asked for that includes every one that something waited for.
//!
//! # Snapshots
//!
//! So that the log does not grow for ever, the caller takes a snapshot now and then, when it has carried out every
//! effect listed so far: the state machine, the results that it keeps of sessions, and [`Replica::snapshot`]. Once
//! that is durable, then or much later, it gives the [`Snapshot`] to [`Replica::install`], and the log up to it is
//! forgotten. A server that lags behind what others have forgotten is told who holds a snapshot and asks its
//! caller for it ([`Effect::Fetch`]). The callers move it, in whatever pieces; once it is durable it goes to
//! [`Replica::install`] too, and [`Effect::Restore`] puts it in the state machine's place. A caller that installs its
//! own snapshot only some slots later spares servers that lag by no more than those the transfer.
//!
//! A caller keeps a snapshot until the record of a later one is durable: a restart begins with an
//! [`Effect::Restore`] of the snapshot that the durable records name.
//!
//! # A lost disk
//!
//! A server whose disk is lost, or damaged beyond repair, must not start from nothing: what it promised binds it. Its
//! caller gives it a disk with one record, [`Record::Recovering`], whose [`Incarnation`] is above every one that this
//! server had; [`Replica::recover`] then asks the others ([`Recovery`]) and votes, promises, grants and leads again
//! once [`Record::Recovered`] is durable. Servers tell each other their incarnation with every message, and the caller
//! gives it to [`Replica::receive_from`]: what an older incarnation said is void.
//!
//! # A damaged disk
//!
//! Where only some of its records are lost, and none of what it promised, attempted, granted and noted, the caller replays the
//! others, and in the place of those that are lost [`Record::Lacks`]. The server asks each of the others for what is chosen
//! in those slots ([`Repairing`]), and votes, promises, grants and leads again once it knows all of it.
//!
//! # Three servers in memory
//!
//! ```
//! use spec::{Command, Config, Durable, Effect, Effects, LocalTime, Paxos, Replica, ServerId, Span, Timer};
//!
//! let now = LocalTime(0); // nobody's clock moves in this example
//! let mut effects = Effects::new();
//! let mut servers: Vec<Replica<u8>> = (0..3)
//!     .map(|id| {
//!         let config = Config::new(ServerId(id), 3, Span(1_000));
//!         Replica::recover(config, Paxos, Durable::default(), now, &mut effects).unwrap()
//!     })
//!     .collect();
//! effects = Effects::new(); // the timers: this example fires the one that it needs by hand
//!
//! servers[0].timeout(Timer::Election, now, &mut effects);
//! let mut log = Vec::new();
//! let mut network: Vec<(ServerId, Effect<u8>)> = effects.drain().map(|effect| (ServerId(0), effect)).collect();
//! servers[0].submit(Command::Open { nonce: 7 }, &mut effects); // waits for the election
//! while !network.is_empty() {
//!     let (from, effect) = network.remove(0);
//!     match effect {
//!         // A real caller writes these to disk, and keeps what is `When::Durable` back until it has.
//!         Effect::Persist(_) | Effect::Arm { .. } => {}
//!         Effect::Send { to, message, .. } => {
//!             servers[usize::from(to.0)].receive(from, message, now, &mut effects);
//!             network.extend(effects.drain().map(|effect| (to, effect)));
//!         }
//!         other => log.push((from, other)),
//!     }
//! }
//! assert!(matches!(log[..], [(ServerId(0), Effect::Answer { .. })]));
//! assert!(servers.iter().all(|server| server.applied().0 == 1));
//! ```

#![no_std]

extern crate alloc;

mod acceptor;
mod client;
mod command;
mod config;
mod effect;
mod election;
mod history;
mod leader;
mod learner;
mod lease;
mod message;
mod record;
mod recovery;
mod repair;
mod replica;
pub mod rules;
mod session;
mod snapshot;
#[cfg(test)]
mod testing;
mod time;
mod view;

pub use command::{Command, Outcome, RequestId, SessionId, Update, Value};
pub use config::{Config, ConfigError};
pub use effect::{Effect, Effects, ReadId, Timer, When};
pub use election::Preparing;
pub use history::{Entry, History, Slot};
pub use leader::{Leading, ParkedRead, Proposal};
pub use lease::{Grant, Lease, Round};
pub use message::{Message, Report};
pub use record::{Durable, Record};
pub use recovery::{Incarnation, Recovering, Recovery};
pub use repair::Repairing;
pub use replica::{Replica, Role};
pub use rules::{Paxos, Phase, RecoveryRound, Rules};
pub use session::Sessions;
pub use snapshot::Snapshot;
pub use time::{LocalTime, Span};
pub use view::{SERVERS_MAX, ServerId, ServerSet, View};
