//! The `model` command.
fn main() {}
