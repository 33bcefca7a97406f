//! Segments whose checksums are right whatever is in them, for the fuzz target of the log: without them it would
//! never get past the first one.

use super::Identity;
use super::format::{
    self, FRAME_HEADER_BYTES, FrameKind, Label, Position, SEGMENT_HEADER_BYTES, SegmentHeader, seed,
};
use crate::payload::Payload;

/// Where the length of a frame's body stands in its header.
const BODY_BYTES_AT: usize = 8;

/// Makes a first segment of any bytes: with a header that is right, and frames after it as long as they say they are,
/// or as there is room for, that follow one another with the right checksums and numbers of records.
pub fn reseal_segment(segment: &mut Vec<u8>, identity: Identity) {
    segment.resize(segment.len().max(SEGMENT_HEADER_BYTES), 0);
    let header = SegmentHeader { identity, incarnation: 0, segment: 1, start: Position::default() };
    segment[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.encode());
    let (mut at, mut back, mut position) = (SEGMENT_HEADER_BYTES, 0, Position::default());
    while let Some(bytes) = segment.get_mut(at..).filter(|bytes| bytes.len() >= 2 * FRAME_HEADER_BYTES) {
        let most = bytes.len() / FRAME_HEADER_BYTES * FRAME_HEADER_BYTES - FRAME_HEADER_BYTES - 1;
        let said = u32::from_le_bytes(std::array::from_fn(|index| bytes[BODY_BYTES_AT + index]));
        let body_bytes = said.min(u32::try_from(most).unwrap_or(u32::MAX));
        let frame = &mut bytes[..format::frame_bytes(body_bytes as usize)];
        let body = &frame[FRAME_HEADER_BYTES..][..body_bytes as usize];
        let records = count_records(body);
        let kind = if frame[2] % 4 == FrameKind::Sum as u8 { FrameKind::Sum } else { FrameKind::Records };
        let is_sum = kind == FrameKind::Sum;
        let seed = seed(identity, header.segment);
        let label = Label { kind, body_bytes, back: if is_sum { back } else { 0 }, offset: at as u64, seed };
        position.previous = format::seal(frame, &label, position);
        position.records += if is_sum { 0 } else { records };
        back = if is_sum { 0 } else { frame.len() };
        at += frame.len();
    }
}

/// How many records a body holds; what is none ends them.
fn count_records(mut body: &[u8]) -> u64 {
    let mut count = 0;
    while let Ok((_, rest)) = postcard::take_from_bytes::<(u16, spec::Record<Payload>)>(body) {
        (body, count) = (rest, count + 1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Log, LogOptions};

    const IDENTITY: Identity = Identity { cluster: 7, server: 2 };

    fn committed(slot: u64) -> (u16, spec::Record<Payload>) {
        (3, spec::Record::Committed(spec::Slot(slot)))
    }

    #[test]
    fn a_resealed_log_is_the_same_log_and_its_records_may_be_changed() {
        let directory = tempfile::tempdir().unwrap();
        let options = LogOptions { zero_fill_bytes: 0, ..LogOptions::default() };
        Log::create(directory.path(), IDENTITY, 0).unwrap();
        let (mut log, _) = Log::open_with(directory.path(), IDENTITY, options).unwrap();
        for slot in [40, 41] {
            let (group, record) = committed(slot);
            log.append(group, &record);
            log.sync().unwrap();
        }
        drop(log);
        let path = directory.path().join("00000001.log");
        let written = std::fs::read(&path).unwrap();
        let mut segment = written.clone();
        reseal_segment(&mut segment, IDENTITY);
        assert_eq!(segment, written);

        let [old, new] = [40, 50].map(|slot| postcard::to_allocvec(&committed(slot)).unwrap());
        let at = segment.windows(old.len()).position(|bytes| bytes == old).unwrap();
        segment[at..at + new.len()].copy_from_slice(&new);
        reseal_segment(&mut segment, IDENTITY);
        std::fs::write(&path, segment).unwrap();
        let (_, recovery) = Log::open_with(directory.path(), IDENTITY, options).unwrap();
        assert_eq!(recovery.records, [committed(50), committed(41)]);
    }
}
