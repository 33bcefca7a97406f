//! Clients (4.1, and the update timer of `002`): requests, forwarding over one hop, and reads.

use crate::command::{Command, Outcome, RequestId, Value};
use crate::effect::{Effect, Effects, ReadId, Timer};
use crate::leader::ParkedRead;
use crate::message::Message;
use crate::replica::{Replica, Role};
use crate::rules::{Admission, Rules};
use crate::time::{LocalTime, Span};
use crate::view::{ServerId, View};

impl<V: Value, R: Rules> Replica<V, R> {
    /// A client of this server asks for a command. Asking again for the same one is harmless.
    ///
    /// The answer comes as [`Effect::Answer`], now or later.
    pub fn submit(&mut self, command: Command<V>, effects: &mut Effects<V>) {
        let Some(request) = command.request() else { return };
        if let Some(outcome) = self.answered(request) {
            effects.answer(request, outcome);
            return;
        }
        if self.waiting.contains_key(&request) {
            return;
        }
        if self.waiting.len() >= self.config.waiting_max {
            effects.answer(request, Outcome::Busy);
            return;
        }
        match self.role {
            Role::Leading(_) => {
                if !self.enqueue(command.clone(), effects) {
                    effects.answer(request, Outcome::Busy);
                    return;
                }
            }
            // Proposed when the view is established; passed on if somebody else leads meanwhile.
            Role::Preparing(_) => self.arm_forward(effects),
            Role::Follower => match self.leader_hint() {
                Some(leader) => self.forward(leader, command.clone(), effects),
                None => {
                    effects.answer(request, Outcome::Redirect(View::NONE));
                    return;
                }
            },
        }
        self.waiting.insert(request, command);
    }

    /// What a request that was applied already is answered with.
    pub(crate) fn answered(&self, request: RequestId) -> Option<Outcome> {
        let RequestId::Update { session, sequence } = request else { return None };
        let last = self.sessions.last(session)?;
        match self.rules.admit(Some(last), sequence) {
            Admission::Repeat => Some(Outcome::Applied),
            Admission::Stale => Some(Outcome::Stale),
            Admission::Fresh | Admission::Unknown => None,
        }
    }

    /// Where requests may be sent: the leader of the promised view, unless that is this server, which
    /// would know if it led.
    #[must_use]
    pub fn leader_hint(&self) -> Option<ServerId> {
        let promised = self.durable.promised;
        (promised > View::NONE && promised.leader != self.config.me).then_some(promised.leader)
    }

    fn forward(&self, leader: ServerId, command: Command<V>, effects: &mut Effects<V>) {
        effects.send_at_once(leader, Message::Forward(command)); // Passing a request on promises nothing.
        self.arm_forward(effects);
    }

    /// A request is about to wait: the timer runs from the first.
    fn arm_forward(&self, effects: &mut Effects<V>) {
        if self.waiting.is_empty() {
            effects.arm(Timer::Forward, self.config.forward_interval, Span::ZERO);
        }
    }

    /// The update timer of `002`: forwards what still waits, to whoever leads now.
    ///
    /// A candidate forwards as well if its own acceptor has promised another view: while that leader keeps its lease
    /// the candidate is elected by nobody, and its clients would wait for as long.
    pub(crate) fn on_forward_timeout(&mut self, effects: &mut Effects<V>) {
        if self.waiting.is_empty() {
            return;
        }
        let leads = matches!(self.role, Role::Leading(_));
        if let Some(leader) = self.leader_hint().filter(|_| !leads) {
            for command in self.waiting.values() {
                effects.send_at_once(leader, Message::Forward(command.clone())); // As in `forward`.
            }
        }
        effects.arm(Timer::Forward, self.config.forward_interval, Span::ZERO);
    }

    /// A new leader proposes what its own clients wait for.
    pub(crate) fn take_waiting(&mut self, effects: &mut Effects<V>) {
        let waiting: alloc::vec::Vec<_> = self.waiting.values().cloned().collect();
        for command in waiting {
            self.enqueue(command, effects);
        }
    }

    /// A request came from the server that its client reached. That server answers it, when it applies it.
    pub(crate) fn on_forward(&mut self, from: ServerId, command: Command<V>, effects: &mut Effects<V>) {
        let Some(request) = command.request() else { return };
        if self.answered(request).is_some() {
            return; // Applied already; the sender learns it as it learns every chosen value.
        }
        match self.role {
            Role::Leading(_) => {
                self.enqueue(command, effects); // If the queue is full, the sender's timer sends it again.
            }
            Role::Preparing(_) => {} // Likewise.
            Role::Follower => {
                let view = self.leader_hint().map_or(View::NONE, |_| self.durable.promised);
                effects.send_at_once(from, Message::Redirect { request, view }); // Hearsay: it promises nothing.
            }
        }
    }

    /// The server that was taken for the leader is none: the client decides what to do.
    pub(crate) fn on_redirect(&mut self, request: RequestId, view: View, effects: &mut Effects<V>) {
        if matches!(self.role, Role::Follower) && self.waiting.remove(&request).is_some() {
            effects.answer(request, Outcome::Redirect(view));
        }
    }

    /// A client of this server wants to read. `now` was read after it asked.
    ///
    /// [`Effect::Serve`] or [`Effect::Refuse`] follows, now or later (4.3.2).
    pub fn read(&mut self, read: ReadId, now: LocalTime, effects: &mut Effects<V>) {
        match &mut self.role {
            Role::Leading(leading) if leading.reads.len() < self.config.waiting_max => {
                leading.reads.push_back(ParkedRead { read, after_round: leading.lease.requested });
                self.serve_reads(now, effects);
            }
            _ => {
                let view = self.leader_hint().map_or(View::NONE, |_| self.durable.promised);
                effects.push(Effect::Refuse { read, view });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::config::Config;
    use crate::history::Slot;
    use crate::testing::{NOW, OTHER, at_once, give, leader, open, start, three, told};

    const VIEW: View = View::new(1, OTHER);

    /// A server that takes the other one for the leader.
    fn follower(config: Config) -> Replica<u8> {
        let mut replica = start(config);
        give(&mut replica, OTHER, Message::Prepare { view: VIEW, committed: Slot::NONE });
        replica
    }

    fn submit(replica: &mut Replica<u8>, nonce: u64) -> Vec<Effect<u8>> {
        told(|effects| replica.submit(open(nonce), effects))
    }

    #[test]
    fn the_forward_timer_runs_from_the_first_request_that_waits() {
        let mut replica = follower(three());
        let after = replica.config().forward_interval;
        let timer = Effect::Arm { timer: Timer::Forward, after, spread: Span::ZERO };
        let forward = |nonce| at_once(OTHER, Message::Forward(open(nonce)));
        assert_eq!(submit(&mut replica, 7), [forward(7), timer]);
        assert_eq!(submit(&mut replica, 8), [forward(8)]);
    }

    #[test]
    fn a_redirect_is_passed_on_for_a_request_that_waits_and_by_a_server_that_does_not_lead() {
        let request = RequestId::Open { nonce: 7 };
        let redirect = Message::Redirect { request, view: VIEW };
        let mut replica = follower(three());
        assert_eq!(give(&mut replica, OTHER, redirect.clone()), [], "nobody waits");
        submit(&mut replica, 7);
        let answer = Effect::Answer { request, outcome: Outcome::Redirect(VIEW) };
        assert_eq!(give(&mut replica, OTHER, redirect.clone()), [answer]);
        let mut replica = leader(three());
        submit(&mut replica, 7);
        assert_eq!(give(&mut replica, OTHER, redirect), [], "it decides itself");
        assert_eq!(replica.waiting().collect::<Vec<_>>(), [request]);
    }

    #[test]
    fn a_leader_parks_as_many_reads_as_may_wait() {
        let mut replica = leader(Config { waiting_max: 2, ..three() });
        let mut refused = |read| {
            let effects = told(|effects| replica.read(read, NOW, effects));
            effects.iter().any(|effect| matches!(effect, Effect::Refuse { .. }))
        };
        assert_eq!([1, 2, 3, 4].map(&mut refused), [false, false, true, true]);
    }
}
