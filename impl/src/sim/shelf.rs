//! The snapshots of a simulated disk, and those that are on their way to it.

use std::collections::{BTreeMap, VecDeque};

use spec::{Slot, Span};

use crate::disk::{SnapshotError, WrittenSnapshot};
use crate::rng::Rng;
use crate::snapshot::Content;

#[derive(Default, Debug)]
pub(super) struct Shelf {
    /// What is durable, by group and slot.
    kept: BTreeMap<(u16, Slot), Vec<u8>>,
    /// What is being written, one after another, and when each is over.
    writing: VecDeque<(u16, Content, i64)>,
    /// Snapshots whose writing was cut short.
    pub(super) cut: u64,
    /// How long each takes, if that is not left to chance.
    pub(super) takes: Option<Span>,
}

impl Shelf {
    /// Begins to write a snapshot, which takes so long from now on, or from when those before it are over.
    pub(super) fn begin(&mut self, group: u16, content: Content, now: i64, takes: Span) {
        let before = self.writing.back().map_or(now, |&(.., ends)| ends.max(now));
        self.writing.push_back((group, content, before + self.takes.unwrap_or(takes).0));
    }

    /// When the next one is over.
    pub(super) fn next(&self) -> Option<i64> {
        self.writing.front().map(|&(.., ends)| ends)
    }

    /// The next one if it is over by now; `fails` says why it is not kept.
    pub(super) fn end(&mut self, now: i64, fails: Option<&str>) -> Option<WrittenSnapshot> {
        let (group, content, _) =
            self.next().filter(|&ends| ends <= now).and_then(|_| self.writing.pop_front())?;
        let result = fails.map_or(Ok(()), |reason| Err(reason.to_owned()));
        if result.is_ok() {
            self.keep(group, &content);
        }
        Some(WrittenSnapshot { group, content, result })
    }

    fn keep(&mut self, group: u16, content: &Content) {
        self.kept.insert((group, content.slot()), content.encode());
    }

    /// The server ends. What was being written is lost, unless all of it had been and only nobody was told yet.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        for (group, content, _) in std::mem::take(&mut self.writing) {
            self.cut += 1;
            if rng.percent(70) {
                return;
            }
            self.keep(group, &content);
        }
    }

    /// Everything is lost.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.writing.clear();
    }

    /// Forgets those before `slot`.
    pub(super) fn forget_before(&mut self, slot: Slot) {
        self.kept.retain(|&(_, kept), _| kept >= slot);
    }

    /// How many are on their way.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.writing.len()
    }

    /// Damages the newest, or all of them; how many that are.
    pub(super) fn damage(&mut self, rng: &mut Rng) -> u64 {
        let count = if rng.percent(50) { 1 } else { self.kept.len() };
        self.kept.values_mut().rev().take(count).map(Vec::clear).count() as u64
    }

    /// The slots of a group's snapshots, newest first.
    pub(super) fn slots(&self, group: u16) -> Vec<Slot> {
        self.kept.keys().rev().filter(|&&(of, _)| of == group).map(|&(_, slot)| slot).collect()
    }

    pub(super) fn read(&self, group: u16, slot: Slot) -> Result<Content, SnapshotError> {
        let body = self.kept.get(&(group, slot)).map_or(&[][..], |body| &body[..]);
        Content::decode(body)
            .map_err(|reason| SnapshotError { path: "simulated".into(), reason: reason.to_string() })
    }
}
