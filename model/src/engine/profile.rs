//! Where the time of a search goes: each of its parts by itself, over the first states of a space.
//!
//! The parts of a real search overlap in the processor, so their sum is more than what a search takes; what
//! matters is how they compare.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Space;
use super::table::Table;

/// How many states are looked at, at most.
const STATES: usize = 20_000;

/// What one part takes.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// What it does.
    pub name: &'static str,
    /// How long it took, for all transitions of the sample.
    pub elapsed: Duration,
}

/// What the parts take.
pub struct Profile {
    /// States that were expanded.
    pub states: usize,
    /// Transitions from them.
    pub transitions: usize,
    /// The parts, in the order in which a search does them.
    pub parts: Vec<Part>,
}

/// Times the parts over the first states of a space, in breadth-first order.
pub fn profile<S: Space>(space: &S) -> Profile {
    let begun = Instant::now();
    let (states, packed) = sample(space);
    let mut parts =
        vec![Part { name: "first visit: handlers, interning, rows, queue", elapsed: begun.elapsed() }];
    let mut time = |name, work: &mut dyn FnMut()| {
        let begun = Instant::now();
        work();
        parts.push(Part { name, elapsed: begun.elapsed() });
    };
    let mut worker = space.worker();
    let mut successors = Vec::new();
    time("unpack", &mut || {
        packed.iter().for_each(|words| {
            black_box(space.unpack(&mut worker, words));
        });
    });
    time("expand, by a new thread whose rows are empty", &mut || {
        let found = &mut |_, next: &S::State| successors.push(*next);
        states.iter().for_each(|state| space.expand(&mut worker, state, found));
    });
    time("expand", &mut || {
        let found = &mut |_, next: &S::State| {
            black_box(*next);
        };
        states.iter().for_each(|state| space.expand(&mut worker, state, found));
    });
    let mut fingerprints = Vec::new();
    time("fingerprint", &mut || {
        fingerprints.extend(successors.iter().map(|state| space.fingerprint(state)));
    });
    let table = Table::new(fingerprints.len() * 2);
    let mut new = Vec::new();
    time("table of fingerprints", &mut || {
        new.extend(fingerprints.iter().map(|&fingerprint| table.insert(fingerprint)));
    });
    let fresh = || successors.iter().zip(&new).filter(|(_, new)| **new).map(|(state, _)| state);
    time("judge", &mut || {
        fresh().for_each(|state| {
            black_box(space.judge(&mut worker, state));
        });
    });
    let mut words = Vec::new();
    time("pack", &mut || {
        for state in fresh() {
            words.clear();
            words.resize(space.width(state), 0);
            space.pack(state, &mut words);
        }
    });
    Profile { states: states.len(), transitions: successors.len(), parts }
}

/// The first states, and the same packed.
fn sample<S: Space>(space: &S) -> (Vec<S::State>, Vec<Vec<u64>>) {
    let table = Table::new(STATES * 4);
    let (mut queue, mut worker): (VecDeque<_>, _) = (space.initial().into(), space.worker());
    let mut states = Vec::new();
    while let Some(state) = queue.pop_front() {
        if states.len() == STATES {
            break;
        }
        space.expand(&mut worker, &state, &mut |_, next| {
            if queue.len() + states.len() < STATES && table.insert(space.fingerprint(next)) {
                queue.push_back(*next);
            }
        });
        states.push(state);
    }
    let pack = |state| {
        let mut words = vec![0; space.width(state)];
        space.pack(state, &mut words);
        words
    };
    let packed = states.iter().map(pack).collect();
    (states, packed)
}
