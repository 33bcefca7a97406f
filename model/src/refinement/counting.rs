//! What a leader counts: promises, votes and grants, one by one, and what a quorum of them comes to.

use spec::{Message, Role, ServerId, ServerSet, Slot, View};

use super::abstraction::{Scan, leading, view_of};
use super::act::{Act, When};
use crate::state::{Choice, Value};
use crate::step::Input;

/// Members of a set that another one has not.
fn new_members(now: ServerSet, before: ServerSet) -> impl Iterator<Item = ServerSet> {
    let members = (0..spec::SERVERS_MAX).map(ServerId);
    members.filter(move |&id| now.contains(id) && !before.contains(id)).map(|id| [id].into_iter().collect())
}

impl Scan<'_> {
    /// What a message brings about, its own among them, in the middle of a step.
    pub(super) fn receives(&mut self, message: &Message<Value>) {
        match (message, view_of(self.step.is)) {
            (Message::Release { view }, _) => self.releases(*view),
            (Message::Promise { .. } | Message::Reject { .. }, Some(view)) => self.counts_promises(view),
            (Message::Accept { .. }, Some(view)) => self.counts_votes(view),
            (Message::Grant { .. }, Some(view)) => self.counts_grants(view),
            _ => {}
        }
    }

    /// Members that are counted in this step, and what that comes to.
    pub(super) fn counts(&mut self) {
        if let Some(view) = view_of(self.step.is) {
            self.counts_promises(view);
            self.counts_votes(view);
            self.counts_grants(view);
        }
    }

    fn counts_promises(&mut self, view: View) {
        let before = self.step.counted_promises(view);
        let is_promise =
            |message: &Message<Value>| matches!(message, Message::Promise { view: of, .. } if *of == view);
        match self.step.is.replica.role() {
            Role::Preparing(is) => {
                let now = is.promises.keys().copied().collect();
                for quorum in new_members(now, before) {
                    self.add(When::Counted, Act::Establish { view, quorum });
                }
            }
            Role::Leading(_) if leading(self.step.was, view).is_none() => {
                self.now(Act::Establish { view, quorum: self.step.heard_of(before, is_promise) });
            }
            Role::Leading(_) | Role::Follower => {}
        }
    }

    fn counts_votes(&mut self, view: View) {
        let Some(is) = leading(self.step.is, view) else { return };
        let was = leading(self.step.was, view);
        for (&slot, proposal) in is.proposals.iter().chain(was.into_iter().flat_map(|was| &was.proposals)) {
            let known = was.and_then(|was| was.proposals.get(&slot));
            let before = known.map_or(ServerSet::EMPTY, |known| known.votes);
            let value = Choice::from(&proposal.command);
            let chosen = match is.proposals.get(&slot) {
                Some(proposal) => proposal.chosen,
                // It is forgotten since it is committed, by these votes or by somebody's word.
                None => {
                    matches!(self.step.arrived(), Some((_, Message::Accept { slot: of, .. })) if *of == slot)
                }
            };
            if known.is_some_and(|known| known.chosen) {
                continue;
            }
            if chosen {
                self.chooses(slot, view, value, before);
            } else {
                for quorum in new_members(proposal.votes, before) {
                    self.add(When::Counted, Act::Choose { slot, view, value, quorum });
                }
            }
        }
        self.chooses_at_once(view);
    }

    fn chooses(&mut self, slot: Slot, view: View, value: Choice, before: ServerSet) {
        let is_vote = |message: &Message<Value>| matches!(message, Message::Accept { view: of, slot: at } if (*of, *at) == (view, slot));
        let quorum = self.step.heard_of(before, is_vote);
        self.now(Act::Choose { slot, view, value, quorum });
    }

    /// A leader alone in its group proposes, votes and counts in one step.
    fn chooses_at_once(&mut self, view: View) {
        let me = self.step.me();
        let own =
            |message: &Message<Value>| matches!(message, Message::Accept { view: of, .. } if *of == view);
        if self.step.was.replica.config().phase2_quorum > 1 || !self.step.heard(me, own) {
            return;
        }
        let history = self.step.is.replica.history();
        let acts: Vec<_> = self.acts.iter().map(|(_, act)| act.clone()).collect();
        for act in acts {
            if let Act::Vote { slot, view: of, value } = act
                && of == view
                && history.is_committed(slot)
            {
                self.chooses(slot, view, value, ServerSet::EMPTY);
            }
        }
    }

    fn counts_grants(&mut self, view: View) {
        let Some(is) = leading(self.step.is, view) else { return };
        let was = leading(self.step.was, view);
        let known =
            |number: u64| was.and_then(|was| was.lease.rounds.iter().find(|round| round.number == number));
        for round in &is.lease.rounds {
            let before = known(round.number).map_or(ServerSet::EMPTY, |known| known.grants);
            for quorum in new_members(round.grants, before) {
                self.add(When::Counted, Act::Hold { view, round: round.number, quorum, until: None });
            }
        }
        let (confirmed, until) = was.map_or((0, None), |was| (was.lease.confirmed, was.lease.until));
        let moved = is.lease.until.filter(|_| is.lease.until > until);
        if is.lease.confirmed > confirmed
            || (moved.is_some() && !matches!(self.step.input, Input::Tick(_) | Input::Crash(_)))
        {
            let round = is.lease.confirmed;
            let is_grant = |message: &Message<Value>| matches!(message, Message::Grant { view: of, round: at, .. } if (*of, *at) == (view, round));
            let before = known(round).map_or(ServerSet::EMPTY, |known| known.grants);
            let quorum = self.step.heard_of(before, is_grant);
            self.now(Act::Hold { view, round, quorum, until: moved });
        }
    }
}
