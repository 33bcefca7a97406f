//! Following the log: what was learnt, slot by slot, without a gap, whoever leads.
//!
//! A slot's value never changes once it is learnt, so any server may be asked, and a server that dies or falls
//! behind is replaced by the next without a gap or a repetition. The client asks for the slot that it wants next:
//! the servers remember nothing, and a watch that was interrupted is resumed by the number of its next slot.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use spec::Slot;

use super::{Client, ClientError, Ended, Event, Operation};

/// How long a watch rests where there is nothing new.
const REST: Duration = Duration::from_millis(20);
/// After so many answers without anything new, another server is asked: this one may be cut off from the others.
const IDLE_ANSWERS_MAX: u32 = 16;

/// What is learnt from a slot on. Made by [`Client::watch`].
#[derive(Debug)]
pub struct Watch<'a> {
    client: &'a mut Client,
    next: Slot,
    events: VecDeque<Event>,
    idle: u32,
}

impl<'a> Watch<'a> {
    pub(super) fn new(client: &'a mut Client, first: Slot) -> Self {
        Self { client, next: first.max(Slot(1)), events: VecDeque::new(), idle: 0 }
    }

    /// The slot of the next event: where to resume.
    #[must_use]
    pub fn next_slot(&self) -> Slot {
        self.next
    }

    /// The next slot's event; none if nothing was learnt there within `wait`.
    ///
    /// # Errors
    /// [`ClientError::Compacted`] names the first slot that can be watched; [`ClientError::NoAnswer`] if no server
    /// answers. The watch may be continued after either.
    pub fn next_within(&mut self, wait: Duration) -> Result<Option<Event>, ClientError> {
        let begun = Instant::now();
        while self.events.is_empty() {
            self.ask()?;
            if self.events.is_empty() {
                if begun.elapsed() >= wait {
                    return Ok(None);
                }
                thread::sleep(REST.min(wait));
            }
        }
        let event = self.events.pop_front();
        self.next = event.as_ref().map_or(self.next, |event| event.slot.next());
        Ok(event)
    }

    fn ask(&mut self) -> Result<(), ClientError> {
        match self.client.run(Operation::Since(self.next))? {
            Ended::Since(events) => {
                self.idle = if events.is_empty() { self.idle + 1 } else { 0 };
                if self.idle >= IDLE_ANSWERS_MAX {
                    self.idle = 0;
                    self.client.conversation.rotate();
                }
                self.events = gapless(self.next, events);
                Ok(())
            }
            Ended::Compacted(first) => Err(ClientError::Compacted { asked: self.next, first }),
            _ => Ok(()),
        }
    }
}

/// What follows `next` without a gap. A server of this release sends nothing else.
fn gapless(next: Slot, events: Vec<Event>) -> VecDeque<Event> {
    let expected = (next.0..).map(Slot);
    events
        .into_iter()
        .zip(expected)
        .take_while(|(event, slot)| event.slot == *slot)
        .map(|(event, _)| event)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::Command;

    #[test]
    fn what_does_not_follow_without_a_gap_is_not_believed() {
        let event = |slot| Event { slot: Slot(slot), command: Command::NoOp, applied: false };
        let slots = |next, given: &[u64]| -> Vec<u64> {
            let events = given.iter().map(|&slot| event(slot)).collect();
            gapless(Slot(next), events).iter().map(|event| event.slot.0).collect()
        };
        assert_eq!(slots(3, &[3, 4, 5]), [3, 4, 5]);
        assert_eq!(slots(3, &[3, 5]), [3]);
        assert!(slots(3, &[2, 3]).is_empty() && slots(3, &[4]).is_empty());
    }
}
