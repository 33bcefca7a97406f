//! Refinement: every step of the handlers is a step of a small abstract machine, or several, or none.
//!
//! The machine knows no messages, no timers and no code. It has servers that *leave* views, *promise*, *vote*, *grant*
//! and *remember*; values that are *proposed* and *chosen*; and leases that are *held*. Its actions, with the guards that
//! keep agreement and lease exclusivity whatever the number of servers, views, slots and rounds:
//!
//! | action | guard |
//! | --- | --- |
//! | promise(n, v) | n has not left v; no unexpired grant of n to another leader |
//! | establish(v, q) | every member of q promised v |
//! | propose(i, v, x, q) | all of q left the views below v; x is what the highest vote of q in slot i is for, or q has none |
//! | vote(n, i, v, x) | n has not left v; x is proposed in (i, v); it leaves the views below v with its vote |
//! | choose(i, v, x, q) | every member of q voted x in (i, v) |
//! | acknowledge(i, x) | x is chosen in i, and something in every slot below |
//! | request(v, k) | v is led; k is a fresh round, and its time does not change after |
//! | grant(n, v, k) | n promised v and remembers it for as long as the holder's term can last |
//! | hold(v, k, q) | v is established; every member of q granted (v, k); until the term after the request, no longer |
//! | release(v) | the lease of v is used no more |
//! | forget(n, v) | the grant's time is over, or v was released, or a higher view is led: then the lease of v is over |
//! | restart(n) | nothing durable is lost; what n promised last is remembered as a grant of the full term |
//! | tick | all clocks go on, within their drift |
//!
//! The abstraction of a server is its durable records, its role, and the grant and the lease that it reckons with. What
//! happens at one server is judged with [`Local`], once for each local transition; a proposal and an acknowledgement need
//! to know what the others did, and are judged at each transition that has one.

use spec::{
    Config, Durable, Effect, Entry, Message, Paxos, Phase, Record, Role, Rules, ServerId, ServerSet, Slot,
    Span, View,
};

use crate::scope::{Clocks, Scope};
use crate::state::{Choice, Ghost, NOW, Node, NodeRef, State, Value};
use crate::step::{Event, Input, Local};

/// The guard that a step broke, so that the machine has no such step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refused {
    /// promise: the view was left.
    PromiseOfLeftView,
    /// promise: a grant to another leader runs.
    PromiseUnderGrant,
    /// establish: no quorum promised this very view.
    EstablishWithoutQuorum,
    /// propose: the value is not what a quorum's highest vote is for.
    ProposeAgainstVotes,
    /// vote: the view was left.
    VoteInLeftView,
    /// vote: nobody proposed the value.
    VoteWithoutProposal,
    /// vote: the views below stay open.
    VoteLeavesNothing,
    /// choose: a vote of another view, slot or server was counted, or no quorum voted.
    ChooseWithoutQuorum,
    /// acknowledge: not everything up to the slot is chosen, or the slot holds something else.
    AcknowledgeUnchosen,
    /// request: the view is not led, the round is not fresh, or its time was changed.
    RequestNotFresh,
    /// grant: the view is not promised.
    GrantWithoutPromise,
    /// grant: it is not remembered for as long as the holder's term can last.
    GrantTooShort,
    /// hold: no quorum granted this very round.
    HoldWithoutQuorum,
    /// hold: for longer than the term after the request.
    HoldTooLong,
    /// hold: by a server that leads no view.
    HoldWithoutView,
    /// release: the view's lease is still in use.
    ReleaseInUse,
    /// forget: a grant ends early, or gives way to another leader's.
    ForgetEarly,
    /// restart: durable state went back.
    DurableLost,
    /// restart: the promised view's leader is not taken to hold a lease.
    RestartForgets,
    /// tick: a clock did not go on as the others think it did.
    ClockAstray,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PromiseOfLeftView => "promise: the server has left that view",
            Self::PromiseUnderGrant => "promise: its grant to another leader still runs",
            Self::EstablishWithoutQuorum => "establish: no quorum promised this very view",
            Self::ProposeAgainstVotes => "propose: no quorum's votes allow that value",
            Self::VoteInLeftView => "vote: the server has left that view",
            Self::VoteWithoutProposal => "vote: nobody proposed that value",
            Self::VoteLeavesNothing => "vote: the views below stay open",
            Self::ChooseWithoutQuorum => {
                "choose: what was counted is no vote of this view and slot, or no quorum voted"
            }
            Self::AcknowledgeUnchosen => "acknowledge: not everything up to that slot is chosen",
            Self::RequestNotFresh => {
                "request: the view is not led, the round is not fresh, or its time was changed"
            }
            Self::GrantWithoutPromise => "grant: the view is not promised",
            Self::GrantTooShort => "grant: it is not remembered for as long as the holder's term can last",
            Self::HoldWithoutQuorum => "hold: no quorum granted this very round",
            Self::HoldTooLong => "hold: for longer than the term after the request",
            Self::HoldWithoutView => "hold: the server leads no view",
            Self::ReleaseInUse => "release: the lease is still in use",
            Self::ForgetEarly => "forget: the grant still runs and was not released",
            Self::DurableLost => "restart: what was durable is lost",
            Self::RestartForgets => "restart: the promised view's leader is not taken to hold a lease",
            Self::ClockAstray => "tick: the clock did not go on by what passed",
        })
    }
}

/// The machine of one scope.
pub struct Machine {
    /// The configuration that the scope means, whatever a variant makes of it.
    config: Config,
    clocks: Option<Clocks>,
    sessions: u64,
}

impl Machine {
    /// The machine with the quorums and terms of a scope.
    pub fn new(scope: &Scope) -> Self {
        Self { config: scope.config(ServerId(0)), clocks: scope.lease, sessions: scope.sessions() }
    }

    fn is_quorum(&self, phase: Phase, servers: ServerSet) -> bool {
        Paxos.is_quorum(&self.config, phase, servers)
    }

    /// The guard that a step at one server breaks, as far as that server alone can tell.
    pub fn local(&self, was: &Node, input: Input, local: &Local) -> Option<Refused> {
        let step = Step { machine: self, was, is: &local.node, input, local };
        step.judge().err()
    }

    /// The guard that a step breaks, as far as the other servers have to do with it.
    pub fn global(
        &self,
        (before, after): (&State, &State),
        ghost: &Ghost,
        was: &Node,
        local: &Local,
    ) -> Option<Refused> {
        let begun = |slot: Slot| match was.replica.role() {
            Role::Leading(leading) => leading.proposals.contains_key(&slot),
            Role::Follower | Role::Preparing(_) => false,
        };
        for effect in &local.effects {
            let Effect::Send { message: Message::Propose { view, slot, command }, .. } = effect else {
                continue;
            };
            if !begun(*slot) && !self.may_propose((before, after), *view, *slot, command.into()) {
                return Some(Refused::ProposeAgainstVotes);
            }
        }
        let unchosen = local.events.iter().any(|event| match event {
            Event::Acknowledged(value, slot) => {
                let gap = (self.sessions + 1..slot.0).any(|below| !ghost.chosen.contains_key(&Slot(below)));
                gap || ghost.chosen.get(slot) != Some(&Choice::Update(*value))
            }
            _ => false,
        });
        unchosen.then_some(Refused::AcknowledgeUnchosen)
    }

    /// propose(i, v, x, q) for some q: who has left the views below after the step, and the votes before it.
    fn may_propose(&self, (before, after): (&State, &State), view: View, slot: Slot, value: Choice) -> bool {
        let servers = self.config.members().map(|id| usize::from(id.0));
        let left = servers.filter(|&at| after.nodes[at].durable.promised >= view);
        let left: Vec<_> = left.map(|at| before.nodes[at]).collect();
        (0_u32..1 << left.len()).any(|some| {
            let members = left.iter().enumerate().filter(|(at, _)| some & (1 << at) != 0);
            let members = || members.clone().map(|(_, server)| *server);
            let quorum: ServerSet = members().map(|server| server.replica.config().me).collect();
            let votes = members().filter_map(|server| highest_vote(server, &before.ghost, view, slot));
            let highest = votes.max_by_key(|(in_view, _)| *in_view);
            self.is_quorum(Phase::One, quorum) && highest.is_none_or(|(_, voted)| voted == value)
        })
    }
}

/// The highest vote below `view` that a server cast in a slot. Once a slot is chosen the ghost forgets the votes for what
/// was chosen, and those that still stand in the server's history are looked at.
fn highest_vote(server: NodeRef, ghost: &Ghost, view: View, slot: Slot) -> Option<(View, Choice)> {
    if ghost.chosen.contains_key(&slot) {
        let vote = server.durable.history.entry(slot)?;
        return (vote.view > View::NONE && vote.view < view)
            .then(|| (vote.view, Choice::from(&vote.command)));
    }
    let votes = ghost.votes.range((slot, View::NONE, Choice::NoOp)..);
    votes
        .take_while(|((of, in_view, _), _)| *of == slot && *in_view < view)
        .filter(|(_, voters)| voters.contains(server.replica.config().me))
        .map(|((_, in_view, value), _)| (*in_view, *value))
        .last()
}

/// A step at one server.
struct Step<'a> {
    machine: &'a Machine,
    was: &'a Node,
    is: &'a Node,
    input: Input,
    local: &'a Local,
}

/// Fails with the guard unless it holds.
fn guard(holds: bool, refused: Refused) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(refused) }
}

impl Step<'_> {
    /// Every guard that the server alone can judge.
    fn judge(&self) -> Result<(), Refused> {
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
        let promised = self.is.replica.durable().promised;
        let given = self.sent().all(|(_, message)| match message {
            Message::Promise { view, .. } => *view == promised,
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
