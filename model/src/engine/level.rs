//! Levels: the states that are so many steps from the beginning, packed into arrays, and for each the state that it
//! was first reached from.

use super::Space;

/// States of one chunk: the unit in which the threads of a search share a level.
pub const CHUNK: usize = 512;

/// How a state was first reached: small, because every state has one.
#[derive(Clone, Copy, Default)]
pub struct Link {
    /// Its predecessor's place in the level before.
    parent: u32,
    /// Which of the predecessor's successors it is.
    ordinal: u16,
}

/// Some states of one level, each in the same number of words.
#[derive(Default)]
pub struct Chunk {
    width: usize,
    words: Vec<u64>,
    parents: Vec<u32>,
    ordinals: Vec<u16>,
}

impl Chunk {
    fn new(width: usize) -> Self {
        Self {
            width,
            words: Vec::with_capacity(width * CHUNK),
            parents: Vec::with_capacity(CHUNK),
            ordinals: Vec::with_capacity(CHUNK),
        }
    }

    /// How many states it has.
    pub fn count(&self) -> usize {
        self.parents.len()
    }

    /// The words of each state.
    pub fn states(&self) -> impl Iterator<Item = &[u64]> {
        self.words.chunks_exact(self.width)
    }

    fn bytes(&self) -> usize {
        let (words, links) = (self.words.capacity(), self.parents.capacity());
        words * size_of::<u64>() + links * (size_of::<u32>() + size_of::<u16>())
    }
}

/// Chunks being filled by one thread.
#[derive(Default)]
pub struct Filling {
    chunks: Vec<Chunk>,
}

impl Filling {
    /// Adds a state.
    pub fn push<S: Space>(&mut self, space: &S, state: &S::State, parent: usize, ordinal: usize) {
        let needed = space.width(state);
        let last = self.chunks.last().map_or(0, |chunk| chunk.width);
        if self.chunks.last().is_none_or(|chunk| chunk.count() == CHUNK || chunk.width < needed) {
            self.chunks.push(Chunk::new(needed.max(last)));
        }
        let chunk = self.chunks.last_mut().expect("one was just added");
        let begin = chunk.words.len();
        chunk.words.resize(begin + chunk.width, 0);
        space.pack(state, &mut chunk.words[begin..]);
        chunk.parents.push(u32::try_from(parent).expect("a level has fewer than 2^32 states"));
        chunk.ordinals.push(u16::try_from(ordinal).expect("a state has fewer than 2^16 successors"));
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum()
    }

    /// The place of the state that was added last: chunk, and place in it.
    pub fn last(&self) -> (usize, usize) {
        (self.chunks.len() - 1, self.chunks.last().map_or(0, Chunk::count) - 1)
    }
}

/// All states of one level.
#[derive(Default)]
pub struct Level {
    /// The states, packed.
    pub chunks: Vec<Chunk>,
    /// How many states come before each chunk.
    pub starts: Vec<usize>,
    count: usize,
}

impl Level {
    /// The chunks that each thread filled, one thread after the other; also the number of chunks before those of
    /// each thread.
    pub fn gather(filled: impl IntoIterator<Item = Filling>) -> (Self, Vec<usize>) {
        let (mut level, mut firsts) = (Self::default(), Vec::new());
        for filling in filled {
            firsts.push(level.chunks.len());
            for chunk in filling.chunks {
                level.starts.push(level.count);
                level.count += chunk.count();
                level.chunks.push(chunk);
            }
        }
        (level, firsts)
    }

    /// How many states it has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum()
    }

    /// How the state in this place was reached.
    pub fn link(&self, place: usize) -> Link {
        let at = self.starts.partition_point(|&start| start <= place) - 1;
        let (chunk, place) = (&self.chunks[at], place - self.starts[at]);
        Link { parent: chunk.parents[place], ordinal: chunk.ordinals[place] }
    }

    /// How each state was reached; the states themselves are gone.
    pub fn into_links(self) -> Links {
        let mut links =
            Links { parents: Vec::with_capacity(self.count), ordinals: Vec::with_capacity(self.count) };
        for chunk in self.chunks {
            links.parents.extend_from_slice(&chunk.parents);
            links.ordinals.extend_from_slice(&chunk.ordinals);
        }
        links
    }
}

/// How each state of a level was reached.
pub struct Links {
    parents: Vec<u32>,
    ordinals: Vec<u16>,
}

impl Links {
    /// The link of the state in this place.
    pub fn get(&self, place: usize) -> Link {
        Link { parent: self.parents[place], ordinal: self.ordinals[place] }
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.parents.as_slice()) + size_of_val(self.ordinals.as_slice())
    }
}

impl Link {
    /// The predecessor's place in the level before.
    pub fn parent(self) -> usize {
        usize::try_from(self.parent).expect("it was an index")
    }

    /// Which of the predecessor's successors the state is.
    pub fn ordinal(self) -> usize {
        self.ordinal.into()
    }
}
