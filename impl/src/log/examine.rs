//! What a log holds and in what state it is, for people. Nothing is changed, and no lock is kept, so it may be
//! asked beside a running server.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use spec::{Record, Slot};

use super::begin::is_no_log;
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, seed};
use super::gaps::{Gap, whole_frame};
use super::lock::{self, Holder};
use super::replay::{self, Replay};
use super::segment::{self, path_of, segments_in};
use super::snapshots;
use super::{Identity, LogError, TornTail};
use crate::payload::Payload;

/// How often a log is read that a running server is writing to: what it is in the middle of writing looks like
/// a torn write, or like damage.
const READS_MAX: usize = 5;

/// What [`examine`] found.
#[derive(Debug)]
pub struct Examination {
    /// Who has the directory open.
    pub holder: Option<Holder>,
    /// Whose log it is; none if no segment's header is whole.
    pub identity: Option<Identity>,
    /// How often the directory was opened.
    pub boots: u64,
    /// Which of the server's disks it is on.
    pub incarnation: u64,
    /// Every segment, in order.
    pub segments: Vec<SegmentSummary>,
    /// Every record with its group, oldest first, and those that stand for what is lost in their place.
    pub records: Vec<(u16, Record<Payload>)>,
    /// A write that a crash cut short, or that the holder is in the middle of.
    pub torn: Option<TornTail>,
    /// What is damaged, and the log goes on behind it.
    pub gaps: Vec<Gap>,
    /// Why [`super::Log::open`] would refuse it, its lock apart.
    pub problem: Option<LogError>,
    /// Every snapshot, oldest first, and what is wrong with it.
    pub snapshots: Vec<SnapshotSummary>,
}

impl Examination {
    /// Whether anything is not as it was written, although a server starts from it.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.gaps.is_empty() || self.snapshots.iter().any(|snapshot| snapshot.damage.is_some())
    }
}

/// What was read of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentSummary {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// How many records come before it.
    pub start: u64,
    /// How many frames are whole and in their place.
    pub frames: u64,
    /// How many records they hold.
    pub records: u64,
    /// Where they end, in bytes.
    pub end: u64,
    /// How many zeros the file ends with, beyond that.
    pub zeros: u64,
    /// In what state it is.
    pub state: SegmentState,
}

/// In what state a segment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentState {
    /// As it was written.
    Whole,
    /// It ends with a write that was cut short.
    Torn,
    /// Something in it is not what was written.
    Damaged,
    /// Not read, because of what is wrong before it.
    Unread,
}

/// What a snapshot's file is.
#[derive(Debug)]
pub struct SnapshotSummary {
    /// Its group.
    pub group: u16,
    /// The last slot that it stands for.
    pub slot: Slot,
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What is wrong with it, if anything is.
    pub damage: Option<String>,
}

/// Reads the log in `dir`, whoever's it is, as far as it can be read.
///
/// # Errors
/// If the directory cannot be read.
pub fn examine(dir: &Path) -> Result<Examination, LogError> {
    let mut examination = examine_once(dir)?;
    for _ in 1..READS_MAX {
        let is_whole =
            examination.problem.is_none() && examination.torn.is_none() && examination.gaps.is_empty();
        if is_whole || examination.holder.is_none() {
            break;
        }
        examination = examine_once(dir)?;
    }
    Ok(examination)
}

fn examine_once(dir: &Path) -> Result<Examination, LogError> {
    let holder = lock::look(dir)?;
    let present = segments_in(dir)?;
    let identity = present.iter().find_map(|&segment| identity_in(dir, segment));
    let mut replay = Replay::default();
    // Without a whole header nothing is read that depends on whose log it is.
    let assumed = identity.unwrap_or(Identity { cluster: 0, server: 0 });
    let read = replay::replay_into(&mut replay, dir, assumed);
    let no_log = || is_no_log(&replay).then(|| LogError::NotBegun { path: dir.to_owned() });
    let problem = read.err().or_else(no_log);
    let snapshots = snapshots::summaries(dir, assumed)?;
    let mut segments = replay.segments;
    let unread = present.iter().map(|&segment| path_of(dir, segment));
    for path in unread.filter(|path| !segments.iter().any(|read| read.path == *path)).collect::<Vec<_>>() {
        segments.push(unread_segment(path)?);
    }
    Ok(Examination {
        holder,
        identity,
        boots: replay.position.boots,
        incarnation: replay.incarnation,
        segments,
        records: replay.records,
        torn: replay.torn,
        gaps: replay.gaps,
        problem,
        snapshots,
    })
}

/// Whose segment it is, if its header is whole, or what is left of it agrees with the first frame.
fn identity_in(dir: &Path, segment: u64) -> Option<Identity> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let path = path_of(dir, segment);
    fs::File::open(&path).and_then(|mut file| file.read_exact(&mut bytes)).ok()?;
    if let Ok(header) = SegmentHeader::decode(&bytes) {
        return Some(header.identity);
    }
    let identity = SegmentHeader::identity_claimed(&bytes);
    let segment_bytes = segment::read(&path).ok()?;
    let first = whole_frame(&segment_bytes, SEGMENT_HEADER_BYTES, seed(identity, segment));
    first.is_some().then_some(identity)
}

fn unread_segment(path: PathBuf) -> Result<SegmentSummary, LogError> {
    let metadata = fs::metadata(&path).map_err(LogError::disk(&path, 0, "read the segment's length"))?;
    let state = SegmentState::Unread;
    Ok(SegmentSummary {
        path,
        bytes: metadata.len(),
        start: 0,
        frames: 0,
        records: 0,
        end: 0,
        zeros: 0,
        state,
    })
}
