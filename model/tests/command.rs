//! The command as a person or a script meets it: exit codes, what goes to standard output, and what never panics.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use model::exit::Exit;
use serde_json::Value;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_model"));
    // Counterexamples that nobody asked to save go to a cache of the tests' own.
    command.args(arguments).env("XDG_CACHE_HOME", directory("cache"));
    command
}

fn run(arguments: &[&str]) -> Output {
    let output = command(arguments).stdin(Stdio::null()).output().expect("the command can be started");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("panicked"), "model {}: {told}", arguments.join(" "));
    output
}

/// What it prints, if it ends so.
fn printed(arguments: &[&str], exit: Exit) -> String {
    let output = run(arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit as i32), "model {}: {told}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn json(arguments: &[&str], exit: Exit) -> Value {
    let value: Value = serde_json::from_str(&printed(arguments, exit)).expect("it prints one JSON object");
    assert_eq!(value["schema"], 1);
    assert_eq!(value["command"], arguments[0]);
    value
}

fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("command").join(name);
    std::fs::create_dir_all(&path).expect("the directory for temporary files is writable");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

#[test]
fn each_way_to_end_has_its_exit_code() {
    let cases: &[(&[&str], Exit)] = &[
        (&["check", "forwarding"], Exit::Done),
        (&["check", "nowhere"], Exit::Usage),
        (&["check", "forwarding", "--slots", "1"], Exit::Usage),
        (&["check", "--views", "5", "--servers", "2"], Exit::Usage),
        (&["check", "--variant", "nothing"], Exit::Usage),
        (&["check", "--variant", "quorum-half"], Exit::Violated),
        (&["check", "--variant", "quorum-half", "forwarding"], Exit::Survived),
        (&["check", "forwarding", "--save", "/dev/null/x"], Exit::Runtime),
        (&["check", "forwarding", "--report", "/dev/null/x"], Exit::Runtime),
        (&["check", "reads", "--time-limit", "0.001"], Exit::Incomplete),
        (&["replay", "/nowhere.json"], Exit::Runtime),
        (&["replay", env!("CARGO_MANIFEST_PATH")], Exit::DamagedData),
        (&["explore", "--path", env!("CARGO_MANIFEST_PATH")], Exit::DamagedData),
        (&["explore", "--address", "192.0.2.1:1"], Exit::Runtime),
        (&["simulate", "--walks", "3", "--seed", "1"], Exit::Done),
        (&["simulate", "--scope", "nowhere"], Exit::Usage),
        (
            &["simulate", "--variant", "evicted-session-applied", "--walks", "1", "--seed", "1"],
            Exit::Survived,
        ),
        (&["man", "nothing"], Exit::Usage),
    ];
    for (arguments, exit) in cases {
        printed(arguments, *exit);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child =
        command(&["check", "--list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut told = String::new();
    child.stderr.take().expect("it was asked for").read_to_string(&mut told).expect("it is UTF-8");
    assert_eq!((child.wait().unwrap().code(), told.as_str()), (Some(0), ""));
}

#[test]
fn a_violation_ends_with_commands_that_work() {
    let file = directory("violation").join("a run.json");
    let said = printed(&["check", "--variant", "quorum-half", "--save", text(&file)], Exit::Violated);
    assert!(said.contains(&format!(" replay '{}' --step", text(&file))), "{said}");
    assert!(said.contains(&format!(" explore --path '{}'", text(&file))), "{said}");

    let replayed = printed(&["replay", text(&file)], Exit::Violated);
    assert!(
        replayed.contains("It still fails") && replayed.contains("role: follower → prepares"),
        "{replayed}"
    );
    printed(&["replay", text(&file), "--step"], Exit::Violated);
    printed(&["replay", text(&file), "--variant", "nothing"], Exit::Usage);
    let value = json(&["replay", text(&file), "--json"], Exit::Violated);
    assert_eq!(value["fails_after_step"], value["steps"].as_array().expect("there are steps").len());

    let svg = printed(&["replay", text(&file), "--svg"], Exit::Violated);
    assert!(svg.starts_with("<svg ") && svg.contains("<desc") && svg.ends_with("</svg>"), "{svg}");
}

#[test]
fn without_save_a_counterexample_goes_to_the_cache_and_not_to_the_current_directory() {
    let here = directory("here");
    let mut command = command(&["check", "--variant", "quorum-half", "--json"]);
    let output = command.current_dir(&here).output().expect("the command can be started");
    let value: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let file = value["scopes"][0]["properties"][0]["file"].as_str().expect("it was saved");
    assert!(Path::new(file).starts_with(directory("cache")), "{file}");
    assert_eq!(std::fs::read_dir(&here).expect("it is there").count(), 0);
}

#[test]
fn a_report_is_one_file_that_asks_for_nothing() {
    let into = directory("report");
    printed(&["check", "--variant", "quorum-half", "--report", text(&into)], Exit::Violated);
    printed(&["variants", "quorum-half", "promises-below", "--report", text(&into)], Exit::Done);
    for (name, parts) in [
        ("check.html", ["id='scopes'", "id='properties'", "id='variants'"]),
        ("variants.html", ["id='table'", "id='controls'", "id='counterexamples'"]),
    ] {
        let page = std::fs::read_to_string(into.join(name)).expect("the report was written");
        let all = ["<h1>", "<svg ", "id='errata'", "prefers-color-scheme"];
        for part in all.into_iter().chain(parts) {
            assert!(page.contains(part), "{name}: there is no {part}");
        }
        for request in ["<script", "src=", "@import", "url(http", "rel='stylesheet'", "<iframe"] {
            assert!(!page.contains(request), "{name} has {request}");
        }
    }
}

#[test]
fn simulate_is_the_same_from_the_same_seed_and_ends_with_commands_that_work() {
    let file = directory("simulate").join("walk.json");
    let arguments = [
        "simulate",
        "--variant",
        "quorum-half",
        "--seed",
        "4",
        "--walks",
        "600",
        "--json",
        "--save",
        text(&file),
    ];
    let (once, again) = (json(&arguments, Exit::Violated), json(&arguments, Exit::Violated));
    assert_eq!(once["failure"], again["failure"]);
    assert_eq!(once["seed"], 4);
    let value = json(&["replay", text(&file), "--json"], Exit::Violated);
    assert_eq!(value["property"], once["failure"]["property"]);

    let walk = once["failure"]["walk"].to_string();
    let arguments =
        ["simulate", "--variant", "quorum-half", "--seed", "4", "--first", &walk, "--walks", "1", "--json"];
    assert_eq!(
        json(&arguments, Exit::Violated)["failure"]["counterexample"],
        once["failure"]["counterexample"]
    );
}

/// A machine that the prover's own tests use.
const MACHINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/proof/tests/paxos.machine");

/// `model prove`, where the solvers are programs that say this.
#[cfg(unix)]
fn prove(name: &str, says: &str, arguments: &[&str]) -> Output {
    use std::os::unix::fs::PermissionsExt;
    let solvers = directory("prove").join(name);
    std::fs::create_dir_all(&solvers).expect("the directory is writable");
    for solver in ["z3", "cvc5"] {
        let program = solvers.join(solver);
        std::fs::write(&program, format!("#!/bin/sh\n{says}\n")).expect("the program is writable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let arguments = [&["prove", "--machine", MACHINE], arguments].concat();
    let mut command = command(&arguments);
    command.env("PATH", std::env::join_paths([&solvers, Path::new("/usr/bin"), Path::new("/bin")]).unwrap());
    command.stdin(Stdio::null()).output().expect("the command can be started")
}

#[cfg(unix)]
#[test]
fn prove_ends_as_the_solvers_answer() {
    let cases: &[(&str, &str, &[&str], Exit)] = &[
        ("unsat", "echo unsat", &[], Exit::Done),
        ("both", "echo unsat", &["--solver", "both"], Exit::Done),
        ("unknown", "echo unknown", &[], Exit::Incomplete),
        ("broken", "echo '(error \"no\")'; exit 1", &[], Exit::Incomplete),
        ("silent", "exit 1", &["--only", "lemma"], Exit::Incomplete),
        ("slow", "sleep 60", &["--only", "lemma", "--time-limit", "0.1"], Exit::Incomplete),
        // One proves, the other knows nothing.
        ("one", "case $0 in *z3) echo unsat;; *) echo unknown;; esac", &["--solver", "both"], Exit::Done),
    ];
    for (name, says, arguments, exit) in cases {
        let output = prove(name, says, &[arguments, &["--json"][..]].concat());
        assert_eq!(output.status.code(), Some(*exit as i32), "{name}: {output:?}");
        let value: Value = serde_json::from_slice(&output.stdout).expect("it prints one JSON object");
        assert_eq!((&value["schema"], &value["command"]), (&1.into(), &"prove".into()), "{name}");
        assert_eq!(value["ok"], *exit == Exit::Done, "{name}");
        for obligation in value["obligations"].as_array().expect("there are some") {
            let text = |field: &str| obligation[field].as_str().is_some_and(|text| !text.is_empty());
            assert!(["machine", "action", "invariant", "solver", "verdict"].into_iter().all(text), "{name}");
            assert!(obligation["seconds"].is_number(), "{name}");
        }
    }
}

#[cfg(unix)]
#[test]
fn prove_tells_what_one_solver_left_unknown() {
    let says = "case $0 in *z3) echo unsat;; *) echo unknown;; esac";
    let output = prove("left", says, &["--solver", "both", "--only", "vote:closed", "--verbose"]);
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    assert!(text.contains("vote    closed     proved"), "{text}");
    assert!(text.contains("paxos vote:closed by cvc5 (it gave up): here proved"), "{text}");
    assert!(text.contains("1 of 1 obligations proved"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_report_of_prove_has_every_question_and_asks_for_nothing() {
    let into = directory("proof");
    let output = prove("report", "echo unsat", &["--report", text(&into)]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = std::fs::read_to_string(into.join("prove.html")).expect("the report was written");
    for part in ["id='obligations'", "id='machines'", "id='sources'", "prefers-color-scheme", "vote"] {
        assert!(page.contains(part), "there is no {part}");
    }
    for request in ["<script", "src=", "@import", "url(http", "<iframe"] {
        assert!(!page.contains(request), "it has {request}");
    }
    let question = std::fs::read_to_string(into.join("paxos-vote-closed.smt2")).expect("it was written");
    assert!(question.starts_with("; Machine paxos") && question.ends_with("(check-sat)\n"), "{question}");
}

#[test]
fn without_a_solver_prove_says_what_to_install() {
    let path = directory("nothing");
    for (solver, packages) in
        [("z3", "apt install z3, or pip install z3-solver"), ("cvc5", "apt install cvc5")]
    {
        let output = command(&["prove", "--machine", MACHINE, "--solver", solver])
            .env("PATH", &path)
            .output()
            .expect("the command can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(Exit::Runtime as i32), "{told}");
        assert!(
            told.contains(&format!("there is no {solver} on the PATH")) && told.contains(packages),
            "{told}"
        );
    }
}

#[test]
fn prove_names_what_it_does_not_know() {
    let told = |arguments: &[&str]| {
        let output = run(&[&["prove", "--machine", MACHINE], arguments].concat());
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{arguments:?}");
        String::from_utf8(output.stderr).expect("it prints UTF-8")
    };
    assert!(told(&["--only", "agremeent"]).contains("did you mean 'agreement'"));
    assert!(told(&["--drop", "propose:highest-vot"]).contains("did you mean 'propose:highest-vote'"));
    let bad = directory("prove").join("bad.machine");
    std::fs::write(&bad, "(machine bad \"\")\n(sort server)\n").expect("the file is writable");
    assert!(told(&["--machine", text(&bad)]).contains("bad.machine:2:1: this form is written (sort NAME"));
    assert!(
        printed(&["prove", "--machine", MACHINE, "--list"], Exit::Done).contains("vote: not-left, proposed")
    );
}

#[test]
fn completions_and_manual_pages_know_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell], Exit::Done);
        assert!(script.contains("replay") && script.contains("simulate"), "{shell}");
    }
    let page = printed(&["man"], Exit::Done);
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    assert!(page.contains("Exit codes"), "{page}");
    assert!(printed(&["man", "simulate"], Exit::Done).contains("\\-\\-seed"));
}

#[test]
fn colour_is_left_out_where_nobody_wants_it() {
    let output = command(&["--help"]).env("NO_COLOR", "1").output().expect("the command can be started");
    assert!(!output.stdout.contains(&0x1b));
}
