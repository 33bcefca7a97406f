//! The guards of the machine by their names, and what it means that a step is refused.

use std::fmt;

/// Every guard of `spec/proof/leasehold.machine`: action and guard, in the order of the file. A test holds this list and
/// the file against each other.
pub const GUARDS: &[(&str, &str)] = &[
    ("promise", "attempted"),
    ("promise", "not-left"),
    ("promise", "no-lease"),
    ("establish", "quorum"),
    ("propose", "established"),
    ("propose", "fresh"),
    ("propose", "unmarked"),
    ("propose", "quorum"),
    ("propose", "value"),
    ("vote", "not-left"),
    ("vote", "proposed"),
    ("choose", "quorum"),
    ("learn", "decided"),
    ("mark", "learnt"),
    ("mark", "unrefuted"),
    ("follow", "voted"),
    ("follow", "marked"),
    ("acknowledge", "decided"),
    ("acknowledge", "gapless"),
    ("tick", "forward"),
    ("request", "established"),
    ("request", "latest"),
    ("grant", "requested"),
    ("grant", "joined"),
    ("grant", "not-left"),
    ("grant", "long"),
    ("grant", "kept"),
    ("regrant", "requested"),
    ("regrant", "not-left"),
    ("regrant", "granted"),
    ("hold", "quorum"),
    ("forget", "quit"),
    ("forget", "remembered"),
    ("restart", "joined"),
    ("restart", "not-left"),
    ("restart", "long"),
    ("serve", "held"),
    ("serve", "leads"),
    ("serve", "in-time"),
    ("serve", "horizon"),
    ("serve", "chosen"),
    ("confirm", "quorum"),
    ("confirm", "horizon"),
    ("confirm", "chosen"),
];

/// A guard, by its place in [`GUARDS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Guard(pub u8);

impl Guard {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..GUARDS.len()).map(|at| Self(u8::try_from(at).unwrap_or(u8::MAX)))
    }

    /// The guard of that name, for code that is compiled: a wrong name does not compile.
    ///
    /// # Panics
    /// If there is none.
    pub const fn at(action: &str, guard: &str) -> Self {
        let mut place = 0;
        while place < GUARDS.len() {
            if same(GUARDS[place].0, action) && same(GUARDS[place].1, guard) {
                #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 64")]
                return Self(place as u8);
            }
            place += 1;
        }
        panic!("the machine has no such guard")
    }

    /// Its action and its name.
    pub fn name(self) -> (&'static str, &'static str) {
        GUARDS[usize::from(self.0)]
    }
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, guard) = self.name();
        write!(f, "{action}.{guard}")
    }
}

/// Why a step is none of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refused {
    /// A guard of an action does not hold.
    Guard(Guard),
    /// An action is taken, and does not do to this part of the state what it does in the machine.
    Set(&'static str, &'static str),
    /// It is outside of the machine: something that the machine takes for granted is not so.
    Outside(Outside),
}

/// What the machine takes for granted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outside {
    /// What is durable stays.
    Disk,
    /// A message leaves after the records that it speaks of are durable.
    Unwritten,
    /// Clocks go on, within their drift.
    Clock,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk: what was durable is lost",
            Self::Unwritten => "disk: a message says what is not durable yet",
            Self::Clock => "clock: it did not go on by what passed",
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guard(guard) => guard.fmt(f),
            Self::Set(action, state) => write!(f, "{action} sets {state}"),
            Self::Outside(outside) => outside.fmt(f),
        }
    }
}
