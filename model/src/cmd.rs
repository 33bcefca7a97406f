//! The `model` command: what its subcommands share.

pub(crate) mod check;
pub(crate) mod explore;
mod names;
pub(crate) mod progress;
pub(crate) mod prove;
pub(crate) mod replay;
pub(crate) mod save;
pub(crate) mod shell;
pub(crate) mod simulate;
pub(crate) mod tlc;
pub(crate) mod variants;

use std::io::{ErrorKind, Write};

use clap::Args;
use model::exit::{Exit, Failure};
use model::scope::{SHORT_CLOCKS, Scope};
use model::system::Reductions;
pub(crate) use names::{scope_named, variant_described, variant_named};

/// Prints to standard output. A reader that has gone (`model … | head -1`) has what it wanted.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Runtime, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// How this program was called, so that the commands that it prints can be run as they are.
pub(crate) fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    let by_cargo = std::env::var("CARGO_PKG_NAME").is_ok_and(|package| package == env!("CARGO_PKG_NAME"));
    match (by_cargo, called.contains("/release/")) {
        (true, true) => "cargo run --release -p model --".into(),
        (true, false) => "cargo run -p model --".into(),
        (false, _) if called.is_empty() => "model".into(),
        (false, _) => called,
    }
}

/// All reductions, or none.
pub(crate) fn reductions(off: bool) -> Reductions {
    if off { Reductions::OFF } else { Reductions::ON }
}

/// Bounds of a scope of one's own.
#[derive(Args)]
#[command(next_help_heading = "A scope of one's own (instead of a name)")]
pub(crate) struct Own {
    /// Servers, 1 to 5
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    servers: Option<u8>,
    /// Slots that can be proposed in
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=8))]
    slots: Option<u8>,
    /// Views that can be attempted, each by another server
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    views: Option<u8>,
    /// Updates that clients submit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=8))]
    updates: Option<u8>,
    /// Crashes of each server
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=4))]
    crashes: Option<u8>,
    /// Snapshots that each server takes, forgetting its log up to there
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=4))]
    compactions: Option<u8>,
    /// Leases and drifting clocks, with so many lease requests a view
    #[arg(long, value_name = "ROUNDS", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u8).range(1..=8))]
    lease: Option<u8>,
}

impl Own {
    /// The scope, if any bound was given.
    pub(crate) fn scope(&self) -> Option<Scope> {
        let given =
            [self.servers, self.slots, self.views, self.updates, self.crashes, self.compactions, self.lease];
        given.iter().any(Option::is_some).then(|| {
            let base = Scope::custom();
            Scope {
                servers: self.servers.unwrap_or(base.servers),
                slots: self.slots.unwrap_or(base.slots),
                views: self.views.unwrap_or(base.views),
                updates: self.updates.unwrap_or(base.updates),
                crashes: self.crashes.unwrap_or(base.crashes),
                compactions: self.compactions.unwrap_or(base.compactions),
                rounds: self.lease.unwrap_or(0),
                lease: self.lease.map(|_| SHORT_CLOCKS),
                ..base
            }
        })
    }
}
