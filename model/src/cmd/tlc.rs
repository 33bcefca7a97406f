//! `model tlc`: what TLC is given, and whether it reaches the same states.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use model::exit::{Exit, Failure};
use model::scope::Scope;
use model::system::{Reductions, System};
use model::tlc::compare::{Difference, project};
use model::tlc::{self, REPLACEMENTS, SHARED};
use model::variant::Variant;
use serde_json::json;

use super::{print, scope_named, variant_named};

/// How many states of each side are printed where the two differ.
const SHOWN: usize = 3;

/// The command line of `model tlc`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The scope, with the reductions that TLC has for it; all of them if it is no scope for TLC
    #[arg(required_unless_present = "list")]
    scope: Option<String>,
    /// Replace one rule (with --configuration)
    #[arg(long, value_name = "NAME", requires = "configuration")]
    variant: Option<String>,
    /// Print the configuration file for TLC
    #[arg(long, conflicts_with_all = ["against", "json"])]
    configuration: bool,
    /// Compare the projected states with those that TLC wrote down (tlc2.TLC -dump FILE)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// List the scopes and variants that TLC runs too, as JSON
    #[arg(long, exclusive = true)]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let Some(name) = &arguments.scope else {
        print(&format!("{}\n", list()))?;
        return Ok(Exit::Done);
    };
    let scope = scope_named(name)?;
    let reductions = tlc::shared(name).map_or(Reductions::ON, |shared| shared.reductions);
    let variant = variant_named(arguments.variant.as_deref())?;
    let configuration =
        tlc::configuration(&scope, variant, reductions).map_err(|error| Failure::new(Exit::Usage, error))?;
    if arguments.configuration {
        print(&configuration)?;
        return Ok(Exit::Done);
    }
    compare(arguments, &scope, reductions)
}

fn compare(arguments: &Arguments, scope: &Scope, reductions: Reductions) -> Result<Exit, Failure> {
    let projected = project(&System::new(scope, Variant::Correct, reductions));
    let difference = match &arguments.against {
        None => None,
        Some(path) => {
            let file = File::open(path).map_err(|error| cannot_read(path, error))?;
            Some(projected.against(BufReader::new(file)).map_err(|error| cannot_read(path, error))?)
        }
    };
    let same = difference.as_ref().is_none_or(Difference::is_empty);
    if arguments.json {
        let report = json!({
            "schema": 1,
            "command": "tlc",
            "scope": scope.name,
            "distinct": projected.distinct,
            "projected": projected.count(),
            "only_tlc": difference.as_ref().map(|it| it.only_tlc.len()),
            "only_model": difference.as_ref().map(|it| it.only_model.len()),
            "ok": same,
        });
        print(&format!("{report}\n"))?;
    } else {
        print(&format!("{}: {} states, {} projected\n", scope.name, projected.distinct, projected.count()))?;
        difference.iter().try_for_each(|difference| print(&told(difference)))?;
    }
    Ok(if same { Exit::Done } else { Exit::Violated })
}

fn told(difference: &Difference) -> String {
    if difference.is_empty() {
        return "TLC has reached the same states, one by one.\n".into();
    }
    let side = |who: &str, states: &[String]| {
        let shown: String = states.iter().take(SHOWN).map(|state| format!("\n{state}")).collect();
        format!(
            "{} states that only {who} has reached{}\n{shown}",
            states.len(),
            if states.is_empty() { "" } else { ", among them:" }
        )
    };
    format!("{}{}", side("TLC", &difference.only_tlc), side("the model", &difference.only_model))
}

fn list() -> serde_json::Value {
    let scopes = SHARED.iter().map(|shared| {
        json!({
            "name": shared.scope,
            "configuration": shared.configuration,
            "reductions": shared.reductions == Reductions::ON,
            "long": shared.long,
        })
    });
    let variants =
        REPLACEMENTS.iter().map(|it| json!({ "name": it.variant, "scope": it.scope, "long": it.long }));
    json!({
        "schema": 1,
        "command": "tlc",
        "scopes": scopes.collect::<Vec<_>>(),
        "variants": variants.collect::<Vec<_>>(),
    })
}

fn cannot_read(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Runtime, format!("{}: {error}; is it what tlc2.TLC -dump wrote?", path.display()))
}
