//! `cluster init`: makes a directory that of a server which may vote. Once in a server's life.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use cluster::config::NodeConfig;
use cluster::data;
use cluster::exit::{Exit, Failure};
use serde_json::json;

use super::JSON_SCHEMA;

const EXAMPLES: &str = "\
Examples:
  cluster init --config 0.toml && cluster node --config 0.toml    a new server's first start

Once for each server of a new cluster. A directory that holds a log is left as it is (exit code 1). Never for a server
that ran before and lost its data: it would forget what it promised. That is what `cluster recover` is for.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let path = &arguments.config;
    let config = NodeConfig::load(path).map_err(|error| Failure::new(Exit::Usage, error))?;
    data::init(&config)
        .map_err(|error| Failure::new(error.exit(), format!("server {}: {error}", config.server)))?;
    if arguments.json {
        let (server, data) = (config.server, config.data.display().to_string());
        let object = json!({"schema": JSON_SCHEMA, "command": "init", "server": server, "directory": data, "incarnation": 0});
        writeln!(io::stdout().lock(), "{object}")
            .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    } else {
        let (server, data) = (config.server, config.data.display());
        eprintln!(
            "server {server}: {data} is begun; start the server with `cluster node --config {}`",
            path.display()
        );
    }
    Ok(Exit::Done)
}
