//! `model explore`: stateright's Explorer, opened at a counterexample.

use std::net::SocketAddr;

use clap::Args;
use model::exit::{Exit, Failure};
use model::explore::{self, Error};

use super::{print, reductions, scope_named, variant_named};

/// The command line of `model explore`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The scope; the variant's own, or agreement, unless named
    scope: Option<String>,
    /// Replace one rule, and open the page at the counterexample
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Where to serve the page
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: SocketAddr,
    /// Explore without reductions
    #[arg(long)]
    no_reductions: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let variant = variant_named(arguments.variant.as_deref())?;
    let default = variant.description().map_or("agreement", |description| description.scope);
    let scope = scope_named(arguments.scope.as_deref().unwrap_or(default))?;
    let reductions = reductions(arguments.no_reductions);
    explore::free(arguments.address).map_err(failure)?;
    eprintln!("Searching …");
    let link = explore::link(&scope, variant, reductions, arguments.address).map_err(failure)?;
    print(&format!("{link}\n"))?;
    eprintln!("Open the link in a browser; Ctrl-C ends the server.");
    explore::serve(&scope, variant, reductions, arguments.address).map_err(failure)?;
    Ok(Exit::Done)
}

fn failure(error: Error) -> Failure {
    let exit = if matches!(error, Error::Survived) { Exit::Survived } else { Exit::Runtime };
    Failure::new(exit, error)
}
