//! A machine's file, read and checked: the forms of `spec/proof/*.machine`.
//!
//! ```text
//! (machine NAME "one sentence")                       ; first form, once
//! (sort NAME "what it is")
//! (function NAME (SORT ...) SORT "doc")               ; rigid: the same before and after
//! (state NAME (SORT ...) SORT "doc")                  ; changes
//! (define NAME ((VARIABLE SORT) ...) SORT "doc" TERM) ; a macro
//! (axiom NAME "doc" TERM)                             ; about rigid functions
//! (initially NAME TERM)                               ; about the first state
//! (action NAME ((VARIABLE SORT) ...) "which handler does this"
//!   (guard NAME "rule or handler that it stands for" TERM) ...
//!   (set STATE ((VARIABLE SORT) ...) TERM) ...)       ; over the state before
//! (invariant NAME "doc" (by INVARIANT ...) TERM)      ; every action keeps it, if it and those after `by` held before
//! (property NAME "doc" (by INVARIANT ...) TERM)       ; follows from axioms and the invariants after `by`
//! (lemma NAME "doc" TERM)                             ; follows from axioms
//! ```
//!
//! Terms are those of SMT-LIB. What is used is declared above, except after `by`, which can be left out if it names
//! nothing.

use super::ast::{Action, Declared, Definition, Machine, Operator, Set, Sort, Statement, Symbol};
use super::sexpr::{self, Form, Position, Unread, Wrong};
use super::terms::{Names, sort_named};

/// Words that mean something to a solver.
const RESERVED: &[&str] = &[
    "forall", "exists", "let", "match", "par", "as", "_", "!", "true", "false", "xor", "div", "mod", "abs",
    "select", "store", "to_real", "to_int", "is_int", "Bool", "Int", "Real", "Array", "String", "assert",
];

/// What follows the name of something in the state after an action.
const NEXT: &str = "_next";

/// What precedes the name of an element that an invariant is broken for.
const SOME: &str = "some_";

/// Reads a machine. `file` is how a person calls the file.
pub fn read(file: &str, text: &str) -> Result<Machine, Wrong> {
    match machine(text) {
        Ok(machine) => Ok(Machine { file: file.into(), text: text.into(), ..machine }),
        Err((at, message)) => Err(Wrong { file: file.into(), at, message }),
    }
}

fn machine(text: &str) -> Result<Machine, Unread> {
    let mut machine = Machine::default();
    let forms = sexpr::read(text)?;
    let first = forms.first().map_or(Position { line: 1, column: 1 }, |form| form.at);
    for form in &forms {
        machine.form(form)?;
    }
    for form in &forms {
        machine.form_by(form)?;
    }
    if machine.name.is_empty() {
        return Err((first, "a file begins with (machine NAME \"one sentence\")".into()));
    }
    Ok(machine)
}

/// A name as a solver takes it, too.
pub(super) fn identifier(form: &Form) -> Result<String, Unread> {
    let wrong = |why: &str| Err((form.at, why.to_string()));
    let Some(name) = form.atom() else { return wrong("a name is wanted here") };
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.chars().all(letter) {
        return wrong("a name begins with a letter, and consists of letters, digits, '_', '-' and '.'");
    }
    if RESERVED.contains(&name) || Operator::ALL.iter().any(|(operator, _)| *operator == name) {
        return wrong("this word means something to a solver; take another name");
    }
    if name.ends_with(NEXT) || name.starts_with(SOME) {
        return wrong("names with '_next' at the end or 'some_' at the beginning are the prover's own");
    }
    if name.rsplit_once('_').is_some_and(|(_, end)| end.bytes().all(|letter| letter.is_ascii_digit())) {
        return wrong("names that end in '_' and digits are the prover's own, for the elements of a sort");
    }
    Ok(name.into())
}

fn words(form: &Form) -> Result<String, Unread> {
    form.text().map(Into::into).ok_or_else(|| (form.at, "words are wanted here, between quotes".into()))
}

/// A name for people only.
fn title(form: &Form) -> Result<String, Unread> {
    form.atom().map(Into::into).ok_or_else(|| (form.at, "a name is wanted here".into()))
}

impl Machine {
    fn form(&mut self, form: &Form) -> Result<(), Unread> {
        let Some((head, rest)) = form.list().and_then(<[Form]>::split_first) else {
            return Err((form.at, "a form is wanted here, such as (sort server \"what it is\")".into()));
        };
        let kind = head.atom().unwrap_or_default();
        if self.name.is_empty() && kind != "machine" {
            return Err((form.at, "a file begins with (machine NAME \"one sentence\")".into()));
        }
        match (kind, rest) {
            ("machine", [name, doc]) => self.begin(name, doc),
            ("sort", [name, doc]) => self.sort(name, doc),
            ("function", rest @ [_, _, _, _]) => self.function(false, rest),
            ("state", rest @ [_, _, _, _]) => self.function(true, rest),
            ("define", [name, parameters, sort, doc, body]) => {
                self.definition(name, parameters, (sort, doc), body)
            }
            ("axiom", [name, doc, term]) => self.axiom(name, doc, term),
            ("initially", [name, term]) => self.beginning(name, term),
            ("action", [name, parameters, doc, rest @ ..]) => self.add_action(name, parameters, doc, rest),
            ("invariant" | "property" | "lemma", [name, doc, term])
            | ("invariant" | "property", [name, doc, _, term]) => self.goal(kind, name, doc, term),
            _ => Err((form.at, shape(kind))),
        }
    }

    fn begin(&mut self, name: &Form, doc: &Form) -> Result<(), Unread> {
        if !self.name.is_empty() {
            return Err((name.at, format!("this file is the machine {} already", self.name)));
        }
        (self.name, self.doc) = (title(name)?, words(doc)?);
        Ok(())
    }

    fn sort(&mut self, name: &Form, doc: &Form) -> Result<(), Unread> {
        let declared = Declared { name: self.new_name(name)?, doc: words(doc)? };
        self.sorts.push(declared);
        Ok(())
    }

    fn function(&mut self, state: bool, forms: &[Form]) -> Result<(), Unread> {
        let [name, arguments, result, doc] = forms else { return Ok(()) };
        let sorts = arguments.list().ok_or_else(|| (arguments.at, "write (SORT ...) here".to_string()))?;
        let symbol = Symbol {
            name: self.new_name(name)?,
            arguments: sorts.iter().map(|sort| sort_named(self, sort)).collect::<Result<_, _>>()?,
            result: sort_named(self, result)?,
            doc: words(doc)?,
            state,
        };
        self.symbols.push(symbol);
        Ok(())
    }

    fn definition(
        &mut self,
        name: &Form,
        parameters: &Form,
        (sort, doc): (&Form, &Form),
        body: &Form,
    ) -> Result<(), Unread> {
        let (name, doc) = (self.new_name(name)?, words(doc)?);
        let sort = sort_named(self, sort)?;
        let mut names = Names { machine: self, variables: Vec::new() };
        let parameters = names.bind(parameters)?;
        let body = names.term_of(body, sort)?;
        let mentions = self.mentions(&body);
        self.definitions.push(Definition { name, parameters, doc, body, mentions });
        Ok(())
    }

    /// A statement without variables around it.
    fn statement(&self, name: &Form, doc: String, term: &Form) -> Result<Statement, Unread> {
        let term = Names { machine: self, variables: Vec::new() }.term_of(term, Sort::Bool)?;
        Ok(Statement { name: title(name)?, doc, term, by: Vec::new() })
    }

    /// The same, about what is the same for ever.
    fn rigid(&self, name: &Form, doc: &Form, term: &Form) -> Result<Statement, Unread> {
        let statement = self.statement(name, words(doc)?, term)?;
        match self.mentions(&statement.term).first() {
            None => Ok(statement),
            Some(&symbol) => {
                let message =
                    format!("this is about rigid functions only, and {} is state", self.symbols[symbol].name);
                Err((term.at, message))
            }
        }
    }

    fn axiom(&mut self, name: &Form, doc: &Form, term: &Form) -> Result<(), Unread> {
        let axiom = self.rigid(name, doc, term)?;
        fresh(name, &self.axioms)?;
        self.axioms.push(axiom);
        Ok(())
    }

    fn beginning(&mut self, name: &Form, term: &Form) -> Result<(), Unread> {
        let statement = self.statement(name, String::new(), term)?;
        fresh(name, &self.initially)?;
        self.initially.push(statement);
        Ok(())
    }

    fn goal(&mut self, kind: &str, name: &Form, doc: &Form, term: &Form) -> Result<(), Unread> {
        self.new_title(name)?;
        match kind {
            "invariant" => self.invariants.push(self.statement(name, words(doc)?, term)?),
            "property" => self.properties.push(self.statement(name, words(doc)?, term)?),
            _ => self.lemmas.push(self.rigid(name, doc, term)?),
        }
        Ok(())
    }

    fn add_action(
        &mut self,
        name: &Form,
        parameters: &Form,
        doc: &Form,
        rest: &[Form],
    ) -> Result<(), Unread> {
        self.new_title(name)?;
        let mut names = Names { machine: self, variables: Vec::new() };
        let parameters = names.bind(parameters)?;
        let mut action =
            Action { name: title(name)?, parameters, doc: words(doc)?, guards: Vec::new(), sets: Vec::new() };
        for form in rest {
            match form.list() {
                Some([kind, name, doc, term]) if kind.atom() == Some("guard") => {
                    fresh(name, &action.guards)?;
                    let term = names.term_of(term, Sort::Bool)?;
                    action.guards.push(Statement {
                        name: title(name)?,
                        doc: words(doc)?,
                        term,
                        by: Vec::new(),
                    });
                }
                Some([kind, state, variables, term]) if kind.atom() == Some("set") => {
                    let set = names.set(state, variables, term)?;
                    if action.sets.iter().any(|other| other.symbol == set.symbol) {
                        let message = "this action sets it already; one 'set' says all that becomes of it";
                        return Err((state.at, message.into()));
                    }
                    action.sets.push(set);
                }
                _ => {
                    let message =
                        "write (guard NAME \"doc\" TERM) or (set STATE ((NAME SORT) ...) TERM) here";
                    return Err((form.at, message.into()));
                }
            }
        }
        self.actions.push(action);
        Ok(())
    }

    /// Notes what an invariant or a property is proved by, once all invariants are known.
    fn form_by(&mut self, form: &Form) -> Result<(), Unread> {
        let Some([kind, name, _, by, _]) = form.list() else { return Ok(()) };
        if !matches!(kind.atom(), Some("invariant" | "property")) {
            return Ok(());
        }
        let wrong = |at| (at, "write (by INVARIANT ...) here, or leave it out".to_string());
        let (word, names) = by.list().and_then(<[Form]>::split_first).ok_or_else(|| wrong(by.at))?;
        if word.atom() != Some("by") {
            return Err(wrong(by.at));
        }
        let invariant = |form: &Form| {
            let found = self.invariants.iter().position(|it| Some(it.name.as_str()) == form.atom());
            found.ok_or_else(|| (form.at, "no invariant is called so; 'by' names invariants".to_string()))
        };
        let by: Vec<_> = names.iter().map(invariant).collect::<Result<_, _>>()?;
        let all = if kind.atom() == Some("property") { &mut self.properties } else { &mut self.invariants };
        let stated = all.iter_mut().find(|it| Some(it.name.as_str()) == name.atom());
        stated.into_iter().for_each(|stated| stated.by.clone_from(&by));
        Ok(())
    }

    /// A name for a sort, a function or a definition.
    fn new_name(&self, form: &Form) -> Result<String, Unread> {
        let name = identifier(form)?;
        if self.names_a_term(&name) || self.sorts.iter().any(|sort| sort.name == name) {
            return Err((form.at, format!("'{name}' is declared above; a name means one thing")));
        }
        Ok(name)
    }

    /// Whether a function or a definition is called so.
    pub(super) fn names_a_term(&self, name: &str) -> bool {
        self.symbol(name).is_some() || self.definitions.iter().any(|definition| definition.name == name)
    }

    /// A name for an action, or for what is to be proved.
    fn new_title(&self, form: &Form) -> Result<(), Unread> {
        let name = title(form)?;
        if self.actions.iter().any(|action| action.name == name) {
            return Err((form.at, format!("an action above is called '{name}'; a name means one thing")));
        }
        [&self.invariants, &self.properties, &self.lemmas].into_iter().try_for_each(|all| fresh(form, all))
    }
}

impl Names<'_> {
    fn set(&mut self, state: &Form, variables: &Form, term: &Form) -> Result<Set, Unread> {
        let name = state.atom().unwrap_or_default();
        let machine = self.machine;
        let symbol = machine.symbol(name).filter(|&symbol| machine.symbols[symbol].state);
        let symbol =
            symbol.ok_or_else(|| (state.at, "only what a 'state' above declares can be set".to_string()))?;
        let outside = self.variables.len();
        let bound = self.bind(variables)?;
        let sorts: Vec<_> = bound.iter().map(|variable| variable.sort).collect();
        let declared = &machine.symbols[symbol];
        if sorts != declared.arguments {
            let wanted: Vec<_> = declared.arguments.iter().map(|&sort| machine.sort_name(sort)).collect();
            return Err((variables.at, format!("{name} is over ({})", wanted.join(" "))));
        }
        let term = self.term_of(term, declared.result)?;
        self.variables.truncate(outside);
        Ok(Set { symbol, variables: bound, term })
    }
}

fn fresh(name: &Form, others: &[Statement]) -> Result<(), Unread> {
    match others.iter().find(|other| Some(other.name.as_str()) == name.atom()) {
        None => Ok(()),
        Some(other) => Err((name.at, format!("'{}' stands above; a name means one thing", other.name))),
    }
}

/// How a form of this kind is written.
fn shape(kind: &str) -> String {
    let wanted = match kind {
        "machine" => "(machine NAME \"one sentence\")",
        "sort" => "(sort NAME \"what it is\")",
        "function" => "(function NAME (SORT ...) SORT \"doc\")",
        "state" => "(state NAME (SORT ...) SORT \"doc\")",
        "define" => "(define NAME ((VARIABLE SORT) ...) SORT \"doc\" TERM)",
        "axiom" => "(axiom NAME \"doc\" TERM)",
        "initially" => "(initially NAME TERM)",
        "action" => "(action NAME ((VARIABLE SORT) ...) \"doc\" GUARD-OR-SET ...)",
        "invariant" => "(invariant NAME \"doc\" (by INVARIANT ...) TERM)",
        "property" => "(property NAME \"doc\" (by INVARIANT ...) TERM)",
        "lemma" => "(lemma NAME \"doc\" TERM)",
        _ => {
            return format!(
                "there is no form '{kind}': machine, sort, function, state, define, axiom, initially, action, \
                 invariant, property and lemma are"
            );
        }
    };
    format!("this form is written {wanted}")
}
