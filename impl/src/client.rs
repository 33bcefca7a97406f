//! A client over UDP: proposes updates and reads, retries until it has an answer or its time is over.

mod conversation;
mod survey;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use spec::{LocalTime, Slot, Span};
use thiserror::Error;

pub use conversation::{Conversation, Ended, Operation};
pub use survey::survey;

use crate::clock::{BootClock, Clock};
use crate::datagram::{self, Origin, Unpacker};
use crate::driver::outbox::Outbox;
use crate::network::{Network, Udp};
use crate::payload::Payload;
use crate::rng::Rng;
use crate::status::Counters;
use crate::wire::{Request, Response};

/// The largest datagram that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// Where a client's requests go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The cluster's id.
    pub cluster: u64,
    /// The group within it.
    pub group: u16,
    /// Its servers, or some of them, in any order.
    pub servers: Vec<SocketAddr>,
    /// The most bytes of a datagram.
    pub datagram_bytes: usize,
}

/// Why an operation has no result.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No answer in time.
    #[error(
        "outcome unknown: no answer within {} ms; an update may or may not have been applied. Check with a \
         read before you repeat it",
        .0.as_millis()
    )]
    OutcomeUnknown(Duration),
    /// The session was evicted.
    #[error(
        "outcome unknown: the servers no longer know this client's session, because too many others were \
         opened since; the update may or may not have been applied. Check with a read before you repeat it"
    )]
    SessionLost,
    /// The socket failed.
    #[error("the socket of this client failed: {0}")]
    Io(#[from] io::Error),
}

/// A client with a socket of its own. One operation at a time.
#[derive(Debug)]
pub struct Client {
    link: Link,
    conversation: Conversation,
    patience: Duration,
}

impl Client {
    /// A client that waits for an answer as long as `patience`. Nothing is sent yet.
    ///
    /// # Errors
    /// If no socket can be had, or no server is named.
    pub fn new(destination: &Destination, patience: Duration) -> io::Result<Self> {
        let link = Link::new(destination)?;
        let conversation = Conversation::new(destination.servers.clone(), Rng::from_system());
        Ok(Self { link, conversation, patience })
    }

    /// Proposes an update; returns its slot and the state machine's result once it is applied.
    ///
    /// It is applied at most once however often it has to be sent.
    ///
    /// # Errors
    /// [`ClientError::OutcomeUnknown`] and [`ClientError::SessionLost`] leave open whether it was applied.
    pub fn propose(&mut self, update: &[u8]) -> Result<(Slot, Vec<u8>), ClientError> {
        match self.run(Operation::Propose(update.to_vec().into()))? {
            Ended::Applied { slot, result } => Ok((slot, result.0.to_vec())),
            Ended::SessionLost | Ended::Value(_) => Err(ClientError::SessionLost),
        }
    }

    /// Asks the state machine. The answer reflects every update that was acknowledged before the call.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub fn read(&mut self, query: &[u8]) -> Result<Vec<u8>, ClientError> {
        match self.run(Operation::Read(query.to_vec().into()))? {
            Ended::Value(Payload(value)) => Ok(value.to_vec()),
            Ended::SessionLost | Ended::Applied { .. } => Err(ClientError::SessionLost),
        }
    }

    fn run(&mut self, operation: Operation) -> Result<Ended, ClientError> {
        let begun = self.link.now();
        let patience = Span(i64::try_from(self.patience.as_nanos()).unwrap_or(i64::MAX));
        let deadline = begun + patience;
        self.conversation.begin(operation, begun);
        while self.link.now() < deadline {
            while let Some((to, request)) = self.conversation.poll(self.link.now()) {
                self.link.send(to, &request);
            }
            let until = self.conversation.next_send().map_or(deadline, |at| at.min(deadline));
            self.link.wait(until)?;
            while let Some((_, responses)) = self.link.receive()? {
                for response in responses {
                    if let Some(ended) = self.conversation.on_response(response, self.link.now()) {
                        return Ok(ended);
                    }
                }
            }
        }
        Err(ClientError::OutcomeUnknown(self.patience))
    }
}

/// A client's socket, and the framing of what goes through it.
#[derive(Debug)]
struct Link {
    group: u16,
    udp: Udp,
    outbox: Outbox,
    unpacker: Unpacker,
    buffer: Vec<u8>,
    counters: Counters,
}

impl Link {
    fn new(destination: &Destination) -> io::Result<Self> {
        let first = destination.servers.first().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a client needs the address of at least one server")
        })?;
        let origin = Origin {
            cluster: destination.cluster,
            sender: datagram::Sender::Client(Rng::from_system().next_u64()),
            incarnation: 0,
        };
        Ok(Self {
            group: destination.group,
            udp: Udp::bind(address_to_reach(first))?,
            outbox: Outbox::new(origin, destination.datagram_bytes),
            unpacker: Unpacker::new(destination.cluster),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            counters: Counters::default(),
        })
    }

    fn now(&self) -> LocalTime {
        BootClock.now()
    }

    fn send(&mut self, to: SocketAddr, request: &Request) {
        self.outbox.push(to, self.group, request, &mut self.udp, &mut self.counters);
        self.outbox.flush(&mut self.udp, &mut self.counters);
    }

    fn wait(&mut self, until: LocalTime) -> io::Result<()> {
        let wait = (until - self.now()).max(Span::ZERO);
        self.udp.wait(Some(wait))
    }

    /// The responses of one datagram and who sent it; none if none is there.
    fn receive(&mut self) -> io::Result<Option<(SocketAddr, Vec<Response>)>> {
        let Some((length, from)) = self.udp.receive(&mut self.buffer)? else { return Ok(None) };
        let Ok(received) = self.unpacker.receive(&self.buffer[..length]) else {
            return Ok(Some((from, Vec::new()))); // Not for us; there may be more behind it.
        };
        let responses = received
            .frames()
            .filter(|&(group, _)| group == self.group)
            .filter_map(|(_, body)| datagram::decode(body).ok())
            .collect();
        Ok(Some((from, responses)))
    }
}

/// The address to bind for a client of `server`: the same interface if that is this machine's own, else any.
fn address_to_reach(server: &SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(server) if server.ip().is_loopback() => (Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V6(server) if server.ip().is_loopback() => (Ipv6Addr::LOCALHOST, 0).into(),
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}
