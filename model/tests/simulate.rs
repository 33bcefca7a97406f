//! Random walks: the same from the same seed, they hold for the correct rules, find what is wrong with variants,
//! and what they find is minimised and still fails.

use model::check::counterexample;
use model::properties::PROPERTIES;
use model::replay::replay;
use model::saved::{Act, Saved};
use model::simulate::{Batch, Plan, Walk, minimise, walk, wide};
use model::system::Reductions;
use model::variant::{self, Variant};

fn plan(variant: &str) -> Plan {
    Plan {
        scope: wide(5),
        variant: variant::named(variant).map_or(Variant::Correct, |description| description.variant),
        reductions: Reductions::ON,
        seed: 1,
        steps_max: 300,
    }
}

fn acts(walk: &Walk) -> Vec<Act> {
    walk.run.iter().filter_map(|(_, action)| action.map(Act::from)).collect()
}

#[test]
fn a_walk_follows_from_seed_and_number_alone() {
    let plan = plan("correct");
    for number in 0..5 {
        let (once, again) = (walk(&plan, number), walk(&plan, number));
        assert!(once.steps > 20, "walk {number} has {} steps", once.steps);
        assert_eq!(acts(&once), acts(&again));
        assert_eq!(once.reached, again.reached);
    }
    let other = Plan { seed: 2, ..plan.clone() };
    assert_ne!(acts(&walk(&plan, 0)), acts(&walk(&other, 0)), "the seed makes a difference");
    assert_ne!(acts(&walk(&plan, 0)), acts(&walk(&plan, 1)), "the number makes a difference");
}

#[test]
fn walks_of_the_correct_rules_break_nothing_and_come_by_nearly_everything() {
    let batch = Batch::run(&plan("correct"), 0..400);
    assert_eq!((batch.walks, batch.failed), (400, None));
    assert!(batch.reached.len() >= 25, "only {:?}", batch.reached);
}

#[test]
fn a_variant_is_found_and_what_is_found_is_minimised_and_still_fails() {
    for (variant, at_most) in [("quorum-half", 60), ("lowest-view", 60), ("grant-forgotten", 60)] {
        let plan = plan(variant);
        let number = Batch::run(&plan, 0..3000).failed.expect("walks find it");
        let found = walk(&plan, number);
        let property = found.fell.expect("the same walk fails again");
        let (system, run) = minimise(&plan, &found.scope, property, &found.run);
        assert!(run.len() <= found.run.len() && run.len() <= at_most, "{variant}: {} steps", run.len());

        let place = PROPERTIES.iter().position(|rule| rule.name == property).expect("it is a property");
        let broken: Vec<_> = run.iter().map(|(state, _)| !system.holds(place, state)).collect();
        assert_eq!(
            broken.iter().position(|&broken| broken),
            Some(run.len() - 1),
            "{variant}: it fails at its end"
        );

        let example = counterexample(&system, property, run);
        let saved = Saved::new((&found.scope, plan.variant, plan.reductions), property, &example);
        let replayed = replay(&saved.system(None).expect("it is a scope"), &saved);
        assert_eq!(replayed.violated, Some(saved.steps.len()), "{variant}: it fails when it is replayed");
    }
}

#[test]
fn what_is_minimal_needs_each_of_its_actions() {
    let plan = plan("lowest-view");
    let number = Batch::run(&plan, 0..3000).failed.expect("walks find it");
    let found = walk(&plan, number);
    let property = found.fell.expect("the same walk fails again");
    let (system, run) = minimise(&plan, &found.scope, property, &found.run);
    let example = counterexample(&system, property, run);
    let saved = Saved::new((&found.scope, plan.variant, plan.reductions), property, &example);
    for place in 0..saved.steps.len() {
        let mut less = saved.clone();
        less.steps.remove(place);
        let replayed = replay(&saved.system(None).expect("it is a scope"), &less);
        assert_eq!(replayed.violated, None, "step {} can be left out", place + 1);
    }
}
