//! The guards that one server alone cannot judge: what the others promised and voted, what is chosen, and what is
//! on its way.

use spec::{Message, Paxos, Phase, Rules, ServerSet, Slot, View};

use super::abstraction::{leading, view_of};
use super::act::Act;
use super::judge::guard;
use super::{Machine, Verdict};
use crate::state::{Choice, Ghost, MessageRef, Node, NodeRef, State};

/// A step of the whole system, as the guards see it.
pub struct Whole<'a> {
    /// The system before.
    pub before: &'a State,
    /// The system after, but for its ghost.
    pub after: &'a State,
    /// What an observer knows after the step.
    pub ghost: &'a Ghost,
    /// The server at which it happened, before.
    pub was: &'a Node,
    /// The messages in flight before.
    pub in_flight: &'a dyn Fn() -> Vec<MessageRef>,
}

/// Whether an action must be judged with the others in sight.
pub(super) fn asks(was: &Node, act: &Act) -> bool {
    match act {
        Act::Propose { .. } | Act::Learn { .. } | Act::Acknowledge { .. } | Act::Forget { .. } => true,
        Act::Mark { slot, view, value: None } => unknown(was, *slot, *view).is_some(),
        Act::Request { view, .. } => leading(was, *view).is_none_or(|was| was.lease.requested == 0),
        _ => false,
    }
}

/// What a leader proposed for a slot that it was told to be chosen, and not with what; none if it knows.
fn unknown(was: &Node, slot: Slot, view: View) -> Option<Choice> {
    let proposal = leading(was, view)?.proposals.get(&slot)?;
    (!proposal.chosen).then(|| Choice::from(&proposal.command))
}

impl Machine {
    /// Judges one action.
    pub(super) fn with_others(&self, whole: &Whole<'_>, act: &Act) -> Verdict {
        let chosen = |slot: &Slot| whole.ghost.chosen.get(slot).copied();
        match *act {
            Act::Propose { slot, view, value } => self.may_propose(whole, slot, view, value),
            Act::Learn { slot, value } => {
                let decided = slot.0 <= self.sessions
                    || chosen(&slot).is_some_and(|chosen| value.is_none_or(|value| value == chosen));
                self.need(guard!("learn"."decided"), decided)
            }
            Act::Mark { slot, view, value: None } => {
                let own = unknown(whole.was, slot, view);
                self.need(guard!("mark"."unrefuted"), own.is_none_or(|own| chosen(&slot) == Some(own)))
            }
            Act::Acknowledge { slot, value } => {
                self.need(guard!("acknowledge"."decided"), chosen(&slot) == Some(value))?;
                let gapless = (self.sessions + 1..slot.0).all(|below| chosen(&Slot(below)).is_some());
                self.need(guard!("acknowledge"."gapless"), gapless)
            }
            Act::Request { view, round } => {
                // The leader's own count says so of all later rounds; a view that is led once more has none of its own.
                let earlier = (whole.in_flight)().iter().all(|message| {
                    !matches!(message.message,
                    Message::Renew { view: of, round: at, .. } if of == view && at >= round)
                });
                self.need(guard!("request"."latest"), earlier)
            }
            Act::Forget { view } => {
                let leader = whole.after.nodes[usize::from(view.leader.0)];
                self.need(guard!("forget"."quit"), view_of(&leader) != Some(view))
            }
            _ => Ok(()),
        }
    }

    /// propose(i, v, x, q) for some q: who has left the views below after the step, and the votes before it.
    fn may_propose(&self, whole: &Whole<'_>, slot: Slot, view: View, value: Choice) -> Verdict {
        let votes = &whole.before.ghost.votes;
        let voted = votes
            .range((slot, view, Choice::NoOp)..)
            .take_while(|((at, of, _), _)| (*at, *of) == (slot, view))
            .all(|((.., other), _)| *other == value);
        let on_its_way = |message: &MessageRef| match &message.message {
            Message::Propose { view: of, slot: at, command } => {
                (*of, *at) == (view, slot) && Choice::from(command) != value
            }
            _ => false,
        };
        let fresh = voted && !(whole.in_flight)().iter().any(on_its_way);
        self.need(guard!("propose"."fresh"), fresh)?;
        let servers = || self.config.members().map(|id| usize::from(id.0));
        let left = servers().filter(|&at| whole.after.nodes[at].replica.durable().promised >= view);
        let left: Vec<_> = left.map(|at| whole.before.nodes[at]).collect();
        let all = left.iter().map(|server| server.replica.config().me).collect();
        self.need(guard!("propose"."quorum"), self.is_quorum(Phase::One, all))?;
        let allowed = (0_u32..1 << left.len()).any(|some| {
            let members = left.iter().enumerate().filter(|(at, _)| some & (1 << at) != 0);
            let members = || members.clone().map(|(_, server)| *server);
            let quorum: ServerSet = members().map(|server| server.replica.config().me).collect();
            let votes = members().filter_map(|server| highest_vote(server, &whole.before.ghost, view, slot));
            let highest = votes.max_by_key(|(in_view, _)| *in_view);
            self.is_quorum(Phase::One, quorum) && highest.is_none_or(|(_, voted)| voted == value)
        });
        self.need(guard!("propose"."value"), allowed)
    }

    pub(super) fn is_quorum(&self, phase: Phase, servers: ServerSet) -> bool {
        Paxos.is_quorum(&self.config, phase, servers)
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
