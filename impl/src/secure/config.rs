//! What the configuration says about keys, and the files that it names.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::{self, DeserializeOwned, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::credentials::{Claim, ClientKeys, Credentials};
use super::keys::{KeyFileError, PrivateKey, PublicKey, Secret};

/// Keys that one peer may have at once: an old and a new one.
const KEYS_MAX: usize = 2;

/// Why a network cannot be guarded, or must not be left open.
#[derive(Debug, Error)]
pub enum SecurityError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// Something that a guarded network needs is not there.
    #[error(
        "`{0}` is not given. A cluster needs `key`, `secret` and `server_keys`; `cluster keygen` makes them. On \
         loopback addresses `insecure = true` does without"
    )]
    Missing(&'static str),
    /// There are keys for more or fewer servers than there are.
    #[error(
        "`server_keys` has {keys} entries for {servers} servers; give each server's public key, in their order"
    )]
    ServerKeys {
        /// Entries.
        keys: usize,
        /// Servers.
        servers: usize,
    },
    /// A peer has no key, or too many.
    #[error("{0} has no public key, or more than two; two are for the time while it changes them")]
    KeyCount(String),
    /// The same key twice.
    #[error("{0} and {1} have public keys that begin alike; nobody may have the key of another")]
    SharedKey(String, String),
    /// The private key is not the one that the others expect.
    #[error(
        "the key {} is not server {server}'s: its public key is {public}, which `server_keys` does not give for it",
        .path.display()
    )]
    NotMine {
        /// The key's file.
        path: PathBuf,
        /// This server.
        server: u8,
        /// The public key that belongs to the file.
        public: PublicKey,
    },
    /// An open network that others could reach.
    #[error(
        "`insecure` is for loopback addresses only, and {0} is none: anybody who can send a datagram there could \
         read and change everything. Make keys with `cluster keygen`"
    )]
    NotLoopback(SocketAddr),
    /// Keys and no guard.
    #[error("`insecure` and `{0}` contradict each other; leave one of them out")]
    Contradiction(&'static str),
}

/// A value that is written as text, or a list of them.
///
/// # Errors
/// If it is neither, or what is wrong with the value.
pub(crate) fn one_or_more<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    deserializer.deserialize_any(OneOrMore(PhantomData))
}

struct OneOrMore<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for OneOrMore<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(text.into_deserializer()).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(values)
    }
}

/// The public keys of all servers.
///
/// # Errors
/// Says whose key is none, and what is wrong with it.
pub(crate) fn keys_of_servers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ServerKeys>, D::Error> {
    deserializer.deserialize_seq(KeysOfServers)
}

struct KeysOfServers;

impl<'de> Visitor<'de> for KeysOfServers {
    type Value = Vec<ServerKeys>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of the servers' public keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut servers = Vec::new();
        loop {
            let of_server =
                |error| de::Error::custom(format!("the entry of server {}: {error}", servers.len()));
            match list.next_element().map_err(of_server)? {
                Some(keys) => servers.push(keys),
                None => return Ok(servers),
            }
        }
    }
}

/// The public keys of one server.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(transparent)]
pub struct ServerKeys(#[serde(deserialize_with = "one_or_more")] pub Vec<PublicKey>);

/// What both a server and a client are told about keys.
#[derive(Debug)]
pub struct Security<'a> {
    /// The cluster's id.
    pub cluster: u64,
    /// The servers' addresses.
    pub servers: &'a [SocketAddr],
    /// The servers' public keys.
    pub server_keys: &'a [ServerKeys],
    /// The file of one's own private key.
    pub key: Option<&'a Path>,
    /// The files of the cluster's secrets.
    pub secrets: &'a [PathBuf],
    /// The clients that are let in.
    pub clients: &'a [ClientKeys],
    /// Whether to do without.
    pub insecure: bool,
}

impl Security<'_> {
    /// What handshakes need; none if the network is to be an open one. `bound`: the address to bind, if it is
    /// known.
    ///
    /// # Errors
    /// Names the file, the key of the configuration, or the address that is wrong.
    pub fn credentials(
        &self,
        me: Claim,
        bound: Option<SocketAddr>,
    ) -> Result<Option<Credentials>, SecurityError> {
        if self.insecure {
            return self.check_open(bound).map(|()| None);
        }
        let path = self.key.ok_or(SecurityError::Missing("key"))?;
        if self.secrets.is_empty() {
            return Err(SecurityError::Missing("secret"));
        }
        if self.server_keys.is_empty() {
            return Err(SecurityError::Missing("server_keys"));
        }
        self.check_keys()?;
        let key = PrivateKey::load(path)?;
        if let Claim::Server { id: server, .. } = me {
            let public = key.public();
            let known = self.server_keys.get(usize::from(server));
            if !known.is_some_and(|known| known.0.contains(&public)) {
                return Err(SecurityError::NotMine { path: path.to_owned(), server, public });
            }
        }
        let secrets = self.secrets.iter().map(|path| Secret::load(path)).collect::<Result<_, _>>()?;
        let servers = self.servers.iter().zip(self.server_keys);
        Ok(Some(Credentials {
            cluster: self.cluster,
            me,
            key,
            secrets,
            servers: servers.map(|(&address, keys)| (address, keys.0.clone())).collect(),
            clients: self.clients.to_vec(),
        }))
    }

    /// An open network must be one that only this machine's users reach.
    fn check_open(&self, bound: Option<SocketAddr>) -> Result<(), SecurityError> {
        if let Some(&address) = self.servers.iter().chain(&bound).find(|address| !address.ip().is_loopback())
        {
            return Err(SecurityError::NotLoopback(address));
        }
        let contradiction = [
            ("key", self.key.is_some()),
            ("secret", !self.secrets.is_empty()),
            ("server_keys", !self.server_keys.is_empty()),
            ("clients", !self.clients.is_empty()),
        ];
        match contradiction.iter().find(|(_, given)| *given) {
            Some((what, _)) => Err(SecurityError::Contradiction(what)),
            None => Ok(()),
        }
    }

    fn check_keys(&self) -> Result<(), SecurityError> {
        let (keys, servers) = (self.server_keys.len(), self.servers.len());
        if keys != servers {
            return Err(SecurityError::ServerKeys { keys, servers });
        }
        let of_servers =
            self.server_keys.iter().enumerate().map(|(id, keys)| (format!("server {id}"), &keys.0));
        let of_clients = self.clients.iter().map(|client| (format!("client {}", client.name), &client.key));
        let mut known = std::collections::BTreeMap::new();
        for (name, keys) in of_servers.chain(of_clients) {
            if keys.is_empty() || keys.len() > KEYS_MAX {
                return Err(SecurityError::KeyCount(name));
            }
            for key in keys {
                if let Some(other) = known.insert(key.id(), name.clone()) {
                    return Err(SecurityError::SharedKey(other, name));
                }
            }
        }
        Ok(())
    }
}
