//! The stateright model of the handlers in `spec`: every reachable state of real scopes of the code that the
//! cluster runs.
//!
//! How it is put together, from the inside out:
//!
//! - [`step`] gives one input to one server's real handlers and carries their effects out as a caller would. A local
//!   transition depends on that server alone, so it is computed once and remembered ([`intern`]).
//! - [`state`] is the global state: the servers, the messages in flight (a set that is never emptied, which is loss,
//!   duplication and reordering at once) and what an observer has seen. [`observe`] keeps the latter: what is chosen,
//!   acknowledged, read and broken.
//! - [`system`] is the `stateright::Model`; [`scope`] its bounds; [`reduction`] says which messages can be dropped and
//!   why.
//! - [`properties`] must hold everywhere; [`probes`] must happen somewhere; each of the [`variant`]s must fall.
//! - [`check`] exhausts scopes, [`report`] prints, [`explore`] serves stateright's Explorer, with a [`diagram`] of the
//!   path. [`words`] says what happens.
//! - [`proof`] proves a small machine for every size, by a solver.
//!
//! What a scope does not cover, no run of `check` says anything about: more servers, views, slots, crashes or rounds
//! than its bounds; other ratios of clock rates; changes of membership, which the handlers do not have.

pub mod arms;
pub mod check;
pub mod diagram;
pub mod difference;
pub mod engine;
pub mod exit;
pub mod explore;
pub mod html;
pub mod intern;
pub mod mutation;
pub mod observe;
pub mod page;
pub mod passing;
pub mod probes;
pub mod proof;
pub mod properties;
pub mod recovery;
pub mod reduction;
pub mod refinement;
pub mod replay;
pub mod report;
pub mod saved;
pub mod scope;
pub mod simulate;
pub mod state;
pub mod step;
pub mod system;
pub mod tlc;
pub mod variant;
pub mod why;
pub mod words;
pub mod worker;
