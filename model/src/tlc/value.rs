//! Values of TLA+, written and read as TLC does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A value of TLA+. Two that TLC holds for equal are equal: a sequence is a function on 1, 2, …, a record one on its
/// names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Value {
    /// `TRUE` or `FALSE`.
    Truth(bool),
    /// A number.
    Number(i64),
    /// A string.
    Text(String),
    /// A set.
    Set(BTreeSet<Value>),
    /// A function, record or sequence.
    Function(BTreeMap<Value, Value>),
}

impl Value {
    /// A string.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A number.
    ///
    /// # Panics
    /// If it is beyond what TLC can hold; no scope comes near.
    pub fn number(number: impl TryInto<i64>) -> Self {
        Self::Number(number.try_into().ok().expect("numbers in a scope are small"))
    }

    /// A record.
    pub fn record<const N: usize>(fields: [(&str, Self); N]) -> Self {
        fields.into_iter().map(|(name, value)| (Self::text(name), value)).collect::<BTreeMap<_, _>>().into()
    }

    /// A sequence, or a tuple.
    pub fn sequence(values: impl IntoIterator<Item = Self>) -> Self {
        (1..).map(Self::Number).zip(values).collect::<BTreeMap<_, _>>().into()
    }

    /// A set.
    pub fn set(values: impl IntoIterator<Item = Self>) -> Self {
        Self::Set(values.into_iter().collect())
    }

    /// A function.
    pub fn function(pairs: impl IntoIterator<Item = (Self, Self)>) -> Self {
        pairs.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl From<BTreeMap<Value, Value>> for Value {
    fn from(pairs: BTreeMap<Value, Value>) -> Self {
        Self::Function(pairs)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(true) => f.write_str("TRUE"),
            Self::Truth(false) => f.write_str("FALSE"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Set(values) => {
                f.write_str("{")?;
                list(f, values, |f, value| write!(f, "{value}"))?;
                f.write_str("}")
            }
            Self::Function(pairs)
                if pairs.keys().all(|key| matches!(key, Self::Text(_))) && !pairs.is_empty() =>
            {
                f.write_str("[")?;
                list(f, pairs, |f, (name, value)| match name {
                    Self::Text(name) => write!(f, "{name} |-> {value}"),
                    _ => Err(fmt::Error),
                })?;
                f.write_str("]")
            }
            Self::Function(pairs) if pairs.keys().cloned().eq((1..).take(pairs.len()).map(Self::Number)) => {
                f.write_str("<<")?;
                list(f, pairs.values(), |f, value| write!(f, "{value}"))?;
                f.write_str(">>")
            }
            Self::Function(pairs) => {
                f.write_str("(")?;
                for (at, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} :> {value}", if at == 0 { "" } else { " @@ " })?;
                }
                f.write_str(")")
            }
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (at, it) in items.into_iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        item(f, it)?;
    }
    Ok(())
}

/// A state as TLC prints it: `/\ variable = value`, a line or more each.
///
/// # Errors
/// Says what was expected, and before what.
pub fn read_state(text: &str) -> Result<BTreeMap<String, Value>, String> {
    let mut reader = Reader { rest: text };
    let mut state = BTreeMap::new();
    while reader.skip("/\\") {
        let name = reader.name()?;
        reader.expect("=")?;
        state.insert(name, reader.value()?);
    }
    reader.end()?;
    Ok(state)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.skip(token) { Ok(()) } else { Err(self.wanted(token)) }
    }

    fn end(&mut self) -> Result<(), String> {
        if self.rest.trim().is_empty() { Ok(()) } else { Err(self.wanted("the end of the state")) }
    }

    fn wanted(&self, what: &str) -> String {
        format!("expected {what} before '{}'", self.rest.chars().take(40).collect::<String>())
    }

    fn take(&mut self, of: fn(char) -> bool) -> &str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|letter| !of(letter)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    fn name(&mut self) -> Result<String, String> {
        let name = self.take(|letter| letter.is_ascii_alphanumeric() || letter == '_').to_string();
        if name.is_empty() { Err(self.wanted("a name")) } else { Ok(name) }
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.skip("<<") {
            Ok(Value::sequence(self.items(">>", Self::value)?))
        } else if self.skip("{") {
            Ok(Value::set(self.items("}", Self::value)?))
        } else if self.skip("[") {
            let field = |reader: &mut Self| {
                let name = reader.name()?;
                reader.expect("|->")?;
                Ok((Value::Text(name), reader.value()?))
            };
            Ok(Value::function(self.items("]", field)?))
        } else if self.skip("(") {
            self.function()
        } else if self.skip("\"") {
            let text = self.take(|letter| letter != '"').to_string();
            self.expect("\"")?;
            Ok(Value::Text(text))
        } else if self.skip("TRUE") {
            Ok(Value::Truth(true))
        } else if self.skip("FALSE") {
            Ok(Value::Truth(false))
        } else {
            let digits = self.take(|letter| letter.is_ascii_digit() || letter == '-');
            digits.parse().map(Value::Number).map_err(|_| self.wanted("a value"))
        }
    }

    fn function(&mut self) -> Result<Value, String> {
        let mut pairs = BTreeMap::new();
        loop {
            let key = self.value()?;
            self.expect(":>")?;
            pairs.insert(key, self.value()?);
            if self.skip(")") {
                return Ok(pairs.into());
            }
            self.expect("@@")?;
        }
    }

    fn items<T>(
        &mut self,
        end: &str,
        item: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        while !self.skip(end) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "/\\ server = (0 :> [me |-> 0, held |-> <<>>] @@\n  1 :> [me |-> 1, held |-> <<\"a\", -1>>])\n\
                         /\\ network = {3, {TRUE, FALSE}, 1}\n";

    #[test]
    fn a_state_is_read_as_tlc_prints_it() {
        let state = read_state(STATE).unwrap();
        assert_eq!(state["network"].to_string(), "{1, 3, {FALSE, TRUE}}");
        let server = "(0 :> [held |-> <<>>, me |-> 0] @@ 1 :> [held |-> <<\"a\", -1>>, me |-> 1])";
        assert_eq!(state["server"].to_string(), server);
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        for value in read_state(STATE).unwrap().into_values() {
            let again = read_state(&format!("/\\ it = {value}")).unwrap();
            assert_eq!(again["it"], value);
        }
    }

    #[test]
    fn a_function_on_1_2_is_a_sequence() {
        let state = read_state("/\\ f = (1 :> 5 @@ 2 :> 6)\n/\\ s = <<5, 6>>").unwrap();
        assert_eq!(state["f"], state["s"]);
    }

    #[test]
    fn what_is_no_value_is_refused_with_the_place() {
        let table = [
            ("/\\ it = ", "expected a value before ''"),
            ("/\\ it = {1 2}", "expected , before '2}'"),
            ("/\\ it 5", "expected = before '5'"),
            ("it = 5", "expected the end of the state before 'it = 5'"),
        ];
        for (text, error) in table {
            assert_eq!(read_state(text).unwrap_err(), error, "{text}");
        }
    }
}
