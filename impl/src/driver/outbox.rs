//! Messages on their way out, gathered by destination so that they share datagrams.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde::Serialize;

use crate::datagram::{MessageNumbers, Origin, Packer};
use crate::network::Network;
use crate::status::Counters;

/// Destinations that are remembered. Beyond it they are forgotten and begin anew.
const DESTINATIONS_MAX: usize = 16 * 1024;

/// One packer for each destination.
#[derive(Debug)]
pub(crate) struct Outbox {
    origin: Origin,
    datagram_bytes: usize,
    packers: HashMap<SocketAddr, Destination>,
    numbers: MessageNumbers,
    /// The destinations for which something waits, in the order in which it came.
    unsent: Vec<SocketAddr>,
}

#[derive(Debug)]
struct Destination {
    packer: Packer,
    waits: bool,
}

impl Outbox {
    pub(crate) fn new(origin: Origin, datagram_bytes: usize) -> Self {
        Self {
            origin,
            datagram_bytes,
            packers: HashMap::new(),
            numbers: MessageNumbers::default(),
            unsent: Vec::new(),
        }
    }

    /// Adds a message; sends what fills a datagram. One that is too long for any receiver is dropped: whoever
    /// asked for it hears nothing, as if it had been lost.
    pub(crate) fn push<N: Network>(
        &mut self,
        to: SocketAddr,
        group: u16,
        body: &impl Serialize,
        network: &mut N,
        counters: &mut Counters,
    ) {
        let destination = self.packers.entry(to).or_insert_with(|| Destination {
            packer: Packer::new(self.origin, self.datagram_bytes).numbered(&self.numbers),
            waits: false,
        });
        if !destination.waits {
            destination.waits = true;
            self.unsent.push(to);
        }
        let pushed = destination.packer.push(group, body, |datagram| send(network, to, datagram, counters));
        match pushed {
            Ok(()) => counters.messages_out += 1,
            Err(_) => counters.messages_too_long += 1,
        }
    }

    /// Sends everything.
    pub(crate) fn flush<N: Network>(&mut self, network: &mut N, counters: &mut Counters) {
        for to in self.unsent.drain(..) {
            if let Some(destination) = self.packers.get_mut(&to) {
                destination.waits = false;
                destination.packer.flush(|datagram| send(network, to, datagram, counters));
            }
        }
        if self.packers.len() > DESTINATIONS_MAX {
            self.packers.clear();
        }
    }
}

fn send<N: Network>(network: &mut N, to: SocketAddr, datagram: &[u8], counters: &mut Counters) {
    if network.send(to, datagram) {
        counters.datagrams_out += 1;
        counters.bytes_out += datagram.len() as u64;
    } else {
        counters.datagrams_unsent += 1;
    }
}
