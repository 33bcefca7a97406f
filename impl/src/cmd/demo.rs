//! `cluster demo`: three servers as three processes, a fail-over and a lost disk before your eyes, and a check that
//! nothing that was acknowledged is lost.

mod fail_overs;
mod lost_disk;
pub(crate) mod servers;

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use clap::Args;
use cluster::client::{Client, Destination, survey};
use cluster::config::NodeConfig;
use cluster::exit::{Exit, Failure};
use cluster::kv::{Change, Question, Reply};
use cluster::node::GROUP;
use cluster::status::{Standing, Status};
use serde_json::json;

use super::JSON_SCHEMA;
use servers::Servers;

const SERVERS: u8 = 3;
/// Few enough that logs go behind snapshots before the demo is over.
const SETTINGS: &str = "snapshot_slots = 50\n";
const UPDATES_BEFORE: u32 = 100;
const UPDATES_AFTER: u32 = 100;
/// How long the demo waits for any one thing before it says that it failed.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

const EXAMPLES: &str = "\
Examples:
  cluster demo              runs until Ctrl-C, so that you can try the key-value store
  cluster demo --fail-overs 9   how long a fail-over takes: median of nine
  cluster demo --once --json    for scripts: exit code 1 if anything was lost";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// End when the scripted part is over
    #[arg(long)]
    once: bool,
    /// Kill the leader so many times, then have it hand over as often, print how long updates stopped, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    fail_overs: Option<u32>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// What the scripted part found.
struct Outcome {
    old_leader: u8,
    new_leader: u8,
    acknowledged: u32,
    lost: u32,
    failover: Duration,
    recovery: lost_disk::Outcome,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let interrupted = super::on_interrupt()?;
    let mut demo = Demo::start(interrupted)?;
    if let Some(count) = arguments.fail_overs {
        return demo.measure_fail_overs(count, arguments.json);
    }
    let outcome = demo.script()?;
    let printed = if arguments.json { print_json(&outcome) } else { print(&outcome) };
    printed.map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    if !arguments.once {
        demo.serve()?;
    }
    Ok(if outcome.lost == 0 { Exit::Done } else { Exit::Runtime })
}

fn print(outcome: &Outcome) -> io::Result<()> {
    let Outcome { old_leader, new_leader, acknowledged, lost, failover, recovery } = outcome;
    writeln!(
        io::stdout().lock(),
        "leader {old_leader} was killed, {new_leader} took over after {} ms; server {}, whose disk was wiped, voted again \
         after {} ms; {acknowledged} updates acknowledged, {lost} lost",
        failover.as_millis(),
        recovery.server,
        recovery.took.as_millis()
    )
}

fn print_json(outcome: &Outcome) -> io::Result<()> {
    let object = json!({
        "schema": JSON_SCHEMA,
        "command": "demo",
        "old_leader": outcome.old_leader,
        "new_leader": outcome.new_leader,
        "acknowledged": outcome.acknowledged,
        "lost": outcome.lost,
        "failover_ms": u64::try_from(outcome.failover.as_millis()).unwrap_or(u64::MAX),
        "authenticated": true,
        "recovery": outcome.recovery.object(),
    });
    writeln!(io::stdout().lock(), "{object}")
}

struct Demo {
    servers: Servers,
    destination: Destination,
    client: Client,
    interrupted: Receiver<()>,
    acknowledged: u32,
}

impl Demo {
    fn start(interrupted: Receiver<()>) -> Result<Self, Failure> {
        let servers = Servers::start(SERVERS, SETTINGS, false)?;
        let config =
            NodeConfig::load(&servers.config_path(0)).map_err(|error| Failure::new(Exit::Runtime, error))?;
        let credentials = config
            .client_credentials(servers.client_key().as_deref())
            .map_err(|error| Failure::new(Exit::Runtime, error))?;
        let destination = Destination {
            cluster: config.cluster,
            group: GROUP,
            datagram_bytes: config.datagram_bytes(),
            servers: config.servers,
            credentials,
        };
        let client =
            Client::new(&destination, PATIENCE).map_err(|error| Failure::new(Exit::Runtime, error))?;
        for (id, address) in servers.addresses().iter().enumerate() {
            eprintln!("server {id} on {address}");
        }
        if let Some(page) = servers.pages().first() {
            eprintln!("status page on http://{page}/");
        }
        eprintln!("data in {}", servers.directory().display());
        Ok(Self { servers, destination, client, interrupted, acknowledged: 0 })
    }

    fn script(&mut self) -> Result<Outcome, Failure> {
        let old_leader = self.await_leader(None)?;
        eprintln!("server {} leads", old_leader.server);
        self.put(UPDATES_BEFORE)?;
        eprintln!("{UPDATES_BEFORE} updates acknowledged; killing server {}", old_leader.server);

        let killed = Instant::now();
        self.servers.kill(old_leader.server)?;
        // The first update that is acknowledged again is the end of the outage, as a client sees it.
        self.put(1)?;
        let failover = killed.elapsed();
        let new_leader = self.await_leader(Some(old_leader.server))?;
        eprintln!("server {} took over after {} ms", new_leader.server, failover.as_millis());
        self.put(UPDATES_AFTER - 1)?;

        eprintln!("restarting server {}", old_leader.server);
        self.servers.launch(old_leader.server)?;
        self.await_caught_up(old_leader.server)?;
        eprintln!("server {} has caught up", old_leader.server);
        let recovery = self.lose_a_disk()?;
        let lost = self.count_lost()?;
        Ok(Outcome {
            old_leader: old_leader.server,
            new_leader: new_leader.server,
            acknowledged: self.acknowledged,
            lost,
            failover,
            recovery,
        })
    }

    /// Puts so many keys, one after the other.
    fn put(&mut self, count: u32) -> Result<(), Failure> {
        for _ in 0..count {
            self.check_interrupt()?;
            let (key, value) = (key(self.acknowledged), value(self.acknowledged));
            let put = Change::Put { key, value }.encode();
            self.client.propose(&put).map_err(|error| super::kv::failure(&error))?;
            self.acknowledged += 1;
        }
        Ok(())
    }

    /// Reads everything that was acknowledged, and counts what is not there.
    fn count_lost(&mut self) -> Result<u32, Failure> {
        let mut lost = 0;
        for index in 0..self.acknowledged {
            self.check_interrupt()?;
            let get = Question::Get { key: key(index) }.encode();
            let reply = self.client.read(&get).map_err(|error| super::kv::failure(&error))?;
            let found = Reply::decode(&reply).is_ok_and(|reply| reply == Reply::Found(value(index)));
            lost += u32::from(!found);
        }
        Ok(lost)
    }

    /// Waits for a leader that holds its lease, other than `except`.
    fn await_leader(&self, except: Option<u8>) -> Result<Status, Failure> {
        self.wait_for("no server leads", |statuses| {
            let leads = |status: &&Status| {
                status.role == Standing::Leading
                    && status.lease_remaining_ms.is_some()
                    && Some(status.server) != except
            };
            statuses.iter().find(leads).cloned()
        })
    }

    /// Waits until a server has applied what the others have.
    fn await_caught_up(&self, server: u8) -> Result<(), Failure> {
        self.wait_for("the restarted server does not catch up", |statuses| {
            let furthest = statuses.iter().map(|status| status.applied).max()?;
            let own = statuses.iter().find(|status| status.server == server)?;
            (statuses.len() == self.destination.servers.len() && own.applied == furthest).then_some(())
        })
    }

    fn wait_for<T>(
        &self,
        complaint: &str,
        mut found: impl FnMut(&[Status]) -> Option<T>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.check_interrupt()?;
            let heard = survey(&self.destination, Duration::from_millis(200))
                .map_err(|error| Failure::new(Exit::Runtime, error))?;
            let statuses: Vec<_> = heard.into_iter().filter_map(|(_, status)| status).collect();
            if let Some(found) = found(&statuses) {
                return Ok(found);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(Failure::new(Exit::Runtime, format!("{complaint}, though {} s have passed", PATIENCE.as_secs())))
    }

    /// Serves until Ctrl-C.
    fn serve(&mut self) -> Result<(), Failure> {
        let config = self.servers.config_path(0);
        let key = self.servers.client_key().map_or(String::new(), |key| format!(" --key {}", key.display()));
        let who = format!("--config {}{key}", config.display());
        eprintln!("\nserving until Ctrl-C. Try, in another terminal:");
        eprintln!("  cargo run -p cluster -- kv {who} put k v");
        eprintln!("  cargo run -p cluster -- kv {who} get k");
        eprintln!("  cargo run -p cluster -- status {who}");
        eprintln!("or watch it in a browser, each server's page shows all of them:");
        for page in self.servers.pages() {
            eprintln!("  http://{page}/");
        }
        // An error means that nobody can interrupt any more: then it is over too.
        let _ = self.interrupted.recv();
        self.servers.check()
    }

    fn check_interrupt(&self) -> Result<(), Failure> {
        match self.interrupted.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Ok(()) | Err(TryRecvError::Disconnected) => {
                Err(Failure::new(Exit::Interrupted, "the demo was not finished"))
            }
        }
    }
}

fn key(index: u32) -> Vec<u8> {
    format!("key {index}").into()
}

fn value(index: u32) -> Vec<u8> {
    format!("value {index}").into()
}
