//! A segment of a log: as it is, or (an odd first byte) with a header, checksums and a chain that are right, so that
//! what comes behind them is reached. What is to be looked at and what would be started from say the same; what is
//! refused is left as it is; what is opened is found again, and was so before.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cluster::fuzzing::reseal_segment;
use cluster::log::{self, Identity, Log, LogError, LogOptions};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const IDENTITY: Identity = Identity { cluster: 0x0123_4567_89ab_cdef, server: 2 };
const OPTIONS: LogOptions = LogOptions { segment_bytes: 1 << 20, zero_fill_bytes: 0 };

/// In memory if the machine has such a place: there is a new log thousands of times a second.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a directory can be made")
});

fn segments(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it is there").path());
    let mut segments: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .map(|path| (path.clone(), fs::read(&path).expect("it can be read")))
        .collect();
    segments.sort();
    segments
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let directory = DIRECTORY.path();
    for (path, _) in segments(directory) {
        fs::remove_file(path).expect("it is there");
    }
    let mut bytes = bytes.to_vec();
    if first % 2 == 1 {
        reseal_segment(&mut bytes, IDENTITY);
    }
    fs::write(directory.join("00000001.log"), &bytes).expect("there is room");

    let examined = log::examine(directory).expect("it can be read");
    match Log::open_with(directory, IDENTITY, OPTIONS) {
        Ok((mut opened, recovery)) => {
            // Whoever looks has only the header to know whose log it is, and it may be lost where nothing else is.
            if examined.identity == Some(IDENTITY) {
                assert!(examined.problem.is_none(), "opened, but {:?}", examined.problem);
                assert_eq!((&examined.records, &examined.torn), (&recovery.records, &recovery.torn));
            }
            for (group, record) in recovery.records.iter().take(4) {
                opened.append(*group, record);
            }
            opened.sync().expect("there is room");
            drop(opened);
            let again = log::examine(directory).expect("it can be read");
            if again.identity == Some(IDENTITY) {
                assert!(
                    again.problem.is_none() && again.torn.is_none(),
                    "{:?} {:?}",
                    again.problem,
                    again.torn
                );
                let expected = recovery.records.iter().chain(recovery.records.iter().take(4));
                assert!(again.records.iter().eq(expected), "what was written is not what is read");
                assert_eq!(again.boots, recovery.boots);
            }
        }
        Err(error) => {
            let found = segments(directory);
            assert!(found.len() == 1 && found[0].1 == bytes, "refused ({error}), and changed");
            // A log that was never begun is no damage, and no log.
            let is_none = matches!(error, LogError::NotBegun { .. });
            let is_foreign = examined.identity.is_some_and(|identity| identity != IDENTITY);
            assert!(
                examined.problem.is_some() || is_foreign || is_none,
                "refused ({error}), but nothing is wrong"
            );
        }
    }
});
