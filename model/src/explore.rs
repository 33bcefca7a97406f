//! `explore`: stateright's Explorer over a scope, opened at the counterexample of a variant.

use std::net::{SocketAddr, TcpListener};

use stateright::Model;

use crate::check::{self, Progress, Request};
use crate::replay::replay;
use crate::saved::Saved;
use crate::scope::Scope;
use crate::system::{Reductions, System};
use crate::variant::Variant;
use crate::why::Steps;

/// Why the Explorer could not be opened.
#[derive(Debug)]
pub enum Error {
    /// The address cannot be listened on.
    Address(SocketAddr, std::io::Error),
    /// The variant breaks nothing in this scope.
    Survived,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address, error) => {
                write!(f, "cannot listen on {address}: {error}; choose another with --address")
            }
            Self::Survived => {
                write!(f, "the variant breaks nothing in this scope, so there is no counterexample to show")
            }
        }
    }
}

impl std::error::Error for Error {}

/// The link to open first: the initial state, or the counterexample of the variant.
///
/// # Errors
/// If the variant survives.
pub fn link(
    scope: &Scope,
    variant: Variant,
    reductions: Reductions,
    address: SocketAddr,
) -> Result<String, Error> {
    let system = System::new(scope, variant, reductions);
    let Some(property) = variant.falls() else { return Ok(link_to(&system, &[], address)) };
    let request = Request { reductions, ..Request::new(vec![scope.clone()], variant, 1) };
    let mut outcomes = check::run(&request, &Progress::new(1)).into_iter();
    let mut verdicts = outcomes.next().into_iter().flat_map(|outcome| outcome.verdicts);
    let verdict = verdicts.find(|verdict| verdict.name == property);
    let found = verdict.and_then(|verdict| verdict.counterexample).ok_or(Error::Survived)?;
    // The indices of a run are those of the system that is served.
    let saved = Saved::new((scope, variant, reductions), property, &found);
    Ok(link_to(&system, &replay(&system, &saved).run, address))
}

/// The link to the end of a run.
pub fn link_to(system: &System, run: &Steps, address: SocketAddr) -> String {
    format!("http://{address}/#/steps/{}", indices(system, run))
}

/// A path as the Explorer writes it: the index of the initial state, then of each action among those that
/// are offered.
fn indices(system: &System, path: &Steps) -> String {
    let mut text = String::from("0");
    for (state, action) in path {
        let Some(action) = action else { break };
        let mut actions = Vec::new();
        system.actions(state, &mut actions);
        let index =
            actions.iter().position(|other| other == action).expect("the path was made of these actions");
        text += &format!("/{index}");
    }
    text
}

/// Serves the Explorer until the process ends.
///
/// # Errors
/// If the address cannot be listened on.
pub fn serve(system: System, address: SocketAddr) -> Result<(), Error> {
    free(address)?;
    system.checker().serve(address);
    Ok(())
}

/// Fails if the address is taken: the Explorer would panic.
///
/// # Errors
/// If the address cannot be listened on.
pub fn free(address: SocketAddr) -> Result<(), Error> {
    TcpListener::bind(address).map(drop).map_err(|error| Error::Address(address, error))
}
