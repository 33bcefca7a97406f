//! The exit codes of the `model` command.

use std::process::ExitCode;

/// What the command has to say in one number. The numbers are those of both commands of the project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done, and all that was asked holds and was exhausted.
    Done = 0,
    /// It could not run.
    Runtime = 1,
    /// A property is violated; also by a variant that falls as it should.
    Violated = 10,
    /// A probe was never reached.
    NotReached = 12,
    /// A variant survived.
    Survived = 13,
    /// Interrupted, or beyond a limit: nothing is said about what was not explored.
    Incomplete = 14,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
