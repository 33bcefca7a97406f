//! `cluster transfer`: another leader, without waiting for a lease to run out.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::Args;
use cluster::client::{Client, Destination, survey};
use cluster::exit::{Exit, Failure};
use cluster::spec::ServerId;
use cluster::status::Standing;
use serde_json::json;

use super::{JSON_SCHEMA, Servers, kv, only_one_group};

const EXAMPLES: &str = "\
Examples:
  cluster transfer --config 0.toml            to the most up-to-date server
  cluster transfer --config 0.toml --to 2     to server 2, before server 0 is maintained

The leader gives its lease up and asks the other to stand for election at once. It refuses if it has not heard of
that server lately. A node that is stopped hands over by itself.

Exit codes: 0 the other server leads · 1 nobody could take over, or another server leads · 24 no answer in time";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    servers: Servers,
    /// The server that is to lead; the most up-to-date one if none is given
    #[arg(long, value_name = "ID")]
    to: Option<u8>,
    /// How long to wait, in milliseconds
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    timeout_ms: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let patience = Duration::from_millis(arguments.timeout_ms);
    let (destination, groups) = arguments.servers.destination_of_all_groups(patience)?;
    only_one_group(groups, "cluster transfer")?;
    let mut client =
        Client::new(&destination, patience).map_err(|error| Failure::new(Exit::Runtime, error))?;
    let begun = Instant::now();
    let to = client.transfer(arguments.to.map(ServerId)).map_err(|error| kv::failure(&error))?;
    await_leader(&destination, to, begun, patience)?;
    let ms = begun.elapsed().as_millis();
    if arguments.json {
        let object = json!({"schema": JSON_SCHEMA, "command": "transfer", "leader": to.0,
            "took_ms": u64::try_from(ms).unwrap_or(u64::MAX)});
        writeln!(io::stdout().lock(), "{object}")
            .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    } else {
        eprintln!("server {to} leads, {ms} ms after it was asked for");
    }
    Ok(Exit::Done)
}

/// Waits until a server says that it leads.
fn await_leader(
    destination: &Destination,
    to: ServerId,
    begun: Instant,
    patience: Duration,
) -> Result<(), Failure> {
    let mut leads = None;
    while begun.elapsed() < patience {
        let heard = survey(destination, Duration::from_millis(100))
            .map_err(|error| Failure::new(Exit::Runtime, error))?;
        let leading = heard.into_iter().filter_map(|(_, status)| status);
        // Whoever has promised more has the later view; an old leader may not know of it yet.
        let leader = leading.filter(|status| status.role == Standing::Leading).max_by_key(|s| s.view);
        leads = leader.map(|status| status.server);
        if leads == Some(to.0) {
            return Ok(());
        }
    }
    let now = leads.map_or("no server leads".into(), |leader| format!("server {leader} leads"));
    let message = format!("server {to} was asked to lead, but after {} ms {now}", patience.as_millis());
    Err(Failure::new(Exit::Runtime, message))
}
