//! Where counterexamples are saved: where one is told to, or else in the user's cache, since each can be found again.
//! The current directory is left alone.

use std::path::{Path, PathBuf};

use model::exit::{Exit, Failure};
use model::saved::Saved;

/// A place for counterexamples.
pub(crate) enum Place {
    /// This file for the first, and files beside it for the others.
    File(PathBuf),
    /// A directory, each counterexample under a name of its own.
    Directory(PathBuf),
}

impl Place {
    /// The place that was asked for, which must be there and writable before the long work begins; or the cache.
    ///
    /// # Errors
    /// If nothing can be written to the place that was asked for.
    pub(crate) fn prepare(asked: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = asked else { return Ok(Self::Directory(cache())) };
        let place = if path.extension().is_some_and(|extension| extension == "json") && !path.is_dir() {
            Self::File(path.into())
        } else {
            Self::Directory(path.into())
        };
        place.probe()?;
        Ok(place)
    }

    fn directory(&self) -> &Path {
        match self {
            Self::Directory(path) => path,
            Self::File(path) => {
                path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
            }
        }
    }

    /// Writes and removes a file, so that the long work before the real one is not in vain.
    ///
    /// # Errors
    /// If nothing can be written there.
    fn probe(&self) -> Result<(), Failure> {
        let directory = self.directory();
        let file = directory.join(format!(".model-{}", std::process::id()));
        std::fs::create_dir_all(directory)
            .and_then(|()| std::fs::write(&file, b""))
            .and_then(|()| std::fs::remove_file(&file))
            .map_err(|error| cannot_write(directory, &error))
    }

    /// Saves one, and says where; a failure is told on standard error.
    pub(crate) fn save(&self, saved: &Saved, first: bool) -> Option<PathBuf> {
        let file = match self {
            Self::File(path) if first => path.clone(),
            _ => self.directory().join(saved.file_name()),
        };
        match saved.write(&file) {
            Ok(()) => Some(file),
            Err(error) => {
                eprintln!("model: the counterexample could not be saved: {error}");
                None
            }
        }
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Runtime, format!("cannot write to {}: {error}; choose another place", path.display()))
}

/// Makes sure that a report can be written, before the long work begins.
///
/// # Errors
/// If nothing can be written there.
pub(crate) fn prepare_report(directory: Option<&Path>) -> Result<(), Failure> {
    directory.map_or(Ok(()), |directory| Place::Directory(directory.into()).probe())
}

/// Writes a report, and says where.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_report(directory: &Path, name: &str, page: &str) -> Result<(), Failure> {
    write_quietly(directory, name, page)?;
    eprintln!("The report is {}", directory.join(name).display());
    Ok(())
}

/// Writes what a report refers to.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_quietly(directory: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let file = directory.join(name);
    std::fs::write(&file, text).map_err(|error| cannot_write(&file, &error))
}

/// The user's cache by the XDG rules, or the system's directory for temporary files.
fn cache() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".cache"));
    let cache = absolute("XDG_CACHE_HOME").or_else(home).unwrap_or_else(std::env::temp_dir);
    cache.join("leasehold").join("counterexamples")
}
