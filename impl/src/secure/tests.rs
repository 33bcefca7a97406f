//! Three servers and their clients on a network in memory, on which an enemy reads, repeats and writes everything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use proptest::prelude::*;

use super::packet::{COOKIE_BYTES, INITIATION, INITIATION_BYTES, RESPONSE};
use super::*;
use crate::clock::millis;
use crate::rng::Rng;

type Post = Rc<RefCell<BTreeMap<SocketAddr, VecDeque<(SocketAddr, Vec<u8>)>>>>;

/// From, to, and what.
type Sent = (SocketAddr, SocketAddr, Vec<u8>);

/// The network: what waits at each address, everything that was ever sent, and the time.
#[derive(Clone, Debug, Default)]
struct World {
    post: Post,
    sent: Rc<RefCell<Vec<Sent>>>,
    now: Rc<Cell<i64>>,
}

#[derive(Debug)]
struct Card(World, SocketAddr);

impl Network for Card {
    fn wait(&mut self, _: Option<Span>) -> io::Result<()> {
        Ok(())
    }
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, Peer)>> {
        let datagram = self.0.post.borrow_mut().entry(self.1).or_default().pop_front();
        Ok(datagram.map(|(from, bytes)| {
            buffer[..bytes.len()].copy_from_slice(&bytes);
            (bytes.len(), from, Peer::Anybody)
        }))
    }
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        self.0.sent.borrow_mut().push((self.1, to, datagram.to_vec()));
        self.0.deliver(self.1, to, datagram);
        true
    }
}

impl Clock for World {
    fn now(&self) -> LocalTime {
        LocalTime(self.now.get())
    }
}

impl World {
    fn deliver(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        self.post.borrow_mut().entry(to).or_default().push_back((from, datagram.to_vec()));
    }
    fn pass(&self, span: Span) {
        self.now.set(self.now.get() + span.0);
    }
    fn sent(&self) -> usize {
        self.sent.borrow().len()
    }
    fn last_of(&self, kind: u8) -> Sent {
        self.sent.borrow().iter().rfind(|(_, _, bytes)| bytes[0] == kind).cloned().expect("one was sent")
    }
}

type Side = Secure<Card, World>;

fn address(server: u8) -> SocketAddr {
    ([10, 0, 0, server], 1000).into()
}

fn key(number: u8) -> PrivateKey {
    PrivateKey([number + 1; KEY_BYTES])
}

fn client_address(client: u8) -> SocketAddr {
    ([10, 0, 1, client], 2000).into()
}

fn credentials(me: Claim, key: PrivateKey) -> Credentials {
    let client = |name: &str, number, role| ClientKeys {
        name: name.into(),
        key: vec![self::key(number).public()],
        role,
    };
    Credentials {
        cluster: 7,
        me,
        key,
        secrets: vec![Secret([9; KEY_BYTES])],
        servers: (0..3).map(|id| (address(id), vec![self::key(id).public()])).collect(),
        clients: vec![client("ann", 10, Role::ReadWrite), client("bob", 11, Role::ReadOnly)],
    }
}

fn side(world: &World, at: SocketAddr, seed: u64, credentials: Credentials) -> Side {
    Secure::new(Card(world.clone(), at), world.clone(), Entropy::Seeded(Rng::seeded(seed)), credentials)
}

fn server(world: &World, id: u8, boots: u64) -> Side {
    side(world, address(id), u64::from(id) + 100 * boots, credentials(Claim::Server { id, boots }, key(id)))
}

fn client(world: &World, number: u8) -> Side {
    side(world, client_address(number), u64::from(number), credentials(Claim::Client, key(number)))
}

/// Everything that is there for it.
fn heard(side: &mut Side) -> Vec<(Vec<u8>, Peer)> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut heard = Vec::new();
    while let Some((length, _, peer)) = side.receive(&mut buffer).unwrap() {
        heard.push((buffer[..length].to_vec(), peer));
    }
    heard
}

/// Sends, and lets both sides do what comes of it. What the other side heard.
fn say(one: &mut Side, other: &mut Side, to: SocketAddr, text: &[u8]) -> Vec<(Vec<u8>, Peer)> {
    one.send(to, text);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.extend(heard(other));
        assert_eq!(heard(one), []);
    }
    all
}

fn texts(heard: Vec<(Vec<u8>, Peer)>) -> Vec<Vec<u8>> {
    heard.into_iter().map(|(text, _)| text).collect()
}

#[test]
fn what_is_said_is_heard_from_who_said_it_and_nobody_else_can_read_it() {
    let world = World::default();
    let (mut zero, mut one, mut bob) = (server(&world, 0, 4), server(&world, 1, 9), client(&world, 11));
    let text = b"attack at dawn";
    let peer = Peer::Server { id: 0, boots: 4 };
    assert_eq!(say(&mut zero, &mut one, address(1), text), [(text.to_vec(), peer)]);
    assert!(one.send(address(0), b"yes"));
    assert_eq!(heard(&mut zero), [(b"yes".to_vec(), Peer::Server { id: 1, boots: 9 })]);
    let reader = Peer::Client(Role::ReadOnly);
    assert_eq!(say(&mut bob, &mut one, address(1), text), [(text.to_vec(), reader)]);
    assert!(!reader.may_write() && !reader.may_be(crate::datagram::Sender::Server(0), 4));
    for (_, _, bytes) in &*world.sent.borrow() {
        assert!(!bytes.windows(6).any(|window| window == b"attack"));
    }
}

#[test]
fn garbage_is_dropped_without_an_answer_or_any_computation() {
    let world = World::default();
    let mut zero = server(&world, 0, 1);
    let mut rng = Rng::seeded(5);
    for round in 0..3000_usize {
        let mut bytes: Vec<u8> = (0..rng.below(200)).map(|_| rng.next_u64().to_le_bytes()[0]).collect();
        if round % 2 == 0 {
            // What looks like each kind from outside.
            let kind = u8::try_from(round % 5).unwrap();
            bytes.resize([INITIATION_BYTES, INITIATION_BYTES, 70, COOKIE_BYTES, 90][round % 5], 3);
            bytes[..4].copy_from_slice(&packet::head(kind));
        }
        world.deliver(address(1), address(0), &bytes);
    }
    assert_eq!(heard(&mut zero), []);
    while zero.dropped() < 3000 {
        assert_eq!(heard(&mut zero), []);
    }
    assert_eq!((world.sent(), zero.computed, zero.sessions.len(), zero.routes.len()), (0, 0, 0, 0));
}

#[test]
fn a_datagram_altered_anywhere_is_dropped() {
    let world = World::default();
    let (mut zero, mut one) = (server(&world, 0, 1), server(&world, 1, 1));
    say(&mut zero, &mut one, address(1), b"hello");
    let sent = world.sent.borrow().clone();
    for (from, to, bytes) in sent {
        for at in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[at] ^= 0x40;
            world.deliver(from, to, &forged);
        }
        for length in 0..bytes.len() {
            world.deliver(from, to, &bytes[..length]);
        }
    }
    let before = world.sent();
    for _ in 0..4 {
        assert_eq!((heard(&mut zero), heard(&mut one)), (vec![], vec![]));
    }
    // Of an initiation the cookie's code means nothing while there is no flood, and the index to answer to is
    // covered by the code.
    let answered = world.sent.borrow()[before..].iter().filter(|(_, _, bytes)| bytes[0] != RESPONSE).count();
    assert_eq!(answered, 0);
    assert_eq!(texts(say(&mut zero, &mut one, address(1), b"still there")), [b"still there"]);
}

#[test]
fn nothing_is_heard_twice_within_a_session() {
    let world = World::default();
    let (mut zero, mut one) = (server(&world, 0, 1), server(&world, 1, 1));
    for number in 0..50_u8 {
        assert_eq!(texts(say(&mut zero, &mut one, address(1), &[number])), [[number]]);
    }
    let sent = world.sent.borrow().clone();
    sent.iter().rev().for_each(|(from, to, bytes)| world.deliver(*from, *to, bytes));
    for _ in 0..4 {
        assert_eq!((heard(&mut zero), heard(&mut one)), (vec![], vec![]));
    }
}

#[test]
fn nothing_of_an_earlier_life_is_heard_after_a_restart_of_either_side() {
    for restarted in 0..2 {
        let world = World::default();
        let (mut zero, mut one) = (server(&world, 0, 1), server(&world, 1, 1));
        say(&mut zero, &mut one, address(1), b"before");
        let recorded = world.sent.borrow().clone();
        if restarted == 0 {
            zero = server(&world, 0, 2);
        } else {
            one = server(&world, 1, 2);
        }
        for _ in 0..3 {
            recorded.iter().for_each(|(from, to, bytes)| world.deliver(*from, *to, bytes));
            assert_eq!((heard(&mut zero), heard(&mut one)), (vec![], vec![]));
        }
        // The one that did not restart finds out by the other's silence.
        zero.send(address(1), b"lost");
        heard(&mut one);
        world.pass(route::SILENCE);
        zero.send(address(1), b"perhaps lost");
        (0..3).for_each(|_| drop((heard(&mut one), heard(&mut zero))));
        let boots = if restarted == 0 { 2 } else { 1 };
        let peer = Peer::Server { id: 0, boots };
        assert_eq!(say(&mut zero, &mut one, address(1), b"after"), [(b"after".to_vec(), peer)]);
    }
}

#[test]
fn nobody_can_be_another_server_or_a_server_at_all() {
    let world = World::default();
    let liar = Claim::Server { id: 0, boots: 1 };
    for (from, number) in [(address(2), 2), (client_address(11), 11), (address(0), 2)] {
        let mut one = server(&world, 1, 1);
        let mut enemy = side(&world, from, 77, credentials(liar, key(number)));
        assert_eq!(say(&mut enemy, &mut one, address(1), b"I am server 0"), []);
        assert!(one.complaint().unwrap().contains("somebody else than its key's owner"));
    }
    let mut one = server(&world, 1, 1);
    // With a name on the packet and not the key: as if it were server 0.
    let mut enemy = server(&world, 0, 1);
    enemy.credentials.key = key(50);
    enemy.send(address(1), b"I am server 0");
    let (from, to, mut bytes) = world.last_of(INITIATION);
    world.post.borrow_mut().clear();
    bytes[8..16].copy_from_slice(&key(0).public().id().to_le_bytes());
    let code_key = noise::hmac(&[9; KEY_BYTES], &[b"initiation", &key(1).public().0]);
    let code = noise::mac(&code_key, &[&bytes[..82]]);
    bytes[82..98].copy_from_slice(&code);
    world.deliver(from, to, &bytes);
    assert_eq!(heard(&mut one), []);
    assert!(one.complaint().unwrap().contains("server 0"));
    assert_eq!(one.sessions.len(), 0);
}

#[test]
fn a_wrong_key_or_secret_is_one_line_that_names_the_peer() {
    for wrong_secret in [false, true] {
        let world = World::default();
        let mut one = server(&world, 1, 1);
        let mut wrong = credentials(Claim::Server { id: 0, boots: 1 }, key(0));
        if wrong_secret {
            wrong.secrets = vec![Secret([8; KEY_BYTES])];
        } else {
            wrong.key = key(60);
        }
        let mut zero = side(&world, address(0), 3, wrong);
        for _ in 0..100 {
            assert_eq!(say(&mut zero, &mut one, address(1), b"let me in"), []);
            world.pass(route::RETRY);
        }
        let line = one.complaint().unwrap();
        assert!(line.contains("server 0") && line.contains(&address(0).to_string()), "{line}");
        assert_eq!(one.complaint(), None, "a hundred tries and one line");
        world.pass(complaints::QUIET);
        say(&mut zero, &mut one, address(1), b"let me in");
        assert!(one.complaint().is_some(), "after a while it is said again");
    }
}

#[test]
fn no_answer_to_whoever_is_not_authentic_is_longer_than_the_question() {
    let world = World::default();
    let (mut zero, mut one) = (server(&world, 0, 1), server(&world, 1, 1));
    zero.send(address(1), b"hello");
    let (from, to, bytes) = world.last_of(INITIATION);
    // Replayed so often that cookies are asked for: every kind of answer is among them.
    for port in 0..500 {
        world.deliver(SocketAddr::new(from.ip(), port), to, &bytes);
    }
    let before = world.sent();
    heard(&mut one);
    let answers = world.sent.borrow()[before..].to_vec();
    let kinds: std::collections::BTreeSet<u8> = answers.iter().map(|(_, _, answer)| answer[0]).collect();
    assert_eq!(kinds, [packet::RESPONSE, packet::COOKIE].into());
    assert!(answers.iter().all(|(_, _, answer)| answer.len() < bytes.len()));
    assert!(answers.len() <= 501);
}

#[test]
fn a_flood_of_handshakes_costs_no_keys_and_no_memory_and_honest_servers_get_through() {
    let world = World::default();
    let (mut zero, mut one, mut two) = (server(&world, 0, 1), server(&world, 1, 1), server(&world, 2, 1));
    zero.send(address(1), b"recorded");
    let (_, to, bytes) = world.last_of(INITIATION);
    world.post.borrow_mut().clear();
    let computed = |one: &Side| one.computed;
    for second in 0..5 {
        for port in 1..2000 {
            world.deliver(([6, 6, 6, second], port).into(), to, &bytes);
        }
        (0..3).for_each(|_| assert_eq!(heard(&mut one), []));
        world.pass(millis(1_000));
    }
    assert!(computed(&one) <= u64::from(cookie::LOADED_AT) * 2, "{} handshakes computed", computed(&one));
    assert!(one.sessions.len() <= HALF_OPEN_MAX && one.routes.is_empty());
    for port in 1..500 {
        world.deliver(([6, 6, 6, 6], port).into(), to, &bytes);
    }
    two.send(address(1), b"honest");
    let mut all = Vec::new();
    (0..4).for_each(|_| {
        all.extend(texts(heard(&mut one)));
        heard(&mut two);
    });
    assert_eq!(all, [b"honest"]);
    assert!(world.sent.borrow().iter().any(|(_, to, bytes)| *to == address(2) && bytes[0] == packet::COOKIE));
}

#[test]
fn keys_are_renewed_while_datagrams_are_under_way_and_old_ones_end() {
    let world = World::default();
    let wear = Wear { datagrams: 10, ..Wear::default() };
    let mut zero = server(&world, 0, 1).with_wear(wear);
    let mut one = server(&world, 1, 1).with_wear(wear);
    let mut rng = Rng::seeded(1);
    let mut all = Vec::new();
    for number in 0..500_u16 {
        zero.send(address(1), &number.to_le_bytes());
        world.pass(millis(20));
        if rng.percent(30) {
            // Late, and in another order.
            if let Some(queue) = world.post.borrow_mut().get_mut(&address(1)) {
                queue.make_contiguous().reverse();
            }
            all.extend(texts(heard(&mut one)));
            one.send(address(0), b"yes");
            heard(&mut zero);
        }
    }
    (0..3).for_each(|_| {
        all.extend(texts(heard(&mut one)));
        heard(&mut zero);
    });
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 500, "nothing is lost and nothing comes twice");
    assert!(one.computed >= 20, "{} handshakes", one.computed);
    for side in [&zero, &one] {
        let confirmed = side.sessions.values().filter(|session| session.confirmed).count();
        assert!(confirmed <= SESSIONS_MAX && side.half_open.len() <= HALF_OPEN_MAX);
    }

    let old = world.last_of(packet::DATA);
    world.pass(wear.reject_after);
    zero.send(address(1), b"new keys are needed first");
    world.deliver(old.0, old.1, &old.2);
    assert_eq!(heard(&mut one), []);
}

#[test]
fn both_sides_may_begin_at_once() {
    let world = World::default();
    let (mut zero, mut one) = (server(&world, 0, 1), server(&world, 1, 1));
    zero.send(address(1), b"from 0");
    one.send(address(0), b"from 1");
    let (mut by_zero, mut by_one) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        by_zero.extend(texts(heard(&mut zero)));
        by_one.extend(texts(heard(&mut one)));
    }
    assert_eq!((by_zero, by_one), (vec![b"from 1".to_vec()], vec![b"from 0".to_vec()]));
    for number in 0..20_u8 {
        assert_eq!(texts(say(&mut zero, &mut one, address(1), &[number])), [[number]]);
        assert_eq!(texts(say(&mut one, &mut zero, address(0), &[number])), [[number]]);
    }
}

#[test]
fn a_secret_and_a_servers_key_change_one_server_at_a_time_and_all_are_heard_throughout() {
    let world = World::default();
    let (old, new) = (Secret([9; KEY_BYTES]), Secret([10; KEY_BYTES]));
    let both = vec![key(1).public(), key(41).public()];
    // What server 1 and server 0 are told in each stage: secrets, keys of server 1, server 1's own key.
    let stages: [(Vec<Secret>, Vec<PublicKey>, PrivateKey); 5] = [
        (vec![old.clone()], vec![key(1).public()], key(1)),
        (vec![old.clone(), new.clone()], both.clone(), key(1)),
        (vec![new.clone(), old.clone()], both.clone(), key(41)),
        (vec![new.clone(), old], both, key(41)),
        (vec![new], vec![key(41).public()], key(41)),
    ];
    let make = |id: u8, stage: usize| {
        let (secrets, keys, own) = stages[stage].clone();
        let boots = u64::try_from(stage).unwrap() + 1;
        let own = if id == 1 { own } else { key(id) };
        let mut credentials = credentials(Claim::Server { id, boots }, own);
        credentials.secrets = secrets;
        credentials.servers[1].1 = keys;
        side(&world, address(id), 1000 * boots + u64::from(id), credentials)
    };
    let (mut zero, mut one) = (make(0, 0), make(1, 0));
    for stage in 0..stages.len() {
        for restarted in 0..2_u8 {
            if restarted == 0 {
                zero = make(0, stage);
            } else {
                one = make(1, stage);
            }
            world.post.borrow_mut().clear();
            // Both are spoken to all the time; within a second each hears the other again.
            let (mut by_zero, mut by_one) = (0, 0);
            for _ in 0..20 {
                zero.send(address(1), b"0");
                one.send(address(0), b"1");
                (0..3).for_each(|_| {
                    by_zero += heard(&mut zero).len();
                    by_one += heard(&mut one).len();
                });
                world.pass(millis(50));
            }
            assert!(by_zero > 0 && by_one > 0, "stage {stage}, after server {restarted}");
        }
    }
}

#[test]
fn clients_that_come_and_go_take_bounded_memory() {
    let world = World::default();
    let mut zero = server(&world, 0, 1);
    let clients = 300_u16; // as many as half-open handshakes, and more
    for port in 1..=clients {
        let mut ann =
            side(&world, ([10, 0, 1, 10], port).into(), port.into(), credentials(Claim::Client, key(10)));
        ann.send(address(0), b"hello");
        world.pass(millis(100));
        let mut all = heard(&mut zero);
        heard(&mut ann);
        all.extend(heard(&mut zero));
        assert_eq!(all.len(), 1);
    }
    assert_eq!((zero.routes.len(), zero.half_open.len()), (usize::from(clients), 0));
    assert!(zero.sessions.len() <= usize::from(clients) * SESSIONS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever lengths are claimed, nothing panics and nothing is kept.
    #[test]
    fn no_bytes_make_it_panic_or_remember(
        datagrams in prop::collection::vec((0_u8..6, prop::collection::vec(any::<u8>(), 0..300)), 0..50),
    ) {
        let world = World::default();
        let mut zero = server(&world, 0, 1);
        for (kind, mut bytes) in datagrams {
            if bytes.len() >= 4 {
                bytes[..4].copy_from_slice(&packet::head(kind));
            }
            world.deliver(address(1), address(0), &bytes);
        }
        prop_assert_eq!(heard(&mut zero), []);
        prop_assert_eq!((world.sent(), zero.sessions.len(), zero.routes.len()), (0, 0, 0));
    }
}
