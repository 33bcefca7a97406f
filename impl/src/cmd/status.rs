//! `cluster status`: how every server is.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use clap::Args;
use cluster::client::{Destination, survey};
use cluster::exit::{Exit, Failure};
use cluster::status::Status;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::{JSON_SCHEMA, Servers};

const EXAMPLES: &str = "\
Examples:
  cluster status --servers 127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002
  cluster status --config 0.toml --json
  cluster status --config 0.toml --watch

Exit codes: 0 some server answered, or --watch was ended · 1 no server answered";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    servers: Servers,
    /// How long to wait for the slowest server, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS")]
    timeout_ms: u64,
    /// Print JSON: one object, with --watch one a line
    #[arg(long)]
    json: bool,
    /// Look again and again until Ctrl-C: a table that renews itself on a terminal, else JSON lines
    #[arg(long)]
    watch: bool,
    /// With --watch: how long to rest between two looks, in milliseconds
    #[arg(long, default_value_t = 1000, value_name = "MS", requires = "watch")]
    every_ms: u64,
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let destination = arguments.servers.destination()?;
    let patience = Duration::from_millis(arguments.timeout_ms);
    if arguments.watch {
        let every = Duration::from_millis(arguments.every_ms);
        return watch(&destination, patience, every, arguments.json);
    }
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

/// Looks again and again until Ctrl-C, or until nobody reads it any more.
fn watch(
    destination: &Destination,
    patience: Duration,
    every: Duration,
    json: bool,
) -> Result<Exit, Failure> {
    // Cursor to the top left, and all behind it away: less flicker than an empty screen in between.
    const RENEW: &str = "\x1b[H\x1b[J";
    let interrupted = super::on_interrupt()?;
    let lines = json || !io::stdout().is_terminal();
    loop {
        let heard = survey(destination, patience).map_err(|error| Failure::new(Exit::Runtime, error))?;
        let text = if lines { object(&heard).to_string() } else { format!("{RENEW}{}", table(&heard)) };
        match writeln!(io::stdout().lock(), "{text}") {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Done),
            Err(error) => return Err(Failure::new(Exit::Runtime, format!("standard output: {error}"))),
        }
        if !matches!(interrupted.recv_timeout(every), Err(RecvTimeoutError::Timeout)) {
            return Ok(Exit::Done);
        }
    }
}

/// Whose clocks are out of step with a server's.
fn clocks(status: &Status) -> String {
    let apart: Vec<_> = status.clocks_apart.iter().map(ToString::to_string).collect();
    if apart.is_empty() { "ok".into() } else { format!("not with {}", apart.join(", ")) }
}

fn table(heard: &[(SocketAddr, Option<Status>)]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !io::stdout().is_terminal() {
        table.force_no_tty();
    }
    table.set_header(["SERVER", "ADDRESS", "ROLE", "VIEW", "COMMITTED", "APPLIED", "LEASE", "CLOCKS"]);
    for (address, status) in heard {
        let address = address.to_string();
        match status {
            Some(status) => table.add_row([
                status.server.to_string(),
                address,
                format!("{}{}", status.role, if status.disk_full { ", disk full" } else { "" }),
                status.view.to_string(),
                status.committed.to_string(),
                status.applied.to_string(),
                status.lease_remaining_ms.map_or("-".into(), |ms| format!("{ms:.0} ms")),
                clocks(status),
            ]),
            None => table.add_row(["-", &address, "unreachable", "-", "-", "-", "-", "-"]),
        };
    }
    let recoveries = heard.iter().filter_map(|(_, status)| {
        let status = status.as_ref()?;
        Some(format!("\nserver {} recovers: {}", status.server, status.recovery.as_ref()?))
    });
    recoveries.fold(table.trim_fmt(), |text, line| text + &line)
}

fn object(heard: &[(SocketAddr, Option<Status>)]) -> Value {
    let servers: Vec<_> = heard
        .iter()
        .map(|(address, status)| {
            let mut server = status.as_ref().map_or_else(|| json!({}), Status::to_json);
            server["address"] = json!(address);
            server["reachable"] = json!(status.is_some());
            if let Some(status) = status {
                server["server"] = json!(status.server);
            }
            server
        })
        .collect();
    json!({"schema": JSON_SCHEMA, "command": "status", "servers": servers})
}
