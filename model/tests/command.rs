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
