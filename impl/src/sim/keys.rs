//! The keys of a simulated cluster, and the network that they guard. Bits that flip, copies that come minutes late and
//! servers that start again meet the authentication here, with keys that are renewed every few seconds.

use std::net::SocketAddr;

use super::Plan;
use crate::clock::{Clock, millis};
use crate::network::Network;
use crate::rng::Rng;
use crate::secure::{
    Claim, ClientKeys, Credentials, Entropy, Guarded, PrivateKey, PublicKey, Role, Secret, Secure, Wear,
};

/// Keys wear out so fast that they are renewed many times in a run.
const WEAR: Wear =
    Wear { datagrams: 5_000, renew_after: millis(5_000), reject_after: millis(8_000), grace: millis(2_000) };

/// Everybody's keys.
pub(super) struct Keys {
    cluster: u64,
    secret: Secret,
    servers: Vec<PrivateKey>,
    clients: Vec<PrivateKey>,
    /// What all are told of the servers' and the clients' keys.
    known_servers: Vec<(SocketAddr, Vec<PublicKey>)>,
    known_clients: Vec<ClientKeys>,
}

impl Keys {
    /// The keys of a run; none if it does without.
    pub(super) fn of(plan: &Plan, cluster: u64, addresses: &[SocketAddr]) -> Option<Self> {
        if !plan.keys {
            return None;
        }
        // Not of the run's own chance, which is to be the same without keys.
        let mut entropy = Entropy::Seeded(Rng::seeded(plan.seed.rotate_left(32)));
        let mut make = |count: u8| (0..count).map(|_| PrivateKey::generate(&mut entropy)).collect::<Vec<_>>();
        let (servers, clients) = (make(plan.servers), make(plan.clients));
        let known_servers = addresses.iter().zip(&servers).map(|(&at, key)| (at, vec![key.public()]));
        let known_clients = clients.iter().enumerate().map(|(index, key)| ClientKeys {
            name: index.to_string(),
            key: vec![key.public()],
            role: Role::ReadWrite,
        });
        Some(Self {
            cluster,
            secret: Secret::generate(&mut entropy),
            known_servers: known_servers.collect(),
            known_clients: known_clients.collect(),
            servers,
            clients,
        })
    }

    /// What a server has in one of its lives, by its number.
    pub(super) fn of_server(&self, id: u8, life: u64) -> Credentials {
        self.credentials(Claim::Server { id, boots: life }, &self.servers[usize::from(id)])
    }

    pub(super) fn of_client(&self, index: u8) -> Credentials {
        self.credentials(Claim::Client, &self.clients[usize::from(index)])
    }

    fn credentials(&self, me: Claim, key: &PrivateKey) -> Credentials {
        Credentials {
            cluster: self.cluster,
            me,
            key: key.clone(),
            secrets: vec![self.secret.clone()],
            servers: self.known_servers.clone(),
            clients: self.known_clients.clone(),
        }
    }
}

/// Guards a network if there are credentials.
pub(super) fn guard<N: Network, C: Clock>(
    network: N,
    clock: C,
    credentials: Option<Credentials>,
    rng: Rng,
) -> Guarded<N, C> {
    match credentials {
        None => Guarded::Open(network),
        Some(credentials) => {
            let secure = Secure::new(network, clock, Entropy::Seeded(rng), credentials);
            Guarded::Secure(Box::new(secure.with_wear(WEAR)))
        }
    }
}
