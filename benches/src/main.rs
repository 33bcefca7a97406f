//! Experiments with whole clusters, beside the criterion benches of their parts: `cargo run --release -p benches -- --help`.

mod figures;
mod node;
mod peers;
mod plot;
mod servers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cluster::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p benches -- peers --quick    the same work on this cluster and on others
  cargo run --release -p benches -- figures          the papers' figures, into target/figures/index.html
  cargo run --release -p benches -- figures 001 --quick

Exit codes: those of `cluster --help`";

/// Experiments with whole clusters, on this machine
#[derive(Parser, Debug)]
#[command(name = "benches", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Measure this cluster beside others, by the same work, in turns
    Peers(peers::Arguments),
    /// Run the papers' experiments, and draw their figures beside their numbers
    Figures(figures::Arguments),
    /// Run one server of a cluster that is measured
    #[command(hide = true)]
    Node(node::Arguments),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Peers(arguments) => peers::run(&arguments),
        Command::Figures(arguments) => figures::run(&arguments),
        Command::Node(arguments) => node::run(&arguments),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(Failure { exit, message }) => {
            eprintln!("error: {message}");
            exit.into()
        }
    }
}
