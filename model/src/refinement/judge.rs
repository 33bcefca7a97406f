//! The guards as one server can judge them: what it did, by what it knew and what it had heard. Messages are never
//! forged, and each is judged where it is sent; so what a server has heard is so.
//!
//! A guard that only the others can tell is judged in [`global`](super::global).

use spec::{
    Durable, Effect, Entry, Grant, History, LocalTime, Message, Phase, Role, ServerSet, Slot, Span, View,
};

use super::abstraction::{Step, floor, leading, view_of};
use super::act::{Act, Taken, When};
use super::guards::{Guard, Outside, Refused};
use super::{Machine, Verdict};
use crate::state::{Choice, NOW, Node, Value};
use crate::step::{Event, Input};

/// The guard of these names; a name that the list does not have does not compile.
macro_rules! guard {
    ($action:literal . $guard:literal) => {
        const { $crate::refinement::guards::Guard::at($action, $guard) }
    };
}
pub(super) use guard;

/// Judges the actions of one step, in their order.
pub(super) struct Judge<'a> {
    pub(super) machine: &'a Machine,
    pub(super) step: &'a Step<'a>,
    pub(super) acts: &'a [Taken],
    /// The views that are left are those below.
    floor: View,
    /// What is remembered.
    grant: Option<Grant>,
    /// The latest request of the view that is led.
    requested: u64,
}

impl<'a> Judge<'a> {
    pub(super) fn new(machine: &'a Machine, step: &'a Step<'a>, acts: &'a [Taken]) -> Self {
        let requested = match step.was.replica.role() {
            Role::Leading(leading) => leading.lease.requested,
            Role::Follower | Role::Preparing(_) => 0,
        };
        let grant = step.was.replica.grant();
        Self { machine, step, acts, floor: floor(step.was.replica.durable()), grant, requested }
    }

    /// Every action, then what the machine takes for granted.
    pub(super) fn judge(&mut self) -> Verdict {
        self.disk()?;
        for (when, act) in self.acts {
            match when {
                When::Now | When::Announced => self.act(act)?,
                When::Counted => self.counted(act)?,
                When::Written => {} // Judged when the handler asked for it.
            }
        }
        self.outside()
    }

    fn need(&self, guard: Guard, holds: bool) -> Verdict {
        self.machine.need(guard, holds)
    }

    fn act(&mut self, act: &Act) -> Verdict {
        match act {
            // The machine asks nothing of these.
            Act::Attempt { .. } | Act::Leave { .. } => Ok(()),
            Act::Promise { view } => self.promise(*view),
            Act::Establish { view, quorum } => self.establish(*view, *quorum),
            Act::Propose { slot, view, value } => self.propose(*slot, *view, *value),
            Act::Vote { slot, view, value } => self.vote(*slot, *view, *value),
            Act::Choose { quorum, .. } => self.quorum(guard!("choose"."quorum"), Phase::Two, *quorum),
            Act::Mark { slot, view, value } => self.mark(*slot, *view, *value),
            Act::Follow { slot, view, .. } => self.follow(*slot, *view),
            Act::Tick => self
                .need(guard!("tick"."forward"), matches!(self.step.input, Input::Tick(passed) if passed > 0)),
            Act::Request { view, round } => self.request(*view, *round),
            Act::Grant { view, round, until } => self.grant(*view, *round, *until),
            Act::Regrant { view, round, later } => self.regrant(*view, *round, *later),
            Act::Hold { view, round, quorum, until } => self.hold((*view, *round), *quorum, *until),
            Act::Forget { view } => {
                let remembered = self.grant.is_some_and(|grant| grant.view == *view);
                self.need(guard!("forget"."remembered"), remembered)
            }
            Act::Restart { view, until } => self.restart(*view, *until),
            Act::Serve { view, round, slot } => self.serve(*view, *round, *slot),
            Act::Confirm { view, round, slot } => self.confirm(*view, *round, *slot),
            // What is chosen only the others can tell.
            Act::Learn { .. } | Act::Acknowledge { .. } => Ok(()),
        }
    }

    fn quorum(&self, guard: Guard, phase: Phase, members: ServerSet) -> Verdict {
        self.need(guard, self.machine.is_quorum(phase, members))
    }

    /// Each member of a quorum is judged when it is counted: the leader must have heard what it counts.
    fn counted(&self, act: &Act) -> Verdict {
        let heard = |members: ServerSet, is_it: &dyn Fn(&Message<Value>) -> bool| {
            let heard = self.step.heard_of(ServerSet::EMPTY, is_it);
            self.machine.config.members().all(|id| !members.contains(id) || heard.contains(id))
        };
        match act {
            Act::Establish { view, quorum } => {
                let counts = heard(
                    *quorum,
                    &|message| matches!(message, Message::Promise { view: of, .. } if of == view),
                );
                self.need(guard!("establish"."quorum"), counts)
            }
            Act::Choose { slot, view, quorum, .. } => {
                let counts = heard(
                    *quorum,
                    &|message| matches!(message, Message::Accept { view: of, slot: at } if (of, at) == (view, slot)),
                );
                self.need(guard!("choose"."quorum"), counts)
            }
            Act::Hold { view, round, quorum, .. } => {
                let counts = heard(
                    *quorum,
                    &|message| matches!(message, Message::Grant { view: of, round: at, .. } if (of, at) == (view, round)),
                );
                self.need(guard!("hold"."quorum"), counts)
            }
            _ => Ok(()),
        }
    }

    fn promise(&mut self, view: View) -> Verdict {
        let asks = |message: &Message<Value>| matches!(message, Message::Prepare { view: of, .. } | Message::Renew { view: of, .. } if *of == view);
        self.need(guard!("promise"."attempted"), self.step.heard(view.leader, asks))?;
        self.need(guard!("promise"."not-left"), view >= self.floor)?;
        let free = self.grant.is_none_or(|grant| grant.allows(view.leader, NOW));
        self.need(guard!("promise"."no-lease"), free)?;
        self.floor = self.floor.max(view);
        self.reports(view)
    }

    /// What a Promise reports must be what the server holds: that is the report that the machine goes by.
    fn reports(&self, view: View) -> Verdict {
        let Some(leader_committed) = self.step.heard_prepare(view) else { return Ok(()) };
        let honest = self.step.sent().all(|(_, message)| match message {
            Message::Promise { view: of, committed, reports } if *of == view => {
                [self.step.was, self.step.is].into_iter().any(|node| {
                    let history = node.replica.history();
                    *committed == history.committed()
                        && reports.iter().all(|report| {
                            history.entry(report.slot).is_some_and(|entry| {
                                (entry.view, &entry.command, entry.committed)
                                    == (report.view, &report.command, report.committed)
                            })
                        })
                        && unfinished(history, leader_committed)
                            .all(|(slot, _)| reports.iter().any(|report| report.slot == slot))
                })
            }
            _ => true,
        });
        if honest { Ok(()) } else { Err(Refused::Set("promise", "report")) }
    }

    fn establish(&self, view: View, quorum: ServerSet) -> Verdict {
        self.quorum(guard!("establish"."quorum"), Phase::One, quorum)?;
        let own = match self.step.was.replica.role() {
            Role::Preparing(was) if was.view == view => was.promises.values().collect(),
            _ => Vec::new(),
        };
        let before =
            own.iter().flat_map(|said| said.reports.iter().map(|report| report.slot).chain([said.committed]));
        let arrived = self.step.arrived().into_iter().flat_map(|(_, message)| match message {
            Message::Promise { reports, committed, .. } => {
                reports.iter().map(|report| report.slot).chain([*committed]).max()
            }
            _ => None,
        });
        let highest = before.chain(arrived).max().unwrap_or(Slot::NONE);
        let known = leading(self.step.is, view).is_none_or(|leading| leading.reported >= highest);
        if known { Ok(()) } else { Err(Refused::Set("establish", "horizon")) }
    }

    fn propose(&self, slot: Slot, view: View, value: Choice) -> Verdict {
        let led = |node: &Node| leading(node, view).is_some();
        let established = view.leader == self.step.me() && (led(self.step.was) || led(self.step.is));
        self.need(guard!("propose"."established"), established)?;
        let before = leading(self.step.was, view).and_then(|was| was.proposals.get(&slot));
        let others = |(_, act): &Taken| matches!(act, Act::Propose { slot: of, view: at, value: other } if (*of, *at) == (slot, view) && *other != value);
        self.need(guard!("propose"."fresh"), before.is_none() && !self.acts.iter().any(others))?;
        // A leader stands by whatever it has committed.
        self.need(guard!("propose"."unmarked"), slot > self.step.was.replica.history().committed())
    }

    fn vote(&mut self, slot: Slot, view: View, value: Choice) -> Verdict {
        self.need(guard!("vote"."not-left"), view >= self.floor)?;
        let proposed = |message: &Message<Value>| match message {
            Message::Propose { view: of, slot: at, command } => {
                (*of, *at, Choice::from(command)) == (view, slot, value)
            }
            _ => false,
        };
        self.need(guard!("vote"."proposed"), self.step.heard(view.leader, proposed))?;
        self.floor = self.floor.max(view);
        let left = self.step.is.replica.durable().promised >= view;
        if left { Ok(()) } else { Err(Refused::Set("vote", "left")) }
    }

    fn mark(&self, slot: Slot, view: View, value: Option<Choice>) -> Verdict {
        let learnt = view.leader == self.step.me() && self.step.is.replica.history().is_committed(slot);
        self.need(guard!("mark"."learnt"), learnt)?;
        let other = self.proposal(slot, view).is_some_and(|own| value.is_some_and(|value| value != own));
        self.need(guard!("mark"."unrefuted"), !other)
    }

    /// What this server proposed in the view for a slot, if it remembers.
    fn proposal(&self, slot: Slot, view: View) -> Option<Choice> {
        let mut led = [self.step.was, self.step.is].into_iter().filter_map(|node| leading(node, view));
        led.find_map(|leading| leading.proposals.get(&slot).map(|proposal| Choice::from(&proposal.command)))
    }

    fn follow(&self, slot: Slot, view: View) -> Verdict {
        let voted = |node: &Node| node.replica.history().entry(slot).is_some_and(|entry| entry.view == view);
        self.need(guard!("follow"."voted"), voted(self.step.was))?;
        let marks = |message: &Message<Value>| match message {
            Message::Committed { view: of, up_to } | Message::Renew { view: of, committed: up_to, .. } => {
                *of == view && slot <= *up_to
            }
            _ => false,
        };
        self.need(guard!("follow"."marked"), self.step.heard(view.leader, marks))
    }

    fn request(&mut self, view: View, round: u64) -> Verdict {
        let led = |node: &Node| leading(node, view).is_some();
        let established = view.leader == self.step.me() && (led(self.step.was) || led(self.step.is));
        self.need(guard!("request"."established"), established)?;
        let latest = if led(self.step.was) { self.requested } else { 0 };
        self.need(guard!("request"."latest"), round > latest)?;
        self.requested = round;
        Ok(())
    }

    fn asked_for(&self, view: View, round: u64) -> Option<Span> {
        let term = |message: &Message<Value>| match message {
            Message::Renew { view: of, round: at, term, .. } if (*of, *at) == (view, round) => Some(*term),
            _ => None,
        };
        let arrived = self.step.arrived().filter(|(from, _)| *from == view.leader);
        let own = self.step.sent().filter(|(to, _)| *to == self.step.me() && *to == view.leader);
        arrived.into_iter().chain(own).find_map(|(_, message)| term(message))
    }

    fn grant(&mut self, view: View, round: u64, until: LocalTime) -> Verdict {
        let term = self.asked_for(view, round);
        self.need(guard!("grant"."requested"), term.is_some())?;
        self.need(guard!("grant"."joined"), view <= self.floor)?;
        self.need(guard!("grant"."not-left"), view >= self.floor)?;
        // In true time, if this clock is fast and the holder's slow. The request lies in the past.
        let outlasts = |lasts: Span| {
            let (slow, fast) = self.machine.rates();
            term.is_none_or(|term| lasts.times(slow) >= term.times(fast))
        };
        self.need(guard!("grant"."long"), outlasts(until - NOW))?;
        let before = self.grant.filter(|grant| grant.view == view && grant.until > NOW);
        self.need(guard!("grant"."kept"), before.is_none_or(|before| before.until <= until))?;
        self.grant = Some(Grant { view, round, until });
        let durable = outlasts(self.step.is.replica.durable().grant_term);
        if durable { Ok(()) } else { Err(Refused::Outside(Outside::Unwritten)) }
    }

    fn regrant(&self, view: View, round: u64, later: u64) -> Verdict {
        self.need(guard!("regrant"."requested"), self.asked_for(view, round).is_some())?;
        self.need(guard!("regrant"."not-left"), view >= self.floor)?;
        let granted =
            self.grant.is_some_and(|grant| (grant.view, grant.round) == (view, later) && round < later);
        self.need(guard!("regrant"."granted"), granted)
    }

    fn hold(&self, (view, round): (View, u64), quorum: ServerSet, until: Option<LocalTime>) -> Verdict {
        self.quorum(guard!("hold"."quorum"), Phase::Two, quorum)?;
        let Some(until) = until else { return Ok(()) };
        // What it will serve reads by, up to the end that it believes in.
        let asked = leading(self.step.was, view)
            .and_then(|was| was.lease.rounds.iter().find(|known| known.number == round))
            .map_or(NOW, |known| known.sent); // Alone in its group it asks and holds in one step.
        let term = Span(self.machine.clocks.map_or(0, |clocks| clocks.lease_term.into()));
        self.need(guard!("serve"."in-time"), until <= asked.min(NOW) + term)
    }

    fn restart(&mut self, view: View, until: LocalTime) -> Verdict {
        let durable = &self.step.is.durable;
        let floor = floor(durable);
        self.need(guard!("restart"."joined"), view <= floor)?;
        self.need(guard!("restart"."not-left"), view >= floor)?;
        self.grant = Some(Grant { view, round: 0, until });
        self.need(guard!("restart"."long"), until >= NOW + durable.grant_term)
    }

    fn serve(&self, view: View, round: u64, slot: Slot) -> Verdict {
        let lease = leading(self.step.is, view).map(|leading| &leading.lease);
        let until = lease.and_then(|lease| lease.until);
        self.need(guard!("serve"."held"), round > 0 && until.is_some())?;
        let left = self.acts.iter().any(|(_, act)| *act == Act::Leave { view });
        self.need(guard!("serve"."leads"), !left && view_of(self.step.is) == Some(view))?;
        self.need(guard!("serve"."in-time"), until.is_none_or(|until| NOW < until))?;
        self.need(guard!("serve"."horizon"), self.reaches_horizon(view, slot))?;
        self.need(guard!("serve"."chosen"), self.reaches_chosen(view, slot))
    }

    fn confirm(&self, view: View, round: Option<u64>, slot: Slot) -> Verdict {
        self.need(guard!("confirm"."quorum"), round.is_some())?;
        self.need(guard!("confirm"."horizon"), self.reaches_horizon(view, slot))?;
        self.need(guard!("confirm"."chosen"), self.reaches_chosen(view, slot))
    }

    fn reaches_horizon(&self, view: View, slot: Slot) -> bool {
        leading(self.step.is, view).is_none_or(|leading| slot >= leading.reported)
    }

    fn reaches_chosen(&self, view: View, slot: Slot) -> bool {
        leading(self.step.is, view).is_none_or(|leading| {
            leading.proposals.range(slot.next()..).all(|(_, proposal)| !proposal.chosen)
        })
    }

    /// What the machine takes for granted of disks.
    fn disk(&self) -> Verdict {
        let keeps = keeps(&self.step.was.durable, &self.step.is.durable);
        if keeps { Ok(()) } else { Err(Refused::Outside(Outside::Disk)) }
    }

    /// And of messages and clocks.
    fn outside(&self) -> Verdict {
        let outside = |holds, what| if holds { Ok(()) } else { Err(Refused::Outside(what)) };
        outside(!self.step.local.events.contains(&Event::Uncovered), Outside::Unwritten)?;
        outside(self.rounds_stay() && self.goes_on(), Outside::Clock)
    }

    /// The time of a request, once read, does not change but by the clock.
    fn rounds_stay(&self) -> bool {
        let Some((was, is)) = view_of(self.step.is)
            .and_then(|view| Some((leading(self.step.was, view)?, leading(self.step.is, view)?)))
        else {
            return true;
        };
        let sent =
            |number| was.lease.rounds.iter().find(|round| round.number == number).map(|round| round.sent);
        let asked = |number| {
            self.acts.iter().any(|(_, act)| matches!(act, Act::Request { round, .. } if *round == number))
        };
        let stays = |round: &spec::Round| {
            asked(round.number) || sent(round.number).is_none_or(|sent| sent == round.sent)
        };
        matches!(self.step.input, Input::Tick(_) | Input::Crash(_)) || is.lease.rounds.iter().all(stays)
    }

    /// Every end is nearer by what passed.
    fn goes_on(&self) -> bool {
        let Input::Tick(passed) = self.step.input else { return true };
        let rests = |node: &Node, passed: Span| {
            let rest = |until: LocalTime| Span((until - NOW).0.saturating_sub(passed.0).max(0));
            let lease = view_of(node).and_then(|view| leading(node, view)?.lease.until);
            (
                node.replica.grant().map(|grant| (grant.view, rest(grant.until))),
                lease.map(rest).filter(|rest| *rest > Span::ZERO),
            )
        };
        rests(self.step.is, Span::ZERO) == rests(self.step.was, Span(passed.into()))
    }
}

impl Step<'_> {
    /// The slot up to which the leader of a view that is prepared needs no report, if it was heard of in this step.
    fn heard_prepare(&self, view: View) -> Option<Slot> {
        let said = |message: &Message<Value>| match message {
            Message::Prepare { view: of, committed } if *of == view => Some(*committed),
            _ => None,
        };
        let own = self.local.effects.iter().filter_map(|effect| match effect {
            Effect::Send { to, message, .. } if *to == self.me() => Some(message),
            _ => None,
        });
        self.arrived().map(|(_, message)| message).into_iter().chain(own).find_map(said)
    }
}

/// What a Promise must report: every vote above what both have committed.
fn unfinished(history: &History<Value>, committed: Slot) -> impl Iterator<Item = (Slot, &Entry<Value>)> {
    history.above(history.committed().max(committed))
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
