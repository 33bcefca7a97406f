//! `/metrics`, in the text format of OpenMetrics. The names are those of the table in `README.md`.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::json::{lag, to_seconds};
use crate::clock::Rates;
use crate::status::Standing;
use crate::watch::{BOUNDS_S, Histogram, PeerReport, Report, reason_name};

/// What `/metrics` is.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Before every name.
const PREFIX: &str = "leasehold";

/// All metrics of a report.
pub(super) fn text(report: &Report) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Scrape(report.clone())));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Scrape(Report);

/// One metric of a family: its labels, and its value.
type Labelled<L, T> = (L, T);

impl Collector for Scrape {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        let (report, to) = (&self.0, &mut to);
        gauges(report, to)?;
        counters(report, to)?;
        peers(report, to)?;
        let drops = report.drops.iter().map(|(reason, count)| ([("reason", reason_name(reason))], count));
        family(
            to,
            "dropped_datagrams",
            "Datagrams dropped on receipt, by reason",
            None,
            drops,
            ConstCounter::new,
        )?;
        histogram(to, "sync", "How long the disk took to make a batch durable", &report.syncs)?;
        histogram(
            to,
            "update",
            "How long a client's update took here, from its arrival to its answer",
            &report.updates,
        )
    }
}

fn gauges(report: &Report, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let status = &report.status;
    let seconds = Some(Unit::Seconds);
    let remaining = status.lease_remaining_ms.unwrap_or(0.0) / 1_000.0;
    one(
        to,
        "up_time",
        "Time since the server was started",
        seconds.as_ref(),
        &ConstGauge::new(to_seconds(report.uptime)),
    )?;
    one(to, "boots", "How often the server was started on its data", None, &ConstGauge::new(status.boots))?;
    one(
        to,
        "leading",
        "Whether the server leads",
        None,
        &ConstGauge::new(u64::from(status.role == Standing::Leading)),
    )?;
    one(to, "view_number", "The number of the promised view", None, &ConstGauge::new(status.view.number))?;
    one(
        to,
        "view_leader",
        "The server that may lead the promised view",
        None,
        &ConstGauge::new(u64::from(status.view.leader.0)),
    )?;
    one(
        to,
        "committed_slot",
        "The last slot known to be chosen with all below it",
        None,
        &ConstGauge::new(status.committed.0),
    )?;
    one(
        to,
        "applied_slot",
        "The last slot applied to the state machine",
        None,
        &ConstGauge::new(status.applied.0),
    )?;
    one(
        to,
        "lease_remaining",
        "What is left of the lease; 0 without one",
        seconds.as_ref(),
        &ConstGauge::new(remaining),
    )?;
    one(
        to,
        "lease_term",
        "The term of a lease; 0 if leases are off",
        seconds.as_ref(),
        &ConstGauge::new(to_seconds(report.lease_term)),
    )
}

fn counters(report: &Report, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let (counters, tally) = (&report.status.counters, &report.tally);
    let all = [
        ("view_changes", "Times that the promised view rose", tally.view_changes),
        ("elections", "Times that the server stood for election", tally.elections),
        ("elections_won", "Times that the server was elected", tally.elections_won),
        ("leases_gained", "Times that the server came by a lease", tally.leases_gained),
        ("leases_renewed", "Times that the server prolonged its lease", tally.leases_renewed),
        ("leases_lost", "Times that the server's lease ended", tally.leases_lost),
        ("catch_ups", "Times that the server lagged behind a peer", tally.catch_ups),
        ("slow_syncs", "Syncs of the disk that took 100 ms or more", tally.slow_syncs),
        (
            "clock_alarms",
            "Times that a clock was found out of step, or that this server's own went back",
            tally.clock_alarms,
        ),
        ("received_datagrams", "Datagrams received", counters.datagrams_in),
        ("sent_datagrams", "Datagrams sent", counters.datagrams_out),
        ("sent_messages", "Messages sent; several share a datagram", counters.messages_out),
        ("sent_bytes", "Bytes of datagrams sent, without what keys add", counters.bytes_out),
        ("unsent_datagrams", "Datagrams that the operating system did not take", counters.datagrams_unsent),
        ("dropped_frames", "Frames dropped: no message, or of no group", counters.frames_dropped),
        (
            "messages_too_long",
            "Messages dropped because they were too long to send",
            counters.messages_too_long,
        ),
        ("records", "Records written to the log", counters.records),
        ("applied_updates", "Updates applied to the state machine", counters.applied),
        ("served_reads", "Reads served", counters.reads),
    ];
    all.into_iter().try_for_each(|(name, help, value)| one(to, name, help, None, &ConstCounter::new(value)))
}

fn peers(report: &Report, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let seconds = Some(Unit::Seconds);
    let label = |peer: &PeerReport| [("peer", peer.server.0.to_string())];
    let each = || report.peers.iter();
    let up = each().map(|peer| (label(peer), u64::from(peer.is_heard())));
    family(to, "peer_up", "Whether the peer is heard", None, up, ConstGauge::new)?;
    let heard = each().filter_map(|peer| Some((label(peer), to_seconds(peer.heard?))));
    family(to, "peer_silence", "Time since the peer was heard", seconds.as_ref(), heard, ConstGauge::new)?;
    let loss = each().filter_map(|peer| Some((label(peer), peer.loss?)));
    family(
        to,
        "peer_loss",
        "The part of the peer's beats that were lost lately",
        Some(&Unit::Ratios),
        loss,
        ConstGauge::new,
    )?;
    let trips = each().filter_map(|peer| Some((label(peer), to_seconds(peer.round_trip?))));
    family(
        to,
        "peer_round_trip",
        "How long a datagram takes to the peer and back",
        seconds.as_ref(),
        trips,
        ConstGauge::new,
    )?;
    let lags = each().filter_map(|peer| Some((label(peer), lag(peer, report)?)));
    family(to, "peer_lag_slots", "Chosen slots that the peer lacks", None, lags, ConstGauge::new)?;
    clocks(report, to)
}

fn clocks(report: &Report, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let label = |peer: &PeerReport| [("peer", peer.server.0.to_string())];
    let apart = report.peers.iter().map(|peer| (label(peer), u64::from(peer.clock_apart.is_some())));
    family(
        to,
        "peer_clock_apart",
        "Whether the peer's clock runs at another rate than this server's, by more than the bound",
        None,
        apart,
        ConstGauge::new,
    )?;
    let bound = |of: fn(Rates) -> i64| {
        let known = report.peers.iter().filter_map(move |peer| Some((label(peer), of(peer.clock?))));
        known.map(|(label, ppm)| (label, i32::try_from(ppm).map_or(f64::INFINITY, f64::from) / 1e6))
    };
    let unit = Some(&Unit::Ratios);
    family(
        to,
        "peer_clock_least",
        "How much faster the peer's clock runs than this server's, at least",
        unit,
        bound(|rates| rates.least_ppm),
        ConstGauge::new,
    )?;
    family(
        to,
        "peer_clock_most",
        "How much faster the peer's clock runs than this server's, at most",
        unit,
        bound(|rates| rates.most_ppm),
        ConstGauge::new,
    )
}

/// A metric without labels.
fn one(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metric: &impl EncodeMetric,
) -> Result<(), Error> {
    metric.encode(to.encode_descriptor(name, help, unit, metric.metric_type())?)
}

/// A metric for each label.
fn family<T: Default, M: EncodeMetric>(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metrics: impl Iterator<Item = Labelled<[(&'static str, String); 1], T>>,
    new: impl Fn(T) -> M,
) -> Result<(), Error> {
    let kind = new(T::default()).metric_type();
    let mut encoder: MetricEncoder<'_> = to.encode_descriptor(name, help, unit, kind)?;
    for (labels, value) in metrics {
        new(value).encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

fn histogram(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, of: &Histogram) -> Result<(), Error> {
    let bounds = BOUNDS_S.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(of.counts).collect();
    let mut encoder = to.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    encoder.encode_histogram::<NoLabelSet>(of.sum_s, of.count(), &buckets, None)
}
