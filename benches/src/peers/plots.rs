//! The updates of all systems as plots over the number of clients: how many a second, and how long the slow ones take.

use super::report::{Row, Spread};
use super::system::System;
use super::work::Kind;
use crate::plot::{Axis, Colour, Mark, Plot, Series, Size};

/// What is drawn of a row.
type Drawn = fn(&Row<'_>) -> Option<Spread>;

/// The plots' files.
pub(super) fn files(rows: &[Row<'_>]) -> Vec<(&'static str, String)> {
    let updates: Vec<_> = rows.iter().filter(|row| row.work.kind == Kind::Updates).collect();
    if updates.is_empty() {
        return Vec::new();
    }
    let plot = |title: &str, label: &str, drawn: Drawn| Plot {
        title: title.into(),
        size: Size::Wide,
        x: clients(&updates),
        y: Axis::log(label),
        series: series(&updates, drawn),
        moments: Vec::new(),
    };
    vec![
        ("updates.svg", plot("Durable updates by number of clients", "updates a second", per_second).svg()),
        ("latency.svg", plot("Latency of updates by number of clients", "99th percentile, ms", p99_ms).svg()),
    ]
}

fn per_second(row: &Row<'_>) -> Option<Spread> {
    row.figure()
}

fn p99_ms(row: &Row<'_>) -> Option<Spread> {
    const MICROS: f64 = 1000.0;
    let Spread { median, min, max } = row.p99()?;
    Some(Spread { median: median / MICROS, min: min / MICROS, max: max / MICROS })
}

fn clients(rows: &[&Row<'_>]) -> Axis {
    Axis::log("clients, each with one update at a time").with_ticks(rows.iter().map(|row| x(row)))
}

#[expect(clippy::cast_precision_loss, reason = "there are few clients")]
fn x(row: &Row<'_>) -> f64 {
    row.work.clients as f64
}

/// A line for each system, with the least and the greatest of all rounds.
fn series(rows: &[&Row<'_>], drawn: Drawn) -> Vec<Series> {
    let of = |system: System| {
        let points = rows.iter().filter(|row| row.system == system);
        let points = points.filter_map(|row| drawn(row).map(|spread| (x(row), spread)));
        // Nothing at all has no place on a logarithmic axis.
        let points: Vec<_> = points.filter(|(_, spread)| spread.median > 0.0).collect();
        let mark = if system.authenticated() { Mark::DashesWithDots } else { Mark::LineWithDots };
        let medians = points.iter().map(|(x, spread)| (*x, spread.median)).collect();
        let mut series = Series::new(system.name(), colour(system), mark, medians);
        let low = |spread: &Spread| if spread.min > 0.0 { spread.min } else { spread.median };
        series.intervals = points.iter().map(|(x, spread)| (*x, low(spread), spread.max)).collect();
        series
    };
    System::ALL.into_iter().map(of).filter(|series| !series.points.is_empty()).collect()
}

fn colour(system: System) -> Colour {
    match system {
        System::Leasehold | System::LeaseholdKeys => Colour::Blue,
        System::Etcd => Colour::Orange,
        System::Openraft => Colour::Green,
        System::Omnipaxos => Colour::Violet,
    }
}
