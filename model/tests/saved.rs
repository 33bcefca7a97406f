//! Saved counterexamples: what is read is what was written, damage is told and never a panic, and a replay says
//! whether the run still fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::check::{self, Progress, Request};
use model::exit::{Exit, Failure};
use model::properties::PROPERTIES;
use model::replay::{perform, replay};
use model::saved::{Act, Error, Saved};
use model::scope::{self, Astray, SHORT_CLOCKS, Scope};
use model::state::State;
use model::system::{Reductions, System};
use model::variant::{self, Variant};
use spec::ServerId;
use stateright::Model;

/// A directory of its own for each test.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).expect("the directory for temporary files is writable");
    path
}

/// The counterexample of a variant.
fn counterexample(name: &str) -> Saved {
    let description = variant::named(name).expect("it is a variant");
    let scope = scope::named(description.scope).expect("it is a scope").clone();
    let request = Request::new(vec![scope], description.variant, 1);
    let outcomes = check::run(&request, &Progress::new(1));
    let verdict = &outcomes[0].verdicts[0];
    let found = verdict.counterexample.as_ref().expect("the variant falls");
    Saved::new((&request.scopes[0], request.variant, request.reductions), verdict.name, found)
}

/// Writes, reads and performs each action of a state; the states that follow.
fn each_again(system: &System, state: &State, kinds: &mut BTreeSet<String>) -> Vec<State> {
    let mut actions = Vec::new();
    system.actions(state, &mut actions);
    let again = |action| {
        let act = Act::from(action);
        let text = serde_json::to_string(&act).expect("it has string keys");
        assert_eq!(serde_json::from_str::<Act>(&text).expect("it was just written"), act);
        let kind = match act {
            Act::Deliver { snapshot: Some(_), .. } => "deliver a snapshot",
            _ => text.split('"').nth(1).expect("it has a key"),
        };
        kinds.insert(kind.to_string());
        let expected = system.next_state(state, action);
        assert!(perform(system, state, &act).map(|(_, next)| next) == expected, "{text}");
        expected
    };
    actions.into_iter().filter_map(again).collect()
}

#[test]
fn every_kind_of_action_is_read_as_it_was_written_and_found_again() {
    let base = Scope { slots: 1, updates: 1, crashes: 1, ..Scope::custom() };
    let timed = Scope { rounds: 1, resigns: 1, reads: 1, lease: Some(SHORT_CLOCKS), ..base.clone() };
    let compacting = Scope { servers: 2, compactions: 1, crashes: 0, ..base.clone() };
    let failing = Scope { wipes: 1, damages: 1, crashes: 0, ..base.clone() };
    let doubting = Scope { astray: Some(Astray { server: ServerId(0), doubts: 2 }), ..timed.clone() };
    let mut kinds = BTreeSet::new();
    let flushing = Scope { flush: true, ..base };
    for (scope, levels) in [(flushing, 6), (timed, 6), (compacting, 14), (failing, 8), (doubting, 6)] {
        let system = System::new(&scope, Variant::Correct, Reductions::ON);
        let mut level = system.init_states();
        for _ in 0..levels {
            level = level.iter().take(200).flat_map(|state| each_again(&system, state, &mut kinds)).collect();
        }
    }
    let all = "compact, crash, damage, deliver, deliver a snapshot, doubt, elect, flush, read, renew, resign, retry, submit, tick, wipe";
    assert_eq!(kinds, all.split(", ").map(String::from).collect());
}

#[test]
fn a_saved_counterexample_fails_again_and_not_by_the_correct_rules() {
    for variant in ["grant-forgotten", "lowest-view", "promise-before-durable"] {
        let saved = counterexample(variant);
        let file = directory("again").join(saved.file_name());
        saved.write(&file).expect("it can be written");
        let read = Saved::read(&file).expect("it was just written");
        assert_eq!(read, saved);

        let replayed = replay(&read.system(None).expect("it was checked"), &read);
        assert!(replayed.refused.is_none(), "{variant}");
        assert_eq!(replayed.violated, Some(saved.steps.len()), "{variant}: a shortest run fails at its end");

        let correct = read.system(Some(Variant::Correct)).expect("the bounds suit the correct rules");
        assert_eq!(replay(&correct, &read).violated, None, "{variant}");
    }
}

#[test]
fn a_run_says_why_it_breaks_its_property() {
    let why = |variant| counterexample(variant).why;
    assert_eq!(
        why("grant-forgotten"),
        "server 0 holds the lease of view 1.0 for 4 more of its clock, \
         and server 1 believes in the lease of view 2.1 for 4 more of its clock"
    );
    assert_eq!(
        why("accept-before-durable"),
        "in step 9 server 0 sent Accept(1.0, 3), but its disk holds no vote for slot 3 in that view"
    );
    assert!(why("read-by-role").contains(" a client had seen slot "), "{}", why("read-by-role"));
    let lowest = why("lowest-view");
    assert!(lowest.starts_with("slot 3 was chosen as ") && lowest.contains(" in view "), "{lowest}");
    assert!(lowest.matches(" by servers ").count() == 2, "{lowest}");
}

#[test]
fn every_property_has_words_of_its_own_for_why_it_falls() {
    for property in PROPERTIES {
        let mut variants = variant::all().filter(|variant| variant.falls == Some(property.name));
        let variant = variants.next().unwrap_or_else(|| panic!("no variant breaks '{}'", property.name));
        let why = counterexample(variant.name).why;
        assert!(!why.is_empty() && !why.contains("does not hold after"), "{}: {why}", variant.name);
    }
}

fn code(error: Error) -> Exit {
    let Failure { exit, message } = error.into();
    assert!(message.contains(".json"), "an error names its file: {message}");
    exit
}

#[test]
fn damage_is_told_and_never_a_panic() {
    let directory = directory("damage");
    let file = directory.join("file.json");
    let read = |text: &str| {
        std::fs::write(&file, text).expect("it is writable");
        Saved::read(&file)
    };
    let whole = serde_json::to_string(&counterexample("thesis-quorum-half")).expect("it has string keys");
    assert!(read(&whole).is_ok());

    // Cut anywhere, it is no counterexample any more.
    for length in (0..whole.len() - 1).step_by(97) {
        let Some(cut) = whole.get(..length) else { continue };
        assert_eq!(code(read(cut).expect_err("it is cut")), Exit::DamagedData, "cut at {length}");
    }
    let damaged = [
        ("\"format\":\"leasehold", "\"format\":\"something"),
        ("\"servers\":4", "\"servers\":0"),
        ("\"servers\":4", "\"servers\":200"),
        ("\"servers\":4", "\"servers\":-1"),
        ("\"updates\":2", "\"updates\":17"),
        ("\"views_each\":1", "\"views_each\":0"),
        ("\"quorums\":null", "\"quorums\":[1,1]"),
        ("\"lease\":null", "\"lease\":{\"lease_term\":4,\"grant_term\":6,\"slow\":0,\"fast\":3}"),
        ("\"elect\"", "\"explode\""),
        ("\"why\"", "\"wherefore\""),
    ];
    for (was, is) in damaged {
        assert!(whole.contains(was), "{was}");
        let error = read(&whole.replace(was, is)).expect_err("it is damaged");
        assert_eq!(code(error), Exit::DamagedData, "{is}");
    }
    let unknown = [
        ("\"schema\":1", "\"schema\":2"),
        ("\"variant\":\"thesis-quorum-half\"", "\"variant\":\"quorum-third\""),
        ("\"property\":\"agreement\"", "\"property\":\"disagreement\""),
    ];
    for (was, is) in unknown {
        assert!(whole.contains(was), "{was}");
        assert_eq!(code(read(&whole.replace(was, is)).expect_err("it is unknown")), Exit::Runtime, "{is}");
    }
    assert_eq!(code(Saved::read(&directory.join("none.json")).expect_err("it is not there")), Exit::Runtime);
}

#[test]
fn an_action_that_is_not_possible_is_refused_with_what_is() {
    let mut saved = counterexample("thesis-quorum-half");
    let lost = saved.steps.remove(0);
    let system = saved.system(None).expect("it is a known scope");
    let refused = replay(&system, &saved).refused.expect("nothing was prepared");
    let text = refused.to_string();
    assert!(
        refused.step <= 2 && text.contains("not possible") && text.contains("stands for leader"),
        "{text}"
    );

    // A server that is not there.
    saved.steps.insert(0, lost);
    saved.steps[0].action = Act::Elect { server: spec::ServerId(9) };
    assert_eq!(replay(&system, &saved).refused.expect("there is no server 9").step, 1);
}

#[test]
fn no_number_in_a_file_makes_it_panic() {
    let file = directory("numbers").join("file.json");
    let whole = serde_json::to_string(&counterexample("grant-forgotten")).expect("it has string keys");
    let mut readable = 0;
    let digits: Vec<_> =
        whole.match_indices(|letter: char| letter.is_ascii_digit()).map(|(at, _)| at).collect();
    for at in digits {
        for number in ["0", "1", "7", "255", "256", "-1", "18446744073709551615", "null"] {
            std::fs::write(&file, [&whole[..at], number, &whole[at + 1..]].concat()).expect("it is writable");
            if let Ok(saved) = Saved::read(&file) {
                replay(&saved.system(None).expect("it was checked"), &saved);
                readable += 1;
            }
        }
    }
    assert!(readable > 100, "only {readable} were readable");
}

#[test]
fn a_bound_that_a_file_does_not_name_is_none() {
    let file = directory("older").join("file.json");
    let saved = counterexample("quorum-half");
    let text = serde_json::to_string(&saved).expect("it has string keys");
    let older = text.replace(",\"forward\":false", "");
    assert_ne!(older, text);
    std::fs::write(&file, older).expect("it is writable");
    assert_eq!(Saved::read(&file).expect("it is a file of an older build"), saved);
}
