//! `cluster recover`: another disk for a server that lost its own. What the lost one held comes from the others.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use cluster::config::NodeConfig;
use cluster::data::{self, Recover, Recovered};
use cluster::exit::{Exit, Failure};
use serde_json::json;

use super::JSON_SCHEMA;

const EXAMPLES: &str = "\
Examples:
  cluster recover --config 2.toml && cluster node --config 2.toml    server 2's disk was lost or is damaged

When its disk is lost, or damaged beyond repair, a server no longer knows what it promised and voted for. This begins
another disk, and moves what is left of the old one aside; nothing is deleted. Once started, the server asks every other
server what it must have known, and votes again when all have told and the longest lease that it may have granted is
over. While another server is down it waits, and says for whom: `cluster status`. Recover one server at a time: two that
lost their disks cannot help each other.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also where the server can start from its log: it said that it was set back, by an old backup, say
    #[arg(long)]
    force: bool,
    /// An incarnation that another server knows, where this one said so: the clock was set back
    #[arg(long, value_name = "INCARNATION", default_value_t = 0)]
    above: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let path = &arguments.config;
    let config = NodeConfig::load(path).map_err(|error| Failure::new(Exit::Usage, error))?;
    let order =
        Recover { at_least: unix_time_ms().max(arguments.above.saturating_add(1)), force: arguments.force };
    let Recovered { incarnation, set_aside } = data::recover(&config, order)
        .map_err(|error| Failure::new(error.exit(), format!("server {}: {error}", config.server)))?;
    let (server, directory) = (config.server, config.data.display());
    if arguments.json {
        let object = json!({
            "schema": JSON_SCHEMA,
            "command": "recover",
            "server": server,
            "directory": directory.to_string(),
            "incarnation": incarnation,
            "set_aside": set_aside.map(|path| path.display().to_string()),
        });
        return writeln!(io::stdout().lock(), "{object}")
            .map(|()| Exit::Done)
            .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")));
    }
    match set_aside {
        Some(aside) => {
            eprintln!("server {server}: what was left in {directory} is in {} now", aside.display());
        }
        None => eprintln!("server {server}: nothing was left in {directory}"),
    }
    eprintln!(
        "server {server}: {directory} is begun anew, as incarnation {incarnation}. Start the server with `cluster node \
         --config {}`: it votes again when every other server has told it what it must know",
        path.display()
    );
    Ok(Exit::Done)
}

/// The time of the day is no time to decide by; but no earlier disk of the server can have had this number, unless the
/// clock was set back, and then the other servers say so.
fn unix_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
