//! Interning: each different node, message and ghost is kept once and passed around as a `Copy` reference,
//! compared by address and hashed by its content, so that a global state is a few words.
//!
//! What is interned is never freed: it lives as long as the exploration that made it, which is as long as the
//! process.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Mutex, RwLock};

/// A hasher for keys that are hashes or small numbers already.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        // Fibonacci hashing: small numbers must spread over the table.
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map whose keys hash to themselves.
pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Identity>>;

/// The hash of a value's content: the same in every run.
pub fn content_hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// One interned value, and what has been computed from it (`M`).
pub struct Entry<T, M> {
    /// The value.
    pub value: T,
    /// Hash of its content.
    pub hash: u64,
    /// Counts the values of the interner, from 0.
    pub index: usize,
    /// Results of steps from here, by the step's code.
    pub memo: RwLock<FastMap<u64, M>>,
}

/// A reference to an interned value.
pub struct Interned<T: 'static, M: 'static>(pub &'static Entry<T, M>);

impl<T, M> Clone for Interned<T, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, M> Copy for Interned<T, M> {}

impl<T, M> PartialEq for Interned<T, M> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl<T, M> Eq for Interned<T, M> {}

impl<T, M> Hash for Interned<T, M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl<T, M> Deref for Interned<T, M> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug, M> fmt::Debug for Interned<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl<T, M: Copy> Interned<T, M> {
    /// The result of the step `code` from here, computed the first time.
    pub fn remember(&self, code: u64, compute: impl FnOnce() -> M) -> M {
        if let Some(&known) = self.0.memo.read().expect("no panics while held").get(&code) {
            return known;
        }
        let computed = compute();
        *self.0.memo.write().expect("no panics while held").entry(code).or_insert(computed)
    }
}

/// Keeps each different value once.
pub struct Interner<T: 'static, M: 'static> {
    by_hash: Mutex<HashMap<u64, Vec<Interned<T, M>>>>,
    by_index: RwLock<Vec<Interned<T, M>>>,
}

impl<T, M> Default for Interner<T, M> {
    fn default() -> Self {
        Self { by_hash: Mutex::default(), by_index: RwLock::default() }
    }
}

impl<T: Hash + Eq, M> Interner<T, M> {
    /// The reference to this value.
    pub fn intern(&self, value: T) -> Interned<T, M> {
        let hash = content_hash(&value);
        let mut map = self.by_hash.lock().expect("no panics while held");
        let same_hash = map.entry(hash).or_default();
        if let Some(&known) = same_hash.iter().find(|known| known.0.value == value) {
            return known;
        }
        let mut list = self.by_index.write().expect("no panics while held");
        let entry = Entry { value, hash, index: list.len(), memo: RwLock::default() };
        let interned = Interned(Box::leak(Box::new(entry)));
        list.push(interned);
        same_hash.push(interned);
        interned
    }

    /// The values of these indices.
    pub fn select(&self, indices: impl Iterator<Item = usize>) -> Vec<Interned<T, M>> {
        let list = self.by_index.read().expect("no panics while held");
        indices.map(|index| list[index]).collect()
    }

    /// Brings a copy of the list of values, by index, up to date.
    pub fn update(&self, copy: &mut Vec<Interned<T, M>>) {
        let list = self.by_index.read().expect("no panics while held");
        copy.extend_from_slice(&list[copy.len()..]);
    }
}
