//! Clients of `peer-openraft` and `peer-omnipaxos`: one connection to the leader, which they share.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use peers::kv::Put;
use peers::wire::{Answer, Frames, Operation, Request, Response};

use crate::Work;
use crate::measured::{Measured, Progress};

/// How long to wait before another server is asked.
const ROTATE_AFTER: Duration = Duration::from_millis(5);
/// How long a server may take to say whether it leads.
const LEADS_PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer may take while keys are given their first values.
const FILL_PATIENCE: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 1 << 16;

/// The server that says that it leads.
pub(crate) fn leader(servers: &[SocketAddr]) -> Option<usize> {
    servers.iter().position(|&server| leads(server).unwrap_or(false))
}

fn leads(server: SocketAddr) -> io::Result<bool> {
    let mut stream = Stream::connect(server, LEADS_PATIENCE)?;
    Request { number: 0, operation: Operation::Leads }.encode(&mut stream.out);
    let mut answers = Vec::new();
    stream.turn(&mut answers)?;
    Ok(answers.first().is_some_and(|response| response.answer != Answer::NotHere))
}

/// Carries out these updates, all at once.
pub(crate) fn fill(server: SocketAddr, puts: Vec<Put>) -> io::Result<()> {
    let mut stream = Stream::connect(server, FILL_PATIENCE)?;
    let count = puts.len();
    for (number, put) in (0..).zip(puts) {
        Request { number, operation: Operation::Put(put) }.encode(&mut stream.out);
    }
    let mut answers = Vec::new();
    while answers.len() < count {
        stream.turn(&mut answers)?;
    }
    let done = answers.iter().all(|response| response.answer != Answer::NotHere);
    if done { Ok(()) } else { Err(io::Error::other("the leader leads no longer")) }
}

/// A connection with what is to be sent and what has come.
struct Stream {
    tcp: TcpStream,
    out: Vec<u8>,
    frames: Frames,
    buffer: Vec<u8>,
}

impl Stream {
    fn connect(server: SocketAddr, patience: Duration) -> io::Result<Self> {
        let tcp = TcpStream::connect(server)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(patience))?;
        Ok(Self { tcp, out: Vec::new(), frames: Frames::default(), buffer: vec![0; READ_BYTES] })
    }

    /// Sends what is to be sent and waits for answers.
    fn turn(&mut self, answers: &mut Vec<Response>) -> io::Result<()> {
        self.tcp.write_all(&self.out)?;
        self.out.clear();
        let length = self.tcp.read(&mut self.buffer)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.frames.extend(&self.buffer[..length]);
        while let Some(frame) =
            self.frames.take().map_err(|_| io::Error::new(ErrorKind::InvalidData, "a frame is too long"))?
        {
            answers.extend(Response::decode(frame));
        }
        Ok(())
    }
}

/// Runs the clients of one connection until the time is over.
pub(crate) fn run(mut work: Work, progress: &Progress) -> io::Result<Measured> {
    let mut measured = Measured::new();
    // Of each client: when its operation began, and what it is.
    let now = Instant::now();
    let mut clients: Vec<_> = (0..work.clients).map(|_| (now, next(&mut work))).collect();
    let mut server = work.leader;
    while Instant::now() < work.until {
        match converse(&mut work, server, &mut clients, &mut measured, progress) {
            Ok(()) => {}
            // The leader is gone, or leads no longer: the others are asked in turn.
            Err(_) => {
                measured.retries += work.clients as u64;
                server = (server + 1) % work.servers.len();
                thread::sleep(ROTATE_AFTER);
            }
        }
    }
    Ok(measured)
}

fn next(work: &mut Work) -> Operation {
    let key = work.key();
    if work.reads { Operation::Get(key) } else { Operation::Put(Put { key, value: work.value.clone() }) }
}

/// Lets clients ask one server until the time is over, or it fails or does not lead.
fn converse(
    work: &mut Work,
    server: usize,
    clients: &mut [(Instant, Operation)],
    measured: &mut Measured,
    progress: &Progress,
) -> io::Result<()> {
    let mut stream = Stream::connect(work.servers[server], work.attempt)?;
    for (number, (_, operation)) in (0..).zip(clients.iter()) {
        Request { number, operation: operation.clone() }.encode(&mut stream.out);
    }
    let mut answers = Vec::new();
    while Instant::now() < work.until {
        stream.turn(&mut answers)?;
        let now = Instant::now();
        for Response { number, answer } in answers.drain(..) {
            if answer == Answer::NotHere {
                return Err(ErrorKind::NotConnected.into());
            }
            let client = usize::try_from(number).ok().and_then(|number| clients.get_mut(number));
            let Some((begun, operation)) = client else { continue };
            if now >= work.from && now < work.until {
                measured.record(now - *begun);
                progress.ended(now);
            }
            *begun = now;
            *operation = next(work);
            Request { number, operation: operation.clone() }.encode(&mut stream.out);
        }
    }
    Ok(())
}
