//! The exit codes of the `model` command.

use std::process::ExitCode;

/// What the command has to say in one number. The numbers are those of both commands of the project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Done, and all that was asked holds and was exhausted, or was proved.
    Done = 0,
    /// It could not run.
    Runtime = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A property is violated, also by a variant that falls as it should; or an obligation is refuted.
    Violated = 10,
    /// A probe was never reached, an arm never exercised, or a state cannot recover.
    NotReached = 12,
    /// A variant survived, or a control fell; or a part of a machine is not needed, or cannot happen.
    Survived = 13,
    /// Interrupted, or beyond a limit: nothing is said about what was not explored, or not proved.
    Incomplete = 14,
    /// A saved counterexample is damaged; it was left as it is.
    DamagedData = 20,
    /// Ctrl-C where nothing was to be reported.
    Interrupted = 130,
}

/// Why a command could not do what it was asked, and how it ends.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with its message.
    pub fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_exit_code() {
        let readme = include_str!("../../README.md");
        let codes = [
            Exit::Done,
            Exit::Runtime,
            Exit::Usage,
            Exit::Violated,
            Exit::NotReached,
            Exit::Survived,
            Exit::Incomplete,
            Exit::DamagedData,
            Exit::Interrupted,
        ];
        for code in codes {
            let row = |command| format!("| {} | {command} |", code as u8);
            assert!(readme.contains(&row("model")) || readme.contains(&row("both")), "{code:?}");
        }
    }
}
