//! What a log amounts to apart from its values: the second copy of what a server must not forget.
//!
//! Every write ends with a sum of all records so far. Whatever is damaged before it, the sum says which views and
//! terms were promised there, and up to which slot the damage may have taken a vote. And as it follows from the records,
//! a sum that is damaged itself takes nothing away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spec::{Durable, Record, Slot};

use super::format::{self, FRAME_HEADER_BYTES, FrameKind, Label, Position};
use crate::driver::checkpoint;
use crate::payload::Payload;

/// What the records of one group amount to.
#[derive(Clone, Default, Debug)]
struct Word {
    /// Views and terms; no values.
    durable: Durable<Payload>,
    /// The highest slot that any record is about.
    highest: Slot,
}

impl Word {
    fn add(&mut self, record: &Record<Payload>) {
        match record {
            Record::Vote { view, slot, .. } => {
                self.durable.apply(Record::Promise(*view));
                self.highest = self.highest.max(*slot);
            }
            Record::Learnt { slot, .. } | Record::Committed(slot) => self.highest = self.highest.max(*slot),
            Record::Snapshot(snapshot) => self.highest = self.highest.max(snapshot.slot),
            Record::Lacks { up_to, .. } => self.highest = self.highest.max(*up_to),
            other => self.durable.apply(other.clone()),
        }
    }
}

/// What the records of every group amount to.
#[derive(Clone, Default, Debug)]
pub(super) struct Words(BTreeMap<u16, Word>);

impl Words {
    pub(super) fn add(&mut self, group: u16, record: &Record<Payload>) {
        self.0.entry(group).or_default().add(record);
    }

    /// Takes over what a sum says.
    pub(super) fn add_sum(&mut self, sum: &Sum) {
        for GroupSum { group, highest, records } in &sum.groups {
            let word = self.0.entry(*group).or_default();
            records.iter().for_each(|record| word.add(record));
            word.highest = word.highest.max(*highest);
        }
    }

    /// The sum of the records so far.
    pub(super) fn sum(&self, boots: u64, incarnation: u64) -> Sum {
        let group = |(&group, word): (&u16, &Word)| GroupSum {
            group,
            highest: word.highest,
            records: checkpoint(&word.durable, Slot::NONE),
        };
        Sum { boots, incarnation, groups: self.0.iter().map(group).collect() }
    }
}

/// What stands for records that are lost, those being all up to there.
pub(crate) fn stand_in<'a>(
    records: impl IntoIterator<Item = &'a (u16, Record<Payload>)>,
) -> Vec<(u16, Record<Payload>)> {
    let mut words = Words::default();
    records.into_iter().for_each(|(group, record)| words.add(*group, record));
    words.sum(0, 0).stand_in().collect()
}

/// What a frame holds that sums up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Sum {
    /// How often the directory was opened.
    pub(super) boots: u64,
    /// Which of the server's disks it is on.
    pub(super) incarnation: u64,
    /// Every group that has a record.
    pub(super) groups: Vec<GroupSum>,
}

/// One group's part of a sum.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct GroupSum {
    pub(super) group: u16,
    /// The highest slot that any record is about.
    pub(super) highest: Slot,
    /// What stands for all records about views and terms.
    pub(super) records: Vec<Record<Payload>>,
}

impl Sum {
    /// What stands for all records before it: views and terms, and up to which slot votes are lacking.
    pub(super) fn stand_in(&self) -> impl Iterator<Item = (u16, Record<Payload>)> {
        self.groups.iter().flat_map(|GroupSum { group, highest, records }| {
            let lacks = Record::Lacks { up_to: *highest, snapshot: false };
            records.iter().cloned().chain([lacks]).map(|record| (*group, record))
        })
    }

    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(body) {
            Ok((sum, [])) => Some(sum),
            _ => None,
        }
    }

    /// Adds the sum's frame to a write, all but its header. Returns the length of its body in bytes.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) -> u32 {
        let start = bytes.len();
        bytes.resize(start + FRAME_HEADER_BYTES, 0);
        let extended = postcard::to_extend(self, std::mem::take(bytes));
        *bytes = extended.expect("a sum is plain data, and writing it to memory cannot fail");
        format::pad(bytes, start)
    }

    /// The whole frame as it stands at `offset`, `back` bytes behind the beginning of its write, and its checksum.
    pub(super) fn frame(&self, position: Position, back: usize, offset: u64, seed: u32) -> (Vec<u8>, u32) {
        let mut frame = Vec::new();
        let body_bytes = self.write(&mut frame);
        let label = Label { kind: FrameKind::Sum, body_bytes, back, offset, seed };
        let checksum = format::seal(&mut frame, &label, position);
        (frame, checksum)
    }
}

#[cfg(test)]
mod tests {
    use spec::{Command, ServerId, Span, View};

    use super::*;

    fn vote(slot: u64, view: u64) -> Record<Payload> {
        let view = View::new(view, ServerId(1));
        Record::Vote { view, slot: Slot(slot), command: Command::Open { nonce: slot } }
    }

    #[test]
    fn a_sum_stands_for_every_view_and_term_and_names_the_highest_slot() {
        let records = [
            Record::Attempt(View::new(4, ServerId(2))),
            vote(7, 5),
            Record::Promise(View::new(3, ServerId(0))),
            Record::GrantTerm(Span(9)),
            vote(6, 5),
            Record::Learnt { slot: Slot(12), command: Command::NoOp },
        ];
        let mut words = Words::default();
        records.iter().for_each(|record| words.add(3, record));
        let sum = words.sum(2, 9);
        let [GroupSum { group: 3, highest: Slot(12), records: word }] = &sum.groups[..] else {
            panic!("{sum:?}")
        };
        let [whole, summed]: [Durable<Payload>; 2] =
            [records.to_vec(), word.clone()].map(|records| records.into_iter().collect());
        assert_eq!(
            (whole.attempted, whole.promised, whole.grant_term),
            (summed.attempted, summed.promised, summed.grant_term)
        );
        let mut again = Words::default();
        again.add_sum(&sum);
        assert_eq!(again.sum(2, 9), sum, "a sum of a sum is the same sum");
    }

    #[test]
    fn a_sum_of_one_group_is_a_frame_of_64_bytes() {
        let mut words = Words::default();
        [
            Record::Attempt(View::new(900, ServerId(2))),
            vote(1_000_000, 901),
            Record::GrantTerm(Span(612_000_000)),
        ]
        .iter()
        .for_each(|record| words.add(0, record));
        let (frame, _) = words.sum(7, 0).frame(Position::default(), 96, 160, 5);
        assert_eq!(frame.len(), 64);
    }
}
