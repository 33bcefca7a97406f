//! The abstraction: what a step of the handlers means in the machine, as a list of the machine's actions.
//!
//! What a server *left*, *promised* and *voted* is what its disk says, so these actions are taken when the record is
//! durable; where the disk is late they are announced when the handler asks for the record ([`When::Announced`]), for that
//! is when their reason can be looked at. What it *learnt*, *proposed*, *requested* and *remembers* is what its memory
//! says. Three readings are worth a word:
//!
//! - *choose* is taken when the leader counts the last vote that it needs, and not when that vote is cast: a leader
//!   serves reads by what it knows.
//! - *mark* is taken as soon as a leader's committed slots reach a slot, whether or not its next word has left yet.
//! - *serve* is taken in each state in which a read under the lease could be served: the model needs no read for that.

use spec::{Durable, Effect, Leading, Message, Record, Role, ServerId, ServerSet, Slot, Span, View};

use super::act::{Act, Taken, When};
use crate::state::{Choice, NOW, Node, Value};
use crate::step::{Event, Input, Local};

/// A step at one server.
pub struct Step<'a> {
    /// The server before.
    pub was: &'a Node,
    /// The server after.
    pub is: &'a Node,
    /// What happened.
    pub input: Input,
    /// What came of it.
    pub local: &'a Local,
    /// Whether records become durable in a step of their own.
    pub flush: bool,
    /// The slots that opened the clients' sessions before anything happened: no business of the machine.
    pub sessions: u64,
}

/// The view that a server prepares or leads.
pub fn view_of(node: &Node) -> Option<View> {
    match node.replica.role() {
        Role::Follower => None,
        Role::Preparing(preparing) => Some(preparing.view),
        Role::Leading(leading) => Some(leading.view),
    }
}

/// What a server knows as the leader of a view.
pub fn leading(node: &Node, view: View) -> Option<&Leading<Value>> {
    match node.replica.role() {
        Role::Leading(leading) if leading.view == view => Some(leading),
        _ => None,
    }
}

/// The view up to which a server has left all lower ones: what it promised, or voted in.
pub fn floor(durable: &Durable<Value>) -> View {
    durable.history.above(Slot::NONE).map(|(_, entry)| entry.view).fold(durable.promised, View::max)
}

impl Step<'_> {
    /// What it means in the machine.
    pub fn acts(&self) -> Vec<Taken> {
        let mut acts =
            Scan { step: self, acts: Vec::new(), committed: self.was.replica.history().committed() };
        acts.run();
        acts.acts
    }

    /// The server.
    pub fn me(&self) -> ServerId {
        self.was.replica.config().me
    }

    /// The message that arrived, and its sender.
    pub fn arrived(&self) -> Option<(ServerId, &Message<Value>)> {
        match &self.input {
            Input::Deliver(envelope) => Some((envelope.from, &envelope.message)),
            _ => None,
        }
    }

    /// What was sent, to whom, its own messages among it.
    pub fn sent(&self) -> impl Iterator<Item = (ServerId, &Message<Value>)> {
        self.local.effects.iter().filter_map(|effect| match effect {
            Effect::Send { to, message, .. } => Some((*to, message)),
            _ => None,
        })
    }

    /// Whether the server asked for a record.
    pub fn asks_for(&self, is_it: impl Fn(&Record<Value>) -> bool) -> bool {
        self.local.effects.iter().any(|effect| matches!(effect, Effect::Persist(record) if is_it(record)))
    }

    /// Whether it heard a message of `from`: through the network, or its own within the step. Nobody forges any.
    pub fn heard(&self, from: ServerId, is_it: impl Fn(&Message<Value>) -> bool) -> bool {
        self.arrived().is_some_and(|(sender, message)| sender == from && is_it(message))
            || (from == self.me() && self.sent().any(|(to, message)| to == from && is_it(message)))
    }

    /// The members that it heard such a message of, of those that it heard of before.
    pub fn heard_of(&self, before: ServerSet, is_it: impl Fn(&Message<Value>) -> bool) -> ServerSet {
        let mut all = before;
        let servers = self.was.replica.config().members();
        servers.filter(|&from| self.heard(from, &is_it)).for_each(|from| all.insert(from));
        all
    }

    /// What it promised, in its memory, for `view`: to count and to choose by.
    pub(super) fn counted_promises(&self, view: View) -> ServerSet {
        match self.was.replica.role() {
            Role::Preparing(was) if was.view == view => was.promises.keys().copied().collect(),
            _ => ServerSet::EMPTY,
        }
    }
}

/// A step being read, effect by effect, in their order.
pub(super) struct Scan<'a> {
    pub(super) step: &'a Step<'a>,
    pub(super) acts: Vec<Taken>,
    /// Up to where the slots are committed so far.
    committed: Slot,
}

impl Scan<'_> {
    fn run(&mut self) {
        let Step { was, is, input, .. } = *self.step;
        self.leaves();
        match input {
            Input::Tick(_) => self.now(Act::Tick),
            Input::Flush => self.written(&was.unwritten),
            Input::Crash(kept) => {
                self.written(&was.unwritten[..usize::from(kept).min(was.unwritten.len())]);
                self.restarts();
            }
            _ => {}
        }
        // A view that begins in this step counts its own messages only, when they come.
        let goes_on = view_of(was) == view_of(is);
        let arrived = self.step.arrived().map(|(_, message)| message);
        let counts = |message: &&Message<Value>| goes_on || matches!(message, Message::Release { .. });
        if let Some(message) = arrived.filter(counts) {
            self.receives(message);
        }
        for effect in &self.step.local.effects {
            self.effect(effect);
        }
        self.loses_grant();
        self.counts();
        self.marks();
        for event in &self.step.local.events {
            if let Event::Acknowledged(value, slot) = event {
                self.now(Act::Acknowledge { slot: *slot, value: Choice::Update(*value) });
            }
        }
        if let (Some(slot), Some(view)) = (is.readable, view_of(is)) {
            let round = leading(is, view).map_or(0, |leading| leading.lease.confirmed);
            self.now(Act::Serve { view, round, slot });
        }
    }

    pub(super) fn add(&mut self, when: When, act: Act) {
        if !self.acts.contains(&(when, act.clone())) {
            self.acts.push((when, act));
        }
    }

    pub(super) fn now(&mut self, act: Act) {
        self.add(When::Now, act);
    }

    /// What the disk must have first.
    fn durably(&mut self, act: Act) {
        self.add(if self.step.flush { When::Announced } else { When::Now }, act);
    }

    /// What is so once a message leaves: now, or when the disk is done.
    fn once_sent(&mut self, message: &Message<Value>, act: Act) {
        let waits = self.step.is.held.iter().any(|held| held.message == *message);
        self.add(if waits { When::Announced } else { When::Now }, act);
    }

    /// The view that the server acts in no more.
    fn leaves(&mut self) {
        let (was, is) = (view_of(self.step.was), view_of(self.step.is));
        let restarts = matches!(self.step.input, Input::Crash(_));
        if let Some(view) = was.filter(|_| was != is || restarts) {
            self.now(Act::Leave { view });
        }
        let attempted = self.step.is.durable.attempted;
        if restarts && attempted > View::NONE {
            self.now(Act::Leave { view: attempted }); // So it tells the others, whatever it remembers of it.
        }
    }

    /// Records that reach the disk, and what waited for them. What a server granted it did before it left the view.
    fn written(&mut self, records: &[Record<Value>]) {
        let flushes = self.step.input == Input::Flush;
        let mut held: Vec<_> =
            self.step.was.held.iter().filter(|_| flushes).map(|held| &held.message).collect();
        for record in records {
            match record {
                Record::Promise(view) => {
                    self.sent_late(&mut held, |of| of < *view);
                    self.add(When::Written, Act::Promise { view: *view });
                }
                Record::Vote { view, slot, command } => {
                    self.sent_late(&mut held, |of| of < *view);
                    let value = command.into();
                    self.add(When::Written, Act::Vote { slot: *slot, view: *view, value });
                }
                _ => {}
            }
        }
        self.sent_late(&mut held, |_| true);
    }

    /// Promises and grants that waited for the disk, of these views.
    fn sent_late(&mut self, held: &mut Vec<&Message<Value>>, which: impl Fn(View) -> bool) {
        held.retain(|message| match message {
            Message::Grant { view, round, .. } if which(*view) => {
                let until = self.step.was.replica.grant().filter(|grant| grant.view == *view);
                let until = until.map_or(NOW, |grant| grant.until);
                self.add(When::Written, Act::Grant { view: *view, round: *round, until });
                false
            }
            Message::Promise { view, .. } if which(*view) => {
                self.add(When::Written, Act::Promise { view: *view });
                false
            }
            _ => true,
        });
    }

    /// A grantor takes the leader of what it promised to hold a lease. If it never granted any, it has none to forget.
    fn restarts(&mut self) {
        let Durable { promised, grant_term, .. } = self.step.is.durable;
        let grant = self.step.is.replica.grant();
        if grant.is_none() && grant_term == Span::ZERO {
            return;
        }
        let view = grant.map_or(promised, |grant| grant.view);
        let released = self.step.heard(self.step.me(), |message| matches!(message, Message::Release { .. }));
        let until = match grant {
            Some(grant) if grant.until <= NOW && released => NOW + grant_term, // Until its own release.
            Some(grant) => grant.until,
            None => NOW,
        };
        self.now(Act::Restart { view, until });
    }

    /// A release of a grant that runs; or of another one, if it ends it all the same.
    pub(super) fn releases(&mut self, view: View) {
        let crash = matches!(self.step.input, Input::Crash(_));
        let is = self.step.is.replica.grant();
        let was = if crash { is } else { self.step.was.replica.grant() };
        let Some(was) = was.filter(|grant| crash || grant.until > NOW) else { return };
        if was.view == view || is.is_none_or(|is| is.until <= NOW) {
            self.now(Act::Forget { view });
        }
    }

    /// A grant that ends early for no reason at all.
    fn loses_grant(&mut self) {
        let Some(was) = self.step.was.replica.grant().filter(|grant| grant.until > NOW) else { return };
        let is = self.step.is.replica.grant();
        let kept = is.is_some_and(|is| is.until >= was.until);
        let told =
            |(_, act): &Taken| matches!(act, Act::Grant { .. } | Act::Forget { .. } | Act::Restart { .. });
        // Before the disk knows that this server grants, no Grant has left: what a crash takes then was never granted.
        let unsaid =
            matches!(self.step.input, Input::Crash(_)) && self.step.is.durable.grant_term == Span::ZERO;
        if !kept && !unsaid && !matches!(self.step.input, Input::Tick(_)) && !self.acts.iter().any(told) {
            self.now(Act::Forget { view: was.view });
        }
    }

    fn effect(&mut self, effect: &Effect<Value>) {
        match effect {
            Effect::Persist(record) => self.record(record),
            Effect::Send { to, message, .. } => {
                self.message(message);
                if *to == self.step.me() {
                    self.receives(message);
                }
            }
            Effect::Serve(_) => self.serves(),
            _ => {}
        }
    }

    fn record(&mut self, record: &Record<Value>) {
        match record {
            Record::Attempt(view) => {
                self.now(Act::Attempt { view: *view });
                if view_of(self.step.is) != Some(*view) {
                    self.now(Act::Leave { view: *view });
                }
            }
            Record::Promise(view) => self.durably(Act::Promise { view: *view }),
            Record::Vote { view, slot, command } => {
                self.durably(Act::Vote { slot: *slot, view: *view, value: command.into() });
            }
            Record::Learnt { slot, command } => {
                self.now(Act::Learn { slot: *slot, value: Some(command.into()) });
                self.advance();
            }
            Record::Committed(slot) => {
                while self.committed < *slot {
                    self.committed = self.committed.next();
                    self.commits(self.committed);
                }
                self.advance();
            }
            Record::Snapshot(snapshot) => {
                while self.committed < snapshot.slot {
                    self.committed = self.committed.next();
                    let slot = self.committed;
                    let value = self.step.was.replica.history().committed_command(slot).map(Choice::from);
                    self.now(Act::Learn { slot, value });
                }
                self.advance();
            }
            // Of lost disks this machine knows nothing, and it is not asked where there are any.
            Record::GrantTerm(_)
            | Record::Noted { .. }
            | Record::Recovering(_)
            | Record::Recovered { .. }
            | Record::Lacks { .. } => {}
        }
    }

    /// What was learnt ahead of a gap counts once the gap is closed.
    fn advance(&mut self) {
        let (was, acts) = (self.step.was.replica.history(), &self.acts);
        let learnt = |slot: Slot| {
            was.is_committed(slot)
                || acts.iter().any(|(_, act)| matches!(act, Act::Learn { slot: of, .. } if *of == slot))
        };
        let mut committed = self.committed;
        while learnt(committed.next()) {
            committed = committed.next();
        }
        self.committed = committed;
    }

    /// A slot is marked as chosen with what the server holds for it: by a leader's word, or because this leader counted
    /// the votes. A vote that the disk has not yet is no vote, so then the value is learnt.
    fn commits(&mut self, slot: Slot) {
        let step = self.step;
        if step.was.replica.history().is_committed(slot) {
            return;
        }
        let held = [step.is, step.was].into_iter().find_map(|node| node.replica.history().entry(slot));
        let Some(value) = held.map(|entry| Choice::from(&entry.command)) else { return };
        let counted = |(_, act): &Taken| matches!(act, Act::Choose { slot: of, .. } if *of == slot);
        let own = self.acts.iter().any(counted)
            || view_of(step.was)
                .and_then(|view| leading(step.was, view))
                .and_then(|leading| leading.proposals.get(&slot))
                .is_some_and(|proposal| proposal.chosen);
        let marked = match step.arrived() {
            Some((_, Message::Committed { view, .. } | Message::Renew { view, .. })) if !own => Some(*view),
            _ => None,
        };
        let voted = |durable: &Durable<Value>, view| {
            durable.history.entry(slot).is_some_and(|entry| entry.view == view)
        };
        let late = |view: &View| voted(step.was.replica.durable(), *view) && !voted(&step.is.durable, *view);
        // Nor is one that gave way to a vote of a higher view one that its disk can tell.
        let higher = |view: &View| held.is_some_and(|entry| entry.view > *view);
        self.now(match marked.filter(|view| !late(view) && !higher(view)) {
            Some(view) => Act::Follow { slot, view, value },
            None => Act::Learn { slot, value: Some(value) },
        });
    }

    fn message(&mut self, message: &Message<Value>) {
        let step = self.step;
        match message {
            Message::Promise { view, .. } if !step.asks_for(|record| *record == Record::Promise(*view)) => {
                self.once_sent(message, Act::Promise { view: *view });
            }
            Message::Propose { view, slot, command } => {
                let known = leading(step.was, *view).and_then(|leading| leading.proposals.get(slot));
                if known.is_none_or(|known| known.command != *command) {
                    self.now(Act::Propose { slot: *slot, view: *view, value: command.into() });
                }
            }
            Message::Renew { view, round, .. } => self.now(Act::Request { view: *view, round: *round }),
            Message::Grant { view, round, .. } => self.grants(message, (*view, *round)),
            _ => {}
        }
    }

    fn grants(&mut self, message: &Message<Value>, (view, round): (View, u64)) {
        let (was, is) = (self.step.was.replica.grant(), self.step.is.replica.grant());
        match was.filter(|was| was.view == view) {
            Some(was) if was.round == round => {} // The answer was lost, and is given again.
            Some(was) if was.round > round => {
                self.once_sent(message, Act::Regrant { view, round, later: was.round });
            }
            _ => {
                let until = is.filter(|is| is.view == view).map_or(NOW, |is| is.until);
                self.once_sent(message, Act::Grant { view, round, until });
            }
        }
    }

    /// A leader stands by what it has committed.
    fn marks(&mut self) {
        let Step { was, is, .. } = *self.step;
        let Some(view) = view_of(is).filter(|&view| leading(is, view).is_some()) else { return };
        let history = is.replica.history();
        let said = leading(was, view).map_or(Slot(self.step.sessions), |_| was.replica.history().committed());
        for slot in (said.0 + 1..=history.committed().0).map(Slot) {
            let value =
                [history, was.replica.history()].into_iter().find_map(|held| held.committed_command(slot));
            self.now(Act::Mark { slot, view, value: value.map(Choice::from) });
        }
    }

    /// A read is served: under the lease, or because the view was confirmed after it arrived.
    fn serves(&mut self) {
        let Step { was, is, .. } = *self.step;
        let Some(view) = view_of(is) else { return };
        let (slot, lease) = (is.replica.applied(), leading(is, view).map(|leading| &leading.lease));
        let confirmed = lease.map_or(0, |lease| lease.confirmed);
        if lease.is_some_and(|lease| lease.until > Some(NOW)) {
            self.now(Act::Serve { view, round: confirmed, slot });
            return;
        }
        let before = leading(was, view);
        let parked = before.and_then(|was| was.reads.front()).map(|read| read.after_round);
        let after = parked.unwrap_or(before.map_or(0, |was| was.lease.requested));
        self.now(Act::Confirm { view, round: Some(confirmed).filter(|&round| round > after), slot });
    }
}
