//! `benches peers`: the same work on this cluster and on others, in turns, so that a ratio within a round means
//! something on a machine that is not quiet.
//!
//! Each measurement has servers of its own, started afresh with empty data, and one system runs at a time. All works of all
//! systems make a round; the order of the systems differs from round to round.

mod others;
mod ours;
mod plots;
mod report;
mod syncs;
mod system;
mod work;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use cluster::exit::{Exit, Failure};

use report::{Measurement, Report};
use system::{Place, System};
use work::{Kind, Work};

const EXAMPLES: &str = "\
Examples:
  bash ci/peers.sh                                          installs what it needs, then builds the peers
  cargo run --release -p benches -- peers                   five rounds, twenty minutes
  cargo run --release -p benches -- peers --quick           one short round: whether it works
  cargo run --release -p benches -- peers --only leasehold,etcd --rounds 3
  cargo run --release -p benches -- peers --work syncs --rounds 1   whether each of them syncs

The table goes to standard output; peers.json, peers.csv and the plots to --out. benches/peers/README.md
says what each system is and how it is set.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How often everything is measured
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long each measurement takes
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    seconds: f64,
    /// How long each load runs before it is measured
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = seconds)]
    warm_up: f64,
    /// One round of one second each, to see whether it works
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "warm_up"])]
    quick: bool,
    /// Only these systems
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SYSTEM,…")]
    only: Vec<System>,
    /// Only this work; all but `syncs` if not given
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WORK,…")]
    work: Vec<Kind>,
    /// Where results go
    #[arg(long, default_value = "target/peers", value_name = "DIR")]
    out: PathBuf,
    /// Where the servers' data goes, on the disk to be measured; where this program is if not given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print the JSON object instead of the table
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// With what `--quick` stands for.
    fn settled(&self) -> (u32, Duration, Duration) {
        let (rounds, seconds, warm_up) =
            if self.quick { (1, 1.0, 0.5) } else { (self.rounds, self.seconds, self.warm_up) };
        (rounds, Duration::from_secs_f64(seconds), Duration::from_secs_f64(warm_up))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (rounds, duration, warm_up) = arguments.settled();
    let systems = if arguments.only.is_empty() { System::ALL.to_vec() } else { arguments.only.clone() };
    let works: Vec<Work> = Work::all(duration, warm_up)
        .into_iter()
        .filter(|work| match arguments.work.as_slice() {
            [] => work.kind != Kind::Syncs,
            chosen => chosen.contains(&work.kind),
        })
        .collect();
    // What is missing is told before anything is built.
    let mut report = Report::new(&systems, rounds, duration)?;
    let place = Place::prepare(arguments.data.as_deref(), &systems)?;
    let stop = stop_on_interrupt()?;
    for round in 0..rounds {
        for work in &works {
            for system in in_turn(&systems, round) {
                tell(&format!("round {} of {rounds}: {}, {}", round + 1, work.name(), system.name()));
                let measured = system.measure(work, &place);
                if stop.load(Ordering::Relaxed) {
                    return Err(Failure::new(Exit::Interrupted, "nothing was reported"));
                }
                let outcome = measured.map_err(|failure| Failure {
                    message: format!("{}, {}: {}", system.name(), work.name(), failure.message),
                    ..failure
                })?;
                report.add(Measurement { round, system, work: work.clone(), outcome });
            }
        }
    }
    write(&arguments.out, &report)?;
    let text = if arguments.json { report.object().to_string() } else { report.text() };
    writeln!(io::stdout().lock(), "{text}")
        .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    Ok(Exit::Done)
}

/// The systems in the order of this round: each is the first, the second and so on about equally often.
fn in_turn(systems: &[System], round: u32) -> impl Iterator<Item = System> {
    let first = round as usize % systems.len();
    systems[first..].iter().chain(&systems[..first]).copied().collect::<Vec<_>>().into_iter()
}

fn write(directory: &Path, report: &Report) -> Result<(), Failure> {
    let failed = |path: &Path, error: &io::Error| {
        Failure::new(Exit::Runtime, format!("{} cannot be written: {error}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    for (name, text) in report.files() {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| failed(&path, &error))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Tells what goes on, where somebody may be waiting.
fn tell(what: &str) {
    if io::stderr().is_terminal() {
        eprintln!("{what}");
    }
}

/// Set when the program is interrupted: what runs is ended, and its data removed.
fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    ctrlc::set_handler(move || told.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::new(Exit::Runtime, format!("Ctrl-C cannot be handled: {error}")))?;
    Ok(stop)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    if seconds > 0.0 && seconds <= 3600.0 {
        Ok(seconds)
    } else {
        Err("it must be more than 0, and at most an hour".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_is_first_in_some_round_and_none_is_left_out() {
        for round in 0..10 {
            let order: Vec<_> = in_turn(&System::ALL, round).collect();
            assert_eq!(order.len(), System::ALL.len());
            assert_eq!(order[0], System::ALL[round as usize % System::ALL.len()]);
            assert!(System::ALL.iter().all(|system| order.contains(system)));
        }
    }
}
