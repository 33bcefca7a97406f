//! The key-value store: a map from byte strings to byte strings, and its requests and replies in `postcard`. It may be
//! divided into parts, each replicated by a group of its own; [`part_of`] says which a key belongs to.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use spec::Slot;

use crate::byte_string;
use crate::state_machine::{NotASnapshot, StateMachine};

/// A change of the store. `B` is how it holds bytes: its own, or slices of those that it was read from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "B: AsRef<[u8]>", deserialize = "B: From<&'de [u8]>"))]
pub enum Change<B = Vec<u8>> {
    /// Gives a key a value, whatever it had.
    Put {
        /// The key.
        #[serde(with = "byte_string")]
        key: B,
        /// Its new value.
        #[serde(with = "byte_string")]
        value: B,
    },
    /// Removes a key.
    Delete {
        /// The key.
        #[serde(with = "byte_string")]
        key: B,
    },
    /// Compare-and-swap: gives a key a value if it has the expected one.
    Swap {
        /// The key.
        #[serde(with = "byte_string")]
        key: B,
        /// What it must hold for the change to happen.
        #[serde(with = "byte_string")]
        expected: B,
        /// Its new value.
        #[serde(with = "byte_string")]
        value: B,
    },
}

/// A question to the store.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Question {
    /// What does the key hold?
    Get {
        /// The key.
        #[serde(with = "byte_string")]
        key: Vec<u8>,
    },
    /// Which keys begin so, in their order, and what do they hold? As many as fit one answer.
    List {
        /// How the keys begin.
        #[serde(with = "byte_string")]
        prefix: Vec<u8>,
        /// Only keys behind this one: the last of the page before.
        after: Option<Vec<u8>>,
    },
}

/// What the store says to a change or a question.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Put: the key was new.
    Created,
    /// Put: the key had a value before.
    Replaced,
    /// Delete: the key is gone.
    Deleted,
    /// Swap: the key had the expected value and has the new one now.
    Swapped,
    /// Get: the value. Swap: the value that the key has, which was not the expected one; nothing changed.
    Found(#[serde(with = "byte_string")] Vec<u8>),
    /// Get, delete or swap: there is no such key; nothing changed.
    NotFound,
    /// The bytes are no request of this store; nothing changed.
    Malformed,
    /// List: keys and values.
    Listed {
        /// The pairs, by key.
        entries: Vec<(Vec<u8>, Vec<u8>)>,
        /// Whether there are more behind the last of them.
        more: bool,
    },
    /// The key belongs to another part of the store; nothing changed.
    Elsewhere {
        /// How many parts there are.
        parts: u16,
    },
}

impl Change {
    /// The update to propose.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads an update; none if it is not one of this store, which changes nothing.
    #[must_use]
    pub fn decode(update: &[u8]) -> Option<Self> {
        postcard::from_bytes(update).ok()
    }
}

impl<B: AsRef<[u8]>> Change<B> {
    /// The update to propose, in the room of what `buffer` held.
    #[must_use]
    pub fn encode_into(&self, mut buffer: Vec<u8>) -> Vec<u8> {
        buffer.clear();
        postcard::to_extend(self, buffer).expect("byte strings always encode")
    }

    /// The key that it may change.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        let (Self::Put { key, .. } | Self::Delete { key } | Self::Swap { key, .. }) = self;
        key.as_ref()
    }
}

impl Question {
    /// The query to ask.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }
}

impl Reply {
    /// Reads what the store said.
    ///
    /// # Errors
    /// If the server runs another state machine, or another version of this one.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("byte strings always encode")
}

/// Gives a key another value in the room of the one that it had.
fn replace(found: &mut Vec<u8>, value: &[u8]) {
    found.clear();
    found.extend_from_slice(value);
}

/// About how many bytes one page of a list takes; a single pair always fits a message, because its update did.
const PAGE_BYTES: usize = 128 * 1024;
/// What a pair takes beside its bytes, at most.
const ENTRY_BYTES: usize = 16;

/// Which of so many parts a key belongs to: its CRC32C, modulo their number.
#[must_use]
pub fn part_of(key: &[u8], parts: u16) -> u16 {
    let part = crc32c::crc32c(key) % u32::from(parts.max(1));
    u16::try_from(part).expect("less than a number of parts")
}

/// A key and its value, as a snapshot has them.
#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(with = "byte_string", borrow)]
    key: &'a [u8],
    #[serde(with = "byte_string", borrow)]
    value: &'a [u8],
}

/// The store at one server, or a part of it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Store {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Which part of how many; all of it if none is given.
    part: Option<(u16, u16)>,
}

impl Store {
    /// One of so many parts of a store, from 0: it has only keys that belong there.
    #[must_use]
    pub fn part(part: u16, parts: u16) -> Self {
        Self { entries: BTreeMap::new(), part: (parts > 1).then_some((part, parts)) }
    }

    /// What is said of a key that belongs elsewhere.
    fn elsewhere(&self, key: &[u8]) -> Option<Reply> {
        let (part, parts) = self.part?;
        (part_of(key, parts) != part).then_some(Reply::Elsewhere { parts })
    }

    /// Carries out a change.
    pub fn change<B: AsRef<[u8]>>(&mut self, change: &Change<B>) -> Reply {
        if let Some(elsewhere) = self.elsewhere(change.key()) {
            return elsewhere;
        }
        match change {
            Change::Put { key, value } => match self.entries.get_mut(key.as_ref()) {
                None => {
                    self.entries.insert(key.as_ref().to_vec(), value.as_ref().to_vec());
                    Reply::Created
                }
                Some(found) => {
                    replace(found, value.as_ref());
                    Reply::Replaced
                }
            },
            Change::Delete { key } => match self.entries.remove(key.as_ref()) {
                Some(_) => Reply::Deleted,
                None => Reply::NotFound,
            },
            Change::Swap { key, expected, value } => match self.entries.get_mut(key.as_ref()) {
                Some(found) if *found == expected.as_ref() => {
                    replace(found, value.as_ref());
                    Reply::Swapped
                }
                Some(found) => Reply::Found(found.clone()),
                None => Reply::NotFound,
            },
        }
    }

    fn answer(&self, question: &Question) -> Reply {
        match question {
            Question::Get { key } => self.elsewhere(key).unwrap_or_else(|| {
                self.entries.get(key).map_or(Reply::NotFound, |value| Reply::Found(value.clone()))
            }),
            Question::List { prefix, after } => self.list(prefix, after.as_deref()),
        }
    }

    fn list(&self, prefix: &[u8], after: Option<&[u8]>) -> Reply {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = self.entries.range::<[u8], _>((from, Bound::Unbounded));
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for (key, value) in range.take_while(|(key, _)| key.starts_with(prefix)) {
            bytes += key.len() + value.len() + ENTRY_BYTES;
            if bytes > PAGE_BYTES && !entries.is_empty() {
                return Reply::Listed { entries, more: true };
            }
            entries.push((key.clone(), value.clone()));
        }
        Reply::Listed { entries, more: false }
    }

    /// Adds what another part holds.
    pub fn merge(&mut self, part: Self) {
        self.entries.extend(part.entries);
    }

    /// What it holds, by key.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl StateMachine for Store {
    fn apply(&mut self, _: Slot, update: &[u8]) -> Vec<u8> {
        let change = postcard::from_bytes::<Change<&[u8]>>(update);
        encode(&change.map_or(Reply::Malformed, |change| self.change(&change)))
    }

    fn query(&self, query: &[u8]) -> Vec<u8> {
        encode(&postcard::from_bytes(query).map_or(Reply::Malformed, |question| self.answer(&question)))
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        let entries: Vec<_> = self.entries().map(|(key, value)| Entry { key, value }).collect();
        Some(encode(&entries))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotASnapshot> {
        let entries: Vec<Entry<'_>> = postcard::from_bytes(snapshot)
            .map_err(|error| NotASnapshot(format!("no key-value store: {error}")))?;
        self.entries = entries.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(store: &mut Store, change: &Change) -> Reply {
        Reply::decode(&store.apply(Slot(1), &change.encode())).unwrap()
    }

    fn get(store: &Store, key: &str) -> Reply {
        Reply::decode(&store.query(&Question::Get { key: key.into() }.encode())).unwrap()
    }

    fn swap(expected: &str, value: &str) -> Change {
        Change::Swap { key: "k".into(), expected: expected.into(), value: value.into() }
    }

    #[test]
    fn each_change_says_what_it_found() {
        let mut store = Store::default();
        let put = Change::Put { key: "k".into(), value: "1".into() };
        assert_eq!(get(&store, "k"), Reply::NotFound);
        assert_eq!(apply(&mut store, &swap("1", "2")), Reply::NotFound);
        assert_eq!(apply(&mut store, &put), Reply::Created);
        assert_eq!(apply(&mut store, &put), Reply::Replaced);
        assert_eq!(apply(&mut store, &swap("0", "2")), Reply::Found("1".into()));
        assert_eq!(apply(&mut store, &swap("1", "2")), Reply::Swapped);
        assert_eq!(get(&store, "k"), Reply::Found("2".into()));
        assert_eq!(apply(&mut store, &Change::Delete { key: "k".into() }), Reply::Deleted);
        assert_eq!(apply(&mut store, &Change::Delete { key: "k".into() }), Reply::NotFound);
    }

    #[test]
    fn pages_of_a_list_tell_every_key_with_the_prefix_once_and_in_order() {
        let mut store = Store::default();
        let keys: Vec<Vec<u8>> = (0..40u8).map(|index| vec![b'p', 0xFF, index]).collect();
        for key in keys.iter().cloned().chain(["o".into(), "q".into()]) {
            store.change(&Change::Put { key, value: vec![7; 10_000] });
        }
        let (mut listed, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let question = Question::List { prefix: vec![b'p', 0xFF], after };
            let reply = Reply::decode(&store.query(&question.encode())).unwrap();
            let Reply::Listed { entries, more } = reply else { panic!("{reply:?}") };
            listed.extend(entries.into_iter().map(|(key, _)| key));
            (after, pages) = (listed.last().cloned(), pages + 1);
            if !more {
                break;
            }
        }
        assert_eq!(listed, keys);
        assert!(pages > 1);
    }

    #[test]
    fn each_key_belongs_to_one_part_and_the_others_refuse_it() {
        let mut parts: Vec<_> = (0..5).map(|part| Store::part(part, 5)).collect();
        let mut held = [0; 5];
        for index in 0..1000 {
            let put: Change = Change::Put { key: format!("key {index}").into(), value: "v".into() };
            for (part, held) in parts.iter_mut().zip(&mut held) {
                match part.change(&put) {
                    Reply::Created => *held += 1,
                    reply => assert_eq!(reply, Reply::Elsewhere { parts: 5 }),
                }
            }
        }
        assert_eq!(held.iter().sum::<i32>(), 1000);
        assert!(held.iter().all(|held| (150..250).contains(held)), "{held:?}");
        let part = part_of(b"key 7", 5);
        for (at, store) in (0..).zip(&parts) {
            let expected = if at == part { Reply::Found("v".into()) } else { Reply::Elsewhere { parts: 5 } };
            assert_eq!(get(store, "key 7"), expected);
        }
    }

    #[test]
    fn bytes_that_are_no_request_change_nothing() {
        let mut store = Store::default();
        assert_eq!(Reply::decode(&store.apply(Slot(1), &[0xFF; 9])).unwrap(), Reply::Malformed);
        assert_eq!(Reply::decode(&store.query(&[])).unwrap(), Reply::Malformed);
        assert_eq!(store, Store::default());
    }

    // The format of the snapshots of 0.1.0.
    #[test]
    fn a_snapshot_is_the_map_of_keys_and_values() {
        let mut store = Store::default();
        [("b", "two"), ("", ""), ("a", "one")].into_iter().for_each(|(key, value)| {
            apply(&mut store, &Change::Put { key: key.into(), value: value.into() });
        });
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot, b"\x03\0\0\x01a\x03one\x01b\x03two");
        assert_eq!(snapshot, encode(&store.entries), "byte by byte, and quicker");
        let mut restored = Store::default();
        restored.restore(&snapshot).unwrap();
        assert_eq!(restored, store);
    }
}
