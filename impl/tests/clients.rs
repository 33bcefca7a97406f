//! Clients of three servers: the library, and the commands that are built on it.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cluster::client::{Client, ClientError, Destination, Ended, Operation, Pool, REQUEST_BYTES_MAX, survey};
use cluster::config::{DEFAULT_CLUSTER, DEFAULT_DATAGRAM_BYTES, NodeConfig};
use cluster::data;
use cluster::kv::{Change, Question, Reply, Store};
use cluster::network::free_addresses;
use cluster::node::{GROUP, Node};
use cluster::spec::{self, ServerId, Slot};
use cluster::status::Standing;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster {
    nodes: Vec<Option<Node>>,
    addresses: Vec<SocketAddr>,
    directory: TempDir,
}

impl Cluster {
    fn start() -> Self {
        let addresses = free_addresses(3).unwrap();
        let (nodes, directory) = (vec![None, None, None], tempfile::tempdir().unwrap());
        let mut cluster = Self { nodes, addresses, directory };
        (0..3).for_each(|server| cluster.launch(server));
        cluster
    }

    fn launch(&mut self, server: u8) {
        let data = self.directory.path().join(server.to_string());
        let config = NodeConfig::new(server, data, self.addresses.clone());
        if !config.data.exists() {
            data::init(&config).unwrap();
        }
        self.nodes[usize::from(server)] = Some(Node::start(&config, Store::default()).unwrap());
    }

    fn destination(&self) -> Destination {
        Destination {
            cluster: DEFAULT_CLUSTER,
            group: GROUP,
            servers: self.addresses.clone(),
            datagram_bytes: DEFAULT_DATAGRAM_BYTES,
            credentials: None,
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.destination(), PATIENCE).unwrap()
    }

    /// Who leads with a lease.
    fn leader(&self) -> u8 {
        let begun = Instant::now();
        loop {
            let heard = survey(&self.destination(), Duration::from_millis(300)).unwrap();
            let mut known = heard.into_iter().filter_map(|(_, status)| status);
            let leads =
                known.find(|status| status.role == Standing::Leading && status.lease_remaining_ms.is_some());
            match leads {
                Some(status) => return status.server,
                None => assert!(begun.elapsed() < PATIENCE, "nobody leads"),
            }
        }
    }

    fn command(&self, arguments: &[&str], input: &str) -> Output {
        let servers = self.addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
        let mut child = Command::new(env!("CARGO_BIN_EXE_cluster"))
            .args(arguments)
            .env("CLUSTER_SERVERS", servers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn put(key: &str, value: &str) -> Vec<u8> {
    Change::Put { key: key.into(), value: value.into() }.encode()
}

fn get(key: &str) -> Vec<u8> {
    Question::Get { key: key.into() }.encode()
}

fn found(bytes: &[u8]) -> Reply {
    Reply::decode(bytes).unwrap()
}

#[test]
fn a_watch_tells_every_update_once_and_in_order_while_leaders_are_stopped() {
    let mut cluster = Cluster::start();
    let (mut writer, mut watcher) = (cluster.client(), cluster.client());
    let mut watch = watcher.watch(Slot(1));
    let (mut seen, mut slots) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let expected: Vec<_> = (0..(round + 1) * 10).map(|index| index.to_string()).collect();
        for value in &expected[round * 10..] {
            writer.propose(&put("k", value)).unwrap();
        }
        let leader = cluster.leader();
        cluster.nodes[usize::from(leader)].take().unwrap().stop().unwrap();
        while seen.len() < expected.len() {
            let event = watch.next_within(PATIENCE).unwrap().expect("an update was acknowledged");
            slots.push(event.slot.0);
            let spec::Command::Update(update) = event.command else { continue };
            if let Some(Change::Put { value, .. }) = Change::decode(&update.value.0).filter(|_| event.applied)
            {
                seen.push(String::from_utf8(value).unwrap());
            }
        }
        assert_eq!(seen, expected);
        cluster.launch(leader);
    }
    let length = slots.len() as u64;
    assert_eq!(slots, (1..=length).collect::<Vec<_>>());
    let resume = watch.next_slot();
    assert_eq!(resume, Slot(length + 1));
    let slot = writer.propose(&put("k", "more")).unwrap().0;
    let mut again = writer.watch(slot);
    assert_eq!(again.next_within(PATIENCE).unwrap().unwrap().slot, slot);
}

#[test]
fn a_stale_read_is_answered_without_a_quorum_and_a_read_is_not() {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    let (slot, _) = client.propose(&put("k", "v")).unwrap();
    cluster.nodes[1] = None;
    cluster.nodes[2] = None;
    let begun = Instant::now();
    loop {
        let stale = client.read_stale(&get("k"), Some(cluster.addresses[0])).unwrap();
        assert_eq!(stale.server, cluster.addresses[0]);
        if stale.as_of >= slot {
            assert_eq!(found(&stale.value), Reply::Found("v".into()));
            break;
        }
        // It has voted for the update; whether it learns it before the others stop is chance.
        if begun.elapsed() > Duration::from_secs(2) {
            assert_eq!(found(&stale.value), Reply::NotFound);
            break;
        }
    }
    client.set_patience(Duration::from_millis(1_500));
    // If it led, it rightly answers until its lease has run out.
    let begun = Instant::now();
    let refused = loop {
        match client.read(&get("k")) {
            Ok(_) => assert!(begun.elapsed() < PATIENCE, "no lease lasts that long"),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ClientError::NoAnswer(_)), "{refused}");
    assert!(matches!(client.propose(&put("k", "w")), Err(ClientError::OutcomeUnknown(_))));
    assert!(matches!(client.propose(&vec![0; REQUEST_BYTES_MAX + 1]), Err(ClientError::TooLong { .. })));
}

#[test]
fn a_client_whose_update_was_passed_on_asks_the_leader_next() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    // A few tries, for the lead may change meanwhile.
    let goes_to_the_leader = (0..10).any(|_| {
        let leader = usize::from(cluster.leader());
        let follower = cluster.addresses[(leader + 1) % 3];
        assert_eq!(client.read_stale(&get("k"), Some(follower)).unwrap().server, follower);
        client.propose(&put("k", "v")).unwrap();
        client.read_stale(&get("k"), None).unwrap().server == cluster.addresses[leader]
    });
    assert!(goes_to_the_leader);
}

#[test]
fn many_sessions_share_a_socket_and_every_operation_ends() {
    let cluster = Cluster::start();
    let mut pool = Pool::new(&cluster.destination(), 16).unwrap();
    let tickets: Vec<_> = (0..200)
        .map(|index| pool.begin(Operation::Propose(put(&index.to_string(), "v").into()), PATIENCE))
        .collect();
    let mut ended = Vec::new();
    while let Some((ticket, end)) = pool.next_ended().unwrap() {
        assert!(matches!(end, Ok(Ended::Applied { .. })), "{end:?}");
        ended.push(ticket);
    }
    ended.sort_unstable();
    assert_eq!(ended, tickets);
    assert_eq!(pool.pending(), 0);
}

#[test]
fn the_longest_update_and_its_key_pass_and_come_back() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let value = vec![7; REQUEST_BYTES_MAX - 32];
    client.propose(&Change::Put { key: "long".into(), value: value.clone() }.encode()).unwrap();
    assert_eq!(found(&client.read(&get("long")).unwrap()), Reply::Found(value.clone()));
    let list = Question::List { prefix: Vec::new(), after: None }.encode();
    let listed = Reply::Listed { entries: vec![("long".into(), value)], more: false };
    assert_eq!(found(&client.read(&list).unwrap()), listed);
}

#[test]
fn leadership_is_handed_over_on_request_and_to_nobody_who_is_not_heard_of() {
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    client.propose(&put("k", "v")).unwrap();
    let old = cluster.leader();
    let to = (old + 1) % 3;
    let output =
        cluster.command(&["transfer", "--timeout-ms", "60000", "--json", "--to", &to.to_string()], "");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("\"leader\":{to}")), "{said}");
    assert_eq!(found(&client.read(&get("k")).unwrap()), Reply::Found("v".into()));

    let leader = cluster.leader();
    assert_eq!(client.transfer(Some(ServerId(leader))).unwrap(), ServerId(leader));
    let other = (leader + 1) % 3;
    cluster.nodes[usize::from(other)] = None;
    let begun = Instant::now();
    // Until the leader notices, it would hand over to the one that has stopped.
    while begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_secs(1));
        match client.transfer(Some(ServerId(other))) {
            Err(ClientError::NoSuccessor) => return,
            outcome => drop(outcome),
        }
    }
    panic!("the leader still believes in a server that has stopped");
}

#[test]
fn pairs_of_any_bytes_are_imported_listed_exported_and_watched() {
    let cluster = Cluster::start();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let lines = "{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\\n\",\"value\":\"2\"}\n\
                 {\"key_hex\":\"ff00\",\"value_hex\":\"80\"}\n";
    let kv = |arguments: &[&str], input: &str| {
        let output = cluster.command(&[&["kv", "--timeout-ms", "60000"], arguments].concat(), input);
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, said) = kv(&["import"], &format!("{}{lines}", "{\"key\":\"a\",\"value\":\"0\"}\n"));
    assert_eq!((code, said.as_str()), (0, "4 pairs imported\n"));
    assert_eq!(kv(&["export"], "").1, lines);
    assert_eq!(kv(&["list"], "").1, "a\t1\nb\\n\t2\n\\xff\\u{0}\t\\x80\n");
    assert_eq!(kv(&["list", "--prefix", "b"], "").1, "b\\n\t2\n");
    let (code, out, _) = kv(&["watch", "--from", "1", "--count", "2", "--prefix", "a"], "");
    let values: Vec<_> = out.lines().map(|line| line.split("\"value\":").nth(1).unwrap()).collect();
    assert_eq!((code, values), (0, vec!["\"0\"}", "\"1\"}"]));

    let (code, _, said) = kv(&["import", "--skip", "1"], &format!("broken\n{lines}{{\"key\":1}}\n"));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("line 5: ") && said.contains("--skip 4"), "{said}");
    let (code, out, said) = kv(&["--json", "get", "--stale", "a"], "");
    assert!(code == 0 && out.contains("\"stale\":true") && said.contains("as of slot"), "{out}{said}");
}

#[test]
fn an_export_is_the_store_at_one_moment_while_others_write() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    // Each round moves one token to the next key, in two steps, so that it is never in more than two places and
    // never nowhere; the ballast makes the export take many pages.
    let key = |index: u32| format!("{:03}", index % 40);
    for index in 0..40 {
        client.propose(&put(&key(index), &"-".repeat(20_000))).unwrap();
    }
    client.propose(&put(&key(0), "token")).unwrap();
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let mut writer = cluster.client();
        scope.spawn(move || {
            for index in 0.. {
                writer.propose(&put(&key(index + 1), "token")).unwrap();
                writer.propose(&put(&key(index), &"-".repeat(20_000))).unwrap();
                if stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected) {
                    return;
                }
            }
        });
        for _ in 0..5 {
            let output = cluster.command(&["kv", "--timeout-ms", "60000", "export"], "");
            let out = String::from_utf8_lossy(&output.stdout);
            let at: Vec<_> = (0..).zip(out.lines()).filter(|(_, line)| line.contains("token")).collect();
            assert_eq!(out.lines().count(), 40);
            let near = at.len() == 1 || (at.len() == 2 && [1, 39].contains(&(at[1].0 - at[0].0)));
            assert!(near, "{at:?}");
        }
        drop(stop);
    });
}
