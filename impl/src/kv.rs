//! The key-value store: a map from byte strings to byte strings, and its requests and replies in `postcard`.

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

    /// The key that it may change.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        let (Self::Put { key, .. } | Self::Delete { key } | Self::Swap { key, .. }) = self;
        key
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

/// The store at one server.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    /// Carries out a change.
    pub fn change<B: AsRef<[u8]>>(&mut self, change: &Change<B>) -> Reply {
        match change {
            Change::Put { key, value } => match self.0.get_mut(key.as_ref()) {
                None => {
                    self.0.insert(key.as_ref().to_vec(), value.as_ref().to_vec());
                    Reply::Created
                }
                Some(found) => {
                    replace(found, value.as_ref());
                    Reply::Replaced
                }
            },
            Change::Delete { key } => match self.0.remove(key.as_ref()) {
                Some(_) => Reply::Deleted,
                None => Reply::NotFound,
            },
            Change::Swap { key, expected, value } => match self.0.get_mut(key.as_ref()) {
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
            Question::Get { key } => self.0.get(key).map_or(Reply::NotFound, |v| Reply::Found(v.clone())),
            Question::List { prefix, after } => self.list(prefix, after.as_deref()),
        }
    }

    fn list(&self, prefix: &[u8], after: Option<&[u8]>) -> Reply {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = self.0.range::<[u8], _>((from, Bound::Unbounded));
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

    /// What it holds, by key.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
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
        Some(encode(&self.0))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotASnapshot> {
        self.0 = postcard::from_bytes(snapshot)
            .map_err(|error| NotASnapshot(format!("no key-value store: {error}")))?;
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
    fn bytes_that_are_no_request_change_nothing() {
        let mut store = Store::default();
        assert_eq!(Reply::decode(&store.apply(Slot(1), &[0xFF; 9])).unwrap(), Reply::Malformed);
        assert_eq!(Reply::decode(&store.query(&[])).unwrap(), Reply::Malformed);
        assert_eq!(store, Store::default());
    }
}
