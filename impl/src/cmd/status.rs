//! `cluster status`: how every server is.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use cluster::client::survey;
use cluster::exit::{Exit, Failure};
use cluster::status::Status;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::{JSON_SCHEMA, Servers};

const EXAMPLES: &str = "\
Examples:
  cluster status --servers 127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002
  cluster status --config 0.toml --json";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    servers: Servers,
    /// How long to wait for the slowest server, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    timeout_ms: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let destination = arguments.servers.destination()?;
    let patience = Duration::from_millis(arguments.timeout_ms);
    let heard = survey(&destination, patience).map_err(|error| Failure::new(Exit::Runtime, error))?;
    let text = if arguments.json { object(&heard).to_string() } else { table(&heard) };
    writeln!(io::stdout().lock(), "{text}")
        .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    let nobody = heard.iter().all(|(_, status)| status.is_none());
    if nobody {
        return Err(Failure::new(Exit::Runtime, "no server answered"));
    }
    Ok(Exit::Done)
}

fn table(heard: &[(SocketAddr, Option<Status>)]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !io::stdout().is_terminal() {
        table.force_no_tty();
    }
    table.set_header(["SERVER", "ADDRESS", "ROLE", "VIEW", "COMMITTED", "APPLIED", "LEASE"]);
    for (address, status) in heard {
        let address = address.to_string();
        match status {
            Some(status) => table.add_row([
                status.server.to_string(),
                address,
                status.role.to_string(),
                status.view.to_string(),
                status.committed.to_string(),
                status.applied.to_string(),
                status.lease_remaining_ms.map_or("-".into(), |ms| format!("{ms:.0} ms")),
            ]),
            None => table.add_row(["-", &address, "unreachable", "-", "-", "-", "-"]),
        };
    }
    table.trim_fmt()
}

fn object(heard: &[(SocketAddr, Option<Status>)]) -> Value {
    let servers: Vec<_> = heard
        .iter()
        .map(|(address, status)| match status {
            Some(status) => json!({
                "address": address,
                "reachable": true,
                "server": status.server,
                "boots": status.boots,
                "role": status.role,
                "view": status.view.to_string(),
                "committed": status.committed,
                "applied": status.applied,
                "lease_remaining_ms": status.lease_remaining_ms,
                "counters": status.counters,
            }),
            None => json!({"address": address, "reachable": false}),
        })
        .collect();
    json!({"schema": JSON_SCHEMA, "command": "status", "servers": servers})
}
