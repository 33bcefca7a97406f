//! The proof for every size: a small abstract machine, inductive invariants of it, and a solver that shows that every
//! action keeps them, whatever the number of servers, views, slots and quorums.
//!
//! The machines stand in `spec/proof`. [`read`](read::read) makes an [`ast::Machine`] of a file; [`obligation`] lists what
//! has to be shown of it; [`query`] is the question to a [`solver`] for each; [`prove`](prove::prove) asks them all.
//! A [`counterexample`] of a finite instance is told in [`words`]; [`report`] is what the command prints.

pub mod ast;
pub mod counterexample;
pub mod necessity;
pub mod obligation;
pub mod prove;
pub mod query;
pub mod read;
pub mod report;
pub mod select;
pub mod sexpr;
pub mod smt;
pub mod solver;
mod terms;
pub mod without;
pub mod words;

#[cfg(test)]
mod tests;

use ast::Machine;
use sexpr::Wrong;

/// The files of `spec/proof`, as they were when this program was built: where each stands, and what is in it.
pub const SOURCES: &[(&str, &str)] = &[
    ("spec/proof/leasehold.machine", include_str!("../../../spec/proof/leasehold.machine")),
    ("spec/proof/recover.machine", include_str!("../../../spec/proof/recover.machine")),
    ("spec/proof/clocks.machine", include_str!("../../../spec/proof/clocks.machine")),
];

/// All machines, in the order of [`SOURCES`].
///
/// # Errors
/// If one is not well-formed; the tests read them all.
pub fn machines() -> Result<Vec<Machine>, Wrong> {
    SOURCES.iter().map(|(file, text)| read::read(file, text)).collect()
}
