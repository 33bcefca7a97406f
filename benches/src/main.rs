//! Experiments with whole clusters, beside the criterion benches of their parts: `cargo run --release -p benches -- --help`.

mod node;
mod peers;
mod servers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cluster::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p benches -- peers --quick    the same work on this cluster and on others

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
    /// Run one server of a cluster that is measured
    #[command(hide = true)]
    Node(node::Arguments),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Peers(arguments) => peers::run(&arguments),
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
