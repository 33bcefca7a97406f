//! The counts that the README publishes, and the variants that must fall.

use model::check::{self, Outcome, Progress, Request};
use model::exit::Exit;
use model::report;
use model::scope::{self, SCOPES, Scope};
use model::variant::Variant;
use model::variant::scopes::VARIANT_SCOPES;

fn explore(scopes: Vec<Scope>, variant: Variant) -> Vec<Outcome> {
    let progress = Progress::new(scopes.len());
    check::run(&Request::new(scopes, variant, 2), &progress)
}

/// A row of the README's table of scopes: name, states, distinct, depth.
fn published() -> Vec<(String, usize, usize, usize)> {
    let readme = include_str!("../../README.md");
    let start = readme.find("<!-- scopes -->").expect("the README has a table of scopes");
    let end = readme.find("<!-- /scopes -->").expect("the table has an end");
    let number = |cell: &str| cell.replace(',', "").parse().ok();
    readme[start..end]
        .lines()
        .filter_map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [_, name, _, states, distinct, depth, _] = cells[..] else { return None };
            Some((name.trim_matches('`').to_string(), number(states)?, number(distinct)?, number(depth)?))
        })
        .collect()
}

#[test]
fn no_two_scopes_have_one_name() {
    let scopes = SCOPES.iter().chain(VARIANT_SCOPES);
    let mut names: Vec<_> = scopes.map(|scope| scope.name).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
}

#[test]
fn the_readme_publishes_every_default_scope() {
    let names: Vec<_> = published().into_iter().map(|row| row.0).collect();
    assert_eq!(names, SCOPES.iter().map(|scope| scope.name).collect::<Vec<_>>());
}

#[test]
fn the_small_scopes_have_the_published_counts() {
    const SMALL: usize = 600_000;
    let small: Vec<_> = published().into_iter().filter(|row| row.2 < SMALL).collect();
    assert!(small.len() >= 3, "only {} scopes are small", small.len());
    let scopes = small.iter().map(|row| scope::named(&row.0).expect("it is a scope").clone()).collect();
    let outcomes = explore(scopes, Variant::Correct);
    for (row, outcome) in small.iter().zip(&outcomes) {
        assert_eq!((row.1, row.2, row.3), (outcome.states, outcome.distinct, outcome.depth), "{}", row.0);
    }
    assert_eq!(report::exit(Variant::Correct, &outcomes), Exit::Done);
}

#[test]
fn a_scope_that_misses_a_probe_fails_and_an_interrupted_one_is_no_success() {
    let forwarding = scope::named("forwarding").expect("it is a scope");
    let silent = Scope { forward: false, ..forwarding.clone() };
    let outcomes = explore(vec![silent], Variant::Correct);
    assert_eq!(report::exit(Variant::Correct, &outcomes), Exit::NotReached);

    let progress = Progress::new(1);
    progress.stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let scopes = vec![scope::named("agreement").expect("it is a scope").clone()];
    let request = Request::new(scopes, Variant::Correct, 1);
    let outcomes = check::run(&request, &progress);
    assert_eq!(report::exit(Variant::Correct, &outcomes), Exit::Incomplete);
}
