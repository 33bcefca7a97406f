//! Keys and the cluster's secret: X25519 keys and a pre-shared secret, as text and in files.
//!
//! Each is one line: what it is, a colon, and 32 bytes in hexadecimal, as in `public:5f…`. Files with private keys
//! and secrets are for their owner only; others are refused.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::entropy::Entropy;
use super::noise;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Mode bits that let others than the owner read or write.
const OTHERS: u32 = 0o077;

/// Text that is no key.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("a {} is `{wanted}:` and {} hexadecimal digits; this {found}{}", name_of(wanted), KEY_BYTES * 2, hint(wanted))]
pub struct NotAKey {
    wanted: &'static str,
    /// Says nothing of the digits: they may be those of a secret.
    found: String,
}

fn name_of(kind: &str) -> &'static str {
    match kind {
        PUBLIC => "public key",
        PRIVATE => "private key",
        _ => "cluster's secret",
    }
}

/// Where the right text comes from.
fn hint(wanted: &str) -> &'static str {
    match wanted {
        PUBLIC => ". `cluster keygen --public FILE` prints the public key of the private key in FILE",
        _ => "",
    }
}

/// Why a file with a key cannot be used or written.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("{what} {}: {source}. `cluster keygen --help` tells how to make one", .path.display())]
    Read {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read or change the file.
    #[error(
        "{what} {}: mode {mode:03o} lets others than its owner at it, and whoever has it can pose as its owner. \
         Run: chmod 600 {}", .path.display(), .path.display()
    )]
    Exposed {
        /// What it holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{}: {source}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NotAKey,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}. A file that is there is never overwritten", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A public key: who somebody is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(super) [u8; KEY_BYTES]);

/// A private key. Whoever has it is its owner to everybody.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(pub(super) [u8; KEY_BYTES]);

/// What everybody of a cluster shares: the pre-shared key of every handshake.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) [u8; KEY_BYTES]);

const PUBLIC: &str = "public";
const PRIVATE: &str = "private";
const SECRET: &str = "secret";

impl PublicKey {
    /// The beginning of it, by which a handshake says whose it is.
    pub(super) fn id(&self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|index| self.0[index]))
    }
}

impl PrivateKey {
    /// A new one.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    #[must_use]
    pub fn generate(entropy: &mut Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(noise::public_of(&self.0))
    }

    /// Reads it from a file.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        load("private key", path)
    }

    /// Writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// If the file is there already, or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        save(path, PRIVATE, &self.0)
    }
}

impl Secret {
    /// A new one.
    ///
    /// # Panics
    /// If the operating system has no random bytes.
    #[must_use]
    pub fn generate(entropy: &mut Entropy) -> Self {
        Self(entropy.bytes())
    }

    /// Reads it from a file.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        load("cluster secret", path)
    }

    /// Writes it to a new file that only its owner can read.
    ///
    /// # Errors
    /// If the file is there already, or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        save(path, SECRET, &self.0)
    }
}

fn load<T: FromStr<Err = NotAKey>>(what: &'static str, path: &Path) -> Result<T, KeyFileError> {
    let unread = |source| KeyFileError::Read { what, path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(unread)?.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(KeyFileError::Exposed { what, path: path.to_owned(), mode });
    }
    let text = fs::read_to_string(path).map_err(unread)?;
    text.trim().parse().map_err(|source| KeyFileError::Content { path: path.to_owned(), source })
}

fn save(path: &Path, kind: &str, bytes: &[u8; KEY_BYTES]) -> Result<(), KeyFileError> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            writeln!(file, "{kind}:{}", hex(bytes))?;
            file.sync_all()
        });
    written.map_err(|source| KeyFileError::Write { path: path.to_owned(), source })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(kind: &'static str, text: &str) -> Result<[u8; KEY_BYTES], NotAKey> {
    let refuse = |found: String| NotAKey { wanted: kind, found };
    let (found, digits) = text.split_once(':').ok_or_else(|| refuse("has no colon".into()))?;
    match found {
        _ if found == kind => {}
        PUBLIC | PRIVATE | SECRET => return Err(refuse(format!("is a {}", name_of(found)))),
        _ => return Err(refuse("begins otherwise".into())),
    }
    if let Some(at) = digits.chars().position(|digit| !digit.is_ascii_hexdigit()) {
        return Err(refuse(format!("has something else at place {} behind the colon", at + 1)));
    }
    if digits.len() != KEY_BYTES * 2 {
        return Err(refuse(format!("has {} digits", digits.len())));
    }
    let mut bytes = [0; KEY_BYTES];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16)
            .map_err(|_| refuse("has something else behind the colon".into()))?;
    }
    Ok(bytes)
}

impl FromStr for PublicKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(PUBLIC, text).map(Self)
    }
}

impl FromStr for PrivateKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(PRIVATE, text).map(Self)
    }
}

impl FromStr for Secret {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        parse(SECRET, text).map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}:{}", hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

// What is secret must not get into a log by way of `{:?}`.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn a_key_file_is_for_its_owner_only_and_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = PrivateKey::generate(&mut Entropy::Seeded(Rng::seeded(1)));
        key.save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(PrivateKey::load(&path).unwrap(), key);
        assert!(key.save(&path).unwrap_err().to_string().contains("never overwritten"));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let said = PrivateKey::load(&path).unwrap_err().to_string();
        assert!(said.contains("mode 640") && said.contains("chmod 600"), "{said}");
    }

    #[test]
    fn one_kind_of_key_is_not_taken_for_another_and_no_text_panics() {
        let public = PrivateKey([7; KEY_BYTES]).public();
        assert_eq!(public.to_string().parse(), Ok(public));
        let said = public.to_string().parse::<PrivateKey>().unwrap_err().to_string();
        assert!(said.contains("this is a public key"), "{said}");
        for text in ["", ":", "public:", "public:zz", "public:é", &format!("public:{}", "é".repeat(32))] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let shown = format!("{:?} {:?}", PrivateKey([0xAB; KEY_BYTES]), Secret([0xAB; KEY_BYTES]));
        assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
    }
}
