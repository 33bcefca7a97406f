//! Who one is, and whose keys are known.

use std::net::SocketAddr;

use serde::Deserialize;

use super::keys::{PrivateKey, PublicKey, Secret};

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read, and ask how servers are.
    ReadOnly,
    /// Propose updates, too.
    ReadWrite,
}

/// Who sent a datagram, as far as it was proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// Anybody: the network is an open one.
    Anybody,
    /// The server with this id, as it lives since its `boots`-th start.
    Server {
        /// Its id.
        id: u8,
        /// Its incarnation.
        boots: u64,
    },
    /// A client.
    Client(Role),
}

impl Peer {
    /// Whether it may say that it is `sender` in this incarnation.
    #[must_use]
    pub fn may_be(self, sender: crate::datagram::Sender, incarnation: u64) -> bool {
        use crate::datagram::Sender;
        match (self, sender) {
            (Self::Anybody, _) | (Self::Client(_), Sender::Client(_)) => true,
            (Self::Server { id, boots }, Sender::Server(claimed)) => (id, boots) == (claimed, incarnation),
            _ => false,
        }
    }

    /// Whether it may propose updates.
    #[must_use]
    pub fn may_write(self) -> bool {
        self != Self::Client(Role::ReadOnly)
    }
}

/// A client's keys, as the servers know it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKeys {
    /// What it is called in messages.
    pub name: String,
    /// Its public key; two while it changes them.
    #[serde(deserialize_with = "super::config::one_or_more")]
    pub key: Vec<PublicKey>,
    /// What it may do.
    pub role: Role,
}

/// What one says one is, in a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// A server, and how often it was started.
    Server {
        /// Its id.
        id: u8,
        /// Its incarnation.
        boots: u64,
    },
    /// A client.
    Client,
}

/// Bytes of an encoded claim.
pub(super) const CLAIM_BYTES: usize = 10;

impl Claim {
    pub(super) fn encode(self) -> [u8; CLAIM_BYTES] {
        let (kind, id, boots) = match self {
            Self::Server { id, boots } => (0, id, boots),
            Self::Client => (1, 0, 0),
        };
        let mut bytes = [kind, id, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[2..].copy_from_slice(&boots.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let &[kind, id, ref boots @ ..] = bytes else { return None };
        let boots = u64::from_le_bytes(boots.try_into().ok()?);
        match (kind, id, boots) {
            (0, id, boots) => Some(Self::Server { id, boots }),
            (1, 0, 0) => Some(Self::Client),
            _ => None,
        }
    }
}

/// Everything that a handshake needs to know.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The cluster's id.
    pub cluster: u64,
    /// Who one is.
    pub me: Claim,
    /// One's own key.
    pub key: PrivateKey,
    /// The cluster's secrets, at least one. Handshakes begin with the first; all are accepted.
    pub secrets: Vec<Secret>,
    /// The servers by id: where each is and which keys it may have, at least one.
    pub servers: Vec<(SocketAddr, Vec<PublicKey>)>,
    /// The clients that are let in.
    pub clients: Vec<ClientKeys>,
}

/// Whose key it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Server(u8),
    Client(usize),
}

impl Credentials {
    /// Whose key begins like this, other than one's own.
    pub(super) fn owner_of(&self, id: u64) -> Option<(Owner, PublicKey)> {
        let servers = self.servers.iter().enumerate().flat_map(|(server, (_, keys))| {
            keys.iter().map(move |key| (u8::try_from(server).map(Owner::Server), key))
        });
        let clients = self.clients.iter().enumerate().flat_map(|(client, ClientKeys { key, .. })| {
            key.iter().map(move |key| (Ok(Owner::Client(client)), key))
        });
        servers.chain(clients).find_map(|(owner, key)| Some((owner.ok()?, *key)).filter(|_| key.id() == id))
    }

    /// Who has proved to own a key, and says that it is somebody: none if it is somebody else.
    pub(super) fn peer(&self, owner: Owner, claim: Claim) -> Option<Peer> {
        match (owner, claim) {
            (Owner::Server(owned), Claim::Server { id, boots }) if owned == id => {
                Some(Peer::Server { id, boots })
            }
            (Owner::Client(client), Claim::Client) => Some(Peer::Client(self.clients.get(client)?.role)),
            _ => None,
        }
    }

    pub(super) fn name(&self, owner: Owner) -> String {
        match owner {
            Owner::Server(id) => format!("server {id}"),
            Owner::Client(index) => {
                self.clients.get(index).map_or("a client".into(), |c| format!("client {}", c.name))
            }
        }
    }
}
