//! A client over UDP: proposes updates and reads, retries until it has an answer or its time is over.

mod conversation;
mod parts;
mod pool;
mod survey;
mod watch;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use spec::{LocalTime, ServerId, Slot, Span};
use thiserror::Error;

pub use conversation::{Conversation, Ended, Operation};
pub use parts::Parts;
pub use pool::{Pool, Ticket};
pub use survey::{first_status, survey};
pub use watch::Watch;

use crate::clock::{BootClock, Clock};
use crate::datagram::{self, MESSAGE_BYTES_MAX, Origin, Unpacker};
use crate::driver::outbox::Outbox;
use crate::network::{Network, Udp};
use crate::payload::Payload;
use crate::rng::Rng;
use crate::secure::{Credentials, Guarded};
use crate::status::Counters;
pub use crate::wire::Event;
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
    /// The client's keys; none on a network that is open, which only one on loopback may be.
    pub credentials: Option<Credentials>,
}

/// Why an operation has no result. What leaves open whether an update was applied says *outcome unknown*.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No answer to an update in time.
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
    /// No answer to a question in time.
    #[error(
        "no answer within {} ms; nothing was changed. Are the servers up (`cluster status`), and more than \
         half of them?",
        .0.as_millis()
    )]
    NoAnswer(Duration),
    /// The update or query fits no message. It was not sent, so it was not applied.
    #[error("{bytes} bytes are too long: a request takes at most {max}. Nothing was sent")]
    TooLong {
        /// What was given.
        bytes: usize,
        /// What is possible.
        max: usize,
    },
    /// What was learnt at the slot asked for is no longer in the servers' logs.
    #[error(
        "slot {asked} is no longer in the log, which begins at slot {first}: read the state afresh and watch from \
         there on"
    )]
    Compacted {
        /// The slot asked for.
        asked: Slot,
        /// The first slot that is there.
        first: Slot,
    },
    /// The leader has not heard of a server that could take over.
    #[error(
        "the leader has heard nothing lately of a server that could take over, and leads on; see `cluster status`"
    )]
    NoSuccessor,
    /// The client's key does not allow it.
    #[error(
        "this client's key may only read; nothing was changed. Give it the role `read-write` on every server"
    )]
    Forbidden,
    /// The socket failed.
    #[error("the socket of this client failed: {0}")]
    Io(#[from] io::Error),
}

/// The longest update or query: what else is in a message with it fits beside.
pub const REQUEST_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 1024;

/// An answer from one server's state, which may be old: updates that were acknowledged may be missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stale {
    /// What the state machine said.
    pub value: Vec<u8>,
    /// The last slot that its state reflects.
    pub as_of: Slot,
    /// Which server answered.
    pub server: SocketAddr,
}

/// A client with a socket of its own. One operation at a time; a [`Pool`] has several under way.
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

    /// How long it waits for an answer.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// From now on, waits for an answer as long as this.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Proposes an update; returns its slot and the state machine's result once it is applied.
    ///
    /// It is applied at most once however often it has to be sent.
    ///
    /// # Errors
    /// [`ClientError::OutcomeUnknown`] and [`ClientError::SessionLost`] leave open whether it was applied.
    pub fn propose(&mut self, update: &[u8]) -> Result<(Slot, Vec<u8>), ClientError> {
        match self.run(Operation::Propose(payload(update)?))? {
            Ended::Applied { slot, result } => Ok((slot, result.0.to_vec())),
            Ended::Forbidden => Err(ClientError::Forbidden),
            _ => Err(ClientError::SessionLost),
        }
    }

    /// Asks the state machine. The answer reflects every update that was acknowledged before the call.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub fn read(&mut self, query: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.read_as_of(query).map(|(_, value)| value)
    }

    /// Like [`Client::read`], with the last slot that the answer reflects.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub fn read_as_of(&mut self, query: &[u8]) -> Result<(Slot, Vec<u8>), ClientError> {
        match self.run(Operation::Read(payload(query)?))? {
            Ended::Value { value, as_of } => Ok((as_of, value.0.to_vec())),
            _ => Err(ClientError::NoAnswer(self.patience)),
        }
    }

    /// Asks the state machine of one server, however old its state is: `server` if one is named and answers, else
    /// any. It needs no leader and no quorum.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub fn read_stale(&mut self, query: &[u8], server: Option<SocketAddr>) -> Result<Stale, ClientError> {
        if let Some(server) = server {
            self.conversation.prefer(server);
        }
        match self.run(Operation::ReadStale(payload(query)?))? {
            Ended::Value { value, as_of } => {
                Ok(Stale { value: value.0.to_vec(), as_of, server: self.conversation.target() })
            }
            _ => Err(ClientError::NoAnswer(self.patience)),
        }
    }

    /// Watches what is learnt from slot `first` on.
    pub fn watch(&mut self, first: Slot) -> Watch<'_> {
        Watch::new(self, first)
    }

    /// Makes `to` the leader, or the most up-to-date server but the leader if none is named. Returns which server was
    /// told to lead, or leads already; it stands for election at once, and whether it won is for a survey to say.
    ///
    /// # Errors
    /// If nobody could take over, or there is no answer in time.
    pub fn transfer(&mut self, to: Option<ServerId>) -> Result<ServerId, ClientError> {
        match self.run(Operation::Transfer(to))? {
            Ended::Transferred(to) => Ok(to),
            Ended::Forbidden => Err(ClientError::Forbidden),
            Ended::NoSuccessor => Err(ClientError::NoSuccessor),
            _ => Err(ClientError::NoAnswer(self.patience)),
        }
    }

    fn run(&mut self, operation: Operation) -> Result<Ended, ClientError> {
        let begun = self.link.now();
        let deadline = begun + span(self.patience);
        let changes = matches!(operation, Operation::Propose(_));
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
        self.conversation.give_up();
        Err(too_late(changes, self.patience))
    }
}

/// Only what changes something has an outcome to be unsure of.
fn too_late(changes: bool, patience: Duration) -> ClientError {
    if changes { ClientError::OutcomeUnknown(patience) } else { ClientError::NoAnswer(patience) }
}

fn payload(bytes: &[u8]) -> Result<Payload, ClientError> {
    check_length(bytes.len())?;
    Ok(bytes.to_vec().into())
}

fn check_length(bytes: usize) -> Result<(), ClientError> {
    let max = REQUEST_BYTES_MAX;
    if bytes > max { Err(ClientError::TooLong { bytes, max }) } else { Ok(()) }
}

fn span(duration: Duration) -> Span {
    Span(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 2))
}

/// A client's socket, and the framing of what goes through it.
#[derive(Debug)]
pub(crate) struct Link {
    group: u16,
    udp: Guarded<Udp, BootClock>,
    outbox: Outbox,
    unpacker: Unpacker,
    buffer: Vec<u8>,
    counters: Counters,
}

impl Link {
    pub(crate) fn new(destination: &Destination) -> io::Result<Self> {
        let first = destination.servers.first().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a client needs the address of at least one server")
        })?;
        let origin = Origin {
            cluster: destination.cluster,
            sender: datagram::Sender::Client(Rng::from_system().next_u64()),
            incarnation: 0,
        };
        let udp = Udp::bind(address_to_reach(first))?;
        let udp = Guarded::new(udp, BootClock, destination.credentials.clone());
        Ok(Self {
            group: destination.group,
            outbox: Outbox::new(origin, destination.datagram_bytes.saturating_sub(udp.overhead())),
            udp,
            unpacker: Unpacker::new(destination.cluster),
            buffer: vec![0; DATAGRAM_BYTES_MAX],
            counters: Counters::default(),
        })
    }

    pub(crate) fn now(&self) -> LocalTime {
        BootClock.now()
    }

    fn send(&mut self, to: SocketAddr, request: &Request) {
        self.push(to, request);
        self.flush();
    }

    /// Adds a request to what [`Link::flush`] sends.
    pub(crate) fn push(&mut self, to: SocketAddr, request: &Request) {
        self.outbox.push(to, self.group, request, &mut self.udp, &mut self.counters);
    }

    pub(crate) fn flush(&mut self) {
        self.outbox.flush(&mut self.udp, &mut self.counters);
    }

    /// Sends several requests; those to the same server share datagrams.
    fn send_all(&mut self, requests: &[(SocketAddr, Request)]) {
        requests.iter().for_each(|(to, request)| self.push(*to, request));
        self.flush();
    }

    pub(crate) fn wait(&mut self, until: LocalTime) -> io::Result<()> {
        let wait = (until - self.now()).max(Span::ZERO);
        self.udp.wait(Some(wait))
    }

    /// The responses of one datagram and who sent it; none if none is there.
    pub(crate) fn receive(&mut self) -> io::Result<Option<(SocketAddr, Vec<Response>)>> {
        let Some((length, from, peer)) = self.udp.receive(&mut self.buffer)? else { return Ok(None) };
        let Ok(received) = self.unpacker.receive_from(&self.buffer[..length], peer) else {
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
