//! The terms of a machine's file, evaluated over a finite structure: finite sets for the declared sorts, and for each
//! piece of state what it says of which elements. Numbers are whole: the caller chooses a unit that all times are multiples
//! of.

use std::collections::HashMap;

use crate::proof::ast::{Action, Machine, Node, Operator, Quantifier, Sort, Term};

/// A value of a term.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// Of sort Bool.
    Truth(bool),
    /// An element of a declared sort.
    Element(u64),
    /// A number.
    Number(i64),
}

impl Value {
    /// Whether it is true.
    ///
    /// # Panics
    /// If it is no truth value; terms that were read have their sorts checked.
    pub fn holds(self) -> bool {
        match self {
            Self::Truth(truth) => truth,
            _ => panic!("{self:?} is not true or false"),
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Number(number) => number,
            _ => panic!("{self:?} is no number"),
        }
    }
}

/// What one piece of state says: true, or a number, of these arguments; of all others false, or zero.
pub type Says = HashMap<Vec<Value>, Value>;

/// What the functions that never change say, by their names.
pub type Rigid<'a> = dyn Fn(&str, &[Value]) -> Value + 'a;

/// A finite structure of a machine.
pub struct Structure<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// The elements of each declared sort, which quantifiers go through.
    pub domains: Vec<Vec<u64>>,
    /// The functions that never change.
    pub rigid: Box<Rigid<'a>>,
    /// The state, by the places of its symbols; empty for what is rigid.
    pub state: Vec<Says>,
}

impl<'a> Structure<'a> {
    /// A structure in which nothing is so.
    pub fn new(
        machine: &'a Machine,
        domains: Vec<Vec<u64>>,
        rigid: impl Fn(&str, &[Value]) -> Value + 'a,
    ) -> Self {
        let state = machine.symbols.iter().map(|_| Says::new()).collect();
        Self { machine, domains, rigid: Box::new(rigid), state }
    }

    /// What a piece of state says of these arguments.
    ///
    /// # Panics
    /// If the machine has no such state.
    pub fn says(&self, name: &str, arguments: &[Value]) -> Value {
        self.look_up(self.place(name), arguments)
    }

    /// The arguments of which a piece of state is true, or says a number.
    ///
    /// # Panics
    /// If the machine has no such state.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Vec<Value>> {
        self.state[self.place(name)].keys()
    }

    /// Makes a variable of the state say something else.
    ///
    /// # Panics
    /// If the machine has no such state.
    pub fn set(&mut self, name: &str, value: Value) {
        let place = self.place(name);
        self.state[place].insert(Vec::new(), value);
    }

    fn place(&self, name: &str) -> usize {
        self.machine.symbol(name).unwrap_or_else(|| panic!("the machine has no state '{name}'"))
    }

    fn look_up(&self, symbol: usize, arguments: &[Value]) -> Value {
        self.state[symbol].get(arguments).copied().unwrap_or(match self.machine.symbols[symbol].result {
            Sort::Bool => Value::Truth(false),
            Sort::Int | Sort::Real => Value::Number(0),
            Sort::Declared(_) => Value::Element(0),
        })
    }

    /// The state after an action.
    pub fn after(&self, action: &Action, arguments: &[Value]) -> Vec<Says> {
        let mut next = self.state.clone();
        for set in &action.sets {
            let mut says = Says::new();
            let mut environment = arguments.to_vec();
            let sorts: Vec<Sort> = set.variables.iter().map(|variable| variable.sort).collect();
            self.each(&sorts, &mut environment, &mut |environment| {
                let value = self.value(&set.term, environment);
                if !matches!(value, Value::Truth(false) | Value::Number(0)) {
                    says.insert(environment[arguments.len()..].to_vec(), value);
                }
                true
            });
            next[set.symbol] = says;
        }
        next
    }

    /// Goes through all values of variables of these sorts, until `visit` says that it has seen enough. Whether it went
    /// through all.
    fn each(
        &self,
        sorts: &[Sort],
        environment: &mut Vec<Value>,
        visit: &mut dyn FnMut(&mut Vec<Value>) -> bool,
    ) -> bool {
        let Some((first, rest)) = sorts.split_first() else { return visit(environment) };
        let values: Vec<Value> = match first {
            Sort::Bool => [false, true].map(Value::Truth).to_vec(),
            Sort::Declared(sort) => self.domains[*sort].iter().copied().map(Value::Element).collect(),
            Sort::Int | Sort::Real => panic!("a structure has no set of all numbers"),
        };
        values.into_iter().all(|value| {
            environment.push(value);
            let more = self.each(rest, environment, visit);
            environment.pop();
            more
        })
    }

    /// The value of a term.
    pub fn value(&self, term: &Term, environment: &mut Vec<Value>) -> Value {
        match &term.node {
            Node::Truth(truth) => Value::Truth(*truth),
            Node::Number(over, under) => {
                assert_eq!(over % under, 0, "{over}/{under} is no multiple of the unit");
                Value::Number(over / under)
            }
            Node::Variable(place) => environment[*place],
            Node::Apply(symbol, arguments) => {
                let arguments = self.values(arguments, environment);
                let symbol_of = &self.machine.symbols[*symbol];
                if symbol_of.state {
                    self.look_up(*symbol, &arguments)
                } else {
                    (self.rigid)(&symbol_of.name, &arguments)
                }
            }
            Node::Call(definition, arguments) => {
                let mut inner = self.values(arguments, environment);
                self.value(&self.machine.definitions[*definition].body, &mut inner)
            }
            Node::Operation(operator, terms) => self.operation(*operator, terms, environment),
            Node::Quantified(quantifier, variables, body) => {
                let sorts: Vec<Sort> = variables.iter().map(|variable| variable.sort).collect();
                let all = *quantifier == Quantifier::All;
                let through = self.each(&sorts, environment, &mut |environment| {
                    self.value(body, environment).holds() == all
                });
                Value::Truth(through == all)
            }
        }
    }

    fn values(&self, terms: &[Term], environment: &mut Vec<Value>) -> Vec<Value> {
        terms.iter().map(|term| self.value(term, environment)).collect()
    }

    fn operation(&self, operator: Operator, terms: &[Term], environment: &mut Vec<Value>) -> Value {
        let mut truth = |term: &Term| self.value(term, environment).holds();
        match operator {
            Operator::Not => return Value::Truth(!truth(&terms[0])),
            Operator::And => return Value::Truth(terms.iter().all(truth)),
            Operator::Or => return Value::Truth(terms.iter().any(truth)),
            Operator::Implies => {
                let (last, premises) = terms.split_last().expect("an implication has parts");
                return Value::Truth(!premises.iter().all(&mut truth) || truth(last));
            }
            Operator::If => {
                let branch = if truth(&terms[0]) { &terms[1] } else { &terms[2] };
                return self.value(branch, environment);
            }
            _ => {}
        }
        let values = self.values(terms, environment);
        let each = |holds: fn(i64, i64) -> bool| {
            Value::Truth(values.windows(2).all(|pair| holds(pair[0].number(), pair[1].number())))
        };
        let reduce = |join: fn(i64, i64) -> i64| {
            values.iter().map(|value| value.number()).reduce(join).map_or(Value::Number(0), Value::Number)
        };
        match operator {
            Operator::Equal => Value::Truth(values.windows(2).all(|pair| pair[0] == pair[1])),
            Operator::Distinct => {
                Value::Truth((1..values.len()).all(|at| !values[..at].contains(&values[at])))
            }
            Operator::Less => each(|one, other| one < other),
            Operator::AtMost => each(|one, other| one <= other),
            Operator::Greater => each(|one, other| one > other),
            Operator::AtLeast => each(|one, other| one >= other),
            Operator::Plus => reduce(|one, other| one + other),
            Operator::Times => reduce(|one, other| one * other),
            Operator::Minus if values.len() == 1 => Value::Number(-values[0].number()),
            Operator::Minus => reduce(|one, other| one - other),
            _ => panic!("whole numbers are not divided"),
        }
    }
}
