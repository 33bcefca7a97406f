//! A counterexample: a finite instance of a machine in which a goal fails, read from what a solver says.

use std::fmt;

use super::ast::{Machine, Sort};
use super::query::{Asked, Query};
use super::sexpr::Form;

/// A value in a finite instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// True or false.
    Truth(bool),
    /// A number: the first over the second.
    Number(i64, i64),
    /// An element: the declared sort, and which of it.
    Element(usize, usize),
}

/// A finite instance in which a goal fails.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// How many elements each declared sort has.
    pub sizes: Vec<usize>,
    /// All values.
    pub values: Vec<(Asked, Value)>,
}

impl Counterexample {
    /// Reads what a solver says to the `get-value` of a query.
    pub fn read(machine: &Machine, sizes: &[usize], query: &Query, said: &[Form]) -> Result<Self, String> {
        let unreadable = || "what the solver says of its counterexample cannot be read".to_string();
        let pairs: &[Form] = said.first().and_then(Form::list).unwrap_or_default();
        if pairs.len() != query.asked.len() {
            return Err(unreadable());
        }
        let value = |(asked, pair): (&Asked, &Form)| {
            let [_, value] = pair.list()? else { return None };
            Some((asked.clone(), Value::read(asked.sort(machine), value)?))
        };
        let values = query.asked.iter().zip(pairs).map(value).collect::<Option<_>>();
        Ok(Self { sizes: sizes.to_vec(), values: values.ok_or_else(unreadable)? })
    }

    /// How many facts are true before the action.
    pub fn facts(&self, machine: &Machine) -> usize {
        self.values
            .iter()
            .filter(|(asked, value)| *value == Value::Truth(true) && asked.is_fact(machine))
            .count()
    }
}

impl Asked {
    /// The sort of its value.
    pub fn sort(&self, machine: &Machine) -> Sort {
        match self {
            Self::Before(symbol, _) | Self::After(symbol, _) => machine.symbols[*symbol].result,
            Self::Parameter(variable) | Self::Witness(variable) => variable.sort,
        }
    }
}

impl Value {
    fn read(sort: Sort, form: &Form) -> Option<Self> {
        match sort {
            Sort::Bool => match form.atom()? {
                "true" => Some(Self::Truth(true)),
                "false" => Some(Self::Truth(false)),
                _ => None,
            },
            Sort::Int | Sort::Real => number(form).map(|(over, under)| Self::Number(over, under)),
            Sort::Declared(sort) => {
                let (_, index) = form.atom()?.rsplit_once('_')?;
                index.parse().ok().map(|index| Self::Element(sort, index))
            }
        }
    }
}

/// `3`, `3.0`, `(- 3)`, `(/ 1 2)`.
fn number(form: &Form) -> Option<(i64, i64)> {
    if let Some(atom) = form.atom() {
        let (whole, fraction) = atom.split_once('.').unwrap_or((atom, ""));
        let fraction = fraction.trim_end_matches('0');
        let under = 10_i64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        return Some((format!("{whole}{fraction}").parse().ok()?, under));
    }
    match form.list()? {
        [minus, one] if minus.atom() == Some("-") => number(one).map(|(over, under)| (-over, under)),
        [divided, over, under] if divided.atom() == Some("/") => {
            let ((a, b), (c, d)) = (number(over)?, number(under)?);
            Some((a.checked_mul(d)?, b.checked_mul(c)?))
        }
        _ => None,
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Number(over, under) if under != 0 && over % under == 0 => write!(f, "{}", over / under),
            Self::Number(over, under) => write!(f, "{over}/{under}"),
            Self::Element(_, index) => write!(f, "{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::sexpr;

    #[test]
    fn numbers_are_read_as_either_solver_writes_them() {
        for (text, wanted) in [
            ("3", "3"),
            ("2.50", "25/10"),
            ("(- 3.0)", "-3"),
            ("(/ 1.0 2.0)", "1/2"),
            ("(/ (- 1) 3)", "-1/3"),
            ("(- (/ 4 2))", "-2"),
        ] {
            let form = &sexpr::read(text).expect(text)[0];
            assert_eq!(
                Value::read(Sort::Real, form).map(|it| it.to_string()).as_deref(),
                Some(wanted),
                "{text}"
            );
        }
        assert_eq!(Value::read(Sort::Bool, &sexpr::read("maybe").expect("it is a form")[0]), None);
    }
}
