//! The projection: what of a state of the model is a state of the module `spec/tla/Leasehold.tla`, value by value.
//!
//! Nothing that a handler reads is left out but what has one value in every scope that the module covers, or follows
//! from what is there; each such thing is asserted here:
//!
//! | left out | because |
//! | --- | --- |
//! | the configuration | it is constant, and the constants of the module say it |
//! | `backoff` | the back-off of elections is the environment's: the limit of doublings is 0 |
//! | `pending` | the window is wider than any scope |
//! | parked reads | only scopes without reads that wait are compared; lease reads are judged in each state |
//! | the bytes of proposals | they follow from the proposals, and the window is wider |
//! | sessions | the updates applied say them: each client has one session and one update |
//! | slots up to the last session | they opened the sessions, and are committed everywhere |
//! | the base of a history, and the sessions as of it | nothing is compacted |
//! | `disk`, where records become durable at once | it is what the handlers have in memory |
//! | `holder`, `readable` | they follow from the rest |
//! | a read under way, reads, snapshots, timers that run | there are none in these scopes |
//!
//! Views are written as the module does (`2.1` is 21), updates are numbers from 1, and a no-op is 0.

use spec::{
    Command, Durable, Grant, History, LocalTime, Message, Proposal, Record, Replica, RequestId, Role,
    ServerId, ServerSet, SessionId, Sessions, Slot, View,
};

use super::value::Value;
use crate::arms::watched::Watched;
use crate::scope::Scope;
use crate::state::{Broken, Choice, Envelope, Ghost, Held, NOW, Node};

/// Writes states of one scope as the module has them.
pub struct Projection {
    sessions: Slot,
    flush: bool,
    members: Vec<ServerId>,
}

impl Projection {
    /// For the states of a scope.
    pub fn new(scope: &Scope) -> Self {
        Self {
            sessions: Slot(scope.sessions()),
            flush: scope.flush,
            members: (0..scope.servers).map(ServerId).collect(),
        }
    }

    /// One server: a value of `server`.
    pub fn node(&self, node: &Node) -> Value {
        let replica = &node.replica;
        self.assert_left_out(node);
        let grant = replica.grant().unwrap_or(Grant { view: View::NONE, round: 0, until: NOW });
        Value::record([
            ("me", server(replica.config().me)),
            ("durable", self.durable(replica.durable())),
            ("disk", if self.flush { self.durable(&node.durable) } else { Value::sequence([]) }),
            ("unwritten", Value::sequence(node.unwritten.iter().map(record))),
            ("held", Value::sequence(node.held.iter().map(|held| held_message(replica.config().me, held)))),
            (
                "grant",
                Value::record([
                    ("view", view(grant.view)),
                    ("round", Value::number(grant.round)),
                    ("until", time(grant.until)),
                ]),
            ),
            ("seen", view(replica.seen())),
            ("lead", self.lead(replica)),
            ("quiet", replica.quiet_until().map_or(Value::Number(0), time)),
            ("applied", slot(replica.applied())),
            (
                "machine",
                Value::sequence(
                    node.applied
                        .iter()
                        .map(|&(at, update)| Value::sequence([slot(at), update_number(update)])),
                ),
            ),
            ("waiting", Value::set(replica.waiting().map(requested))),
            ("elections", Value::number(node.elections)),
            ("requests", Value::number(node.requests)),
            ("crashes", Value::number(node.crashes)),
        ])
    }

    fn assert_left_out(&self, node: &Node) {
        let replica = &node.replica;
        assert_eq!(replica.config().backoff_doublings_max, 0, "the back-off would have to be projected");
        assert!(
            self.flush || node.durable == *replica.durable(),
            "what is durable at once is what is in memory"
        );
        for update in 0..u8::try_from(self.sessions.0).unwrap_or(u8::MAX) {
            let last = replica.sessions().last(SessionId(Slot(u64::from(update) + 1)));
            let applied = node.applied.iter().any(|&(_, it)| it == update);
            assert_eq!(last, Some(u64::from(applied)), "sessions follow from what is applied");
        }
        if let Role::Leading(leading) = replica.role() {
            assert!(leading.pending.is_empty() && leading.reads.is_empty(), "nothing waits at a leader");
        }
    }

    fn durable(&self, durable: &Durable<u8>) -> Value {
        let Durable {
            attempted,
            promised,
            grant_term,
            history,
            sessions,
            incarnation,
            recovering: _,
            lacks: _,
            noted,
        } = durable;
        assert!(*incarnation == 0 && noted.is_empty(), "no disk is lost");
        assert_eq!(*sessions, Sessions::default(), "nothing is compacted");
        Value::record([
            ("attempted", view(*attempted)),
            ("promised", view(*promised)),
            ("grantTerm", Value::Number(grant_term.0)),
            ("history", self.history(history)),
            ("committed", slot(history.committed())),
        ])
    }

    fn history(&self, history: &History<u8>) -> Value {
        assert_eq!(history.base(), Slot::NONE, "nothing is compacted");
        let opened = history.above(Slot::NONE).take_while(|&(at, _)| at <= self.sessions);
        let opens =
            opened.filter(|(_, entry)| entry.committed && matches!(entry.command, Command::Open { .. }));
        assert_eq!(opens.count() as u64, self.sessions.0, "the first slots opened the sessions");
        Value::function(history.above(self.sessions).map(|(at, entry)| {
            let entry = Value::record([
                ("view", view(entry.view)),
                ("value", command(&entry.command)),
                ("committed", Value::Truth(entry.committed)),
            ]);
            (slot(at), entry)
        }))
    }

    fn lead(&self, replica: &Replica<u8, Watched>) -> Value {
        match replica.role() {
            Role::Follower => Value::record([("state", Value::text("CLOSED"))]),
            Role::Preparing(preparing) => Value::record([
                ("state", Value::text("PREPARING")),
                ("view", view(preparing.view)),
                ("stalled", Value::Truth(preparing.stalled)),
                (
                    "promises",
                    Value::function(preparing.promises.iter().map(|(&from, said)| {
                        let said = Value::record([
                            ("committed", slot(said.committed)),
                            ("reports", Value::set(said.reports.iter().map(report))),
                        ]);
                        (server(from), said)
                    })),
                ),
            ]),
            Role::Leading(leading) => Value::record([
                ("state", Value::text("PROPOSING")),
                ("view", view(leading.view)),
                ("reported", slot(leading.reported)),
                ("next", slot(leading.next)),
                (
                    "proposals",
                    Value::function(leading.proposals.iter().map(|(&at, it)| (slot(at), self.proposal(it)))),
                ),
                ("inHand", Value::set(leading.in_hand.iter().copied().map(requested))),
                (
                    "rounds",
                    Value::sequence(leading.lease.rounds.iter().map(|round| {
                        Value::record([
                            ("number", Value::number(round.number)),
                            ("sent", time(round.sent)),
                            ("grants", self.servers(round.grants)),
                        ])
                    })),
                ),
                ("requested", Value::number(leading.lease.requested)),
                ("confirmed", Value::number(leading.lease.confirmed)),
                ("until", leading.lease.until.map_or(Value::Number(-1), time)),
                ("committedAtRenewal", slot(leading.committed_at_renewal)),
                ("idle", Value::number(leading.idle_renewals)),
                ("stalled", Value::Truth(leading.stalled)),
            ]),
        }
    }

    fn proposal(&self, proposal: &Proposal<u8>) -> Value {
        Value::record([
            ("value", command(&proposal.command)),
            ("votes", self.servers(proposal.votes)),
            ("chosen", Value::Truth(proposal.chosen)),
        ])
    }

    fn servers(&self, set: ServerSet) -> Value {
        Value::set(self.members.iter().filter(|&&member| set.contains(member)).copied().map(server))
    }

    /// A message in flight: a value of `network`.
    pub fn message(&self, envelope: &Envelope) -> Value {
        assert!(envelope.snapshot.is_none(), "nobody takes snapshots");
        message(envelope.from, envelope.to, &envelope.message)
    }

    /// What an observer has seen: the other variables, in the order of [`OBSERVED`].
    pub fn ghost(&self, ghost: &Ghost) -> [Value; OBSERVED.len()] {
        assert!(ghost.reading.is_none() && ghost.reads == 0, "no read waits");
        let submitted = (0..16).filter(|update| ghost.submitted & (1 << update) != 0).map(update_number);
        let votes = ghost.votes.iter().flat_map(|(&(at, cast_in, choice), voters)| {
            let members = self.members.iter().filter(|&&member| voters.contains(member));
            members.map(move |&member| {
                Value::sequence([slot(at), view(cast_in), chosen_value(choice), server(member)])
            })
        });
        let chosen =
            ghost.chosen.iter().map(|(&at, &choice)| Value::sequence([slot(at), chosen_value(choice)]));
        let acknowledged = ghost
            .acknowledged
            .iter()
            .map(|(&at, &update)| Value::sequence([slot(at), update_number(update)]));
        let broken =
            BROKEN.iter().filter(|(what, _)| !ghost.stands(*what)).map(|(_, name)| Value::text(name));
        [
            Value::set(submitted),
            Value::number(ghost.retries),
            Value::number(ghost.resigns),
            Value::set(votes),
            Value::set(chosen),
            Value::set(acknowledged),
            slot(ghost.visible),
            Value::set(broken),
        ]
    }
}

/// The variables of the module that an observer keeps.
pub const OBSERVED: [&str; 8] =
    ["submitted", "retries", "resigns", "votes", "chosen", "acknowledged", "visible", "broken"];

/// Properties of steps that the module notes by their names too. The others are judged from the state there.
const BROKEN: [(Broken, &str); 3] = [
    (Broken::Uncovered, "covered by the disk"),
    (Broken::OldViewUnderLease, "old views under a lease"),
    (Broken::LeaderUnseated, "stable leader"),
];

fn server(server: ServerId) -> Value {
    Value::number(server.0)
}

fn view(view: View) -> Value {
    Value::number(view.number * 10 + u64::from(view.leader.0))
}

fn slot(slot: Slot) -> Value {
    Value::number(slot.0)
}

/// What is left until a moment, for every clock shows [`NOW`].
fn time(time: LocalTime) -> Value {
    Value::Number((time - NOW).0)
}

fn update_number(update: u8) -> Value {
    Value::number(update + 1)
}

fn chosen_value(choice: Choice) -> Value {
    match choice {
        Choice::NoOp => Value::Number(0),
        Choice::Update(update) => update_number(update),
        Choice::Open(nonce) => panic!("session {nonce} was opened before the beginning"),
    }
}

fn command(command: &Command<u8>) -> Value {
    chosen_value(Choice::from(command))
}

fn requested(request: RequestId) -> Value {
    match request {
        RequestId::Update { session: SessionId(opened), sequence: 1 } => slot(opened),
        other => panic!("{other:?}: each client has one session and one update"),
    }
}

fn report(report: &spec::Report<u8>) -> Value {
    Value::record([
        ("slot", slot(report.slot)),
        ("view", view(report.view)),
        ("value", command(&report.command)),
        ("committed", Value::Truth(report.committed)),
    ])
}

fn record(record: &Record<u8>) -> Value {
    let kind = Value::text;
    match record {
        Record::Attempt(attempted) => Value::record([("kind", kind("attempt")), ("view", view(*attempted))]),
        Record::Promise(promised) => Value::record([("kind", kind("promise")), ("view", view(*promised))]),
        Record::Vote { view: cast_in, slot: at, command: value } => Value::record([
            ("kind", kind("vote")),
            ("view", view(*cast_in)),
            ("slot", slot(*at)),
            ("value", command(value)),
        ]),
        Record::Learnt { slot: at, command: value } => {
            Value::record([("kind", kind("learnt")), ("slot", slot(*at)), ("value", command(value))])
        }
        Record::Committed(at) => Value::record([("kind", kind("committed")), ("slot", slot(*at))]),
        Record::GrantTerm(term) => {
            Value::record([("kind", kind("grantTerm")), ("term", Value::Number(term.0))])
        }
        other => panic!("{other:?}: the module has no such record"),
    }
}

fn held_message(from: ServerId, held: &Held) -> Value {
    message(from, held.to, &held.message)
}

fn message(from: ServerId, to: ServerId, message: &Message<u8>) -> Value {
    let kind = |kind, fields: Vec<(&str, Value)>| {
        let common = [("type", Value::text(kind)), ("from", server(from)), ("to", server(to))];
        Value::function(common.into_iter().chain(fields).map(|(name, value)| (Value::text(name), value)))
    };
    match message {
        Message::Prepare { view: asked, committed } => {
            kind("Prepare", vec![("view", view(*asked)), ("committed", slot(*committed))])
        }
        Message::Promise { view: promised, committed, reports } => kind(
            "Promise",
            vec![
                ("view", view(*promised)),
                ("committed", slot(*committed)),
                ("reports", Value::set(reports.iter().map(report))),
            ],
        ),
        Message::Reject { view: refused, promised } => {
            kind("Reject", vec![("view", view(*refused)), ("promised", view(*promised))])
        }
        Message::Propose { view: made_in, slot: at, command: value } => {
            kind("Propose", vec![("view", view(*made_in)), ("slot", slot(*at)), ("value", command(value))])
        }
        Message::Accept { view: cast_in, slot: at } => {
            kind("Accept", vec![("view", view(*cast_in)), ("slot", slot(*at))])
        }
        Message::Commit { first, commands } => kind(
            "Commit",
            vec![("first", slot(*first)), ("values", Value::sequence(commands.iter().map(command)))],
        ),
        Message::Committed { view: marked, up_to } => {
            kind("Committed", vec![("view", view(*marked)), ("upTo", slot(*up_to))])
        }
        Message::CatchUp { first } => kind("CatchUp", vec![("first", slot(*first))]),
        Message::Renew { view: asked, round, term, committed } => kind(
            "Renew",
            vec![
                ("view", view(*asked)),
                ("round", Value::number(*round)),
                ("term", Value::Number(term.0)),
                ("committed", slot(*committed)),
            ],
        ),
        Message::Grant { view: granted, round, committed } => kind(
            "Grant",
            vec![("view", view(*granted)), ("round", Value::number(*round)), ("committed", slot(*committed))],
        ),
        Message::Release { view: left } => kind("Release", vec![("view", view(*left))]),
        other => panic!("{other:?}: the module has no such message"),
    }
}
