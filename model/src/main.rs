//! The `model` command: checks every reachable state of the scopes, and shows counterexamples.

mod cmd;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use model::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  model check                            every default scope
  model check lease reads                two of them
  model check --variant grant-forgotten  a rule replaced: the property that needs it falls
  model check --servers 3 --views 2 --slots 1 --updates 1 --crashes 1
  model simulate --minutes 10            random walks of five servers
  model variants                         every rule replaced in turn
  model replay FILE --step               a saved counterexample, step by step
  model explore --path FILE              the same in stateright's Explorer
  model check --report DIR               one HTML file that shows everything
  model prove                            the invariants of spec/proof, for every size, by a solver
  model tlc quorum --configuration       the same bounds for TLC and spec/tla

Exit codes:
  0 all holds and was exhausted or proved, 1 runtime error, 2 usage, 10 a property is violated (also by a variant,
  as it should be), 12 a probe was never reached, an arm never exercised or a state cannot recover,
  13 a variant survived, 14 incomplete, 20 a damaged file, 130 Ctrl-C where nothing was to be reported";

/// Explores every reachable state of small scopes of Paxos with leader leases, by the handlers that the cluster runs
#[derive(Parser)]
#[command(name = "model", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Explore scopes to exhaustion
    Check(cmd::check::Arguments),
    /// Walk at random through scopes too large to exhaust
    Simulate(cmd::simulate::Arguments),
    /// Try every variant: each must break the property that it names
    Variants(cmd::variants::Arguments),
    /// Replay a saved counterexample through the handlers, and say whether it still fails
    Replay(cmd::replay::Arguments),
    /// Open stateright's Explorer, at the counterexample of a variant if one is named
    Explore(cmd::explore::Arguments),
    /// Prove the invariants of the machines in spec/proof for every size, by a solver of this machine
    Prove(cmd::prove::Arguments),
    /// Print a completion script for a shell
    Completions(cmd::shell::Completions),
    /// Print the manual page
    Man(cmd::shell::Manual),
    /// Compare the states of a scope with those that TLC reaches by spec/tla
    Tlc(cmd::tlc::Arguments),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Check(arguments) => cmd::check::run(&arguments),
        Command::Simulate(arguments) => cmd::simulate::run(&arguments),
        Command::Variants(arguments) => cmd::variants::run(&arguments),
        Command::Replay(arguments) => cmd::replay::run(&arguments),
        Command::Explore(arguments) => cmd::explore::run(&arguments),
        Command::Prove(arguments) => cmd::prove::run(&arguments),
        Command::Completions(arguments) => cmd::shell::completions(&arguments, Cli::command()),
        Command::Man(arguments) => cmd::shell::man(&arguments, Cli::command()),
        Command::Tlc(arguments) => cmd::tlc::run(&arguments),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(Failure { exit, message }) => {
            eprintln!("model: {message}");
            exit.into()
        }
    }
}
