//! `cluster bench`: how fast a cluster is, and what bounds it.

mod report;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use cluster::client::{Destination, survey};
use cluster::config::DEFAULT_CLUSTER;
use cluster::exit::{Exit, Failure};
use cluster::load::{self, Distribution, Keys, Load};
use cluster::status::Status;

use super::demo::servers::Servers as OwnServers;
use super::{Servers, only_one_group};
use report::Report;
use usage::{MemoryWatch, Usage};

/// How long the first answer, or a server's status, may take.
const PATIENCE: Duration = Duration::from_secs(20);
const SURVEY_PATIENCE: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  cluster bench --servers 3 --clients 64              three servers of its own, 64 clients, updates
  cluster bench --servers 3 --rate 5000 --read-share 0.5   an open loop: latency counts from the schedule
  cluster bench --config 0.toml --clients 256 --json  against a cluster that is running

Each client has one operation at a time. Without --rate a client begins the next when the last has ended
(closed loop); with it operations begin by a schedule, and one that waits for a client counts its wait, too.";

#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum KeyDistribution {
    /// All keys alike
    Uniform,
    /// A few keys most of the time, as in YCSB (exponent 0.99)
    Zipf,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Start so many servers here, as processes of their own, and stop them afterwards
    #[arg(long, value_name = "N", conflicts_with_all = ["config", "addresses"],
          value_parser = clap::value_parser!(u8).range(1..=15))]
    servers: Option<u8>,
    /// Take a running cluster's addresses and id from a node's configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "addresses")]
    config: Option<std::path::PathBuf>,
    /// The file of this client's private key, for a cluster that has keys (with `--config`)
    #[arg(long, value_name = "FILE", requires = "config")]
    key: Option<std::path::PathBuf>,
    /// Start servers that do without keys: nothing is authenticated or encrypted
    #[arg(long, requires = "servers")]
    insecure: bool,
    /// Start servers that keep their logs in memory: NOTHING IS DURABLE. Shows what the disk costs
    #[arg(long, requires = "servers")]
    memory: bool,
    /// A running cluster's addresses, with commas between them
    #[arg(long, value_delimiter = ',', env = "CLUSTER_SERVERS", value_name = "ADDRESS,…")]
    addresses: Vec<SocketAddr>,
    /// How many clients
    #[arg(long, default_value_t = 64, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=16_000))]
    clients: usize,
    /// The length of a value
    #[arg(long, default_value_t = 256, value_name = "BYTES",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=65_536))]
    value_size: usize,
    /// How many of all operations are reads, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    read_share: f64,
    /// Operations a second, of all clients together (open loop)
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    rate: Option<f64>,
    /// How many keys are touched
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    keys: u64,
    /// How often each key is touched
    #[arg(long, value_enum, default_value_t = KeyDistribution::Uniform, value_name = "HOW")]
    key_distribution: KeyDistribution,
    /// How many updates the leader may have under way; for servers of its own
    #[arg(long, value_name = "N", requires = "servers", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    window: Option<u32>,
    /// How long to measure
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS", value_parser = positive)]
    seconds: f64,
    /// How long to run before measuring
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = non_negative)]
    warm_up: f64,
    /// Of keys and kinds of operations
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Print one JSON object
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print a header and a line of values with commas between them
    #[arg(long)]
    csv: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let stop = stop_on_interrupt()?;
    let (own, destination) = cluster_of(arguments)?;
    let own_ids = own.as_ref().map(OwnServers::process_ids).unwrap_or_default();
    eprintln!(
        "{} clients, {} s after a warm-up of {} s, against {} servers",
        arguments.clients,
        arguments.seconds,
        arguments.warm_up,
        destination.servers.len()
    );
    let mut begun = None;
    let measured = load::run(&destination, &load_of(arguments), PATIENCE, &stop, || {
        begun = Some((Sample::take(&destination, &own_ids), MemoryWatch::begin(&own_ids)));
    })
    .map_err(|error| Failure::new(Exit::Runtime, error))?;
    let (before, watch) = begun.expect("the load has begun");
    let memory = watch.end();
    let after = Sample::take(&destination, &own_ids);
    let report = Report::new(arguments, &destination, &measured, [&before, &after], &memory);
    report
        .print(arguments)
        .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    Ok(if stop.load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Done })
}

/// What is known of servers and CPUs at a moment.
struct Sample {
    usage: Usage,
    /// Of each server, by address, if it answered.
    statuses: Vec<Option<Status>>,
}

impl Sample {
    fn take(destination: &Destination, own_ids: &[u32]) -> Self {
        let heard = survey(destination, SURVEY_PATIENCE).unwrap_or_default();
        let statuses = heard.into_iter().map(|(_, status)| status).collect();
        Self { usage: Usage::now(own_ids), statuses }
    }
}

fn load_of(arguments: &Arguments) -> Load {
    let distribution = match arguments.key_distribution {
        KeyDistribution::Uniform => Distribution::Uniform,
        KeyDistribution::Zipf => Distribution::Zipf { exponent: 0.99 },
    };
    Load {
        clients: arguments.clients,
        rate: arguments.rate,
        value_bytes: arguments.value_size,
        read_share: arguments.read_share,
        keys: Keys::new(arguments.keys, distribution),
        warm_up: Duration::from_secs_f64(arguments.warm_up),
        duration: Duration::from_secs_f64(arguments.seconds),
        seed: arguments.seed,
        trace: false,
    }
}

/// The cluster to measure, and the servers if they were started for it.
fn cluster_of(arguments: &Arguments) -> Result<(Option<OwnServers>, Destination), Failure> {
    let Some(count) = arguments.servers else {
        let servers = Servers {
            servers: arguments.addresses.clone(),
            config: arguments.config.clone(),
            key: arguments.key.clone(),
            cluster: DEFAULT_CLUSTER,
        };
        let found = servers.destination_of_all_groups(PATIENCE).and_then(|(destination, groups)| {
            only_one_group(groups, "cluster bench").map(|()| (None, destination))
        });
        return found.map_err(|failure| Failure {
            message: format!(
                "{}, or start some with --servers N",
                failure.message.replace("--servers", "--addresses")
            ),
            ..failure
        });
    };
    let mut settings = arguments.window.map_or(String::new(), |window| format!("window = {window}\n"));
    if arguments.memory {
        settings += "memory_log = true\n";
        eprintln!("WARNING: --memory: nothing that these servers acknowledge is durable");
    }
    let own = OwnServers::start(count, &settings, arguments.insecure)?;
    let key = own.client_key();
    let servers =
        Servers { servers: Vec::new(), config: Some(own.config_path(0)), key, cluster: DEFAULT_CLUSTER };
    let destination = servers.destination()?;
    Ok((Some(own), destination))
}

/// Set when the program is interrupted: the load ends early, and what was measured is printed.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = super::on_interrupt()?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    thread::spawn(move || {
        if interrupted.recv().is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    Ok(stop)
}

fn share(text: &str) -> Result<f64, String> {
    number(text, "a share is from 0 to 1", |share| (0.0..=1.0).contains(&share))
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, "it must be more than 0, and at most a million", |number| number > 0.0 && number <= 1e6)
}

fn non_negative(text: &str) -> Result<f64, String> {
    number(text, "it must be 0 or more, and at most a million", |number| (0.0..=1e6).contains(&number))
}

fn number(text: &str, requirement: &str, holds: fn(f64) -> bool) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if holds(number) { Ok(number) } else { Err(requirement.to_owned()) }
}
