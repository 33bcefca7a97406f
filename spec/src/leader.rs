//! The Propose phase of a leader (Figure 5.6): proposing, counting votes, and leaving.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::command::{Command, RequestId, Value};
use crate::effect::{Effect, Effects, ReadId, Timer};
use crate::history::Slot;
use crate::lease::Lease;
use crate::message::Message;
use crate::record::Record;
use crate::replica::{Replica, Role};
use crate::rules::{Phase, Rules};
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, ServerSet, View};

/// Renewals without progress after which a leader with work in hand tries something else: the first is at the
/// beginning of a lease term and the last at its end (4.3.3 renews every third of it).
const STALLED_RENEWALS: u8 = 4;

/// A value that is proposed and not yet committed here.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Proposal<V> {
    /// The value.
    pub command: Command<V>,
    /// `acceptVotes`.
    pub votes: ServerSet,
    /// Whether a quorum voted; it is committed once the slots below are.
    pub chosen: bool,
}

/// A read that waits until it may be served.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ParkedRead {
    /// The caller's name for it.
    pub read: ReadId,
    /// The latest lease request that left before the read arrived: a later one confirms the view.
    pub after_round: u64,
}

/// PROPOSING (Figure 5.1): an established view.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Leading<V> {
    /// The view.
    pub view: View,
    /// The highest slot that the promises reported: what older views can have chosen.
    pub reported: Slot,
    /// `availableSeq`: the lowest slot that nothing was proposed for.
    pub next: Slot,
    /// What is proposed and not committed, by slot.
    pub proposals: BTreeMap<Slot, Proposal<V>>,
    /// About how many bytes the proposals hold.
    pub proposals_bytes: usize,
    /// `pendingUpdates`: requests that wait for the window.
    pub pending: VecDeque<Command<V>>,
    /// The requests among `pending` and `proposals`, so that none is proposed twice.
    pub in_hand: BTreeSet<RequestId>,
    /// The lease of this view.
    pub lease: Lease,
    /// Reads that wait for the lease, for a confirmation of the view, or for slots to be applied.
    pub reads: VecDeque<ParkedRead>,
    /// `committedSeq` at the last renewal.
    pub committed_at_renewal: Slot,
    /// Renewals since then without progress, while there was work.
    pub idle_renewals: u8,
    /// Whether the view was prepared because the one before made no progress.
    pub stalled: bool,
}

impl<V: Value> Leading<V> {
    pub(crate) fn new(view: View, reported: Slot, next: Slot, committed: Slot, stalled: bool) -> Self {
        Self {
            view,
            reported,
            next,
            proposals: BTreeMap::new(),
            proposals_bytes: 0,
            pending: VecDeque::new(),
            in_hand: BTreeSet::new(),
            lease: Lease::default(),
            reads: VecDeque::new(),
            committed_at_renewal: committed,
            idle_renewals: 0,
            stalled,
        }
    }

    pub(crate) fn add_proposal(&mut self, slot: Slot, command: Command<V>) {
        self.in_hand.extend(command.request());
        self.proposals_bytes += command.size_bytes();
        self.proposals.insert(slot, Proposal { command, votes: ServerSet::EMPTY, chosen: false });
    }

    /// Whether the window has room (6.1).
    fn has_room(&self, window: usize, window_bytes: usize) -> bool {
        self.proposals.is_empty() || (self.proposals.len() < window && self.proposals_bytes < window_bytes)
    }

    /// Forgets the proposals whose slots are committed.
    fn drop_committed(&mut self, committed: Slot) {
        while let Some(first) = self.proposals.first_entry().filter(|first| *first.key() <= committed) {
            self.proposals_bytes -= first.remove().command.size_bytes();
        }
        self.next = self.next.max(committed.next());
    }

    /// Forgets the requests that were proposed up to this slot: a snapshot holds what became of them.
    pub(crate) fn drop_requests(&mut self, slot: Slot) {
        let covered = self.proposals.range(..=slot).filter_map(|(_, proposal)| proposal.command.request());
        covered.for_each(|request| _ = self.in_hand.remove(&request));
    }

    /// The highest slot known to be chosen, or reported as possibly chosen.
    fn known(&self) -> Slot {
        let chosen = self.proposals.iter().rev().find(|(_, proposal)| proposal.chosen);
        self.reported.max(chosen.map_or(Slot::NONE, |(&slot, _)| slot))
    }
}

impl<V: Value, R: Rules> Replica<V, R> {
    /// Takes a request into the queue, unless it is there (`Client_Update`, Figure 5.6). Whether it was
    /// taken or found.
    pub(crate) fn enqueue(&mut self, command: Command<V>, effects: &mut Effects<V>) -> bool {
        let Role::Leading(leading) = &mut self.role else { return false };
        let Some(request) = command.request() else { return false };
        if leading.pending.len() >= self.config.waiting_max {
            return leading.in_hand.contains(&request);
        }
        if !leading.in_hand.insert(request) {
            return true;
        }
        leading.pending.push_back(command);
        self.propose_pending(effects);
        true
    }

    /// `starts_propose`, Figure 5.6, within the window of 6.1.
    pub(crate) fn propose_pending(&mut self, effects: &mut Effects<V>) {
        let Role::Leading(leading) = &mut self.role else { return };
        let first = leading.next;
        while leading.has_room(self.config.window, self.config.window_bytes)
            && let Some(command) = leading.pending.pop_front()
        {
            while self.durable.history.is_committed(leading.next) {
                leading.next = leading.next.next(); // Learnt ahead of a gap: its value stands.
            }
            leading.add_proposal(leading.next, command);
            leading.next = leading.next.next();
        }
        self.send_proposals_from(first, effects);
    }

    /// Proposes a no-op in each slot up to `last` that has no proposal, as far as the window has room.
    pub(crate) fn fill_up_to(&mut self, last: Slot, effects: &mut Effects<V>) {
        let Role::Leading(leading) = &mut self.role else { return };
        let first = leading.next;
        while leading.next <= last && leading.has_room(self.config.window, self.config.window_bytes) {
            if !self.durable.history.is_committed(leading.next) {
                leading.add_proposal(leading.next, Command::NoOp);
            }
            leading.next = leading.next.next();
        }
        self.send_proposals_from(first, effects);
    }

    /// `do_propose`, Figure 5.6: sends every proposal to those that have not voted for it.
    pub(crate) fn send_proposals(&self, effects: &mut Effects<V>) {
        self.send_proposals_from(Slot::NONE, effects);
    }

    fn send_proposals_from(&self, first: Slot, effects: &mut Effects<V>) {
        let Role::Leading(Leading { view, proposals, .. }) = &self.role else { return };
        for (&slot, proposal) in proposals.range(first..).filter(|(_, proposal)| !proposal.chosen) {
            for to in self.config.members().filter(|&to| !proposal.votes.contains(to)) {
                // At once: the view's attempt was durable before Prepare left, and no vote is implied. The
                // others write while this server's own acceptor does.
                let command = proposal.command.clone();
                effects.send_at_once(to, Message::Propose { view: *view, slot, command });
            }
        }
    }

    /// Figure 5.6, leader: upon receiving Accept (`handle_accept_msg`, Figure 5.4).
    pub(crate) fn on_accept(
        &mut self,
        from: ServerId,
        view: View,
        slot: Slot,
        now: LocalTime,
        effects: &mut Effects<V>,
    ) {
        let Role::Leading(leading) = &mut self.role else { return };
        if !self.rules.counts_vote(leading.view, view) {
            return;
        }
        let Some(proposal) = leading.proposals.get_mut(&slot).filter(|proposal| !proposal.chosen) else {
            return;
        };
        proposal.votes.insert(from);
        if self.rules.is_quorum(&self.config, Phase::Two, proposal.votes) {
            proposal.chosen = true;
            self.settle(now, effects);
        }
    }

    /// Commits chosen slots in order, and tells the others (`committedSeq`, Figure 5.6).
    fn commit_chosen(&mut self, effects: &mut Effects<V>) {
        let before = self.durable.history.committed();
        while let Role::Leading(leading) = &mut self.role {
            let slot = self.durable.history.committed().next();
            let Some(proposal) = leading.proposals.get(&slot).filter(|proposal| proposal.chosen) else {
                break;
            };
            let own_vote = self.durable.history.entry(slot).is_some_and(|entry| entry.view == leading.view);
            let record = if own_vote {
                Record::Committed(slot)
            } else {
                Record::Learnt { slot, command: proposal.command.clone() }
            };
            self.persist(record, effects);
        }
        if let Role::Leading(Leading { view, .. }) = &self.role
            && self.durable.history.committed() > before
        {
            let mark = Message::Committed { view: *view, up_to: self.durable.history.committed() };
            // At once: a durable quorum voted; this server's own records do not matter.
            self.others().for_each(|to| effects.send_at_once(to, mark.clone()));
        }
    }

    /// Brings everything that depends on the committed slots in line with them.
    pub(crate) fn settle(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        self.commit_chosen(effects);
        self.apply_committed(effects);
        self.end_repair(effects);
        if let Role::Leading(leading) = &mut self.role {
            leading.drop_committed(self.durable.history.committed());
            self.propose_pending(effects);
            self.serve_reads(now, effects);
        }
    }

    /// Repeats what has not been answered: messages may be lost (4.1.1).
    pub(crate) fn on_retry_timeout(&mut self, effects: &mut Effects<V>) {
        match &self.role {
            Role::Follower => return,
            Role::Preparing(_) => self.send_prepare(effects),
            Role::Leading(_) => self.send_proposals(effects),
        }
        effects.arm(Timer::Retry, self.config.retry_interval, Span::ZERO);
    }

    /// A leader with work in hand whose commits stand still for a lease term prepares afresh; if that does
    /// not help it makes room. Whether it left its view.
    pub(crate) fn leave_if_stalled(&mut self, effects: &mut Effects<V>) -> bool {
        let committed = self.durable.history.committed();
        let Role::Leading(leading) = &mut self.role else { return false };
        let progress = committed > leading.committed_at_renewal;
        let work = !leading.proposals.is_empty() || committed < leading.reported;
        leading.committed_at_renewal = committed;
        leading.stalled &= !progress;
        leading.idle_renewals = if work && !progress { leading.idle_renewals + 1 } else { 0 };
        if leading.idle_renewals < STALLED_RENEWALS {
            return false;
        }
        if leading.stalled {
            self.resign(effects);
        } else {
            self.prepare(self.next_view(), true, effects);
        }
        true
    }

    /// Gives the leadership up, so that another server can take it at once (4.3.2: 'unless the leaseholder
    /// forsake its lease').
    pub fn resign(&mut self, effects: &mut Effects<V>) {
        if let Role::Leading(Leading { view, .. }) = self.role {
            self.step_down(effects);
            self.release(view, effects);
        }
    }

    /// Quits the view (CLOSED, Figure 5.6). The grants stay with their grantors.
    pub(crate) fn step_down(&mut self, effects: &mut Effects<V>) {
        self.leave_view(effects);
        self.role = Role::Follower;
        self.await_leader(effects);
        if !self.waiting.is_empty() {
            effects.arm(Timer::Forward, self.config.forward_interval, Span::ZERO);
        }
    }

    /// Refuses the reads that wait: what the view could have served, it can no longer.
    pub(crate) fn leave_view(&mut self, effects: &mut Effects<V>) {
        if let Role::Leading(leading) = &mut self.role {
            for parked in leading.reads.drain(..) {
                effects.push(Effect::Refuse { read: parked.read, view: self.seen });
            }
        }
    }

    /// Tells the grantors that the lease of `view`, which this server no longer uses, may end.
    pub(crate) fn release(&self, view: View, effects: &mut Effects<V>) {
        for to in self.config.members() {
            effects.send_at_once(to, Message::Release { view }); // It gives up a right and promises nothing.
        }
    }

    /// Serves the reads whose time has come (4.3.2), and asks for a confirmation if others still wait.
    pub(crate) fn serve_reads(&mut self, now: LocalTime, effects: &mut Effects<V>) {
        let lease = self.holds_lease(now);
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.reads.is_empty() {
            return; // The usual case, which must not cost a look at every proposal.
        }
        let known = leading.known();
        while let Some(parked) = leading.reads.front() {
            let confirmed = leading.lease.confirmed > parked.after_round;
            if !self.rules.may_serve_read(lease, confirmed, self.applied, known) {
                break;
            }
            effects.push(Effect::Serve(parked.read));
            leading.reads.pop_front();
        }
        let asked = leading.lease.requested > leading.lease.confirmed;
        if !leading.reads.is_empty() && !lease && !asked {
            self.request_lease(now, effects);
        }
    }
}

#[cfg(test)]
mod tests;
