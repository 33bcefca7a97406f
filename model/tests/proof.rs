//! The machines of `spec/proof`: every guard, every invariant and every axiom is needed, and the page says for what.
//!
//! What needs a solver is left out, and says so, where there is none. CI has one: `ci/env.sh` names it in
//! `SOLVERS_REQUIRED`, and then its absence is a failure.

mod pages;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use model::exit::Exit;
use model::proof::ast::Machine;
use model::proof::necessity::Necessity;
use model::proof::obligation::obligations;
use model::proof::prove::{Progress, Settings, Verdict, prove};
use model::proof::read::read;
use model::proof::solver::{Kind, Solver, missing};
use model::proof::without::Part;
use model::proof::words::words;
use model::proof::{SOURCES, machines};

const FIXTURE: &str = include_str!("../src/proof/tests/paxos.machine");
const PROOF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/proof");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/PROOF.md");

/// The solver, or nothing where it is missing and not required.
fn solver(kind: Kind) -> Option<Solver> {
    let found = Solver::find(kind);
    if found.is_none() {
        let required = std::env::var("SOLVERS_REQUIRED").unwrap_or_default();
        assert!(required.split_whitespace().all(|name| name != kind.name()), "{}", missing(kind));
        eprintln!("left out: {}", missing(kind));
    }
    found
}

fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn fixture() -> Machine {
    read("paxos.machine", FIXTURE).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// Proves all of a machine by one solver: the obligations that are not proved, with what is said of them.
fn open(machine: &Machine, solver: &Solver) -> Vec<(String, String)> {
    let settings =
        Settings { solvers: vec![solver.clone()], workers: workers(), limit: Duration::from_secs(60) };
    let outcomes = prove(&obligations(machine), &settings, &Progress::default());
    let told = outcomes.iter().filter_map(|outcome| match outcome.verdict() {
        Verdict::Proved => None,
        Verdict::Refuted(found) => {
            Some((outcome.obligation.name(), words(&outcome.obligation, found).join("\n")))
        }
        Verdict::Unknown(why) => Some((outcome.obligation.name(), why.clone())),
    });
    told.collect()
}

#[test]
fn every_file_is_built_in_and_well_formed() {
    let mut files: Vec<_> = std::fs::read_dir(PROOF)
        .expect("the directory is there")
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| Path::new(name).extension().is_some_and(|it| it == "machine"))
        .collect();
    files.sort();
    let mut built_in: Vec<_> = SOURCES.iter().map(|(file, _)| file.replace("spec/proof/", "")).collect();
    built_in.sort();
    assert_eq!(files, built_in);
    for machine in machines().unwrap_or_else(|wrong| panic!("{wrong}")) {
        assert_eq!(machine.file, format!("spec/proof/{}.machine", machine.name));
        assert!(!obligations(&machine).is_empty(), "{} states nothing", machine.name);
    }
}

#[test]
fn every_guard_every_invariant_and_every_axiom_is_needed_and_every_action_can_happen() {
    let Some(z3) = solver(Kind::Z3) else { return };
    let machines = machines().unwrap_or_else(|wrong| panic!("{wrong}"));
    let necessity = Necessity::of(&machines, &z3, workers(), &AtomicBool::new(false)).expect("z3 answers");
    println!("{}", necessity.text());
    assert_eq!(necessity.exit(), Exit::Done, "{}", necessity.text());
    // What no proof relies on is a claim, and claims are numbered as in `rules.rs`.
    for need in necessity.machines.iter().flat_map(|(_, needs)| needs).filter(|need| need.claim) {
        let number = need.name.trim_start_matches(|letter: char| letter.is_ascii_uppercase());
        assert!(number.parse::<u8>().is_ok(), "{} is no claim, and no proof relies on it", need.name);
    }
    let guards = necessity.markdown("guard", |part| matches!(part, Part::Guard(..)));
    pages::hold(PAGE, "guards", &guards, "proof");
    let invariants = necessity.markdown("invariant", |part| matches!(part, Part::Invariant(_)));
    pages::hold(PAGE, "invariants", &invariants, "proof");
    let axioms = necessity.markdown("axiom", |part| matches!(part, Part::Axiom(_)));
    pages::hold(PAGE, "axioms", &axioms, "proof");
}

/// The actions of the first machine, each with its guards and the rules that keep them, and what is claimed of it.
#[test]
fn the_page_tells_of_the_actions_and_the_claims() {
    let machine = &machines().unwrap_or_else(|wrong| panic!("{wrong}"))[0];
    let mut table =
        String::from("| action | what it is | guards, and what keeps them |\n| --- | --- | --- |\n");
    for action in &machine.actions {
        let guards = action.guards.iter().map(|guard| format!("*{}*: {}", guard.name, guard.doc));
        let guards = guards.collect::<Vec<_>>().join("; ");
        table += &format!("| `{}` | {} | {guards} |\n", action.name, action.doc);
    }
    pages::hold(PAGE, "actions", &table, "proof");
    let numbered = |name: &&str| name[1..].parse::<u8>().is_ok();
    let invariants = machine.invariants.iter().map(|it| (it.name.as_str(), it.doc.as_str()));
    let properties = machine.properties.iter().map(|it| (it.name.as_str(), it.doc.as_str()));
    let mut table = String::from("| | |\n| --- | --- |\n");
    let mut claims: Vec<_> = invariants.filter(|(name, _)| numbered(name)).chain(properties).collect();
    claims.sort();
    for (name, doc) in claims {
        table += &format!("| {name} | {doc} |\n");
    }
    pages::hold(PAGE, "claims", &table, "proof");
}

/// All code below a directory.
fn code(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it is listed").path());
    let text = |path: std::path::PathBuf| {
        if path.is_dir() { code(&path) } else { std::fs::read_to_string(path).expect("it can be read") }
    };
    paths.map(text).collect()
}

#[test]
fn a_guard_names_the_rules_and_handlers_that_keep_it() {
    let code = code(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/src")));
    let machine = &machines().unwrap_or_else(|wrong| panic!("{wrong}"))[0];
    for action in &machine.actions {
        for guard in action.guards.iter().filter(|guard| guard.doc != "the environment") {
            for name in guard.doc.split(", ") {
                let known = ["(", "<"].iter().any(|after| code.contains(&format!("fn {name}{after}")));
                assert!(
                    known,
                    "{}:{} is kept by {name}, which is no function of spec",
                    action.name, guard.name
                );
            }
        }
    }
}

#[test]
fn either_solver_proves_agreement() {
    for z3_or_cvc5 in [Kind::Z3, Kind::Cvc5].into_iter().filter_map(solver) {
        assert_eq!(open(&fixture(), &z3_or_cvc5), [], "{z3_or_cvc5:?}");
    }
}

#[test]
fn without_the_rule_of_the_highest_vote_either_solver_says_what_goes_wrong() {
    let machine = fixture();
    let guard = Part::guards(&machine).into_iter().find(|it| it.name(&machine) == "propose:highest-vote");
    let machine = machine.without(guard.expect("there is such a guard"));
    for z3_or_cvc5 in [Kind::Z3, Kind::Cvc5].into_iter().filter_map(solver) {
        let open = open(&machine, &z3_or_cvc5);
        let [(name, told)] = &open[..] else { panic!("{open:?}") };
        assert_eq!(name, "paxos propose:closed");
        // The smallest state in which it can go wrong: one server promised a view, and had voted below it.
        let before: Vec<_> = told.lines().skip_while(|line| *line != "before").skip(1).take(4).collect();
        for fact in ["left(server", "promised(server", "proposed(slot", "voted(server"] {
            assert!(before.iter().any(|line| line.trim().starts_with(fact)), "{fact}: {told}");
        }
        assert!(told.contains("propose(i = slot") && told.contains(") becomes true"), "{told}");
        assert!(told.contains("then closed does not hold for i = slot"), "{told}");
    }
}

#[test]
fn without_an_invariant_that_a_proof_names_it_fails() {
    let Some(z3) = solver(Kind::Z3) else { return };
    let machine = fixture();
    for part in Part::invariants(&machine) {
        let (name, open) = (part.name(&machine), open(&machine.without(part), &z3));
        let needed = name != "closed" || open.iter().any(|(name, _)| name == "paxos property:agreement");
        assert!(needed && !open.is_empty(), "{name}: {open:?}");
    }
}
