//! One thread of the load: a socket, the clients that share it, and when each begins its next operation.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, mem};

use spec::{LocalTime, Span};

use super::{Keys, Load, Measured, Traced};
use crate::client::{Conversation, Destination, Ended, Link, Operation};
use crate::clock::millis;
use crate::kv::{Change, Question};
use crate::payload::Payload;
use crate::rng::Rng;

/// How often clients that had no answer are looked at.
const RETRY_EVERY: Span = millis(5);
/// A request's number is the client's index, shifted by so much, and what it counts up from anywhere below.
const COUNTED_BITS: u32 = 40;

#[derive(Debug)]
pub(super) struct Worker {
    link: Link,
    clients: Vec<Client>,
    /// The clients that have nothing to do.
    free: Vec<usize>,
    keys: Keys,
    /// The latest key; kept for its room, as is the update that was encoded last.
    key: String,
    encoded: Vec<u8>,
    value: Vec<u8>,
    read_share: f64,
    /// The time from one operation to the next in an open loop, in nanoseconds.
    interval: Option<f64>,
    /// How many operations have begun since the load did.
    begun: u64,
    retry_at: LocalTime,
    trace: bool,
    rng: Rng,
}

#[derive(Debug)]
struct Client {
    conversation: Conversation,
    /// When its operation was meant to begin; in a closed loop, from when it is free.
    meant: LocalTime,
}

impl Worker {
    pub(super) fn new(
        destination: &Destination,
        load: &Load,
        clients: usize,
        mut rng: Rng,
    ) -> io::Result<Self> {
        const NANOS_PER_SECOND: f64 = 1e9;
        let link = Link::new(destination)?;
        let now = link.now();
        let client = |index| {
            let counted = rng.below(1 << (COUNTED_BITS - 1)); // Answers to an earlier load are not taken for ours.
            let number = index << COUNTED_BITS | counted;
            let rng = Rng::seeded(rng.next_u64());
            let conversation = Conversation::new(destination.servers.clone(), rng).numbered_from(number);
            Client { conversation, meant: now }
        };
        #[expect(clippy::cast_precision_loss, reason = "there are few clients")]
        let share = clients as f64 / load.clients as f64;
        Ok(Self {
            link,
            clients: (0..clients as u64).map(client).collect(),
            free: (0..clients).collect(),
            keys: load.keys.clone(),
            key: String::new(),
            encoded: Vec::new(),
            value: vec![b'v'; load.value_bytes],
            read_share: load.read_share,
            interval: load.rate.map(|rate| NANOS_PER_SECOND / (rate * share)),
            begun: 0,
            retry_at: now,
            trace: load.trace,
            rng,
        })
    }

    /// Lets each client make one update. Whether all were answered in time.
    pub(super) fn open_sessions(&mut self, patience: Duration, stop: &AtomicBool) -> io::Result<bool> {
        let patience = Span(i64::try_from(patience.as_nanos()).unwrap_or(i64::MAX));
        let deadline = self.link.now() + patience;
        for index in mem::take(&mut self.free) {
            let now = self.link.now();
            self.begin(index, now, false);
        }
        let mut ended = Vec::new();
        while self.free.len() < self.clients.len()
            && self.link.now() < deadline
            && !stop.load(Ordering::Relaxed)
        {
            self.turn(deadline, &mut ended)?;
            self.free.extend(ended.drain(..).map(|(index, _)| index));
        }
        Ok(self.free.len() == self.clients.len())
    }

    /// Runs the load from `begin` on, and measures what ends from `from` until `until`.
    pub(super) fn run(
        &mut self,
        begin: LocalTime,
        from: LocalTime,
        until: LocalTime,
        stop: &AtomicBool,
    ) -> io::Result<Measured> {
        let mut measured = Measured::new();
        let mut ended = Vec::new();
        // In a closed loop a client's next operation is meant to begin when the one before has ended.
        self.clients.iter_mut().for_each(|client| client.meant = begin);
        while self.link.now() < until && !stop.load(Ordering::Relaxed) {
            let next = self.begin_what_is_due(begin);
            self.turn(next.min(until), &mut ended)?;
            let now = self.link.now();
            for (index, how) in ended.drain(..) {
                self.free.push(index);
                let client = &mut self.clients[index];
                let latency = u64::try_from((now - client.meant).0).unwrap_or(0).max(1);
                let meant = mem::replace(&mut client.meant, now);
                if now < from || now >= until {
                    continue;
                }
                if self.trace && meant >= from {
                    let read = matches!(how, Ended::Value { .. });
                    let latency = Duration::from_nanos(latency);
                    measured.trace.push(Traced { meant: nanos(meant - from), latency, read });
                }
                match how {
                    Ended::Applied { .. } => measured.updates.saturating_record(latency),
                    Ended::Value { .. } => measured.reads.saturating_record(latency),
                    // A session was lost; no worker watches or transfers.
                    _ => measured.unknown += 1,
                }
            }
        }
        let now = self.link.now().min(until);
        measured.unfinished = (self.clients.len() - self.free.len()) as u64 + self.overdue(begin, now);
        measured.elapsed = nanos(now - from);
        Ok(measured)
    }

    /// Begins what is due as far as clients are free; when there is more to begin.
    fn begin_what_is_due(&mut self, begin: LocalTime) -> LocalTime {
        let now = self.link.now();
        while let Some(&index) = self.free.last() {
            let meant = self.interval.map_or(self.clients[index].meant, |_| self.due(begin));
            if meant > now {
                return meant;
            }
            self.free.pop();
            self.begun += 1;
            let reads = self.draws_read();
            self.begin(index, meant, reads);
        }
        self.link.flush();
        LocalTime(i64::MAX)
    }

    /// When the next operation of an open loop is due.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "within hours of begin")]
    fn due(&self, begin: LocalTime) -> LocalTime {
        begin + Span((self.begun as f64 * self.interval.unwrap_or(0.0)) as i64)
    }

    /// How many operations of an open loop should have begun and have not.
    fn overdue(&mut self, begin: LocalTime, now: LocalTime) -> u64 {
        let begun = self.begun;
        while self.interval.is_some() && self.due(begin) < now {
            self.begun += 1;
        }
        self.begun - begun
    }

    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    fn draws_read(&mut self) -> bool {
        const PARTS: u64 = 1 << 32;
        (self.rng.below(PARTS) as f64) < self.read_share * PARTS as f64
    }

    fn begin(&mut self, index: usize, meant: LocalTime, reads: bool) {
        self.key.clear();
        let _ = write!(self.key, "key {}", self.keys.draw(&mut self.rng)); // A string takes everything.
        let key = self.key.as_bytes();
        let operation = if reads {
            Operation::Read(Payload::from(Question::Get { key: key.into() }.encode()))
        } else {
            let put = Change::Put { key, value: &self.value };
            self.encoded = put.encode_into(mem::take(&mut self.encoded));
            Operation::Propose(Payload::from(self.encoded.as_slice()))
        };
        let now = self.link.now();
        let client = &mut self.clients[index];
        client.meant = meant;
        client.conversation.begin(operation, now);
        self.ask(index, now);
    }

    /// Sends what client `index` has to send now.
    fn ask(&mut self, index: usize, now: LocalTime) {
        while let Some((to, request)) = self.clients[index].conversation.poll(now) {
            self.link.push(to, &request);
        }
    }

    /// Waits until something arrives, at most until `until`; what ended.
    fn turn(&mut self, until: LocalTime, ended: &mut Vec<(usize, Ended)>) -> io::Result<()> {
        self.link.flush();
        self.link.wait(until.min(self.retry_at))?;
        while let Some((_, responses)) = self.link.receive()? {
            let now = self.link.now();
            for response in responses {
                let index = usize::try_from(response.number >> COUNTED_BITS).unwrap_or(usize::MAX);
                let Some(client) = self.clients.get_mut(index) else { continue };
                match client.conversation.on_response(response, now) {
                    Some(how) => ended.push((index, how)),
                    None => self.ask(index, now),
                }
            }
        }
        let now = self.link.now();
        if now >= self.retry_at {
            self.retry_at = now + RETRY_EVERY;
            (0..self.clients.len()).for_each(|index| self.ask(index, now));
        }
        Ok(())
    }
}

fn nanos(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.0).unwrap_or(0))
}
