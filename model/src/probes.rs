//! Probes: interesting things that must really happen somewhere in a scope, so that no property holds for want of
//! an occasion. A probe that is never reached fails the check.

use spec::{Command, Effect, Message, Record, Recovery, Role, ServerId, Slot, View};

use crate::state::{Node, State};
use crate::step::{Event, Input, Local};

/// A step at one server, as a probe sees it.
pub struct Witness<'a> {
    /// The system before.
    pub before: &'a State,
    /// The system after, before dead messages are dropped.
    pub after: &'a State,
    /// Where it happened.
    pub server: ServerId,
    /// What happened.
    pub input: Input,
    /// What came of it.
    pub local: &'a Local,
}

/// Something that must happen.
pub struct Probe {
    /// What happens.
    pub name: &'static str,
    /// Whether a step shows it.
    pub witnessed: fn(&Witness<'_>) -> bool,
}

/// All of them; a scope names those that it must reach.
pub const PROBES: &[Probe] = &[
    Probe {
        name: "a server that lost its disk takes part again",
        witnessed: |step| step.was().durable.recovering && !step.is().durable.recovering,
    },
    Probe {
        name: "a server whose disk was damaged takes part again",
        witnessed: |step| step.was().replica.repairing().is_some() && step.is().replica.repairing().is_none(),
    },
    Probe {
        name: "a server that lacks votes tells another what is chosen",
        witnessed: |step| {
            let lack = |sent: &Message<_>| matches!(sent, Message::Recovery(Recovery::Lack { .. }));
            step.was().replica.repairing().is_some()
                && matches!(step.input, Input::Deliver(it) if lack(&it.message))
                && step.sends(|sent| matches!(sent, Message::Commit { .. } | Message::SnapshotOffer { .. }))
        },
    },
    Probe {
        name: "a lease ends because a clock is in doubt",
        witnessed: |step| matches!(step.input, Input::Doubt(_)) && step.was().holder && !step.is().holder,
    },
    Probe {
        name: "a lease rests on clocks that are not in doubt",
        witnessed: |step| step.is().holder && !step.was().holder && !step.is().replica.doubted().is_empty(),
    },
    Probe { name: "a view is established", witnessed: |step| step.establishes() },
    Probe {
        name: "a new leader proposes what an old one began",
        witnessed: |step| step.establishes() && step.recovered().any(|command| *command != Command::NoOp),
    },
    Probe {
        name: "a new leader fills a hole",
        witnessed: |step| step.establishes() && step.recovered().any(|command| *command == Command::NoOp),
    },
    Probe {
        name: "a stale Propose is refused",
        witnessed: |step| matches!(step.message(), Some(Message::Propose { .. })) && step.refuses(),
    },
    Probe {
        name: "a stale Prepare is refused",
        witnessed: |step| matches!(step.message(), Some(Message::Prepare { .. })) && step.refuses(),
    },
    Probe {
        name: "a leader is refused and steps down",
        witnessed: |step| {
            matches!(step.message(), Some(Message::Reject { .. })) && leads(step.was()) && !leads(step.is())
        },
    },
    Probe {
        name: "a leader that learns another value steps down",
        witnessed: |step| {
            matches!(step.message(), Some(Message::Commit { .. })) && leads(step.was()) && !leads(step.is())
        },
    },
    Probe {
        name: "a committed slot is answered with its Commit",
        witnessed: |step| {
            matches!(step.message(), Some(Message::Propose { .. }))
                && step.sends(|message| matches!(message, Message::Commit { .. }))
        },
    },
    Probe {
        name: "a server learns by a mark",
        witnessed: |step| {
            matches!(step.message(), Some(Message::Committed { .. }))
                && step.persists(|record| matches!(record, Record::Committed(_)))
        },
    },
    Probe {
        name: "a mark meets votes of another view",
        witnessed: |step| match step.message() {
            Some(Message::Committed { view, up_to }) => {
                let history = step.was().replica.history();
                let other = |entry: &spec::Entry<u8>| {
                    !entry.committed && entry.view > View::NONE && entry.view != *view
                };
                history.above(history.committed()).any(|(slot, entry)| slot <= *up_to && other(entry))
            }
            _ => false,
        },
    },
    Probe {
        name: "a restarted server votes",
        witnessed: |step| {
            step.was().crashes > 0 && step.sends(|message| matches!(message, Message::Accept { .. }))
        },
    },
    Probe { name: "a lease is acquired", witnessed: |step| !step.was().holder && step.is().holder },
    Probe {
        name: "a lease is renewed",
        witnessed: |step| {
            step.was().holder && step.is().holder && confirmed(step.is()) > confirmed(step.was())
        },
    },
    Probe {
        name: "the lease moves to another server",
        witnessed: |step| {
            let others = step.before.nodes.iter().filter(|other| other.replica.config().me != step.server);
            !step.was().holder && step.is().holder && others.into_iter().any(|other| confirmed(other) > 0)
        },
    },
    Probe {
        name: "a grant keeps a candidate out",
        witnessed: |step| step.keeps_out().is_some_and(|round| round > 0),
    },
    Probe {
        name: "a restarted grantor keeps a candidate out",
        witnessed: |step| step.keeps_out().is_some_and(|round| round == 0),
    },
    Probe {
        name: "a restarted leader meets a grant of its old view",
        witnessed: |step| match step.input {
            // The grant is in flight while its leader restarts: nothing counts it any more.
            Input::Crash(_) => leads(step.was()) && has_rounds(step.was()) && step.grants_in_flight(),
            _ => false,
        },
    },
    Probe {
        name: "a leader with a lease prepares a higher view",
        witnessed: |step| step.was().holder && matches!(step.is().replica.role(), Role::Preparing(_)),
    },
    Probe {
        name: "a release ends a grant",
        witnessed: |step| match (step.message(), step.was().replica.grant()) {
            (Some(Message::Release { .. }), Some(grant)) => {
                step.is().replica.grant().is_some_and(|now| now.until < grant.until)
            }
            _ => false,
        },
    },
    Probe {
        name: "a read is served after a round",
        witnessed: |step| {
            matches!(step.message(), Some(Message::Grant { .. }))
                && step.local.effects.iter().any(|effect| matches!(effect, Effect::Serve(_)))
        },
    },
    Probe {
        name: "a read is refused",
        witnessed: |step| step.local.effects.iter().any(|effect| matches!(effect, Effect::Refuse { .. })),
    },
    Probe {
        name: "an update is forwarded",
        witnessed: |step| step.sends(|message| matches!(message, Message::Forward(_))),
    },
    Probe {
        name: "an update is redirected",
        witnessed: |step| step.sends(|message| matches!(message, Message::Redirect { .. })),
    },
    Probe {
        name: "a forwarded update is answered where it came from",
        witnessed: |step| {
            let answers = step.local.events.iter().any(|event| matches!(event, Event::Acknowledged(..)));
            answers && !leads(step.was())
        },
    },
    Probe {
        name: "an update is decided twice and applied once",
        witnessed: |step| {
            let (was, is) = (step.was().replica.applied(), step.is().replica.applied());
            let mut slots = (was.0 + 1..=is.0).map(Slot);
            was < is && slots.any(|slot| step.passes_over(slot))
        },
    },
    Probe {
        name: "a retry is answered with the first result",
        witnessed: |step| {
            matches!(step.input, Input::Submit(_))
                && step.local.events.iter().any(|event| matches!(event, Event::Acknowledged(..)))
        },
    },
    Probe {
        name: "a crash loses records",
        witnessed: |step| matches!(step.input, Input::Crash(kept) if usize::from(kept) < step.was().unwritten.len()),
    },
    Probe {
        name: "a crash keeps some of the records",
        witnessed: |step| matches!(step.input, Input::Crash(kept) if kept > 0 && usize::from(kept) < step.was().unwritten.len()),
    },
    Probe {
        name: "a message waits for the disk",
        witnessed: |step| {
            step.input == Input::Flush && !step.was().held.is_empty() && !step.local.sent.is_empty()
        },
    },
    Probe {
        name: "a lease read sees an update",
        witnessed: |step| step.is().readable.is_some() && !step.is().applied.is_empty(),
    },
    Probe {
        name: "a lease read must wait for older views",
        witnessed: |step| step.is().holder && step.is().readable.is_none(),
    },
    Probe {
        name: "an older view completes a value under a lease",
        witnessed: |step| {
            let voted = |slot| {
                step.local.events.iter().find_map(|event| match event {
                    Event::Voted(in_slot, view, _) if *in_slot == slot => Some(*view),
                    _ => None,
                })
            };
            let new = |slot: &&Slot| !step.before.ghost.chosen.contains_key(slot);
            let mut views = step.after.ghost.chosen.keys().filter(new).filter_map(|&slot| voted(slot));
            views.any(|view| step.before.nodes.iter().any(|node| node.holder && leads_above(node, view)))
        },
    },
    Probe {
        name: "a lagging server is reconciled",
        witnessed: |step| {
            matches!(step.message(), Some(Message::Commit { .. }))
                && step.is().applied.len() > step.was().applied.len()
        },
    },
    Probe { name: "a server forgets its log", witnessed: |step| step.input == Input::Compact },
    Probe {
        name: "a forgotten slot is asked for",
        witnessed: |step| matches!(step.message(), Some(Message::CatchUp { .. })) && step.offers(),
    },
    Probe {
        name: "a forgotten slot is proposed",
        witnessed: |step| matches!(step.message(), Some(Message::Propose { .. })) && step.offers(),
    },
    Probe {
        name: "a lagging server is brought up to date by a snapshot",
        witnessed: |step| !matches!(step.input, Input::Crash(_)) && step.restores(),
    },
    Probe {
        name: "a follower is brought up to date by a snapshot",
        witnessed: |step| {
            let follows = matches!(step.was().replica.role(), Role::Follower);
            follows && !matches!(step.input, Input::Crash(_)) && step.restores()
        },
    },
    Probe {
        name: "a snapshot comes late to a server that knows more",
        witnessed: |step| matches!(step.message(), Some(Message::SnapshotOffer { slot }) if *slot < step.was().replica.applied()),
    },
    Probe {
        name: "a leader installs a snapshot over its own proposal",
        witnessed: |step| match step.was().replica.role() {
            Role::Leading(leading) => {
                let first = leading.proposals.keys().next();
                step.restores() && first.is_some_and(|slot| *slot <= step.is().replica.history().base())
            }
            _ => false,
        },
    },
    Probe {
        // A promise carries the value of each slot that it says is chosen, as far as it fits.
        name: "a new leader meets a promise that lacks a forgotten value",
        witnessed: |step| {
            step.establishes() && step.sends(|message| matches!(message, Message::CatchUp { .. }))
        },
    },
    Probe {
        name: "a server restarts from a snapshot",
        witnessed: |step| matches!(step.input, Input::Crash(_)) && step.restores(),
    },
];

/// The bits of the probes of these names.
///
/// # Panics
/// If a name is none of a probe.
pub fn mask(names: &[&str]) -> u64 {
    let bit = |name: &&str| {
        let index = PROBES.iter().position(|probe| probe.name == *name);
        1 << index.unwrap_or_else(|| panic!("no probe is called '{name}'"))
    };
    names.iter().map(bit).sum()
}

fn leads(node: &Node) -> bool {
    matches!(node.replica.role(), Role::Leading(_))
}

fn leads_above(node: &Node, view: View) -> bool {
    matches!(node.replica.role(), Role::Leading(leading) if leading.view > view)
}

fn confirmed(node: &Node) -> u64 {
    match node.replica.role() {
        Role::Leading(leading) => leading.lease.confirmed,
        Role::Follower | Role::Preparing(_) => 0,
    }
}

fn has_rounds(node: &Node) -> bool {
    matches!(node.replica.role(), Role::Leading(leading) if !leading.lease.rounds.is_empty())
}

impl Witness<'_> {
    fn was(&self) -> &Node {
        &self.before.nodes[usize::from(self.server.0)]
    }

    fn is(&self) -> &Node {
        &self.after.nodes[usize::from(self.server.0)]
    }

    fn message(&self) -> Option<&Message<u8>> {
        match &self.input {
            Input::Deliver(message) => Some(&message.message),
            _ => None,
        }
    }

    fn sends(&self, what: impl Fn(&Message<u8>) -> bool) -> bool {
        self.local
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Send { message, .. } if what(message)))
    }

    fn persists(&self, what: impl Fn(&Record<u8>) -> bool) -> bool {
        self.local.effects.iter().any(|effect| matches!(effect, Effect::Persist(record) if what(record)))
    }

    fn refuses(&self) -> bool {
        self.sends(|message| matches!(message, Message::Reject { .. }))
    }

    fn offers(&self) -> bool {
        self.sends(|message| matches!(message, Message::SnapshotOffer { .. }))
    }

    fn restores(&self) -> bool {
        self.local.effects.iter().any(|effect| matches!(effect, Effect::Restore(_)))
    }

    fn establishes(&self) -> bool {
        !leads(self.was()) && leads(self.is())
    }

    /// What a new leader proposes for the slots that its promises reported.
    fn recovered(&self) -> impl Iterator<Item = &Command<u8>> {
        let Role::Leading(leading) = self.is().replica.role() else { unreachable!("only asked of a leader") };
        leading.proposals.range(..=leading.reported).map(|(_, proposal)| &proposal.command)
    }

    /// If a Prepare that would be promised but for a grant is ignored: the round of that grant.
    fn keeps_out(&self) -> Option<u64> {
        let Some(Message::Prepare { view, .. }) = self.message() else { return None };
        let replica = &self.was().replica;
        let promised = self.persists(|record| matches!(record, Record::Promise(_)));
        (*view > replica.durable().promised && !promised)
            .then(|| replica.grant().map_or(0, |grant| grant.round))
    }

    /// Whether the update in this slot was applied from an earlier one already.
    fn passes_over(&self, slot: Slot) -> bool {
        let Some(Command::Update(update)) = self.is().replica.history().committed_command(slot) else {
            return false;
        };
        self.is().applied.iter().any(|&(earlier, value)| earlier < slot && value == update.value)
    }

    fn grants_in_flight(&self) -> bool {
        let nodes = &self.before.nodes;
        let Role::Leading(leading) = self.was().replica.role() else { return false };
        // A grant was given for the latest round and has not been counted.
        nodes.iter().any(|node| {
            node.replica.config().me != self.server
                && node.replica.grant().is_some_and(|grant| {
                    grant.view == leading.view
                        && leading.lease.rounds.iter().any(|round| {
                            round.number == grant.round && !round.grants.contains(node.replica.config().me)
                        })
                })
        })
    }
}
