//! Terms, read and checked: names resolved, sorts and numbers of arguments as they should be.

use super::ast::{Machine, Node, Operator, Quantifier, Sort, Term, Variable};
use super::sexpr::{Content, Form, Unread};

/// What the names within a term can stand for.
pub(super) struct Names<'a> {
    pub(super) machine: &'a Machine,
    /// The environment, outermost first.
    pub(super) variables: Vec<Variable>,
}

impl Names<'_> {
    /// A term that must be of this sort.
    pub(super) fn term_of(&mut self, form: &Form, sort: Sort) -> Result<Term, Unread> {
        let mut term = self.term(form)?;
        self.expect(&mut term, sort)?;
        Ok(term)
    }

    fn term(&mut self, form: &Form) -> Result<Term, Unread> {
        match &form.content {
            Content::Atom(atom) => self.atom(form, atom),
            Content::Text(_) => Err((form.at, "words are no term; a name or a list is wanted".into())),
            Content::List(forms) => self.list(form, forms),
        }
    }

    fn atom(&self, form: &Form, atom: &str) -> Result<Term, Unread> {
        let term = |node, sort| Ok(Term { node, sort, at: form.at });
        if atom == "true" || atom == "false" {
            return term(Node::Truth(atom == "true"), Sort::Bool);
        }
        if atom.starts_with(|letter: char| letter.is_ascii_digit()) {
            let (node, sort) = number(atom)
                .ok_or_else(|| (form.at, format!("'{atom}' is no number such as 3 or 0.25, or too long")))?;
            return term(node, sort);
        }
        if let Some(place) = self.variables.iter().position(|variable| variable.name == atom) {
            return term(Node::Variable(place), self.variables[place].sort);
        }
        self.applied(form, atom, Vec::new())
    }

    fn list(&mut self, form: &Form, forms: &[Form]) -> Result<Term, Unread> {
        let Some((head, rest)) = forms.split_first() else {
            return Err((form.at, "'()' is no term; put a function or an operator in it".into()));
        };
        let Some(name) = head.atom() else {
            return Err((head.at, "a term begins with the name of a function or an operator".into()));
        };
        match name {
            "forall" => return self.quantified(form, Quantifier::All, rest),
            "exists" => return self.quantified(form, Quantifier::Some, rest),
            "let" => return Err((head.at, "'let' is not known here; use a definition".into())),
            _ => {}
        }
        let arguments = rest.iter().map(|argument| self.term(argument)).collect::<Result<Vec<_>, _>>()?;
        match Operator::ALL.iter().find(|(known, _)| *known == name) {
            Some(&(_, operator)) => self.operation(form, operator, arguments),
            None if arguments.is_empty() => {
                Err((form.at, format!("what has no arguments stands without parentheses: {name}")))
            }
            None => self.applied(head, name, arguments),
        }
    }

    /// A function or a definition of its arguments.
    fn applied(&self, head: &Form, name: &str, mut arguments: Vec<Term>) -> Result<Term, Unread> {
        let machine = self.machine;
        let definition = || machine.definitions.iter().position(|definition| definition.name == name);
        let (wanted, sort): (Vec<Sort>, Sort) = if let Some(symbol) = machine.symbol(name) {
            (machine.symbols[symbol].arguments.clone(), machine.symbols[symbol].result)
        } else if let Some(definition) = definition() {
            let definition = &machine.definitions[definition];
            (definition.parameters.iter().map(|it| it.sort).collect(), definition.body.sort)
        } else {
            return Err((head.at, self.unknown(name)));
        };
        if wanted.len() != arguments.len() {
            let sorts: Vec<_> = wanted.iter().map(|&sort| machine.sort_name(sort)).collect();
            let (takes, given) = (sorts.len(), arguments.len());
            let sorts = sorts.join(" ");
            return Err((head.at, format!("{name} takes {takes} arguments ({sorts}), and is given {given}")));
        }
        for (argument, &sort) in arguments.iter_mut().zip(&wanted) {
            self.expect(argument, sort)?;
        }
        let node = match (machine.symbol(name), definition()) {
            (Some(symbol), _) => Node::Apply(symbol, arguments),
            (None, definition) => Node::Call(definition.unwrap_or_default(), arguments),
        };
        Ok(Term { node, sort, at: head.at })
    }

    fn unknown(&self, name: &str) -> String {
        if let Some(state) = name.strip_suffix("_next").filter(|state| self.machine.symbol(state).is_some()) {
            return format!("terms are over the state before; only a 'set' says what {state} is afterwards");
        }
        format!("nothing above is called '{name}'; declare it (function, state, define) before it is used")
    }

    fn quantified(&mut self, form: &Form, quantifier: Quantifier, rest: &[Form]) -> Result<Term, Unread> {
        let [variables, body] = rest else {
            let name = quantifier.name();
            return Err((form.at, format!("write ({name} ((NAME SORT) ...) TERM)")));
        };
        let variables = self.bind(variables)?;
        if variables.is_empty() {
            return Err((form.at, "a quantifier needs at least one variable".into()));
        }
        let body = self.term_of(body, Sort::Bool)?;
        self.variables.truncate(self.variables.len() - variables.len());
        let node = Node::Quantified(quantifier, variables, Box::new(body));
        Ok(Term { node, sort: Sort::Bool, at: form.at })
    }

    /// Reads `((NAME SORT) ...)` and adds it to the environment.
    pub(super) fn bind(&mut self, form: &Form) -> Result<Vec<Variable>, Unread> {
        let wrong = |at| (at, "variables are written ((NAME SORT) ...)".to_string());
        let mut bound = Vec::new();
        for pair in form.list().ok_or_else(|| wrong(form.at))? {
            let [name, sort] = pair.list().ok_or_else(|| wrong(pair.at))? else {
                return Err(wrong(pair.at));
            };
            let at = name.at;
            let name = super::read::identifier(name)?;
            if self.variables.iter().any(|it| it.name == name) || self.machine.names_a_term(&name) {
                return Err((at, format!("'{name}' has a meaning here already; take another name")));
            }
            let sort = sort_named(self.machine, sort)?;
            self.variables.push(Variable { name: name.clone(), sort });
            bound.push(Variable { name, sort });
        }
        Ok(bound)
    }

    fn operation(&self, form: &Form, operator: Operator, mut arguments: Vec<Term>) -> Result<Term, Unread> {
        let (least, most) = match operator {
            Operator::Not => (1, 1),
            Operator::And | Operator::Or | Operator::Minus => (1, usize::MAX),
            Operator::If => (3, 3),
            _ => (2, usize::MAX),
        };
        if !(least..=most).contains(&arguments.len()) {
            let more = if most == least { "" } else { " or more" };
            let (name, given) = (operator.name(), arguments.len());
            return Err((form.at, format!("'{name}' takes {least}{more} arguments, and is given {given}")));
        }
        let sort = match operator {
            Operator::Not | Operator::And | Operator::Or | Operator::Implies => {
                self.all_of(&mut arguments, Sort::Bool)?
            }
            Operator::Equal | Operator::Distinct => {
                self.all_alike(&mut arguments)?;
                Sort::Bool
            }
            Operator::If => {
                let (condition, values) = arguments.split_at_mut(1);
                self.all_of(condition, Sort::Bool)?;
                self.all_alike(values)?
            }
            Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast => {
                self.all_numbers(&mut arguments)?;
                Sort::Bool
            }
            Operator::Plus | Operator::Minus | Operator::Times => self.all_numbers(&mut arguments)?,
            Operator::Over => self.all_of(&mut arguments, Sort::Real)?,
        };
        Ok(Term { node: Node::Operation(operator, arguments), sort, at: form.at })
    }

    fn all_of(&self, terms: &mut [Term], sort: Sort) -> Result<Sort, Unread> {
        terms.iter_mut().try_for_each(|term| self.expect(term, sort))?;
        Ok(sort)
    }

    /// All of one sort: that of the first, or Real if one is.
    fn all_alike(&self, terms: &mut [Term]) -> Result<Sort, Unread> {
        let real = terms.iter().any(|term| term.sort == Sort::Real);
        let sort = if real { Sort::Real } else { terms[0].sort };
        self.all_of(terms, sort)
    }

    fn all_numbers(&self, terms: &mut [Term]) -> Result<Sort, Unread> {
        let sort = self.all_alike(terms)?;
        if matches!(sort, Sort::Int | Sort::Real) {
            return Ok(sort);
        }
        let name = self.machine.sort_name(sort);
        Err((terms[0].at, format!("a number is wanted here, and this is of sort {name}")))
    }

    /// The term must be of this sort; a whole number is a real one where that is wanted.
    fn expect(&self, term: &mut Term, sort: Sort) -> Result<(), Unread> {
        if term.sort == sort || (sort == Sort::Real && to_real(term)) {
            return Ok(());
        }
        let (wanted, is) = (self.machine.sort_name(sort), self.machine.sort_name(term.sort));
        Err((term.at, format!("a term of sort {wanted} is wanted here, and this is of sort {is}")))
    }
}

/// The sort of that name.
pub(super) fn sort_named(machine: &Machine, form: &Form) -> Result<Sort, Unread> {
    let sort = form.atom().and_then(|name| match name {
        "Bool" => Some(Sort::Bool),
        "Int" => Some(Sort::Int),
        "Real" => Some(Sort::Real),
        _ => machine.sorts.iter().position(|sort| sort.name == name).map(Sort::Declared),
    });
    sort.ok_or_else(|| (form.at, "a sort is wanted here: Bool, Int, Real, or one declared above".into()))
}

fn number(text: &str) -> Option<(Node, Sort)> {
    let Some((whole, fraction)) = text.split_once('.') else {
        return Some((Node::Number(text.parse().ok()?, 1), Sort::Int));
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
    let power = 10_i64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let number = format!("{whole}{fraction}").parse().ok()?;
    (digits(whole) && digits(fraction)).then_some((Node::Number(number, power), Sort::Real))
}

/// Makes a term of whole numbers, written as such, one of real numbers; whether it could.
fn to_real(term: &mut Term) -> bool {
    let can = match &mut term.node {
        Node::Number(..) => true,
        Node::Operation(Operator::Plus | Operator::Minus | Operator::Times, arguments) => {
            arguments.iter_mut().all(to_real)
        }
        _ => false,
    };
    if can {
        term.sort = Sort::Real;
    }
    can
}
