//! The HTML reports. That of `check` is here: one file that says what was explored, what holds, what was reached, how a
//! counterexample goes, and where the handlers differ from the paper.

mod proof;
mod variants;

pub use proof::proof;
pub use variants::variants;

use std::fmt::Write;
use std::time::SystemTime;

use crate::check::Outcome;
use crate::diagram;
use crate::exit::Exit;
use crate::html::{Cell, escaped, markdown, page, scrolling, table, utc};
use crate::properties::PROPERTIES;
use crate::replay::replay;
use crate::report::{self, grouped, sentence};
use crate::saved::Saved;
use crate::variant::{self, Variant};

const ERRATA: &str = include_str!("../../spec/ERRATA.md");
const README: &str = include_str!("../README.md");

/// What a report is about.
pub struct Checked<'a> {
    /// Which Paxos.
    pub variant: Variant,
    /// What became of each scope.
    pub outcomes: &'a [Outcome],
    /// The counterexamples.
    pub saved: &'a [Saved],
    /// When it was made.
    pub moment: SystemTime,
}

/// The report of `check`.
pub fn check(checked: &Checked<'_>) -> String {
    let mut sections = vec![("scopes", "Scopes", scopes(checked.outcomes))];
    if !checked.saved.is_empty() {
        sections.push(("counterexamples", "Counterexamples", counterexamples(checked.saved)));
    }
    sections.push(("properties", "Properties", held(checked.outcomes)));
    sections.push(("probes", "Probes", probes(checked.outcomes)));
    if checked.variant == Variant::Correct {
        sections.push(("arms", "Arms of the handlers and outcomes of the rules", arms(checked.outcomes)));
    }
    sections.push(("variants", "Variants", all_variants()));
    sections.push(("limits", "What this covers, and what not", limits()));
    sections.push(("errata", "Where the handlers differ from the thesis", errata()));
    page(&title(checked.variant), &lead(checked), &sections)
}

fn title(variant: Variant) -> String {
    match variant.description() {
        Some(description) => format!("Leasehold: the variant {}", description.name),
        None => "Leasehold: every reachable state of its scopes".into(),
    }
}

/// The verdict, and the facts of the run.
fn lead(checked: &Checked<'_>) -> String {
    let Checked { variant, outcomes, moment, .. } = *checked;
    let exit = report::exit(variant, outcomes);
    let good = exit == Exit::Done || (exit == Exit::Violated && variant != Variant::Correct);
    let class = if good { "good" } else { "bad" };
    let sum = |count: fn(&Outcome) -> usize| grouped(outcomes.iter().map(count).sum());
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.elapsed.as_secs_f64()).sum();
    let verdict = escaped(report::conclusion(variant, outcomes).trim());
    let counts = [
        ("Distinct states", sum(|outcome| outcome.distinct)),
        ("Transitions", sum(|outcome| outcome.states)),
        ("Search time of all scopes", format!("{seconds:.1} s")),
        ("Exit code", (exit as u8).to_string()),
    ];
    format!("<p class='verdict {class}'>{verdict}</p>\n{}", facts(moment, &counts))
}

/// What is worth knowing of a run, after when it was made and by what.
fn facts(moment: SystemTime, more: &[(&str, String)]) -> String {
    let made = [("Made", utc(moment)), ("By", format!("model {}", env!("CARGO_PKG_VERSION")))];
    let mut text = String::from("<dl class='facts'>");
    for (name, value) in made.iter().chain(more) {
        let _ = write!(text, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
    }
    text + "</dl>\n"
}

fn scopes(outcomes: &[Outcome]) -> String {
    let columns =
        ["Scope", "Bounds", "States", "Distinct", "Depth", "Seconds", "Properties", "Probes", "Complete"];
    let row = |outcome: &Outcome| {
        let fell = !outcome.holds();
        let held = outcome.verdicts.iter().filter(|verdict| verdict.counterexample.is_none()).count();
        let reached = outcome.probes.iter().filter(|(_, reached)| *reached).count();
        let complete = outcome.incomplete.unwrap_or(if fell { "until it fell" } else { "yes" });
        let probes = format!("{reached} of {} reached", outcome.probes.len());
        vec![
            Cell::Code(outcome.scope.name.into()),
            Cell::text(outcome.scope.bounds()),
            Cell::Number(grouped(outcome.states)),
            Cell::Number(grouped(outcome.distinct)),
            Cell::Number(outcome.depth.to_string()),
            Cell::Number(format!("{:.1}", outcome.elapsed.as_secs_f64())),
            Cell::Mark(outcome.holds(), format!("{held} of {} hold", outcome.verdicts.len())),
            // A search that ends at what it looks for need not come by everything.
            if fell { Cell::text(probes) } else { Cell::Mark(outcome.all_reached(), probes) },
            if fell { Cell::text(complete) } else { Cell::Mark(outcome.complete(), complete.into()) },
        ]
    };
    let rows: Vec<_> = outcomes.iter().map(row).collect();
    format!(
        "<p>States counts transitions, distinct different states, depth the longest of the shortest paths.</p>\n{}",
        table("What was explored", &columns, &rows)
    )
}

fn held(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> = PROPERTIES
        .iter()
        .filter_map(|property| {
            let judged = outcomes.iter().filter_map(|outcome| {
                let verdict = outcome.verdicts.iter().find(|verdict| verdict.name == property.name)?;
                Some((outcome.scope.name, verdict.counterexample.is_none()))
            });
            let (held, fell): (Vec<_>, Vec<_>) = judged.partition(|(_, holds)| *holds);
            let judged = held.len() + fell.len();
            let names: Vec<_> = fell.iter().map(|(name, _)| *name).collect();
            let verdict = if fell.is_empty() {
                format!("in {judged} of {judged} scopes")
            } else {
                format!("falls in {}", names.join(", "))
            };
            let row = vec![
                Cell::text(property.name),
                Cell::text(property.says),
                Cell::Mark(fell.is_empty(), verdict),
            ];
            (judged > 0).then_some(row)
        })
        .collect();
    table("What must hold in every reachable state", &["Property", "What it says", "Holds"], &rows)
}

fn probes(outcomes: &[Outcome]) -> String {
    let rows: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| {
            outcome.probes.iter().map(|&(name, reached)| {
                let all = outcome.holds() && outcome.complete();
                let verdict = match (reached, all) {
                    (true, _) => Cell::Mark(true, "reached".into()),
                    (false, true) => Cell::Mark(false, "never reached".into()),
                    (false, false) => Cell::text("not reached so far"),
                };
                vec![Cell::Code(outcome.scope.name.into()), Cell::text(name), verdict]
            })
        })
        .collect();
    let intro =
        "<p>What must really happen in a scope, so that no property holds for want of an occasion.</p>\n";
    intro.to_string() + &table("What was reached", &["Scope", "Probe", "Reached"], &rows)
}

/// What the handlers and the rules can come to, and where they did.
fn arms(outcomes: &[Outcome]) -> String {
    const NAMED_MAX: usize = 3;
    let missed: Vec<_> = report::missed(Variant::Correct, outcomes).collect();
    let rows: Vec<_> = report::exercised(outcomes)
        .all()
        .map(|(of, what, exercised)| {
            let here = |outcome: &&Outcome| {
                outcome
                    .exercised
                    .all()
                    .any(|(other, arm, exercised)| (other, arm, exercised) == (of, what, true))
            };
            let scopes: Vec<_> = outcomes.iter().filter(here).map(|outcome| outcome.scope.name).collect();
            let places = match scopes.len() {
                0 => "none of these scopes".into(),
                some if some > NAMED_MAX => format!("{some} scopes"),
                _ => scopes.join(", "),
            };
            let verdict = if exercised || missed.contains(&(of, what)) {
                Cell::Mark(exercised, places)
            } else {
                Cell::text(places)
            };
            vec![Cell::Code(of.into()), Cell::text(what), verdict]
        })
        .collect();
    let intro = "<p>Whatever an arm that nothing exercises does wrong, nobody would see: one that no default scope \
         exercises fails the check.</p>\n";
    intro.to_string() + &table("Exercised", &["Of", "What came of it", "In"], &rows)
}

fn all_variants() -> String {
    let rows: Vec<_> = variant::all()
        .map(|variant| {
            vec![
                Cell::Code(variant.name.into()),
                Cell::text(variant.deviation),
                Cell::text(variant.source),
                Cell::Code(variant.rule.into()),
                Cell::Code(variant.scope.into()),
                Cell::text(variant.falls.unwrap_or("nothing: it is harmless")),
            ]
        })
        .collect();
    let columns = ["Variant", "What it does", "Where it was seen", "Rule", "Scope", "Must fall"];
    let intro = "<p>Each replaces one rule, or does one thing at the boundary wrong, and must break the property named. \
         <code>model check --variant NAME</code> runs one.</p>\n";
    intro.to_string() + &table("One rule replaced", &columns, &rows)
}

/// Each counterexample: in words, and as a diagram.
fn counterexamples(saved: &[Saved]) -> String {
    saved.iter().enumerate().map(|(number, saved)| counterexample(saved, &format!("run-{number}"))).collect()
}

/// One counterexample; `id` tells it apart from the others of the page.
pub fn counterexample(saved: &Saved, id: &str) -> String {
    let (property, scope) = (escaped(&saved.property), escaped(&saved.scope.name));
    let mut text = format!("<h3 id='{id}'>{property} in scope {scope}</h3>\n");
    if let Some(variant) = &saved.variant {
        let _ = writeln!(text, "<p>Variant <code>{}</code>.</p>", escaped(variant));
    }
    let _ = writeln!(text, "<p class='bad'>{}</p>", escaped(&sentence(&saved.why)));
    text += "<ol class='steps'>\n";
    for step in &saved.steps {
        let mut lines = step.words.iter().map(|line| escaped(line));
        let _ = write!(text, "<li>{}", lines.next().unwrap_or_default());
        let rest: String = lines.map(|line| format!("<li>{line}</li>")).collect();
        if !rest.is_empty() {
            let _ = write!(text, "<ul>{rest}</ul>");
        }
        text += "</li>\n";
    }
    text + "</ol>\n" + &figure(saved, id)
}

/// The diagram of a counterexample.
fn figure(saved: &Saved, id: &str) -> String {
    let Ok(system) = saved.system(None) else { return String::new() };
    let title = format!("'{}' falls in scope {}, as a sequence diagram", saved.property, saved.scope.name);
    let svg = diagram::titled(&system, &replay(&system, saved).run, id, &title);
    let caption = "The same as a sequence diagram";
    format!("<figure><figcaption>{caption}</figcaption>{}{svg}</div></figure>\n", scrolling(caption))
}

fn limits() -> String {
    markdown(part(README, "limits"))
}

fn errata() -> String {
    // The page has a heading of its own.
    let text = ERRATA.split_once('\n').map_or(ERRATA, |(_, rest)| rest);
    markdown(text)
}

/// The part of a page between `<!-- NAME -->` and `<!-- /NAME -->`.
fn part<'a>(text: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let from = text.find(&begin).map_or(0, |at| at + begin.len());
    let to = text.find(&end).unwrap_or(from);
    &text[from..to.max(from)]
}
