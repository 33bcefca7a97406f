//! What `cluster bench` prints.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;

use cluster::client::Destination;
use cluster::load::Measured;
use cluster::status::{Counters, Standing, Status};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::usage::Memory;
use super::{Arguments, Sample};
use crate::cmd::JSON_SCHEMA;

/// A process that uses this much of a CPU, or a machine of its CPUs, has none to spare.
const BUSY: f64 = 0.85;
/// The latencies that are told: name, and the part of all operations that took no longer.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

/// One server between two moments.
struct Server {
    address: SocketAddr,
    leads: bool,
    /// How much of one CPU it used; only of servers that are processes here.
    cpus: Option<f64>,
    /// Its memory while it was measured; likewise.
    memory: Memory,
    syncs_per_s: f64,
    records_per_sync: f64,
    datagrams_in_per_s: f64,
    datagrams_out_per_s: f64,
}

pub(super) struct Report {
    authenticated: bool,
    operations: u64,
    unknown: u64,
    unfinished: u64,
    seconds: f64,
    all: Histogram<u64>,
    updates: Histogram<u64>,
    reads: Histogram<u64>,
    servers: Vec<Option<Server>>,
    load_cpus: Option<f64>,
    machine_busy: Option<f64>,
    bound: String,
}

impl Report {
    pub(super) fn new(
        arguments: &Arguments,
        destination: &Destination,
        measured: &Measured,
        [before, after]: [&Sample; 2],
        memory: &[Memory],
    ) -> Self {
        let seconds = measured.elapsed.as_secs_f64();
        let servers: Vec<_> = (0..destination.servers.len())
            .map(|index| {
                let memory = memory.get(index).cloned().unwrap_or_default();
                Server::between(destination.servers[index], index, [before, after], memory)
            })
            .collect();
        let load_cpus = before.usage.cpus(&after.usage, [before.usage.load, after.usage.load]);
        let mut report = Self {
            authenticated: destination.credentials.is_some(),
            operations: measured.operations(),
            unknown: measured.unknown,
            unfinished: measured.unfinished,
            seconds,
            all: measured.all(),
            updates: measured.updates.clone(),
            reads: measured.reads.clone(),
            servers,
            load_cpus,
            machine_busy: before.usage.machine_busy(&after.usage),
            bound: String::new(),
        };
        report.bound = report.bound_by(arguments);
        report
    }

    fn per_second(&self) -> f64 {
        rate(self.operations, self.seconds)
    }

    /// What kept it from being faster, as far as that can be seen from outside.
    fn bound_by(&self, arguments: &Arguments) -> String {
        if let Some(rate) = arguments.rate.filter(|rate| self.per_second() >= rate * 0.99) {
            return format!("the rate that was asked for, {rate} a second");
        }
        if let Some(busy) = self.machine_busy.filter(|&busy| self.servers_are_here() && busy >= BUSY) {
            return format!("the CPUs of this machine, which are {:.0} % busy", 100.0 * busy);
        }
        let busy = |server: &&Server| server.cpus.is_some_and(|cpus| cpus >= BUSY);
        if let Some(server) = self.servers.iter().flatten().find(busy) {
            return format!("the CPU of the server at {}", server.address);
        }
        if self.load_cpus.is_some_and(|cpus| cpus >= BUSY) {
            return "the CPU of this load, so the cluster may be faster than it".into();
        }
        match self.servers.iter().flatten().find(|server| server.leads && server.syncs_per_s >= 1.0) {
            Some(leader) => format!(
                "waiting for disks and messages: the leader synced {:.0} times a second, {:.1} records each",
                leader.syncs_per_s, leader.records_per_sync
            ),
            None => "waiting for messages".into(),
        }
    }

    fn servers_are_here(&self) -> bool {
        self.servers.iter().flatten().any(|server| server.cpus.is_some())
    }

    pub(super) fn print(&self, arguments: &Arguments) -> io::Result<()> {
        let text = if arguments.json {
            self.object(arguments).to_string()
        } else if arguments.csv {
            self.csv(arguments)
        } else {
            self.text(arguments)
        };
        writeln!(io::stdout().lock(), "{text}")
    }

    fn object(&self, arguments: &Arguments) -> Value {
        let servers: Vec<_> = self.servers.iter().flatten().map(Server::object).collect();
        json!({
            "schema": JSON_SCHEMA,
            "command": "bench",
            "servers": self.servers.len(),
            "clients": arguments.clients,
            "value_bytes": arguments.value_size,
            "durable": !arguments.memory,
            "authenticated": self.authenticated,
            "read_share": arguments.read_share,
            "rate": arguments.rate,
            "seconds": self.seconds,
            "ops": self.operations,
            "ops_per_s": self.per_second(),
            "unknown": self.unknown,
            "unfinished": self.unfinished,
            "latency_us": latencies(&self.all),
            "update_latency_us": latencies(&self.updates),
            "read_latency_us": latencies(&self.reads),
            "load_cpus": self.load_cpus,
            "machine_busy": self.machine_busy,
            "per_server": servers,
            "bound_by": self.bound,
        })
    }

    fn csv(&self, arguments: &Arguments) -> String {
        let quantiles = QUANTILES.map(|(name, _)| format!("{name}_us")).join(",");
        let values = QUANTILES.map(|(_, part)| format!("{:.1}", micros(&self.all, part))).join(",");
        format!(
            "servers,clients,value_bytes,read_share,seconds,ops,ops_per_s,unknown,unfinished,{quantiles}\n\
             {},{},{},{},{:.3},{},{:.1},{},{},{values}",
            self.servers.len(),
            arguments.clients,
            arguments.value_size,
            arguments.read_share,
            self.seconds,
            self.operations,
            self.per_second(),
            self.unknown,
            self.unfinished,
        )
    }

    fn text(&self, arguments: &Arguments) -> String {
        let mut text = format!(
            "{} operations in {:.1} s: {:.0} a second; {} of unknown outcome, {} unfinished\n\n",
            self.operations,
            self.seconds,
            self.per_second(),
            self.unknown,
            self.unfinished
        );
        let mut latency = table(["LATENCY, µs", "COUNT", "p50", "p90", "p99", "p99.9", "MAX"]);
        for (name, histogram) in [("updates", &self.updates), ("reads", &self.reads)] {
            if !histogram.is_empty() {
                let quantiles = QUANTILES.map(|(_, part)| format!("{:.0}", micros(histogram, part)));
                latency.add_row([name.to_owned(), histogram.len().to_string()].into_iter().chain(quantiles));
            }
        }
        text += &latency.trim_fmt();
        let mut servers =
            table(["SERVER", "ROLE", "CPU", "MEMORY", "SYNCS/s", "RECORDS/SYNC", "IN/s", "OUT/s"]);
        for server in self.servers.iter().flatten() {
            servers.add_row(server.row());
        }
        let mut cpus = String::new();
        if let Some((load, machine)) = self.load_cpus.zip(self.machine_busy) {
            cpus = format!(
                " The load used {:.0} % of a CPU; this machine was {:.0} % busy.",
                100.0 * load,
                100.0 * machine
            );
        }
        if arguments.memory {
            text.insert_str(0, "NOT DURABLE: logs were kept in memory.\n\n");
        }
        text + "\n\n" + &servers.trim_fmt() + &format!("\n\nBounded by {}.{cpus}", self.bound)
    }
}

impl Server {
    fn between(
        address: SocketAddr,
        index: usize,
        [before, after]: [&Sample; 2],
        memory: Memory,
    ) -> Option<Self> {
        let seconds = before.usage.until(&after.usage).as_secs_f64();
        let status = |sample: &Sample| sample.statuses.get(index).cloned().flatten();
        let (Status { counters: old, .. }, Status { counters: new, role, .. }) =
            (status(before)?, status(after)?);
        let per_second = |count: fn(&Counters) -> u64| rate(count(&new).saturating_sub(count(&old)), seconds);
        let syncs_per_s = per_second(|counters| counters.syncs);
        let cpu = |sample: &Sample| sample.usage.servers.get(index).copied().flatten();
        Some(Self {
            address,
            leads: role == Standing::Leading,
            cpus: before.usage.cpus(&after.usage, [cpu(before), cpu(after)]),
            memory,
            syncs_per_s,
            records_per_sync: per_second(|counters| counters.records) / syncs_per_s.max(f64::MIN_POSITIVE),
            datagrams_in_per_s: per_second(|counters| counters.datagrams_in),
            datagrams_out_per_s: per_second(|counters| counters.datagrams_out),
        })
    }

    fn object(&self) -> Value {
        json!({
            "address": self.address,
            "leads": self.leads,
            "cpus": self.cpus,
            "resident_bytes": self.memory.begun_and_ended(),
            "resident_bytes_max": self.memory.max(),
            "syncs_per_s": self.syncs_per_s,
            "records_per_sync": self.records_per_sync,
            "datagrams_in_per_s": self.datagrams_in_per_s,
            "datagrams_out_per_s": self.datagrams_out_per_s,
        })
    }

    fn row(&self) -> [String; 8] {
        [
            self.address.to_string(),
            if self.leads { "leading" } else { "follower" }.into(),
            self.cpus.map_or("-".into(), |cpus| format!("{:.0} %", 100.0 * cpus)),
            self.memory.begun_and_ended().map_or("-".into(), |[_, bytes]| format!("{} MiB", bytes >> 20)),
            format!("{:.0}", self.syncs_per_s),
            format!("{:.1}", self.records_per_sync),
            format!("{:.0}", self.datagrams_in_per_s),
            format!("{:.0}", self.datagrams_out_per_s),
        ]
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if !io::stdout().is_terminal() {
        table.force_no_tty();
    }
    table.set_header(header);
    table
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with a few digits")]
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are kept")]
fn micros(histogram: &Histogram<u64>, part: f64) -> f64 {
    histogram.value_at_quantile(part) as f64 / 1000.0
}

/// As an object by name; null if nothing was measured.
fn latencies(histogram: &Histogram<u64>) -> Value {
    if histogram.is_empty() {
        return Value::Null;
    }
    QUANTILES.into_iter().map(|(name, part)| (name.to_owned(), json!(micros(histogram, part)))).collect()
}
