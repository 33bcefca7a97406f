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

mod local;

use spec::{Config, Effect, Message, Paxos, Phase, Role, Rules, ServerId, ServerSet, Slot, View};

use crate::scope::{Clocks, Scope};
use crate::state::{Choice, Ghost, Node, NodeRef, State};
use crate::step::{Event, Input, Local};
use local::Step;

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
