//! The live stream: what happens, and how the server is, as Server-Sent Events.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::http::{self, Request};
use super::{Site, json};

/// How long to wait for news before the end of the page is looked for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sends what is new until whoever listens has gone, or the node has ended.
pub(super) fn run(site: &Site, request: &Request, to: &mut TcpStream) -> io::Result<()> {
    http::begin_stream(to)?;
    let seen = request.last_event.as_deref().and_then(number_in);
    let (mut edition, mut last) = (0, None);
    while !site.is_over.load(Ordering::Relaxed) && !site.board.is_over() {
        // Numbers of an earlier run of the server say nothing about this one.
        let after = last.unwrap_or(0);
        let (new, report, events) = site.board.next(edition, after, PATIENCE);
        let Some(report) = report.filter(|_| new != edition) else { continue };
        edition = new;
        let boots = report.status.boots;
        if last.is_none() {
            last = Some(seen.filter(|seen| seen.0 == boots).map_or(0, |seen| seen.1));
        }
        let mut text = String::new();
        for event in events.iter().filter(|event| Some(event.number) > last) {
            let data = json::event(event);
            text += &format!("id: {boots}-{}\nevent: happened\ndata: {data}\n\n", event.number);
        }
        last = last.max(events.last().map(|event| event.number));
        text += &format!("event: report\ndata: {}\n\n", json::report(&report, &site.servers));
        to.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The server's start and the event's number in an event's id.
pub(super) fn number_in(id: &str) -> Option<(u64, u64)> {
    let (boots, number) = id.split_once('-')?;
    Some((boots.parse().ok()?, number.parse().ok()?))
}
