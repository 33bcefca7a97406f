//! `model explore`: stateright's Explorer, opened at a counterexample.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use model::exit::{Exit, Failure};
use model::explore::{self, Error};
use model::replay::replay;
use model::saved::Saved;
use model::system::System;

use super::{print, reductions, scope_named, variant_named};

/// The command line of `model explore`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The scope; the variant's own, or agreement, unless named
    scope: Option<String>,
    /// Replace one rule, and open the page at the counterexample
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Open the page at a counterexample that `check` or `simulate` saved
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scope", "variant", "no_reductions"])]
    path: Option<PathBuf>,
    /// Where to serve the page
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: SocketAddr,
    /// Explore without reductions
    #[arg(long)]
    no_reductions: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    explore::free(arguments.address).map_err(failure)?;
    let (link, system) = match &arguments.path {
        Some(path) => saved(path, arguments.address)?,
        None => found(arguments)?,
    };
    print(&format!("{link}\n"))?;
    eprintln!("Open the link in a browser; Ctrl-C ends the server.");
    explore::serve(system, arguments.address).map_err(failure)?;
    Ok(Exit::Done)
}

/// The scope that was named, and a link to the counterexample of the variant.
fn found(arguments: &Arguments) -> Result<(String, System), Failure> {
    let variant = variant_named(arguments.variant.as_deref())?;
    let default = variant.description().map_or("agreement", |description| description.scope);
    let scope = scope_named(arguments.scope.as_deref().unwrap_or(default))?;
    let reductions = reductions(arguments.no_reductions);
    eprintln!("Searching …");
    let link = explore::link(&scope, variant, reductions, arguments.address).map_err(failure)?;
    Ok((link, System::new(&scope, variant, reductions)))
}

/// The scope and the run of a file.
fn saved(path: &Path, address: SocketAddr) -> Result<(String, System), Failure> {
    let saved = Saved::read(path)?;
    let system = saved.system(None).map_err(|what| Failure::new(Exit::DamagedData, what))?;
    let replayed = replay(&system, &saved);
    if let Some(refused) = replayed.refused {
        let message = format!("{}: the run cannot be made any more: {refused}", path.display());
        return Err(Failure::new(Exit::Runtime, message));
    }
    Ok((explore::link_to(&system, &replayed.run, address), system))
}

fn failure(error: Error) -> Failure {
    let exit = if matches!(error, Error::Survived) { Exit::Survived } else { Exit::Runtime };
    Failure::new(exit, error)
}
