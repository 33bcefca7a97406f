//! The proof for every size: a small abstract machine, inductive invariants of it, and a solver that shows that every
//! action keeps them, whatever the number of servers, views, slots and quorums.
//!
//! The machines stand in `spec/proof`. [`read`](read::read) makes an [`ast::Machine`] of a file; [`obligation`] lists what
//! has to be shown of it; [`query`] is the question to a solver for each.

pub mod ast;
pub mod obligation;
pub mod query;
pub mod read;
pub mod sexpr;
pub mod smt;
mod terms;

#[cfg(test)]
mod tests;
