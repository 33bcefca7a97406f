//! The exit codes of the command, in one place.

use std::process::ExitCode;

use crate::log::LogError;

/// How a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// All that was asked is done.
    Done = 0,
    /// It failed while it ran.
    Runtime = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Data on disk is damaged; it was left as it is.
    DamagedData = 20,
    /// The data belongs to another cluster or another server.
    WrongIdentity = 21,
    /// This server may not vote before an explicit `recover`.
    RecoverNeeded = 22,
    /// The disk cannot be read or written.
    Disk = 23,
    /// There was no answer in time: the request may or may not have been carried out.
    OutcomeUnknown = 24,
    /// Interrupted (Ctrl-C) where nothing was to be reported.
    Interrupted = 130,
}

impl Exit {
    /// How a command ends that met this error of the log.
    #[must_use]
    pub fn of_log(error: &LogError) -> Self {
        match error.exit_code() {
            20 => Self::DamagedData,
            21 => Self::WrongIdentity,
            22 => Self::RecoverNeeded,
            23 => Self::Disk,
            _ => Self::Runtime,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends before its work is done: a message for stderr and a code for the caller.
#[derive(Debug)]
pub struct Failure {
    /// The code.
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
            Exit::DamagedData,
            Exit::WrongIdentity,
            Exit::RecoverNeeded,
            Exit::Disk,
            Exit::OutcomeUnknown,
            Exit::Interrupted,
        ];
        for code in codes {
            let row = |command| format!("| {} | {command} |", code as u8);
            assert!(readme.contains(&row("cluster")) || readme.contains(&row("both")), "{code:?}");
        }
    }
}
