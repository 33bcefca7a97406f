//! The one place that names the cryptography: the Noise handshake (revision 34, through `snow`) and the message
//! authentication code that guards it.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use super::keys::{KEY_BYTES, PrivateKey, PublicKey, Secret};

/// Both sides know each other's static key beforehand (KK), and mix in the cluster's secret first (psk0).
const SUITE: &str = "Noise_KKpsk0_25519_AESGCM_BLAKE2s";
const PROLOGUE: &[u8; 12] = b"leasehold 1 ";
const HASH_BYTES: usize = 32;
/// Bytes of a message authentication code.
pub(super) const MAC_BYTES: usize = 16;
/// What encryption adds, in bytes.
pub(super) const TAG_BYTES: usize = 16;
/// Bytes of a public key at the beginning of each handshake message.
pub(super) const EPHEMERAL_BYTES: usize = 32;

/// Who shakes hands with whom.
pub(super) struct Hands<'a> {
    pub(super) cluster: u64,
    pub(super) own: &'a PrivateKey,
    pub(super) other: &'a PublicKey,
    pub(super) secret: &'a Secret,
    /// Random bytes for the ephemeral key.
    pub(super) random: [u8; KEY_BYTES],
}

impl Hands<'_> {
    /// A handshake that has not begun.
    pub(super) fn begin(&self, initiator: bool) -> Result<HandshakeState, snow::Error> {
        let prologue = [&PROLOGUE[..], &self.cluster.to_le_bytes()].concat();
        let builder = Builder::with_resolver(SUITE.parse()?, Box::new(Resolver(self.random)))
            .local_private_key(&self.own.0)?
            .remote_public_key(&self.other.0)?
            .psk(0, &self.secret.0)?
            .prologue(&prologue)?;
        if initiator { builder.build_initiator() } else { builder.build_responder() }
    }
}

/// Ciphers by `ring`, which uses what the processor has for them; the rest in Rust, with random bytes from outside.
struct Resolver([u8; KEY_BYTES]);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.0))))
    }
    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }
    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }
    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }
}

/// Random bytes for the one key of a handshake, never given out twice.
struct Once(Option<[u8; KEY_BYTES]>);

impl Random for Once {
    fn try_fill_bytes(&mut self, wanted: &mut [u8]) -> Result<(), snow::Error> {
        let bytes = self.0.take().filter(|bytes| bytes.len() == wanted.len()).ok_or(snow::Error::Rng)?;
        wanted.copy_from_slice(&bytes);
        Ok(())
    }
}

/// The public key of a private one.
pub(super) fn public_of(private: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("X25519 is compiled in");
    dh.set(private);
    let mut public = [0; KEY_BYTES];
    public.copy_from_slice(dh.pubkey());
    public
}

/// HMAC-BLAKE2s of the parts, one after the other.
pub(super) fn hmac(key: &[u8; HASH_BYTES], parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut hash = DefaultResolver.resolve_hash(&HashChoice::Blake2s).expect("BLAKE2s is compiled in");
    let mut out = [0; HASH_BYTES];
    hash.hmac(key, &parts.concat(), &mut out);
    out
}

/// The beginning of [`hmac`].
pub(super) fn mac(key: &[u8; HASH_BYTES], parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    let long = hmac(key, parts);
    std::array::from_fn(|index| long[index])
}

/// Whether two codes are equal, in a time that does not depend on where they differ.
pub(super) fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && std::hint::black_box(one.iter().zip(other).fold(0, |differ, (one, other)| differ | (one ^ other)))
            == 0
}
