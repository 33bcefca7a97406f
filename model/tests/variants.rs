//! The table of variants: complete, cited, and the same wherever it is written. That each falls, or survives, is
//! for `model variants` to show; here only a handful do.

use std::collections::BTreeSet;

use model::check::Progress;
use model::exit::Exit;
use model::mutation;
use model::properties::PROPERTIES;
use model::scope;
use model::variant::{self, Description};

/// The functions of `trait Rules`, read from its text.
fn rules() -> BTreeSet<&'static str> {
    let page = include_str!("../../spec/src/rules.rs");
    let start = page.find("pub trait Rules").expect("the page has its trait");
    let end = start + page[start..].find("\n}\n").expect("the trait has an end");
    let name = |line: &'static str| line.strip_prefix("    fn ")?.split(['(', '<']).next();
    page[start..end].lines().filter_map(name).collect()
}

fn properties() -> BTreeSet<&'static str> {
    PROPERTIES.iter().map(|property| property.name).collect()
}

fn killed() -> impl Iterator<Item = &'static Description> {
    variant::all().filter(|variant| variant.falls.is_some())
}

#[test]
fn every_rule_has_a_variant_that_must_fall() {
    let replaced: BTreeSet<_> = killed().map(|variant| variant.rule).collect();
    let missing: Vec<_> = rules().into_iter().filter(|rule| !replaced.contains(rule)).collect();
    assert!(missing.is_empty(), "no variant falls without {missing:?}");
    assert!(rules().len() > 20, "the page was not read: {:?}", rules());
}

#[test]
fn every_property_is_named_by_a_variant() {
    let named: BTreeSet<_> = killed().filter_map(|variant| variant.falls).collect();
    assert_eq!(named, properties());
}

#[test]
fn names_are_unique_and_the_first_ones_still_valid() {
    let names: Vec<_> =
        variant::all().flat_map(|variant| [Some(variant.name), variant.alias]).flatten().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name is given twice");
    for name in [
        "quorum-half",
        "lowest-view",
        "promise-before-durable",
        "grant-forgotten",
        "lease-from-ack",
        "term-over-bound",
    ] {
        assert!(variant::named(name).is_some(), "{name}");
    }
}

#[test]
fn every_variant_says_what_it_breaks_where_and_who_did() {
    let rules = rules();
    for variant in variant::all() {
        let name = variant.name;
        assert!(!variant.deviation.is_empty() && !variant.source.is_empty(), "{name}: undescribed");
        let at_the_boundary = ["boundary: ", "configuration: ", "environment: "];
        assert!(
            rules.contains(variant.rule)
                || at_the_boundary.iter().any(|place| variant.rule.starts_with(place)),
            "{name}: there is no rule {}",
            variant.rule
        );
        assert!(scope::named(variant.scope).is_some(), "{name}: there is no scope {}", variant.scope);
        assert!(
            variant.falls.is_none_or(|falls| properties().contains(falls)),
            "{name}: {:?}",
            variant.falls
        );
        assert_eq!(
            variant.falls.is_none(),
            variant.harmless.is_some(),
            "{name}: a control says why, and no other"
        );
    }
}

#[test]
fn every_reading_of_the_thesis_cites_it_and_stands_in_the_errata() {
    let errata = include_str!("../../spec/ERRATA.md");
    let readings: Vec<_> = variant::all().filter(|variant| variant.name.starts_with("thesis-")).collect();
    assert!(readings.len() >= 6);
    for variant in readings {
        assert!(variant.source.starts_with("thesis"), "{}: {}", variant.name, variant.source);
        assert!(errata.contains(&format!("`{}`", variant.name)), "the errata do not name {}", variant.name);
    }
}

/// What stands between two marks of a page.
fn between<'a>(page: &'a str, mark: &str) -> &'a str {
    let (open, close) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let start = page.find(&open).expect("the page has the mark") + open.len();
    &page[start..start + page[start..].find(&close).expect("the mark is closed")]
}

#[test]
fn the_variants_of_the_readme_are_in_the_table() {
    for row in
        between(include_str!("../../README.md"), "variants").lines().filter(|row| row.starts_with("| `"))
    {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, deviation, falls, _] = cells[..] else { panic!("{row}") };
        let variant = variant::named(name.trim_matches('`')).expect("it is a variant");
        assert_eq!((variant.deviation, variant.falls.unwrap_or("nothing")), (deviation, falls));
    }
}

#[test]
fn a_handful_fall_and_a_control_survives() {
    let names = ["thesis-quorum-half", "wiped-disk", "lease-from-ack", "read-by-role", "promises-below"];
    let variants: Vec<_> = names.iter().map(|name| variant::named(name).expect("it is a variant")).collect();
    let trials = mutation::run(&variants, 2, &Progress::new(variants.len()));
    for trial in &trials {
        assert_eq!(trial.exit(), Exit::Done, "{}", trial.description.name);
    }
    assert_eq!(mutation::exit(&trials), Exit::Done);
    assert_eq!(mutation::json(&trials)["ok"], true);
}

#[test]
fn what_survives_and_what_is_not_decided_is_no_success() {
    let variants = vec![variant::named("wiped-disk").expect("it is a variant")];
    let progress = Progress::new(1);
    progress.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let trials = mutation::run(&variants, 1, &progress);
    assert_eq!(mutation::exit(&trials), Exit::Incomplete);

    // Where it has no occasion to fall it survives.
    let mut trials = mutation::run(&variants, 1, &Progress::new(1));
    trials[0].outcome.verdicts.iter_mut().for_each(|verdict| verdict.counterexample = None);
    assert_eq!(mutation::exit(&trials), Exit::Survived);
    assert_eq!(mutation::json(&trials)["ok"], false);
}
