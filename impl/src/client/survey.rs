//! Asks every server how it is.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use spec::Span;

use super::{Destination, Link};
use crate::clock::millis;
use crate::status::Status;
use crate::wire::{Answer, Ask, Request};

/// How often a question is repeated: datagrams get lost.
const REPEAT_AFTER: Span = millis(100);

/// Asks each server for its status, all at once; none for those that do not answer within `patience`. In the
/// order of the addresses.
///
/// # Errors
/// If no socket can be had, or it fails.
pub fn survey(
    destination: &Destination,
    patience: Duration,
) -> io::Result<Vec<(SocketAddr, Option<Status>)>> {
    ask_all(destination, patience, usize::MAX)
}

/// The status of whichever server says it first; none if none does within `patience`.
///
/// # Errors
/// If no socket can be had, or it fails.
pub fn first_status(destination: &Destination, patience: Duration) -> io::Result<Option<Status>> {
    let heard = ask_all(destination, patience, 1)?;
    Ok(heard.into_iter().find_map(|(_, status)| status))
}

/// Asks until so many have answered.
fn ask_all(
    destination: &Destination,
    patience: Duration,
    enough: usize,
) -> io::Result<Vec<(SocketAddr, Option<Status>)>> {
    let mut link = Link::new(destination)?;
    let patience = Span(i64::try_from(patience.as_nanos()).unwrap_or(i64::MAX));
    let deadline = link.now() + patience;
    let mut heard: BTreeMap<SocketAddr, Status> = BTreeMap::new();
    let mut repeat_at = link.now();
    while link.now() < deadline
        && heard.len() < enough
        && destination.servers.iter().any(|server| !heard.contains_key(server))
    {
        if repeat_at <= link.now() {
            for &server in destination.servers.iter().filter(|server| !heard.contains_key(server)) {
                link.send(server, &Request { number: 0, ask: Ask::Status });
            }
            repeat_at = link.now() + REPEAT_AFTER;
        }
        link.wait(repeat_at.min(deadline))?;
        while let Some((from, responses)) = link.receive()? {
            for response in responses {
                if let Answer::Status(status) = response.answer {
                    heard.insert(from, *status);
                }
            }
        }
    }
    Ok(destination.servers.iter().map(|&server| (server, heard.remove(&server))).collect())
}
