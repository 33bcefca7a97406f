//! What TLC is given, and the comparison of its states with the model's.

use std::fs;
use std::path::PathBuf;

use model::check::{self, Progress, Request};
use model::properties::PROPERTIES;
use model::scope::{self, Scope};
use model::system::{Reductions, System};
use model::tlc::compare::{Projected, project};
use model::tlc::{self, REPLACEMENTS, SHARED};
use model::variant::{self, Variant};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/tla"))
}

/// A scope of a few thousand states.
fn small() -> Scope {
    Scope { slots: 1, updates: 1, probes: &[], ..Scope::custom() }
}

fn projected() -> Projected {
    project(&System::new(&small(), Variant::Correct, Reductions::ON))
}

// UPDATE_CONFIGURATIONS=1 writes them.
#[test]
fn the_configuration_files_say_the_bounds_of_the_shared_scopes() {
    for shared in SHARED {
        let scope = scope::named(shared.scope).expect("a shared scope is a scope");
        let text = tlc::configuration(scope, Variant::Correct, shared.reductions).expect("the module has it");
        let path = folder().join(shared.configuration);
        if std::env::var_os("UPDATE_CONFIGURATIONS").is_some() {
            fs::write(&path, &text).expect("the folder can be written to");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, text, "{} is not what the scope {} says", path.display(), shared.scope);
    }
}

/// A row of the table of measurements: the scope, and its states, distinct states and depth.
fn measured() -> Vec<(String, [usize; 3])> {
    let page = fs::read_to_string(folder().join("README.md")).expect("the page can be read");
    let (_, rest) = page.split_once("<!-- measured -->").expect("there is a table of measurements");
    let (table, _) = rest.split_once("<!-- /measured -->").expect("the table has an end");
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let number = |at: usize| cells.get(at)?.replace(',', "").parse().ok();
        Some((cells.get(1)?.trim_matches('`').to_string(), [number(2)?, number(3)?, number(4)?]))
    };
    table.lines().filter_map(row).collect()
}

#[test]
fn the_table_of_measurements_has_every_shared_scope_and_the_counts_of_today() {
    const SMALL: usize = 120_000;
    let measured = measured();
    let names: Vec<_> = measured.iter().map(|row| row.0.as_str()).collect();
    let quick = SHARED.iter().filter(|shared| !shared.long);
    assert_eq!(names, quick.map(|shared| shared.scope).collect::<Vec<_>>());
    for (name, counts) in measured.iter().filter(|row| row.1[1] < SMALL) {
        let scope = scope::named(name).expect("it is a scope").clone();
        let reductions = tlc::shared(name).expect("it is shared").reductions;
        let request = Request { reductions, ..Request::new(vec![scope], Variant::Correct, 1) };
        let outcome = &check::run(&request, &Progress::new(1))[0];
        assert_eq!(*counts, [outcome.states, outcome.distinct, outcome.depth], "{name}");
    }
}

#[test]
fn every_property_and_every_replaced_operator_stands_in_the_module() {
    let read = |name| fs::read_to_string(folder().join(name)).expect("the module can be read");
    let (main, rules, variants) = (read("Leasehold.tla"), read("Rules.tla"), read("Variants.tla"));
    let defines = |text: &str, name: &str| {
        text.lines().any(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(" ==") || rest.starts_with('('))
        })
    };
    for property in PROPERTIES.iter().filter(|it| tlc::has_property(it.name)) {
        assert!(defines(&main, &tlc::invariant(property.name)), "Leasehold.tla: '{}'", property.name);
    }
    for replacement in REPLACEMENTS {
        let Some((rule, by)) = replacement.operator.and_then(|it| it.split_once(" <- ")) else { continue };
        assert!(defines(&rules, rule) && defines(&variants, by), "{}", replacement.variant);
    }
}

#[test]
fn every_replacement_is_a_variant_in_a_scope_that_the_module_has() {
    for replacement in REPLACEMENTS {
        let description = variant::all().find(|it| it.name == replacement.variant).expect("it is a variant");
        let scope = scope::named(replacement.scope).expect("it has a scope");
        assert!(description.falls.is_none_or(tlc::has_property), "{}", replacement.variant);
        let reductions = description.reductions;
        assert!(
            tlc::configuration(scope, description.variant, reductions).is_ok(),
            "{}",
            replacement.variant
        );
    }
}

#[test]
fn no_two_states_of_the_model_have_the_same_projection() {
    let projected = projected();
    assert!(projected.distinct > 1_000);
    assert_eq!(projected.count(), projected.distinct);
}

#[test]
fn a_dump_with_the_same_states_shows_no_difference() {
    let projected = projected();
    let dump = projected.dump();
    let difference = projected.against(dump.as_bytes()).expect("it can be read");
    assert!(difference.is_empty());
}

#[test]
fn a_state_that_is_missing_or_different_in_a_dump_is_found() {
    let projected = projected();
    let dump = projected.dump();
    let states: Vec<_> = dump.split("State ").collect();
    let missing = states[..states.len() - 1].join("State ");
    let difference = projected.against(missing.as_bytes()).expect("it can be read");
    assert_eq!((difference.only_tlc.len(), difference.only_model.len()), (0, 1));

    let changed = dump.replacen("/\\ resigns = 0", "/\\ resigns = 1", 1);
    let difference = projected.against(changed.as_bytes()).expect("it can be read");
    assert_eq!((difference.only_tlc.len(), difference.only_model.len()), (1, 1));
}
