//! The guards that one server alone can judge: what its step did to promises, votes, grants, leases and its disk.

use spec::{Durable, Effect, Entry, Message, Phase, Record, Role, ServerId, ServerSet, Slot, Span, View};

use super::{Machine, Refused};
use crate::state::{NOW, Node, Value};
use crate::step::{Input, Local};

/// A step at one server.
pub(super) struct Step<'a> {
    pub(super) machine: &'a Machine,
    pub(super) was: &'a Node,
    pub(super) is: &'a Node,
    pub(super) input: Input,
    pub(super) local: &'a Local,
}

/// Fails with the guard unless it holds.
fn guard(holds: bool, refused: Refused) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(refused) }
}

impl Step<'_> {
    /// Every guard that the server alone can judge.
    pub(super) fn judge(&self) -> Result<(), Refused> {
        self.durable()?;
        self.promises()?;
        self.votes()?;
        self.establishes()?;
        self.chooses()?;
        self.requests()?;
        self.grants()?;
        self.holds()?;
        self.forgets()?;
        self.ticks()
    }

    fn message(&self) -> Option<&Message<Value>> {
        match &self.input {
            Input::Deliver(envelope) => Some(&envelope.message),
            _ => None,
        }
    }

    /// Who sent the message that arrived.
    fn from(&self) -> Option<ServerId> {
        match &self.input {
            Input::Deliver(envelope) => Some(envelope.from),
            _ => None,
        }
    }

    fn me(&self) -> ServerId {
        self.was.replica.config().me
    }

    fn records(&self) -> impl Iterator<Item = &Record<Value>> {
        self.local.effects.iter().filter_map(|effect| match effect {
            Effect::Persist(record) => Some(record),
            _ => None,
        })
    }

    /// What was sent, to whom, its own messages among it.
    fn sent(&self) -> impl Iterator<Item = (ServerId, &Message<Value>)> {
        self.local.effects.iter().filter_map(|effect| match effect {
            Effect::Send { to, message, .. } => Some((*to, message)),
            _ => None,
        })
    }

    /// Whether a message arrived from `from`: through the network, or this server's own within the step.
    fn received(&self, from: ServerId, is_it: impl Fn(&Message<Value>) -> bool) -> bool {
        (self.from() == Some(from) && self.message().is_some_and(&is_it))
            || (from == self.me() && self.sent().any(|(to, message)| to == from && is_it(message)))
    }

    /// restart, and every other step: what is durable stays.
    fn durable(&self) -> Result<(), Refused> {
        guard(keeps(&self.was.durable, &self.is.durable), Refused::DurableLost)?;
        if let Input::Crash(_) = self.input {
            let Durable { promised, grant_term, .. } = self.is.durable;
            // Its own leadership a restarted server knows to be over.
            let owed = promised > View::NONE && promised.leader != self.me() && grant_term > Span::ZERO;
            let grant = self.is.replica.grant();
            let remembers =
                grant.is_some_and(|grant| grant.view == promised && grant.until >= NOW + grant_term);
            guard(!owed || remembers, Refused::RestartForgets)?;
        }
        Ok(())
    }

    fn promises(&self) -> Result<(), Refused> {
        let before = self.was.replica.durable().promised;
        for record in self.records() {
            let Record::Promise(view) = record else { continue };
            guard(*view >= before, Refused::PromiseOfLeftView)?;
            let free = self.was.replica.grant().is_none_or(|grant| grant.allows(view.leader, NOW));
            guard(free, Refused::PromiseUnderGrant)?;
        }
        // A leader that answers with a higher view of its own promises that one in the same step.
        let promised = [before, self.is.replica.durable().promised];
        let given = self.sent().all(|(_, message)| match message {
            Message::Promise { view, .. } => {
                promised.contains(view) || self.records().any(|record| *record == Record::Promise(*view))
            }
            _ => true,
        });
        guard(given, Refused::PromiseOfLeftView)
    }

    fn votes(&self) -> Result<(), Refused> {
        for record in self.records() {
            let Record::Vote { view, slot, command } = record else { continue };
            guard(*view >= self.was.replica.durable().promised, Refused::VoteInLeftView)?;
            guard(self.is.replica.durable().promised >= *view, Refused::VoteLeavesNothing)?;
            let proposed = Message::Propose { view: *view, slot: *slot, command: command.clone() };
            guard(self.received(view.leader, |message| *message == proposed), Refused::VoteWithoutProposal)?;
        }
        Ok(())
    }

    fn establishes(&self) -> Result<(), Refused> {
        let (was, is) = (self.was.replica.role(), self.is.replica.role());
        let promised: ServerSet = match was {
            Role::Preparing(preparing) => preparing.promises.keys().copied().collect(),
            _ => ServerSet::EMPTY,
        };
        let new = |id: &ServerId, view: View| {
            self.received(*id, |message| matches!(message, Message::Promise { view: of, .. } if *of == view))
        };
        match is {
            Role::Preparing(preparing) => {
                let mut counted = preparing.promises.keys();
                let known = |id: &ServerId| matches!(was, Role::Preparing(was) if was.view == preparing.view && was.promises.contains_key(id));
                let right = counted.all(|id| known(id) || new(id, preparing.view));
                guard(right, Refused::EstablishWithoutQuorum)
            }
            Role::Leading(leading) if !matches!(was, Role::Leading(was) if was.view == leading.view) => {
                let mut promised = promised;
                let servers = self.machine.config.members();
                servers.filter(|id| new(id, leading.view)).for_each(|id| promised.insert(id));
                guard(self.machine.is_quorum(Phase::One, promised), Refused::EstablishWithoutQuorum)
            }
            Role::Leading(_) | Role::Follower => Ok(()),
        }
    }

    fn chooses(&self) -> Result<(), Refused> {
        let Role::Leading(leading) = self.is.replica.role() else { return Ok(()) };
        let before = |slot: &Slot| match self.was.replica.role() {
            Role::Leading(was) if was.view == leading.view => {
                was.proposals.get(slot).map(|known| known.votes)
            }
            _ => None,
        };
        for (slot, proposal) in &leading.proposals {
            let known = before(slot).unwrap_or(ServerSet::EMPTY);
            let accepts = |message: &Message<Value>| matches!(message, Message::Accept { view, slot: of } if *view == leading.view && of == slot);
            let mut members = (0..64).map(ServerId).filter(|&id| proposal.votes.contains(id));
            let counted = members.all(|id| known.contains(id) || self.received(id, accepts));
            guard(counted, Refused::ChooseWithoutQuorum)?;
            let chosen = !proposal.chosen || self.machine.is_quorum(Phase::Two, proposal.votes);
            guard(chosen, Refused::ChooseWithoutQuorum)?;
        }
        Ok(())
    }

    fn requests(&self) -> Result<(), Refused> {
        let rounds = |node: &Node, of: View| match node.replica.role() {
            Role::Leading(leading) if leading.view == of => Some(leading.lease.clone()),
            _ => None,
        };
        for (_, message) in self.sent() {
            match message {
                Message::Renew { view, round, .. } => {
                    let latest = rounds(self.was, *view).map_or(0, |lease| lease.requested);
                    let led = rounds(self.was, *view).or_else(|| rounds(self.is, *view)).is_some();
                    guard(led && *round > latest, Refused::RequestNotFresh)?;
                }
                Message::Release { view } => {
                    guard(rounds(self.is, *view).is_none(), Refused::ReleaseInUse)?;
                }
                _ => {}
            }
        }
        let Role::Leading(leading) = self.is.replica.role() else { return Ok(()) };
        let Some(was) = rounds(self.was, leading.view) else { return Ok(()) };
        if matches!(self.input, Input::Tick(_)) {
            return Ok(());
        }
        let same = |round: &spec::Round| {
            was.rounds
                .iter()
                .filter(|known| known.number == round.number)
                .all(|known| known.sent == round.sent)
        };
        guard(leading.lease.rounds.iter().all(same), Refused::RequestNotFresh)
    }

    fn grants(&self) -> Result<(), Refused> {
        let Some(clocks) = self.machine.clocks else { return Ok(()) };
        for (_, message) in self.sent() {
            let Message::Grant { view, round, .. } = message else { continue };
            guard(self.is.replica.durable().promised == *view, Refused::GrantWithoutPromise)?;
            let fresh = |grant: spec::Grant| grant.view != *view || *round > grant.round;
            if self.was.replica.grant().is_none_or(fresh) {
                // In real time, if this clock is fast and the holder's slow.
                let holder = self.term_asked(*view, *round).times(clocks.fast.into());
                let lasts = self.is.replica.grant().is_some_and(|grant| {
                    grant.view == *view && (grant.until - NOW).times(clocks.slow.into()) >= holder
                });
                guard(lasts, Refused::GrantTooShort)?;
            }
        }
        Ok(())
    }

    /// The holder's term that a request names; one of its own it has not received as a message.
    fn term_asked(&self, asked: View, number: u64) -> Span {
        match self.input {
            Input::Deliver(envelope) => match envelope.message {
                Message::Renew { view, round, term, .. } if (view, round) == (asked, number) => term,
                _ => self.is.replica.config().lease_term,
            },
            _ => self.is.replica.config().lease_term,
        }
    }

    fn holds(&self) -> Result<(), Refused> {
        let Role::Leading(leading) = self.is.replica.role() else {
            return guard(!self.is.holder, Refused::HoldWithoutView);
        };
        let was = match self.was.replica.role() {
            Role::Leading(was) if was.view == leading.view => Some(&was.lease),
            _ => None,
        };
        let granted = |id: ServerId, number: u64| {
            self.received(id, |message| matches!(message, Message::Grant { view, round, .. } if *view == leading.view && *round == number))
        };
        for round in &leading.lease.rounds {
            let known = was.and_then(|was| was.rounds.iter().find(|known| known.number == round.number));
            let mut members = (0..64).map(ServerId).filter(|&id| round.grants.contains(id));
            let counted = members
                .all(|id| known.is_some_and(|known| known.grants.contains(id)) || granted(id, round.number));
            guard(counted, Refused::HoldWithoutQuorum)?;
        }
        if leading.lease.until <= was.and_then(|was| was.until) {
            return guard(!self.is.holder || leading.lease.until > Some(NOW), Refused::HoldTooLong);
        }
        let term = Span(self.machine.clocks.map_or(0, |clocks| clocks.lease_term.into()));
        let made = was.into_iter().flat_map(|was| &was.rounds).any(|round| {
            let mut grants = round.grants;
            let servers = self.machine.config.members();
            servers.filter(|&id| granted(id, round.number)).for_each(|id| grants.insert(id));
            self.machine.is_quorum(Phase::Two, grants) && leading.lease.until <= Some(round.sent + term)
        });
        // Alone in its group a server makes its lease in the step in which it asks for it.
        let alone = self.machine.config.servers == 1 && leading.lease.until <= Some(NOW + term);
        let quorum = was.is_some_and(|was| {
            was.rounds.iter().any(|round| granted(self.from().unwrap_or(self.me()), round.number))
        });
        guard(made || alone, if quorum { Refused::HoldTooLong } else { Refused::HoldWithoutQuorum })
    }

    fn forgets(&self) -> Result<(), Refused> {
        if matches!(self.input, Input::Tick(_) | Input::Crash(_)) {
            return Ok(());
        }
        let Some(was) = self.was.replica.grant().filter(|grant| grant.until > NOW) else { return Ok(()) };
        let released = self.received(
            was.view.leader,
            |message| matches!(message, Message::Release { view } if *view == was.view),
        );
        let led = |view: View| {
            self.received(
                view.leader,
                |message| matches!(message, Message::Renew { view: of, .. } if *of == view),
            )
        };
        let kept = self.is.replica.grant().is_some_and(|is| {
            let higher = is.view > was.view && led(is.view);
            is.until >= was.until && (is.view.leader == was.view.leader || higher)
        });
        guard(kept || released, Refused::ForgetEarly)
    }

    fn ticks(&self) -> Result<(), Refused> {
        let Input::Tick(step) = self.input else { return Ok(()) };
        let step = Span(step.into());
        let left = |node: &Node| {
            let lease = match node.replica.role() {
                Role::Leading(leading) => leading.lease.until.map(|until| until - NOW),
                Role::Follower | Role::Preparing(_) => None,
            };
            (node.replica.grant().map(|grant| (grant.view, (grant.until - NOW).max(Span::ZERO))), lease)
        };
        let (grant, lease) = left(self.was);
        let (grant_now, lease_now) = left(self.is);
        let less = |span: Span| Span((span.0 - step.0).max(0));
        let expected_lease = lease.map(less).filter(|rest| *rest > Span::ZERO);
        let expected = (grant.map(|(view, rest)| (view, less(rest))), expected_lease);
        guard((grant_now, lease_now) == expected, Refused::ClockAstray)
    }
}

/// Whether everything durable in `was` is so in `is`: views only rise, and a vote gives way to a vote of a higher view or
/// to what was chosen, and to nothing else.
fn keeps(was: &Durable<Value>, is: &Durable<Value>) -> bool {
    let kept = |slot: Slot, entry: &Entry<Value>| match is.history.entry(slot) {
        None => is.history.is_committed(slot),
        Some(now) if entry.committed => now.committed && now.command == entry.command,
        Some(now) => {
            now.committed || now.view > entry.view || (now.view == entry.view && now.command == entry.command)
        }
    };
    was.promised <= is.promised
        && was.attempted <= is.attempted
        && was.grant_term <= is.grant_term
        && was.history.committed() <= is.history.committed()
        && was.history.above(Slot::NONE).all(|(slot, entry)| kept(slot, entry))
}
