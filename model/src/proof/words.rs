//! A counterexample in words: the state before, the action, what it changed, and what is broken then.

use super::ast::{Machine, Sort, Variable};
use super::counterexample::{Counterexample, Value};
use super::obligation::{Goal, Obligation};
use super::query::Asked;

/// A counterexample, line by line; what belongs to a line is indented below it.
pub fn words(obligation: &Obligation<'_>, found: &Counterexample) -> Vec<String> {
    let teller = Teller::new(obligation.machine, found);
    let mut lines = vec![format!("With {}:", teller.sizes())];
    let rigid = teller.facts(false);
    if !rigid.is_empty() {
        lines.push("always".into());
        lines.extend(rigid);
    }
    if !matches!(obligation.goal, Goal::Lemma(_)) {
        let before = teller.facts(true);
        lines.push(if before.is_empty() { "before: nothing is so".into() } else { "before".into() });
        lines.extend(before);
    }
    if let Goal::Keeps(action, _) = obligation.goal {
        let action = &obligation.machine.actions[action];
        lines.push(format!("{}({})", action.name, teller.bindings(parameter)));
        lines.extend(teller.changes());
    }
    let goal = obligation.statement();
    let for_what = teller.bindings(witness);
    let for_what = if for_what.is_empty() { String::new() } else { format!(" for {for_what}") };
    let says = if goal.doc.is_empty() { String::new() } else { format!(": {}", goal.doc) };
    lines.push(format!("then {} does not hold{for_what}{says}", goal.name));
    lines
}

struct Teller<'a> {
    machine: &'a Machine,
    found: &'a Counterexample,
    /// By sort: what each element is called, and the relation that orders the sort, if one does.
    ranks: Vec<(Vec<usize>, Option<usize>)>,
    /// The elements, by sort, that have to do with what happens.
    relevant: Vec<Vec<bool>>,
}

impl<'a> Teller<'a> {
    fn new(machine: &'a Machine, found: &'a Counterexample) -> Self {
        let ranks = (0..machine.sorts.len()).map(|sort| ranks(machine, found, sort)).collect();
        let relevant = found.sizes.iter().map(|&size| vec![false; size]).collect();
        let mut teller = Self { machine, found, ranks, relevant };
        for (asked, value) in &found.values {
            let told = match asked {
                Asked::Parameter(_) | Asked::Witness(_) => true,
                Asked::Before(..) => asked.is_fact(machine) && *value == Value::Truth(true),
                Asked::After(..) => teller.before(asked) != Some(*value),
            };
            if told {
                teller.note(asked, *value);
            }
        }
        teller
    }

    /// Notes that the elements of a told fact have to do with what happens.
    fn note(&mut self, asked: &Asked, value: Value) {
        if let Asked::Before(symbol, elements) | Asked::After(symbol, elements) = asked {
            for (sort, &element) in self.machine.symbols[*symbol].arguments.iter().zip(elements) {
                if let Sort::Declared(sort) = *sort {
                    self.relevant[sort][element] = true;
                }
            }
        }
        if let Value::Element(sort, element) = value {
            self.relevant[sort][element] = true;
        }
    }

    fn sizes(&self) -> String {
        let size = |(sort, size): (&super::ast::Declared, &usize)| {
            format!("{size} {}{}", sort.name, if *size == 1 { "" } else { "s" })
        };
        let sizes: Vec<_> = self.machine.sorts.iter().zip(&self.found.sizes).map(size).collect();
        if sizes.is_empty() { "numbers alone".into() } else { sizes.join(", ") }
    }

    /// What the same function was before the action.
    fn before(&self, after: &Asked) -> Option<Value> {
        let Asked::After(symbol, elements) = after else { return None };
        let same = |asked: &Asked| matches!(asked, Asked::Before(s, e) if (s, e) == (symbol, elements));
        self.found.values.iter().find(|(asked, _)| same(asked)).map(|(_, value)| *value)
    }

    /// What holds of rigid functions, or of the state before.
    fn facts(&self, state: bool) -> Vec<String> {
        let orders = |symbol: usize| self.ranks.iter().any(|(_, order)| *order == Some(symbol));
        let told = self.found.values.iter().filter_map(|(asked, value)| {
            let Asked::Before(symbol, elements) = asked else { return None };
            let declared = &self.machine.symbols[*symbol];
            // The order of a sort shows in the names of its elements.
            let wanted = declared.state == state && !orders(*symbol) && *value != Value::Truth(false);
            let relevant = || {
                let is = |(sort, element): (&Sort, &usize)| match *sort {
                    Sort::Declared(sort) => self.relevant[sort][*element],
                    _ => true,
                };
                (state && declared.result == Sort::Bool) || declared.arguments.iter().zip(elements).all(is)
            };
            (wanted && relevant()).then(|| format!("  {}", self.fact(*symbol, elements, *value)))
        });
        told.collect()
    }

    fn changes(&self) -> Vec<String> {
        let told = self.found.values.iter().filter_map(|(asked, value)| {
            let Asked::After(symbol, elements) = asked else { return None };
            let before = self.before(asked)?;
            let name = self.function(*symbol, elements);
            match (before, *value) {
                (before, after) if before == after => None,
                (_, Value::Truth(true)) => Some(format!("  {name} becomes true")),
                (_, Value::Truth(false)) => Some(format!("  {name} is true no more")),
                (before, after) => {
                    Some(format!("  {name} becomes {}, from {}", self.value(after), self.value(before)))
                }
            }
        });
        let changes: Vec<_> = told.collect();
        if changes.is_empty() { vec!["  changes nothing here".into()] } else { changes }
    }

    fn fact(&self, symbol: usize, elements: &[usize], value: Value) -> String {
        let function = self.function(symbol, elements);
        if value == Value::Truth(true) { function } else { format!("{function} = {}", self.value(value)) }
    }

    fn function(&self, symbol: usize, elements: &[usize]) -> String {
        let declared = &self.machine.symbols[symbol];
        let name = |(sort, element): (&Sort, &usize)| match *sort {
            Sort::Declared(sort) => self.element(sort, *element),
            _ => element.to_string(),
        };
        let elements: Vec<_> = declared.arguments.iter().zip(elements).map(name).collect();
        if elements.is_empty() {
            declared.name.clone()
        } else {
            format!("{}({})", declared.name, elements.join(", "))
        }
    }

    fn value(&self, value: Value) -> String {
        match value {
            Value::Element(sort, element) => self.element(sort, element),
            other => other.to_string(),
        }
    }

    fn element(&self, sort: usize, element: usize) -> String {
        format!("{} {}", self.machine.sorts[sort].name, self.ranks[sort].0[element])
    }

    /// `n = server 0, v = view 1`
    fn bindings(&self, of: fn(&Asked) -> Option<&Variable>) -> String {
        let binding = |(asked, value): &(Asked, Value)| {
            of(asked).map(|variable| format!("{} = {}", variable.name, self.value(*value)))
        };
        self.found.values.iter().filter_map(binding).collect::<Vec<_>>().join(", ")
    }
}

fn parameter(asked: &Asked) -> Option<&Variable> {
    if let Asked::Parameter(variable) = asked { Some(variable) } else { None }
}

fn witness(asked: &Asked) -> Option<&Variable> {
    if let Asked::Witness(variable) = asked { Some(variable) } else { None }
}

/// What to call the elements of a sort: if a rigid relation orders them, in its order. And that relation.
fn ranks(machine: &Machine, found: &Counterexample, sort: usize) -> (Vec<usize>, Option<usize>) {
    let size = found.sizes[sort];
    let order = machine.symbols.iter().enumerate().find_map(|(symbol, declared)| {
        let relation = !declared.state
            && declared.result == Sort::Bool
            && declared.arguments == [Sort::Declared(sort), Sort::Declared(sort)];
        let holds = |one: usize, other: usize| {
            found.values.iter().any(|(asked, value)| {
                *value == Value::Truth(true)
                    && matches!(asked, Asked::Before(s, e) if *s == symbol && *e == [one, other])
            })
        };
        // In a total order, each element has a number of its own of others below it.
        let below = |one: usize| (0..size).filter(|&other| other != one && holds(other, one)).count();
        let ranks: Vec<_> = (0..size).map(below).collect();
        let total = (0..size).all(|rank| ranks.contains(&rank));
        (relation && total && size > 1).then_some((ranks, symbol))
    });
    match order {
        Some((ranks, symbol)) => (ranks, Some(symbol)),
        None => ((0..size).collect(), None),
    }
}
