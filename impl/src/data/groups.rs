//! With how many groups a data directory was begun. Keys are divided among the groups by their number, so with another one each
//! key would be looked for where it is not.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::GROUPS_MAX;
use crate::exit::Exit;

/// The file's name. A directory without it is that of a server with one group.
const FILE: &str = "groups";

/// Why a server cannot be started with so many groups. Nothing was changed.
#[derive(Debug, Error)]
pub enum GroupsError {
    /// The directory was begun with another number.
    #[error(
        "{} was begun with groups = {begun}, and the configuration has groups = {asked}: each key would be looked for in \
         another group than its own. Configure groups = {begun}; to have another number, export to a new cluster",
        .path.display()
    )]
    Other {
        /// The directory.
        path: PathBuf,
        /// The number with which it was begun.
        begun: u16,
        /// The number that is configured.
        asked: u16,
    },
    /// The program gives one state machine.
    #[error(
        "the configuration has groups = {0}, and this program replicates one state machine: configure groups = 1"
    )]
    OneMachine(u16),
    /// The file does not hold a number.
    #[error("{}: damaged: it holds no number of groups. Write the number that the other servers have into it", .0.display())]
    Damaged(PathBuf),
    /// The disk failed.
    #[error("{}: {source}", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl GroupsError {
    /// The exit code of a command that ends with this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Other { .. } | Self::OneMachine(_) => Exit::Usage,
            Self::Damaged(_) => Exit::DamagedData,
            Self::Disk { .. } => Exit::Disk,
        }
    }
}

/// Holds a directory to the number of groups with which it was begun; one whose log `is_new` begins with this one.
///
/// # Errors
/// If it was another one, or the disk fails.
pub(crate) fn hold_to(dir: &Path, asked: u16, is_new: bool) -> Result<(), GroupsError> {
    let path = dir.join(FILE);
    let disk = |source| GroupsError::Disk { path: path.clone(), source };
    let begun = match fs::read_to_string(&path) {
        Ok(text) => {
            let number = text.trim().parse().ok().filter(|groups| (1..=GROUPS_MAX).contains(groups));
            number.ok_or_else(|| GroupsError::Damaged(path.clone()))?
        }
        Err(error) if error.kind() == ErrorKind::NotFound && is_new && asked > 1 => {
            write(dir, asked).map_err(disk)?;
            asked
        }
        Err(error) if error.kind() == ErrorKind::NotFound => 1,
        Err(error) => return Err(disk(error)),
    };
    if begun == asked { Ok(()) } else { Err(GroupsError::Other { path: dir.into(), begun, asked }) }
}

/// Writes it beside its place first: a crash leaves all of it or nothing.
fn write(dir: &Path, groups: u16) -> io::Result<()> {
    let beside = dir.join("groups.new");
    let mut file = File::create(&beside)?;
    writeln!(file, "{groups}")?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(FILE))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_the_number_of_groups_with_which_it_was_begun() {
        let dir = tempfile::tempdir().unwrap();
        hold_to(dir.path(), 5, true).unwrap();
        hold_to(dir.path(), 5, false).unwrap();
        for asked in [1, 4] {
            let error = hold_to(dir.path(), asked, false).unwrap_err();
            assert!(
                matches!(error, GroupsError::Other { begun: 5, .. }) && error.exit() == Exit::Usage,
                "{error}"
            );
        }
        fs::write(dir.path().join(FILE), "five").unwrap();
        assert_eq!(hold_to(dir.path(), 5, false).unwrap_err().exit(), Exit::DamagedData);
    }

    #[test]
    fn one_without_a_number_has_one_group_and_a_log_of_one_takes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        hold_to(dir.path(), 1, true).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let error = hold_to(dir.path(), 5, false).unwrap_err();
        assert!(matches!(error, GroupsError::Other { begun: 1, asked: 5, .. }), "{error}");
    }
}
