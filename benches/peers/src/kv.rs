//! The state machine of every peer: keys and values, in memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Put {
    /// What is changed.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// What to.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// The keys and their values.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    /// Carries out an update.
    pub fn apply(&mut self, put: Put) {
        self.0.insert(put.key, put.value);
    }

    /// The value of a key; empty if it has none.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Vec<u8> {
        self.0.get(key).cloned().unwrap_or_default()
    }
}
