//! How many instructions handlers and codec take, counted by valgrind: unlike times, these are the same on a machine that
//! is busy with other things, so a small loss shows in them.
//!
//! Each row is run twice under callgrind, once with more repetitions; the difference is what the repetitions took, without
//! what comes before and after. `check` compares that with the figures in `instructions.csv`, and `pin` writes them.
//! Another compiler makes other instructions, hence the tolerance; it and its version stand in the file.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use benches::datagrams::{accept, datagrams_of, pack, packer, propose, unpack, unpacker};
use benches::steps::{self, Server};
use cluster::payload::Payload;
use spec::Message;

/// Repetitions of the shorter and of the longer run.
const REPETITIONS: [usize; 2] = [2_048, 8_192];
/// How far a figure may be from its pinned one, in parts of it.
const TOLERANCE: f64 = 0.08;

const USAGE: &str = "\
Usage: instructions check    compare with benches/instructions.csv; exit code 1 if a row is off
       instructions pin      write benches/instructions.csv";

/// What is counted: its name, what one repetition is, and the repetitions.
type Row = (&'static str, &'static str, fn(usize));

const ROWS: [Row; 7] = [
    ("handlers/leader", "an update", |count| lead(count, 1)),
    ("handlers/leader, full window", "an update", |count| lead(count, steps::window())),
    ("handlers/acceptor", "an update", follow),
    ("encode/propose", "a message", |count| encode(&propose(), count)),
    ("encode/accept", "a message", |count| encode(&accept(), count)),
    ("decode/propose", "a message", |count| decode(&propose(), count)),
    ("decode/accept", "a message", |count| decode(&accept(), count)),
];

fn lead(updates: usize, window: u64) {
    Server::leading().lead(1..=updates as u64, window, &benches::value());
}

fn follow(updates: usize) {
    Server::following().follow(1..=updates as u64, &benches::value());
}

fn encode(message: &Message<Payload>, messages: usize) {
    pack(&mut packer(), message, messages, |datagram| {
        black_box(datagram);
    });
}

fn decode(message: &Message<Payload>, messages: usize) {
    // As many datagrams in either run, so that making them does not count.
    let datagrams = datagrams_of(message, REPETITIONS[1]);
    let mut unpacker = unpacker();
    let mut decoded = 0;
    for datagram in &datagrams {
        if decoded < messages {
            decoded += unpack(&mut unpacker, datagram);
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["check"] => check(),
        ["pin"] => pin(),
        ["run", row, repetitions] => run(row, repetitions),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// What valgrind runs.
fn run(row: &str, repetitions: &str) -> Result<bool, String> {
    let (_, _, repeat) = ROWS.iter().find(|(name, ..)| *name == row).ok_or("no such row")?;
    repeat(repetitions.parse().map_err(|_| "no number")?);
    Ok(true)
}

/// The instructions of one repetition of a row.
fn count(row: &str) -> Result<f64, String> {
    let [few, many] = REPETITIONS;
    let [less, more] = [instructions(row, few)?, instructions(row, many)?];
    #[expect(clippy::cast_precision_loss, reason = "three digits are told")]
    Ok(more.saturating_sub(less) as f64 / (many - few) as f64)
}

/// The instructions of a whole run.
fn instructions(row: &str, repetitions: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["run", row, &repetitions.to_string()])
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}. Install the package valgrind"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = said.lines().filter_map(|line| line.split_once("Collected : ")).next();
    let counted =
        counted.filter(|_| output.status.success()).and_then(|(_, count)| count.trim().parse().ok());
    counted.ok_or_else(|| format!("valgrind counted nothing of {row}:\n{said}"))
}

fn figures_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.csv")
}

fn pin() -> Result<bool, String> {
    let mut text = format!("# {}\nrow,of,instructions\n", compiler());
    for (name, of, _) in ROWS {
        let figure = count(name)?;
        println!("{figure:8.0}  {name}, {of}");
        let _ = writeln!(text, "\"{name}\",{of},{figure:.1}");
    }
    fs::write(figures_path(), text).map_err(|error| format!("{}: {error}", figures_path().display()))?;
    Ok(true)
}

fn check() -> Result<bool, String> {
    let path = figures_path();
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{:>8} {:>8} {:>8}   instructions by {}", "pinned", "now", "change", compiler());
    let mut is_like_before = true;
    for (name, of, _) in ROWS {
        let line = text.lines().find(|line| line.starts_with(&format!("\"{name}\",")));
        let pinned: Option<f64> = line.and_then(|line| line.rsplit(',').next()?.parse().ok());
        let pinned = pinned.ok_or_else(|| format!("{}: no figure of {name}; pin it", path.display()))?;
        let now = count(name)?;
        let change = now / pinned - 1.0;
        let is_off = change.abs() > TOLERANCE;
        is_like_before &= !is_off;
        let verdict = if is_off { "  OFF" } else { "" };
        println!("{pinned:8.0} {now:8.0} {:+7.1} %   {name}, {of}{verdict}", 100.0 * change);
    }
    if !is_like_before {
        eprintln!(
            "a figure is off by more than {:.0} %. If it is meant to be, or the compiler is another than {}, pin the new \
             ones: ci/instructions.sh pin",
            100.0 * TOLERANCE,
            text.lines().next().unwrap_or_default().trim_start_matches("# ")
        );
    }
    Ok(is_like_before)
}

/// The compiler's version, as far as it says.
fn compiler() -> String {
    let output =
        Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    output.map_or_else(
        |_| "an unknown compiler".into(),
        |it| String::from_utf8_lossy(&it.stdout).trim().to_owned(),
    )
}
