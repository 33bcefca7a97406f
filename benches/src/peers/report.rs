//! What was measured, as a table, as JSON and as CSV. A figure of several rounds is their median; a ratio is the median of
//! the ratios of each round, as two figures of one round were measured under about the same conditions.

use std::io::IsTerminal;
use std::time::Duration;

use cluster::exit::Failure;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use super::plots;
use super::system::{SERVERS, System, machine};
use super::work::{KEYS, Kind, Outcome, QUANTILES, Work};
use crate::plot::number;

const SCHEMA: u32 = 1;
/// What all others are compared with.
const BASE: System = System::Leasehold;
const P50: usize = 0;
const P99: usize = 2;

/// One work on one system in one round.
#[derive(Clone, Debug)]
pub(super) struct Measurement {
    pub(super) round: u32,
    pub(super) system: System,
    pub(super) work: Work,
    pub(super) outcome: Outcome,
}

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Report {
    systems: Vec<(System, String)>,
    rounds: u32,
    seconds: f64,
    machine: String,
    measured: Vec<Measurement>,
}

/// All rounds of a work on a system.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) work: &'a Work,
    pub(super) system: System,
    outcomes: Vec<&'a Outcome>,
    /// The base's figure through this one's, both of the same round: how many times as good the base is.
    ratio: Option<f64>,
}

/// Median, least and greatest of some figures.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// None of no figures.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Some(Self { median, min, max })
    }

    fn object(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

impl Report {
    /// Asks programs that are installed for their versions.
    pub(super) fn new(systems: &[System], rounds: u32, duration: Duration) -> Result<Self, Failure> {
        let versions = systems.iter().map(|&system| system.version().map(|version| (system, version)));
        Ok(Self {
            systems: versions.collect::<Result<_, _>>()?,
            rounds,
            seconds: duration.as_secs_f64(),
            machine: machine(),
            measured: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, measurement: Measurement) {
        self.measured.push(measurement);
    }

    /// The files' names and what they hold.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = vec![("peers.json", format!("{:#}\n", self.object())), ("peers.csv", self.csv())];
        files.extend(plots::files(&self.rows()));
        files
    }

    /// By work, then by system, in the order in which they were measured first.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut works: Vec<&Work> = Vec::new();
        for measurement in &self.measured {
            if !works.contains(&&measurement.work) {
                works.push(&measurement.work);
            }
        }
        let pairs =
            works.into_iter().flat_map(|work| self.systems.iter().map(move |&(system, _)| (work, system)));
        pairs.map(|(work, system)| self.row(work, system)).filter(|row| !row.outcomes.is_empty()).collect()
    }

    fn row<'a>(&'a self, work: &'a Work, system: System) -> Row<'a> {
        let outcomes = self.of(work, system).map(|measurement| &measurement.outcome).collect();
        let ratios = self.of(work, system).filter_map(|measurement| {
            let base = self.of(work, BASE).find(|base| base.round == measurement.round)?;
            times_as_good(work.kind, &base.outcome, &measurement.outcome)
        });
        let ratio = if system == BASE { None } else { Spread::of(ratios).map(|spread| spread.median) };
        Row { work, system, outcomes, ratio }
    }

    fn of<'a>(&'a self, work: &'a Work, system: System) -> impl Iterator<Item = &'a Measurement> {
        self.measured
            .iter()
            .filter(move |measurement| measurement.system == system && measurement.work == *work)
    }

    pub(super) fn object(&self) -> Value {
        let systems: Vec<_> =
            self.systems.iter().map(|(system, version)| system_object(*system, version)).collect();
        let results: Vec<_> = self.rows().iter().map(Row::object).collect();
        json!({
            "schema": SCHEMA,
            "command": "peers",
            "machine": self.machine,
            "servers": SERVERS,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "value_bytes": benches::VALUE_BYTES,
            "keys": KEYS,
            "systems": systems,
            "results": results,
        })
    }

    /// Every single measurement, a line each.
    pub(super) fn csv(&self) -> String {
        let quantiles = QUANTILES.map(|(name, _)| format!("{name}_us")).join(",");
        let mut csv = format!(
            "round,system,work,clients,ops,ops_per_s,{quantiles},longest_pause_ms,syncs_per_update,retries\n"
        );
        for Measurement { round, system, work, outcome } in &self.measured {
            let latencies = outcome.latency_us.map(|micros| format!("{micros:.1}")).join(",");
            let pause = outcome.longest_pause_ms.map_or(String::new(), |pause| format!("{pause:.1}"));
            let syncs = outcome.syncs_per_update.map_or(String::new(), |syncs| format!("{syncs:.2}"));
            let retries = outcome.retries.map_or(String::new(), |retries| retries.to_string());
            csv += &format!(
                "{},{},{},{},{},{:.1},{latencies},{pause},{syncs},{retries}\n",
                round + 1,
                id(*system),
                kind(work.kind),
                work.clients,
                outcome.operations,
                outcome.per_second,
            );
        }
        csv
    }

    /// The table, and beneath it what each system is.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        if !std::io::stdout().is_terminal() {
            table.force_no_tty();
        }
        table.set_header(["WORK", "SYSTEM", "MEDIAN", "LEAST", "MOST", "p50, µs", "p99, µs", "LEASEHOLD IS"]);
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let rows = self.rows();
        let mut before = None;
        for row in &rows {
            let first = before != Some(row.work);
            before = Some(row.work);
            table.add_row(row.cells(first));
        }
        let mut text = table.trim_fmt();
        text += &format!(
            "\n\nUpdates and reads: operations a second. Fail-over: ms without a completed update after the leader was \
             killed. Syncs: of all servers, for each update.\nMedians of {} rounds of {} s each, {} servers, values of {} B; ratios are medians of each round's.",
            self.rounds,
            self.seconds,
            SERVERS,
            benches::VALUE_BYTES
        );
        text += &format!("\n{}.\n", self.machine);
        for (system, version) in &self.systems {
            text += &format!(
                "\n{} {version}\n  log: {}\n  {}",
                system.name(),
                system.storage(),
                system.settings()
            );
        }
        text + "\n\n" + &verdict(&rows)
    }
}

/// Where the base is worse than somebody else, said in words.
fn verdict(rows: &[Row<'_>]) -> String {
    let worse: Vec<_> = rows
        .iter()
        .filter(|row| row.system != System::LeaseholdKeys && row.ratio.is_some_and(|ratio| ratio < 1.0))
        .map(|row| format!("{} ({})", row.system.name(), row.work.name()))
        .collect();
    match (worse.is_empty(), rows.iter().any(|row| row.ratio.is_some())) {
        (_, false) => "Nothing was compared.".into(),
        (true, true) => "Leasehold is at least as fast as each of them everywhere.".into(),
        (false, true) => format!("Leasehold is slower than {}.", worse.join(", ")),
    }
}

impl Row<'_> {
    /// Operations a second, or the milliseconds of a fail-over.
    pub(super) fn figure(&self) -> Option<Spread> {
        Spread::of(self.outcomes.iter().map(|outcome| figure(self.work.kind, outcome)))
    }

    pub(super) fn p99(&self) -> Option<Spread> {
        self.latency(P99)
    }

    fn latency(&self, quantile: usize) -> Option<Spread> {
        Spread::of(self.outcomes.iter().map(|outcome| outcome.latency_us[quantile]))
    }

    fn cells(&self, first: bool) -> [String; 8] {
        let figure = self.figure().expect("a row has an outcome");
        let latency = |quantile| match self.work.kind {
            Kind::FailOver | Kind::Syncs => String::new(),
            Kind::Updates | Kind::Reads => {
                self.latency(quantile).map_or(String::new(), |spread| thousands(spread.median))
            }
        };
        let shown = |figure: f64| match self.work.kind {
            Kind::Syncs => format!("{figure:.2}"),
            Kind::Updates | Kind::Reads | Kind::FailOver => thousands(figure),
        };
        [
            if first { self.work.name() } else { String::new() },
            self.system.name().into(),
            shown(figure.median),
            shown(figure.min),
            shown(figure.max),
            latency(P50),
            latency(P99),
            self.ratio.map_or(String::new(), |ratio| format!("{ratio:.2} times as fast")),
        ]
    }

    fn object(&self) -> Value {
        let rounds: Vec<_> = self.outcomes.iter().map(|outcome| outcome.object()).collect();
        let latency = |quantile| self.latency(quantile).map(Spread::object);
        let pauses = self.outcomes.iter().filter_map(|outcome| outcome.longest_pause_ms);
        let syncs = self.outcomes.iter().filter_map(|outcome| outcome.syncs_per_update);
        json!({
            "system": id(self.system),
            "work": kind(self.work.kind),
            "clients": self.work.clients,
            "ops_per_s": Spread::of(self.outcomes.iter().map(|outcome| outcome.per_second)).map(Spread::object),
            "p50_us": latency(P50),
            "p99_us": latency(P99),
            "longest_pause_ms": Spread::of(pauses).map(Spread::object),
            "syncs_per_update": Spread::of(syncs).map(Spread::object),
            "leasehold_times_as_fast": self.ratio,
            "rounds": rounds,
        })
    }
}

fn system_object(system: System, version: &str) -> Value {
    json!({
        "name": id(system),
        "version": version,
        "storage": system.storage(),
        "settings": system.settings(),
        "durable": true,
        "authenticated": system.authenticated(),
    })
}

fn figure(kind: Kind, outcome: &Outcome) -> f64 {
    match kind {
        Kind::Updates | Kind::Reads => outcome.per_second,
        Kind::FailOver => outcome.longest_pause_ms.unwrap_or(f64::NAN),
        Kind::Syncs => outcome.syncs_per_update.unwrap_or(f64::NAN),
    }
}

/// How many times as good the base is: more operations a second, or a shorter pause.
fn times_as_good(kind: Kind, base: &Outcome, other: &Outcome) -> Option<f64> {
    let (base, other) = (figure(kind, base), figure(kind, other));
    match kind {
        Kind::Updates | Kind::Reads => Some(base / other),
        Kind::FailOver => Some(other / base),
        Kind::Syncs => None,
    }
}

/// As `--only` has it.
fn id(system: System) -> String {
    clap::ValueEnum::to_possible_value(&system).expect("every system can be named").get_name().to_owned()
}

/// As `--work` has it.
fn kind(kind: Kind) -> String {
    clap::ValueEnum::to_possible_value(&kind).expect("every work can be named").get_name().to_owned()
}

/// Rounded, with commas.
fn thousands(figure: f64) -> String {
    number(figure.round())
}

#[cfg(test)]
mod tests;
