//! Messages on their way out, gathered by destination so that they share datagrams.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde::Serialize;

use crate::datagram::{MessageNumbers, Origin, Packer};
use crate::network::Network;
use crate::status::Counters;

/// Destinations that are remembered. Beyond it they are forgotten and begin anew.
const DESTINATIONS_MAX: usize = 16 * 1024;

/// Destinations that are looked up at a glance: what is sent in a row goes to a few.
const RECENT: usize = 4;

/// One packer for each destination.
#[derive(Debug)]
pub(crate) struct Outbox {
    origin: Origin,
    datagram_bytes: usize,
    destinations: Vec<Destination>,
    /// Where each address stands in `destinations`.
    places: HashMap<SocketAddr, usize>,
    /// The places used last, oldest first from `eldest` on, round.
    recent: [usize; RECENT],
    eldest: usize,
    numbers: MessageNumbers,
    /// The destinations for which something waits, in the order in which it came.
    unsent: Vec<usize>,
}

#[derive(Debug)]
struct Destination {
    address: SocketAddr,
    packer: Packer,
    waits: bool,
}

impl Outbox {
    pub(crate) fn new(origin: Origin, datagram_bytes: usize) -> Self {
        Self {
            origin,
            datagram_bytes,
            destinations: Vec::new(),
            places: HashMap::new(),
            recent: [0; RECENT],
            eldest: 0,
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
        let place = self.place(to);
        let destination = &mut self.destinations[place];
        if !destination.waits {
            destination.waits = true;
            self.unsent.push(place);
        }
        let pushed = destination.packer.push(group, body, |datagram| send(network, to, datagram, counters));
        match pushed {
            Ok(()) => counters.messages_out += 1,
            Err(_) => counters.messages_too_long += 1,
        }
    }

    /// Whether a datagram for this destination has been begun.
    pub(crate) fn has_something_for(&self, to: SocketAddr) -> bool {
        self.unsent.iter().any(|&place| self.destinations[place].address == to)
    }

    /// Sends everything.
    pub(crate) fn flush<N: Network>(&mut self, network: &mut N, counters: &mut Counters) {
        for place in self.unsent.drain(..) {
            let Destination { address, packer, waits } = &mut self.destinations[place];
            *waits = false;
            packer.flush(|datagram| send(network, *address, datagram, counters));
        }
        if self.destinations.len() > DESTINATIONS_MAX {
            self.destinations.clear();
            self.places.clear();
        }
    }

    /// Where a destination stands, made if need be.
    fn place(&mut self, to: SocketAddr) -> usize {
        let is_it = |&&place: &&usize| self.destinations.get(place).is_some_and(|it| it.address == to);
        if let Some(&place) = self.recent.iter().find(is_it) {
            return place;
        }
        let place = *self.places.entry(to).or_insert_with(|| {
            let packer = Packer::new(self.origin, self.datagram_bytes).numbered(&self.numbers);
            self.destinations.push(Destination { address: to, packer, waits: false });
            self.destinations.len() - 1
        });
        self.recent[self.eldest] = place;
        self.eldest = (self.eldest + 1) % RECENT;
        place
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
