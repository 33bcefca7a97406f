//! How datagrams travel.

mod free;
mod overflow;

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::net::sockopt;
use spec::Span;

pub use self::free::free_addresses;
use crate::secure::Peer;

/// How much the kernel is asked to hold in each direction: what arrives while the disk works waits here.
const SOCKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Whoever has just received something looks for more for so long before it sleeps, and lets others run meanwhile: in the
/// course of an update the next datagram is often nearer than an idle processor takes to wake up.
const LOOK: Duration = Duration::from_micros(50);

/// A network that may lose, repeat, delay and reorder datagrams.
pub trait Network {
    /// Waits until a datagram is there, the node was woken, or `wait` is over (`None`: as long as it takes).
    ///
    /// # Errors
    /// If the node can receive nothing any more.
    fn wait(&mut self, wait: Option<Span>) -> io::Result<()>;

    /// Takes one datagram that is there, without waiting: its length in `buffer`, where it came from, and who was
    /// proved to have sent it.
    ///
    /// # Errors
    /// If the node can receive nothing any more.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>>;

    /// Sends a datagram. Whether it left: it may be lost here as well as anywhere.
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool;

    /// By how much datagrams get longer on the way, in bytes.
    fn overhead(&self) -> usize {
        0
    }

    /// How many datagrams were dropped because they were not authentic.
    fn dropped(&self) -> u64 {
        0
    }

    /// How many datagrams the operating system dropped since the socket was bound, because its buffer was full.
    fn overflowed(&self) -> u64 {
        0
    }

    /// What is to be said about somebody who was not let in.
    fn complaint(&mut self) -> Option<String> {
        None
    }
}

/// A UDP socket, and a way to wake up whoever waits for it.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    wake: Arc<OwnedFd>,
    /// Whether something was received since the last wait.
    heard: bool,
}

/// Wakes up a node that waits for datagrams.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Ends the wait that goes on, or the next one.
    pub fn wake(&self) {
        // It fails only if the counter is full, and then the node is awake.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

impl Udp {
    /// Binds a socket.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        enlarge_buffers(&socket);
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { socket, wake: Arc::new(wake), heard: false })
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Another thread's way to end a wait.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wake))
    }
}

/// Asks for large buffers: past the system's limit if this process may, else up to it.
fn enlarge_buffers(socket: &UdpSocket) {
    if sockopt::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER_BYTES).is_err() {
        // A smaller buffer loses datagrams under load; they are repeated.
        let _ = sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER_BYTES);
    }
    if sockopt::set_socket_send_buffer_size_force(socket, SOCKET_BUFFER_BYTES).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES);
    }
}

impl Network for Udp {
    fn overflowed(&self) -> u64 {
        overflow::of(&self.socket).unwrap_or(0)
    }

    fn wait(&mut self, wait: Option<Span>) -> io::Result<()> {
        let timeout = wait.map(timespec);
        let mut waited = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&*self.wake, PollFlags::IN)];
        let looks = mem::take(&mut self.heard);
        let is_there = looks && look(&mut waited, wait)?;
        if !is_there {
            interrupted(poll(&mut waited, timeout.as_ref()))?;
        }
        if waited[1].revents().contains(PollFlags::IN) {
            // It fails only if there is nothing to reset.
            let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((length, from)) => {
                    self.heard = true;
                    return Ok(Some((length, from, Peer::Anybody)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // Refused: an earlier datagram met a server that is down. That is no error of this socket.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        loop {
            match self.socket.send_to(datagram, to) {
                Ok(_) => return true,
                // What is reported may be an earlier datagram's refusal; this one has not left.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused
                    ) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Looks again and again for a while, at most for `wait`. Whether there is something.
fn look(waited: &mut [PollFd<'_>], wait: Option<Span>) -> io::Result<bool> {
    let wait = wait.map_or(LOOK, |wait| LOOK.min(Duration::from_nanos(wait.0.max(0).unsigned_abs())));
    let begun = Instant::now();
    while begun.elapsed() < wait {
        if interrupted(poll(waited, Some(&timespec(Span::ZERO))))? > 0 {
            return Ok(true);
        }
        thread::yield_now();
    }
    Ok(false)
}

/// A signal that came while waiting is no error.
fn interrupted(ready: rustix::io::Result<usize>) -> io::Result<usize> {
    match ready {
        Err(rustix::io::Errno::INTR) => Ok(0),
        ready => Ok(ready?),
    }
}

/// A time to wait, rounded up so that a timer has run out when the wait is over.
fn timespec(span: Span) -> Timespec {
    const NANOS_PER_SECOND: i64 = 1_000_000_000;
    let nanos = span.0.max(0);
    Timespec { tv_sec: nanos / NANOS_PER_SECOND, tv_nsec: nanos % NANOS_PER_SECOND }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_ends_a_wait_that_has_no_end() {
        let mut udp = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
        udp.waker().wake();
        udp.wait(None).unwrap();
        assert_eq!(udp.receive(&mut [0; 16]).unwrap(), None);
    }

    #[test]
    fn what_the_kernel_does_not_take_counts_as_unsent_and_what_comes_after_it_leaves() {
        let mut udp = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let mut other = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let to = other.address().unwrap();
        assert!(!udp.send(to, &vec![0; 70_000]), "longer than any datagram");
        assert!(udp.send(to, b"hello"));
        other.wait(None).unwrap();
        assert_eq!(other.receive(&mut [0; 16]).unwrap().map(|(length, ..)| length), Some(5));
    }

    #[test]
    fn a_server_that_is_down_is_no_error() {
        let mut udp = Udp::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for _ in 0..3 {
            udp.send(gone, b"hello");
            udp.wait(Some(Span(1_000_000))).unwrap();
            assert_eq!(udp.receive(&mut [0; 16]).unwrap(), None);
        }
    }
}
