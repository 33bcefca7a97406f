//! A breadth-first search of our own, level by level, for spaces too large or too slow for stateright's.
//!
//! A state is kept twice only while it matters: as a 64-bit fingerprint in one open-addressing [`table`] for good,
//! and packed into the arrays of its [`level`] until the next level is complete. Six bytes more say how it was first
//! reached. So a counterexample is a shortest one by construction, whatever the number of threads, and a search that
//! ends early can say nothing but that it did.
//!
//! Threads take chunks of a level from a counter, insert fingerprints without locks, and meet at the end of the level or
//! when the table must grow.

pub mod level;
pub mod profile;
pub mod table;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use level::{CHUNK, Chunk, Filling, Level, Link, Links};
use table::Table;

/// New states that a state of a chunk leads to, at most, on the average: so much room the table keeps for the chunks
/// in hand.
const ROOM_PER_STATE: usize = 16;

/// Places of the table for each thread before it first grows. The quarter that is spare has room for many more
/// successors of a chunk than there ever are.
const PLACES_PER_THREAD: usize = CHUNK * ROOM_PER_STATE * 32;

/// What a search needs of a model.
pub trait Space: Sync {
    /// A state of the whole system.
    type State: Copy + Send + Sync;
    /// What leads from one to the next.
    type Action: Copy + Send + Sync;
    /// What one thread remembers.
    type Worker: Send;

    /// A thread begins.
    fn worker(&self) -> Self::Worker;
    /// Where everything begins.
    fn initial(&self) -> Vec<Self::State>;
    /// Calls `found` with each successor, always in the same order.
    fn expand(
        &self,
        worker: &mut Self::Worker,
        state: &Self::State,
        found: &mut impl FnMut(Self::Action, &Self::State),
    );
    /// A number that tells states apart, up to chance.
    fn fingerprint(&self, state: &Self::State) -> u64;
    /// The properties that the state breaks, as bits.
    fn judge(&self, worker: &mut Self::Worker, state: &Self::State) -> u64;
    /// How many words the packed state takes at least.
    fn width(&self, state: &Self::State) -> usize;
    /// Packs a state into at least so many words; the rest is zero.
    fn pack(&self, state: &Self::State, words: &mut [u64]);
    /// The state that was packed.
    fn unpack(&self, worker: &mut Self::Worker, words: &[u64]) -> Self::State;
}

/// How far a search may go.
pub struct Limits<'a> {
    /// Threads.
    pub threads: usize,
    /// Peak memory of the table and the levels, in bytes.
    pub memory_bytes: Option<usize>,
    /// When to end.
    pub deadline: Option<Instant>,
    /// Set by whoever interrupts it.
    pub stop: &'a AtomicBool,
    /// The properties to look for; the search ends after the level in which the last of them fell.
    pub until_broken: u64,
}

/// Where a search stands, for whoever watches.
#[derive(Default)]
pub struct Progress {
    /// Transitions, and the initial states.
    pub states: AtomicUsize,
    /// Different states.
    pub distinct: AtomicUsize,
    /// Different states that wait to be expanded.
    pub queue: AtomicUsize,
    /// Levels.
    pub depth: AtomicUsize,
    /// Memory of table and levels, in bytes.
    pub bytes: AtomicUsize,
}

/// Why a search ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Every reachable state was expanded.
    Exhausted,
    /// All that was looked for fell.
    Broken,
    /// Somebody stopped it.
    Interrupted,
    /// The next step would take more memory than it may.
    Memory,
    /// The time was up.
    Time,
}

/// A path: each state with the action that leads on.
pub type Path<S> = Vec<(<S as Space>::State, Option<<S as Space>::Action>)>;

/// What a search found.
pub struct Found<S: Space> {
    /// Why it ended.
    pub end: End,
    /// Transitions, and the initial states.
    pub states: usize,
    /// Different states.
    pub distinct: usize,
    /// Levels: the length of the longest of the shortest paths, in states.
    pub depth: usize,
    /// The most that table and levels ever took, in bytes.
    pub peak_bytes: usize,
    /// A shortest path to a state that breaks a property, by the property's bit.
    pub broken: Vec<(u32, Path<S>)>,
}

/// A state that breaks properties that no state before it broke.
struct Broken {
    bits: u64,
    chunk: usize,
    place: usize,
}

/// What one thread does in one level.
struct Share<W> {
    worker: W,
    filling: Filling,
    broken: Vec<Broken>,
    states: usize,
    distinct: usize,
}

/// Searches the space.
pub fn search<S: Space>(space: &S, limits: &Limits<'_>, progress: &Progress) -> Found<S> {
    let mut search = Search::new(space, limits, progress);
    search.run();
    search.found
}

struct Search<'a, S: Space> {
    space: &'a S,
    limits: &'a Limits<'a>,
    progress: &'a Progress,
    table: Table,
    /// How the states of each level before the current one were reached.
    links: Vec<Links>,
    shares: Vec<Share<S::Worker>>,
    /// The properties that fell so far.
    fallen: u64,
    found: Found<S>,
}

impl<'a, S: Space> Search<'a, S> {
    fn new(space: &'a S, limits: &'a Limits<'a>, progress: &'a Progress) -> Self {
        let share = || Share {
            worker: space.worker(),
            filling: Filling::default(),
            broken: Vec::new(),
            states: 0,
            distinct: 0,
        };
        Self {
            space,
            limits,
            progress,
            table: Table::new(PLACES_PER_THREAD * limits.threads),
            links: Vec::new(),
            shares: (0..limits.threads).map(|_| share()).collect(),
            fallen: 0,
            found: Found {
                end: End::Exhausted,
                states: 0,
                distinct: 0,
                depth: 0,
                peak_bytes: 0,
                broken: Vec::new(),
            },
        }
    }

    fn run(&mut self) {
        let mut level = self.first();
        while level.count() > 0 {
            self.found.depth += 1;
            if self.all_fell() {
                self.found.end = End::Broken;
                return;
            }
            let end = self.expand(&level);
            self.links.push(level.into_links());
            // Also where the search ends in the middle of a level: what fell by then has fallen.
            level = self.gather();
            if let Some(end) = end {
                self.found.end = if self.all_fell() { End::Broken } else { end };
                return;
            }
        }
    }

    /// Whether everything that was looked for fell.
    fn all_fell(&self) -> bool {
        let wanted = self.limits.until_broken;
        wanted != 0 && self.fallen & wanted == wanted
    }

    /// The level of the initial states.
    fn first(&mut self) -> Level {
        for (ordinal, state) in self.space.initial().iter().enumerate() {
            self.shares[0].states += 1;
            if self.table.insert(self.space.fingerprint(state)) {
                self.shares[0].reached(self.space, state, 0, ordinal, self.fallen);
            }
        }
        self.gather()
    }

    /// Expands every state of the level, in as many rounds as the table has to grow; why not, if not.
    fn expand(&mut self, level: &Level) -> Option<End> {
        let next = AtomicUsize::new(0);
        while next.load(Ordering::Relaxed) < level.chunks.len() {
            if let Some(end) = self.over(level).or_else(|| self.grow(level)) {
                return Some(end);
            }
            let round = Round {
                space: self.space,
                table: &self.table,
                limits: self.limits,
                progress: self.progress,
                level,
                next: &next,
                before: self.distinct(),
                fallen: self.fallen,
            };
            match &mut self.shares[..] {
                [alone] => round.run(alone),
                shares => std::thread::scope(|threads| {
                    shares.iter_mut().for_each(|share| drop(threads.spawn(|| round.run(share))));
                }),
            }
        }
        self.note(level);
        None
    }

    /// Takes down how far the search has come.
    fn note(&mut self, level: &Level) {
        let bytes = self.bytes(level);
        self.found.peak_bytes = self.found.peak_bytes.max(bytes);
        self.progress.bytes.store(bytes, Ordering::Relaxed);
        self.found.states = self.shares.iter().map(|share| share.states).sum();
        self.found.distinct = self.distinct();
    }

    /// Why the search must end with states of the level unexpanded, if it must.
    fn over(&mut self, level: &Level) -> Option<End> {
        self.note(level);
        if self.limits.stop.load(Ordering::Relaxed) {
            return Some(End::Interrupted);
        }
        if self.limits.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Some(End::Time);
        }
        self.limits.memory_bytes.is_some_and(|limit| self.found.peak_bytes > limit).then_some(End::Memory)
    }

    /// Makes room in the table, if it asks for it and there may be a larger one.
    fn grow(&mut self, level: &Level) -> Option<End> {
        while self.distinct() + CHUNK * ROOM_PER_STATE * self.limits.threads >= self.table.limit() {
            // The old array is there until the new one is filled.
            let bytes = self.bytes(level) + 2 * self.table.bytes();
            if self.limits.memory_bytes.is_some_and(|limit| bytes > limit) {
                return Some(End::Memory);
            }
            self.found.peak_bytes = self.found.peak_bytes.max(bytes);
            self.table = self.table.grown();
        }
        None
    }

    fn distinct(&self) -> usize {
        self.shares.iter().map(|share| share.distinct).sum()
    }

    fn bytes(&self, level: &Level) -> usize {
        let links: usize = self.links.iter().map(Links::bytes).sum();
        let filling: usize = self.shares.iter().map(|share| share.filling.bytes()).sum();
        self.table.bytes() + level.bytes() + links + filling
    }

    /// The next level, from what the threads filled; notes what fell in it.
    fn gather(&mut self) -> Level {
        let filled = self.shares.iter_mut().map(|share| std::mem::take(&mut share.filling));
        let (level, firsts) = Level::gather(filled);
        let broken: Vec<(u64, usize)> = self
            .shares
            .iter_mut()
            .zip(firsts)
            .flat_map(|(share, first)| std::mem::take(&mut share.broken).into_iter().map(move |b| (b, first)))
            .map(|(broken, first)| (broken.bits, level.starts[first + broken.chunk] + broken.place))
            .collect();
        let fell = broken.iter().fold(0, |bits, (more, _)| bits | more) & !self.fallen;
        for bit in (0..u64::BITS).filter(|bit| fell & (1 << bit) != 0) {
            let places = broken.iter().filter(|(bits, _)| bits & (1 << bit) != 0).map(|&(_, place)| place);
            if let Some(place) = places.min() {
                let path = self.path(level.link(place));
                self.found.broken.push((bit, path));
            }
        }
        self.fallen |= fell;
        level
    }

    /// The way to a state of the newest level.
    fn path(&self, last: Link) -> Path<S> {
        let mut ordinals = vec![last.ordinal()];
        let mut place = last.parent();
        for links in self.links.iter().rev() {
            let link = links.get(place);
            ordinals.push(link.ordinal());
            place = link.parent();
        }
        let mut ordinals = ordinals.into_iter().rev();
        let first = ordinals.next().expect("a path has a state");
        let (mut state, mut worker) = (self.space.initial()[first], self.space.worker());
        let mut path: Path<S> = Vec::new();
        for ordinal in ordinals {
            let mut taken = None;
            let mut count = 0;
            self.space.expand(&mut worker, &state, &mut |action, next| {
                if count == ordinal {
                    taken = Some((action, *next));
                }
                count += 1;
            });
            let (action, next) = taken.expect("a state always has the same successors");
            path.push((state, Some(action)));
            state = next;
        }
        path.push((state, None));
        path
    }
}

/// What threads share while they expand a level.
struct Round<'a, S: Space> {
    space: &'a S,
    table: &'a Table,
    limits: &'a Limits<'a>,
    progress: &'a Progress,
    level: &'a Level,
    /// The first chunk that nobody has taken.
    next: &'a AtomicUsize,
    /// Different states before the round.
    before: usize,
    fallen: u64,
}

impl<S: Space> Round<'_, S> {
    /// Expands chunks until there are none, or the table is to grow, or the search is to end.
    fn run(&self, share: &mut Share<S::Worker>) {
        let begun = share.distinct;
        let mut batch = Batch::default();
        loop {
            // Each thread judges by its own share of the room: it needs no more talk than that.
            let room = self.table.limit().saturating_sub(self.before) / self.limits.threads;
            let late = self.limits.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if share.distinct - begun > room || late || self.limits.stop.load(Ordering::Relaxed) {
                return;
            }
            let taken = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = self.level.chunks.get(taken) else { return };
            self.expand(share, chunk, self.level.starts[taken], &mut batch);
        }
    }

    fn expand(&self, share: &mut Share<S::Worker>, chunk: &Chunk, start: usize, batch: &mut Batch<S::State>) {
        let (states, distinct) = (share.states, share.distinct);
        for (place, words) in chunk.states().enumerate() {
            let state = self.space.unpack(&mut share.worker, words);
            batch.clear();
            self.space.expand(&mut share.worker, &state, &mut |_, next| {
                batch.push((self.space.fingerprint(next), *next));
            });
            share.states += batch.len();
            // Most successors are known. Asked for all at once, memory answers for all at once.
            let known: u128 = batch.iter().take(u128::BITS as usize).enumerate().fold(
                0,
                |known, (at, &(fingerprint, _))| {
                    known | u128::from(self.table.first(fingerprint) == fingerprint) << at
                },
            );
            for (ordinal, (fingerprint, next)) in batch.iter().enumerate() {
                let known = ordinal < 128 && known & (1 << ordinal) != 0;
                if !known && self.table.insert(*fingerprint) {
                    share.reached(self.space, next, start + place, ordinal, self.fallen);
                }
            }
        }
        self.progress.states.fetch_add(share.states - states, Ordering::Relaxed);
        self.progress.distinct.fetch_add(share.distinct - distinct, Ordering::Relaxed);
    }
}

/// The successors of one state, with their fingerprints.
type Batch<T> = Vec<(u64, T)>;

impl<W> Share<W> {
    /// Takes a new state into the next level.
    fn reached<S: Space<Worker = W>>(
        &mut self,
        space: &S,
        state: &S::State,
        parent: usize,
        ordinal: usize,
        fallen: u64,
    ) {
        self.distinct += 1;
        self.filling.push(space, state, parent, ordinal);
        let bits = space.judge(&mut self.worker, state) & !fallen;
        if bits != 0 {
            let (chunk, place) = self.filling.last();
            self.broken.push(Broken { bits, chunk, place });
        }
    }
}
