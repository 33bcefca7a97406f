//! `cluster kv`: the key-value store's client.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use cluster::client::{Client, ClientError};
use cluster::exit::{Exit, Failure};
use cluster::kv::{Change, Question, Reply};
use serde_json::json;

use super::{JSON_SCHEMA, Servers};

const EXAMPLES: &str = "\
Examples:
  cluster kv --servers 127.0.0.1:7000,127.0.0.1:7001 put colour blue
  CLUSTER_SERVERS=127.0.0.1:7000 cluster kv get colour
  cluster kv --config 0.toml cas colour blue green

Exit codes: 0 done · 1 no such key, or another value was found · 24 outcome unknown (no answer in time)";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    servers: Servers,
    /// How long to wait for an answer, in milliseconds
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    timeout_ms: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand, Debug)]
enum Operation {
    /// Print a key's value
    Get {
        /// The key
        key: String,
    },
    /// Give a key a value
    Put {
        /// The key
        key: String,
        /// Its new value
        value: String,
    },
    /// Remove a key
    Delete {
        /// The key
        key: String,
    },
    /// Compare and swap: give a key a value if it has the expected one
    Cas {
        /// The key
        key: String,
        /// The value that it must have
        expected: String,
        /// Its new value
        value: String,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let destination = arguments.servers.destination()?;
    let patience = Duration::from_millis(arguments.timeout_ms);
    let mut client =
        Client::new(&destination, patience).map_err(|error| Failure::new(Exit::Runtime, error))?;
    let swaps = matches!(arguments.operation, Operation::Cas { .. });
    let reply = ask(&mut client, arguments.operation)?;
    let printed = if arguments.json { print_json(&reply) } else { print(&reply) };
    printed.map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    Ok(match reply {
        Reply::NotFound | Reply::Malformed => Exit::Runtime,
        Reply::Found(_) if swaps => Exit::Runtime,
        _ => Exit::Done,
    })
}

fn ask(client: &mut Client, operation: Operation) -> Result<Reply, Failure> {
    let answered = match operation {
        Operation::Get { key } => client.read(&Question::Get { key: key.into() }.encode()),
        Operation::Put { key, value } => {
            propose(client, &Change::Put { key: key.into(), value: value.into() })
        }
        Operation::Delete { key } => propose(client, &Change::Delete { key: key.into() }),
        Operation::Cas { key, expected, value } => {
            let (key, expected, value) = (key.into(), expected.into(), value.into());
            propose(client, &Change::Swap { key, expected, value })
        }
    };
    let bytes = answered.map_err(|error| failure(&error))?;
    Reply::decode(&bytes).map_err(|error| {
        Failure::new(Exit::Runtime, format!("the servers run another state machine: {error}"))
    })
}

/// The word for a reply, and the value that comes with it.
fn words(reply: &Reply) -> (&'static str, Option<&[u8]>) {
    match reply {
        Reply::Created => ("created", None),
        Reply::Replaced => ("replaced", None),
        Reply::Deleted => ("deleted", None),
        Reply::Swapped => ("swapped", None),
        Reply::Found(value) => ("found", Some(value)),
        Reply::NotFound => ("not found", None),
        Reply::Malformed => ("malformed", None),
    }
}

/// A value is data and goes to standard output as it is; what is said about it goes to standard error.
fn print(reply: &Reply) -> io::Result<()> {
    let (word, value) = words(reply);
    let Some(value) = value else {
        eprintln!("{word}");
        return Ok(());
    };
    let mut out = io::stdout().lock();
    out.write_all(value)?;
    out.write_all(b"\n")
}

fn print_json(reply: &Reply) -> io::Result<()> {
    let (word, value) = words(reply);
    let value = value.map(String::from_utf8_lossy);
    let object = json!({"schema": JSON_SCHEMA, "command": "kv", "outcome": word, "value": value});
    writeln!(io::stdout().lock(), "{object}")
}

fn propose(client: &mut Client, change: &Change) -> Result<Vec<u8>, ClientError> {
    client.propose(&change.encode()).map(|(_, result)| result)
}

/// How a command ends whose client had no result.
pub(super) fn failure(error: &ClientError) -> Failure {
    let exit = match error {
        ClientError::OutcomeUnknown(_) | ClientError::SessionLost => Exit::OutcomeUnknown,
        ClientError::Io(_) => Exit::Runtime,
    };
    Failure::new(exit, error)
}
