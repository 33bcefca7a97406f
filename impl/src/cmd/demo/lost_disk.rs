//! A follower loses its disk: it does not start before `cluster recover`, then has the others tell it all that it must know,
//! fetches a snapshot, and is needed for every update again.

use std::time::{Duration, Instant};

use cluster::exit::{Exit, Failure};
use serde_json::{Value, json};

use super::{Demo, SERVERS};

/// Updates that rest on the recovered server's vote.
const UPDATES_AFTER: u32 = 20;

/// How a server recovered.
pub(super) struct Outcome {
    pub(super) server: u8,
    /// From the start of the recovery to its first vote.
    pub(super) took: Duration,
    refused_with: i32,
    incarnation: u64,
    snapshots_fetched: u64,
}

impl Outcome {
    pub(super) fn object(&self) -> Value {
        json!({
            "server": self.server,
            "refused_with": self.refused_with,
            "incarnation": self.incarnation,
            "snapshots_fetched": self.snapshots_fetched,
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

impl Demo {
    /// Wipes a follower's disk and recovers it, then kills the leader: what is acknowledged after that needs its vote.
    pub(super) fn lose_a_disk(&mut self) -> Result<Outcome, Failure> {
        let leader = self.await_leader(None)?.server;
        let server = (leader + 1) % SERVERS;
        eprintln!("killing server {server} and wiping its disk");
        self.servers.kill(server)?;
        self.servers.wipe(server)?;
        let refused_with = self.servers.run("node", server)?.unwrap_or(-1);
        if refused_with != Exit::RecoverNeeded as i32 {
            let message = format!("server {server} ended with {refused_with} on an empty disk");
            return Err(Failure::new(Exit::Runtime, message));
        }
        let begun = Instant::now();
        if self.servers.run("recover", server)? != Some(0) {
            return Err(Failure::new(Exit::Runtime, format!("server {server} cannot be recovered")));
        }
        self.servers.launch(server)?;
        let status = self.wait_for("the server whose disk was wiped does not recover", |statuses| {
            let own = statuses.iter().find(|status| status.server == server)?;
            (own.incarnation > 0 && own.recovery.is_none()).then(|| own.clone())
        })?;
        let took = begun.elapsed();
        eprintln!("server {server} votes again after {} ms", took.as_millis());
        self.await_caught_up(server)?;

        let leader = self.await_leader(None)?.server;
        let other = if leader == server { (server + 1) % SERVERS } else { leader };
        eprintln!("killing server {other}: every update needs the vote of server {server} now");
        self.servers.kill(other)?;
        self.put(UPDATES_AFTER)?;
        self.servers.launch(other)?;
        self.await_caught_up(other)?;
        Ok(Outcome {
            server,
            took,
            refused_with,
            incarnation: status.incarnation,
            snapshots_fetched: status.counters.snapshots_fetched,
        })
    }
}
