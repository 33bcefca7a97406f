//! What clients say to `peer-openraft` and `peer-omnipaxos`, over TCP: frames, each with its length before it. Any number
//! of clients share a connection, and answers come in any order, each with the number of its request.

use crate::kv::Put;

/// The longest frame: what is longer was not sent by a client of ours.
pub const FRAME_BYTES_MAX: usize = 1 << 24;

const LENGTH_BYTES: usize = 4;
const NUMBER_BYTES: usize = 8;
const KEY_LENGTH_BYTES: usize = 2;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Change a key; answered when a majority has it on disk and it is applied.
    Put(Put),
    /// The value of a key, no older than this request.
    Get(Vec<u8>),
    /// Whether this server leads.
    Leads,
}

/// A request with the number that its answer will have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Chosen by the client.
    pub number: u64,
    /// What is asked.
    pub operation: Operation,
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is done; the value, if one was asked for.
    Done(Vec<u8>),
    /// This server does not lead, or does no longer: ask another.
    NotHere,
}

/// An answer with the number of its request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// Of the request.
    pub number: u64,
    /// What became of it.
    pub answer: Answer,
}

impl Request {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, key, value): (u8, &[u8], &[u8]) = match &self.operation {
            Operation::Put(put) => (0, &put.key, &put.value),
            Operation::Get(key) => (1, key, &[]),
            Operation::Leads => (2, &[], &[]),
        };
        let key_length = u16::try_from(key.len()).expect("keys are short");
        let length = NUMBER_BYTES + 1 + KEY_LENGTH_BYTES + key.len() + value.len();
        begin(out, length, self.number, kind);
        out.extend_from_slice(&key_length.to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }

    /// The request in a frame; none if it is not one.
    #[must_use]
    pub fn decode(frame: &[u8]) -> Option<Self> {
        let (number, kind, rest) = split(frame)?;
        let (key_length, rest) = rest.split_first_chunk::<KEY_LENGTH_BYTES>()?;
        let (key, value) = rest.split_at_checked(u16::from_le_bytes(*key_length).into())?;
        let operation = match kind {
            0 => Operation::Put(Put { key: key.into(), value: value.into() }),
            1 => Operation::Get(key.into()),
            2 => Operation::Leads,
            _ => return None,
        };
        Some(Self { number, operation })
    }
}

impl Response {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, value): (u8, &[u8]) = match &self.answer {
            Answer::Done(value) => (0, value),
            Answer::NotHere => (1, &[]),
        };
        begin(out, NUMBER_BYTES + 1 + value.len(), self.number, kind);
        out.extend_from_slice(value);
    }

    /// The answer in a frame; none if it is not one.
    #[must_use]
    pub fn decode(frame: &[u8]) -> Option<Self> {
        let (number, kind, value) = split(frame)?;
        let answer = match kind {
            0 => Answer::Done(value.into()),
            1 => Answer::NotHere,
            _ => return None,
        };
        Some(Self { number, answer })
    }
}

fn begin(out: &mut Vec<u8>, length: usize, number: u64, kind: u8) {
    out.extend_from_slice(&u32::try_from(length).expect("values are short").to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.push(kind);
}

fn split(frame: &[u8]) -> Option<(u64, u8, &[u8])> {
    let (number, rest) = frame.split_first_chunk::<NUMBER_BYTES>()?;
    let (&kind, rest) = rest.split_first()?;
    Some((u64::from_le_bytes(*number), kind, rest))
}

/// Bytes as they come from a stream, cut into frames.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    taken: usize,
}

/// A frame is longer than any that is sent.
#[derive(Debug)]
pub struct TooLong;

impl Frames {
    /// Adds what was read.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, without its length; none until more is read.
    ///
    /// # Errors
    /// If its length is beyond [`FRAME_BYTES_MAX`].
    pub fn take(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let rest = &self.bytes[self.taken..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(TooLong);
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.taken += LENGTH_BYTES + length;
        Ok(Some(&self.bytes[self.taken - length..self.taken]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Request> {
        let operations = [
            Operation::Put(Put { key: b"k".to_vec(), value: vec![7; 300] }),
            Operation::Get(b"key 12".to_vec()),
            Operation::Leads,
        ];
        operations.into_iter().zip(5..).map(|(operation, number)| Request { number, operation }).collect()
    }

    #[test]
    fn requests_come_out_as_they_went_in_however_the_stream_is_cut() {
        let mut bytes = Vec::new();
        requests().iter().for_each(|request| request.encode(&mut bytes));
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            let mut heard = Vec::new();
            for piece in bytes.chunks(size) {
                frames.extend(piece);
                while let Some(frame) = frames.take().expect("no frame is too long") {
                    heard.push(Request::decode(frame).expect("it is a request"));
                }
            }
            assert_eq!(heard, requests(), "in pieces of {size}");
        }
    }

    #[test]
    fn answers_come_out_as_they_went_in() {
        for answer in [Answer::Done(b"value".to_vec()), Answer::Done(Vec::new()), Answer::NotHere] {
            let response = Response { number: 9, answer };
            let mut bytes = Vec::new();
            response.encode(&mut bytes);
            assert_eq!(Response::decode(&bytes[LENGTH_BYTES..]), Some(response));
        }
    }

    #[test]
    fn what_is_no_request_is_not_taken_for_one() {
        let mut bytes = Vec::new();
        requests()[0].encode(&mut bytes);
        bytes[LENGTH_BYTES + NUMBER_BYTES] = 9;
        assert_eq!(Request::decode(&bytes[LENGTH_BYTES..]), None, "no operation has that number");
        assert_eq!(Request::decode(&bytes[LENGTH_BYTES..LENGTH_BYTES + 10]), None, "cut short");
        let mut frames = Frames::default();
        frames.extend(&[0xff; 8]);
        assert!(frames.take().is_err());
    }
}
