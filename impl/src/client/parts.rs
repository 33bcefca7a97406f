//! A client of a key-value store that is divided among several groups.

use std::io;
use std::time::Duration;

use super::{Client, Destination};
use crate::kv::part_of;

/// One client for each group that was needed, made when it is.
#[derive(Debug)]
pub struct Parts {
    destination: Destination,
    patience: Duration,
    clients: Vec<Option<Client>>,
}

impl Parts {
    /// A client of a store in so many parts; of the one group of `destination` if it is undivided. Nothing is sent yet.
    #[must_use]
    pub fn new(destination: &Destination, groups: u16, patience: Duration) -> Self {
        let clients = (0..groups.max(1)).map(|_| None).collect();
        Self { destination: destination.clone(), patience, clients }
    }

    /// How many parts there are.
    #[must_use]
    pub fn count(&self) -> u16 {
        u16::try_from(self.clients.len()).expect("it was made from as many")
    }

    /// The client for a key.
    ///
    /// # Errors
    /// If no socket can be had, or no server is named.
    pub fn of_key(&mut self, key: &[u8]) -> io::Result<&mut Client> {
        self.of_part(part_of(key, self.count()))
    }

    /// The client for a part, from 0.
    ///
    /// # Errors
    /// If no socket can be had, or no server is named.
    ///
    /// # Panics
    /// If there are fewer parts.
    pub fn of_part(&mut self, part: u16) -> io::Result<&mut Client> {
        let client = &mut self.clients[usize::from(part)];
        if client.is_none() {
            let destination =
                Destination { group: self.destination.group + part, ..self.destination.clone() };
            *client = Some(Client::new(&destination, self.patience)?);
        }
        Ok(client.as_mut().expect("it was just made"))
    }
}
