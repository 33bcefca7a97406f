//! A machine, read and checked: every name resolved, every term with its sort.

use super::sexpr::Position;

/// What a term stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sort {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A real number.
    Real,
    /// One of [`Machine::sorts`]: any number of things that are only equal or not.
    Declared(usize),
}

/// A declared sort.
#[derive(Clone, Debug)]
pub struct Declared {
    /// How the file calls it.
    pub name: String,
    /// What it is.
    pub doc: String,
}

/// A function of the machine.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// How the file calls it.
    pub name: String,
    /// The sorts of its arguments. One without arguments is a constant, or a variable of the state.
    pub arguments: Vec<Sort>,
    /// The sort of its values.
    pub result: Sort,
    /// What it says.
    pub doc: String,
    /// Whether actions change it (`state`), or it is the same for ever (`function`).
    pub state: bool,
}

/// A name that stands for a value: of a quantifier, of an action, of a definition or of a `set`.
#[derive(Clone, Debug)]
pub struct Variable {
    /// How the file calls it. No variable hides another one, nor a symbol.
    pub name: String,
    /// Its sort.
    pub sort: Sort,
}

/// A macro.
#[derive(Clone, Debug)]
pub struct Definition {
    /// How the file calls it.
    pub name: String,
    /// Its arguments; the environment of [`body`](Self::body) is these and no more.
    pub parameters: Vec<Variable>,
    /// What it says.
    pub doc: String,
    /// What it stands for.
    pub body: Term,
    /// The state that it mentions, by itself or by other definitions: indices of [`Machine::symbols`].
    pub mentions: Vec<usize>,
}

/// A term with its sort.
#[derive(Clone, Debug)]
pub struct Term {
    /// What it is made of.
    pub node: Node,
    /// The sort of its value.
    pub sort: Sort,
    /// Where it stands.
    pub at: Position,
}

/// What a term is made of.
#[derive(Clone, Debug)]
pub enum Node {
    /// `true` or `false`.
    Truth(bool),
    /// A number: the first over the second, which is a power of ten.
    Number(i64, i64),
    /// A variable: its place in the environment, outermost first. An action's parameters come first, then the variables
    /// of a `set`, then those of each quantifier on the way in.
    Variable(usize),
    /// A function of the machine, an index of [`Machine::symbols`], of its arguments.
    Apply(usize, Vec<Term>),
    /// A macro, an index of [`Machine::definitions`], of its arguments.
    Call(usize, Vec<Term>),
    /// An operator.
    Operation(Operator, Vec<Term>),
    /// For all, or for some, values of the variables, which the environment of the body ends with.
    Quantified(Quantifier, Vec<Variable>, Box<Term>),
}

/// For all, or for some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantifier {
    /// `forall`
    All,
    /// `exists`
    Some,
}

impl Quantifier {
    /// As SMT-LIB writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "forall",
            Self::Some => "exists",
        }
    }
}

/// The operators of terms, with the meaning that SMT-LIB gives them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    /// `not`
    Not,
    /// `and`, of any number
    And,
    /// `or`, of any number
    Or,
    /// `=>`, to the right: `(=> a b c)` is `(=> a (=> b c))`
    Implies,
    /// `=`, of two or more, all equal
    Equal,
    /// `distinct`, of two or more, no two equal
    Distinct,
    /// `ite`: if the first then the second, else the third
    If,
    /// `<`, of two or more, each below the next
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `+`
    Plus,
    /// `-`; of one, its negation
    Minus,
    /// `*`
    Times,
    /// `/`, of real numbers
    Over,
}

impl Operator {
    /// All of them, by the names of SMT-LIB.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("not", Self::Not),
        ("and", Self::And),
        ("or", Self::Or),
        ("=>", Self::Implies),
        ("=", Self::Equal),
        ("distinct", Self::Distinct),
        ("ite", Self::If),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        (">", Self::Greater),
        (">=", Self::AtLeast),
        ("+", Self::Plus),
        ("-", Self::Minus),
        ("*", Self::Times),
        ("/", Self::Over),
    ];

    /// As SMT-LIB writes it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }
}

/// A named statement: an axiom, an invariant, a guard and so on.
#[derive(Clone, Debug)]
pub struct Statement {
    /// How the file calls it.
    pub name: String,
    /// What it says; of a guard, the rule or handler that it stands for.
    pub doc: String,
    /// What is stated, of sort Bool. Its environment is empty; that of a guard is the action's parameters.
    pub term: Term,
    /// Of an invariant or a property: the other invariants that its proof takes for granted, indices of
    /// [`Machine::invariants`].
    pub by: Vec<usize>,
}

/// `(set STATE (VARIABLES) TERM)`: for all values of the variables, what the state is afterwards.
#[derive(Clone, Debug)]
pub struct Set {
    /// The state: an index of [`Machine::symbols`].
    pub symbol: usize,
    /// Its arguments.
    pub variables: Vec<Variable>,
    /// Its value, over the state before. The environment is the action's parameters, then the variables.
    pub term: Term,
}

/// An action: from every state in which its guards hold, for some values of its parameters, to the state that its sets
/// make. What no set names stays as it is.
#[derive(Clone, Debug)]
pub struct Action {
    /// How the file calls it.
    pub name: String,
    /// Its parameters: the first of the environment of guards and sets.
    pub parameters: Vec<Variable>,
    /// Which handler does it.
    pub doc: String,
    /// What must hold.
    pub guards: Vec<Statement>,
    /// What it changes.
    pub sets: Vec<Set>,
}

/// A machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The file that it was read from, as a person calls it.
    pub file: String,
    /// What stands in the file.
    pub text: String,
    /// Its name.
    pub name: String,
    /// What it is, in a sentence.
    pub doc: String,
    /// Declared sorts.
    pub sorts: Vec<Declared>,
    /// Functions, rigid ones and state.
    pub symbols: Vec<Symbol>,
    /// Macros; each calls only those before it.
    pub definitions: Vec<Definition>,
    /// What holds of the rigid functions.
    pub axioms: Vec<Statement>,
    /// What holds in the first states.
    pub initially: Vec<Statement>,
    /// What can happen.
    pub actions: Vec<Action>,
    /// What holds in every state, by induction.
    pub invariants: Vec<Statement>,
    /// What the invariants imply.
    pub properties: Vec<Statement>,
    /// What the axioms imply.
    pub lemmas: Vec<Statement>,
}

impl Machine {
    /// The name of a sort.
    pub fn sort_name(&self, sort: Sort) -> &str {
        match sort {
            Sort::Bool => "Bool",
            Sort::Int => "Int",
            Sort::Real => "Real",
            Sort::Declared(index) => &self.sorts[index].name,
        }
    }

    /// The index of the function of that name.
    pub fn symbol(&self, name: &str) -> Option<usize> {
        self.symbols.iter().position(|symbol| symbol.name == name)
    }

    /// The action of that name.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// The state that a term mentions, by itself or by definitions: indices of [`symbols`](Self::symbols).
    pub fn mentions(&self, term: &Term) -> Vec<usize> {
        let mut all = Vec::new();
        term.each(&mut |term| match &term.node {
            Node::Apply(symbol, _) if self.symbols[*symbol].state => all.push(*symbol),
            Node::Call(definition, _) => all.extend(&self.definitions[*definition].mentions),
            _ => {}
        });
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Term {
    /// Calls `visit` on this term and all within it.
    pub fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match &self.node {
            Node::Apply(_, arguments) | Node::Call(_, arguments) | Node::Operation(_, arguments) => {
                arguments.iter().for_each(|argument| argument.each(visit));
            }
            Node::Quantified(_, _, body) => body.each(visit),
            Node::Truth(_) | Node::Number(..) | Node::Variable(_) => {}
        }
    }
}
