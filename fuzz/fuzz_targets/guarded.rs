//! Datagrams before the authentication. Two servers and a client talk on a network on which the input repeats, alters,
//! cuts, delays and invents what it likes, restarts servers and lets time pass. What is heard was sent by whom it is
//! said to be from, to whom it was sent, as it was sent, and not twice.
#![no_main]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::LazyLock;

use cluster::clock::{Clock, millis};
use cluster::network::Network;
use cluster::rng::Rng;
use cluster::secure::{
    Claim, ClientKeys, Credentials, Entropy, Peer, PrivateKey, PublicKey, Role, Secret, Secure,
};
use cluster::spec::{LocalTime, Span};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

const SIDES: usize = 3;
const CLIENT: usize = 2;
const STEPS_MAX: usize = 200;

type Sent = (usize, SocketAddr, Vec<u8>);

/// The network: what was ever sent, what waits at each side, and the time.
#[derive(Clone, Default)]
struct World {
    sent: Rc<RefCell<Vec<Sent>>>,
    waiting: Rc<RefCell<[VecDeque<(SocketAddr, Vec<u8>)>; SIDES]>>,
    now: Rc<Cell<i64>>,
}

struct Card(World, usize);

impl Network for Card {
    fn wait(&mut self, _: Option<Span>) -> io::Result<()> {
        Ok(())
    }
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        let Some((from, bytes)) = self.0.waiting.borrow_mut()[self.1].pop_front() else { return Ok(None) };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(Some((bytes.len(), from, Peer::Anybody)))
    }
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        let to = (0..SIDES).find(|&side| address(side) == to).expect("nobody else is spoken to");
        self.0.sent.borrow_mut().push((to, address(self.1), datagram.to_vec()));
        true
    }
}

impl Clock for World {
    fn now(&self) -> LocalTime {
        LocalTime(self.now.get())
    }
}

fn address(side: usize) -> SocketAddr {
    ([10, 0, 0, u8::try_from(side).expect("few")], 1000).into()
}

/// The keys of all sides, and one that nobody knows.
static KEYS: LazyLock<Vec<(PrivateKey, PublicKey)>> = LazyLock::new(|| {
    let key = |seed| PrivateKey::generate(&mut Entropy::Seeded(Rng::seeded(seed)));
    (0..SIDES as u64).map(key).map(|key| (key.clone(), key.public())).collect()
});

/// How often each side was started, and who it is then.
fn peer(side: usize, boots: u64) -> Peer {
    match side {
        CLIENT => Peer::Client(Role::ReadOnly),
        _ => Peer::Server { id: u8::try_from(side).expect("few"), boots },
    }
}

fn start(world: &World, side: usize, boots: u64) -> Secure<Card, World> {
    let me = match peer(side, boots) {
        Peer::Server { id, boots } => Claim::Server { id, boots },
        _ => Claim::Client,
    };
    let credentials = Credentials {
        cluster: 7,
        me,
        key: KEYS[side].0.clone(),
        secrets: vec![Secret::generate(&mut Entropy::Seeded(Rng::seeded(100)))],
        servers: (0..CLIENT).map(|server| (address(server), vec![KEYS[server].1])).collect(),
        clients: vec![ClientKeys { name: "c".into(), key: vec![KEYS[CLIENT].1], role: Role::ReadOnly }],
    };
    let entropy = Entropy::Seeded(Rng::seeded(1_000 * boots + side as u64));
    Secure::new(Card(world.clone(), side), world.clone(), entropy, credentials)
}

fuzz_target!(|data: &[u8]| {
    let world = World::default();
    let mut boots = [1_u64; SIDES];
    let mut sides: [_; SIDES] = std::array::from_fn(|side| start(&world, side, 1));
    let (mut unheard, mut delivered, mut said) = (BTreeSet::new(), 0, 0_u64);
    let (mut input, mut buffer) = (Input(data), vec![0; 65_536]);
    for _ in 0..STEPS_MAX {
        if input.is_over() {
            break;
        }
        let step = input.byte();
        let side = usize::from(step >> 4) % SIDES;
        match step & 0x0F {
            // Somebody says something new to a server. Who says it, and when, is part of it.
            0..=3 => {
                let to = (side + 1) % CLIENT;
                said += 1;
                let mut words =
                    [said.to_le_bytes(), (side as u64).to_le_bytes(), boots[side].to_le_bytes()].concat();
                words.extend(input.bytes());
                if words.len() <= 2_000 && side != to {
                    unheard.insert((to, words.clone()));
                    sides[side].send(address(to), &words);
                }
            }
            // All that is on its way arrives.
            4..=7 => {
                let sent = world.sent.borrow();
                for (to, from, bytes) in &sent[delivered..] {
                    world.waiting.borrow_mut()[*to].push_back((*from, bytes.clone()));
                }
                delivered = sent.len();
            }
            // Something that was sent once arrives: as it was, altered, cut, or from another address.
            8..=10 => {
                let sent = world.sent.borrow();
                let index = input.short();
                if let Some((to, from, bytes)) = sent.get(index % sent.len().max(1)) {
                    let (at, with, cut, elsewhere) =
                        (input.short(), input.byte(), input.byte(), input.byte());
                    let mut bytes = bytes.clone();
                    bytes.truncate(bytes.len().saturating_sub(usize::from(cut)));
                    let length = bytes.len().max(1);
                    bytes.iter_mut().skip(at % length).take(1).for_each(|byte| *byte ^= with);
                    let from = if elsewhere == 0 { *from } else { address(side) };
                    let to = if elsewhere & 2 == 0 { *to } else { side };
                    world.waiting.borrow_mut()[to].push_back((from, bytes));
                }
            }
            // Anything at all arrives.
            11 => {
                let from = address(usize::from(input.byte()) % SIDES);
                world.waiting.borrow_mut()[side].push_back((from, input.bytes().to_vec()));
            }
            12 | 13 => world.now.set(world.now.get() + millis(50).0 * i64::from(input.byte())),
            14 => {
                boots[side] += 1;
                sides[side] = start(&world, side, boots[side]);
            }
            _ => world.sent.borrow_mut().truncate(delivered),
        }
        for (at, one) in sides.iter_mut().enumerate() {
            while let Some((length, from, by)) = one.receive(&mut buffer).expect("the card has no errors") {
                let words = buffer[..length].to_vec();
                let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| words[at + index]));
                assert!(unheard.remove(&(at, words.clone())), "heard what was not sent, or twice: {words:?}");
                let sender = usize::try_from(number(8)).expect("few");
                assert_eq!(
                    (from, by),
                    (address(sender), peer(sender, number(16))),
                    "heard from somebody else"
                );
            }
            while one.complaint().is_some() {}
        }
    }
});
