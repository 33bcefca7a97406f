//! The question to a solver for one obligation: can its goal fail although its hypotheses hold? `unsat` means that it
//! cannot, which proves it.
//!
//! A question can be asked of any number of elements, or of a finite instance, where every declared sort has so many.
//! Then there are no quantifiers left, every solver decides it, and its answer can be read back.

use std::fmt::Write;

use super::ast::{Machine, Node, Quantifier, Sort, Statement, Term, Variable};
use super::obligation::{Goal, Hypotheses, Obligation};
use super::smt::{Sizes, Smt, Writer, combinations};

/// Of whose value a finite instance tells.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A function of these elements, before the action.
    Before(usize, Vec<usize>),
    /// The same after the action; only for what the action sets.
    After(usize, Vec<usize>),
    /// A parameter of the action.
    Parameter(Variable),
    /// What the goal fails for: one of its outermost variables.
    Witness(Variable),
}

/// A question to a solver.
pub struct Query {
    /// A file in SMT-LIB, to be run by itself.
    pub text: String,
    /// Of what it asks the values, in that order; nothing unless the instance is finite.
    pub asked: Vec<Asked>,
}

/// The question for an obligation, for any number of elements.
pub fn query(obligation: &Obligation<'_>, hypotheses: Hypotheses) -> Query {
    page(obligation, hypotheses, None).end()
}

/// The question for an obligation in a finite instance.
pub fn finite(obligation: &Obligation<'_>, sizes: &Sizes) -> Query {
    page(obligation, Hypotheses::All, Some(sizes)).end()
}

/// The questions for several obligations of one action in one finite instance, to be answered one after the other. All
/// must be of the same action.
pub fn together(obligations: &[Obligation<'_>], sizes: &Sizes) -> String {
    let Some(first) = obligations.first() else { return String::new() };
    let mut page = Page::new(first, Some(sizes));
    page.premises(first, Hypotheses::All);
    for obligation in obligations {
        page.command(&format!("the goal {}", obligation.statement().name), "push", vec![Smt::atom("1")]);
        page.goal(obligation);
        page.text.push_str("\n(check-sat)\n(pop 1)\n");
    }
    page.text
}

/// The question whether an action can happen in a finite instance, in a state in which all invariants hold. The obligation
/// is one of those about the action.
pub fn step(obligation: &Obligation<'_>, sizes: &Sizes) -> String {
    let mut page = Page::new(obligation, Some(sizes));
    page.premises(obligation, Hypotheses::All);
    page.text + "\n(check-sat)\n"
}

/// The question for a finite instance in which at most so many facts are true before the action.
pub fn fewer(obligation: &Obligation<'_>, sizes: &Sizes, most: usize) -> Query {
    let mut page = page(obligation, Hypotheses::All, Some(sizes));
    let fact = |asked: &&Asked| asked.is_fact(obligation.machine);
    let one =
        |asked: &Asked| Smt::apply("ite", vec![page.writer.value_of(asked), Smt::atom("1"), Smt::atom("0")]);
    let mut count: Vec<_> = page.asked.iter().filter(fact).map(one).collect();
    count.push(Smt::atom("0"));
    let few = Smt::apply("<=", vec![Smt::apply("+", count), Smt::atom(most.to_string())]);
    page.command(&format!("at most {most} facts before the action"), "assert", vec![few]);
    page.end()
}

fn page<'a>(obligation: &Obligation<'a>, hypotheses: Hypotheses, sizes: Option<&'a Sizes>) -> Page<'a> {
    let mut page = Page::new(obligation, sizes);
    page.begin(obligation);
    page.premises(obligation, hypotheses);
    page.goal(obligation);
    page
}

struct Page<'a> {
    writer: Writer<'a>,
    text: String,
    asked: Vec<Asked>,
}

impl<'a> Page<'a> {
    fn new(obligation: &Obligation<'a>, sizes: Option<&'a Sizes>) -> Self {
        let machine = obligation.machine;
        let changed = match obligation.goal {
            Goal::Keeps(action, _) => machine.actions[action].sets.iter().map(|set| set.symbol).collect(),
            _ => Vec::new(),
        };
        Self { writer: Writer { machine, changed, sizes }, text: String::new(), asked: Vec::new() }
    }

    fn machine(&self) -> &'a Machine {
        self.writer.machine
    }

    /// A comment, over as many lines as it takes.
    fn comment(&mut self, words: &str) {
        const WIDTH: usize = 98;
        let mut line = String::from(";");
        for word in words.split_whitespace() {
            if line.len() + 1 + word.len() > WIDTH {
                let _ = writeln!(self.text, "{line}");
                line = String::from(";  ");
            }
            line.push(' ');
            line.push_str(word);
        }
        let _ = writeln!(self.text, "{line}");
    }

    /// A command, after an empty line if something is said about it.
    fn command(&mut self, about: &str, name: &str, arguments: Vec<Smt>) {
        if !about.is_empty() {
            self.text.push('\n');
            self.comment(about);
        }
        let _ = writeln!(self.text, "{}", Smt::apply(name, arguments).layout(0));
    }

    fn begin(&mut self, obligation: &Obligation<'_>) {
        let (action, goal) = (obligation.action(), obligation.statement());
        let what = match obligation.goal {
            Goal::Initially(_) => format!("{} holds in the first states", goal.name),
            Goal::Keeps(..) => format!("the action {action} keeps {}", goal.name),
            Goal::Property(_) => format!("the property {} follows from the invariants", goal.name),
            Goal::Lemma(_) => format!("the lemma {} follows from the axioms", goal.name),
        };
        self.comment(&format!("Machine {}: {what}.", self.machine().name));
        if let Some(sizes) = self.writer.sizes {
            let size = |(sort, size): (&super::ast::Declared, &usize)| format!("{} {size}", sort.name);
            let sizes: Vec<_> = self.machine().sorts.iter().zip(sizes).map(size).collect();
            self.comment(&format!("A finite instance: {}.", sizes.join(", ")));
        }
        self.comment("'unsat' means that it does; 'sat' is a counterexample.");
        let option = |name: &str, value: &str| vec![Smt::atom(name), Smt::atom(value)];
        if self.writer.sizes.is_some() {
            self.command("", "set-option", option(":produce-models", "true"));
        }
        self.command("", "set-logic", vec![Smt::atom("ALL")]);
    }

    /// Everything but the goal.
    fn premises(&mut self, obligation: &Obligation<'_>, hypotheses: Hypotheses) {
        let machine = self.machine();
        self.declarations();
        self.definitions(false);
        self.assertions("axiom", machine.axioms.iter());
        if let Goal::Initially(_) = obligation.goal {
            self.assertions("initially", machine.initially.iter());
        }
        self.assertions("invariant", obligation.hypotheses(hypotheses).into_iter());
        if let Goal::Keeps(action, _) = obligation.goal {
            self.action(action);
            self.definitions(true);
        }
    }

    fn declarations(&mut self) {
        let machine = self.machine();
        for (index, sort) in machine.sorts.iter().enumerate() {
            let about = format!("sort {}: {}", sort.name, sort.doc);
            let name = Smt::atom(&sort.name);
            match self.writer.sizes {
                None => self.command(&about, "declare-sort", vec![name, Smt::atom("0")]),
                Some(sizes) => {
                    let element = |element| Smt::List(vec![self.writer.element(index, element)]);
                    let elements = Smt::List((0..sizes[index]).map(element).collect());
                    let named = Smt::List(vec![Smt::List(vec![name, Smt::atom("0")])]);
                    self.command(&about, "declare-datatypes", vec![named, Smt::List(vec![elements])]);
                }
            }
        }
        for (index, symbol) in machine.symbols.iter().enumerate() {
            let kind = if symbol.state { "state" } else { "function" };
            let about = format!("{kind} {}: {}", symbol.name, symbol.doc);
            let sorts = symbol.arguments.iter().map(|&sort| Smt::atom(machine.sort_name(sort))).collect();
            let result = Smt::atom(machine.sort_name(symbol.result));
            self.command(&about, "declare-fun", vec![Smt::atom(&symbol.name), Smt::List(sorts), result]);
            self.ask(index, Asked::Before);
        }
    }

    /// Asks for the value of a function of all its arguments.
    fn ask(&mut self, symbol: usize, asked: fn(usize, Vec<usize>) -> Asked) {
        let arguments = &self.machine().symbols[symbol].arguments;
        let countable = arguments.iter().all(|sort| matches!(sort, Sort::Declared(_)));
        if let Some(sizes) = self.writer.sizes.filter(|_| countable) {
            let variable = |&sort| Variable { name: String::new(), sort };
            let variables: Vec<_> = arguments.iter().map(variable).collect();
            self.asked.extend(combinations(sizes, &variables).into_iter().map(|it| asked(symbol, it)));
        }
    }

    /// The definitions; `next`: those that speak of what the action changes, once more.
    fn definitions(&mut self, next: bool) {
        let machine = self.machine();
        for (index, definition) in machine.definitions.iter().enumerate() {
            if next && !self.writer.changes(index) {
                continue;
            }
            let name = self.writer.definition(index, next);
            let after = if next { ", after the action" } else { "" };
            let about = format!("define {}{after}: {}", definition.name, definition.doc);
            self.define(&about, (&name, &definition.parameters), &definition.body, (Vec::new(), next));
        }
    }

    /// A macro. The environment of its body is `names`, then its parameters.
    fn define(
        &mut self,
        about: &str,
        (name, parameters): (&str, &[Variable]),
        body: &Term,
        (mut names, next): (Vec<Smt>, bool),
    ) {
        names.extend(parameters.iter().map(|parameter| Smt::atom(&parameter.name)));
        let sort = Smt::atom(self.machine().sort_name(body.sort));
        let body = self.writer.term(body, &mut names, next);
        let parameters = self.writer.variables(parameters);
        self.command(about, "define-fun", vec![Smt::atom(name), parameters, sort, body]);
    }

    fn assertions<'b>(&mut self, kind: &str, statements: impl Iterator<Item = &'b Statement>) {
        for statement in statements {
            let about = match statement.doc.as_str() {
                "" => format!("{kind} {}", statement.name),
                doc => format!("{kind} {}: {doc}", statement.name),
            };
            let term = self.writer.term(&statement.term, &mut Vec::new(), false);
            self.command(&about, "assert", vec![term]);
        }
    }

    fn action(&mut self, index: usize) {
        let action = &self.machine().actions[index];
        self.text.push('\n');
        self.comment(&format!("action {}: {}", action.name, action.doc));
        let mut names = Vec::new();
        for parameter in &action.parameters {
            self.constant(parameter.name.clone(), parameter.sort);
            names.push(Smt::atom(&parameter.name));
            self.asked.push(Asked::Parameter(parameter.clone()));
        }
        for guard in &action.guards {
            let term = self.writer.term(&guard.term, &mut names, false);
            self.command(&format!("guard {}: {}", guard.name, guard.doc), "assert", vec![term]);
        }
        for set in &action.sets {
            let name = self.writer.symbol(set.symbol, true);
            let about = format!("{} after the action", self.machine().symbols[set.symbol].name);
            self.define(&about, (&name, &set.variables), &set.term, (names.clone(), false));
            self.ask(set.symbol, Asked::After);
        }
    }

    fn constant(&mut self, name: String, sort: Sort) {
        let sort = Smt::atom(self.machine().sort_name(sort));
        self.command("", "declare-const", vec![Smt::atom(name), sort]);
    }

    /// That the goal does not hold: for some elements, if it begins with 'for all'.
    fn goal(&mut self, obligation: &Obligation<'_>) {
        let goal = obligation.statement();
        let next = matches!(obligation.goal, Goal::Keeps(..));
        let when = if next { ", after the action" } else { "" };
        self.text.push('\n');
        self.comment(&format!("goal {}{when}, is broken: {}", goal.name, goal.doc));
        let (mut names, mut body) = (Vec::new(), &goal.term);
        while let Node::Quantified(Quantifier::All, variables, inner) = &body.node {
            for variable in variables {
                let name = format!("some_{}", variable.name);
                self.constant(name.clone(), variable.sort);
                names.push(Smt::atom(name));
                self.asked.push(Asked::Witness(variable.clone()));
            }
            body = inner;
        }
        let broken = Smt::apply("not", vec![self.writer.term(body, &mut names, next)]);
        self.command("", "assert", vec![broken]);
        if next {
            // The invariant says so already; but what is untouched is proved by it alone, whatever a solver tries first.
            let before = self.writer.term(body, &mut names, false);
            self.command("It held before the action, also of these.", "assert", vec![before]);
        }
    }

    fn end(mut self) -> Query {
        self.text.push_str("\n(check-sat)\n");
        if self.writer.sizes.is_none() {
            self.asked.clear();
        } else if !self.asked.is_empty() {
            let asked = self.asked.iter().map(|asked| self.writer.value_of(asked)).collect();
            self.command("", "get-value", vec![Smt::List(asked)]);
        }
        Query { text: self.text, asked: self.asked }
    }
}

impl Asked {
    /// Whether it says that something is so in the state before.
    pub fn is_fact(&self, machine: &Machine) -> bool {
        let fact =
            |symbol: &usize| machine.symbols[*symbol].state && machine.symbols[*symbol].result == Sort::Bool;
        matches!(self, Self::Before(symbol, _) if fact(symbol))
    }
}

impl Writer<'_> {
    fn value_of(&self, asked: &Asked) -> Smt {
        let function = |symbol: usize, elements: &[usize], next| {
            let sorts = &self.machine.symbols[symbol].arguments;
            let element = |(&sort, &element): (&Sort, &usize)| match sort {
                Sort::Declared(sort) => self.element(sort, element),
                _ => Smt::atom(element.to_string()),
            };
            let elements = sorts.iter().zip(elements).map(element).collect();
            Smt::apply(&self.symbol(symbol, next), elements)
        };
        match asked {
            Asked::Before(symbol, elements) => function(*symbol, elements, false),
            Asked::After(symbol, elements) => function(*symbol, elements, true),
            Asked::Parameter(variable) => Smt::atom(&variable.name),
            Asked::Witness(variable) => Smt::atom(format!("some_{}", variable.name)),
        }
    }
}
