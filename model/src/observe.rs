//! The observer: turns what happened at one server into what is chosen, acknowledged, read and broken.

use spec::{Command, Config, Effect, Message, Phase, Role, Rules, ServerId, ServerSet, Slot, View};

use crate::intern::Interner;
use crate::refinement::{Machine, Refused, Whole};
use crate::scope::Scope;
use crate::state::{Broken, Choice, Ghost, GhostRef, MessageRef, Node, Observed, State, Value};
use crate::step::{Event, Input, Local};
use crate::variant::Variant;

/// Updates ghost state.
pub struct Observer {
    scope: Scope,
    /// What makes a quorum is the rules' word, right or wrong.
    variant: Variant,
    config: Config,
    ghosts: Interner<Ghost, &'static Observed>,
}

impl Observer {
    /// An observer of one scope.
    pub fn new(scope: Scope, variant: Variant) -> Self {
        let config = variant.config(scope.config(ServerId(0)));
        Self { scope, variant, config, ghosts: Interner::default() }
    }

    /// The ghost before anything happened.
    pub fn first(&self, ghost: Ghost) -> GhostRef {
        self.ghosts.intern(ghost)
    }

    /// What is known after a step at `server`; `after` still has the old ghost.
    pub fn observe(
        &self,
        before: &State,
        after: &State,
        server: ServerId,
        input: Input,
        local: &'static Local,
        judges: (&Machine, &dyn Fn() -> Vec<MessageRef>),
    ) -> GhostRef {
        let observed = self.events(before.ghost, server, local);
        let (was, is) = (before.nodes[usize::from(server.0)], local.node);
        let mut broken = Vec::new();
        if observed.chosen.iter().any(|&chosen| surprises_holder(before, chosen)) {
            broken.push(Broken::OldViewUnderLease);
        }
        if unseats(&was, input, &is) {
            broken.push(Broken::LeaderUnseated);
        }
        if proposes_twice(local) || proposes_otherwise(before, local) {
            broken.push(Broken::OneValuePerView);
        }
        let (machine, in_flight) = judges;
        let whole = Whole { before, after, ghost: &observed.ghost, was: &was, in_flight };
        if refused(machine, &whole, local).is_some() {
            broken.push(Broken::NotRefined);
        }
        let exposed = after.nodes.iter().filter_map(|node| node.readable).max().unwrap_or(Slot::NONE);
        let ghost = observed.ghost;
        if broken.is_empty() && (exposed <= ghost.visible || !ghost.stands(Broken::Read)) {
            return ghost;
        }
        let mut next = Ghost::clone(&ghost);
        broken.into_iter().for_each(|what| next.break_it(what));
        // A lease read could be served in this very state; whatever it shows, later reads must show.
        let stale = after.nodes.iter().any(|node| node.readable.is_some_and(|slot| slot < ghost.visible));
        if !stale {
            next.visible = next.visible.max(exposed);
        }
        self.ghosts.intern(next)
    }

    /// What is known after time has passed, if one of these clocks went astray.
    pub fn astray(&self, ghost: GhostRef, mut clocks: impl Iterator<Item = &'static Local>) -> GhostRef {
        if clocks.all(|local| local.refused.is_none()) || !ghost.stands(Broken::NotRefined) {
            return ghost;
        }
        let mut next = Ghost::clone(&ghost);
        next.break_it(Broken::NotRefined);
        self.ghosts.intern(next)
    }

    /// Brings a copy of the list of ghosts, by index, up to date.
    pub fn update(&self, ghosts: &mut Vec<GhostRef>) {
        self.ghosts.update(ghosts);
    }

    /// What follows from the events alone.
    fn events(&self, ghost: GhostRef, server: ServerId, local: &'static Local) -> &'static Observed {
        let code = std::ptr::from_ref(local) as usize as u64;
        ghost.remember(code, || {
            let mut next = Ghost::clone(&ghost);
            let chosen =
                local.events.iter().filter_map(|event| self.event(&mut next, server, event)).collect();
            Box::leak(Box::new(Observed { ghost: self.ghosts.intern(next), chosen }))
        })
    }

    /// Notes one event; a value that it makes chosen is returned.
    fn event(&self, ghost: &mut Ghost, server: ServerId, event: &Event) -> Option<(Slot, View, Choice)> {
        match *event {
            Event::Submitted(value) => {
                ghost.retries += u8::from(ghost.submitted & (1 << value) != 0);
                ghost.submitted |= 1 << value;
            }
            Event::Resigned => ghost.resigns += 1,
            Event::ReadBegan => {
                ghost.reads += 1;
                ghost.reading = Some((server, ghost.visible));
            }
            Event::Served(slot) => {
                if ghost.reading.take().is_some_and(|(_, must_see)| slot < must_see) {
                    ghost.break_it(Broken::Read);
                }
                ghost.visible = ghost.visible.max(slot);
            }
            Event::Refused => ghost.reading = None,
            Event::Acknowledged(value, slot) => {
                ghost.acknowledged.insert(slot, value);
                ghost.visible = ghost.visible.max(slot);
            }
            Event::Uncovered => ghost.break_it(Broken::Uncovered),
            // Its own votes in its own views are on no disk, and nobody counts them any more.
            Event::Wiped => forget_votes(ghost, server, server),
            // Nor those in the views of the server that has noted.
            Event::Noted(other) => forget_votes(ghost, server, other),
            Event::Voted(slot, view, choice) => return self.voted(ghost, server, slot, view, choice),
        }
        None
    }

    fn voted(
        &self,
        ghost: &mut Ghost,
        server: ServerId,
        slot: Slot,
        view: View,
        choice: Choice,
    ) -> Option<(Slot, View, Choice)> {
        if ghost.chosen.get(&slot) == Some(&choice) {
            return None; // Chosen already: one more vote says nothing new.
        }
        let votes = ghost.votes.entry((slot, view, choice)).or_insert(ServerSet::EMPTY);
        votes.insert(server);
        if !self.variant.is_quorum(&self.config, Phase::Two, *votes) {
            return None;
        }
        ghost.votes.retain(|&(voted, _, other), _| (voted, other) != (slot, choice));
        if ghost.chosen.insert(slot, choice).is_some() {
            ghost.break_it(Broken::Agreement);
        }
        if matches!(choice, Choice::Update(value) if ghost.submitted & (1 << value) == 0)
            || matches!(choice, Choice::Open(_))
        {
            ghost.break_it(Broken::Validity);
        }
        debug_assert!(slot.0 > self.scope.sessions());
        Some((slot, view, choice))
    }
}

/// Forgets the votes of a server in the views of a leader, as far as they have chosen nothing.
fn forget_votes(ghost: &mut Ghost, leader: ServerId, voter: ServerId) {
    let of_views = ghost.votes.iter_mut().filter(|((_, view, _), _)| view.leader == leader);
    of_views.for_each(|(_, votes)| votes.remove(voter));
    ghost.votes.retain(|_, votes| !votes.is_empty());
}

/// Whether `view` completing a value is news to a server that holds the lease of a higher view: the slot must hold
/// what the rule *value to propose* yielded for it from the holder's promises.
fn surprises_holder(state: &State, (slot, view, choice): (Slot, View, Choice)) -> bool {
    state.nodes.iter().filter(|node| node.holder).any(|holder| match holder.replica.role() {
        // It knows what it has forgotten to be chosen, so only a slot above can be news to it.
        Role::Leading(leading) if leading.view > view && slot > holder.replica.history().base() => {
            let known = holder.replica.history().committed_command(slot);
            let recovered = leading.proposals.get(&slot).filter(|_| slot <= leading.reported);
            known.or(recovered.map(|proposal| &proposal.command)).map(Choice::from) != Some(choice)
        }
        _ => false,
    })
}

/// Whether a lease read can be served in this state that shows more than its ghost has seen.
pub fn shows(state: &State) -> bool {
    state.nodes.iter().any(|node| node.readable.is_some_and(|slot| slot > state.ghost.visible))
}

/// Why a step is none of the machine that is proved.
pub fn refused(machine: &Machine, whole: &Whole<'_>, local: &Local) -> Option<Refused> {
    local.refused.or_else(|| machine.global(whole, &local.asks))
}

/// Whether nothing but a read that can be served makes the observer note anything about a step.
pub fn quiet(was: &Node, input: Input, local: &Local) -> bool {
    local.events.is_empty()
        && local.refused.is_none()
        && local.asks.is_empty()
        && proposals(local).next().is_none()
        && !unseats(was, input, &local.node)
}

/// Whether a leader with a lease is no longer on its way as a leader of this or a higher view, and not by its own will.
fn unseats(was: &Node, input: Input, is: &Node) -> bool {
    was.holder && !by_its_own_will(was, input) && matches!(is.replica.role(), Role::Follower)
}

/// Whether a leader that leaves at this input may: it crashed, was told to, or gets nothing done in a view that it
/// prepared because it got nothing done in the one before.
fn by_its_own_will(was: &Node, input: Input) -> bool {
    let stalled = matches!(was.replica.role(), Role::Leading(leading) if leading.stalled);
    matches!(input, Input::Crash(_) | Input::Wipe | Input::Damage(_) | Input::Resign)
        || (stalled && input == Input::Renew)
}

fn proposals(local: &Local) -> impl Iterator<Item = (View, Slot, &Command<Value>)> {
    local.effects.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Propose { view, slot, command }, .. } => {
            Some((*view, *slot, command))
        }
        _ => None,
    })
}

/// Whether a step proposes two values in one view and slot.
fn proposes_twice(local: &Local) -> bool {
    proposals(local).any(|(view, slot, command)| {
        proposals(local).any(|(view2, slot2, other)| (view, slot) == (view2, slot2) && command != other)
    })
}

/// Whether a step proposes another value in a view and slot than some acceptor has voted for in that view.
fn proposes_otherwise(before: &State, local: &Local) -> bool {
    proposals(local).any(|(view, slot, command)| {
        before
            .ghost
            .votes
            .range((slot, view, Choice::NoOp)..)
            .take_while(|((s, v, _), _)| (*s, *v) == (slot, view))
            .any(|((_, _, voted), _)| *voted != Choice::from(command))
    })
}
