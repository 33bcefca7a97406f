//! A lock service: locks that a holder keeps by renewing them, and fencing tokens, so that a holder that was
//! asleep for too long does no harm.
//!
//! A state machine reads no clock. So a lock counts its renewals, and whoever waits measures on its own clock that
//! the count has stood still for a term; only then does it ask that the lock be taken away, naming the count that it
//! saw. The token is the slot of the acquisition, so a later holder has a higher one, and what the lock protects
//! refuses lower tokens than it has seen.
//!
//! `cargo run -p cluster --example lock`

use std::collections::BTreeMap;
use std::error::Error;

use std::thread;
use std::time::Duration;

use cluster::client::{Client, Destination};
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES, NodeConfig};
use cluster::data;
use cluster::network::free_addresses;
use cluster::node::{GROUP, Node};
use cluster::spec::Slot;
use cluster::state_machine::StateMachine;

/// How long a holder may go without renewing its lock.
const TERM: Duration = Duration::from_millis(200);

/// Each lock's holder: its token, and how often it has renewed.
#[derive(Default)]
struct Locks(BTreeMap<String, (u64, u64)>);

impl StateMachine for Locks {
    /// `acquire NAME`, `renew NAME TOKEN`, `release NAME TOKEN` or `expire NAME TOKEN RENEWALS`. The result is `ok TOKEN`,
    /// or `held TOKEN RENEWALS` where another has it, or `lost`.
    fn apply(&mut self, slot: Slot, update: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(update);
        let words: Vec<_> = text.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        let name = words.get(1).copied().unwrap_or_default();
        let held = self.0.get(name).copied();
        let holds = held.is_some_and(|(token, _)| number(2) == Some(token));
        match (words[0], held) {
            ("acquire", None) => {
                self.0.insert(name.to_owned(), (slot.0, 0));
                format!("ok {}", slot.0)
            }
            ("acquire", Some((token, renewals))) => format!("held {token} {renewals}"),
            ("renew", Some((token, renewals))) if holds => {
                self.0.insert(name.to_owned(), (token, renewals + 1));
                format!("ok {token}")
            }
            ("release", Some((token, _))) if holds => {
                self.0.remove(name);
                format!("ok {token}")
            }
            ("expire", Some((token, renewals))) if holds && number(3) == Some(renewals) => {
                self.0.remove(name);
                format!("ok {token}")
            }
            _ => "lost".into(),
        }
        .into()
    }

    fn query(&self, name: &[u8]) -> Vec<u8> {
        let held = self.0.get(&*String::from_utf8_lossy(name));
        held.map_or("free".into(), |(token, renewals)| format!("held {token} {renewals}")).into()
    }
}

/// What the lock protects: it refuses whoever has an older token than it has seen.
#[derive(Default)]
struct Storage {
    token: u64,
    written: Vec<&'static str>,
}

impl Storage {
    fn write(&mut self, token: u64, text: &'static str) -> bool {
        let is_current = token >= self.token;
        if is_current {
            self.token = token;
            self.written.push(text);
        }
        is_current
    }
}

fn ask(client: &mut Client, request: &str) -> Result<String, Box<dyn Error>> {
    Ok(String::from_utf8(client.propose(request.as_bytes())?.1)?)
}

/// Waits for a lock; returns its token. A holder that does not renew for a term loses it.
fn acquire(client: &mut Client, name: &str) -> Result<u64, Box<dyn Error>> {
    let mut before = String::new();
    loop {
        let said = ask(client, &format!("acquire {name}"))?;
        if let Some(token) = said.strip_prefix("ok ") {
            return Ok(token.parse()?);
        }
        if said == before {
            let seen = said.trim_start_matches("held ");
            ask(client, &format!("expire {name} {seen}"))?;
        } else {
            before = said;
            thread::sleep(TERM);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let data = tempfile::tempdir()?;
    let servers = free_addresses(3)?;
    let mut nodes = Vec::new();
    for server in 0..3 {
        let config = NodeConfig::new(server, data.path().join(server.to_string()), servers.clone());
        data::init(&config)?;
        nodes.push(Node::start(&config, Locks::default())?);
    }
    let destination = Destination {
        cluster: DEFAULT_CLUSTER,
        group: GROUP,
        servers,
        datagram_bytes: DEFAULT_DATAGRAM_BYTES,
        credentials: None,
    };
    let mut sleeper = Client::new(&destination, Duration::from_secs(30))?;
    let mut worker = Client::new(&destination, Duration::from_secs(30))?;
    let mut storage = Storage::default();

    let old = acquire(&mut sleeper, "door")?;
    assert!(storage.write(old, "first"));
    println!("the first holder has token {old}, and falls asleep");

    let new = acquire(&mut worker, "door")?;
    assert!(new > old && storage.write(new, "second"));
    println!("the second holder has token {new}: the first did not renew for a term");

    // The first wakes up and still believes that it holds the lock.
    assert!(!storage.write(old, "late"));
    assert_eq!(ask(&mut sleeper, &format!("renew door {old}"))?, "lost");
    println!("what the first holder writes now is refused, and it learns that it lost the lock");

    assert_eq!(ask(&mut worker, &format!("renew door {new}"))?, format!("ok {new}"));
    assert_eq!(ask(&mut worker, &format!("release door {new}"))?, format!("ok {new}"));
    assert_eq!(worker.read(b"door")?, b"free");
    assert_eq!(storage.written, ["first", "second"]);
    Ok(())
}
