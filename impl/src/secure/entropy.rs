//! Where random bytes for keys come from: the operating system, or a seed in tests and simulations.

use crate::rng::Rng;

/// A source of random bytes.
#[derive(Debug)]
pub enum Entropy {
    /// The operating system's.
    System,
    /// A generator that repeats itself. For simulations only: such keys are no secret.
    Seeded(Rng),
}

impl Entropy {
    /// Random bytes.
    ///
    /// # Panics
    /// If the operating system has none to give: no key could be made safely.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            Self::System => fill_from_system(&mut bytes),
            Self::Seeded(rng) => {
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&rng.next_u64().to_le_bytes()[..chunk.len()]);
                }
            }
        }
        bytes
    }

    /// A random number.
    pub(super) fn number(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }
}

fn fill_from_system(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the operating system gives no random bytes: {error}"),
        }
    }
}
