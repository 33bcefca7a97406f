//! The stateright model of the handlers in `spec`.
