//! The machine stands twice: in `spec/proof/leasehold.machine`, which is proved, and in the executable form that every
//! search is judged by. Here the two are held together, along walks of the correct handlers and along the runs by which
//! variants are refused.

use std::collections::BTreeSet;

use model::check::{self, Progress, Request};
use model::proof::ast::Machine;
use model::proof::machines;
use model::properties::REFINEMENT;
use model::refinement::act::ACTIONS;
use model::refinement::exercise::{WALKED, walk};
use model::refinement::guards::GUARDS;
use model::refinement::history::History;
use model::refinement::{Guard, Refused};
use model::scope;
use model::system::{Reductions, System};
use model::variant::{self, Variant};
use stateright::Model;

fn file() -> Machine {
    machines()
        .expect("the files are well-formed")
        .into_iter()
        .find(|machine| machine.name == "leasehold")
        .expect("it is one")
}

#[test]
fn the_executable_form_has_the_actions_and_guards_of_the_file_and_no_others() {
    let file = file();
    let actions: Vec<_> = file.actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(actions.iter().collect::<BTreeSet<_>>(), ACTIONS.iter().collect::<BTreeSet<_>>());
    let guards = |action: &str| {
        GUARDS.iter().filter(|(of, _)| *of == action).map(|(_, guard)| *guard).collect::<Vec<_>>()
    };
    for action in &file.actions {
        let names: Vec<_> = action.guards.iter().map(|guard| guard.name.as_str()).collect();
        assert_eq!(names, guards(&action.name), "{}", action.name);
    }
    let all: usize = file.actions.iter().map(|action| action.guards.len()).sum();
    assert_eq!(all, GUARDS.len());
}

#[test]
fn along_walks_the_file_allows_every_step_and_its_state_is_what_the_servers_show() {
    const WALKS: u64 = 60;
    let file = file();
    let mut taken = BTreeSet::new();
    for name in WALKED {
        let system = System::new(scope::named(name).expect("it is one"), Variant::Correct, Reductions::ON);
        for seed in 0..WALKS {
            let run = walk(&system, seed, 60);
            let mut history = History::new(&file, &system, &run);
            for (place, pair) in run.windows(2).enumerate() {
                let (state, action) = (&pair[0].0, pair[0].1.expect("all but the last lead on"));
                let at =
                    || format!("{name}, walk {seed}, step {}: {}", place + 1, system.format_action(&action));
                taken.extend(history.names(&system, state, action));
                let verdict = history.step(&system, state, action);
                assert_eq!(verdict, Ok(()), "{}", at());
                assert_eq!(history.differs(&pair[1].0), None, "{}", at());
                assert_eq!(history.broken_invariants(), [""; 0], "{}", at());
            }
        }
    }
    let never: Vec<_> = ACTIONS.iter().filter(|name| !taken.contains(*name)).collect();
    assert!(never.is_empty(), "the walks never take {never:?}");
}

/// Each variant that a guard refuses: the file refuses the same step by the same guard.
#[test]
fn what_a_guard_refuses_the_file_refuses_by_the_same_guard() {
    let file = file();
    let mut seen = BTreeSet::new();
    for variant in variant::all() {
        let Some((action, guard)) = variant.refused.split_once('.') else { continue };
        // The first two take a long search. A Release of a view that its leader takes up again tells the server that hears it
        // of the view as it is; the file knows that it was left before, and refuses what the leader does with it later.
        if ["five", "five-forgotten", "lease-comeback"].contains(&variant.scope) {
            continue;
        }
        let guard = Guard::at(action, guard);
        let scopes = vec![scope::named(variant.scope).expect("it is one").clone()];
        let request = Request { only: Some(REFINEMENT), ..Request::new(scopes.clone(), variant.variant, 1) };
        let outcome = check::run(&request, &Progress::new(1)).remove(0);
        let found = outcome.verdicts[0].counterexample.as_ref().expect("it is refused");
        assert_eq!(found.refused, Some(Refused::Guard(guard)), "{}", variant.name);
        let system = System::new(&scopes[0], variant.variant, Reductions::ON);
        assert_eq!(
            refused_by_file(&file, &system, found),
            Ok((found.path.len() - 2, guard)),
            "{}",
            variant.name
        );
        seen.insert(guard);
    }
    println!("{} guards refuse variants", seen.len());
}

/// The step, from 0, that the file refuses, and by which guard.
fn refused_by_file(
    file: &Machine,
    system: &System,
    found: &check::Counterexample,
) -> Result<(usize, Guard), String> {
    let mut history = History::new(file, system, &found.path);
    for (place, (state, action)) in found.path.iter().enumerate() {
        let Some(action) = action else { break };
        match history.step(system, state, *action) {
            Ok(()) => {}
            Err(Refused::Guard(guard)) => return Ok((place, guard)),
            Err(other) => return Err(other.to_string()),
        }
    }
    Err("the file allows every step".into())
}

#[test]
fn a_guard_that_is_switched_off_is_missed() {
    for name in [
        "thesis-promise-despite-lease",
        "no-drift-margin",
        "grants-uncounted",
        "lease-from-ack",
        "transfer-keeps-lease",
    ] {
        let variant = variant::named(name).expect("it is a variant");
        let (action, guard) = variant.refused.split_once('.').expect("a guard refuses it");
        let guard = Guard::at(action, guard);
        let scopes = vec![scope::named(variant.scope).expect("it is one").clone()];
        let search = |without| {
            let request = Request {
                only: Some(REFINEMENT),
                without,
                ..Request::new(scopes.clone(), variant.variant, 1)
            };
            let outcome = check::run(&request, &Progress::new(1)).remove(0);
            outcome.verdicts[0].counterexample.as_ref().and_then(|found| found.refused)
        };
        assert_eq!(search(None), Some(Refused::Guard(guard)), "{name}");
        assert_ne!(search(Some(guard)), Some(Refused::Guard(guard)), "{name}");
    }
}
