//! `cluster config check`: whether a node would start with a file, and whether it should.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use cluster::config::NodeConfig;
use cluster::exit::{Exit, Failure};
use cluster::spec::ConfigError;
use serde_json::json;

use super::JSON_SCHEMA;

const EXAMPLES: &str = "\
Examples:
  cluster config check 0.toml
  cluster config check 0.toml --json | jq .warnings

Exit codes: 0 a node can start with it (there may be warnings) · 2 it cannot";

#[derive(Subcommand, Debug)]
pub(crate) enum Action {
    /// Check every setting; says the line and the reason
    Check(Arguments),
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The configuration file
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(action: &Action) -> Result<Exit, Failure> {
    let Action::Check(Arguments { file, json: as_json }) = action;
    let (text, config) = load(file)?;
    if let Err(error) = config.protocol() {
        let at = place(file, &text, key_of(&config, error));
        return Err(Failure::new(Exit::Usage, format!("{at}: {error}")));
    }
    let warnings: Vec<_> = config
        .warnings()
        .into_iter()
        .map(|warning| format!("{}: {}", place(file, &text, warning.key), warning.reason))
        .collect();
    if *as_json {
        let object = json!({"schema": JSON_SCHEMA, "command": "config check", "warnings": warnings});
        writeln!(io::stdout().lock(), "{object}")
            .map_err(|error| Failure::new(Exit::Runtime, format!("standard output: {error}")))?;
    } else {
        warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        eprintln!("{}: a node can start with it", file.display());
    }
    Ok(Exit::Done)
}

fn load(file: &Path) -> Result<(String, NodeConfig), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, error);
    let config = NodeConfig::load(file).map_err(|error| usage(&error))?;
    let text = fs::read_to_string(file).map_err(|error| usage(&error))?;
    Ok((text, config))
}

/// The setting that an error of the whole is about.
fn key_of(config: &NodeConfig, error: ConfigError) -> &'static str {
    match error {
        ConfigError::NotAMember => "server",
        ConfigError::Servers | ConfigError::Quorums | ConfigError::QuorumOfOne => "servers",
        ConfigError::Terms => "lease_ms",
        ConfigError::RenewInterval => "renew_ms",
        ConfigError::Limits if config.waiting == 0 => "waiting",
        ConfigError::Limits if config.sessions == 0 => "sessions",
        ConfigError::Limits => "window",
    }
}

/// Where a setting stands, as `file:line`; the file alone if it is not given there.
fn place(file: &Path, text: &str, key: &str) -> String {
    let sets = |line: &str| line.split('=').next().is_some_and(|name| name.trim() == key);
    match text.lines().position(sets) {
        Some(line) => format!("{}:{}, `{key}`", file.display(), line + 1),
        None => format!("{}, `{key}` (not given)", file.display()),
    }
}
