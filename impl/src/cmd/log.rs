//! What a node says on standard error, as text for people or as JSON, one object a line.

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use cluster::node::Notice;
use tracing::{info, warn};
use tracing_subscriber::filter::LevelFilter;

#[derive(Args, Debug)]
pub(crate) struct Logging {
    /// How what happens is written to standard error
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// What is written: off, error, warn, info, debug or trace, and more than is named
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "LEVEL")]
    log_level: LevelFilter,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

impl Logging {
    /// From here on, everything goes to standard error in the format that was asked for.
    pub(crate) fn start(&self) {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let builder = tracing_subscriber::fmt()
            .with_max_level(self.log_level)
            .with_writer(io::stderr)
            .with_target(false)
            .with_ansi(!plain && io::stderr().is_terminal());
        match self.log_format {
            Format::Text => builder.init(),
            Format::Json => builder.json().flatten_event(true).init(),
        }
    }
}

/// Writes what a node has to say.
pub(crate) fn write(server: u8, notice: &Notice) {
    match notice {
        Notice::TornTail(torn) => {
            warn!(server, what = "torn_tail", path = %torn.path.display(), offset = torn.offset, bytes = torn.bytes, "server {server}: {notice}");
        }
        Notice::Started { boots, records } => {
            info!(server, what = "started", boots, records, "server {server}: {notice}");
        }
        Notice::Alarm(_) => warn!(server, what = "alarm", "server {server}: {notice}"),
        Notice::Insecure => warn!(server, what = "insecure", "server {server}: {notice}"),
        Notice::Forgetful => warn!(server, what = "forgetful", "server {server}: {notice}"),
        Notice::Refused(_) => warn!(server, what = "refused", "server {server}: {notice}"),
        Notice::Page(address) => info!(server, what = "page", %address, "server {server}: {notice}"),
        Notice::Event(event) if event.what.is_warning() => {
            warn!(server, what = event.what.name(), number = event.number, "server {server}: {notice}");
        }
        Notice::Event(event) => {
            info!(server, what = event.what.name(), number = event.number, "server {server}: {notice}");
        }
    }
}
