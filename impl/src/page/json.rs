//! `/status.json`, and what the page's script is sent.

use std::net::SocketAddr;

use serde_json::{Value, json};
use spec::Span;

use crate::clock::to_millis;
use crate::status::Status;
use crate::watch::{BOUNDS_S, Drops, Event, Histogram, PeerReport, Report, reason_name};

/// The version of the object.
const SCHEMA: u32 = 1;

/// A report as one object.
pub(super) fn report(report: &Report, servers: &[SocketAddr]) -> Value {
    let address = |server: u8| servers.get(usize::from(server)).map(SocketAddr::to_string);
    let peers: Vec<_> =
        report.peers.iter().map(|known| peer(known, report, address(known.server.0).as_deref())).collect();
    json!({
        "schema": SCHEMA,
        "cluster": report.cluster,
        "server": report.status.server,
        "address": address(report.status.server),
        "uptime_ms": to_millis(report.uptime),
        "lease_term_ms": to_millis(report.lease_term),
        "status": report.status.to_json(),
        "peers": peers,
        "tally": report.tally,
        "drops": drops(&report.drops),
        "bounds_s": BOUNDS_S,
        "syncs": histogram(&report.syncs),
        "updates": histogram(&report.updates),
    })
}

/// An event as one object.
pub(super) fn event(event: &Event) -> Value {
    json!({
        "number": event.number,
        "at_ms": to_millis(event.at),
        "what": event.what.name(),
        "warning": event.what.is_warning(),
        "text": event.what.to_string(),
    })
}

fn peer(peer: &PeerReport, report: &Report, address: Option<&str>) -> Value {
    json!({
        "server": peer.server,
        "address": address,
        "up": peer.is_heard(),
        "heard_ms": peer.heard.map(to_millis),
        "loss": peer.loss,
        "round_trip_ms": peer.round_trip.map(to_millis),
        "lag": lag(peer, report),
        "clock": peer.clock,
        "clock_apart": peer.clock_apart,
        "status": peer.status.as_ref().map(Status::to_json),
    })
}

/// How many slots a peer lacks that this server or another peer knows to be chosen; none if it was never heard.
pub(super) fn lag(peer: &PeerReport, report: &Report) -> Option<u64> {
    let others = report.peers.iter().flat_map(|peer| &peer.status);
    let furthest = others.map(|status| status.committed.0).max().max(Some(report.status.committed.0));
    peer.status.as_ref().map(|status| furthest.unwrap_or(0).saturating_sub(status.committed.0))
}

fn drops(drops: &Drops) -> Vec<Value> {
    drops
        .iter()
        .map(|(reason, count)| json!({"reason": reason_name(reason), "text": reason.to_string(), "count": count}))
        .collect()
}

fn histogram(histogram: &Histogram) -> Value {
    json!({"counts": histogram.counts, "sum_s": histogram.sum_s})
}

/// Seconds, as metrics want them.
pub(super) fn to_seconds(span: Span) -> f64 {
    to_millis(span) / 1_000.0
}
