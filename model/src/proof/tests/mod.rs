//! The prover on a small machine: agreement alone.

use super::ast::Machine;
use super::obligation::{Hypotheses, Obligation, obligations};
use super::query::{finite, query};
use super::read::read;

const PAXOS: &str = include_str!("paxos.machine");

fn paxos() -> Machine {
    read("paxos.machine", PAXOS).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// What is said of the fixture if one piece of it is replaced by another.
fn wrong(piece: &str, by: &str) -> String {
    assert_eq!(PAXOS.matches(piece).count(), 1, "the fixture must have this once: {piece}");
    let text = PAXOS.replace(piece, by);
    read("paxos.machine", &text)
        .err()
        .map_or_else(|| panic!("nothing is wrong with: {by}"), |it| it.to_string())
}

#[test]
fn every_action_must_keep_every_invariant() {
    let machine = paxos();
    let names: Vec<_> = obligations(&machine).iter().map(Obligation::name).collect();
    assert_eq!(names.len(), 5 + 4 * 5 + 1 + 1);
    for name in ["initially:closed", "vote:closed", "property:agreement", "lemma:slack"] {
        assert!(names.contains(&format!("paxos {name}")), "{name}: {names:?}");
    }
}

#[test]
fn a_query_can_be_read_by_a_person() {
    let machine = paxos();
    let all = obligations(&machine);
    let promise = all.iter().find(|it| it.name() == "paxos promise:promise-leaves").expect("it is there");
    assert_eq!(query(promise, Hypotheses::Named).text, include_str!("promise-leaves.smt2"));
}

#[test]
fn a_finite_instance_has_no_quantifiers_and_asks_for_every_value() {
    let machine = paxos();
    for obligation in obligations(&machine).iter().filter(|it| it.action() != "lemma") {
        let query = finite(obligation, &[3, 2, 2, 3, 1]);
        assert!(!query.text.contains("(forall") && !query.text.contains("(exists"), "{}", obligation.name());
        assert!(query.asked.len() > 50, "{}", obligation.name());
    }
}

#[test]
fn what_is_wrong_with_a_machine_is_told_with_its_place() {
    let cases = [
        (
            "(not (left n v)))\n  (guard proposed",
            "(not (lft n v)))\n  (guard proposed",
            "nothing above is called 'lft'",
        ),
        ("(not (voted n i u x))", "(not (voted n u x))", "voted takes 4 arguments (server slot view value)"),
        (
            "(below u v) (not (= x y))",
            "(below u v) (not (= x u))",
            "sort value is wanted here, and this is of sort view",
        ),
        (
            "(proposed i v x))\n  (set voted",
            "(proposed_next i v x))\n  (set voted",
            "terms are over the state before",
        ),
        (
            "(set voted ((m server)",
            "(set member ((m server)",
            "only what a 'state' above declares can be set",
        ),
        (
            "(set chosen ((j slot) (u view)",
            "(set chosen ((u view) (j slot)",
            "chosen is over (slot view value)",
        ),
        ("(sort slot \"a", "(sort view \"a", "'view' is declared above"),
        ("(invariant one-value", "(invariant promise", "an action above is called 'promise'"),
        ("(invariant closed", "(invariant one-value", "'one-value' stands above"),
        ("(guard promised", "(guard first", "'first' stands above"),
        ("(state left", "(state forall", "means something to a solver"),
        ("(state left", "(state left_next", "the prover's own"),
        (
            "(sort slot \"a place in the log\")",
            "(sort slot)",
            "this form is written (sort NAME \"what it is\")",
        ),
        (
            "(by one-value votes-proposed chosen-voted closed)",
            "(by many-values)",
            "no invariant is called so",
        ),
        (
            "(by one-value votes-proposed chosen-voted closed)",
            "(since closed)",
            "write (by INVARIANT ...) here",
        ),
        ("(lemma slack", "(theorem slack", "there is no form 'theorem'"),
        ("(forall ((q quorum) (r quorum))", "(forall ((q quorum) (r qorum))", "a sort is wanted here"),
        (
            "(exists ((n server)) (and (member n q) (member n r)))",
            "(exists ((q server)) (member q r))",
            "'q' has a meaning here already",
        ),
        ("(not (below v v))", "(left v v)", "nothing above is called 'left'"),
        ("(< 0 l)", "(< 0 slot)", "nothing above is called 'slot'"),
        ("(<= (* l rate) g)", "(* l rate)", "sort Bool is wanted here, and this is of sort Real"),
        ("(machine paxos", "(sort machines \"\") (machine paxos", "a file begins with (machine NAME"),
    ];
    for (piece, by, told) in cases {
        let message = wrong(piece, by);
        assert!(message.contains(told), "{by}: {message}");
        let line = PAXOS[..PAXOS.find(piece).expect("it is there")].lines().count();
        let told: usize =
            message.split(':').nth(1).and_then(|line| line.parse().ok()).expect("it has a line");
        assert!((line..line + 3).contains(&told), "line {line}: {message}");
    }
}

#[test]
fn an_axiom_is_about_what_never_changes() {
    let late = format!("{PAXOS}\n(axiom late \"\" (forall ((n server) (v view)) (left n v)))");
    let told = read("paxos.machine", &late).expect_err("it is about state").to_string();
    assert!(told.contains("rigid functions only, and left is state"), "{told}");
}

#[test]
fn an_invariant_names_what_its_proof_takes_for_granted() {
    let machine = paxos();
    let all = obligations(&machine);
    let count =
        |name: &str, which| all.iter().find(|it| it.name() == name).map(|it| it.hypotheses(which).len());
    assert_eq!(count("paxos vote:votes-proposed", Hypotheses::Named), Some(1));
    assert_eq!(count("paxos vote:closed", Hypotheses::Named), Some(4));
    assert_eq!(count("paxos property:agreement", Hypotheses::Named), Some(4));
    assert_eq!(count("paxos vote:closed", Hypotheses::All), Some(5));
    assert_eq!(count("paxos initially:closed", Hypotheses::All), Some(0));
}
