//! `cluster kv`: the key-value store's client.

mod export;
mod import;
mod text;
mod watch;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use cluster::client::{Client, ClientError, Destination, Parts, Stale};
use cluster::exit::{Exit, Failure};
use cluster::kv::{Change, Question, Reply, Store};
use cluster::spec::Slot;
use serde_json::{Map, Value};

use super::{JSON_SCHEMA, Servers, only_one_group};

const EXAMPLES: &str = "\
Examples:
  cluster kv --servers 127.0.0.1:7000,127.0.0.1:7001 put colour blue
  CLUSTER_SERVERS=127.0.0.1:7000 cluster kv get colour
  cluster kv --config 0.toml cas colour blue green
  cluster kv --config 0.toml list --prefix user/
  cluster kv --config 0.toml export >backup.jsonl
  cluster kv --config 1.toml import backup.jsonl
  cluster kv --config 0.toml watch --prefix user/

Keys and values may be any bytes. What is not UTF-8 is shown as \\xNN, and in JSON as hexadecimal under key_hex
and value_hex.

Exit codes: 0 done · 1 no such key, or another value was found · 24 outcome unknown (no answer in time)";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    servers: Servers,
    /// How long to wait for an answer, in milliseconds
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    timeout_ms: u64,
    /// Print JSON: one object, or one a line for many keys
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand, Debug)]
enum Operation {
    /// Print a key's value
    Get {
        /// The key
        key: OsString,
        /// Any server's answer will do, however old: needs no leader and no quorum
        #[arg(long)]
        stale: bool,
        /// With --stale: ask this server; others only if it does not answer
        #[arg(long, value_name = "ADDRESS", requires = "stale")]
        from: Option<SocketAddr>,
    },
    /// Give a key a value
    Put {
        /// The key
        key: OsString,
        /// Its new value
        value: OsString,
    },
    /// Remove a key
    Delete {
        /// The key
        key: OsString,
    },
    /// Compare and swap: give a key a value if it has the expected one
    Cas {
        /// The key
        key: OsString,
        /// The value that it must have
        expected: OsString,
        /// Its new value
        value: OsString,
    },
    /// Print keys and their values, in order of the keys, as they were at one moment
    List {
        /// Only keys that begin so
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: OsString,
    },
    /// Print each change as it is learnt, as JSON lines, without a gap also across fail-overs; a cas also where it found
    /// another value than it expected
    Watch {
        /// Only keys that begin so
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: OsString,
        /// Begin with this slot of the log; with what is written from now on if none is given
        #[arg(long, value_name = "SLOT")]
        from: Option<u64>,
        /// End after so many changes
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
    /// Put a pair for each JSON line of a file or of standard input
    Import {
        /// The file; - is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Leave so many lines out: where an import that was cut short came to
        #[arg(long, default_value_t = 0, value_name = "LINES")]
        skip: u64,
    },
    /// Print all pairs as JSON lines, as they were at one moment
    Export {
        /// Only keys that begin so
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: OsString,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let patience = Duration::from_millis(arguments.timeout_ms);
    let (destination, groups) = arguments.servers.destination_of_all_groups(patience)?;
    let mut parts = Parts::new(&destination, groups, patience);
    match arguments.operation {
        Operation::List { prefix } => print_pairs(&mut parts, prefix, arguments.json),
        Operation::Export { prefix } => print_pairs(&mut parts, prefix, true),
        Operation::Import { file, skip } => {
            only_one_group(groups, "kv import")?;
            import_file(&destination, &file, skip, patience)
        }
        Operation::Watch { prefix, from, count } => {
            only_one_group(groups, "kv watch")?;
            watch::watch(client(parts.of_part(0))?, &prefix.into_vec(), from.map(Slot), count)
        }
        single => {
            let of_key = parts.of_key(single.key().as_bytes());
            run_single(client(of_key)?, single, arguments.json)
        }
    }
}

fn client(made: io::Result<&mut Client>) -> Result<&mut Client, Failure> {
    made.map_err(|error| Failure::new(Exit::Runtime, error))
}

impl Operation {
    /// The key of an operation on one; an empty one of another.
    fn key(&self) -> &OsStr {
        match self {
            Self::Get { key, .. } | Self::Put { key, .. } | Self::Delete { key } | Self::Cas { key, .. } => {
                key
            }
            Self::List { .. } | Self::Watch { .. } | Self::Import { .. } | Self::Export { .. } => {
                OsStr::new("")
            }
        }
    }
}

fn run_single(client: &mut Client, operation: Operation, json: bool) -> Result<Exit, Failure> {
    let swaps = matches!(operation, Operation::Cas { .. });
    let (reply, stale) = ask(client, operation)?;
    if let Some(stale) = &stale {
        eprintln!("stale: the state of {} as of slot {}", stale.server, stale.as_of);
    }
    let printed = if json { print_json(&reply, stale.as_ref()) } else { print(&reply) };
    printed.map_err(|error| stdout_failed(&error))?;
    Ok(match reply {
        Reply::NotFound | Reply::Malformed | Reply::Elsewhere { .. } => Exit::Runtime,
        Reply::Found(_) if swaps => Exit::Runtime,
        _ => Exit::Done,
    })
}

/// The store's reply, and where it comes from if it may be stale.
fn ask(client: &mut Client, operation: Operation) -> Result<(Reply, Option<Stale>), Failure> {
    let mut origin = None;
    let answered = match operation {
        Operation::Get { key, stale: false, .. } => {
            client.read(&Question::Get { key: key.into_vec() }.encode())
        }
        Operation::Get { key, from, .. } => {
            let question = Question::Get { key: key.into_vec() };
            client.read_stale(&question.encode(), from).map(|stale| origin.insert(stale).value.clone())
        }
        Operation::Put { key, value } => {
            propose(client, &Change::Put { key: key.into_vec(), value: value.into_vec() })
        }
        Operation::Delete { key } => propose(client, &Change::Delete { key: key.into_vec() }),
        Operation::Cas { key, expected, value } => {
            let (key, expected, value) = (key.into_vec(), expected.into_vec(), value.into_vec());
            propose(client, &Change::Swap { key, expected, value })
        }
        Operation::List { .. }
        | Operation::Watch { .. }
        | Operation::Import { .. }
        | Operation::Export { .. } => {
            unreachable!("these ask more than once")
        }
    };
    let bytes = answered.map_err(|error| failure(&error))?;
    let reply = Reply::decode(&bytes).map_err(|error| {
        Failure::new(Exit::Runtime, format!("the servers run another state machine: {error}"))
    })?;
    Ok((reply, origin))
}

/// Prints the keys with a prefix as they were at one slot of their group.
fn print_pairs(parts: &mut Parts, prefix: OsString, json: bool) -> Result<Exit, Failure> {
    let prefix = prefix.into_vec();
    let (mut store, mut slots) = (Store::default(), Vec::new());
    for part in 0..parts.count() {
        let (slot, of_part) = export::export(client(parts.of_part(part))?, &prefix)?;
        store.merge(of_part);
        slots.push(slot.to_string());
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let mut count = 0;
    for (key, value) in store.entries() {
        let line = match json {
            true => text::pair(key, value).to_string(),
            false => format!("{}\t{}", text::escaped(key), text::escaped(value)),
        };
        writeln!(out, "{line}").map_err(|error| stdout_failed(&error))?;
        count += 1;
    }
    out.flush().map_err(|error| stdout_failed(&error))?;
    eprintln!("{count} keys as of slot {}", slots.join(", "));
    Ok(Exit::Done)
}

fn import_file(
    destination: &Destination,
    file: &Path,
    skip: u64,
    patience: Duration,
) -> Result<Exit, Failure> {
    let imported = if file == Path::new("-") {
        import::import(destination, io::stdin().lock(), skip, patience)
    } else {
        let opened = File::open(file)
            .map_err(|error| Failure::new(Exit::Runtime, format!("{}: {error}", file.display())))?;
        import::import(destination, BufReader::new(opened), skip, patience)
            .map_err(|Failure { exit, message }| Failure::new(exit, format!("{}, {message}", file.display())))
    }?;
    eprintln!("{imported} pairs imported");
    Ok(Exit::Done)
}

fn stdout_failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Runtime, format!("standard output: {error}"))
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
        Reply::Listed { .. } => ("listed", None),
        Reply::Elsewhere { .. } => ("in another group", None),
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

fn print_json(reply: &Reply, stale: Option<&Stale>) -> io::Result<()> {
    let (word, value) = words(reply);
    let mut object = Map::new();
    object.insert("schema".into(), JSON_SCHEMA.into());
    object.insert("command".into(), "kv".into());
    object.insert("outcome".into(), word.into());
    match value {
        Some(value) => text::add(&mut object, "value", value),
        None => drop(object.insert("value".into(), Value::Null)),
    }
    if let Some(stale) = stale {
        object.insert("stale".into(), true.into());
        object.insert("server".into(), stale.server.to_string().into());
        object.insert("as_of".into(), stale.as_of.0.into());
    }
    writeln!(io::stdout().lock(), "{}", Value::Object(object))
}

fn propose(client: &mut Client, change: &Change) -> Result<Vec<u8>, ClientError> {
    client.propose(&change.encode()).map(|(_, result)| result)
}

/// How a command ends whose client had no result.
pub(super) fn failure(error: &ClientError) -> Failure {
    let exit = match error {
        ClientError::OutcomeUnknown(_) | ClientError::SessionLost | ClientError::NoAnswer(_) => {
            Exit::OutcomeUnknown
        }
        ClientError::TooLong { .. } => Exit::Usage,
        ClientError::Io(_)
        | ClientError::Forbidden
        | ClientError::Compacted { .. }
        | ClientError::NoSuccessor => Exit::Runtime,
    };
    Failure::new(exit, error)
}
