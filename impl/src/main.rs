//! The `cluster` command.

mod cmd;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use cluster::exit::{Exit, Failure};

const EXAMPLES: &str = "\
Examples:
  cluster demo                            three servers on this machine, and a fail-over
  cluster init --config 0.toml            a new server's data directory, once
  cluster node --config 0.toml            one server of a cluster
  cluster kv --config 0.toml put k v      a client of it
  cluster status --config 0.toml          how its servers are
  cluster transfer --config 0.toml --to 2 another leader, before maintenance
  cluster bench --servers 3               how fast it is on this machine
  cluster recover --config 0.toml         another disk for a server that lost its own
  cluster doctor data/0                   what a data directory holds, and whether it is damaged

Exit codes: 0 done · 1 runtime error · 2 usage · 20 damaged data · 21 wrong cluster or server ·
22 recover needed · 23 disk error · 24 outcome unknown · 130 Ctrl-C";

/// Paxos with leader leases: a replicated key-value store over UDP
#[derive(Parser, Debug)]
#[command(name = "cluster", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start three servers here, kill the leader, and read everything back
    Demo(cmd::demo::Arguments),
    /// Begin the data directory of a new server
    Init(cmd::init::Arguments),
    /// Run one server in the foreground
    Node(cmd::node::Arguments),
    /// Get, put, delete, compare-and-swap, list, watch, import, export
    Kv(cmd::kv::Arguments),
    /// Show how every server is
    Status(cmd::status::Arguments),
    /// Hand leadership over to another server
    Transfer(cmd::transfer::Arguments),
    /// Check a node's configuration file
    #[command(subcommand)]
    Config(cmd::config::Action),
    /// Measure how fast a cluster is, and what bounds it
    Bench(cmd::bench::Arguments),
    /// Make a private key, or a cluster's secret
    Keygen(cmd::keygen::Arguments),
    /// Begin another disk for a server that lost its own, and have the others tell it what it held
    Recover(cmd::recover::Arguments),
    /// Explain a data directory: what it holds, whether it is damaged, and what to do
    Doctor(cmd::doctor::Arguments),
    /// Print a shell's completions
    Completions(cmd::shell::Completions),
    /// Print the manual page of the command or of a subcommand
    Man(cmd::shell::Manual),
    /// Print the table of all options, for the documentation
    #[command(hide = true)]
    OptionsTable,
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Demo(arguments) => cmd::demo::run(&arguments),
        Command::Init(arguments) => cmd::init::run(&arguments),
        Command::Node(arguments) => cmd::node::run(&arguments),
        Command::Kv(arguments) => cmd::kv::run(arguments),
        Command::Status(arguments) => cmd::status::run(arguments),
        Command::Transfer(arguments) => cmd::transfer::run(arguments),
        Command::Config(action) => cmd::config::run(&action),
        Command::Bench(arguments) => cmd::bench::run(&arguments),
        Command::Keygen(arguments) => cmd::keygen::run(&arguments),
        Command::Recover(arguments) => cmd::recover::run(&arguments),
        Command::Doctor(arguments) => cmd::doctor::run(&arguments),
        Command::Completions(arguments) => cmd::shell::completions(&arguments, Cli::command()),
        Command::Man(arguments) => cmd::shell::man(&arguments, Cli::command()),
        Command::OptionsTable => cmd::shell::options(Cli::command()),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(Failure { exit, message }) => {
            eprintln!("{}: {message}", if exit == Exit::Interrupted { "interrupted" } else { "error" });
            exit.into()
        }
    }
}
