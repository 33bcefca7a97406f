//! An enemy of a cluster: floods its servers with what it cannot let in. `ci/hostile.sh` has honest clients work
//! meanwhile, and looks at what becomes of them.
//!
//! First it is a client like any other, with a key of its own, makes one update, and keeps every datagram that it sent: what
//! somebody sees who listens. Then it is an enemy, which has these datagrams, and no keys.
//!
//! `cargo run --release -p cluster --example hostile -- --config 0.toml --key eve.key --kind random --rate 50000`
//!
//! Servers on loopback addresses only; use it on none but your own.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use cluster::client::{Conversation, Ended, Operation};
use cluster::clock::{BootClock, Clock};
use cluster::config::NodeConfig;
use cluster::datagram::{self, Origin, Packer, Sender, Unpacker};
use cluster::kv::Change;
use cluster::network::Network;
use cluster::node::GROUP;
use cluster::rng::Rng;
use cluster::secure::{Credentials, Entropy, Peer, Secure};
use cluster::spec::Span;

/// How long the one update may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the rate is kept: datagrams leave in as many bursts a second.
const BURSTS_PER_SECOND: u64 = 500;
/// Addresses that it comes from.
const SOCKETS: usize = 16;
const RANDOM_BYTES_MAX: usize = 1_400;
/// Random bytes that are made beforehand: to make new ones for each datagram would take longer than to send it.
const NOISE_BYTES: usize = 1 << 22;
/// The first bytes of the datagrams of a guarded network, as `secure/packet.rs` says.
const INITIATION: [u8; 4] = [1, 1, 0, 0];
const DATA: [u8; 4] = [4, 1, 0, 0];

/// What the datagrams of an attack are.
#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum Kind {
    /// Random bytes of random lengths, half of them with the head of a sealed datagram
    Random,
    /// What was recorded, as it was, from where it came
    Replayed,
    /// What was recorded, with a byte altered, from where it came
    Forged,
    /// What was recorded, as it was, from other addresses
    Moved,
    /// The recorded beginning of a handshake from other addresses, every other one altered
    Handshakes,
    /// An update that is not sealed
    Unsealed,
}

#[derive(Parser, Debug)]
struct Arguments {
    /// A server's configuration, for the addresses and what a client needs
    #[arg(long)]
    config: PathBuf,
    /// The private key of the client that it is at first
    #[arg(long)]
    key: PathBuf,
    #[arg(long, value_enum)]
    kind: Kind,
    /// Datagrams a second, to all servers together
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// The seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let config = NodeConfig::load(&arguments.config)?;
    if let Some(other) = config.servers.iter().find(|server| !server.ip().is_loopback()) {
        return Err(format!("{other} is no loopback address, and nobody else's servers are attacked").into());
    }
    let credentials =
        config.client_credentials(Some(&arguments.key))?.ok_or("a cluster without keys lets everybody in")?;
    let tap = record(&config, credentials)?;
    eprintln!("recorded {} datagrams of an honest client", tap.sent.len());
    let begun = Instant::now();
    let sent = attack(&arguments, &config, &tap)?;
    let took = begun.elapsed().as_secs_f64();
    println!("{{\"schema\":1,\"sent\":{sent},\"seconds\":{took:.3},\"recorded\":{}}}", tap.sent.len());
    Ok(())
}

/// A network card that keeps what it sends.
struct Tap {
    socket: UdpSocket,
    sent: Vec<(SocketAddr, Vec<u8>)>,
}

impl Network for &mut Tap {
    fn wait(&mut self, _: Option<Span>) -> io::Result<()> {
        sleep(Duration::from_millis(1));
        Ok(())
    }
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        match self.socket.recv_from(buffer) {
            Ok((length, from)) => Ok(Some((length, from, Peer::Anybody))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        self.sent.push((to, datagram.to_vec()));
        self.socket.send_to(datagram, to).is_ok()
    }
}

fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn change() -> Vec<u8> {
    Change::Put { key: "hostile".into(), value: "got in".into() }.encode()
}

/// Makes one update as a client does, and listens.
fn record(config: &NodeConfig, credentials: Credentials) -> Result<Tap, Box<dyn Error>> {
    let mut tap = Tap { socket: socket()?, sent: Vec::new() };
    let mut rng = Rng::from_system();
    let origin = Origin { cluster: config.cluster, sender: Sender::Client(rng.next_u64()), incarnation: 0 };
    let mut network = Secure::new(&mut tap, BootClock, Entropy::System, credentials);
    let mut conversation = Conversation::new(config.servers.clone(), rng);
    let mut unpacker = Unpacker::new(config.cluster);
    let mut buffer = vec![0; 65_536];
    conversation.begin(Operation::Propose(change().into()), BootClock.now());
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        while let Some((to, request)) = conversation.poll(BootClock.now()) {
            let mut packer = Packer::new(origin, config.datagram_bytes() - network.overhead());
            packer.push(GROUP, &request, |_| {})?;
            packer.flush(|datagram| {
                network.send(to, datagram);
            });
        }
        network.wait(None)?;
        while let Some((length, _, peer)) = network.receive(&mut buffer)? {
            let Ok(received) = unpacker.receive_from(&buffer[..length], peer) else { continue };
            for response in received.frames().filter_map(|(_, body)| datagram::decode(body).ok()) {
                match conversation.on_response(response, BootClock.now()) {
                    Some(Ended::Applied { .. }) => {
                        drop(network);
                        return Ok(tap);
                    }
                    Some(other) => return Err(format!("the update was not applied: {other:?}").into()),
                    None => {}
                }
            }
        }
    }
    Err("no server answered".into())
}

/// Sends at the rate that was asked for. How many datagrams left.
fn attack(arguments: &Arguments, config: &NodeConfig, tap: &Tap) -> Result<u64, Box<dyn Error>> {
    let mut rng = Rng::seeded(arguments.seed);
    let others: Vec<UdpSocket> = (0..SOCKETS).map(|_| socket()).collect::<Result<_, _>>()?;
    let of_kind = |head: [u8; 4]| tap.sent.iter().filter(move |(_, bytes)| bytes.starts_with(&head));
    let (data, initiations): (Vec<_>, Vec<_>) = (of_kind(DATA).collect(), of_kind(INITIATION).collect());
    let unsealed = unsealed_update(config)?;
    let noise: Vec<u8> = (0..NOISE_BYTES / 8).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
    let (begun, duration) = (Instant::now(), Duration::from_secs(arguments.seconds));
    let (mut sent, mut datagram) = (0, Vec::new());
    while begun.elapsed() < duration {
        let due = arguments.rate * u64::try_from(begun.elapsed().as_micros())? / 1_000_000;
        while sent < due {
            let pick =
                |from: &[&'_ (SocketAddr, Vec<u8>)], rng: &mut Rng| from[index(rng, from.len())].clone();
            let other = &others[index(&mut rng, SOCKETS)];
            let anywhere = config.servers[index(&mut rng, config.servers.len())];
            let (from, to) = match arguments.kind {
                Kind::Random => {
                    random(&mut rng, &noise, &mut datagram);
                    (other, anywhere)
                }
                Kind::Unsealed => {
                    datagram.clone_from(&unsealed);
                    (other, anywhere)
                }
                Kind::Replayed | Kind::Forged | Kind::Moved => {
                    let (to, recorded) = pick(&data, &mut rng);
                    datagram = recorded;
                    if arguments.kind == Kind::Forged {
                        alter(&mut rng, &mut datagram);
                    }
                    (if arguments.kind == Kind::Moved { other } else { &tap.socket }, to)
                }
                Kind::Handshakes => {
                    let (to, recorded) = pick(&initiations, &mut rng);
                    datagram = recorded;
                    if rng.percent(50) {
                        alter(&mut rng, &mut datagram);
                    }
                    (other, to)
                }
            };
            // What the kernel does not take was not sent; the flood goes on.
            sent += 1;
            let _ = from.send_to(&datagram, to);
        }
        sleep(Duration::from_micros(1_000_000 / BURSTS_PER_SECOND));
    }
    Ok(sent)
}

fn index(rng: &mut Rng, length: usize) -> usize {
    usize::try_from(rng.below(length as u64)).unwrap_or(0)
}

/// Random bytes, of `noise`. Every other time they begin as a sealed datagram does.
fn random(rng: &mut Rng, noise: &[u8], datagram: &mut Vec<u8>) {
    datagram.clear();
    if rng.percent(50) {
        datagram.extend(DATA);
    }
    let length = index(rng, RANDOM_BYTES_MAX);
    let at = index(rng, noise.len() - length);
    datagram.extend(&noise[at..at + length]);
}

fn alter(rng: &mut Rng, datagram: &mut [u8]) {
    let at = index(rng, datagram.len());
    datagram[at] ^= 1 << rng.below(8);
}

/// An update as it is sent on a network without keys.
fn unsealed_update(config: &NodeConfig) -> Result<Vec<u8>, Box<dyn Error>> {
    let origin = Origin { cluster: config.cluster, sender: Sender::Client(7), incarnation: 0 };
    let mut conversation = Conversation::new(config.servers.clone(), Rng::seeded(1));
    conversation.begin(Operation::Propose(change().into()), BootClock.now());
    let (_, request) = conversation.poll(BootClock.now()).ok_or("a client begins at once")?;
    let mut packer = Packer::new(origin, config.datagram_bytes());
    let mut datagram = Vec::new();
    packer.push(GROUP, &request, |_| {})?;
    packer.flush(|bytes| datagram = bytes.to_vec());
    Ok(datagram)
}
