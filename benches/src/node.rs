//! One server of Leasehold as a process of its own: [`servers`](crate::servers) starts this very program.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use cluster::config::NodeConfig;
use cluster::exit::{Exit, Failure};
use cluster::kv::Store;
use cluster::node::Node;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The server's configuration
    #[arg(value_name = "FILE")]
    config: PathBuf,
}

/// Serves until standard input closes, so that no server outlives who started it, however that ends.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let config = NodeConfig::load(&arguments.config).map_err(|error| Failure::new(Exit::Usage, error))?;
    let node = Node::start(&config, Store::default()).map_err(|error| Failure::new(error.exit(), error))?;
    // Nothing is ever written to it: reading ends when the other end is closed, however that came about.
    let _ = std::io::stdin().read(&mut [0]);
    node.stop().map_err(|error| Failure::new(Exit::Runtime, error))?;
    Ok(Exit::Done)
}
