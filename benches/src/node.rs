//! One server of Leasehold as a process of its own: [`servers`](crate::servers) starts this very program.

use std::io::BufRead;
use std::path::PathBuf;

use clap::Args;
use cluster::config::NodeConfig;
use cluster::exit::{Exit, Failure};
use cluster::kv::Store;
use cluster::node::Node;

/// The line on standard input that has the server stand for election.
pub(crate) const STAND: &str = "stand";

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The server's configuration
    #[arg(value_name = "FILE")]
    config: PathBuf,
}

/// Serves until standard input closes, so that no server outlives who started it, however that ends.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let config = NodeConfig::load(&arguments.config).map_err(|error| Failure::new(Exit::Usage, error))?;
    let node = Node::start_groups(&config, |group| Store::part(group, config.groups), |_| {})
        .map_err(|error| Failure::new(error.exit(), error))?;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == STAND {
            node.stand();
        }
    }
    node.stop().map_err(|error| Failure::new(Exit::Runtime, error))?;
    Ok(Exit::Done)
}
