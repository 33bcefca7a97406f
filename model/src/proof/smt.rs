//! SMT-LIB: terms as a solver reads them, laid out so that a person can, too.

use super::ast::{Machine, Node, Operator, Quantifier, Sort, Term, Variable};

/// Lines are broken here.
const WIDTH: usize = 100;

/// An s-expression for a solver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Smt {
    /// A name or a number.
    Atom(String),
    /// A list.
    List(Vec<Smt>),
}

impl Smt {
    /// A name or a number.
    pub fn atom(text: impl Into<String>) -> Self {
        Self::Atom(text.into())
    }

    /// A function or operator of its arguments; a constant if there are none.
    pub fn apply(name: &str, arguments: Vec<Self>) -> Self {
        if arguments.is_empty() {
            return Self::atom(name);
        }
        Self::List(std::iter::once(Self::atom(name)).chain(arguments).collect())
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Self::Atom(text) if text == "true" => Some(true),
            Self::Atom(text) if text == "false" => Some(false),
            _ => None,
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Atom(text) => text.len(),
            Self::List(parts) => 1 + parts.iter().map(|part| part.width() + 1).sum::<usize>(),
        }
    }

    /// On one line if it fits, else a part a line.
    pub fn layout(&self, indent: usize) -> String {
        let mut text = String::new();
        self.lay_out(indent, &mut text);
        text
    }

    fn lay_out(&self, indent: usize, text: &mut String) {
        let parts = match self {
            Self::Atom(atom) => return text.push_str(atom),
            Self::List(parts) => parts,
        };
        let fits = indent + self.width() <= WIDTH;
        // The head keeps what belongs to it on its line: a quantifier its variables, a definition its name.
        let beside = match parts.first() {
            Some(Self::Atom(head)) if head == "forall" || head == "exists" => 2,
            Some(Self::Atom(head)) if head == "define-fun" => 4,
            _ => 1,
        };
        text.push('(');
        for (place, part) in parts.iter().enumerate() {
            if place > 0 && (fits || place < beside) {
                text.push(' ');
            } else if place > 0 {
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent + 2));
            }
            part.lay_out(indent + 2, text);
        }
        text.push(')');
    }
}

/// How many elements each declared sort has, in the order of [`Machine::sorts`].
pub type Sizes = [usize];

/// Writes terms of a machine.
#[derive(Clone)]
pub struct Writer<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The state that the action changes: indices of [`Machine::symbols`].
    pub changed: Vec<usize>,
    /// In a finite instance quantifiers over declared sorts are written out.
    pub sizes: Option<&'a Sizes>,
}

impl Writer<'_> {
    /// A term; `names` is its environment. `next`: in the state after the action.
    pub fn term(&self, term: &Term, names: &mut Vec<Smt>, next: bool) -> Smt {
        match &term.node {
            Node::Truth(truth) => Smt::atom(truth.to_string()),
            Node::Number(number, power) => number_of(*number, *power, term.sort),
            Node::Variable(place) => names[*place].clone(),
            Node::Apply(symbol, arguments) => {
                let name = self.symbol(*symbol, next);
                Smt::apply(&name, self.terms(arguments, names, next))
            }
            Node::Call(definition, arguments) => {
                let name = self.definition(*definition, next);
                Smt::apply(&name, self.terms(arguments, names, next))
            }
            Node::Operation(operator, arguments) => {
                self.operation(*operator, self.terms(arguments, names, next))
            }
            Node::Quantified(quantifier, variables, body) => {
                self.quantified(*quantifier, variables, body, (names, next))
            }
        }
    }

    fn terms(&self, terms: &[Term], names: &mut Vec<Smt>, next: bool) -> Vec<Smt> {
        terms.iter().map(|term| self.term(term, names, next)).collect()
    }

    /// The name of a function: what no action changes has the same one before and after.
    pub fn symbol(&self, symbol: usize, next: bool) -> String {
        let name = &self.machine.symbols[symbol].name;
        if next && self.changed.contains(&symbol) { format!("{name}_next") } else { name.clone() }
    }

    /// The name of a definition.
    pub fn definition(&self, definition: usize, next: bool) -> String {
        let name = &self.machine.definitions[definition].name;
        if next && self.changes(definition) { format!("{name}_next") } else { name.clone() }
    }

    /// Whether a definition mentions what changes.
    pub fn changes(&self, definition: usize) -> bool {
        self.machine.definitions[definition].mentions.iter().any(|symbol| self.changed.contains(symbol))
    }

    fn operation(&self, operator: Operator, arguments: Vec<Smt>) -> Smt {
        if self.sizes.is_some() { simplified(operator, arguments) } else { plain(operator, arguments) }
    }

    fn quantified(
        &self,
        quantifier: Quantifier,
        variables: &[Variable],
        body: &Term,
        (names, next): (&mut Vec<Smt>, bool),
    ) -> Smt {
        let outside = names.len();
        let Some(sizes) = self.sizes else {
            names.extend(variables.iter().map(|variable| Smt::atom(&variable.name)));
            let body = self.term(body, names, next);
            names.truncate(outside);
            return self.bound(quantifier, variables, body);
        };
        // Numbers stay quantified; of declared sorts each combination of elements is written out.
        let (numbers, finite): (Vec<_>, Vec<_>) =
            variables.iter().cloned().partition(|variable| !matches!(variable.sort, Sort::Declared(_)));
        let parts = combinations(sizes, &finite).into_iter().map(|elements| {
            let mut elements = elements.into_iter();
            names.extend(variables.iter().map(|variable| match variable.sort {
                Sort::Declared(sort) => self.element(sort, elements.next().unwrap_or_default()),
                _ => Smt::atom(&variable.name),
            }));
            let part = self.term(body, names, next);
            names.truncate(outside);
            part
        });
        let parts = parts.collect();
        let all = match quantifier {
            Quantifier::All => simplified(Operator::And, parts),
            Quantifier::Some => simplified(Operator::Or, parts),
        };
        if numbers.is_empty() { all } else { self.bound(quantifier, &numbers, all) }
    }

    fn bound(&self, quantifier: Quantifier, variables: &[Variable], body: Smt) -> Smt {
        Smt::List(vec![Smt::atom(quantifier.name()), self.variables(variables), body])
    }

    /// `((NAME SORT) ...)`
    pub fn variables(&self, variables: &[Variable]) -> Smt {
        let pair = |variable: &Variable| {
            Smt::List(vec![Smt::atom(&variable.name), Smt::atom(self.machine.sort_name(variable.sort))])
        };
        Smt::List(variables.iter().map(pair).collect())
    }

    /// An element of a sort in a finite instance.
    pub fn element(&self, sort: usize, index: usize) -> Smt {
        Smt::atom(format!("{}_{index}", self.machine.sorts[sort].name))
    }
}

/// Every combination of elements for variables of declared sorts.
pub fn combinations(sizes: &Sizes, variables: &[Variable]) -> Vec<Vec<usize>> {
    variables.iter().fold(vec![Vec::new()], |all, variable| {
        let Sort::Declared(sort) = variable.sort else { return all };
        let longer = |one: Vec<usize>| {
            (0..sizes[sort]).map(move |element| one.iter().copied().chain([element]).collect())
        };
        all.into_iter().flat_map(longer).collect()
    })
}

fn number_of(number: i64, power: i64, sort: Sort) -> Smt {
    if sort == Sort::Int {
        return Smt::atom(number.to_string());
    }
    let digits = power.ilog10().max(1) as usize;
    let whole = number / power;
    let fraction = if power == 1 { 0 } else { number % power };
    Smt::atom(format!("{whole}.{fraction:0digits$}"))
}

fn plain(operator: Operator, mut arguments: Vec<Smt>) -> Smt {
    // Of one, these are that one; some solvers insist on two.
    match (operator, arguments.len()) {
        (Operator::And | Operator::Or, 1) => arguments.remove(0),
        _ => Smt::apply(operator.name(), arguments),
    }
}

/// Leaves out what the elements alone decide.
fn simplified(operator: Operator, mut arguments: Vec<Smt>) -> Smt {
    let truth = |truth: bool| Smt::atom(truth.to_string());
    match operator {
        Operator::And | Operator::Or => {
            let neutral = operator == Operator::And;
            if arguments.iter().any(|argument| argument.truth() == Some(!neutral)) {
                return truth(!neutral);
            }
            arguments.retain(|argument| argument.truth().is_none());
            if arguments.is_empty() { truth(neutral) } else { plain(operator, arguments) }
        }
        Operator::Not => match arguments[0].truth() {
            Some(known) => truth(!known),
            None => plain(operator, arguments),
        },
        Operator::Implies => {
            let Some(last) = arguments.pop() else { return truth(true) };
            let if_all = simplified(Operator::And, arguments);
            match (if_all.truth(), last.truth()) {
                (Some(false), _) | (_, Some(true)) => truth(true),
                (Some(true), _) => last,
                (_, Some(false)) => plain(Operator::Not, vec![if_all]),
                _ => plain(operator, vec![if_all, last]),
            }
        }
        Operator::Equal | Operator::Distinct if arguments.len() == 2 => {
            let equal = operator == Operator::Equal;
            if arguments[0] == arguments[1] {
                truth(equal)
            } else if arguments.iter().all(is_element) {
                truth(!equal)
            } else {
                plain(operator, arguments)
            }
        }
        Operator::If => match arguments[0].truth() {
            Some(true) => arguments.swap_remove(1),
            Some(false) => arguments.swap_remove(2),
            None => plain(operator, arguments),
        },
        _ => plain(operator, arguments),
    }
}

/// No name of a machine ends like that of an element.
fn is_element(term: &Smt) -> bool {
    let Smt::Atom(name) = term else { return false };
    let digits = |end: &str| !end.is_empty() && end.bytes().all(|letter| letter.is_ascii_digit());
    name.rsplit_once('_').is_some_and(|(_, end)| digits(end))
}
